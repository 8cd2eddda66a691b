//! The family `AdaINActivation`.

use std::ops::RangeInclusive;

use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::TensorElementType::{Float32, Uint8};

use super::ends::Ends;
use super::node::{Node, Shape};
use crate::kernels::{Activation, Chain, Kernels, Norm};

/// `AdaINActivation`: float to float.
pub(super) struct Float(pub Kernels);

/// `AdaINActivationQuantize`: float to uint8.
pub(super) struct Quantize(pub Kernels);

/// `DequantizeAdaINActivation`: uint8 to float.
pub(super) struct Dequantize(pub Kernels);

/// `QLinearAdaINActivation`: uint8 to uint8.
pub(super) struct QLinear(pub Kernels);

/// What the attributes say.
pub(super) struct Attributes {
    node: Node,
    kernels: Kernels,
    kind: Kind,
    epsilon: f32,
    x_ends: Ends,
    y_ends: Ends,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    None,
    LeakyRelu { slope: f32 },
    Snake,
}

impl Attributes {
    fn read(operator: &'static str, kernels: Kernels, context: &KernelContext<'_>) -> ort::Result<Self> {
        let node = Node::new(operator, context)?;
        let kind = match context.get::<String>("activation").as_deref() {
            Some("none") => Kind::None,
            Some("leaky_relu") => Kind::LeakyRelu { slope: context.get("slope").unwrap_or(0.01) },
            Some("snake") => Kind::Snake,
            found => {
                let found = found.map_or("none of type string".to_owned(), |found| format!("`{found}`"));
                let expected = "expected an attribute `activation` of `none`, `leaky_relu` or `snake`";
                return Err(node.refused(format!("{expected}, found {found}")));
            }
        };
        let epsilon = context.get("epsilon").unwrap_or(1e-5);
        let (x_ends, y_ends) = (Ends::of_x(&node, context)?, Ends::of_y(&node, context)?);
        Ok(Self { node, kernels, kind, epsilon, x_ends, y_ends })
    }

    /// What is done to each channel. `scale` is at `position`, `bias` and `alpha` behind it.
    fn chains(&self, context: &ComputeContext, position: usize, shape: Shape) -> ort::Result<Vec<Chain>> {
        let [has_scale, has_bias, has_alpha] = [
            Node::has(context, position)?,
            Node::has(context, position + 1)?,
            Node::has(context, position + 2)?,
        ];
        if has_scale != has_bias {
            return Err(self.node.refused("expected both `scale` and `bias` or neither, found one"));
        }
        if has_alpha && self.kind != Kind::Snake {
            return Err(self.node.refused("expected an `alpha` for the activation `snake` only, found one"));
        }
        let read = |offset: usize, name: &str| {
            self.node.per_channel::<f32>(context, position + offset, name, shape, false)
        };
        let norms: Vec<_> = if has_scale {
            let norm = |(scale, bias)| Some(Norm { scale, bias, epsilon: self.epsilon });
            read(0, "scale")?.into_iter().zip(read(1, "bias")?).map(norm).collect()
        } else {
            vec![None; shape.channels]
        };
        let activations: Vec<_> = match self.kind {
            Kind::None => vec![Activation::None; shape.channels],
            Kind::LeakyRelu { slope } => vec![Activation::LeakyRelu { slope }; shape.channels],
            Kind::Snake => read(2, "alpha")?.into_iter().map(|alpha| Activation::Snake { alpha }).collect(),
        };
        let chain = |(norm, activation)| Chain { norm, activation };
        Ok(norms.into_iter().zip(activations).map(chain).collect())
    }
}

/// A node, ready to run.
pub(super) struct Run {
    attributes: Attributes,
    run: fn(&Attributes, &ComputeContext) -> ort::Result<()>,
}

impl Kernel for Run {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        (self.run)(&self.attributes, context)
    }
}

/// An operator of the family: its required inputs, its output, and what it runs. What is in levels may have ends.
macro_rules! operator {
    ($type:ident, $name:literal, [$($input:expr),+] -> $output:expr, $run:path) => {
        impl Operator for $type {
            type Kernel<'attr> = Run;

            fn name(&self) -> &'static str {
                $name
            }

            fn versions(&self) -> RangeInclusive<u32> {
                1..=1
            }

            fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
                let required = [$($input),+];
                let scale_bias_and_alpha = [Float32; 3];
                let x_ends = (required[0] == Uint8).then_some(Uint8);
                let optional = scale_bias_and_alpha.into_iter().chain(x_ends).map(OperatorInput::optional);
                required.map(OperatorInput::required).into_iter().chain(optional)
            }

            fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
                let y_ends = ($output == Uint8).then_some(OperatorOutput::optional(Uint8));
                [OperatorOutput::required($output)].into_iter().chain(y_ends)
            }

            fn create_kernel(&self, context: &KernelContext<'_>) -> ort::Result<Run> {
                Ok(Run { attributes: Attributes::read($name, self.0, context)?, run: $run })
            }
        }
    };
}

operator!(Float, "AdaINActivation", [Float32] -> Float32, float);
operator!(Quantize, "AdaINActivationQuantize", [Float32, Float32, Uint8] -> Uint8, quantize);
operator!(Dequantize, "DequantizeAdaINActivation", [Uint8, Float32, Uint8] -> Float32, dequantize);
operator!(QLinear, "QLinearAdaINActivation", [Uint8, Float32, Uint8, Float32, Uint8] -> Uint8, q_linear);

fn float(attributes: &Attributes, context: &ComputeContext) -> ort::Result<()> {
    let Attributes { node, kernels, .. } = attributes;
    node.with_x::<f32, _>(context, |shape, x| {
        let chains = attributes.chains(context, 1, shape)?;
        node.fill(context, shape, |row, y| {
            chains[row.channel].floats(row.of(x, shape.time), y, *kernels);
        })
    })
}

fn quantize(attributes: &Attributes, context: &ComputeContext) -> ort::Result<()> {
    let Attributes { node, kernels, y_ends, .. } = attributes;
    node.with_x::<f32, _>(context, |shape, x| {
        let to = node.quantizations(context, 1, 'y', shape)?;
        let chains = attributes.chains(context, 3, shape)?;
        y_ends.fill(node, context, shape, &to, |row, y| {
            chains[row.channel].quantize(row.of(x, shape.time), y, *kernels);
        })
    })
}

fn dequantize(attributes: &Attributes, context: &ComputeContext) -> ort::Result<()> {
    let Attributes { node, kernels, x_ends, .. } = attributes;
    x_ends.with_input(node, context, 6, |shape, x| {
        let chains = attributes.chains(context, 3, shape)?;
        node.fill(context, shape, |row, y| {
            chains[row.channel].dequantize(x.row(row), y, *kernels);
        })
    })
}

fn q_linear(attributes: &Attributes, context: &ComputeContext) -> ort::Result<()> {
    let Attributes { node, kernels, x_ends, y_ends, .. } = attributes;
    x_ends.with_input(node, context, 8, |shape, x| {
        let to = node.quantizations(context, 3, 'y', shape)?;
        let chains = attributes.chains(context, 5, shape)?;
        y_ends.fill(node, context, shape, &to, |row, y| {
            chains[row.channel].requantize(x.row(row), y, *kernels);
        })
    })
}
