//! A stable topological order of the nodes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{View, describe, used_names};
use crate::proto::{GraphProto, NodeProto};

/// Puts every node behind the nodes that make its inputs. Among the nodes that are ready, the one that
/// stood first stays first (Kahn 1962, with a priority queue), so an ordered graph is left as it is.
///
/// # Errors
/// [`ErrorKind::Graph`] for a cycle; the message walks through it.
pub fn sort(graph: &mut GraphProto) -> Result<()> {
    let order = order(graph)?;
    let mut nodes: Vec<Option<NodeProto>> = std::mem::take(&mut graph.node).into_iter().map(Some).collect();
    graph.node = order.into_iter().filter_map(|index| nodes[index].take()).collect();
    Ok(())
}

/// The positions of the nodes in the order in which they can run.
///
/// # Errors
/// As [`sort`].
pub fn order(graph: &GraphProto) -> Result<Vec<usize>> {
    let view = View::new(graph);
    let mut waits_for = vec![0usize; graph.node.len()];
    let mut followers = vec![Vec::new(); graph.node.len()];
    for (index, node) in graph.node.iter().enumerate() {
        for input in used_names(node) {
            if let Some(producer) = view.producer_index(input) {
                followers[producer].push(index);
                waits_for[index] += 1;
            }
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..graph.node.len()).filter(|&index| waits_for[index] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(graph.node.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for &follower in &followers[index] {
            waits_for[follower] -= 1;
            if waits_for[follower] == 0 {
                ready.push(Reverse(follower));
            }
        }
    }
    if order.len() < graph.node.len() {
        return Err(cycle(graph, &view, &waits_for));
    }
    Ok(order)
}

/// Names one cycle: from a node that is stuck, walk back along inputs that are stuck until a node repeats.
fn cycle(graph: &GraphProto, view: &View<'_>, waits_for: &[usize]) -> Error {
    let mut path = vec![waits_for.iter().position(|&count| count > 0).expect("called with a stuck node")];
    loop {
        let last = *path.last().expect("the path starts with a node");
        let stuck = used_names(&graph.node[last])
            .into_iter()
            .filter_map(|input| view.producer_index(input))
            .find(|&producer| waits_for[producer] > 0)
            .expect("a stuck node waits for a stuck node");
        if let Some(start) = path.iter().position(|&index| index == stuck) {
            let names: Vec<String> =
                path[start..].iter().rev().take(8).map(|&index| describe(&graph.node[index])).collect();
            return Error::new(
                ErrorKind::Graph,
                format!(
                    "expected an acyclic graph, found a cycle of {}: {}",
                    path.len() - start,
                    names.join(" → ")
                ),
            );
        }
        path.push(stuck);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::node;

    fn names(graph: &GraphProto) -> Vec<&str> {
        graph.node.iter().map(NodeProto::name).collect()
    }

    #[test]
    fn an_ordered_graph_stays_and_a_shuffled_one_is_ordered() {
        let a = node("Neg", "a", &["x"], &["1"]);
        let b = node("Neg", "b", &["x"], &["2"]);
        let c = node("Add", "c", &["1", "2"], &["3"]);
        let mut ordered = GraphProto { node: vec![b.clone(), a.clone(), c.clone()], ..Default::default() };
        sort(&mut ordered).unwrap();
        assert_eq!(names(&ordered), ["b", "a", "c"]);
        let mut shuffled = GraphProto { node: vec![c, a, b], ..Default::default() };
        sort(&mut shuffled).unwrap();
        assert_eq!(names(&shuffled), ["a", "b", "c"]);
    }

    #[test]
    fn a_cycle_is_named() {
        let nodes = vec![
            node("Neg", "in", &["x"], &["0"]),
            node("Add", "p", &["0", "r"], &["q"]),
            node("Neg", "s", &["q"], &["r"]),
        ];
        let error = sort(&mut GraphProto { node: nodes, ..Default::default() }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Graph);
        assert!(error.to_string().contains("cycle of 2: node `s` (Neg) → node `p` (Add)"), "{error}");
    }
}
