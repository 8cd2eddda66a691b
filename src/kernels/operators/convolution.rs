//! `WinogradConv`.

use std::ops::RangeInclusive;

use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::TensorElementType::Float32;

use super::node::{Node, deal, is_small};
use crate::kernels::{Convolution, Kernels};

/// `WinogradConv`: a convolution over time.
pub(super) struct WinogradConv(pub Kernels);

/// A node, ready to run.
pub(super) struct Run {
    node: Node,
    kernels: Kernels,
    places: Places,
}

/// Which positions a convolution reads, and where it writes: what its attributes say.
#[derive(Clone, Copy)]
pub(super) struct Places {
    dilation: usize,
    pads: [usize; 2],
    pub phases: usize,
}

impl Places {
    pub fn read(node: &Node, context: &KernelContext<'_>) -> ort::Result<Self> {
        let at_least = |name: &str, least: i64| {
            let number = context.get::<i64>(name).unwrap_or(least);
            let found = usize::try_from(number).ok().filter(|_| number >= least);
            found.ok_or_else(|| {
                node.refused(format!("expected an attribute `{name}` of {least} or more, found {number}"))
            })
        };
        Ok(Self {
            dilation: at_least("dilation", 1)?,
            pads: [at_least("pads_begin", 0)?, at_least("pads_end", 0)?],
            phases: at_least("phases", 1)?,
        })
    }

    /// The convolution of so many channels and taps.
    pub fn of(self, channels: usize, taps: usize) -> Convolution {
        let Self { dilation, pads, phases } = self;
        Convolution { channels, taps, dilation, pads, phases }
    }
}

impl Operator for WinogradConv {
    type Kernel<'attr> = Run;

    fn name(&self) -> &'static str {
        "WinogradConv"
    }

    fn versions(&self) -> RangeInclusive<u32> {
        1..=1
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [Float32; 2].map(OperatorInput::required).into_iter().chain([OperatorInput::optional(Float32)])
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Float32)]
    }

    fn create_kernel(&self, context: &KernelContext<'_>) -> ort::Result<Run> {
        let node = Node::new("WinogradConv", context)?;
        let places = Places::read(&node, context)?;
        Ok(Run { node, kernels: self.0, places })
    }
}

impl Kernel for Run {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let &mut Self { ref node, kernels, places } = self;
        let phases = places.phases;
        let w = node.required(context, 1, "w")?;
        let (dims, w) = w.try_extract_tensor::<f32>()?;
        let lengths: Vec<usize> = dims.iter().filter_map(|&length| length.try_into().ok()).collect();
        let (&[rows, channels, taps], true) = (lengths.as_slice(), !w.is_empty()) else {
            return Err(node.refused(format!("expected `w` of [M, C, K], not empty, found {:?}", &**dims)));
        };
        if taps < 2 || !rows.is_multiple_of(phases) {
            return Err(node.refused(format!(
                "expected `w` of 2 taps or more, and of rows that are a multiple of {phases}, found {:?}",
                &**dims
            )));
        }
        let bias = Node::optional(context, 2)?;
        let bias = bias.as_ref().map(|bias| bias.try_extract_tensor::<f32>()).transpose()?;
        let bias = bias.map(|(_, bias)| bias);
        if let Some(bias) = bias.filter(|bias| bias.len() != rows) {
            let found = bias.len();
            return Err(node.refused(format!("expected `b` of {rows} values, found {found}")));
        }
        node.with_x(context, |shape, x| {
            if shape.channels != channels {
                let found = shape.channels;
                return Err(
                    node.refused(format!("expected `x` of {channels} channels, as `w` has, found {found}"))
                );
            }
            let convolution = places.of(channels, taps);
            let length = convolution.length(shape.time);
            let lengths = [shape.batch, rows / phases, length].map(|length| length as i64);
            let missing = || node.refused("expected an output `y`, found none");
            let mut value = context.output(0, lengths)?.ok_or_else(missing)?;
            if shape.batch * length == 0 {
                return Ok(());
            }
            let (_, y) = value.try_extract_tensor_mut::<f32>()?;
            let is_small = is_small(y.len());
            let elements = y.chunks_exact_mut(rows / phases * length);
            let parts = elements.enumerate().flat_map(|(number, y)| {
                let x = &x[number * channels * shape.time..][..channels * shape.time];
                convolution.parts(y, length).into_iter().map(move |part| (x, part))
            });
            deal(context, parts, is_small, |(x, part)| convolution.compute(x, w, bias, part, kernels))
        })
    }
}
