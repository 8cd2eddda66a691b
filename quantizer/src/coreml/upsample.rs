//! Repeating frames as a transposed convolution: the provider resizes only what has a static length.

use super::edit::{integers_attribute, replace, text};
use crate::error::Result;
use crate::graph::{attribute, integer, integer_attribute, is, node};
use crate::proto::{GraphProto, NodeProto};
use crate::rewrite::Facts;
use crate::tensor;

/// Turns Resize that repeats each frame of `x` [N, C, T] a constant number of times into a transposed convolution with
/// one kernel of ones for each channel, which steps as far as it is long. Returns how many. Each frame is multiplied by 1 and
/// added to nothing, so the bits are the same for finite numbers.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn upsample(graph: &mut GraphProto) -> Result<usize> {
    replace(graph, |resize, draft| {
        let (channels, times) = repeats(resize, draft.facts)?;
        let length = times as usize;
        let ones = vec![1.0; channels as usize * length];
        let kernel = draft.constant(&format!("ones/{channels}_1_{times}"), |name| {
            tensor::from_f32(name, &[channels as usize, 1, length], &ones)
        });
        let mut repeat = node("ConvTranspose", "", &[&resize.input[0], &kernel], &[]);
        repeat.attribute.extend([
            integer_attribute("group", channels),
            integers_attribute("kernel_shape", &[times]),
            integers_attribute("strides", &[times]),
        ]);
        draft.finish_with(repeat);
        Some(())
    })
}

/// Of what has so many channels, how often each frame stands in the result.
fn repeats(resize: &NodeProto, facts: &Facts<'_>) -> Option<(i64, i64)> {
    let named = |at: usize| resize.input.get(at).filter(|name| !name.is_empty());
    if !is(resize, "Resize") || text(resize, "mode", "nearest") != "nearest" {
        return None;
    }
    let is_first = text(resize, "coordinate_transformation_mode", "half_pixel") == "asymmetric"
        && text(resize, "nearest_mode", "round_prefer_floor") == "floor";
    let is_whole =
        named(3).is_none() && attribute(resize, "axes").is_none() && integer(resize, "antialias", 0) == 0;
    if !is_first || !is_whole || !super::edit::is_float(&resize.input[0], facts) {
        return None;
    }
    let &[_, channels, _] = facts.dims(&resize.input[0])?.as_slice() else { return None };
    let scales = tensor::to_f32(facts.tensor(named(2)?)?).ok()?;
    let &[1.0, 1.0, times] = scales.as_slice() else { return None };
    // The runtime divides positions by the factor in float32; up to here, and far beyond, the quotients fall right.
    let is_integer = (2.0..=4096.0).contains(&times) && times.fract() == 0.0;
    is_integer.then_some((channels?, times as i64))
}
