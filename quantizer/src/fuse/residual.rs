//! What a convolution in INT8 puts out, added to floats.

use std::collections::HashSet;

use super::{Ends, GivenEnds, Made, operator, reads};
use crate::graph::{integer, is};
use crate::proto::{NodeProto, tensor_proto::DataType};
use crate::rewrite::Facts;
use crate::tensor;

/// Every sum that begins with a dequantization along the channels, in place of its last addition.
pub(super) fn find<'a>(facts: &Facts<'a>, ends: &'a Ends) -> Made {
    let mut made = Made::new();
    // Where two sums are added, the first one has the addition.
    let mut inner: HashSet<&str> = HashSet::new();
    for node in &facts.view.graph.node {
        if let Some((index, sum)) = Quantized::of(node, facts, ends).and_then(|it| it.sum(facts, &mut inner))
        {
            made.insert(index, sum);
        }
    }
    made
}

/// What a convolution in INT8 puts out.
struct Quantized<'a> {
    /// The levels, their scale and their zero point.
    levels: [&'a str; 3],
    ends: Option<&'a GivenEnds>,
    /// The float that they become.
    value: &'a str,
    channels: i64,
}

impl<'a> Quantized<'a> {
    /// Those that `node` makes a float of.
    fn of(node: &'a NodeProto, facts: &Facts<'a>, ends: &'a Ends) -> Option<Self> {
        let value = node.output.first()?;
        let ends = ends.given.get(value);
        let levels = match (ends, node.input.as_slice()) {
            (Some(ends), _) => ends.levels.each_ref().map(String::as_str),
            (None, [x, scale, zero]) if is(node, "DequantizeLinear") && integer(node, "axis", 1) == 1 => {
                [x, scale, zero].map(String::as_str)
            }
            _ => return None,
        };
        let zeros = facts.tensor(levels[2]).filter(|zeros| tensor::element_type(zeros) == DataType::Uint8)?;
        Some(Self { levels, ends, value, channels: zeros.dims.first().copied()? })
    }

    /// Their sum with others, and where its last addition is.
    fn sum(self, facts: &Facts<'a>, inner: &mut HashSet<&'a str>) -> Option<(usize, NodeProto)> {
        let (mut value, mut addends): (&str, Vec<&str>) = (self.value, vec![]);
        while let Some((sum, addend)) = addition(value, self.channels, facts) {
            if !inner.insert(sum) {
                break;
            }
            value = sum;
            addends.push(addend);
        }
        if addends.is_empty() {
            return None;
        }
        let windows = self.ends.map(|ends| ends.windows.as_str());
        let inputs = self.levels.into_iter().map(Some).chain([windows]).chain(addends.into_iter().map(Some));
        let mut node = operator("DequantizeAdd", &inputs.collect::<Vec<_>>(), value);
        if let Some(ends) = self.ends {
            reads(&mut node, ends);
        }
        Some((facts.view.producer_index(value)?, node))
    }
}

/// The sum of `value` and of one other value of the same shape, if nothing else needs `value`.
fn addition<'a>(value: &str, channels: i64, facts: &Facts<'a>) -> Option<(&'a str, &'a str)> {
    let sum = facts.view.only_consumer(value).filter(|node| is(node, "Add"))?;
    let [left, right] = sum.input.as_slice() else { return None };
    let addend = if left == value { right } else { left };
    let dims = facts.dims(addend).filter(|_| addend != value && facts.tensor(addend).is_none())?;
    // One of a length of 1 might be there for all times.
    let is_of_the_shape =
        matches!(dims.as_slice(), [_, Some(found), time] if *found == channels && *time != Some(1));
    is_of_the_shape.then(|| (sum.output[0].as_str(), addend.as_str()))
}
