//! What follows a norm: nothing, `LeakyRelu`, or Snake.

use std::f32;
use std::f64;

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// The number itself.
    None,
    /// `r` where `r ≥ 0`, else `slope · r`.
    LeakyRelu {
        /// The factor of negative numbers.
        slope: f32,
    },
    /// `r + sin²(αr) · (1/α)`. An `α` of 0 gives NaN, as the operators of ONNX do that it takes the place of.
    Snake {
        /// The frequency of a channel.
        alpha: f32,
    },
}

/// An [`Activation`] whose kind the compiler knows, so that loops over it have no branch.
pub(super) trait Function: Copy {
    /// The function of `r`.
    fn of(self, r: f32) -> f32;
}

#[derive(Clone, Copy)]
pub(super) struct Identity;

#[derive(Clone, Copy)]
pub(super) struct LeakyRelu {
    pub slope: f32,
}

#[derive(Clone, Copy)]
pub(super) struct Snake {
    /// Half turns for each unit of the argument: `α/π`.
    turns: f32,
    inverse: f32,
}

impl Snake {
    pub fn new(alpha: f32) -> Self {
        Self { turns: (f64::from(alpha) / f64::consts::PI) as f32, inverse: alpha.recip() }
    }
}

impl Function for Identity {
    #[inline(always)]
    fn of(self, r: f32) -> f32 {
        r
    }
}

impl Function for LeakyRelu {
    #[inline(always)]
    fn of(self, r: f32) -> f32 {
        let below = self.slope * r;
        if r >= 0.0 { r } else { below }
    }
}

impl Function for Snake {
    #[inline(always)]
    fn of(self, r: f32) -> f32 {
        r + sin_squared_of_half_turns(r * self.turns) * self.inverse
    }
}

/// 1.5 · 2²³. Added to a float of magnitude up to 2²², it leaves no bits for a fraction, so the addition rounds, half to
/// even. Unlike `round_ties_even` this is an instruction of every processor.
pub(super) const ROUNDING: f32 = 12_582_912.0;

/// `sin²(πt)`.
///
/// sin² has the period π, and the sign of the sine does not matter. So with `n` the integer nearest to `t`, the result is the
/// square of the sine of `πf`, where `f = t − n` lies in ±½.
///
/// **Reduction.** Up to `|t| = 2²²` both `n` and `f` are exact, `f` because where n ≠ 0, `t` lies within half and twice `n`
/// (Sterbenz). What is lost is lost before: `t = r · (α/π)` is rounded twice, by a relative `2⁻²⁴` each time, so the phase `αr` is
/// off by at most `1.2·10⁻⁷ · |αr|`, and since the slope of sin² is at most 1, so is the result for this reason. Of this,
/// half is what any sine of a product in float32 has to bear.
///
/// **Polynomial.** `sin(πf) ≈ f · p(f²)` with `p` of degree 4, by minimizing the largest relative error over ±½: `5.3·10⁻⁹`,
/// and `4.3·10⁻⁸` with coefficients in float32. The result is `f² · p²`, where `p` lies in 2..=π. In `p` the roundings of `P₁u`
/// (at most 1), of its sum with `P₀` (2), of all that is multiplied by `u²` (0.6) and of the last sum (2), in units of 2⁻²⁴,
/// are at most 2.6 relative ones, and that of `u` adds 0.5. Squaring doubles the 3.1, and three more are rounded by one each: `f²`,
/// the square, the product. So the roundings come to `9.2 · 2⁻²⁴ = 5.5·10⁻⁷`.
///
/// **Together** the error of `sin²(αr)` is at most `6.4·10⁻⁷ · sin²(αr) + 1.2·10⁻⁷ · |αr|`, for `|αr| ≤ 10⁷`. The first term, over every
/// float32 `t` from 2⁻⁴⁰ to ½, was found to be at most `4.3·10⁻⁷ · sin²(πt)`. Near 0 all of it is relative, which matters since
/// Snake divides by α. Further out the result is some number from 0 to a rounding above 1, as good as any: a float32 of that
/// size tells little of its phase. Of infinities and NaN it is NaN.
#[inline(always)]
pub(super) fn sin_squared_of_half_turns(t: f32) -> f32 {
    const P: [f32; 5] = [f32::consts::PI, -5.167_71, 2.550_069_8, -0.598_242_1, 0.077_560_38];
    let n = (t + ROUNDING) - ROUNDING;
    let f = t - n;
    let u = f * f;
    // Where `t` is so large that `f` is anything. Not `min`, which would make a number of NaN.
    let u = if u > 0.25 { 0.25 } else { u };
    let square = u * u;
    let sum = ((P[3] * u + P[2]) + P[4] * square) * square + (P[1] * u + P[0]);
    u * (sum * sum)
}
