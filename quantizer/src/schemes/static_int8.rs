//! `static-int8`: convolutions that compute in INT8, and all other weights stored as INT8.

mod balance;
mod convolution;
mod edges;
mod lookup;
mod nodes;
mod weights;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rayon::prelude::*;

use super::{Scheme, Summary, WeightsInt8};
use crate::calibration::{Edges, Ranges, Selection};
use crate::error::Result;
use crate::graph::{View, integer_attribute, node};
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::rewrite::{self, Facts, Pass};
use crate::{opset, order, tensor};
use balance::Input;
use convolution::Convolution;
pub use edges::EDGES;
use edges::Edged;
use weights::Weights;

/// Convolutions as `QLinearConv` with one activation scale for each channel on both of its sides, which the operator
/// itself does not have:
///
/// - `QuantizeLinear` does have an axis. It makes `x ≈ s_c · (X − z)`, one scale `s_c` per input channel and one zero
///   point `z` for all, since that is what the operator pads with. The scales are folded into the weights,
///   `w'[o, c, k] = w[o, c, k] · s_c`, before these are quantized, `w' ≈ u_o · W`.
/// - The output channel `o` is wanted as `y ≈ t_o · (Y − z_o)`. `QLinearConv` computes
///   `Y = saturate(round(m_o · (Σ (X − z) · W + B_o)) + 128)`, so with `m_o = u_o / t_o` and
///   `B_o = round((b_o + (z_o − 128) · t_o) / u_o)` it computes just that, and a `DequantizeLinear` with `t_o` and `z_o`
///   along its axis restores the float.
///
/// So neither costs anything at run time. Activations are uint8 and weights int8 with the zero point 0: what ONNX
/// Runtime has its fastest kernels for.
///
/// **Where sums saturate.** Products are summed in 32 bits: with AVX-VNNI or AVX512-VNNI (`vpdpbusd`) and on Arm each
/// product goes there directly. On x86 without VNNI, ONNX Runtime's kernels for `QLinearConv` first add two neighbouring
/// products in 16 bits (`vpmaddubsw`), which saturates beyond 32,767, and up to `2 · 255 · 127 = 64,770` arises. With
/// levels within ±64 no such sum is beyond `2 · 255 · 64 = 32,640`; see [`Self::weight_levels`].
///
/// Between a norm and a convolution in INT8, the function that the graph applies can be [looked up](Self::lookup_levels).
///
/// Where both ends of time are far larger than what lies between, these can be [computed apart](Self::edges).
///
/// The model must be of opset 13 or later, with look-ups or edges of opset 18 or later.
pub struct StaticInt8 {
    /// The exact rewrites that run first, in this order.
    pub rewrites: Vec<&'static Pass>,
    /// Which convolutions compute in INT8, by their names after the rewrites.
    pub convolutions: Selection,
    /// The calibrated ranges of their inputs and outputs.
    pub ranges: Ranges,
    /// Convolutions that compute the ends of a sentence apart, where ranges are of what lies between; the first entry that
    /// means one decides.
    pub edges: Vec<Edges>,
    /// The largest level of a weight: 127, or 64 for machines that add two products in 16 bits.
    pub weight_levels: u8,
    /// How many levels a float has that a table is indexed by; with none, what stands between norms and convolutions is
    /// computed, and not looked up.
    pub lookup_levels: Option<u16>,
    /// How the other weights are stored.
    pub weights: WeightsInt8,
}

impl Scheme for StaticInt8 {
    fn name(&self) -> &'static str {
        "static-int8"
    }

    fn opset(&self) -> i64 {
        opset::HIGHEST
    }

    fn apply(&self, graph: &mut GraphProto) -> Result<Summary> {
        rewrite::apply(graph, self.rewrites.iter().copied())?;
        order::sort(graph)?;
        let Made { replacements, zeros, mut edged } = self.convolutions(graph)?;
        let convolutions = replacements.len();
        replace(graph, replacements);
        if convolutions > 0 {
            graph.initializer.extend([tensor::from_f32(ONE, &[], &[1.0]), tensor::from_i8(ZERO, &[], &[0])]);
            graph.initializer.extend(zeros);
        }
        crate::dead::remove(graph);
        if let Some(levels) = self.lookup_levels {
            lookup::look_up(graph, levels, &self.ranges, &self.edges, &mut edged)?;
        }
        edged.finish(graph);
        crate::dead::remove(graph);
        let summary = self.weights.apply(graph)?;
        // Notes on the shapes of inner values, many of which are gone: 150 kB of Kokoro that no runtime needs.
        graph.value_info.clear();
        Ok(Summary { quantized: summary.quantized + convolutions, convolutions, ..summary })
    }
}

/// The scale of all that `QLinearConv` takes and gives, its own units; and the zero point of all weights.
const ONE: &str = "q/one";
const ZERO: &str = "q/zero";

/// The name of a zero point of what `QLinearConv` takes and gives, which is there once for all of them.
fn zero_point(zero: u8) -> String {
    format!("q/zero.{zero}")
}

/// What takes the place of all convolutions.
struct Made {
    /// By the position of the convolution's node.
    replacements: BTreeMap<usize, Replacement>,
    /// The zero points, each of them once.
    zeros: Vec<TensorProto>,
    /// What is computed for edges.
    edged: Edged,
}

/// What takes the place of one node.
struct Replacement {
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
}

impl StaticInt8 {
    /// What takes the place of the selected convolutions. The graph must be sorted.
    fn convolutions(&self, graph: &GraphProto) -> Result<Made> {
        let view = View::new(graph);
        let selected: Vec<usize> =
            (0..graph.node.len()).filter(|&index| self.convolutions.selects(&graph.node[index])).collect();
        let convolutions = selected
            .par_iter()
            .map(|&index| {
                let node = &graph.node[index];
                Convolution::read(node, &view, &self.ranges, Edges::of(&self.edges, node))
            })
            .collect::<Result<Vec<_>>>()?;

        // One quantized form of each value, for all convolutions that read it.
        let mut readers: BTreeMap<&str, Vec<&Convolution<'_>>> = BTreeMap::new();
        for convolution in &convolutions {
            readers.entry(convolution.input).or_default().push(convolution);
        }
        let readers: Vec<_> = readers.into_iter().collect();
        let inputs: BTreeMap<&str, Input> = readers
            .par_iter()
            .map(|(value, readers)| {
                let channels = self.ranges.of(value, readers[0].inputs())?;
                Ok((*value, Input::balanced(channels, readers, self.weight_levels)))
            })
            .collect::<Result<_>>()?;
        let mut edged = Edged::new(&convolutions, &Facts::new(&view));
        let weights: Vec<Weights> = convolutions
            .par_iter()
            .map(|convolution| {
                let input = &inputs[convolution.input];
                Weights::quantize(convolution, input, self.weight_levels, edged.times(convolution))
            })
            .collect();

        let zeros: BTreeSet<u8> =
            inputs.values().map(|input| input.zero).chain([convolution::MIDDLE]).collect();
        let zeros = zeros.into_iter().map(|zero| tensor::from_u8(&zero_point(zero), &[], &[zero]));
        let mut quantized = HashSet::new();
        let jobs = selected.iter().zip(&convolutions).zip(&weights);
        let replacements = jobs
            .map(|((&index, convolution), weights)| {
                let input = quantized.insert(convolution.input).then(|| &inputs[convolution.input]);
                let zero = inputs[convolution.input].zero;
                (index, replacement(&graph.node[index], convolution, weights, input, zero, &mut edged))
            })
            .collect();
        Ok(Made { replacements, zeros: zeros.collect(), edged })
    }
}

/// The nodes and tensors for one convolution; those that quantize its input, if `input` says how.
fn replacement(
    old: &NodeProto,
    convolution: &Convolution<'_>,
    weights: &Weights,
    input: Option<&Input>,
    zero: u8,
    edged: &mut Edged,
) -> Replacement {
    let Convolution { input: value, output, .. } = *convolution;
    let (mut nodes, mut tensors) = (Vec::new(), Vec::new());
    let levels = format!("{value}_quantized");
    if let Some(input) = input {
        let (scale, zeros) = (format!("{value}_quantized_scale"), format!("{value}_quantized_zero_point"));
        let channels = [input.scales.len()];
        tensors.push(tensor::from_f32(&scale, &channels, &input.scales));
        tensors.push(tensor::from_u8(&zeros, &channels, &vec![zero; input.scales.len()]));
        let mut quantize =
            node("QuantizeLinear", format!("{value}_QuantizeLinear"), &[value, &scale, &zeros], &[&levels]);
        quantize.attribute.push(integer_attribute("axis", 1));
        nodes.push(quantize);
        nodes.extend(edged.quantize(value, &scale, &zeros));
    }

    let name = |what: &str| format!("{output}_{what}");
    let outputs = [convolution.outputs];
    let dims = [convolution.outputs, convolution.per_group, convolution.kernel];
    tensors.extend([
        tensor::from_i8(&name("weight"), &dims, &weights.levels),
        tensor::from_f32(&name("weight_scale"), &outputs, &weights.multipliers),
        tensor::from_i32(&name("bias"), &outputs, &weights.bias),
        tensor::from_f32(&name("scale"), &outputs, &convolution.output_scales),
        tensor::from_u8(&name("zero_point"), &outputs, &convolution.output_zeros),
    ]);
    let [weight, weight_scale, bias] = ["weight", "weight_scale", "bias"].map(name);
    let [zero, middle] = [zero, convolution::MIDDLE].map(zero_point);
    let inputs = [&levels, ONE, &zero, &weight, &weight_scale, ZERO, ONE, &middle, &bias];
    let product = name("quantized_output");
    let mut convolve = node("QLinearConv", old.name(), &inputs, &[&product]);
    // The attributes of Conv and QLinearConv are the same.
    convolve.attribute.clone_from(&old.attribute);
    let mut dequantize = node(
        "DequantizeLinear",
        name("DequantizeLinear"),
        &[&product, &name("scale"), &name("zero_point")],
        &[output],
    );
    dequantize.attribute.push(integer_attribute("axis", 1));
    let bias = |name: &str| tensor::from_i32(name, &outputs, &weights.edge_bias);
    if let Some((added, bias)) = edged.convolve(convolution, &convolve, &mut dequantize, bias) {
        nodes.extend(added);
        tensors.push(bias);
    }
    nodes.extend([convolve, dequantize]);
    Replacement { nodes, tensors }
}

fn replace(graph: &mut GraphProto, mut made: BTreeMap<usize, Replacement>) {
    for (index, old) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        match made.remove(&index) {
            Some(new) => {
                graph.node.extend(new.nodes);
                graph.initializer.extend(new.tensors);
            }
            None => graph.node.push(old),
        }
    }
}
