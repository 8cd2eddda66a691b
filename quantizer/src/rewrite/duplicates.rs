//! The same computed twice, the same stored twice.

use std::collections::HashMap;

use prost::Message;

use super::redirect::Redirections;
use crate::error::Result;
use crate::graph::outputs;
use crate::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::{dead, order, tensor};

/// Merges nodes of the default ONNX domain that have the same operator, attributes and inputs, and initializers of the
/// same type, shape and payload. The first one stays. Returns how many nodes and initializers went.
///
/// Left as they are: operators that draw random numbers, nodes with sub-graphs, results that the graph gives to the
/// caller, initializers that the caller may replace or that lie in another file.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn common_subexpressions(graph: &mut GraphProto) -> Result<usize> {
    order::sort(graph)?;
    let stored = common_tensors(graph);
    let computed = merge_nodes(graph);
    if stored + computed > 0 {
        dead::remove(graph);
    }
    Ok(stored + computed)
}

/// Stores initializers of the same type, shape and payload once, but for those that
/// [`common_subexpressions`] leaves. Returns how many nothing needs any more; they stay until
/// [`dead::remove`].
pub fn common_tensors(graph: &mut GraphProto) -> usize {
    let mut redirections = Redirections::default();
    {
        let mut alike: HashMap<(i32, &[i64], usize), Vec<&TensorProto>> = HashMap::new();
        for tensor in graph.initializer.iter().filter(|tensor| !tensor::is_external(tensor)) {
            let is_named = |value: &ValueInfoProto| value.name() == tensor.name();
            if graph.input.iter().chain(&graph.output).any(is_named) {
                continue;
            }
            let key = (tensor.data_type(), tensor.dims.as_slice(), tensor::stored_bytes(tensor));
            let known = alike.entry(key).or_default();
            match known.iter().find(|known| have_equal_payloads(known, tensor)) {
                Some(known) => redirections.add(tensor.name(), known.name()),
                None => known.push(tensor),
            }
        }
    }
    redirections.apply(graph);
    redirections.len()
}

/// Whether two tensors of one type and shape are equal but for their names and notes. Floats count by their bits.
fn have_equal_payloads(a: &TensorProto, b: &TensorProto) -> bool {
    if a.raw_data.is_some() || b.raw_data.is_some() {
        return a.raw_data == b.raw_data;
    }
    let payload = |tensor: &TensorProto| {
        let notes =
            TensorProto { name: None, doc_string: None, metadata_props: Vec::new(), ..tensor.clone() };
        notes.encode_to_vec()
    };
    payload(a) == payload(b)
}

fn merge_nodes(graph: &mut GraphProto) -> usize {
    let mut redirections = Redirections::default();
    let mut count = 0;
    {
        let mut known: HashMap<Vec<u8>, &NodeProto> = HashMap::new();
        for node in graph.node.iter().filter(|node| is_mergeable(node)) {
            let first = *known.entry(key(node, &redirections)).or_insert(node);
            let is_output = |name: &str| graph.output.iter().any(|output| output.name() == name);
            if std::ptr::eq(first, node) || outputs(node).any(is_output) {
                continue;
            }
            for (output, same) in node.output.iter().zip(&first.output).filter(|(name, _)| !name.is_empty()) {
                redirections.add(output, same);
            }
            count += 1;
        }
    }
    redirections.apply(graph);
    count
}

fn is_mergeable(node: &NodeProto) -> bool {
    let is_random = matches!(
        node.op_type(),
        "Bernoulli"
            | "Dropout"
            | "Multinomial"
            | "RandomNormal"
            | "RandomNormalLike"
            | "RandomUniform"
            | "RandomUniformLike"
    );
    let is_plain = node.attribute.iter().all(|it| it.g.is_none() && it.graphs.is_empty());
    matches!(node.domain(), "" | "ai.onnx") && !is_random && is_plain && outputs(node).next().is_some()
}

/// What two nodes share that compute the same, as bytes: floats in attributes then count by their bits.
fn key(node: &NodeProto, redirections: &Redirections) -> Vec<u8> {
    let mut attribute = node.attribute.clone();
    attribute.sort_by(|a, b| a.name().cmp(b.name()));
    for attribute in &mut attribute {
        attribute.doc_string = None;
    }
    let shown = |name: &String| String::from(if name.is_empty() { "" } else { "made" });
    let key = NodeProto {
        op_type: node.op_type.clone(),
        overload: node.overload.clone(),
        attribute,
        input: node.input.iter().map(|input| redirections.of(input).to_owned()).collect(),
        output: node.output.iter().map(shown).collect(),
        ..Default::default()
    };
    key.encode_to_vec()
}
