//! Distances between magnitude spectra.

use super::SILENCE;
use super::stft::{Spectrogram, Stft};
use crate::fidelity::metric::bounded;

/// The resolutions of Yamamoto, Song and Kim, *Parallel `WaveGAN`* (2020), table 1: transform, window and hop in
/// samples. They were chosen for 24 kHz.
const RESOLUTIONS: [(usize, usize, usize); 3] = [(512, 240, 50), (1024, 600, 120), (2048, 1200, 240)];

/// The least magnitude of a bin in the log magnitude distance: its square is 10⁻⁷, as in the published code of
/// Parallel `WaveGAN`. That is some 120 dB below a sine at full scale.
const LEAST_MAGNITUDE: f64 = 3.162_277_660_168_379e-4;

/// Log-spectral distance in dB: the mean over frames and bins of |20 · log₁₀((|A| + f)/(|B| + f))|, f being 10⁻⁵ of
/// the largest |A|, with frames of 1024 samples every 256 under a Hann window. After Gray and Markel, *Distance
/// measures for speech processing* (1976), with the mean of magnitudes instead of squares.
///
/// Silence on both sides is 0 dB. Where the base is silent, f is [`SILENCE`], and whatever can be heard is more than
/// 100 dB away.
pub(super) fn log_spectral_distance(a: &Spectrogram, b: &Spectrogram) -> f64 {
    let floor = f64::from((1e-5 * a.max()).max(SILENCE));
    bounded(20.0 / std::f64::consts::LN_10 * mean_log_ratio(a.all(), b.all(), |magnitude| magnitude + floor))
}

/// The two distances of the multi-resolution STFT loss.
pub(super) struct MultiResolution {
    pub(super) convergence: f64,
    pub(super) log_magnitude: f64,
}

/// The two terms of the multi-resolution STFT loss of Yamamoto, Song and Kim (2020), each the mean over
/// [`RESOLUTIONS`]: the spectral convergence ‖|A| − |B|‖/‖|A|‖ of Frobenius norms, a ratio, and the log magnitude
/// distance, the mean of |ln|A| − ln|B||, in nepers. Frames are not centred on their first sample as there.
///
/// Silence on both sides is 0. Where the base is silent, the convergence of whatever can be heard is above 1000.
pub(super) fn multi_resolution(a: &[f32], b: &[f32]) -> MultiResolution {
    let (mut convergence, mut log_magnitude) = (0.0, 0.0);
    for (size, window, hop) in RESOLUTIONS {
        let stft = Stft::new(size, window, hop);
        let (a, b) = (stft.magnitudes(a), stft.magnitudes(b));
        let (mut error, mut energy) = (0.0, 0.0);
        for (&a, &b) in a.all().iter().zip(b.all()) {
            error += f64::from(a - b).powi(2);
            energy += f64::from(a).powi(2);
        }
        convergence += error.sqrt() / energy.sqrt().max(f64::from(SILENCE));
        log_magnitude += mean_log_ratio(a.all(), b.all(), |magnitude| magnitude.max(LEAST_MAGNITUDE));
    }
    let count = RESOLUTIONS.len() as f64;
    MultiResolution {
        convergence: bounded(convergence / count),
        log_magnitude: bounded(log_magnitude / count),
    }
}

/// The mean of |ln(A/B)|, in nepers, after both have passed through `raise`, which keeps them off 0.
///
/// A sum of logarithms is the logarithm of a product, and logarithms are what this takes its time for. Magnitudes are
/// below 10⁹ and raised ones above 10⁻⁹, so a product of eight ratios stays well within double precision.
fn mean_log_ratio(a: &[f32], b: &[f32], raise: impl Fn(f64) -> f64) -> f64 {
    let ratio = |(a, b): (&f32, &f32)| {
        let (a, b) = (raise(f64::from(*a)), raise(f64::from(*b)));
        a.max(b) / a.min(b)
    };
    let chunks = a.chunks(8).zip(b.chunks(8));
    let sum: f64 = chunks.map(|(a, b)| a.iter().zip(b).map(ratio).product::<f64>().ln()).sum();
    sum / a.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fidelity::sound::signals::{noise, scaled};

    fn lsd(a: &[f32], b: &[f32]) -> f64 {
        let stft = Stft::new(1024, 1024, 256);
        log_spectral_distance(&stft.magnitudes(a), &stft.magnitudes(b))
    }

    #[test]
    fn a_gain_is_its_decibels() {
        let a = noise(1, 24_000, 0.1);
        let two = 20.0 * 2.0_f64.log10();
        for gain in [2.0, 0.5] {
            let b = scaled(&a, gain);
            // The floor takes next to nothing off: the noise is some 90 dB above it.
            assert!((lsd(&a, &b) - two).abs() < 1e-2, "{}", lsd(&a, &b));
            let multi = multi_resolution(&a, &b);
            assert!((multi.log_magnitude - 2.0_f64.ln()).abs() < 1e-3, "{}", multi.log_magnitude);
            assert!((multi.convergence - f64::from((gain - 1.0).abs())).abs() < 1e-6);
        }
    }

    #[test]
    fn the_floor_is_a_hundred_decibels_below_the_largest() {
        let stft = Stft::new(1024, 1024, 256);
        let mut a = stft.magnitudes(&[0.0; 1024]);
        let mut b = stft.magnitudes(&[0.0; 1024]);
        (a.magnitudes_mut()[0], b.magnitudes_mut()[0]) = (100.0, 100.0);
        // f is 10⁻³: |20 · log₁₀(10⁻³ / (9 · 10⁻³ + 10⁻³))| = 20 dB in one of 513 bins.
        b.magnitudes_mut()[7] = 9e-3;
        assert!((log_spectral_distance(&a, &b) - 20.0 / 513.0).abs() < 1e-6);
    }

    #[test]
    fn ratios_count_on_both_sides() {
        // Ten of e, up and down, and one of e³, over more than a chunk.
        let e = std::f32::consts::E;
        let (mut a, mut b) = (vec![1.0; 20], vec![1.0; 20]);
        a[..5].fill(e);
        b[5..10].fill(e);
        b[19] = e * e * e;
        assert!((mean_log_ratio(&a, &b, |magnitude| magnitude) - 13.0 / 20.0).abs() < 1e-6);
        // The farthest that can be.
        assert!(mean_log_ratio(&[1e9; 8], &[0.0; 8], |magnitude| magnitude + 1e-9).is_finite());
    }

    #[test]
    fn silence() {
        let (silence, sound) = (vec![0.0; 3000], noise(2, 3000, 0.01));
        assert_eq!(lsd(&silence, &silence), 0.0);
        assert!(lsd(&silence, &sound) > 100.0);
        assert!(lsd(&sound, &silence) > 50.0);
        let multi = multi_resolution(&silence, &silence);
        assert_eq!((multi.convergence, multi.log_magnitude), (0.0, 0.0));
        assert!(multi_resolution(&silence, &sound).convergence > 1000.0);
        assert!((multi_resolution(&sound, &silence).convergence - 1.0).abs() < 1e-9);
    }
}
