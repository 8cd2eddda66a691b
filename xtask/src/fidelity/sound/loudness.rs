//! Loudness after ITU-R BS.1770-4.

use std::f64::consts::PI;

/// What silence is, in LKFS: the absolute threshold, below which nothing counts.
const SILENT: f64 = -70.0;

/// The rate for which the recommendation prints its coefficients.
const PRINTED_RATE: f64 = 48_000.0;

/// The gated loudness of one channel in LKFS, for any sample rate: −0.691 + 10 · log₁₀ of the mean square of the
/// K-weighted samples, over blocks of 400 ms every 100 ms that are above −70 LKFS and not more than 10 LU below the
/// mean of those. ITU-R BS.1770-4, annex 1.
///
/// Sound of less than 400 ms, of which the recommendation says nothing, is one block. Where no block is above the
/// threshold, as in silence, the loudness is −70 LKFS.
pub(super) fn loudness(samples: &[f32], rate: f64) -> f64 {
    let mut weighting = [shelf(rate), high_pass(rate)];
    let step = (rate / 10.0).round() as usize;
    let mut steps = Vec::with_capacity(samples.len() / step + 1);
    for chunk in samples.chunks(step) {
        let square = |sample: &f32| {
            let mut value = f64::from(*sample);
            for filter in &mut weighting {
                value = filter.next(value);
            }
            value * value
        };
        steps.push(chunk.iter().map(square).sum::<f64>());
    }
    let whole = samples.len() / step;
    let blocks: Vec<f64> = if whole < 4 {
        vec![steps.iter().sum::<f64>() / samples.len() as f64]
    } else {
        steps[..whole].windows(4).map(|window| window.iter().sum::<f64>() / (4 * step) as f64).collect()
    };
    let Some(above) = mean_above(&blocks, power(SILENT)) else { return SILENT };
    let threshold = power(SILENT).max(above / 10.0);
    mean_above(&blocks, threshold).map_or(SILENT, |power| -0.691 + 10.0 * power.log10())
}

/// The mean square that has a loudness of `lkfs`.
fn power(lkfs: f64) -> f64 {
    10.0_f64.powf((lkfs + 0.691) / 10.0)
}

/// The mean of the values above `threshold`.
fn mean_above(values: &[f64], threshold: f64) -> Option<f64> {
    let kept: Vec<_> = values.iter().copied().filter(|value| *value > threshold).collect();
    (!kept.is_empty()).then(|| kept.iter().sum::<f64>() / kept.len() as f64)
}

/// A filter of second order, transposed direct form II: b₀, b₁, b₂ over 1, a₁, a₂.
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
    state: [f64; 2],
}

impl Biquad {
    fn next(&mut self, x: f64) -> f64 {
        let y = self.b[0] * x + self.state[0];
        self.state = [self.b[1] * x - self.a[0] * y + self.state[1], self.b[2] * x - self.a[1] * y];
        y
    }
}

/// The first stage, a shelf that stands for the head. The recommendation prints coefficients for 48 kHz only; these
/// are the parameters of the analog filter whose bilinear transform they are (De Man, *Evaluation of implementations
/// of the EBU R128 loudness measurement*, 2018), transformed for `rate`.
fn shelf(rate: f64) -> Biquad {
    let gain = 10.0_f64.powf(3.999_843_853_973_347 / 20.0);
    let middle = gain.powf(0.499_666_774_154_541_6);
    let (k, damping) = (tangent(1_681.974_450_955_533, rate), 1.0 / 0.707_175_236_955_419_6);
    let a0 = 1.0 + damping * k + k * k;
    Biquad {
        b: [
            (gain + middle * damping * k + k * k) / a0,
            2.0 * (k * k - gain) / a0,
            (gain - middle * damping * k + k * k) / a0,
        ],
        a: [2.0 * (k * k - 1.0) / a0, (1.0 - damping * k + k * k) / a0],
        state: [0.0; 2],
    }
}

/// The second stage, a high-pass; parameters from the same source. The recommendation leaves its numerator at 1, −2,
/// 1, which is a gain of 0.04 dB at high frequencies for 48 kHz and would be twice that for 24 kHz: the gain of 48
/// kHz is part of the calibration, so it is kept for every rate.
fn high_pass(rate: f64) -> Biquad {
    let damping = 1.0 / 0.500_327_037_323_877_3;
    let denominator = |k: f64| 1.0 + damping * k + k * k;
    let k = tangent(38.135_470_876_024_44, rate);
    let a0 = denominator(k);
    let b0 = denominator(tangent(38.135_470_876_024_44, PRINTED_RATE)) / a0;
    Biquad {
        b: [b0, -2.0 * b0, b0],
        a: [2.0 * (k * k - 1.0) / a0, (1.0 - damping * k + k * k) / a0],
        state: [0.0; 2],
    }
}

/// Where the bilinear transform puts `frequency`.
fn tangent(frequency: f64, rate: f64) -> f64 {
    (PI * frequency / rate).tan()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fidelity::sound::SAMPLE_RATE;
    use crate::fidelity::sound::signals::{noise, scaled};

    fn sine(frequency: f64, seconds: f64, rate: f64, level: f64) -> Vec<f32> {
        let count = (seconds * rate) as usize;
        (0..count).map(|n| (level * (2.0 * PI * frequency * n as f64 / rate).sin()) as f32).collect()
    }

    #[test]
    fn the_coefficients_at_48_khz_are_those_of_the_recommendation() {
        let near = |found: f64, printed: f64| assert!((found - printed).abs() < 1e-11, "{found}, {printed}");
        let shelf = shelf(48_000.0);
        let printed = [1.535_124_859_586_97, -2.691_696_189_406_38, 1.198_392_810_852_85];
        shelf.b.into_iter().zip(printed).for_each(|(b, printed)| near(b, printed));
        near(shelf.a[0], -1.690_659_293_182_41);
        near(shelf.a[1], 0.732_480_774_215_85);
        let high_pass = high_pass(48_000.0);
        high_pass.b.into_iter().zip([1.0, -2.0, 1.0]).for_each(|(b, printed)| near(b, printed));
        near(high_pass.a[0], -1.990_047_454_833_98);
        near(high_pass.a[1], 0.990_072_250_366_21);
    }

    #[test]
    fn a_sine_of_997_hz_at_full_scale_is_3_01_below() {
        for rate in [SAMPLE_RATE, 48_000.0] {
            let found = loudness(&sine(997.0, 5.0, rate, 1.0), rate);
            assert!((found + 3.01).abs() < 0.02, "{found} LKFS at {rate} Hz");
        }
    }

    #[test]
    fn the_weighting_of_24_khz_is_that_of_48_khz() {
        for frequency in [40.0, 100.0, 500.0, 2000.0, 4000.0, 8000.0] {
            let [low, high] =
                [SAMPLE_RATE, 48_000.0].map(|rate| loudness(&sine(frequency, 3.0, rate, 0.5), rate));
            assert!((low - high).abs() < 0.1, "{frequency} Hz: {low} and {high} LKFS");
        }
    }

    #[test]
    fn twice_the_amplitude_is_6_02_louder() {
        let a = noise(7, 48_000, 0.05);
        let found = loudness(&scaled(&a, 2.0), SAMPLE_RATE) - loudness(&a, SAMPLE_RATE);
        assert!((found - 20.0 * 2.0_f64.log10()).abs() < 1e-6, "{found}");
    }

    #[test]
    fn pauses_do_not_count() {
        let tone = sine(997.0, 4.0, SAMPLE_RATE, 0.5);
        let alone = loudness(&tone, SAMPLE_RATE);
        let hiss = scaled(&noise(8, tone.len(), 1.0), 1e-3);
        let with_pause: Vec<f32> = tone.iter().chain(&hiss).copied().collect();
        // Only the blocks on the boundary let the pause in.
        assert!((loudness(&with_pause, SAMPLE_RATE) - alone).abs() < 0.3);
    }

    #[test]
    fn silence_and_short_sound() {
        assert_eq!(loudness(&vec![0.0; 24_000], SAMPLE_RATE), SILENT);
        assert_eq!(loudness(&[0.0], SAMPLE_RATE), SILENT);
        let short = loudness(&sine(997.0, 0.2, SAMPLE_RATE, 1.0), SAMPLE_RATE);
        assert!((short + 3.01).abs() < 0.1, "{short}");
    }
}
