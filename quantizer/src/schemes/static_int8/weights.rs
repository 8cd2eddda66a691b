//! The integers of one convolution.

use super::balance::Input;
use super::convolution::{Convolution, MIDDLE};

/// Quantized weights, with what makes the output come out in its own units.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// As the float weights, [outputs, per group, kernel].
    pub levels: Vec<i8>,
    /// `u_o / t_o` for each output channel.
    pub multipliers: Vec<f32>,
    pub bias: Vec<i32>,
    /// The bias where the scales of input and output are larger.
    pub edge_bias: Vec<i32>,
}

impl Weights {
    /// Folds the scales of the input into the weights, and quantizes them with one scale for each output channel.
    ///
    /// Where the scales of the input are `times[0]` times as large, and those of the output `times[1]` times, the same integers
    /// do, but for the bias.
    ///
    /// The bias also takes up what the rounding of weights changes in the mean: `Σ (w − ŵ) · mean_c`.
    pub fn quantize(
        convolution: &Convolution<'_>,
        input: &Input,
        weight_levels: u8,
        times: [f32; 2],
    ) -> Self {
        let mut weights = Self {
            levels: Vec::with_capacity(convolution.weights.len()),
            multipliers: Vec::with_capacity(convolution.outputs),
            bias: Vec::with_capacity(convolution.outputs),
            edge_bias: Vec::with_capacity(convolution.outputs),
        };
        for output in 0..convolution.outputs {
            let first = convolution.first_input(output);
            let scales = &input.scales[first..first + convolution.per_group];
            let kernel = convolution.kernel;
            let folded: Vec<f64> = convolution
                .row(output)
                .chunks_exact(kernel)
                .zip(scales)
                .flat_map(|(taps, &scale)| taps.iter().map(move |&tap| f64::from(tap) * f64::from(scale)))
                .collect();
            // How much an error of a folded weight counts: the power of the input in units of its scale.
            let power: Vec<f64> = scales
                .iter()
                .zip(&input.variances[first..])
                .map(|(&scale, variance)| variance / f64::from(scale).powi(2))
                .collect();
            let row = Row { folded: &folded, power: &power, kernel, levels: f64::from(weight_levels) };
            let unit = f64::from(convolution.output_scales[output]);
            let offset = (f64::from(convolution.output_zeros[output]) - f64::from(MIDDLE)) * unit;
            let float_bias = f64::from(convolution.bias[output]) + offset;
            let scale = row.scale(unit, float_bias);

            let mut moved = 0.0;
            for (at, &weight) in folded.iter().enumerate() {
                let level = row.level(weight, scale);
                let channel = at / kernel;
                moved += (weight - level * scale) / f64::from(scales[channel]) * input.means[first + channel];
                weights.levels.push(level as i8);
            }
            weights.multipliers.push((scale / unit) as f32);
            // Rounds half to even and saturates.
            weights.bias.push(((float_bias + moved) / scale).round_ties_even() as i32);
            let [before, after] = times.map(f64::from);
            let at_edges = f64::from(convolution.bias[output]) + moved + offset * after;
            weights.edge_bias.push((at_edges / (scale * before)).round_ties_even() as i32);
        }
        weights
    }
}

/// The folded weights of one output channel.
struct Row<'a> {
    folded: &'a [f64],
    /// One for each input channel, that is for each `kernel` weights.
    power: &'a [f64],
    kernel: usize,
    /// The largest level.
    levels: f64,
}

impl Row<'_> {
    /// Rounds half to even and clamps, still as a float: as `int8` does in f32, 1.5 · 2⁵² leaves no room for a fraction.
    #[inline]
    fn level(&self, weight: f64, scale: f64) -> f64 {
        const NO_FRACTION: f64 = 6_755_399_441_055_744.0;
        let (ratio, levels) = (weight / scale, self.levels);
        let ratio = if ratio < -levels { -levels } else { ratio };
        let ratio = if ratio > levels { levels } else { ratio };
        (ratio + NO_FRACTION) - NO_FRACTION
    }

    /// The scale with the least error, among those that leave room for the bias in 32 bits.
    ///
    /// As for stored weights, clipping the largest can pay: 16 scales from the full range down to 70 % are tried.
    fn scale(&self, unit: f64, bias: f64) -> f64 {
        const STEPS: u8 = 16;
        const STEP: f64 = 0.02;
        const ROOM: f64 = (1 << 30) as f64;
        let largest = self.folded.iter().fold(0.0f64, |largest, weight| largest.max(weight.abs()));
        let full = largest / self.levels;
        // The operator keeps the multiplier as a float32, which must not vanish.
        let least = (bias.abs() / ROOM).max(unit * 1e-30);
        if full <= least {
            // Nothing but the bias counts.
            return least.max(unit / 1024.0);
        }
        let tried = (0..STEPS).map(|step| full * (1.0 - STEP * f64::from(step)));
        let mut best = (full, f64::INFINITY);
        let mut squares = vec![0.0; self.folded.len()];
        for scale in tried.filter(|&scale| scale >= least) {
            let error = self.error(scale, best.1, &mut squares);
            if error < best.1 {
                best = (scale, error);
            }
        }
        best.0
    }

    /// The squared error that `scale` makes. A sum that has reached `limit` is returned as it is, since no channel makes it
    /// smaller. `squares` is room for as many numbers as there are weights.
    fn error(&self, scale: f64, limit: f64, squares: &mut [f64]) -> f64 {
        // So many that the loop over their weights, which is vectorized, is a long one.
        const CHANNELS: usize = 32;
        let weights = self.folded.chunks(CHANNELS * self.kernel);
        let squares = squares.chunks_mut(CHANNELS * self.kernel);
        let mut sum = 0.0;
        for ((weights, squares), power) in weights.zip(squares).zip(self.power.chunks(CHANNELS)) {
            for (square, &weight) in squares.iter_mut().zip(weights) {
                let difference = weight - self.level(weight, scale) * scale;
                *square = difference * difference;
            }
            for (taps, power) in squares.chunks_exact(self.kernel).zip(power) {
                sum += power * taps.iter().sum::<f64>();
            }
            if sum >= limit {
                break;
            }
        }
        sum
    }
}
