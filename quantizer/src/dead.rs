//! Removes what no output needs: nodes, initializers, shape notes of values that are gone.

use std::collections::HashSet;

use crate::graph::{View, outputs, sparse_names, used_names};
use crate::proto::{GraphProto, TensorProto};

/// Removes nodes whose outputs nothing uses, then unused initializers and `value_info` entries.
///
/// An initializer with the name of an input stays: it is what makes that input optional.
pub fn remove(graph: &mut GraphProto) {
    let view = View::new(graph);
    let mut alive = vec![false; graph.node.len()];
    let mut wanted: Vec<&str> = graph.output.iter().map(super::proto::ValueInfoProto::name).collect();
    while let Some(value) = wanted.pop() {
        if let Some(index) = view.producer_index(value)
            && !std::mem::replace(&mut alive[index], true)
        {
            wanted.extend(used_names(&graph.node[index]));
        }
    }
    let mut alive = alive.into_iter();
    graph.node.retain(|_| alive.next().unwrap_or(false));

    let mut used: HashSet<&str> = graph.node.iter().flat_map(used_names).collect();
    used.extend(graph.output.iter().chain(&graph.input).map(super::proto::ValueInfoProto::name));
    graph.initializer.retain(|tensor| used.contains(tensor.name()));

    let made: HashSet<&str> = graph.node.iter().flat_map(outputs).collect();
    let stored: HashSet<&str> = graph.initializer.iter().map(TensorProto::name).collect();
    let sparse: HashSet<String> = sparse_names(graph).map(ToOwned::to_owned).collect();
    graph.value_info.retain(|value| {
        made.contains(value.name()) || stored.contains(value.name()) || sparse.contains(value.name())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::node;
    use crate::proto::{AttributeProto, ValueInfoProto};

    #[test]
    fn only_what_an_output_needs_survives() {
        let value = |name: &str| ValueInfoProto { name: Some(name.into()), ..Default::default() };
        let tensor = |name: &str| TensorProto { name: Some(name.into()), ..Default::default() };
        let mut branch = node("If", "branch", &["condition"], &["y"]);
        branch.attribute.push(AttributeProto {
            g: Some(GraphProto {
                node: vec![node("Add", "inner", &["captured", "x"], &["result"])],
                output: vec![value("result")],
                ..Default::default()
            }),
            ..Default::default()
        });
        let mut graph = GraphProto {
            node: vec![
                node("Neg", "kept", &["x"], &["captured"]),
                node("Neg", "dead", &["x"], &["a"]),
                node("Mul", "dead too", &["a", "w"], &["b"]),
                branch,
            ],
            output: vec![value("y")],
            input: vec![value("x"), value("scale")],
            initializer: vec![tensor("w"), tensor("condition"), tensor("scale")],
            value_info: vec![value("a"), value("captured")],
            ..Default::default()
        };
        remove(&mut graph);
        assert_eq!(
            graph.node.iter().map(super::super::proto::NodeProto::name).collect::<Vec<_>>(),
            ["kept", "branch"]
        );
        assert_eq!(
            graph.initializer,
            [tensor("condition"), tensor("scale")],
            "the default of an input stays"
        );
        assert_eq!(graph.value_info, [value("captured")]);
    }
}
