//! A convolution, read from the graph with what calibration knows of its output.

use super::edges::Ends;
use crate::calibration::{Edges, Ranges};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{View, attribute, integer};
use crate::int8;
use crate::proto::{NodeProto, tensor_proto::DataType};
use crate::tensor;

/// The zero point of every `QLinearConv` output. Where a channel's own differs, the bias makes the difference.
pub const MIDDLE: u8 = 128;

/// A convolution over time: weights [`outputs`, `per_group`, `kernel`], row-major.
pub struct Convolution<'a> {
    pub input: &'a str,
    pub output: &'a str,
    pub weights: Vec<f32>,
    /// One for each output; zeros where the node has none.
    pub bias: Vec<f32>,
    pub outputs: usize,
    pub per_group: usize,
    pub kernel: usize,
    pub groups: usize,
    /// The scale `t` of each output channel.
    pub output_scales: Vec<f32>,
    /// The zero point of each output channel.
    pub output_zeros: Vec<u8>,
    /// How its edges are computed, if they are computed apart.
    pub ends: Option<Ends>,
}

impl<'a> Convolution<'a> {
    /// Reads `node`, which may have `edges`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for weights or a bias that are no float32 constants of the right shape, for an
    /// output without ranges, and for one with `edges` that is not as long as its input.
    pub fn read(
        node: &'a NodeProto,
        view: &View<'a>,
        ranges: &Ranges,
        edges: Option<&Edges>,
    ) -> Result<Self> {
        let refused = |message: String| Err(Error::node(ErrorKind::Unsupported, node, message));
        let constant = |position: usize| {
            let name = node.input.get(position).filter(|name| !name.is_empty())?;
            view.initializer(name).filter(|_| !view.is_input(name))
        };
        let Some(weight) = constant(1) else {
            return refused("expected constant weights, found some that are computed or an input".into());
        };
        let &[outputs, per_group, kernel] = tensor::shape(weight).as_slice() else {
            return refused(format!(
                "expected weights of 3 dimensions, for a convolution over time, found {:?}",
                weight.dims
            ));
        };
        if tensor::element_type(weight) != DataType::Float {
            let found = crate::census::element_name(tensor::element_type(weight));
            return refused(format!("expected weights in float32, found {found}"));
        }
        let groups = usize::try_from(integer(node, "group", 1)).unwrap_or(0);
        if outputs.checked_rem(groups) != Some(0) || weight.dims.contains(&0) {
            return refused(format!("expected weights for {groups} groups, found {:?}", weight.dims));
        }
        let weights = tensor::to_f32(weight)?;
        int8::check_numbers(weight.name(), &weights)?;
        int8::check_range(&weights, f64::from(f32::MAX)).map_err(|_| {
            let message = "expected finite weights within half of float32's range, found others";
            Error::tensor(ErrorKind::Tensor, weight.name(), message)
        })?;
        let bias = match (node.input.get(2).filter(|name| !name.is_empty()), constant(2)) {
            (None, _) => vec![0.0; outputs],
            (Some(_), Some(bias)) if tensor::shape(bias) == [outputs] => tensor::to_f32(bias)?,
            (Some(name), _) => {
                return refused(format!("expected a constant bias of {outputs} elements, found `{name}`"));
            }
        };
        let (Some(input), Some(output)) = (node.input.first(), node.output.first()) else {
            return refused("expected an input and an output, found neither or one".into());
        };
        let ends = match edges.map(|edges| (edges, reach(node, kernel))) {
            None => None,
            Some((edges, Some(reach))) => {
                Some(Ends { positions: edges.positions, times: edges.times, reach })
            }
            Some((_, None)) => {
                return refused(
                    "expected an output with edges to be as long as its input, found another".into(),
                );
            }
        };
        let channels = ranges.of(output, outputs)?;
        let (output_scales, output_zeros) = channels.iter().map(|it| it.scale_and_zero()).unzip();
        Ok(Self {
            input,
            output,
            weights,
            bias,
            outputs,
            per_group,
            kernel,
            groups,
            output_scales,
            output_zeros,
            ends,
        })
    }

    /// How many channels the input has.
    pub fn inputs(&self) -> usize {
        self.per_group * self.groups
    }

    /// The first of the input channels that output channel `output` reads.
    pub fn first_input(&self, output: usize) -> usize {
        output / (self.outputs / self.groups) * self.per_group
    }

    /// The weights of one output channel, the taps of one input channel after the other.
    pub fn row(&self, output: usize) -> &[f32] {
        let size = self.per_group * self.kernel;
        &self.weights[output * size..][..size]
    }
}

/// How far from an output's position the inputs are that count for it; `None` unless there are as many of these as of
/// those.
fn reach(node: &NodeProto, kernel: usize) -> Option<usize> {
    let integers = |name: &str| attribute(node, name).map(|it| it.ints.as_slice()).unwrap_or_default();
    let one = |name: &str| integers(name).first().copied().unwrap_or(1);
    let is_explicit = attribute(node, "auto_pad").is_none_or(|it| matches!(it.s(), b"" | b"NOTSET"));
    let span = one("dilations").checked_mul(i64::try_from(kernel).ok()?.checked_sub(1)?)?;
    let (before, after) = match *integers("pads") {
        [] => (0, 0),
        [before, after] => (before, after),
        _ => return None,
    };
    let keeps_length = is_explicit && one("strides") == 1 && before.checked_add(after)? == span;
    usize::try_from(before.max(after)).ok().filter(|_| keeps_length && before.min(after) >= 0)
}
