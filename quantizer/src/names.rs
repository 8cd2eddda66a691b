//! Names that a model has taken, and new ones that meet none of them.

use std::collections::HashSet;

use crate::graph::{nested, outputs, sparse_names};
use crate::proto::{GraphProto, NodeProto, TensorProto};

/// The names of a graph and of all graphs within: of values and, apart from those, of nodes.
///
/// A value of an inner graph must not have the name of one outside, and a name that is only used,
/// such as one that a graph captures, is taken as well.
#[derive(Debug)]
pub struct Names {
    values: HashSet<String>,
    nodes: HashSet<String>,
}

impl Names {
    /// All names of `graph`.
    pub fn of(graph: &GraphProto) -> Self {
        let mut names = Self { values: HashSet::new(), nodes: HashSet::new() };
        names.take(graph);
        names
    }

    fn take(&mut self, graph: &GraphProto) {
        let infos = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
        self.values.extend(infos.map(|info| info.name().to_owned()));
        self.values.extend(graph.initializer.iter().map(|tensor| tensor.name().to_owned()));
        self.values.extend(sparse_names(graph).map(ToOwned::to_owned));
        for node in &graph.node {
            self.values.extend(node.input.iter().cloned());
            self.values.extend(outputs(node).map(ToOwned::to_owned));
            self.nodes.insert(node.name().to_owned());
            nested(node).for_each(|inner| self.take(inner));
        }
    }

    /// A name for a value: `wanted`, or with a number behind it where that is taken.
    pub fn value(&mut self, wanted: &str) -> String {
        fresh(&mut self.values, wanted)
    }

    /// A name for a node; see [`Names::value`].
    pub fn node(&mut self, wanted: &str) -> String {
        fresh(&mut self.nodes, wanted)
    }

    /// Gives what `nodes` and `tensors` bring in names that are not taken, and none to `kept`,
    /// which the graph has already. They must have been named without regard to the graph, each
    /// once.
    pub fn settle(&mut self, nodes: &mut [NodeProto], tensors: &mut [TensorProto], kept: &str) {
        let mut renamed: Vec<(String, String)> = Vec::new();
        let mut settle = |names: &mut Self, name: &mut String| {
            let settled = names.value(name);
            if settled != *name {
                renamed.push((std::mem::replace(name, settled.clone()), settled));
            }
        };
        for tensor in &mut *tensors {
            settle(self, tensor.name.get_or_insert_default());
        }
        for output in nodes.iter_mut().flat_map(|node| &mut node.output).filter(|output| *output != kept) {
            settle(self, output);
        }
        for input in nodes.iter_mut().flat_map(|node| &mut node.input) {
            if let Some((_, new)) = renamed.iter().find(|(old, _)| old == input) {
                input.clone_from(new);
            }
        }
        for node in nodes {
            node.name = Some(self.node(node.name()));
        }
    }
}

fn fresh(taken: &mut HashSet<String>, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{wanted}_{number}");
        number += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::node;
    use crate::proto::AttributeProto;
    use crate::tensor::from_f32;

    #[test]
    fn names_of_inner_graphs_are_taken_too() {
        let inner = GraphProto {
            node: vec![node("Add", "inner", &["captured", "x"], &["w_scale"])],
            initializer: vec![from_f32("w_int8", &[1], &[0.0])],
            ..Default::default()
        };
        let mut branch = node("If", "branch", &["c"], &["y"]);
        branch.attribute.push(AttributeProto { g: Some(inner), ..Default::default() });
        let mut names = Names::of(&GraphProto { node: vec![branch], ..Default::default() });
        assert_eq!(names.value("w_scale"), "w_scale_2");
        assert_eq!(names.value("w_scale"), "w_scale_3");
        assert_eq!(names.value("captured"), "captured_2");
        assert_eq!(names.value("w_int8"), "w_int8_2");
        assert_eq!(names.value("new"), "new");
        assert_eq!((names.node("inner"), names.node("captured")), ("inner_2".into(), "captured".into()));
    }

    #[test]
    fn what_is_brought_in_keeps_together() {
        let graph =
            GraphProto { node: vec![node("Neg", "w_Mul", &["w_cast"], &["z"])], ..Default::default() };
        let mut nodes =
            [node("Cast", "w_Cast", &["w_int8"], &["w_cast"]), node("Mul", "w_Mul", &["w_cast"], &["w"])];
        let mut tensors = [from_f32("w_int8", &[1], &[0.0])];
        Names::of(&graph).settle(&mut nodes, &mut tensors, "w");
        assert_eq!(nodes[0].output, ["w_cast_2"]);
        assert_eq!((nodes[1].input[0].as_str(), nodes[1].output[0].as_str()), ("w_cast_2", "w"));
        assert_eq!((nodes[0].name(), nodes[1].name(), tensors[0].name()), ("w_Cast", "w_Mul_2", "w_int8"));
    }
}
