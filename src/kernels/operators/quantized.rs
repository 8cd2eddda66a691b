//! `DynamicQuantizeConv`.

use std::cell::Cell;
use std::ops::RangeInclusive;

use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::TensorElementType::{Float32, Int8};

use super::adain::Attributes;
use super::convolution::Places;
use super::node::{Node, Shape, deal, is_small};
use crate::kernels::{Channel, Kernels, Levels, Precision, Statistics, Weights};

/// The positions of inputs.
const WEIGHTS: usize = 1;
const SCALES: usize = 2;
const BIAS: usize = 3;
const CHAIN: usize = 4;
const ADDENDS: usize = 7;

/// `DynamicQuantizeConv`: a norm, an activation, and a convolution over time in INT8.
pub(super) struct DynamicQuantizeConv(pub Kernels);

/// A node, ready to run.
pub(super) struct Run {
    node: Node,
    kernels: Kernels,
    attributes: Attributes,
    places: Places,
    precision: Precision,
}

impl Operator for DynamicQuantizeConv {
    type Kernel<'attr> = Run;

    fn name(&self) -> &'static str {
        "DynamicQuantizeConv"
    }

    fn versions(&self) -> RangeInclusive<u32> {
        2..=2
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let optional = [Float32; ADDENDS - BIAS].map(OperatorInput::optional);
        let addends = OperatorInput::variadic(0).homogenous(Float32);
        [Float32, Int8, Float32].map(OperatorInput::required).into_iter().chain(optional).chain([addends])
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Float32)]
    }

    fn create_kernel(&self, context: &KernelContext<'_>) -> ort::Result<Run> {
        let node = Node::new("DynamicQuantizeConv", context)?;
        let (attributes, places) = (Attributes::read(&node, context)?, Places::read(&node, context)?);
        let precision = match context.get::<i64>("bits") {
            None | Some(8) => Precision::Bits8,
            Some(16) => Precision::Bits16,
            Some(found) => {
                return Err(node.refused(format!("expected an attribute `bits` of 8 or 16, found {found}")));
            }
        };
        Ok(Run { node, kernels: self.0, attributes, places, precision })
    }
}

impl Kernel for Run {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let &mut Self { ref node, kernels, ref attributes, places, precision } = self;
        let w = node.required(context, WEIGHTS, "w")?;
        let (dims, levels) = w.try_extract_tensor::<i8>()?;
        let scales = node.required(context, SCALES, "w_scale")?;
        let (_, scales) = scales.try_extract_tensor::<f32>()?;
        let bias = Node::optional(context, BIAS)?;
        let bias = bias.as_ref().map(|bias| bias.try_extract_tensor::<f32>()).transpose()?;
        let weights = Weights { levels, scales, bias: bias.map(|(_, bias)| bias) };
        let rows = scales.len();
        if let Some(bias) = weights.bias.filter(|bias| bias.len() != rows) {
            let found = bias.len();
            return Err(node.refused(format!("expected `b` of {rows} values, found {found}")));
        }
        if rows == 0 || !rows.is_multiple_of(places.phases) {
            let phases = places.phases;
            return Err(
                node.refused(format!("expected `w_scale` of a multiple of {phases} values, found {rows}"))
            );
        }
        let addends = (ADDENDS..context.num_inputs()?).map(|position| context.input(position));
        let addends = addends.collect::<ort::Result<Vec<_>>>()?;
        node.with_x(context, |shape, x| {
            let [first, groups] = [rows, shape.channels].map(|count| count.div_ceil(4) as i64);
            let taps = dims.get(1).copied().unwrap_or(0);
            if **dims != [first, taps, groups, 4, 4] || taps < 1 {
                return Err(node.refused(format!(
                    "expected `w` of [{first}, taps, {groups}, 4, 4] for {rows} rows and {} channels of `x`, found {:?}",
                    shape.channels, &**dims
                )));
            }
            let convolution = places.of(shape.channels, taps as usize);
            let length = convolution.length(shape.time);
            let y_shape = Shape { channels: rows / places.phases, time: length, ..shape };
            let mut others = Vec::with_capacity(addends.len());
            for addend in addends.iter().flatten() {
                let (dims, elements) = addend.try_extract_tensor::<f32>()?;
                if **dims != y_shape.dims() {
                    return Err(node.refused(format!(
                        "expected `addends` of the shape of `y`, {:?}, found {:?}",
                        y_shape.dims(),
                        &**dims
                    )));
                }
                others.push(elements);
            }
            let chains = attributes.chains(node, context, CHAIN, shape)?;
            let missing = || node.refused("expected an output `y`, found none");
            let mut value = context.output(0, y_shape.dims())?.ok_or_else(missing)?;
            if shape.batch * shape.channels * y_shape.channels * length == 0 {
                return Ok(());
            }
            let (_, y) = value.try_extract_tensor_mut::<f32>()?;
            let (of_x, of_y) = (shape.channels * shape.time, y_shape.channels * length);
            // One node runs after the other, so what the levels need is asked for once.
            thread_local!(static LEVELS: Cell<Levels> = const { Cell::new(Levels::new()) });
            let mut levels = LEVELS.take();
            for (element, y) in y.chunks_exact_mut(of_y).enumerate() {
                let x = &x[element * of_x..][..of_x];
                let is_small = is_small(x.len().max(y.len()));
                let mut channels = vec![Channel::default(); shape.channels];
                let jobs = x.chunks_exact(shape.time.max(1)).zip(&chains).zip(&mut channels);
                let is_without_norm = chains.iter().all(|chain| chain.norm.is_none());
                deal(context, jobs, is_small || is_without_norm, |((x, chain), channel)| {
                    *channel = Channel::new(chain.norm, chain.activation, || Statistics::of(x, kernels));
                })?;
                let parts = levels.parts(shape.channels, shape.time, precision).into_iter();
                deal(context, parts, is_small, |part| part.compute(x, &channels, kernels))?;
                let others: Vec<_> = others.iter().map(|other| &other[element * of_y..][..of_y]).collect();
                let parts = convolution.quantized_parts(y, length).into_iter();
                deal(context, parts, is_small, |part| {
                    convolution.quantized(&levels, shape.time, weights, &others, part, kernels);
                })?;
            }
            LEVELS.set(levels);
            Ok(())
        })
    }
}
