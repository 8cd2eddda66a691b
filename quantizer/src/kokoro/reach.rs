//! Which nodes need which values.

use std::collections::HashSet;

use crate::graph::{View, is, outputs, used_names};
use crate::proto::NodeProto;

/// A flag for every node of a graph.
pub(super) type Nodes = Vec<bool>;

/// The nodes that need one of the values `from`, directly or not, but for what they know of it by
/// its shape alone or through one of the values `cut`. Nodes stand behind what makes their inputs.
pub(super) fn behind(view: &View<'_>, from: &[&str], cut: &[&str]) -> Nodes {
    let mut reached: HashSet<&str> = from.iter().copied().collect();
    let needs = |node: &NodeProto, reached: &HashSet<&str>| {
        !is(node, "Shape") && !is(node, "Size") && used_names(node).iter().any(|it| reached.contains(it))
    };
    let mut found = Vec::with_capacity(view.graph.node.len());
    for node in &view.graph.node {
        let is_behind = needs(node, &reached);
        if is_behind {
            reached.extend(outputs(node).filter(|output| !cut.contains(output)));
        }
        found.push(is_behind);
    }
    found
}

/// The nodes that the values `from` need, directly or not, but for those in front of `cut`.
pub(super) fn in_front(view: &View<'_>, from: &[&str], cut: &[&str]) -> Nodes {
    let mut found = vec![false; view.graph.node.len()];
    let mut next = from.to_vec();
    while let Some(value) = next.pop() {
        if let Some(index) = view.producer_index(value)
            && !cut.contains(&value)
            && !std::mem::replace(&mut found[index], true)
        {
            next.extend(used_names(&view.graph.node[index]));
        }
    }
    found
}
