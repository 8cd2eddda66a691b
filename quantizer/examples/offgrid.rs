//! Moves the weights of a model off the grid that they lie on: a stand-in for a float model that was never quantized.
//!
//!     cargo run -p quantizer --example offgrid MODEL OUT [SEED]
//!
//! A model that was restored from INT8 has weights of at most 256 values a tensor or channel, so to quantize it again is
//! easier than to quantize what it was made of. Each of these weights is moved by a uniform random part of up to half a
//! step either way, which is what its first quantization took away. The same seed gives the same bytes.

use std::error::Error;
use std::io::BufWriter;

use quantizer::proto::tensor_proto::DataType;
use quantizer::{model, tensor};

/// Fewer weights than these are left as they are: biases, norms and constants, which no tool quantizes.
const LEAST: usize = 1024;

/// The most values that a grid of eight bits has.
const LEVELS: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (from, to, seed) = match arguments.as_slice() {
        [from, to] => (from, to, 1),
        [from, to, seed] => (from, to, seed.parse()?),
        _ => return Err("expected MODEL OUT [SEED]".into()),
    };
    let mut model = model::decode(fs_err::read(from)?.into())?;
    let mut random = Random(seed);
    let (mut moved, mut all) = (0, 0);
    for weights in &mut model::graph_mut(&mut model)?.initializer {
        let dims = tensor::shape(weights);
        if tensor::element_type(weights) != DataType::Float || dims.iter().product::<usize>() < LEAST {
            continue;
        }
        let mut values = tensor::to_f32(weights)?;
        all += 1;
        // One grid for the tensor, or one for each of its rows, or of its columns.
        let rows = dims[0].max(1);
        let columns = dims.last().copied().unwrap_or(1).max(1);
        let of_row = values.len() / rows;
        let groups: [(usize, &dyn Fn(usize) -> usize); 3] =
            [(1, &|_| 0), (rows, &|at| at / of_row), (columns, &|at| at % columns)];
        let Some((steps, group)) =
            groups.iter().find_map(|(count, group)| Some((steps(&values, *count, group)?, group)))
        else {
            continue;
        };
        for (at, value) in values.iter_mut().enumerate() {
            *value += steps[group(at)] * random.next();
        }
        moved += 1;
        *weights = tensor::from_f32(weights.name(), &dims, &values);
    }
    model::encode(&model, &mut BufWriter::new(fs_err::File::create(to)?))?;
    println!("moved {moved} of {all} tensors of {LEAST} weights or more");
    Ok(())
}

/// The step of the grid of each group; `None` where one has too many values for a grid.
fn steps(values: &[f32], count: usize, group: &dyn Fn(usize) -> usize) -> Option<Vec<f32>> {
    let mut groups = vec![Vec::new(); count];
    for (at, value) in values.iter().enumerate() {
        groups[group(at)].push(*value);
    }
    let step = |mut values: Vec<f32>| {
        values.sort_by(f32::total_cmp);
        values.dedup();
        let is_grid = values.len() <= LEVELS;
        let differences = values.windows(2).map(|pair| pair[1] - pair[0]);
        is_grid.then(|| differences.reduce(f32::min).unwrap_or(0.0))
    };
    groups.into_iter().map(step).collect()
}

/// Uniform numbers from −½ to ½ (Steele, Lea and Flood, `SplitMix`, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 40) as f32 / (1 << 24) as f32 - 0.5
    }
}
