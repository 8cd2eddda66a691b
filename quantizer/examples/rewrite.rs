//! Rewrites a model: `rewrite MODEL OUTPUT PASS...`, each pass by its name, `noise` for the one that only reorders, `coreml` for
//! all that the scheme `coreml-int8` begins with.

use std::error::Error;

use quantizer::coreml;
use quantizer::model;
use quantizer::rewrite::{self, PASSES};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, names @ ..] = arguments.as_slice() else {
        return Err("usage: rewrite MODEL OUTPUT PASS...".into());
    };
    let mut model = model::decode(fs_err::read(input)?.into())?;
    let graph = model::graph_mut(&mut model)?;
    for name in names {
        if name == "noise" {
            println!("{name}: {}", rewrite::reassociate(graph)?);
            continue;
        }
        if name == "coreml" {
            for applied in rewrite::apply(graph, &coreml::PASSES)? {
                let (before, after) = (applied.nodes_before, applied.nodes_after);
                println!(
                    "{}: {} times, {before} nodes before, {after} after",
                    applied.name, applied.rewrites
                );
            }
            continue;
        }
        let known = || PASSES.map(|pass| pass.name).join(", ");
        let pass =
            rewrite::pass(name).ok_or_else(|| format!("expected one of {}, found `{name}`", known()))?;
        for applied in rewrite::apply(graph, [pass])? {
            let (before, after) = (applied.nodes_before, applied.nodes_after);
            println!("{name}: {} times, {before} nodes before, {after} after", applied.rewrites);
        }
    }
    quantizer::check::validate(graph)?;
    let mut file = std::io::BufWriter::new(fs_err::File::create(output)?);
    model::encode(&model, &mut file)?;
    Ok(std::io::Write::flush(&mut file)?)
}
