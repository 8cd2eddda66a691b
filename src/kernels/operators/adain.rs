//! `AdaINActivation`, and what it shares with a convolution behind it.

use std::ops::RangeInclusive;

use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::TensorElementType::Float32;

use super::node::{Node, Shape};
use crate::kernels::{Activation, Chain, Kernels, Norm};

/// `AdaINActivation`: a norm and an activation.
pub(super) struct AdaINActivation(pub Kernels);

/// What the attributes say.
pub(super) struct Attributes {
    kind: Kind,
    epsilon: f32,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    None,
    LeakyRelu { slope: f32 },
    Snake,
}

impl Attributes {
    pub fn read(node: &Node, context: &KernelContext<'_>) -> ort::Result<Self> {
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
        Ok(Self { kind, epsilon })
    }

    /// What is done to each channel. `scale` is at `position`, `bias` and `alpha` behind it.
    pub fn chains(
        &self,
        node: &Node,
        context: &ComputeContext,
        position: usize,
        shape: Shape,
    ) -> ort::Result<Vec<Chain>> {
        let [has_scale, has_bias, has_alpha] = [
            Node::has(context, position)?,
            Node::has(context, position + 1)?,
            Node::has(context, position + 2)?,
        ];
        if has_scale != has_bias {
            return Err(node.refused("expected both `scale` and `bias` or neither, found one"));
        }
        if has_alpha && self.kind != Kind::Snake {
            return Err(node.refused("expected an `alpha` for the activation `snake` only, found one"));
        }
        let read = |offset: usize, name: &str| node.per_channel(context, position + offset, name, shape);
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
    node: Node,
    kernels: Kernels,
    attributes: Attributes,
}

impl Operator for AdaINActivation {
    type Kernel<'attr> = Run;

    fn name(&self) -> &'static str {
        "AdaINActivation"
    }

    fn versions(&self) -> RangeInclusive<u32> {
        1..=1
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let scale_bias_and_alpha = [Float32; 3].map(OperatorInput::optional);
        [OperatorInput::required(Float32)].into_iter().chain(scale_bias_and_alpha)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Float32)]
    }

    fn create_kernel(&self, context: &KernelContext<'_>) -> ort::Result<Run> {
        let node = Node::new("AdaINActivation", context)?;
        Ok(Run { attributes: Attributes::read(&node, context)?, node, kernels: self.0 })
    }
}

impl Kernel for Run {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let Self { node, kernels, attributes } = self;
        node.with_x(context, |shape, x| {
            let chains = attributes.chains(node, context, 1, shape)?;
            node.fill(context, shape, |row, y| {
                chains[row.channel].apply(row.of(x, shape.time), y, *kernels);
            })
        })
    }
}
