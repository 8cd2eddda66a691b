//! Transpositions that stand between two nodes that are left to the CPU, and so would be a partition of their own.

use super::edit::{integers_attribute, position, replace};
use crate::error::Result;
use crate::graph::{attribute, is, node};
use crate::proto::GraphProto;
use crate::{proto::NodeProto, tensor};

/// Lets `CumSum`, Sin and Cos compute in the order in which their input was before it was transposed, and transposes what they
/// give. Returns how many. The Transpose in front has to have no other reader.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn transposes(graph: &mut GraphProto) -> Result<usize> {
    replace(graph, |inner, draft| {
        let facts = draft.facts;
        let value = inner.input.first()?;
        let transpose: &NodeProto = facts.view.producer(value).filter(|node| is(node, "Transpose"))?;
        facts.view.only_consumer(value)?;
        let source = transpose.input.first()?;
        let rank = facts.dims(source).map(|dims| dims.len());
        let order = match (attribute(transpose, "perm"), rank) {
            (Some(order), _) => order.ints.clone(),
            (None, Some(rank)) => (0..rank as i64).rev().collect(),
            (None, None) => return None,
        };
        let made = if is(inner, "CumSum") {
            let axis = facts.tensor(inner.input.get(1)?).map(tensor::to_i64)?.ok()?;
            let &[axis] = axis.as_slice() else { return None };
            let before = *order.get(position(axis, order.len())?)?;
            let name =
                draft.constant(&format!("integer/{before}"), |name| tensor::from_i64(name, &[], &[before]));
            let sum = draft.make("CumSum", &[source, &name]);
            for attribute in &inner.attribute {
                draft.with(attribute.clone());
            }
            sum
        } else if is(inner, "Sin") || is(inner, "Cos") {
            draft.make(inner.op_type(), &[source])
        } else {
            return None;
        };
        let mut last = node("Transpose", "", &[&made], &[]);
        last.attribute.push(integers_attribute("perm", &order));
        draft.finish_with(last);
        Some(())
    })
}
