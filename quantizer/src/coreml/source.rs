//! The signal that a short-time Fourier transform is of: all that makes it stays on the CPU.
//!
//! The phases of the transform's bins are what a generator reads, and where a bin holds little they are those of the rounding
//! of the signal. A provider that computes one tanh of it to another last bit is as far from the CPU as INT8 weights are.

use std::collections::BTreeSet;

use super::edit::{Draft, MOST_DIMENSIONS, integers_attribute, position, replace, text};
use crate::error::Result;
use crate::graph::{View, attribute, is};
use crate::proto::{GraphProto, NodeProto};
use crate::rewrite::Facts;

/// One more than the provider takes.
const DIMENSIONS: usize = MOST_DIMENSIONS + 1;

/// Operators that do the same whatever dimensions of 1 stand in front.
const PLAIN: [&str; 11] =
    ["Add", "Sub", "Mul", "Div", "Tanh", "Sin", "Cos", "Floor", "Greater", "Less", "Cast"];

/// Puts dimensions of 1 in front of what makes the signal of an STFT, back to where something else than arithmetic made it,
/// such as a convolution: six of them, and the provider takes at most five. Returns how many nodes compute in these now.
/// Nothing else is changed, so the bits are the same.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn source(graph: &mut GraphProto) -> Result<usize> {
    let source = values(graph);
    replace(graph, |node, draft| {
        let output = node.output.first().filter(|&output| source.contains(output))?;
        let added = missing(&node.input[0], draft.facts)?;
        let mut raised = node.clone();
        for input in raised.input.iter_mut().take(operands(node)) {
            *input = raise(input, &source, draft)?;
        }
        match node.op_type() {
            "Squeeze" => {
                let gone = squeezed(node, draft.facts)?.into_iter().map(|axis| (axis + added) as i64);
                raised.input[1] = draft.integers(&front(added).chain(gone).collect::<Vec<_>>());
                draft.finish_with(raised);
                return Some(());
            }
            "Pad" => {
                let pads = draft.facts.integers(&node.input[1])?;
                let (before, behind) = pads.split_at(pads.len() / 2);
                let zeros = vec![0; added];
                raised.input[1] = draft.integers(&[&zeros, before, &zeros, behind].concat());
            }
            "Transpose" => {
                let order = attribute(node, "perm")?.ints.iter().map(|axis| axis + added as i64);
                let order: Vec<i64> = front(added).chain(order).collect();
                raised.attribute = vec![integers_attribute("perm", &order)];
            }
            _ => {}
        }
        raised.name = Some(name(output));
        raised.output = vec![name(output)];
        draft.push(raised);
        let dropped = draft.integers(&front(missing(output, draft.facts)?).collect::<Vec<_>>());
        draft.finish("Squeeze", &[&name(output), &dropped]);
        Some(())
    })
}

/// What a value is called in six dimensions.
fn name(value: &str) -> String {
    format!("{value}/raised")
}

/// How many dimensions a value is short of six.
fn missing(value: &str, facts: &Facts<'_>) -> Option<usize> {
    DIMENSIONS.checked_sub(facts.dims(value)?.len())
}

/// The first so many axes.
fn front(count: usize) -> impl Iterator<Item = i64> {
    0..count as i64
}

/// A value in six dimensions; a stored one stays as it is, since dimensions count from the last.
fn raise(value: &str, source: &BTreeSet<String>, draft: &mut Draft<'_, '_>) -> Option<String> {
    if draft.facts.tensor(value).is_some() {
        return Some(value.to_owned());
    }
    let producer = draft.facts.view.producer(value);
    if source.contains(value) && producer.is_some_and(|node| !is(node, "Squeeze")) {
        return Some(name(value));
    }
    let axes = draft.integers(&front(missing(value, draft.facts)?).collect::<Vec<_>>());
    Some(draft.make("Unsqueeze", &[value, &axes]))
}

/// How many of the inputs are what is computed with.
fn operands(node: &NodeProto) -> usize {
    match node.op_type() {
        "Squeeze" | "Pad" | "Transpose" => 1,
        _ => node.input.len(),
    }
}

/// The values that signals of transforms are made of, but for those of operators that the provider leaves anyway.
fn values(graph: &GraphProto) -> BTreeSet<String> {
    let view = View::new(graph);
    let facts = Facts::new(&view);
    let transforms = graph.node.iter().filter(|node| is(node, "STFT"));
    let mut todo: Vec<&str> = transforms.filter_map(|node| Some(node.input.first()?.as_str())).collect();
    let (mut seen, mut found) = (BTreeSet::new(), BTreeSet::new());
    while let Some(value) = todo.pop() {
        let Some(producer) = view.producer(value).filter(|_| seen.insert(value)) else { continue };
        let is_plain = can_be_raised(producer, &facts);
        if is_plain {
            found.insert(value.to_owned());
        }
        // The provider takes neither, of a length that is not fixed.
        let is_left =
            is(producer, "CumSum") || is(producer, "Resize") && text(producer, "mode", "nearest") == "linear";
        if is_plain || is_left {
            todo.extend(producer.input.iter().take(operands(producer)).map(String::as_str));
        }
    }
    found
}

/// Whether a node does the same with more dimensions, and has fewer.
fn can_be_raised(node: &NodeProto, facts: &Facts<'_>) -> bool {
    let rank = |value: &String| facts.dims(value).map(|dims| dims.len());
    let [output] = node.output.as_slice() else { return false };
    let has_fewer = |value| rank(value).is_some_and(|rank| rank < DIMENSIONS);
    if !node.input.iter().take(operands(node)).chain([output]).all(has_fewer) {
        return false;
    }
    match node.op_type() {
        "Transpose" => is(node, "Transpose") && attribute(node, "perm").is_some(),
        "Squeeze" => is(node, "Squeeze") && squeezed(node, facts).is_some(),
        "Pad" => {
            let pads = node.input.get(1).and_then(|pads| facts.integers(pads));
            is(node, "Pad")
                && node.input.len() <= 3
                && pads.map(|pads| pads.len() / 2) == rank(&node.input[0])
        }
        "MatMul" => {
            is(node, "MatMul") && rank(&node.input[1]) == Some(2) && facts.tensor(&node.input[1]).is_some()
        }
        op => PLAIN.contains(&op) && is(node, op),
    }
}

/// The axes that a Squeeze takes away, from the front.
fn squeezed(node: &NodeProto, facts: &Facts<'_>) -> Option<Vec<usize>> {
    let rank = facts.dims(&node.input[0])?.len();
    let axes = facts.integers(node.input.get(1)?)?;
    axes.into_iter().map(|axis| position(axis, rank)).collect()
}
