//! Counts: which operators a graph has, and how many bytes it stores in which precision.

use std::collections::BTreeMap;

use crate::proto::{GraphProto, tensor_proto::DataType};
use crate::tensor;

/// Nodes per operator, sub-graphs included, named `Conv` or `com.microsoft.FusedMatMul`.
pub fn operators(graph: &GraphProto) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    count_operators(graph, &mut counts);
    counts
}

fn count_operators(graph: &GraphProto, counts: &mut BTreeMap<String, usize>) {
    for node in &graph.node {
        let name = match node.domain() {
            "" | "ai.onnx" => node.op_type().to_string(),
            domain => format!("{domain}.{}", node.op_type()),
        };
        *counts.entry(name).or_default() += 1;
        for attribute in &node.attribute {
            for graph in attribute.g.iter().chain(&attribute.graphs) {
                count_operators(graph, counts);
            }
        }
    }
}

/// Initializers of one element type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// How many initializers.
    pub tensors: usize,
    /// Their payload in bytes.
    pub bytes: usize,
}

/// Initializers per element type, by the names of [`element_name`].
pub fn precisions(graph: &GraphProto) -> BTreeMap<String, Stored> {
    let mut counts: BTreeMap<String, Stored> = BTreeMap::new();
    for initializer in &graph.initializer {
        let stored = counts.entry(element_name(tensor::element_type(initializer))).or_default();
        stored.tensors += 1;
        stored.bytes += tensor::stored_bytes(initializer);
    }
    counts
}

/// The name of an element type in lower case, with its width: `float32`, `float16`, `int64`, `bool`, …
pub fn element_name(element: DataType) -> String {
    match element {
        DataType::Float => "float32".into(),
        DataType::Double => "float64".into(),
        other => other.as_str_name().to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::node;
    use crate::proto::AttributeProto;

    #[test]
    fn operators_are_counted_by_domain_and_inside_sub_graphs() {
        let mut branch = node("If", "", &["c"], &["y"]);
        branch.attribute.push(AttributeProto {
            g: Some(GraphProto { node: vec![node("Conv", "", &["x"], &["z"])], ..Default::default() }),
            ..Default::default()
        });
        let mut fused = node("FusedMatMul", "", &["a", "b"], &["c"]);
        fused.domain = Some("com.microsoft".into());
        let graph = GraphProto {
            node: vec![node("Conv", "", &["x"], &["a"]), fused, branch],
            initializer: vec![tensor::from_i8("q", &[3], &[1, 2, 3]), tensor::from_f32("w", &[2], &[0.0; 2])],
            ..Default::default()
        };
        let counts: Vec<_> = operators(&graph).into_iter().collect();
        assert_eq!(counts, [("Conv".into(), 2), ("If".into(), 1), ("com.microsoft.FusedMatMul".into(), 1)]);
        assert_eq!(precisions(&graph)["int8"], Stored { tensors: 1, bytes: 3 });
        assert_eq!(precisions(&graph)["float32"], Stored { tensors: 1, bytes: 8 });
    }
}
