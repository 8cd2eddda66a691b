//! The scales of a quantized input, balanced against those of the weights that they are folded into.

use super::convolution::Convolution;
use crate::calibration::Channel;

/// How a value is quantized.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// One for each channel.
    pub scales: Vec<f32>,
    /// One for all channels: what the operator pads with, which must stand for 0.
    pub zero: u8,
    /// The mean of each channel.
    pub means: Vec<f64>,
    /// The variance of each channel.
    pub variances: Vec<f64>,
}

impl Input {
    /// Chooses zero point and scales by the error that they make in what the `readers` compute.
    ///
    /// Rounding an input channel of scale `s` adds a noise of power `s²/12` to it (Widrow 1956). Rounding folded
    /// weights of scale `u` adds, at each tap, `u²/12` times the power of the input in units of `s`. An output channel
    /// counts in units of its own scale `t`. With the norm of the weights, the squared error of all outputs is
    ///
    /// `Σ_c s_c²/12 · Σ_o,k w²/t_o²  +  Σ_o u_o²/12/t_o² · kernel · Σ_c var_c/s_c²`
    ///
    /// The first term wants scales as small as the ranges let them be. For a channel that matters little, a larger
    /// scale lowers the second term by more, as long as it is another channel that has the largest folded weight: the
    /// two terms of a channel balance where `s_c⁴ = kernel · Σ_o u_o²/t_o² · var_c / Σ_o,k w²/t_o²`.
    pub fn balanced(channels: &[Channel], readers: &[&Convolution<'_>], weight_levels: u8) -> Self {
        const ROUNDS: usize = 8;
        let variance = |channel: &Channel| {
            let mean = f64::from(channel.mean);
            (f64::from(channel.mean_square) - mean * mean).max(0.0)
        };
        let variances: Vec<f64> = channels.iter().map(variance).collect();
        let weight: Vec<f64> = importance(channels.len(), readers);
        let (zero, tight) = tight(channels, &weight);

        let largest: Vec<Vec<f32>> = readers.iter().map(|reader| largest_taps(reader)).collect();
        let readers: Vec<_> = readers.iter().copied().zip(&*largest).collect();
        let costs = |scales: &[f64]| Costs::new(scales, &variances, &weight, &readers, weight_levels);
        let mut now = costs(&tight);
        let mut least = now.sum;
        let mut scales = tight.clone();
        let mut trial = tight.clone();
        for _ in 0..ROUNDS {
            for (channel, scale) in trial.iter_mut().enumerate() {
                if weight[channel] > 0.0 {
                    let balanced =
                        (now.of_weights[channel] * variances[channel] / weight[channel]).sqrt().sqrt();
                    // Half-way in each round, since a larger scale may raise that of the weights.
                    *scale = (balanced * *scale).sqrt().clamp(tight[channel], 64.0 * tight[channel]);
                }
            }
            now = costs(&trial);
            if now.sum < least {
                scales.clone_from(&trial);
                least = now.sum;
            }
        }
        Self {
            scales: scales.into_iter().map(|scale| scale as f32).collect(),
            zero,
            means: channels.iter().map(|channel| f64::from(channel.mean)).collect(),
            variances,
        }
    }
}

/// For each input channel, `Σ w²/t_o²` over all that reads it.
fn importance(channels: usize, readers: &[&Convolution<'_>]) -> Vec<f64> {
    let mut weight = vec![0.0; channels];
    for reader in readers {
        for output in 0..reader.outputs {
            let scale = f64::from(reader.output_scales[output]);
            let first = reader.first_input(output);
            for (at, taps) in reader.row(output).chunks_exact(reader.kernel).enumerate() {
                let square: f64 = taps.iter().map(|&tap| f64::from(tap).powi(2)).sum();
                weight[first + at] += square / (scale * scale);
            }
        }
    }
    weight
}

/// The zero point that makes the least error, and the smallest scales that cover the ranges with it.
fn tight(channels: &[Channel], weight: &[f64]) -> (u8, Vec<f64>) {
    let scale = |channel: &Channel, zero: u8| {
        let side = |end: f32, levels: u8| match (end == 0.0, levels) {
            (true, _) => 0.0,
            (false, 0) => f64::INFINITY,
            (false, levels) => f64::from(end.abs()) / f64::from(levels),
        };
        side(channel.low, zero).max(side(channel.high, u8::MAX - zero))
    };
    let error = |zero: u8| -> f64 {
        let of = |(channel, weight): (&Channel, &f64)| {
            scale(channel, zero).powi(2) * weight.max(f64::MIN_POSITIVE)
        };
        channels.iter().zip(weight).map(of).sum()
    };
    // From the middle outwards would be the same: the first of equals stays.
    let zero =
        (0..=u8::MAX).min_by(|&a, &b| error(a).total_cmp(&error(b))).unwrap_or(super::convolution::MIDDLE);
    let mut scales: Vec<f64> = channels.iter().map(|channel| scale(channel, zero)).collect();
    // A channel that was always 0 gets the finest scale of the others, so that its weights do not count.
    let usable = |scale: f64| scale >= f64::from(f32::MIN_POSITIVE);
    let finest = scales.iter().copied().filter(|&scale| usable(scale)).min_by(f64::total_cmp).unwrap_or(1.0);
    for scale in &mut scales {
        if !usable(*scale) {
            *scale = finest;
        }
    }
    (zero, scales)
}

/// The largest magnitude of the taps from each input channel to each output channel, [outputs, per group].
fn largest_taps(convolution: &Convolution<'_>) -> Vec<f32> {
    let taps = convolution.weights.chunks_exact(convolution.kernel);
    taps.map(|taps| taps.iter().fold(0f32, |largest, tap| largest.max(tap.abs()))).collect()
}

/// The squared error that some scales make, but for the factor 1/12.
struct Costs {
    sum: f64,
    /// For each input channel, `Σ kernel · u_o²/t_o²` over what reads it.
    of_weights: Vec<f64>,
}

impl Costs {
    /// The `readers` come with their [largest taps](largest_taps), which do not depend on scales.
    fn new(
        scales: &[f64],
        variances: &[f64],
        weight: &[f64],
        readers: &[(&Convolution<'_>, &Vec<f32>)],
        weight_levels: u8,
    ) -> Self {
        let mut of_weights = vec![0.0; scales.len()];
        for (reader, largest) in readers {
            for (output, taps) in largest.chunks_exact(reader.per_group).enumerate() {
                let first = reader.first_input(output);
                let folded = taps.iter().zip(&scales[first..]).map(|(&tap, scale)| f64::from(tap) * scale);
                let largest = folded.fold(0.0f64, f64::max);
                let step = largest / f64::from(weight_levels) / f64::from(reader.output_scales[output]);
                let power = reader.kernel as f64 * step * step;
                for sum in &mut of_weights[first..first + reader.per_group] {
                    *sum += power;
                }
            }
        }
        let of = |channel: usize| {
            let square = scales[channel] * scales[channel];
            square * weight[channel] + of_weights[channel] * variances[channel] / square
        };
        Self { sum: (0..scales.len()).map(of).sum(), of_weights }
    }
}
