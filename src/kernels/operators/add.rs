//! `DequantizeAdd`.

use std::ops::RangeInclusive;

use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::TensorElementType::{Float32, Uint8};

use super::ends::Ends;
use super::node::Node;
use crate::kernels::{Kernels, add_dequantized};

/// The position of the ends of `x`, and of the first addend.
const ENDS: usize = 3;
const ADDENDS: usize = 4;

/// `DequantizeAdd`: levels and floats to floats.
pub(super) struct DequantizeAdd(pub Kernels);

/// A node, ready to run.
pub(super) struct Run {
    node: Node,
    kernels: Kernels,
    ends: Ends,
}

impl Operator for DequantizeAdd {
    type Kernel<'attr> = Run;

    fn name(&self) -> &'static str {
        "DequantizeAdd"
    }

    fn versions(&self) -> RangeInclusive<u32> {
        1..=1
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let addends = OperatorInput::variadic(1).homogenous(Float32);
        let x_ends = OperatorInput::optional(Uint8);
        [Uint8, Float32, Uint8].map(OperatorInput::required).into_iter().chain([x_ends, addends])
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Float32)]
    }

    fn create_kernel(&self, context: &KernelContext<'_>) -> ort::Result<Run> {
        let node = Node::new("DequantizeAdd", context)?;
        Ok(Run { ends: Ends::of_x(&node, context)?, node, kernels: self.0 })
    }
}

impl Kernel for Run {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let Self { node, kernels, ends } = self;
        ends.with_input(node, context, ENDS, |shape, x| {
            let values = (ADDENDS..context.num_inputs()?).map(|position| context.input(position));
            let values = values.collect::<ort::Result<Vec<_>>>()?;
            let mut addends = Vec::with_capacity(values.len());
            for value in values.iter().flatten() {
                let (dims, elements) = value.try_extract_tensor::<f32>()?;
                let expected = shape.dims();
                if **dims != expected {
                    let found = &**dims;
                    return Err(node.refused(format!(
                        "expected `addends` of the shape of `x`, {expected:?}, found {found:?}"
                    )));
                }
                addends.push(elements);
            }
            node.fill(context, shape, |row, y| {
                let addends: Vec<_> = addends.iter().map(|addend| row.of(addend, shape.time)).collect();
                add_dequantized(x.row(row), &addends, y, *kernels);
            })
        })
    }
}
