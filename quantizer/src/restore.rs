//! Undoes dynamic quantization: from an INT8 model back to the float graph it was made of.
//!
//! Two tools write such models, Intel's Neural Compressor (which the published INT8 Kokoro has all the marks of)
//! and `onnxruntime.quantization`. Both write a float `MatMul(x, W)` as
//! `Mul(Cast(MatMulInteger(quantized x, Wq)), x_scale · w_scale)`, a `Conv` likewise, an `LSTM` as
//! `DynamicQuantizeLSTM` with transposed weights, and a `Gather` as the look-up of an integer row followed by
//! `DequantizeLinear`. They differ in the bias of a convolution, which the one adds as int32 and the other as
//! float, and in the scales of an LSTM. Each pattern goes back to the one float node, with the weight
//! `(q − zero) · scale`. Activations are float again, so what remains of the quantization is the grid that the
//! weights lie on.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{View, is, node};
use crate::int8::Channels;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::{dead, order, tensor};

/// How many nodes of each kind were restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// `MatMulInteger` → `MatMul`.
    pub matmuls: usize,
    /// `ConvInteger` → `Conv`.
    pub convolutions: usize,
    /// `DynamicQuantizeLSTM` → `LSTM`.
    pub lstms: usize,
    /// `Gather` and `DequantizeLinear` → `Gather`.
    pub gathers: usize,
}

impl Restored {
    /// The number of restored nodes of all kinds.
    pub fn total(self) -> usize {
        self.matmuls + self.convolutions + self.lstms + self.gathers
    }
}

/// Restores every dynamically quantized node of `graph`, removes what only quantization needed and sorts.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where an integer operator stands in a pattern that the quantization tool does
/// not write; the message names the node.
pub fn restore(graph: &mut GraphProto) -> Result<Restored> {
    let mut restored = Restored::default();
    let (replacements, weights) = {
        let view = View::new(graph);
        let mut plan = Plan { view: &view, replacements: BTreeMap::new(), weights: BTreeMap::new() };
        for node in &graph.node {
            if is(node, "MatMulInteger") {
                plan.integer_product(node, "MatMul")?;
                restored.matmuls += 1;
            } else if is(node, "ConvInteger") {
                plan.integer_product(node, "Conv")?;
                restored.convolutions += 1;
            } else if node.op_type() == "DynamicQuantizeLSTM" && node.domain() == "com.microsoft" {
                plan.lstm(node)?;
                restored.lstms += 1;
            } else if is(node, "DequantizeLinear") && plan.gather(node)? {
                restored.gathers += 1;
            }
        }
        let jobs: Vec<_> = plan.weights.iter().collect();
        let weights = jobs.into_par_iter().map(|(name, weight)| weight.dequantize(name));
        let weights = weights.collect::<Result<Vec<_>>>()?;
        (plan.replacements, weights)
    };
    for (index, node) in replacements {
        graph.node[index] = node;
    }
    graph.initializer.extend(weights);
    dead::remove(graph);
    order::sort(graph)?;
    Ok(restored)
}

/// What is to be changed: nodes by position, weights by their new name.
struct Plan<'a> {
    view: &'a View<'a>,
    replacements: BTreeMap<usize, NodeProto>,
    weights: BTreeMap<String, Weight<'a>>,
}

/// A stored integer weight with what turns it into floats.
#[derive(Clone, Copy, PartialEq)]
struct Weight<'a> {
    quantized: &'a TensorProto,
    scale: &'a TensorProto,
    zero_point: Option<&'a TensorProto>,
    layout: Layout,
}

/// Where the channels of a weight lie, if it has more than one scale.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    ChannelsFirst,
    ChannelsLast,
    /// `[directions, inputs, 4·hidden]`, to become `[directions, 4·hidden, inputs]`.
    TransposedLstm,
}

impl<'a> Plan<'a> {
    /// `MatMulInteger` or `ConvInteger`, back to the float operator `op`.
    fn integer_product(&mut self, node: &'a NodeProto, op: &str) -> Result<()> {
        let view = self.view;
        let activation = producer(view, node, 0, "DynamicQuantizeLinear")?;
        let [x] = &activation.input[..] else { return Err(unexpected(activation, "one input")) };
        let [_, x_scale, x_zero_point] = &activation.output[..] else {
            return Err(unexpected(activation, "three outputs"));
        };
        if node.input.get(2) != Some(x_zero_point) {
            return Err(unexpected(node, &format!("the zero point `{x_zero_point}` at input 2")));
        }
        let mut next = consumer(view, node)?;
        let mut bias = None;
        if is(next, "Add") {
            let reshape =
                next.input.iter().filter_map(|input| view.producer(input)).find(|maker| is(maker, "Reshape"));
            let reshape = reshape.ok_or_else(|| unexpected(next, "a bias through Reshape"))?;
            let cast = producer(view, reshape, 0, "Cast")?;
            let floor = producer(view, cast, 0, "Floor")?;
            let div = producer(view, floor, 0, "Div")?;
            bias = Some(constant(view, div, 0)?.name());
            next = consumer(view, next)?;
        }
        let cast = expect(next, "Cast")?;
        let product = expect(consumer(view, cast)?, "Mul")?;
        let scales =
            product.input.iter().filter_map(|input| view.producer(input)).find(|maker| is(maker, "Mul"));
        let scales = scales.ok_or_else(|| unexpected(product, "a product of two scales"))?;
        if !scales.input.contains(x_scale) {
            return Err(unexpected(scales, &format!("the scale `{x_scale}` of the activation")));
        }
        let scale = (0..scales.input.len()).find_map(|input| constant(view, scales, input).ok());
        let scale = scale.ok_or_else(|| unexpected(scales, "a constant weight scale"))?;

        let layout = if op == "Conv" { Layout::ChannelsFirst } else { Layout::ChannelsLast };
        let weight = self.weight(node, 1, scale, node.input.get(3), layout)?;
        let mut inputs = vec![x.as_str(), &weight];
        inputs.extend(bias);
        let mut float = self::node(op, without(node.name(), "_quant"), &inputs, &[output(product)?]);
        float.attribute.clone_from(&node.attribute);
        self.replace(product, float)
    }

    fn lstm(&mut self, node: &'a NodeProto) -> Result<()> {
        let mut inputs = node.input.clone();
        inputs.resize(12, String::new());
        let scale = constant(self.view, node, 8)?;
        inputs[1] = self.weight(node, 1, scale, node.input.get(9), Layout::TransposedLstm)?;
        let scale = constant(self.view, node, 10)?;
        inputs[2] = self.weight(node, 2, scale, node.input.get(11), Layout::TransposedLstm)?;
        inputs.truncate(8);
        while inputs.last().is_some_and(String::is_empty) {
            inputs.pop();
        }
        let float = NodeProto {
            op_type: Some("LSTM".into()),
            name: Some(without(node.name(), "_quant").into()),
            domain: None,
            input: inputs,
            ..node.clone()
        };
        self.replace(node, float)
    }

    /// `Gather` of integer rows, then this `DequantizeLinear`; false if that is not what feeds it.
    fn gather(&mut self, dequantize: &'a NodeProto) -> Result<bool> {
        let source = dequantize.input.first().and_then(|name| self.view.producer(name));
        let Some(gather) = source.filter(|maker| is(maker, "Gather")) else { return Ok(false) };
        let scale = constant(self.view, dequantize, 1)?;
        let weight = self.weight(gather, 0, scale, dequantize.input.get(2), Layout::ChannelsLast)?;
        let mut float = gather.clone();
        float.name = Some(without(gather.name(), "_quant").into());
        float.input[0] = weight;
        float.output = vec![output(dequantize)?.into()];
        self.replace(dequantize, float)?;
        Ok(true)
    }

    /// Notes that the integer weight at `input` of `node` is wanted as floats, and returns its name then.
    fn weight(
        &mut self,
        node: &'a NodeProto,
        input: usize,
        scale: &'a TensorProto,
        zero_point: Option<&String>,
        layout: Layout,
    ) -> Result<String> {
        let quantized = constant(self.view, node, input)?;
        let name = match quantized.name().strip_suffix("_quantized") {
            Some(name) => name.to_string(),
            None => format!("{}_float", quantized.name()),
        };
        let taken = |name: &str| self.view.initializer(name).is_some() || self.view.producer(name).is_some();
        if taken(&name) {
            return Err(unexpected(node, &format!("no value called `{name}` beside the integer weight")));
        }
        let zero_point = zero_point.filter(|name| !name.is_empty()).map(|name| {
            self.view
                .initializer(name)
                .ok_or_else(|| unexpected(node, &format!("a constant zero point `{name}`")))
        });
        let weight = Weight { quantized, scale, zero_point: zero_point.transpose()?, layout };
        let known = self.weights.entry(name.clone()).or_insert(weight);
        if *known != weight {
            let message = "one scale, zero point and layout for all users of the weight";
            return Err(unexpected(node, &format!("{message} `{}`", quantized.name())));
        }
        Ok(name)
    }

    fn replace(&mut self, old: &NodeProto, new: NodeProto) -> Result<()> {
        let index = self.view.producer_index(output(old)?).ok_or_else(|| unexpected(old, "an output"))?;
        self.replacements.insert(index, new);
        Ok(())
    }
}

impl Weight<'_> {
    /// `(q − zero) · scale` in f32, one scale for the tensor or one per channel.
    fn dequantize(&self, name: &str) -> Result<TensorProto> {
        let dims = tensor::shape(self.quantized);
        let levels = tensor::to_i64(self.quantized)?;
        let scales = tensor::to_f32(self.scale)?;
        let zeros = self.zero_point.map_or(Ok(vec![0]), tensor::to_i64)?;
        if ![1, scales.len()].contains(&zeros.len()) {
            return Err(self.misfit(&format!("1 or {} zero points, found {}", scales.len(), zeros.len())));
        }
        let channel_of = self.channels(&dims, scales.len())?;
        let float = |at: usize| {
            let channel = channel_of.at(at);
            let zero = zeros[if zeros.len() == 1 { 0 } else { channel }];
            (levels[at] - zero) as f32 * scales[if scales.len() == 1 { 0 } else { channel }]
        };
        if self.layout != Layout::TransposedLstm {
            let values: Vec<f32> = (0..levels.len()).map(float).collect();
            return Ok(tensor::from_f32(name, &dims, &values));
        }
        let [directions, inputs, gates] = dims[..] else {
            return Err(self.misfit(&format!("3 dimensions, found {dims:?}")));
        };
        let mut values = Vec::with_capacity(levels.len());
        for direction in 0..directions {
            for gate in 0..gates {
                values.extend((0..inputs).map(|input| float((direction * inputs + input) * gates + gate)));
            }
        }
        Ok(tensor::from_f32(name, &[directions, gates, inputs], &values))
    }

    fn channels(&self, dims: &[usize], scales: usize) -> Result<ChannelOf> {
        let of = |view: Channels| {
            (view.channels, ChannelOf { block: view.inner, count: view.channels, columns: 1 })
        };
        let (channels, channel_of) = match (self.layout, dims) {
            _ if scales == 1 => return Ok(ChannelOf { block: 1, count: 1, columns: 1 }),
            (Layout::ChannelsFirst, [_, ..]) => of(Channels::new(dims, 0..1)),
            (Layout::ChannelsLast, [.., _]) => of(Channels::new(dims, dims.len() - 1..dims.len())),
            // One tool writes a scale per direction, the other one per direction and gate row.
            (Layout::TransposedLstm, &[directions, ..]) if scales == directions => {
                of(Channels::new(dims, 0..1))
            }
            (Layout::TransposedLstm, &[directions, inputs, gates]) => {
                (directions * gates, ChannelOf { block: inputs * gates, count: directions, columns: gates })
            }
            _ => return Err(self.misfit(&format!("a tensor with channels, found {dims:?}"))),
        };
        if scales != channels {
            return Err(self.misfit(&format!("1 or {channels} scales, found {scales}")));
        }
        Ok(channel_of)
    }

    fn misfit(&self, what: &str) -> Error {
        Error::tensor(ErrorKind::Unsupported, self.quantized.name(), format!("expected {what}"))
    }
}

/// Which of several scales an element of a weight has.
#[derive(Clone, Copy)]
struct ChannelOf {
    block: usize,
    count: usize,
    columns: usize,
}

impl ChannelOf {
    fn at(self, element: usize) -> usize {
        element / self.block % self.count * self.columns + element % self.columns
    }
}

fn without<'a>(name: &'a str, suffix: &str) -> &'a str {
    name.strip_suffix(suffix).unwrap_or(name)
}

fn unexpected(node: &NodeProto, expected: &str) -> Error {
    Error::node(
        ErrorKind::Unsupported,
        node,
        format!("expected {expected} in the pattern of dynamic quantization"),
    )
}

fn output(node: &NodeProto) -> Result<&str> {
    node.output.first().map(String::as_str).ok_or_else(|| unexpected(node, "an output"))
}

fn expect<'a>(node: &'a NodeProto, op: &str) -> Result<&'a NodeProto> {
    if is(node, op) { Ok(node) } else { Err(unexpected(node, &format!("{op} here"))) }
}

fn producer<'a>(view: &View<'a>, node: &NodeProto, input: usize, op: &str) -> Result<&'a NodeProto> {
    let maker = node.input.get(input).and_then(|name| view.producer(name));
    maker.filter(|maker| is(maker, op)).ok_or_else(|| unexpected(node, &format!("{op} before input {input}")))
}

fn consumer<'a>(view: &View<'a>, node: &NodeProto) -> Result<&'a NodeProto> {
    let user = node.output.first().and_then(|name| view.only_consumer(name));
    user.ok_or_else(|| unexpected(node, "one user of its output"))
}

fn constant<'a>(view: &View<'a>, node: &NodeProto, input: usize) -> Result<&'a TensorProto> {
    let name = node.input.get(input).map_or("", String::as_str);
    view.initializer(name)
        .ok_or_else(|| unexpected(node, &format!("a constant at input {input}, found `{name}`")))
}
