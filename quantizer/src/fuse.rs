//! Operators of the `kokoro-model` crate in place of chains of the runtime's own.
//!
//! Between the convolutions of a Kokoro decoder stand a norm over time with scale and bias of the voice (Huang and Belongie
//! 2017), and Snake (Ziyin et al. 2020) or `LeakyRelu`. The runtime takes each of them through memory, some in one thread, and a
//! convolution in INT8 only with scales that are constants. The crate has operators that do all of it while values are in
//! the cache, with a scale for each position in time, in the domain [`DOMAIN`]; what they compute is specified where they
//! are, in `src/kernels/operators.rs` there. Another one takes the place of the Fourier transform, for which the runtime
//! has one thread, and one that of float convolutions, for which it takes twice the multiplications.
//!
//! A model with such operators runs where they are registered, and nowhere else.

mod chain;
mod convolution;
mod quantized;
mod stft;

use std::collections::BTreeMap;

use crate::error::Result;
use crate::graph::View;
use crate::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use crate::rewrite::Facts;
use crate::{dead, order};

pub(crate) use convolution::is_convolution;

/// The domain of the operators.
pub const DOMAIN: &str = "ai.kokoro";

/// The version of the domain that has all of them.
pub const VERSION: i64 = 2;

/// Puts the operators in place of the chains that they compute, and of the Fourier transform; returns how many of each there are.
///
/// Chains whose inner values are used elsewhere stay, and so do those of which the graph does not say that they work on
/// [N, C, T].
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn fuse(graph: &mut GraphProto) -> Result<BTreeMap<String, usize>> {
    let chains = apply(graph, |facts| Ok(chain::find(facts).into()))?;
    let transforms = apply(graph, |facts| Ok(stft::find(facts).into()))?;
    Ok(chains.into_iter().chain(transforms).collect())
}

/// Puts the operator for float convolutions in their place; returns how many there are.
///
/// # Errors
/// Those of [`fuse`].
pub fn convolutions(graph: &mut GraphProto) -> Result<BTreeMap<String, usize>> {
    apply(graph, |facts| Ok(convolution::find(facts).into()))
}

/// The precision of what a convolution with INT8 weights reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationBits {
    /// INT8.
    Eight,
    /// Two planes of INT8, for twice the products.
    Sixteen,
}

/// Puts the operator for convolutions in INT8 in the place of those that are `wanted`, as far as it can do what they do, and quantizes
/// their weights; returns how many there are. What [`fuse`] put in front of them, and residuals that are added to what they make,
/// become part of it.
///
/// # Errors
/// Those of [`fuse`], and [`ErrorKind::Tensor`](crate::ErrorKind::Tensor) for weights that are not finite, or broken.
pub fn quantize(
    graph: &mut GraphProto,
    wanted: impl Fn(&NodeProto) -> Option<ActivationBits>,
) -> Result<usize> {
    let counts = apply(graph, |facts| quantized::find(facts, &wanted))?;
    Ok(counts.into_values().sum())
}

/// What takes the place of nodes, and the tensors that it needs.
type Found = quantized::Quantized;

impl From<Made> for Found {
    fn from(made: Made) -> Self {
        Self { made, tensors: Vec::new() }
    }
}

fn apply(
    graph: &mut GraphProto,
    find: impl FnOnce(&Facts<'_>) -> Result<Found>,
) -> Result<BTreeMap<String, usize>> {
    order::sort(graph)?;
    let Found { made, tensors } = {
        let view = View::new(graph);
        find(&Facts::new(&view))?
    };
    let mut counts = BTreeMap::new();
    for (index, node) in made {
        *counts.entry(node.op_type().to_owned()).or_insert(0) += 1;
        graph.node[index] = node;
    }
    graph.initializer.extend(tensors);
    dead::remove(graph);
    Ok(counts)
}

/// Declares the domain where a node of the graph is in it, as a runtime asks for.
pub fn declare(model: &mut ModelProto) {
    let is_needed = model.graph.iter().flat_map(|graph| &graph.node).any(|node| node.domain() == DOMAIN);
    let is_declared = model.opset_import.iter().any(|set| set.domain() == DOMAIN);
    if is_needed && !is_declared {
        let set = OperatorSetIdProto { domain: Some(DOMAIN.into()), version: Some(VERSION) };
        model.opset_import.push(set);
    }
}

/// What takes the place of nodes, by their position.
type Made = BTreeMap<usize, NodeProto>;

/// A node of the domain that makes `result`. Inputs that are left out at the end are not mentioned.
fn operator(op: &str, inputs: &[Option<&str>], result: &str) -> NodeProto {
    let mentioned = inputs.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let inputs: Vec<&str> = inputs[..mentioned].iter().map(|input| input.unwrap_or("")).collect();
    let mut node = crate::graph::node(op, format!("{result}/{op}"), &inputs, &[result]);
    node.domain = Some(DOMAIN.into());
    node
}
