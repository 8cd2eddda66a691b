//! Moves the weights of a model off the grid that they lie on, see [`quantizer::offgrid`]: `kokoro-v1.0-offgrid` of the
//! recipe by another seed, or of another model.
//!
//!     cargo run -p quantizer --example offgrid MODEL OUT [SEED]

use std::error::Error;
use std::io::BufWriter;

use quantizer::model;
use quantizer::offgrid::{self, Moved};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (from, to, seed) = match arguments.as_slice() {
        [from, to] => (from, to, 1),
        [from, to, seed] => (from, to, seed.parse()?),
        _ => return Err("expected MODEL OUT [SEED]".into()),
    };
    let mut model = model::decode(fs_err::read(from)?.into())?;
    let Moved { tensors, of } = offgrid::shift(model::graph_mut(&mut model)?, seed)?;
    model::encode(&model, &mut BufWriter::new(fs_err::File::create(to)?))?;
    println!("moved {tensors} of {of} large tensors");
    Ok(())
}
