//! The short-time Fourier transform, which the runtime computes in one thread, frame by frame.

use super::{Made, operator};
use crate::graph::{integer, integer_attribute, is};
use crate::proto::NodeProto;
use crate::rewrite::Facts;
use crate::tensor;

/// Every onesided transform of real signals whose step, window and length are constant, with the operator in its place, which
/// gives the same bits. Lengths that are a power of two stay: these the runtime transforms otherwise.
pub(super) fn find(facts: &Facts<'_>) -> Made {
    let nodes = facts.view.graph.node.iter().enumerate();
    nodes.filter_map(|(index, node)| Some((index, transform(node, facts)?))).collect()
}

fn transform(node: &NodeProto, facts: &Facts<'_>) -> Option<NodeProto> {
    let [signal, step, window, rest @ ..] = node.input.as_slice() else { return None };
    if !is(node, "STFT") || integer(node, "onesided", 1) != 1 {
        return None;
    }
    let one = |name: &str| tensor::to_i64(facts.tensor(name)?).ok()?.first().copied();
    let [length] = tensor::shape(facts.tensor(window)?)[..] else { return None };
    let is_as_long = match rest.first().filter(|name| !name.is_empty()) {
        Some(name) => usize::try_from(one(name)?).ok()? == length,
        None => true,
    };
    let is_real = matches!(facts.dims(signal)?.as_slice(), [_, _] | [_, _, Some(1)]);
    if !is_real || !is_as_long || length.is_power_of_two() {
        return None;
    }
    let mut made = operator("OnesidedSTFT", &[Some(signal), Some(window)], node.output.first()?);
    made.attribute.push(integer_attribute("frame_step", one(step).filter(|&step| step > 0)?));
    Some(made)
}
