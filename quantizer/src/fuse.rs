//! Operators of the `kokoro-model` crate in place of chains of the runtime's own.
//!
//! Between the convolutions of a Kokoro decoder stand a norm over time with scale and bias of the voice (Huang and Belongie
//! 2017), Snake (Ziyin et al. 2020) or `LeakyRelu`, and in front of a convolution in INT8 the quantization, behind it the
//! dequantization. The runtime takes each of them through memory, some in one thread. The crate has operators that do all of
//! it while a channel is in the cache, in the domain [`DOMAIN`]; what they compute is specified where they are, in
//! `src/kernels/operators.rs` there. Another one takes the place of the Fourier transform, for which the runtime has one thread, and one that
//! of float convolutions, for which it takes twice the multiplications.
//!
//! Where both ends of time are [computed apart](Ends), the operators read them as they are, and give what is wanted of theirs.
//!
//! A model with such operators runs where they are registered, and nowhere else.

mod chain;
mod convolution;
mod residual;
mod stft;

use std::collections::{BTreeMap, HashSet};

use crate::error::Result;
use crate::graph::{View, float_attribute, integer_attribute};
use crate::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use crate::rewrite::Facts;
use crate::{dead, order};

pub(crate) use convolution::is_convolution;

/// The domain of the operators.
pub const DOMAIN: &str = "ai.kokoro";

/// The version of the domain that has all of them.
pub const VERSION: i64 = 1;

/// What a graph computes apart for both ends of time: windows of the first and of the last positions of [N, C, T], uint8
/// [2 · N, C, …], whose steps are so many times as large as those of the levels of all of time, with the same zero points.
#[derive(Debug, Default)]
pub struct Ends {
    /// What there is of values, by the float that it becomes.
    pub given: BTreeMap<String, GivenEnds>,
    /// What is asked for, by the float that is to be brought to levels.
    pub wanted: BTreeMap<String, WantedEnds>,
}

/// A value in levels, and its ends.
#[derive(Debug)]
pub struct GivenEnds {
    /// The levels of all of time, their scale and their zero point.
    pub levels: [String; 3],
    /// The windows.
    pub windows: String,
    /// How many positions of an end the windows stand for.
    pub positions: usize,
    /// How many times as large as those of the levels their steps are.
    pub times: f32,
}

/// Ends of a value that is a float.
#[derive(Debug)]
pub struct WantedEnds {
    /// The windows.
    pub windows: String,
    /// How many positions an end has there.
    pub width: usize,
    /// How many times as large as elsewhere their steps are.
    pub times: f32,
}

/// Puts the operators in place of the chains that they compute; returns how many of each there are.
///
/// Chains whose inner values are used elsewhere stay, and so do those of which the graph does not say that they work on
/// [N, C, T].
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn fuse(graph: &mut GraphProto, ends: &Ends) -> Result<BTreeMap<String, usize>> {
    // What is added to a residual stream is what the norms behind it read, so these go first.
    apply(graph, ends, &[chain::find, residual::find, stft::find])
}

/// Puts the operator for float convolutions in their place; returns how many there are.
///
/// It is for models whose convolutions are float: the few wide ones over short times that are left beside INT8 take as long either way
/// (docs/QUANTIZATION.md).
///
/// # Errors
/// Those of [`fuse`].
pub fn convolutions(graph: &mut GraphProto) -> Result<BTreeMap<String, usize>> {
    apply(graph, &Ends::default(), &[convolution::find])
}

/// Finds what takes the place of nodes.
type Find = for<'a> fn(&Facts<'a>, &'a Ends) -> Made;

fn apply(graph: &mut GraphProto, ends: &Ends, finds: &[Find]) -> Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for find in finds {
        order::sort(graph)?;
        let made = {
            let view = View::new(graph);
            find(&Facts::new(&view), ends)
        };
        let windows: HashSet<String> = made.values().filter_map(|node| node.output.get(1)).cloned().collect();
        for (index, node) in made {
            *counts.entry(node.op_type().to_owned()).or_insert(0) += 1;
            graph.node[index] = node;
        }
        // What made the windows out of the float.
        graph.node.retain(|node| !node.output.first().is_some_and(|output| windows.contains(output)));
        dead::remove(graph);
    }
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

/// How the operator reads the ends of `x`.
fn reads(node: &mut NodeProto, ends: &GivenEnds) {
    node.attribute.push(float_attribute("x_ends_times", ends.times));
    node.attribute.push(integer_attribute("x_ends_positions", ends.positions as i64));
}
