//! Mean and variance of a channel over time.

use super::dispatch::Kernel;
use super::vectors::Vectors;
use super::{Kernels, Levels, Quantization};

/// How many sums go side by side, and how many values each of them takes at once. Fixed, so that the order of additions is the
/// same for every instruction set; as many as a compiler leaves in a loop, which it turns into vectors of any length.
const LANES: usize = 64;
const AT_ONCE: usize = 4;

/// Mean and variance (of the population, as norms take it) of the values of a channel; 0 and 0 of no values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// The mean.
    pub mean: f64,
    /// The variance.
    pub variance: f64,
}

impl Statistics {
    /// Those of `values`. NaN where a value is NaN or infinite.
    ///
    /// One pass: the first value `x₀` is taken from all, and differences and their squares are summed in float64, where
    /// both are exact but for their last bit. The variance is `E[d²] − E[d]²`, in which digits cancel if the mean is far from
    /// `x₀`; but no sample is further from the mean than `√(T − 1)` standard deviations (Samuelson 1968), so of T
    /// values it is right to a relative `T · 2⁻⁵¹`: better than float32 can tell up to 2²⁷ values. A channel that is
    /// constant has the variance 0 and the mean `x₀`, exactly.
    pub fn of_floats(values: &[f32], kernels: Kernels) -> Self {
        kernels.run(Floats { values })
    }

    /// Those of what the levels of `x` stand for, but for the rounding of each to float32.
    ///
    /// The sums behind those of the body and those of the ends are of integers, so exact. Both are put together by the formulas
    /// of Chan and others (1979), in float64: with the shares `p` and `q` of the values, and the distance `d` between
    /// the means, the mean is `μ + d·q` and the variance `p·σ² + q·σₑ² + p·q·d²`, of which no term is negative.
    ///
    /// Let `R` be the largest magnitude that a level can stand for. Each of the means is right to `2⁻⁵¹ · R`; with the
    /// roundings behind them `d` and the mean of all are to `2⁻⁴⁹ · R`. As `p·q·d²` is at most the variance `V`, and `p·q` at most
    /// ¼, what `d` lacks moves the variance by at most `2⁻⁴⁹ · R·√V + 2⁻¹⁰⁰ · R²`, and all roundings by `2⁻⁴⁹ · V`.
    pub fn of_levels(x: Levels<'_>, kernels: Kernels) -> Self {
        let body = Self::of_sums(&[x.body], x.from, kernels);
        let count = x.first.len() + x.last.len();
        if count == 0 {
            return body;
        }
        let ends = Self::of_sums(&[x.first, x.last], x.ends_from, kernels);
        let all = x.count() as f64;
        let (p, q) = (x.body.len() as f64 / all, count as f64 / all);
        let distance = ends.mean - body.mean;
        Self {
            mean: body.mean + distance * q,
            variance: (body.variance * p + ends.variance * q) + distance * distance * (p * q),
        }
    }

    /// Those of levels that are in several parts.
    fn of_sums(parts: &[&[u8]], quantization: Quantization, kernels: Kernels) -> Self {
        let count: usize = parts.iter().map(|levels| levels.len()).sum();
        if count == 0 {
            return Self::default();
        }
        let sums = parts.iter().map(|levels| kernels.run(Sums { levels }));
        let (sum, squares) = sums.fold((0, 0), |sums, more| (sums.0 + more.0, sums.1 + more.1));
        // The variance is that of n·x over n², with a numerator that is not negative (Cauchy and Schwarz).
        let spread = (count as u128 * u128::from(squares) - u128::from(sum).pow(2)) as f64;
        let (count, scale) = (count as f64, f64::from(quantization.scale));
        let mean = sum as f64 / count - f64::from(quantization.zero);
        Self { mean: scale * mean, variance: scale * scale * (spread / count / count) }
    }
}

struct Floats<'a> {
    values: &'a [f32],
}

impl Kernel for Floats<'_> {
    type Output = Statistics;

    #[inline(always)]
    fn run<V: Vectors>(self, _: V) -> Statistics {
        let Some(&first) = self.values.first() else { return Statistics::default() };
        let first = f64::from(first);
        let (mut sums, mut squares) = ([0.0; LANES], [0.0; LANES]);
        let (rows, rest) = self.values.as_chunks::<LANES>();
        let (blocks, rows) = rows.as_chunks::<AT_ONCE>();
        for [a, b, c, d] in blocks {
            for lane in 0..LANES {
                let [a, b, c, d] = [a, b, c, d].map(|row| f64::from(row[lane]) - first);
                sums[lane] += (a + b) + (c + d);
                squares[lane] += (a * a + b * b) + (c * c + d * d);
            }
        }
        for row in rows.iter().map(<[f32; LANES]>::as_slice).chain([rest]) {
            for ((sum, square), &value) in sums.iter_mut().zip(&mut squares).zip(row) {
                let difference = f64::from(value) - first;
                *sum += difference;
                *square += difference * difference;
            }
        }
        let count = self.values.len() as f64;
        let offset = folded(sums) / count;
        let variance = folded(squares) / count - offset * offset;
        // Not `max`, which would make a number of NaN.
        Statistics { mean: first + offset, variance: if variance < 0.0 { 0.0 } else { variance } }
    }
}

/// The sum of all lanes: the upper half on the lower, until one is left.
#[inline(always)]
fn folded(mut lanes: [f64; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

struct Sums<'a> {
    levels: &'a [u8],
}

impl Kernel for Sums<'_> {
    type Output = (u64, u64);

    /// The sum of the levels and of their squares.
    #[inline(always)]
    fn run<V: Vectors>(self, _: V) -> (u64, u64) {
        /// As many squares as a u32 holds the sum of.
        const BLOCK: usize = 1 << 16;
        let (mut sum, mut squares) = (0, 0);
        for block in self.levels.chunks(BLOCK) {
            // Wrapping, since a check of each addition would keep the compiler from doing many at once.
            let (mut block_sum, mut block_squares) = (0_u32, 0_u32);
            for &level in block {
                let level = u32::from(level);
                block_sum = block_sum.wrapping_add(level);
                block_squares = block_squares.wrapping_add(level.wrapping_mul(level));
            }
            sum += u64::from(block_sum);
            squares += u64::from(block_squares);
        }
        (sum, squares)
    }
}
