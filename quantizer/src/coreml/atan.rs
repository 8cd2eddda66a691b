//! The arc tangent as arithmetic.

use std::f32::consts::FRAC_PI_2;

use super::edit::{is_float, replace};
use crate::error::Result;
use crate::graph::is;
use crate::proto::GraphProto;

/// `atan(t) / t` as a polynomial of `t²`, for `t` from 0 to 1: by Remez' algorithm for the least relative error, 2.4·10⁻⁹.
const COEFFICIENTS: [f32; 10] = [
    1.0,
    -0.333_332_84,
    0.199_982_66,
    -0.142_619_33,
    0.109_420_31,
    -0.083_773_16,
    0.057_552_102,
    -0.030_804_597,
    0.010_726_944,
    -0.001_753_930_1,
];

/// Turns Atan of a float into a polynomial of `t = min(|x|, 1) / max(|x|, 1)`, which is `|x|` or its reciprocal, so
/// that no infinity is left: `atan |x|` is that of `t`, or what it lacks to a quarter turn. Returns how many.
///
/// The absolute error is below 2·10⁻⁷ in float32.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn atan(graph: &mut GraphProto) -> Result<usize> {
    replace(graph, |node, draft| {
        let x = node.input.first().filter(|x| is(node, "Atan") && is_float(x, draft.facts))?;
        let [zero, one, negative] = [0.0, 1.0, -1.0].map(|value| draft.float(value));
        let mirrored = draft.make("Mul", &[x, &negative]);
        let size = draft.make("Max", &[x, &mirrored]);
        let bounded = draft.make("Clip", &[&size, &zero, &one]);
        let divisor = draft.make("Max", &[&size, &one]);
        let t = draft.make("Div", &[&bounded, &divisor]);
        let square = draft.make("Mul", &[&t, &t]);
        let factor = draft.polynomial(&square, &COEFFICIENTS);
        let angle = draft.make("Mul", &[&t, &factor]);
        // Where |x| is above 1: π/2 − angle. The factor is 1 or −1, so nothing is rounded but that sum.
        let above = draft.make("Sub", &[&size, &one]);
        let is_large = draft.is_positive(&above);
        let [two, quarter] = [-2.0, FRAC_PI_2].map(|value| draft.float(value));
        let doubled = draft.make("Mul", &[&is_large, &two]);
        let turn = draft.make("Add", &[&doubled, &one]);
        let turned = draft.make("Mul", &[&angle, &turn]);
        let offset = draft.make("Mul", &[&is_large, &quarter]);
        let whole = draft.make("Add", &[&turned, &offset]);
        let sign = draft.sign(x);
        draft.finish("Mul", &[&whole, &sign]);
        Some(())
    })
}
