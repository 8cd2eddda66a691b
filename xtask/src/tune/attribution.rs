//! Which convolution a node works for.
//!
//! Most of what stands in front of a convolution exists for it alone: a norm, a Sin, a handful of small operators. What
//! such nodes cost is a part of what the convolution costs, so that whatever replaces them together is seen to save it.

use std::collections::{BTreeMap, HashMap, HashSet};

use quantizer::graph::{View, is, outputs, used_names};
use quantizer::proto::{GraphProto, NodeProto};
use quantizer::schemes::EDGES;

/// Times of a graph's nodes, by the convolution that they work for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attribution {
    /// By the name of the convolution.
    pub convolutions: BTreeMap<String, f64>,
    /// Of nodes that work for several or for none, and of what the runtime put in and the graph does not have.
    pub shared: f64,
}

/// Where everything that a node makes leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leads {
    /// Nowhere.
    Nowhere,
    /// To this node, a convolution, before it leads to any other one.
    To(usize),
    /// To several convolutions, or out of the graph.
    Apart,
}

impl Leads {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nowhere, leads) | (leads, Self::Nowhere) => leads,
            (a, b) if a == b => a,
            _ => Self::Apart,
        }
    }
}

/// Sums `times`, by the names of nodes, over the nodes of each convolution: itself, all that leads to it and to no other
/// convolution on the way, and the `DequantizeLinear` that is there because it computes in INT8. One that computes the edges of
/// another works for that one.
///
/// The graph must be sorted.
pub fn attribute(graph: &GraphProto, times: &BTreeMap<String, f64>) -> Attribution {
    let view = View::new(graph);
    let ends: HashSet<&str> = graph.output.iter().map(quantizer::proto::ValueInfoProto::name).collect();
    let places: HashMap<*const NodeProto, usize> =
        graph.node.iter().enumerate().map(|(index, node)| (std::ptr::from_ref(node), index)).collect();
    let named: HashMap<&str, usize> =
        graph.node.iter().enumerate().map(|(index, node)| (node.name(), index)).collect();
    let mut leads = vec![Leads::Nowhere; graph.node.len()];
    for (index, node) in graph.node.iter().enumerate().rev() {
        leads[index] = if is_convolution(node) {
            let whole = node.name().strip_suffix(EDGES).and_then(|name| named.get(name));
            Leads::To(whole.copied().unwrap_or(index))
        } else if outputs(node).any(|output| ends.contains(output)) {
            Leads::Apart
        } else {
            let users = outputs(node).flat_map(|output| view.consumers(output));
            users.map(|user| leads[places[&std::ptr::from_ref(user)]]).fold(Leads::Nowhere, Leads::and)
        };
    }
    let mut attribution = Attribution::default();
    let mut rest: f64 = times.values().sum();
    for (index, node) in graph.node.iter().enumerate() {
        let own = behind(node, &view).map_or(leads[index], Leads::To);
        let (Leads::To(convolution), Some(time)) = (own, times.get(node.name())) else { continue };
        let name = graph.node[convolution].name().to_owned();
        *attribution.convolutions.entry(name).or_default() += time;
        rest -= time;
    }
    attribution.shared = rest.max(0.0);
    attribution
}

fn is_convolution(node: &NodeProto) -> bool {
    is(node, "Conv") || is(node, "QLinearConv")
}

/// The INT8 convolution whose output a `DequantizeLinear` turns back into floats, or whose edges come into these.
fn behind(node: &NodeProto, view: &View<'_>) -> Option<usize> {
    if is(node, "ScatterElements") {
        return behind(view.producer(node.input.first()?).filter(|node| is(node, "DequantizeLinear"))?, view);
    }
    let input = node.input.first().filter(|_| is(node, "DequantizeLinear"))?;
    let convolution = view.producer(input).filter(|node| is(node, "QLinearConv"))?;
    view.producer_index(convolution.output.first()?)
}

/// The names of the nodes that `value` depends on; none where no node makes it.
pub fn before<'a>(graph: &'a GraphProto, value: &'a str) -> HashSet<&'a str> {
    let view = View::new(graph);
    let (mut seen, mut names) = (HashSet::new(), HashSet::new());
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        let Some(index) = view.producer_index(value).filter(|index| seen.insert(*index)) else { continue };
        let node = &graph.node[index];
        names.insert(node.name());
        pending.extend(used_names(node));
    }
    names
}

#[cfg(test)]
mod tests {
    use quantizer::graph::node;
    use quantizer::proto::ValueInfoProto;

    use super::*;

    fn value(name: &str) -> ValueInfoProto {
        ValueInfoProto { name: Some(name.into()), ..Default::default() }
    }

    /// A residual block: `x → norm → sin → first → square → second → + x → y`, with `second` as it is in INT8 or not.
    fn residual(int8: bool) -> GraphProto {
        let mut nodes = vec![
            node("Identity", "enter", &["input"], &["x"]),
            node("InstanceNormalization", "norm", &["x", "s", "b"], &["normed"]),
            node("Sin", "sin", &["normed"], &["waved"]),
            node("Conv", "first", &["waved", "w"], &["mixed"]),
            node("Mul", "square", &["mixed", "mixed"], &["squared"]),
        ];
        if int8 {
            nodes.extend([
                node("QuantizeLinear", "quantize", &["squared", "scale"], &["levels"]),
                node("QLinearConv", "second", &["levels", "w8"], &["product"]),
                node("DequantizeLinear", "dequantize", &["product", "scale"], &["out"]),
            ]);
        } else {
            nodes.push(node("Conv", "second", &["squared", "w"], &["out"]));
        }
        nodes.push(node("Add", "residual", &["out", "x"], &["y"]));
        GraphProto {
            node: nodes,
            input: vec![value("input")],
            output: vec![value("y")],
            ..Default::default()
        }
    }

    fn times(times: &[(&str, f64)]) -> BTreeMap<String, f64> {
        times.iter().map(|(name, time)| ((*name).to_owned(), *time)).collect()
    }

    #[test]
    fn what_leads_to_one_convolution_only_counts_for_it() {
        let all = times(&[
            ("enter", 1.0),
            ("norm", 2.0),
            ("sin", 4.0),
            ("first", 8.0),
            ("square", 16.0),
            ("second", 32.0),
            ("residual", 64.0),
            ("of the runtime's own", 128.0),
        ]);
        let found = attribute(&residual(false), &all);
        assert_eq!(found.convolutions, times(&[("first", 14.0), ("second", 48.0)]));
        // What enters goes to the first convolution and around it; the sum leaves the graph.
        assert_eq!(found.shared, 193.0);
    }

    #[test]
    fn what_makes_it_int8_counts_for_it_on_both_sides() {
        let all = times(&[
            ("sin", 1.0),
            ("quantize", 2.0),
            ("second", 4.0),
            ("dequantize", 8.0),
            ("residual", 16.0),
        ]);
        let found = attribute(&residual(true), &all);
        assert_eq!(found.convolutions, times(&[("first", 1.0), ("second", 14.0)]));
        assert_eq!(found.shared, 16.0);
    }

    #[test]
    fn what_computes_edges_works_for_the_whole() {
        let mut graph = residual(true);
        graph.node.splice(
            5..,
            [
                node("QuantizeLinear", "quantize", &["squared", "scale"], &["levels"]),
                node("Slice", "slice", &["squared"], &["window"]),
                node("QuantizeLinear", "quantize/edges", &["window", "scale"], &["coarse"]),
                node("QLinearConv", "second/edges", &["coarse", "w8"], &["edges"]),
                node("QLinearConv", "second", &["levels", "w8"], &["product"]),
                node("DequantizeLinear", "dequantize", &["product", "scale"], &["body"]),
                node("ScatterElements", "scatter", &["body", "places", "edges"], &["out"]),
                node("Add", "residual", &["out", "x"], &["y"]),
            ],
        );
        let all = times(&[
            ("square", 1.0),
            ("slice", 2.0),
            ("second/edges", 4.0),
            ("second", 8.0),
            ("scatter", 16.0),
            ("residual", 32.0),
        ]);
        let found = attribute(&graph, &all);
        assert_eq!((found.convolutions, found.shared), (times(&[("second", 31.0)]), 32.0));
    }

    #[test]
    fn a_node_that_leads_nowhere_counts_for_none() {
        let mut graph = residual(false);
        graph.node.push(node("Sin", "dead", &["mixed"], &["unread"]));
        let found = attribute(&graph, &times(&[("dead", 1.0), ("square", 2.0)]));
        assert_eq!((found.convolutions, found.shared), (times(&[("second", 2.0)]), 1.0));
    }

    #[test]
    fn what_a_value_depends_on() {
        let graph = residual(false);
        assert_eq!(before(&graph, "squared"), ["enter", "norm", "sin", "first", "square"].into());
        assert_eq!(before(&graph, "input"), [].into());
    }
}
