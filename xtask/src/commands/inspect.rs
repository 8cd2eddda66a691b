//! `cargo xtask inspect`: what is in a model file.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use quantizer::proto::GraphProto;
use quantizer::{census, interface, model, rewrite};
use serde::Serialize;

use crate::base::decode;
use crate::digest::Digest;
use crate::failure::Failure;
use crate::workspace::Workspace;

/// Shows what is in a model: interface, operators, precisions, vocabulary, and what exact rewrites would find
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// An `.onnx` file; without one, the chosen artifact
    #[arg(value_name = "MODEL")]
    pub model: Option<PathBuf>,

    /// Print as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Inspection {
    file: String,
    bytes: usize,
    sha256: Digest,
    onnx_ir: i64,
    opsets: Vec<String>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    vocabulary_size: Option<u32>,
    nodes: usize,
    operators: std::collections::BTreeMap<String, usize>,
    precisions: std::collections::BTreeMap<String, Stored>,
    rewrites: Vec<Rewritten>,
}

#[derive(Serialize)]
struct Stored {
    tensors: usize,
    bytes: usize,
}

/// What a pass of [`rewrite::PASSES`] does to the model, behind those listed before it.
#[derive(Serialize)]
struct Rewritten {
    pass: &'static str,
    what: &'static str,
    changes_bits: bool,
    rewrites: usize,
    nodes_before: usize,
    nodes_after: usize,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Usage`] when there is no such file, [`Failure::Model`] when it is no sound model.
pub fn run(args: &InspectArgs, workspace: &Workspace) -> Result<()> {
    let path = match &args.model {
        Some(path) => path.clone(),
        None => workspace.artifacts().chosen()?.context(NO_ARTIFACT).context(Failure::Usage)?.path,
    };
    let inspection = inspect(&path)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&inspection)?);
    } else {
        show(&inspection);
    }
    Ok(())
}

const NO_ARTIFACT: &str = "no artifact is chosen yet\nhint: run `cargo xtask quantize`, or name a model file";

fn inspect(path: &std::path::Path) -> Result<Inspection> {
    let bytes = bytes::Bytes::from(fs_err::read(path).context(Failure::Usage)?);
    let file = path.display().to_string();
    let model = decode(&file, &bytes)?;
    let graph = model::graph(&model).context(Failure::Model)?;
    quantizer::check::validate(graph).with_context(|| format!("`{file}`")).context(Failure::Model)?;
    let opset = |set: &quantizer::proto::OperatorSetIdProto| match set.domain() {
        "" => format!("ai.onnx {}", set.version()),
        domain => format!("{domain} {}", set.version()),
    };
    let stored = |stored: census::Stored| Stored { tensors: stored.tensors, bytes: stored.bytes };
    Ok(Inspection {
        bytes: bytes.len(),
        sha256: Digest::of(&bytes),
        onnx_ir: model.ir_version(),
        opsets: model.opset_import.iter().map(opset).collect(),
        inputs: interface::inputs(graph).iter().map(port).collect(),
        outputs: interface::outputs(graph).iter().map(port).collect(),
        // Only speech models have one, and any ONNX model can be inspected.
        vocabulary_size: crate::describe::vocabulary_size(&model).ok(),
        nodes: graph.node.len(),
        operators: census::operators(graph),
        precisions: census::precisions(graph)
            .into_iter()
            .map(|(name, count)| (name, stored(count)))
            .collect(),
        rewrites: rewrites(graph).with_context(|| format!("`{file}`")).context(Failure::Model)?,
        file,
    })
}

/// What all passes would do to the graph, which stays as it is: tensors are shared, so the copy is small.
fn rewrites(graph: &GraphProto) -> quantizer::error::Result<Vec<Rewritten>> {
    let report = rewrite::apply(&mut graph.clone(), &rewrite::PASSES)?;
    let of = |(pass, applied): (&rewrite::Pass, rewrite::Applied)| Rewritten {
        pass: pass.name,
        what: pass.what,
        changes_bits: pass.changes_bits,
        rewrites: applied.rewrites,
        nodes_before: applied.nodes_before,
        nodes_after: applied.nodes_after,
    };
    Ok(rewrite::PASSES.iter().zip(report).map(of).collect())
}

fn port(port: &interface::Port) -> String {
    let dimension = |dimension: &interface::Dimension| match dimension {
        interface::Dimension::Fixed(size) => size.to_string(),
        interface::Dimension::Named(name) if name.is_empty() => "?".into(),
        interface::Dimension::Named(name) => name.clone(),
    };
    let shape: Vec<String> = port.shape.iter().map(dimension).collect();
    format!("{} {} [{}]", port.name, port.element_type, shape.join(", "))
}

fn show(inspection: &Inspection) {
    println!("{}", inspection.file);
    println!("{:>14}  {} bytes", "size", inspection.bytes);
    println!("{:>14}  {}", "sha256", inspection.sha256);
    println!("{:>14}  {} ({})", "IR", inspection.onnx_ir, inspection.opsets.join(", "));
    for input in &inspection.inputs {
        println!("{:>14}  {input}", "input");
    }
    for output in &inspection.outputs {
        println!("{:>14}  {output}", "output");
    }
    if let Some(size) = inspection.vocabulary_size {
        println!("{:>14}  {size} token ids", "vocabulary");
    }
    for (precision, stored) in &inspection.precisions {
        println!("{precision:>14}  {} tensors, {} bytes", stored.tensors, stored.bytes);
    }
    println!("{:>14}  {}", "nodes", inspection.nodes);
    let mut operators: Vec<_> = inspection.operators.iter().collect();
    operators.sort_by_key(|&(name, &count)| (std::cmp::Reverse(count), name));
    for (operator, count) in operators {
        println!("{count:>14}  {operator}");
    }
    println!("{:>14}  exact rewrites, each behind those before it", "");
    for Rewritten { pass, what, rewrites, nodes_before, nodes_after, .. } in &inspection.rewrites {
        println!("{rewrites:>14}  {pass}: {nodes_before} → {nodes_after} nodes; {what}");
    }
}
