//! Convolutions in INT8, whose activations are quantized as they come, with what stands in front of them and behind.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::convolution::Plain;
use super::{ActivationBits, DOMAIN, Made, operator};
use crate::error::Result;
use crate::graph::{float_attribute, integer_attribute, is, string_attribute};
use crate::int8::{self, Channels, Range};
use crate::proto::{AttributeProto, NodeProto, TensorProto};
use crate::rewrite::Facts;
use crate::tensor;

/// The name of the operator.
const OPERATOR: &str = "DynamicQuantizeConv";

/// Rows and channels are stored in groups of so many.
const GROUP: usize = 4;

/// What takes the place of convolutions, and their weights.
#[derive(Default)]
pub(super) struct Quantized {
    pub made: Made,
    pub tensors: Vec<TensorProto>,
}

/// Every convolution that is `wanted` and of which there is an operator, in place of the last node that it does the work of.
///
/// # Errors
/// [`ErrorKind::Tensor`](crate::ErrorKind::Tensor) for weights that are not finite, or whose payload is not what their shape asks for.
pub(super) fn find(
    facts: &Facts<'_>,
    wanted: &dyn Fn(&NodeProto) -> Option<ActivationBits>,
) -> Result<Quantized> {
    let mut found = Quantized::default();
    // Where the results of two convolutions are added, the first one has the addition.
    let mut inner: HashSet<&str> = HashSet::new();
    // Weights that several convolutions have are there once.
    let mut stored: HashMap<&str, [String; 2]> = HashMap::new();
    for (index, node) in facts.view.graph.node.iter().enumerate() {
        let Some(plain) = Plain::of(index, node, facts) else { continue };
        let Some(bits) = wanted(node) else { continue };
        let names = match stored.entry(plain.w) {
            Entry::Occupied(names) => names.into_mut(),
            Entry::Vacant(place) => {
                // What INT8 cannot hold stays float.
                let Some(weights) = Weights::quantize(plain.weights)? else { continue };
                let names = ["int8", "scale"].map(|what| facts.free_name(&format!("{}/{what}", plain.w)));
                found.tensors.push(tensor::from_i8(&names[0], &weights.dims, &weights.levels));
                found.tensors.push(tensor::from_f32(&names[1], &[weights.scales.len()], &weights.scales));
                place.insert(names)
            }
        };
        let front = Front::of(plain.x, facts);
        let (mut value, mut addends) = (plain.result, Vec::new());
        while let Some((sum, addend)) = addition(value, plain.channels(), facts) {
            if !inner.insert(sum) {
                break;
            }
            value = sum;
            addends.push(addend);
        }
        let Some(last) = facts.view.producer_index(value) else { continue };
        let mut inputs = vec![Some(front.x), Some(names[0].as_str()), Some(names[1].as_str()), plain.bias];
        inputs.extend(front.inputs);
        inputs.extend(addends.into_iter().map(Some));
        let count = inputs.len();
        let mut made = operator(OPERATOR, &inputs, value);
        // In front of any number of addends, of none too, optional inputs are left out by name.
        made.input.resize(count, String::new());
        made.name.clone_from(&node.name);
        made.attribute = front.attributes;
        made.attribute.extend(plain.attributes());
        if bits == ActivationBits::Sixteen {
            made.attribute.push(integer_attribute("bits", 16));
        }
        found.made.insert(last, made);
    }
    Ok(found)
}

/// Norm and activation in front of a convolution, where nothing else needs what they make.
struct Front<'a> {
    x: &'a str,
    /// `scale`, `bias` and `alpha`.
    inputs: [Option<&'a str>; 3],
    attributes: Vec<AttributeProto>,
}

impl<'a> Front<'a> {
    fn of(x: &'a str, facts: &Facts<'a>) -> Self {
        let producer = facts.view.producer(x);
        let private = producer.filter(|_| facts.view.only_consumer(x).is_some() && !facts.is_output(x));
        if let Some(node) = private {
            if node.op_type() == "AdaINActivation" && node.domain() == DOMAIN {
                let given =
                    |at: usize| node.input.get(at).map(String::as_str).filter(|name| !name.is_empty());
                let inputs = [given(1), given(2), given(3)];
                return Self { x: &node.input[0], inputs, attributes: node.attribute.clone() };
            }
            if is(node, "LeakyRelu") {
                let slope = crate::graph::attribute(node, "alpha").map_or(0.01, AttributeProto::f);
                let attributes =
                    vec![string_attribute("activation", "leaky_relu"), float_attribute("slope", slope)];
                return Self { x: &node.input[0], inputs: [None; 3], attributes };
            }
        }
        Self { x, inputs: [None; 3], attributes: vec![string_attribute("activation", "none")] }
    }
}

/// The sum of `value` and of one other value of the same shape, if nothing else needs `value`.
fn addition<'a>(value: &str, channels: i64, facts: &Facts<'a>) -> Option<(&'a str, &'a str)> {
    let sum = facts.view.only_consumer(value).filter(|node| is(node, "Add") && !facts.is_output(value))?;
    let [left, right] = sum.input.as_slice() else { return None };
    let addend = if left == value { right } else { left };
    let dims = facts.dims(addend).filter(|_| addend != value && facts.tensor(addend).is_none())?;
    // One of a length of 1 might be there for all times.
    let is_of_the_shape =
        matches!(dims.as_slice(), [_, Some(found), time] if *found == channels && *time != Some(1));
    is_of_the_shape.then(|| (sum.output[0].as_str(), addend.as_str()))
}

/// Levels as the operator has them, [⌈M/4⌉, K, ⌈C/4⌉, 4, 4], with one scale for each row.
struct Weights {
    levels: Vec<i8>,
    dims: [usize; 5],
    scales: Vec<f32>,
}

impl Weights {
    /// Those with the least squared error; `None` for weights that eight bits cannot hold.
    fn quantize(weights: &TensorProto) -> Result<Option<Self>> {
        let values = tensor::to_f32(weights)?;
        int8::check_numbers(weights.name(), &values)?;
        if int8::check_range(&values, f64::from(f32::MAX)).is_err() {
            return Ok(None);
        }
        let dims = tensor::shape(weights);
        let [rows, channels, taps] = [dims[0], dims[1], dims[2]];
        let view = Channels::new(&dims, 0..1);
        let scales = int8::least_squares_scales(&values, view, Range::INT8);
        let plain = int8::quantize(&values, view, &scales);
        if int8::check_levels(&values, &plain).is_err() {
            return Ok(None);
        }
        let groups = channels.div_ceil(GROUP);
        let dims = [rows.div_ceil(GROUP), taps, groups, GROUP, GROUP];
        let mut levels = vec![0; dims.iter().product()];
        for (row, plain) in plain.chunks_exact((channels * taps).max(1)).enumerate() {
            for (channel, plain) in plain.chunks_exact(taps).enumerate() {
                for (tap, &level) in plain.iter().enumerate() {
                    let group = (row / GROUP * taps + tap) * groups + channel / GROUP;
                    levels[(group * GROUP + row % GROUP) * GROUP + channel % GROUP] = level;
                }
            }
        }
        Ok(Some(Self { levels, dims, scales }))
    }
}
