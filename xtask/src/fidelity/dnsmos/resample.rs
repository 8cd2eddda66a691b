//! From the rate of Kokoro to that of DNSMOS.

use anyhow::{Context as _, Result};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

use super::RATE;

/// Samples of the filter, a multiple of 3 for the ratio of 2 : 3. With so many it begins to fall at 7.3 kHz and is down by
/// half at 7.66 kHz, as the filter is (HQ of `soxr`) that the package resamples with. The highest bands of the P.808
/// network lie there, and a sharper one adds a tenth to its score.
const CHUNK: usize = 480;

/// `samples` at 24 kHz as two thirds as many at 16 kHz, without delay.
pub(super) fn to_16_khz(samples: &[f32]) -> Result<Vec<f32>> {
    let from = kokoro_model::SAMPLE_RATE as usize;
    let window = WindowFunction::BlackmanHarris2;
    let mut resampler = Fft::<f32>::new_custom(from, RATE, CHUNK, 1, 1, window, FixedSync::Both)
        .context("cannot resample from 24 to 16 kHz")?;
    let input = InterleavedSlice::new(samples, 1, samples.len()).context("cannot resample")?;
    let output = resampler.process_all(&input, samples.len(), None).context("cannot resample")?;
    Ok(output.take_data())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hertz: f64, rate: usize, count: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * hertz / rate as f64;
        (0..count).map(|n| (0.5 * (step * n as f64).sin()) as f32).collect()
    }

    #[test]
    fn a_sine_stays_where_it_is() {
        for hertz in [100.0, 1000.0, 5000.0, 7200.0] {
            let found = to_16_khz(&sine(hertz, 24_000, 24_000)).unwrap();
            let expected = sine(hertz, 16_000, 16_000);
            assert_eq!(found.len(), expected.len());
            // A sine that begins and ends at once has sound beyond the limit there.
            for n in 2000..14_000 {
                assert!((found[n] - expected[n]).abs() < 1e-3, "{hertz} Hz, sample {n}: {}", found[n]);
            }
        }
    }

    #[test]
    fn what_16_khz_cannot_hold_is_gone() {
        for hertz in [8200.0, 10_000.0, 11_900.0] {
            let found = to_16_khz(&sine(hertz, 24_000, 24_000)).unwrap();
            let largest = found[2000..14_000].iter().fold(0.0_f32, |max, sample| max.max(sample.abs()));
            assert!(largest < 1e-4, "{hertz} Hz: {largest}");
        }
    }

    #[test]
    fn lengths_are_rounded_up() {
        for (from, to) in [(1, 1), (2, 2), (3, 2), (480, 320), (481, 321), (10_000, 6667)] {
            assert_eq!(to_16_khz(&vec![0.1; from]).unwrap().len(), to);
        }
    }
}
