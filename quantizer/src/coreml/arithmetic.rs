//! Floor and comparisons as arithmetic, for a provider that knows neither them nor truth values.

use super::edit::{Draft, is_float, is_within_dimensions, replace};
use crate::error::Result;
use crate::graph::{integer, is};
use crate::proto::{GraphProto, NodeProto, tensor_proto::DataType};
use crate::rewrite::Facts;
use crate::tensor;

/// Turns Floor of a float into `r − (r > x)` with `r = Round(x)`, the nearest integer, which is the floor or one above it.
/// Returns how many. Exact for finite numbers: `r − x` is a float, and the step is 0 or 1.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn floor(graph: &mut GraphProto) -> Result<usize> {
    replace(graph, |node, draft| {
        let x = node.input.first().filter(|x| is(node, "Floor") && is_float(x, draft.facts))?;
        if !is_within_dimensions(x, draft.facts) {
            return None;
        }
        let rounded = draft.make("Round", &[x]);
        let above = draft.make("Sub", &[&rounded, x]);
        let step = draft.is_positive(&above);
        draft.finish("Sub", &[&rounded, &step]);
        Some(())
    })
}

/// Turns Cast to float of Greater and Less, and Where by one of these, into a step of 0 or 1, and into sums of what is chosen
/// times such a step. Returns how many. All that is compared and chosen has to be float32, and for finite numbers the
/// result is the same: a difference of two floats is 0 only if they are equal.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn comparisons(graph: &mut GraphProto) -> Result<usize> {
    replace(graph, |node, draft| {
        if is(node, "Cast") && integer(node, "to", 0) == DataType::Float as i64 {
            let difference = compared(node.input.first()?, draft)?;
            let enlarged = draft.enlarged(&difference);
            let [zero, one] = [0.0, 1.0].map(|bound| draft.float(bound));
            draft.finish("Clip", &[&enlarged, &zero, &one]);
            return Some(());
        }
        let [condition, chosen, other] = node.input.as_slice() else { return None };
        if !is(node, "Where") || ![chosen, other].iter().all(|value| is_float(value, draft.facts)) {
            return None;
        }
        let difference = compared(condition, draft)?;
        let step = draft.is_positive(&difference);
        let one = draft.float(1.0);
        let otherwise = draft.make("Sub", &[&one, &step]);
        let terms = [draft.make("Mul", &[chosen, &step]), draft.make("Mul", &[other, &otherwise])];
        draft.finish("Add", &[&terms[0], &terms[1]]);
        Some(())
    })
}

/// A value that is above 0 where the comparison that makes `condition` holds.
fn compared(condition: &str, draft: &mut Draft<'_, '_>) -> Option<String> {
    let comparison: &NodeProto = draft.facts.view.producer(condition)?;
    let [a, b] = comparison.input.as_slice() else { return None };
    let (more, less) = match comparison.op_type() {
        "Greater" if is(comparison, "Greater") => (a, b),
        "Less" if is(comparison, "Less") => (b, a),
        _ => return None,
    };
    let are_floats = is_float(more, draft.facts) || is_float(less, draft.facts);
    if !are_floats || ![more, less].iter().all(|value| is_within_dimensions(value, draft.facts)) {
        return None;
    }
    Some(if is_zero(less, draft.facts) { more.clone() } else { draft.make("Sub", &[more, less]) })
}

fn is_zero(value: &str, facts: &Facts<'_>) -> bool {
    let values = facts.tensor(value).filter(|stored| stored.dims.is_empty()).map(tensor::to_f32);
    values.is_some_and(|values| values.is_ok_and(|values| values == [0.0]))
}
