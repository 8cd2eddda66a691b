//! Transposed convolutions as convolutions.
//!
//! A ConvTranspose of stride `s` puts `s` values where there was one. Those at the positions `q·s + r` of one phase `r`
//! are an ordinary convolution with every `s`-th tap of the kernel. So one Conv with `s` times as many output channels
//! computes all of them, and a Transpose puts them between each other (the polyphase form of an interpolator: Crochiere
//! and Rabiner 1983, chapter 3). It takes the same multiplications, and a quantized runtime has a Conv for them.

use std::collections::BTreeMap;

use super::facts::Facts;
use crate::error::Result;
use crate::graph::{View, attribute, integer, is, node};
use crate::proto::attribute_proto::AttributeType;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::{dead, tensor};

/// Turns every ConvTranspose that [`polyphase_where`] can into a Conv.
///
/// # Errors
/// As [`polyphase_where`].
pub fn polyphase(graph: &mut GraphProto) -> Result<usize> {
    polyphase_where(graph, |_| true)
}

/// Turns those of the transposed convolutions that are `wanted` into Conv, Reshape, Transpose, Reshape and, for pads,
/// Slice. Returns how many.
///
/// What is asked for: one spatial dimension, a stride of at least 2, at most twice as long as the kernel, no
/// dilation, constant weights and bias in float32 or float16, explicit pads, and an `output_padding` that the kernel
/// reaches. Groups may be any number.
///
/// # Errors
/// [`ErrorKind::Tensor`](crate::ErrorKind::Tensor) for weights whose payload is not what their shape asks for.
pub fn polyphase_where(graph: &mut GraphProto, wanted: impl Fn(&NodeProto) -> bool) -> Result<usize> {
    let mut made: BTreeMap<usize, Phases> = BTreeMap::new();
    {
        let view = View::new(graph);
        let facts = Facts::new(&view);
        for (index, node) in view.graph.node.iter().enumerate() {
            if is(node, "ConvTranspose")
                && wanted(node)
                && let Some(shape) = Shape::of(node, &facts)
            {
                made.insert(index, Phases::new(node, &shape, &facts)?);
            }
        }
    }
    let count = made.len();
    if count > 0 {
        let old = std::mem::take(&mut graph.node);
        for (index, node) in old.into_iter().enumerate() {
            match made.remove(&index) {
                Some(phases) => {
                    graph.node.extend(phases.nodes);
                    graph.initializer.extend(phases.tensors);
                }
                None => graph.node.push(node),
            }
        }
        dead::remove(graph);
    }
    Ok(count)
}

/// A transposed convolution that can be rewritten: weights [C, `per_group`, `kernel`].
struct Shape<'a> {
    weights: &'a TensorProto,
    bias: Option<&'a TensorProto>,
    groups: usize,
    per_group: usize,
    kernel: usize,
    stride: usize,
    /// Positions to cut from both ends of what all phases make together.
    cut: [usize; 2],
}

impl<'a> Shape<'a> {
    fn of(node: &NodeProto, facts: &Facts<'a>) -> Option<Self> {
        let weights = facts.tensor(node.input.get(1)?)?;
        let bias = match node.input.get(2).filter(|name| !name.is_empty()) {
            Some(name) => Some(facts.tensor(name)?),
            None => None,
        };
        let given = |name: &str, default: &[i64]| -> Option<Vec<usize>> {
            let listed = attribute(node, name).map_or(default, |attribute| &attribute.ints);
            let values =
                listed.iter().map(|&value| usize::try_from(value).ok()).collect::<Option<Vec<_>>>()?;
            (values.len() == default.len()).then_some(values)
        };
        let [stride] = *given("strides", &[1])? else { return None };
        let [first, last] = *given("pads", &[0, 0])? else { return None };
        let [output_padding] = *given("output_padding", &[0])? else { return None };
        let pads_itself = attribute(node, "auto_pad").is_some_and(|attribute| {
            attribute.s.as_deref().is_some_and(|mode| !matches!(mode, b"NOTSET" | b""))
        });
        let [channels, per_group, kernel] = *tensor::shape(weights).as_slice() else { return None };
        let groups = usize::try_from(integer(node, "group", 1)).ok()?;
        let fits = stride >= 2
            && kernel > 0
            && per_group > 0
            && groups > 0
            && channels.checked_rem(groups) == Some(0)
            && given("dilations", &[1])? == [1]
            && given("kernel_shape", &[weights.dims[2]])? == [kernel]
            && !pads_itself
            && attribute(node, "output_shape").is_none()
            && [Some(weights), bias].into_iter().flatten().all(is_float)
            && bias.is_none_or(|bias| tensor::shape(bias) == [groups * per_group]);
        // All phases together make (L + taps − 1)·s positions; the operator makes (L − 1)·s + kernel, cuts both
        // pads from them, and adds the output padding at the end.
        let all = kernel.div_ceil(stride).checked_mul(stride)?;
        let cut_last = (all + last).checked_sub(kernel + output_padding)?;
        let cut = [first, cut_last];
        // A stride far beyond the kernel would store more zeros than weights.
        let fits = fits && channels > 0 && all <= 2 * kernel && cut.iter().all(|&cut| cut < 1 << 31);
        node.output.first()?;
        fits.then_some(Self { weights, bias, groups, per_group, kernel, stride, cut })
    }

    fn taps(&self) -> usize {
        self.kernel.div_ceil(self.stride)
    }

    fn channels(&self) -> usize {
        self.groups * self.per_group
    }
}

fn is_float(tensor: &TensorProto) -> bool {
    use crate::proto::tensor_proto::DataType;
    matches!(tensor::element_type(tensor), DataType::Float | DataType::Float16)
        && !tensor::is_external(tensor)
}

/// What takes the place of one transposed convolution.
struct Phases {
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
}

impl Phases {
    fn new(old: &NodeProto, shape: &Shape<'_>, facts: &Facts<'_>) -> Result<Self> {
        let output = &old.output[0];
        let name = |what: &str| facts.free_name(&format!("{output}/{what}"));
        let (weights, bias) = (name("phases.weight"), name("phases.bias"));
        let (channels, stride, taps) = (shape.channels(), shape.stride, shape.taps());
        let per_input_group = tensor::shape(shape.weights)[0] / shape.groups;

        let element = tensor::element_type(shape.weights);
        let values = rearranged(&tensor::to_f32(shape.weights)?, shape, per_input_group);
        let dims = [channels * stride, per_input_group, taps];
        let mut tensors = vec![tensor::from_float(&weights, element, &dims, &values)];
        let mut inputs = vec![old.input[0].as_str(), &weights];
        if let Some(old) = shape.bias {
            let repeated: Vec<f32> = tensor::to_f32(old)?
                .into_iter()
                .flat_map(|value| std::iter::repeat_n(value, stride))
                .collect();
            let element = tensor::element_type(old);
            tensors.push(tensor::from_float(&bias, element, &[channels * stride], &repeated));
            inputs.push(&bias);
        }

        let mut integers = |what: &str, values: &[i64]| {
            let name = name(what);
            tensors.push(tensor::from_i64(&name, &[values.len()], values));
            name
        };
        let apart = integers("phases.apart", &[0, channels as i64, stride as i64, -1]);
        let joined = integers("phases.joined", &[0, channels as i64, -1]);
        let values = ["phases", "phases.split", "phases.between", "phases.all"].map(name);
        let [convolved, split, between, all] = &values;
        let is_cut = shape.cut != [0, 0];
        let mut conv = node("Conv", old.name(), &inputs, &[convolved]);
        let pads = [taps as i64 - 1; 2];
        conv.attribute = vec![
            ints("dilations", &[1]),
            crate::graph::integer_attribute("group", shape.groups as i64),
            ints("kernel_shape", &[taps as i64]),
            ints("pads", &pads),
            ints("strides", &[1]),
        ];
        let mut transpose = node("Transpose", between, &[split], &[between]);
        transpose.attribute.push(ints("perm", &[0, 1, 3, 2]));
        let end: &str = if is_cut { all } else { output };
        let mut nodes = vec![
            conv,
            node("Reshape", split, &[convolved, &apart], &[split]),
            transpose,
            node("Reshape", all, &[between, &joined], &[end]),
        ];
        if is_cut {
            let last = if shape.cut[1] == 0 { i64::MAX } else { -(shape.cut[1] as i64) };
            let from = integers("phases.first", &[shape.cut[0] as i64]);
            let to = integers("phases.last", &[last]);
            let axis = integers("phases.axis", &[2]);
            let cut = name("phases.cut");
            nodes.push(node("Slice", cut, &[all, &from, &to, &axis], &[output]));
        }
        Ok(Self { nodes, tensors })
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        ints: values.to_vec(),
        r#type: Some(AttributeType::Ints.into()),
        ..Default::default()
    }
}

/// Weights [channels · stride, `per_input_group`, taps] from [inputs, `per_group`, kernel]: output channel
/// `c·stride + r` holds the taps `r, r + stride, …` of channel `c`, the last one first, and zeros where the kernel
/// has no such tap.
fn rearranged(old: &[f32], shape: &Shape<'_>, per_input_group: usize) -> Vec<f32> {
    let (stride, taps, kernel) = (shape.stride, shape.taps(), shape.kernel);
    let mut new = Vec::with_capacity(shape.channels() * stride * per_input_group * taps);
    for channel in 0..shape.channels() {
        let (group, within) = (channel / shape.per_group, channel % shape.per_group);
        for phase in 0..stride {
            for input in group * per_input_group..(group + 1) * per_input_group {
                let row = &old[(input * shape.per_group + within) * kernel..][..kernel];
                let tap = |tap: usize| row.get(phase + tap * stride).copied().unwrap_or(0.0);
                new.extend((0..taps).rev().map(tap));
            }
        }
    }
    new
}
