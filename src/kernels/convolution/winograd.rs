//! Minimal filtering: four neighbouring outputs of a filter of two, three or four taps with five, six or seven
//! multiplications (Toom 1963, Cook 1966; Winograd 1980; Lavin and Gray 2016).
//!
//! Samples and taps are brought to some points, multiplied there, and the outputs are sums of the products. For the finite points
//! `aⱼ`, `M(z) = Π (z − aⱼ)` and `Mⱼ = M / (z − aⱼ)`:
//!
//! | | at `aⱼ` | at infinity |
//! |---|---|---|
//! | samples | `Σ xₖ · (coefficient of zᵏ in Mⱼ)` | `Σ xₖ · (coefficient of zᵏ in M)` |
//! | taps | `Σ wₖ · aⱼᵏ / Mⱼ(aⱼ)` | the last one |
//! | its share in output `i` | `aⱼⁱ` | 1 in the last one |
//!
//! Points ±a share all but one addition. Those here were searched for in steps of 1/16 and, for four taps, 1/8: the error of a sum over 256
//! channels of normal numbers is 1.8, 2.3 and 3.3 times that of a plain one in float32; with 0, ±1, 2, −2 and ½, as many as it takes, it is 2.8, 3.1 and 4.1 times that.

/// How many neighbouring outputs are computed together.
pub(super) const OUTPUTS: usize = 4;

/// The most points that a filter has.
pub(super) const MOST: usize = 7;

/// A minimal filter. Of what it takes and gives, only the first values count: there are `POINTS` samples and points.
pub(super) trait Filter {
    /// How many taps it has.
    const TAPS: usize;
    /// How many points it has: `TAPS + OUTPUTS − 1`.
    const POINTS: usize = Self::TAPS + OUTPUTS - 1;

    /// Samples, brought to the points.
    fn samples(x: [f32; MOST]) -> [f32; MOST];

    /// Taps, brought to the points.
    fn taps(w: [f32; 4]) -> [f32; MOST];

    /// Outputs from the products at the points.
    fn outputs(m: [f32; MOST]) -> [f32; OUTPUTS];
}

/// Two taps: points ±A, ±B, ∞.
pub(super) struct Two;

/// Three taps: points ±A, ±B, ∞, 0.
pub(super) struct Three;

/// Four taps: points ±A, ±B, ±C, ∞.
pub(super) struct Four;

/// Sum and difference.
#[inline(always)]
fn pair(a: f32, b: f32) -> [f32; 2] {
    [a + b, a - b]
}

/// `(z² − a²)(z² − b²)` of every second sample, with the squares of the points.
#[inline(always)]
fn quartic(x: [f32; 3], a: f32, b: f32) -> f32 {
    x[2] - (a + b) * x[1] + (a * b) * x[0]
}

/// What all pairs have in the outputs.
#[inline(always)]
fn sums<const PAIRS: usize>(m: [f32; MOST], points: [f32; PAIRS]) -> [f32; OUTPUTS] {
    let mut y = [0.0; OUTPUTS];
    for index in 0..PAIRS {
        let a = points[index];
        let [even, odd] = pair(m[2 * index], m[2 * index + 1]);
        y[0] += even;
        y[1] += a * odd;
        y[2] += (a * a) * even;
        y[3] += (a * a * a) * odd;
    }
    y
}

impl Two {
    const A: f32 = 5.0 / 16.0;
    const B: f32 = 21.0 / 16.0;
}

impl Filter for Two {
    const TAPS: usize = 2;

    #[inline(always)]
    fn samples(x: [f32; MOST]) -> [f32; MOST] {
        let (a, b) = (Self::A * Self::A, Self::B * Self::B);
        let [a0, a1] = pair(x[3] - b * x[1], Self::A * (x[2] - b * x[0]));
        let [b0, b1] = pair(x[3] - a * x[1], Self::B * (x[2] - a * x[0]));
        [a0, a1, b0, b1, quartic([x[0], x[2], x[4]], a, b), 0.0, 0.0]
    }

    #[inline(always)]
    fn taps(w: [f32; 4]) -> [f32; MOST] {
        let scale = |own: f32, other: f32| 2.0 * own * (own * own - other * other);
        let (a, b) = (scale(Self::A, Self::B), scale(Self::B, Self::A));
        let [a0, a1] = pair(w[1] * (Self::A / a), w[0] * (1.0 / a));
        let [b0, b1] = pair(w[1] * (Self::B / b), w[0] * (1.0 / b));
        [a0, a1, b0, b1, w[1], 0.0, 0.0]
    }

    #[inline(always)]
    fn outputs(m: [f32; MOST]) -> [f32; OUTPUTS] {
        let [y0, y1, y2, y3] = sums(m, [Self::A, Self::B]);
        [y0, y1, y2, y3 + m[4]]
    }
}

impl Three {
    const A: f32 = 10.0 / 16.0;
    const B: f32 = 29.0 / 16.0;
}

impl Filter for Three {
    const TAPS: usize = 3;

    #[inline(always)]
    fn samples(x: [f32; MOST]) -> [f32; MOST] {
        let (a, b) = (Self::A * Self::A, Self::B * Self::B);
        let [a0, a1] = pair(x[4] - b * x[2], Self::A * (x[3] - b * x[1]));
        let [b0, b1] = pair(x[4] - a * x[2], Self::B * (x[3] - a * x[1]));
        let infinite = quartic([x[1], x[3], x[5]], a, b);
        [a0, a1, b0, b1, infinite, quartic([x[0], x[2], x[4]], a, b), 0.0]
    }

    #[inline(always)]
    fn taps(w: [f32; 4]) -> [f32; MOST] {
        let (a, b) = (Self::A * Self::A, Self::B * Self::B);
        let (scale_a, scale_b) = (2.0 * a * (a - b), 2.0 * b * (b - a));
        let [a0, a1] = pair(w[0] * (1.0 / scale_a) + w[2] * (a / scale_a), w[1] * (Self::A / scale_a));
        let [b0, b1] = pair(w[0] * (1.0 / scale_b) + w[2] * (b / scale_b), w[1] * (Self::B / scale_b));
        [a0, a1, b0, b1, w[2], w[0] * (1.0 / (a * b)), 0.0]
    }

    #[inline(always)]
    fn outputs(m: [f32; MOST]) -> [f32; OUTPUTS] {
        let [y0, y1, y2, y3] = sums(m, [Self::A, Self::B]);
        [y0 + m[5], y1, y2, y3 + m[4]]
    }
}

impl Four {
    const A: f32 = 4.0 / 16.0;
    const B: f32 = 14.0 / 16.0;
    const C: f32 = 28.0 / 16.0;

    /// Samples at ±`own`, with the squares of the two other points.
    #[inline(always)]
    fn samples_at(x: [f32; MOST], own: f32, a: f32, b: f32) -> [f32; 2] {
        pair(quartic([x[1], x[3], x[5]], a, b), own * quartic([x[0], x[2], x[4]], a, b))
    }

    /// Taps at ±`own`, likewise.
    #[inline(always)]
    fn taps_at(w: [f32; 4], own: f32, a: f32, b: f32) -> [f32; 2] {
        let square = own * own;
        let scale = 2.0 * own * (square - a) * (square - b);
        let odd = w[1] * (own / scale) + w[3] * (square * own / scale);
        pair(odd, w[0] * (1.0 / scale) + w[2] * (square / scale))
    }
}

impl Filter for Four {
    const TAPS: usize = 4;

    #[inline(always)]
    fn samples(x: [f32; MOST]) -> [f32; MOST] {
        let (a, b, c) = (Self::A * Self::A, Self::B * Self::B, Self::C * Self::C);
        let [a0, a1] = Self::samples_at(x, Self::A, b, c);
        let [b0, b1] = Self::samples_at(x, Self::B, a, c);
        let [c0, c1] = Self::samples_at(x, Self::C, a, b);
        let infinite = (x[6] - (a + b + c) * x[4]) + ((a * b + a * c + b * c) * x[2] - (a * b * c) * x[0]);
        [a0, a1, b0, b1, c0, c1, infinite]
    }

    #[inline(always)]
    fn taps(w: [f32; 4]) -> [f32; MOST] {
        let (a, b, c) = (Self::A * Self::A, Self::B * Self::B, Self::C * Self::C);
        let [a0, a1] = Self::taps_at(w, Self::A, b, c);
        let [b0, b1] = Self::taps_at(w, Self::B, a, c);
        let [c0, c1] = Self::taps_at(w, Self::C, a, b);
        [a0, a1, b0, b1, c0, c1, w[3]]
    }

    #[inline(always)]
    fn outputs(m: [f32; MOST]) -> [f32; OUTPUTS] {
        let [y0, y1, y2, y3] = sums(m, [Self::A, Self::B, Self::C]);
        [y0, y1, y2, y3 + m[6]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outputs of a filter, next to the plain sums.
    fn check<F: Filter>() {
        for seed in 0..50_u16 {
            let number = |at: usize| f32::from((seed * 31 + at as u16 * 17) % 23) / 4.0 - 2.5;
            let x: [f32; MOST] = std::array::from_fn(|at| if at < F::POINTS { number(at) } else { f32::NAN });
            let w: [f32; 4] = std::array::from_fn(|at| if at < F::TAPS { number(at + 20) } else { f32::NAN });
            let (at_points, taps) = (F::samples(x), F::taps(w));
            let found = F::outputs(std::array::from_fn(|at| at_points[at] * taps[at]));
            for (output, found) in found.into_iter().enumerate() {
                let plain: f32 = (0..F::TAPS).map(|tap| w[tap] * x[output + tap]).sum();
                assert!((found - plain).abs() < 2e-4, "{} taps, output {output}: {found}, {plain}", F::TAPS);
            }
        }
    }

    #[test]
    fn minimal_filters_are_filters() {
        check::<Two>();
        check::<Three>();
        check::<Four>();
    }
}
