//! Squares of sines as arithmetic, as the activation Snake (Ziyin, Hartwig and Ueda 2020), `x + sin²(αx) / α`, has them.

use std::f64::consts::PI;

use super::edit::{Draft, is_float, replace};
use crate::error::Result;
use crate::graph::is;
use crate::proto::{GraphProto, NodeProto};
use crate::tensor;

/// `sin(πf) / f` as a polynomial of `f²`, for `f` from −½ to ½: by Remez' algorithm for the least relative error, 5.3·10⁻⁹.
const COEFFICIENTS: [f32; 5] = [std::f32::consts::PI, -5.167_71, 2.550_069_7, -0.598_242_1, 0.077_560_39];

/// Turns the square of Sin into a polynomial of what is left of the angle when all half turns, which do not change the
/// square, are taken away. Returns how many. A sine that is used otherwise stays.
///
/// Where the angle is a product with a constant, as in Snake, `α/π` becomes one constant, so that the number of half turns
/// is rounded as often as the angle was, and taking away its integer is exact. What that rounding does to the sine grows with
/// the angle as it does for the sine of the float angle.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn squared_sines(graph: &mut GraphProto) -> Result<usize> {
    replace(graph, |node, draft| {
        let [sine, again] = node.input.as_slice() else { return None };
        if !is(node, "Mul") || sine != again {
            return None;
        }
        let facts = draft.facts;
        let sine = facts.view.producer(sine).filter(|sine| is(sine, "Sin"))?;
        let angle = sine.input.first().filter(|angle| is_float(angle, facts))?;
        facts.view.only_consumer(&sine.output[0])?;
        let half_turns = half_turns(angle, draft);
        let whole = draft.make("Round", &[&half_turns]);
        let rest = draft.make("Sub", &[&half_turns, &whole]);
        let square = draft.make("Mul", &[&rest, &rest]);
        let factor = draft.polynomial(&square, &COEFFICIENTS);
        let sine = draft.make("Mul", &[&rest, &factor]);
        draft.finish("Mul", &[&sine, &sine]);
        Some(())
    })
}

/// `angle / π`.
fn half_turns(angle: &str, draft: &mut Draft<'_, '_>) -> String {
    let facts = draft.facts;
    let product: Option<&NodeProto> = facts.view.producer(angle).filter(|node| is(node, "Mul"));
    let factors = product.and_then(|product| {
        let [a, b] = product.input.as_slice() else { return None };
        let of = |value: &str| tensor::to_f32(facts.tensor(value)?).ok();
        of(a).map(|values| (a, values, b)).or_else(|| of(b).map(|values| (b, values, a)))
    });
    let Some((name, values, other)) = factors else {
        let scale = draft.float((1.0 / PI) as f32);
        return draft.make("Mul", &[angle, &scale]);
    };
    let scaled: Vec<f32> = values.iter().map(|&value| (f64::from(value) / PI) as f32).collect();
    let dims = facts.tensor(name).map(tensor::shape).unwrap_or_default();
    let make = |made: &str| tensor::from_f32(made, &dims, &scaled);
    let scale = draft.constant(&format!("half-turns/{name}"), make);
    draft.make("Mul", &[other, &scale])
}
