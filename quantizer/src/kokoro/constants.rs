//! Constants made initializers.

use crate::graph::{is, outputs};
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::tensor;

/// Makes an initializer of every Constant of numbers. An exporter may write either, and an older one
/// the same tensor many times.
pub(super) fn hoist(graph: &mut GraphProto) {
    let is_output = |graph: &GraphProto, name: &str| graph.output.iter().any(|it| it.name() == name);
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        let value = outputs(&node).next().filter(|name| is(&node, "Constant") && !is_output(graph, name));
        match value.and_then(|name| constant(&node, name)) {
            Some(tensor) => graph.initializer.push(tensor),
            None => nodes.push(node),
        }
    }
    graph.node = nodes;
}

/// The tensor that a Constant holds; `None` for strings and sparse tensors.
fn constant(node: &NodeProto, name: &str) -> Option<TensorProto> {
    let attribute = node.attribute.first()?;
    Some(match attribute.name() {
        "value" => TensorProto { name: Some(name.to_owned()), ..attribute.t.clone()? },
        "value_float" => tensor::from_f32(name, &[], &[attribute.f()]),
        "value_int" => tensor::from_i64(name, &[], &[attribute.i()]),
        "value_floats" => tensor::from_f32(name, &[attribute.floats.len()], &attribute.floats),
        "value_ints" => tensor::from_i64(name, &[attribute.ints.len()], &attribute.ints),
        _ => return None,
    })
}
