//! Mean and variance of a channel over time.

use super::Kernels;
use super::dispatch::Kernel;
use super::vectors::Vectors;

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
    pub fn of(values: &[f32], kernels: Kernels) -> Self {
        kernels.run(Floats { values })
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
