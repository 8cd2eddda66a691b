//! Letting the users of one value use another.

use std::collections::{HashMap, HashSet};

use crate::graph::outputs;
use crate::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};

/// Which value to use in place of another.
#[derive(Default)]
pub struct Redirections {
    to: HashMap<String, String>,
}

impl Redirections {
    /// Uses `to` in place of `from`, or what is used in place of `to` already.
    pub fn add(&mut self, from: &str, to: &str) {
        let to = self.of(to).to_owned();
        self.to.insert(from.to_owned(), to);
    }

    /// What is used in place of `value`: the value itself where nothing else is.
    pub fn of<'a>(&'a self, value: &'a str) -> &'a str {
        self.to.get(value).map_or(value, String::as_str)
    }

    /// How many values are replaced.
    pub fn len(&self) -> usize {
        self.to.len()
    }

    /// Rewrites the inputs of all nodes, also what sub-graphs capture from outside. Graph outputs stay.
    pub fn apply(&self, graph: &mut GraphProto) {
        if !self.to.is_empty() {
            self.rename(&mut graph.node, &HashSet::new());
        }
    }

    fn rename(&self, nodes: &mut [NodeProto], hidden: &HashSet<String>) {
        let new = |name: &str| match self.to.get(name) {
            Some(to) if !hidden.contains(name) => Some(to.clone()),
            _ => None,
        };
        for node in nodes {
            for input in &mut node.input {
                if let Some(to) = new(input) {
                    *input = to;
                }
            }
            for graph in node.attribute.iter_mut().flat_map(|it| it.g.iter_mut().chain(&mut it.graphs)) {
                let mut hidden = hidden.clone();
                hidden.extend(own(graph));
                self.rename(&mut graph.node, &hidden);
                for output in graph.output.iter_mut().filter(|output| !hidden.contains(output.name())) {
                    if let Some(to) = self.to.get(output.name()) {
                        output.name = Some(to.clone());
                    }
                }
            }
        }
    }
}

/// The names that a sub-graph gives itself: inside of it they hide those of the graph outside.
fn own(graph: &GraphProto) -> Vec<String> {
    let inputs = graph.input.iter().map(ValueInfoProto::name);
    let stored = graph.initializer.iter().map(TensorProto::name);
    let made = graph.node.iter().flat_map(outputs);
    inputs.chain(stored).chain(made).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::node;
    use crate::proto::AttributeProto;

    #[test]
    fn sub_graphs_follow_but_for_names_of_their_own() {
        let value = |name: &str| ValueInfoProto { name: Some(name.into()), ..Default::default() };
        let with = |name: &str, graph: GraphProto| {
            let mut node = node("If", name, &["a"], &[name]);
            node.attribute.push(AttributeProto { g: Some(graph), ..Default::default() });
            node
        };
        let follows = GraphProto {
            node: vec![node("Neg", "n", &["a"], &["inner"])],
            output: vec![value("inner"), value("a")],
            ..Default::default()
        };
        let hides = GraphProto { input: vec![value("a")], ..follows.clone() };
        let mut graph =
            GraphProto { node: vec![with("1", follows), with("2", hides.clone())], ..Default::default() };
        let mut redirections = Redirections::default();
        redirections.add("b", "c");
        redirections.add("a", "b");
        redirections.apply(&mut graph);
        assert_eq!(graph.node[0].input, ["c"]);
        let inside = graph.node[0].attribute[0].g.as_ref().unwrap();
        assert_eq!(inside.node[0].input, ["c"]);
        assert_eq!(inside.output, [value("inner"), value("c")]);
        assert_eq!(graph.node[1].attribute[0].g.as_ref().unwrap(), &hides);
    }
}
