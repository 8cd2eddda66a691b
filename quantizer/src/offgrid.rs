//! Weights moved off the grid of a quantization: a stand-in for a float model that was never quantized.
//!
//! A model that was [restored](crate::restore) from INT8 has weights of at most 256 values a tensor or channel, so to
//! quantize it again is easier than to quantize what it was made of. Each of these weights is moved by a uniform random part
//! of up to half a step either way, which is what its first quantization took away. The same seed gives the same bytes.

use crate::error::Result;
use crate::proto::GraphProto;
use crate::proto::tensor_proto::DataType;
use crate::tensor;

/// Fewer weights than these are left as they are: biases, norms and constants, which no tool quantizes.
const LEAST: usize = 1024;

/// The most values that a grid of eight bits has.
const LEVELS: usize = 256;

/// The part of a step that a value may be off its grid: each is a product that was rounded to 24 bits, and up to 255 steps
/// of which each is off as much lie between two.
const TOLERANCE: f32 = 0.01;

/// How many tensors were moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Those that lay on a grid.
    pub tensors: usize,
    /// All that are large enough to have been quantized.
    pub of: usize,
}

/// Moves every large float tensor of `graph` that lies on a grid off it.
///
/// # Errors
/// [`ErrorKind::Tensor`](crate::ErrorKind) for a tensor whose data are not what its type and shape say.
pub fn shift(graph: &mut GraphProto, seed: u64) -> Result<Moved> {
    let mut random = Random(seed);
    let mut moved = Moved { tensors: 0, of: 0 };
    for weights in &mut graph.initializer {
        let dims = tensor::shape(weights);
        if tensor::element_type(weights) != DataType::Float || dims.iter().product::<usize>() < LEAST {
            continue;
        }
        let mut values = tensor::to_f32(weights)?;
        moved.of += 1;
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
        moved.tensors += 1;
        *weights = tensor::from_f32(weights.name(), &dims, &values);
    }
    Ok(moved)
}

/// The step of the grid of each group; `None` where the values of one lie on none.
fn steps(values: &[f32], count: usize, group: &dyn Fn(usize) -> usize) -> Option<Vec<f32>> {
    let mut groups = vec![Vec::new(); count];
    for (at, value) in values.iter().enumerate() {
        groups[group(at)].push(*value);
    }
    groups.into_iter().map(step).collect()
}

/// The least distance of two values, if all others are multiples of it and few enough; 0 for a single value.
fn step(mut values: Vec<f32>) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.dedup();
    let Some(step) = values.windows(2).map(|pair| pair[1] - pair[0]).reduce(f32::min) else {
        return Some(0.0);
    };
    let is_multiple = |value: &f32| {
        let steps = (value - values[0]) / step;
        (steps - steps.round()).abs() < TOLERANCE
    };
    (values.len() <= LEVELS && values.iter().all(is_multiple)).then_some(step)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(values: &[f32], dims: &[usize], seed: u64) -> (Moved, Vec<f32>) {
        let initializer = vec![tensor::from_f32("w", dims, values)];
        let mut graph = GraphProto { initializer, ..GraphProto::default() };
        let moved = shift(&mut graph, seed).unwrap();
        (moved, tensor::to_f32(&graph.initializer[0]).unwrap())
    }

    #[test]
    fn a_weight_is_moved_by_up_to_half_a_step_of_its_row() {
        let step = |at: usize| if at < 1024 { 0.5 } else { 0.25 };
        let values: Vec<f32> = (0..2048).map(|at| ((at * 37) % 200) as f32 * step(at)).collect();
        let (moved, shifted) = moved(&values, &[2, 1024], 1);
        assert_eq!(moved, Moved { tensors: 1, of: 1 });
        let parts = || values.iter().zip(&shifted).enumerate().map(|(at, (was, is))| (is - was) / step(at));
        assert!(parts().all(|part| part.abs() <= 0.5 + 1e-4));
        // Uniform from −½ to ½: the mean of the squares is a twelfth.
        let square = parts().map(|part| f64::from(part * part)).sum::<f64>() / 2048.0;
        assert!((square - 1.0 / 12.0).abs() < 0.01, "{square}");
    }

    #[test]
    fn what_lies_on_no_grid_or_is_small_stays() {
        let no_grid: Vec<f32> = (0..4096).map(|at| (at as f32 * 0.7).sin()).collect();
        assert_eq!(moved(&no_grid, &[64, 64], 1), (Moved { tensors: 0, of: 1 }, no_grid));
        let small = vec![1.0; 1023];
        assert_eq!(moved(&small, &[1023], 1), (Moved { tensors: 0, of: 0 }, small));
    }

    #[test]
    fn a_seed_gives_the_same_weights_and_another_one_others() {
        let values: Vec<f32> = (0..1024).map(|at| (at % 100) as f32).collect();
        let of = |seed| moved(&values, &[32, 32], seed).1;
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
