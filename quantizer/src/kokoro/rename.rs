//! Nodes called by their modules, values by what they mean.

use std::collections::{HashMap, HashSet};

use super::{DURATIONS, ENERGY, F0};
use crate::graph::{View, is, nested_mut, own_names};
use crate::names::Names;
use crate::proto::{GraphProto, NodeProto, ValueInfoProto};

/// Calls every node by its module and operator.
pub(super) fn name_nodes(graph: &mut GraphProto, roles: &[String]) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (node, role) in graph.node.iter_mut().zip(roles) {
        let folder = if role.is_empty() { "other" } else { role };
        let name = format!("{folder}/{}", node.op_type());
        let count = counts.entry(name.clone()).or_default();
        node.name = Some(if *count == 0 { name } else { format!("{name}_{count}") });
        *count += 1;
    }
}

/// What convolutions take and make, by names that follow from theirs, so that what was measured of
/// one export of a model is said of every other.
pub(super) fn layers(graph: &GraphProto) -> Vec<(String, String)> {
    let view = View::new(graph);
    let is_kept = |name: &str| {
        let outputs = graph.output.iter().map(ValueInfoProto::name);
        outputs.chain([DURATIONS.value, F0.value, ENERGY.value]).any(|kept| kept == name)
    };
    let convolutions = graph.node.iter().filter(|node| is(node, "Conv") || is(node, "ConvTranspose"));
    let convolutions: Vec<&NodeProto> = convolutions.collect();
    let made = |node: &&NodeProto| (node.output[0].clone(), format!("{}/output", node.name()));
    let taken = |node: &&NodeProto| (node.input[0].clone(), format!("{}/input", node.name()));
    let mut seen = HashSet::new();
    let all = convolutions.iter().map(made).chain(convolutions.iter().map(taken));
    all.filter(|(old, _)| view.producer(old).is_some() && !is_kept(old) && seen.insert(old.clone())).collect()
}

/// Renames values wherever they are used. Others that have one of the new names make room.
pub(super) fn rename_values(graph: &mut GraphProto, names: &[(&str, &str)]) {
    let old: HashSet<&str> = names.iter().map(|(old, _)| *old).collect();
    let mut renamed: HashMap<String, String> = HashMap::new();
    let mut taken = Names::of(graph);
    let own: HashSet<String> = own_names(graph).into_iter().map(ToOwned::to_owned).collect();
    for (old_name, new) in names {
        if old_name == new {
            continue;
        }
        if own.contains(*new) && !old.contains(new) {
            renamed.insert((*new).to_owned(), taken.value(new));
        }
        renamed.insert((*old_name).to_owned(), (*new).to_owned());
    }
    let infos = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    for info in infos {
        if let Some(new) = info.name.as_ref().and_then(|name| renamed.get(name)) {
            info.name = Some(new.clone());
        }
    }
    for tensor in &mut graph.initializer {
        if let Some(new) = tensor.name.as_ref().and_then(|name| renamed.get(name)) {
            tensor.name = Some(new.clone());
        }
    }
    rename_used(&mut graph.node, &renamed);
}

pub(super) fn rename_used(nodes: &mut [NodeProto], renamed: &HashMap<String, String>) {
    for node in nodes {
        for name in node.input.iter_mut().chain(&mut node.output) {
            if let Some(new) = renamed.get(name) {
                name.clone_from(new);
            }
        }
        for inner in nested_mut(node) {
            // Values of its own hide those outside, which a name of an inner graph must not have anyway.
            for output in &mut inner.output {
                if let Some(new) = output.name.as_ref().and_then(|name| renamed.get(name)) {
                    output.name = Some(new.clone());
                }
            }
            rename_used(&mut inner.node, renamed);
        }
    }
}
