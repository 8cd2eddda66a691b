//! What can be told from the samples as they are.

use super::measurable;

/// The signal-to-noise ratio of an exact copy, and its negative of noise alone, in dB. Single precision ends before.
const SNR_LIMIT: f64 = 200.0;

/// The level that stands for a peak of nothing: −100 dB of full scale.
const LEAST_PEAK: f64 = 1e-5;

/// Full scale. A WAV file clamps what is beyond.
const RAIL: f32 = 1.0;

/// As many samples in a row at the rail are a clipped run. One or two may be the tip of a wave.
const RUN: usize = 3;

/// The signal-to-noise ratio in dB: 10 · log₁₀(Σa²/Σ(a − b)²), over the whole sentence, within ±[`SNR_LIMIT`]. An
/// exact copy has the limit, silence of both included; where only the base is silent, it is the negative of it.
pub(super) fn signal_to_noise(a: &[f32], b: &[f32]) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        signal += f64::from(a).powi(2);
        noise += (f64::from(a) - f64::from(b)).powi(2);
    }
    if noise == 0.0 {
        return SNR_LIMIT;
    }
    (10.0 * (signal / noise).log10()).clamp(-SNR_LIMIT, SNR_LIMIT)
}

/// How much higher the candidate peaks, in dB: 20 · log₁₀(max|b|/max|a|), each at least [`LEAST_PEAK`], so that
/// silence of both is 0.
pub(super) fn peak_difference(a: &[f32], b: &[f32]) -> f64 {
    let peak =
        |samples: &[f32]| samples.iter().map(|sample| f64::from(sample.abs())).fold(LEAST_PEAK, f64::max);
    20.0 * (peak(b) / peak(a)).log10()
}

/// Runs of at least [`RUN`] samples at which the candidate is at or beyond full scale and the base is not. A sample
/// that is no number is a run.
pub(super) fn clipped_runs(a: &[f32], b: &[f32]) -> usize {
    let (mut runs, mut length) = (0, 0);
    for (a, b) in a.iter().zip(b) {
        if !measurable(*b) {
            runs += 1;
            length = 0;
        } else if b.abs() >= RAIL && a.abs() < RAIL {
            length += 1;
            runs += usize::from(length == RUN);
        } else {
            length = 0;
        }
    }
    runs
}

/// How far the candidate's mean is from the base's, relative to full scale: Σ(b − a)/n.
pub(super) fn offset(a: &[f32], b: &[f32]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*b) - f64::from(*a)).sum();
    sum / a.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fidelity::sound::signals::{noise, scaled, sum};

    #[test]
    fn noise_at_a_known_ratio() {
        let a = noise(9, 24_000, 0.1);
        let energy = |samples: &[f32]| samples.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>();
        let other = noise(10, 24_000, 0.1);
        for expected in [-10.0, 0.0, 20.0, 60.0] {
            let gain = (energy(&a) / energy(&other) / 10.0_f64.powf(expected / 10.0)).sqrt();
            let found = signal_to_noise(&a, &sum(&a, &scaled(&other, gain as f32)));
            assert!((found - expected).abs() < 1e-3, "{found}, expected {expected}");
        }
    }

    #[test]
    fn ratios_by_hand() {
        // Signal 1 + 4 + 9 + 1 = 15, noise 0.25 · 3 = 0.75.
        let a = [1.0, -2.0, 3.0, 1.0];
        let found = signal_to_noise(&a, &[1.5, -2.5, 3.0, 0.5]);
        assert!((found - 10.0 * 20.0_f64.log10()).abs() < 1e-12);
        assert_eq!(signal_to_noise(&a, &a), 200.0);
        assert_eq!(signal_to_noise(&a, &[0.0; 4]), 0.0);
        assert_eq!(signal_to_noise(&[0.0; 4], &[0.0; 4]), 200.0);
        assert_eq!(signal_to_noise(&[0.0; 4], &a), -200.0);
    }

    #[test]
    fn peaks() {
        assert!((peak_difference(&[0.1, -0.25], &[0.5, 0.2]) - 20.0 * 2.0_f64.log10()).abs() < 1e-6);
        assert!((peak_difference(&[0.5], &[-0.05]) + 20.0).abs() < 1e-6);
        assert_eq!(peak_difference(&[0.0], &[0.0]), 0.0);
        assert!((peak_difference(&[0.0], &[1.0]) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn runs_at_the_rail() {
        let quiet = [0.0; 8];
        for (b, runs) in [
            ([1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], 0),
            ([1.0, -1.0, 1.5, 0.0, 0.0, 0.0, 0.0, 0.0], 1),
            ([1.0; 8], 1),
            ([1.0, 1.0, 1.0, 0.999, -2.0, -2.0, -2.0, -2.0], 2),
            ([f32::NAN, 0.0, f32::INFINITY, 1.0, 1.0, f32::NAN, 1.0, 1.0], 3),
        ] {
            assert_eq!(clipped_runs(&quiet, &b), runs, "{b:?}");
        }
        // What the base does itself is not the candidate's fault, and one more sample is no run.
        assert_eq!(clipped_runs(&[0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0], &[1.0; 8]), 1);
        assert_eq!(clipped_runs(&[0.0, 1.0, 1.0, 1.0], &[1.0; 4]), 0);
    }

    #[test]
    fn offsets() {
        assert_eq!(offset(&[0.5, -0.5, 0.25, -0.25], &[0.75, -0.25, 0.5, 0.0]), 0.25);
        assert_eq!(offset(&[0.5, 0.5], &[0.5, 0.25]), -0.125);
    }
}
