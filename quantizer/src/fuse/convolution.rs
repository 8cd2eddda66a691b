//! Convolutions over time, which the runtime computes with twice the multiplications that they take.

use super::{DOMAIN, Made, operator};
use crate::graph::{attribute, integer, integer_attribute, is};
use crate::proto::{AttributeProto, NodeProto, TensorProto, tensor_proto::DataType};
use crate::rewrite::Facts;
use crate::tensor;

/// The name of the operator.
const OPERATOR: &str = "WinogradConv";

/// So many channels on both sides are worth the transformation of what is multiplied.
const CHANNELS: i64 = 16;

/// Whether `node` is such a convolution of ours; its weights are where those of Conv are.
pub(crate) fn is_convolution(node: &NodeProto) -> bool {
    node.op_type() == OPERATOR && node.domain() == DOMAIN
}

/// Every convolution of a stride of 1 that saves at least a third of its multiplications, with the operator in its place; where its
/// rows are the phases of a transposed one, in place of what puts them between each other.
pub(super) fn find(facts: &Facts<'_>) -> Made {
    let nodes = facts.view.graph.node.iter().enumerate();
    let plain = nodes.filter_map(|(index, node)| Some((node, Plain::of(index, node, facts)?)));
    plain
        .filter_map(|(node, plain)| {
            let &[rows, channels, taps] = plain.weights.dims.as_slice() else { return None };
            if !saves(taps) || rows.min(channels) < CHANNELS {
                return None;
            }
            let mut made = operator(OPERATOR, &[Some(plain.x), Some(plain.w), plain.bias], plain.result);
            made.name.clone_from(&node.name);
            made.attribute.extend(plain.attributes());
            Some((plain.last, made))
        })
        .collect()
}

/// A convolution over time with a stride of 1, one group, and constant weights in float32.
pub(super) struct Plain<'a> {
    pub x: &'a str,
    pub w: &'a str,
    pub weights: &'a TensorProto,
    pub bias: Option<&'a str>,
    dilation: i64,
    pads: [i64; 2],
    phases: i64,
    /// What comes out: of the phases in turn, where there are several.
    pub result: &'a str,
    /// Where that is made.
    pub last: usize,
}

impl<'a> Plain<'a> {
    /// The node at `index`, if it is one.
    pub fn of(index: usize, node: &'a NodeProto, facts: &Facts<'a>) -> Option<Self> {
        let [x, w, bias @ ..] = node.input.as_slice() else { return None };
        let weights = facts.tensor(w).filter(|_| is(node, "Conv")).filter(|w| is_float(w))?;
        let &[rows, _, taps] = weights.dims.as_slice() else { return None };
        let given = |name: &str, default: &[i64]| match attribute(node, name) {
            Some(attribute) => attribute.ints.clone(),
            None => default.to_vec(),
        };
        let pads_itself = attribute(node, "auto_pad").is_some_and(|it| !matches!(it.s(), b"NOTSET" | b""));
        let (&[dilation], &[begin, end]) = (&*given("dilations", &[1]), &*given("pads", &[0, 0])) else {
            return None;
        };
        let is_plain = !pads_itself
            && integer(node, "group", 1) == 1
            && given("strides", &[1]) == [1]
            && given("kernel_shape", &[taps]) == [taps]
            && taps >= 1
            && dilation >= 1
            && begin >= 0
            && end >= 0;
        if !is_plain {
            return None;
        }
        let convolved = node.output.first()?;
        let (last, phases, result) = phases(convolved, rows, facts).unwrap_or((index, 1, convolved));
        let bias = bias.first().map(String::as_str).filter(|bias| !bias.is_empty());
        Some(Self { x, w, weights, bias, dilation, pads: [begin, end], phases, result, last })
    }

    /// How many channels come out.
    pub fn channels(&self) -> i64 {
        self.weights.dims[0] / self.phases
    }

    /// The attributes of an operator, those left out that say what is so without them.
    pub fn attributes(&self) -> impl Iterator<Item = AttributeProto> {
        let Self { dilation, pads: [begin, end], phases, .. } = *self;
        let defaults = [
            ("dilation", dilation, 1),
            ("pads_begin", begin, 0),
            ("pads_end", end, 0),
            ("phases", phases, 1),
        ];
        let attributes = defaults.into_iter().filter(|&(_, value, default)| value != default);
        attributes.map(|(name, value, _)| integer_attribute(name, value))
    }
}

fn is_float(tensor: &TensorProto) -> bool {
    tensor::element_type(tensor) == DataType::Float
}

/// Whether four outputs of so many taps take two thirds of the multiplications or less: parts of four taps take seven.
fn saves(taps: i64) -> bool {
    let multiplications = match taps {
        ..2 => return false,
        2 => 5,
        3 => 6,
        _ => 7 * ((taps + 3) / 4),
    };
    3 * multiplications <= 2 * 4 * taps
}

/// How many phases the rows of `convolved` are, where a graph says so as [`polyphase`](crate::rewrite::polyphase) writes it; what has them
/// in turn, and where it is made.
fn phases<'a>(convolved: &str, rows: i64, facts: &Facts<'a>) -> Option<(usize, i64, &'a str)> {
    let next = |value: &str, op: &str| facts.view.only_consumer(value).filter(|node| is(node, op));
    let split = next(convolved, "Reshape")?;
    let [0, channels, phases, -1] = facts.integers(split.input.get(1)?)?[..] else { return None };
    let between = next(split.output.first()?, "Transpose")?;
    if attribute(between, "perm")?.ints != [0, 1, 3, 2]
        || channels.checked_mul(phases) != Some(rows)
        || phases < 1
    {
        return None;
    }
    let joined = next(between.output.first()?, "Reshape")?;
    if facts.integers(joined.input.get(1)?)? != [0, channels, -1] {
        return None;
    }
    let result = joined.output.first()?;
    Some((facts.view.producer_index(result)?, phases, result))
}
