//! What stands behind the transposed convolution of an inverse short-time Fourier transform.
//!
//! Where windows overlap, their squares add up to a sum by which the sound is divided (Griffin and Lim 1984), and half a frame
//! is cut off at both ends. Exported with a stored window sum that is one frame long, the sum is 1 behind that, and the division is
//! written as a `ScatterND` to the places where the sum is not 0.

use super::edit::{Draft, integers_attribute, integers_or, replace, text};
use crate::error::Result;
use crate::graph::{attribute, is, node};
use crate::proto::{GraphProto, NodeProto};
use crate::rewrite::Facts;
use crate::tensor;

/// Turns ConvTranspose [1, 1, L], division of its first samples by a stored window sum, a constant factor, and two Slices that cut
/// the same off at both ends, into a ConvTranspose with pads, and a division by the window sum with ones behind it. Returns how
/// many.
///
/// The bits are the same for finite numbers. What is left has to be longer than what is divided, which is half a window, as it is
/// of any sound of more than three frames.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn istft(graph: &mut GraphProto) -> Result<usize> {
    replace(graph, |node, draft| {
        let inverse = Inverse::of(node, draft.facts)?;
        inverse.write(draft);
        Some(())
    })
}

/// No value is as long: how exporters write that a Slice goes on to the end.
const OPEN: i64 = i32::MAX as i64;

/// An inverse transform, as it is found from its last Slice.
struct Inverse<'a> {
    convolution: &'a NodeProto,
    /// What the first samples are divided by, from the first that is left on.
    divisors: Vec<f32>,
    /// A stored scalar.
    factor: Option<&'a str>,
    /// How many samples are cut off at each end.
    cut: i64,
}

impl<'a> Inverse<'a> {
    fn of(last: &NodeProto, facts: &Facts<'a>) -> Option<Self> {
        let (value, 0, end) = bounds(last, facts)? else { return None };
        let cut = end.checked_neg().filter(|&cut| cut > 0)?;
        let first = only(value, "Slice", facts)?;
        let (value, start, end) = bounds(first, facts)?;
        if start != cut || end < OPEN {
            return None;
        }
        let (value, factor) = match only(value, "Mul", facts) {
            Some(product) => {
                let [a, b] = product.input.as_slice() else { return None };
                let is_factor = |name: &String| facts.scalar(name).is_some();
                let (value, factor) = if is_factor(b) { (a, b) } else { (b, a) };
                is_factor(factor).then_some((value.as_str(), Some(factor.as_str())))?
            }
            None => (value, None),
        };
        let unsqueeze = only(value, "Unsqueeze", facts).filter(|it| facts.axes(it) == Some(vec![1]))?;
        let scatter = only(&unsqueeze.input[0], "ScatterND", facts)?;
        if text(scatter, "reduction", "none") != "none" {
            return None;
        }
        let [data, indices, updates] = scatter.input.as_slice() else { return None };
        let squeeze = made(data, "Squeeze", facts).filter(|it| facts.axes(it) == Some(vec![1]))?;
        let convolution = made(&squeeze.input[0], "ConvTranspose", facts)?;
        let Some([Some(1), Some(1), _]) = facts.dims(&convolution.output[0]).as_deref() else { return None };
        let (places, window) = divided(updates, data, facts)?;
        is_index(indices, places, facts).then_some(())?;
        let window = window_sum(window, &convolution.output[0], places, facts)?;
        // As long as the kernel is what comes out at the least, so no sum is cut short.
        let taps = *facts.dims(&convolution.input[1])?.last()?;
        let is_whole = integers_or(convolution, "pads", 0, 2) == [0, 0]
            && text(convolution, "auto_pad", "NOTSET") == "NOTSET"
            && attribute(convolution, "output_shape").is_none()
            && taps? >= window.len() as i64;
        let divisors = window.into_iter().skip(cut as usize).collect();
        is_whole.then_some(Self { convolution, divisors, factor, cut })
    }

    fn write(&self, draft: &mut Draft<'_, '_>) {
        let inputs: Vec<&str> = self.convolution.input.iter().map(String::as_str).collect();
        let sound = draft.make("ConvTranspose", &inputs);
        for attribute in self.convolution.attribute.iter().filter(|it| it.name() != "pads") {
            draft.with(attribute.clone());
        }
        draft.with(integers_attribute("pads", &[self.cut, self.cut]));
        let count = self.divisors.len();
        let divided = if count == 0 {
            sound
        } else {
            let name = &self.convolution.output[0];
            let stored = draft.tensor(&format!("{name}/window-sum"), |name| {
                tensor::from_f32(name, &[1, 1, count], &self.divisors)
            });
            // A convolution with zeros gives ones, as many as there are samples behind those that are divided.
            let kernel = draft.constant(&format!("zeros/1_1_{}", count + 1), |name| {
                tensor::from_f32(name, &[1, 1, count + 1], &vec![0.0; count + 1])
            });
            let bias = draft.constant("one", |name| tensor::from_f32(name, &[1], &[1.0]));
            let ones = draft.make("Conv", &[&sound, &kernel, &bias]);
            let divisor = draft.make("Concat", &[&stored, &ones]);
            draft.with(crate::graph::integer_attribute("axis", 2));
            match self.factor {
                Some(_) => draft.make("Div", &[&sound, &divisor]),
                None => return draft.finish("Div", &[&sound, &divisor]),
            }
        };
        match self.factor {
            Some(factor) => draft.finish("Mul", &[&divided, factor]),
            None => draft.finish_with(node("Identity", "", &[&divided], &[])),
        }
    }
}

/// What a Slice of the last of three axes takes, from where to where.
fn bounds<'a>(slice: &'a NodeProto, facts: &Facts<'_>) -> Option<(&'a str, i64, i64)> {
    let [value, starts, ends, axes, steps @ ..] = slice.input.as_slice() else { return None };
    let one = |name: &str| facts.integers(name).filter(|values| values.len() == 1).map(|values| values[0]);
    let is_plain = is(slice, "Slice") && steps.first().is_none_or(|step| one(step) == Some(1));
    (is_plain && matches!(one(axes)?, 2 | -1)).then_some((value.as_str(), one(starts)?, one(ends)?))
}

/// The node of the operator that makes a value.
fn made<'a>(value: &str, op: &str, facts: &Facts<'a>) -> Option<&'a NodeProto> {
    facts.view.producer(value).filter(|node| is(node, op) && !node.input.is_empty())
}

/// As [`made`], if one node alone reads the value.
fn only<'a>(value: &str, op: &str, facts: &Facts<'a>) -> Option<&'a NodeProto> {
    made(value, op, facts).filter(|_| facts.view.only_consumer(value).is_some())
}

/// What is in front of the nodes that only give a value another shape.
fn unshaped<'a>(value: &'a str, facts: &Facts<'a>) -> &'a str {
    let shaped = |value: &&'a str| {
        let node = facts.view.producer(value)?;
        let keeps = ["Reshape", "Squeeze", "Unsqueeze"].iter().any(|op| is(node, op));
        node.input.first().filter(|_| keeps).map(String::as_str)
    };
    std::iter::successors(Some(value), shaped).last().unwrap_or(value)
}

/// For `data[:, places] / window[places]`, in any shape: places and window.
fn divided<'a>(updates: &str, data: &str, facts: &Facts<'a>) -> Option<(&'a str, &'a str)> {
    let reshape = made(updates, "Reshape", facts)?;
    let quotient = made(&reshape.input[0], "Div", facts)?;
    let gather = |at: usize, axis: i64| {
        let gather = made(quotient.input.get(at)?, "Gather", facts)?;
        let is_along = crate::graph::integer(gather, "axis", 0) == axis;
        is_along.then_some((gather.input[0].as_str(), gather.input.get(1)?.as_str()))
    };
    let ((samples, places), (window, again)) = (gather(0, 1)?, gather(1, 0)?);
    (samples == data && places == again).then_some((places, window))
}

/// Whether `indices` name each place in each row: pairs of a number of a row, which count from 0, and a place.
fn is_index<'a>(indices: &'a str, places: &str, facts: &Facts<'a>) -> bool {
    let column = |value: &'a str| {
        let unsqueeze = made(value, "Unsqueeze", facts)?;
        Some(made(&unsqueeze.input[0], "Expand", facts)?.input[0].as_str())
    };
    let is_counted = |value: &'a str| {
        let range = made(unshaped(value, facts), "Range", facts)?;
        let constant = |at: usize| facts.integers(range.input.get(at)?);
        Some(constant(0)? == [0] && constant(2)? == [1])
    };
    let check = || {
        let [rows, columns] = made(indices, "Concat", facts)?.input.as_slice() else { return None };
        Some(is_counted(column(rows)?)? && column(columns)? == places)
    };
    check().unwrap_or(false)
}

/// The stored sum of which `window` is as much as the sound is long, with 1 where `places` leaves it out since it is not above a
/// stored bound.
fn window_sum<'a>(window: &'a str, sound: &str, places: &str, facts: &Facts<'a>) -> Option<Vec<f32>> {
    let greater = made(
        &made(&made(places, "Transpose", facts)?.input[0], "NonZero", facts)?.input[0],
        "Greater",
        facts,
    )?;
    let bound =
        facts.scalar(greater.input.get(1)?).filter(|&bound| bound >= 0.0 && greater.input[0] == window)?;
    let slice = made(window, "Slice", facts)?;
    let [stored, start, end, ..] = slice.input.as_slice() else { return None };
    if facts.integers(start)? != [0] || !is_length(end, sound, facts) {
        return None;
    }
    let values = tensor::to_f32(facts.tensor(stored).filter(|stored| stored.dims.len() == 1)?).ok()?;
    Some(values.into_iter().map(|value| if value > bound { value } else { 1.0 }).collect())
}

/// Whether `end` is the last number of the shape of `sound`.
fn is_length<'a>(end: &'a str, sound: &str, facts: &Facts<'a>) -> bool {
    let check = || {
        let slice = made(unshaped(end, facts), "Slice", facts)?;
        let is_last = facts.integers(slice.input.get(1)?)? == [-1];
        Some(is_last && made(&slice.input[0], "Shape", facts)?.input[0] == sound)
    };
    check().unwrap_or(false)
}
