//! The short-time Fourier transform that the spectral metrics and the pictures of the report share.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

/// A transform of one size. Plans are costly and reusable.
pub(crate) struct Stft {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    hop: usize,
}

impl Stft {
    /// Frames of `window` samples, each `hop` after the last, in a transform of `size` ≥ `window` samples.
    pub(crate) fn new(size: usize, window: usize, hop: usize) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(size);
        Self { fft, window: hann(window), hop }
    }

    /// The magnitudes of every frame of `samples`. The first frame begins with the first sample; the last ones are
    /// filled with zeros, so that every sample is in a frame and what is shorter than a frame makes one.
    ///
    /// In single precision, where rounding is 140 dB below the largest magnitude and every floor of the metrics
    /// above that.
    pub(crate) fn magnitudes(&self, samples: &[f32]) -> Spectrogram {
        let size = self.fft.len();
        let bins = size / 2 + 1;
        let frames = 1 + samples.len().saturating_sub(self.window.len()).div_ceil(self.hop);
        let mut magnitudes = Vec::with_capacity(frames * bins);
        let mut frame = vec![0.0_f32; size];
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        for start in (0..frames).map(|index| index * self.hop) {
            // With a hop longer than the window the last frame may begin behind the last sample.
            let rest = samples.get(start..).unwrap_or_default();
            // The transform leaves its input in disorder. Where in it the window lies changes the phase only.
            frame.fill(0.0);
            for ((value, sample), weight) in frame.iter_mut().zip(rest).zip(&self.window) {
                *value = sample * weight;
            }
            self.fft
                .process_with_scratch(&mut frame, &mut spectrum, &mut scratch)
                .expect("the buffers are of the plan's own sizes");
            magnitudes.extend(spectrum.iter().map(|value| value.norm_sqr().sqrt()));
        }
        Spectrogram { bins, magnitudes }
    }
}

/// Magnitudes, shape [frames, bins], bins from 0 Hz to Nyquist's frequency, both included.
pub(crate) struct Spectrogram {
    bins: usize,
    magnitudes: Vec<f32>,
}

impl Spectrogram {
    /// The frames, in order; there is at least one.
    pub(crate) fn frames(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.magnitudes.chunks_exact(self.bins)
    }

    /// All magnitudes, frame after frame.
    pub(in crate::fidelity) fn all(&self) -> &[f32] {
        &self.magnitudes
    }

    /// All magnitudes, for a test to set.
    #[cfg(test)]
    pub(super) fn magnitudes_mut(&mut self) -> &mut [f32] {
        &mut self.magnitudes
    }

    /// The largest magnitude.
    pub(in crate::fidelity) fn max(&self) -> f32 {
        self.magnitudes.iter().copied().fold(0.0, f32::max)
    }
}

/// The periodic Hann window: ½ − ½ · cos(2πn/N).
fn hann(length: usize) -> Vec<f32> {
    let step = std::f64::consts::TAU / length as f64;
    (0..length).map(|n| (0.5 - 0.5 * (step * n as f64).cos()) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_may_be_longer_than_the_window() {
        let spectrogram = Stft::new(8, 8, 100).magnitudes(&[1.0; 190]);
        let frames: Vec<f32> = spectrogram.frames().map(|frame| frame[0]).collect();
        // At 0, 100 and 200 samples, of which the last one has nothing in it.
        assert_eq!((frames.len(), frames[0], frames[2]), (3, frames[1], 0.0));
    }

    #[test]
    fn a_sine_in_the_middle_of_a_bin() {
        let samples: Vec<f32> =
            (0..4096).map(|n| (std::f64::consts::TAU * 100.0 * f64::from(n) / 1024.0).cos() as f32).collect();
        let spectrogram = Stft::new(1024, 1024, 256).magnitudes(&samples);
        assert_eq!(spectrogram.frames().len(), 13);
        for frame in spectrogram.frames() {
            // The window sums up to 512; half of it is at the positive frequency, and a quarter beside it.
            for (bin, expected) in [(98, 0.0), (99, 128.0), (100, 256.0), (101, 128.0), (102, 0.0)] {
                assert!((frame[bin] - expected).abs() < 1e-3, "bin {bin}: {}", frame[bin]);
            }
        }
        assert!((spectrogram.max() - 256.0).abs() < 1e-3);
    }

    #[test]
    fn every_sample_is_in_a_frame() {
        let stft = Stft::new(8, 8, 2);
        for (length, frames) in [(1, 1), (7, 1), (8, 1), (9, 2), (10, 2), (11, 3), (12, 3), (13, 4)] {
            let mut samples = vec![0.0; length];
            *samples.last_mut().unwrap() = 1.0;
            let spectrogram = stft.magnitudes(&samples);
            assert_eq!(spectrogram.frames().len(), frames, "{length} samples");
            // The window is 0 at its first sample only.
            assert_eq!(spectrogram.max() > 0.0, length > 1, "{length} samples");
        }
    }

    #[test]
    fn a_window_shorter_than_the_transform() {
        let spectrogram = Stft::new(16, 4, 4).magnitudes(&[1.0; 8]);
        assert_eq!(spectrogram.frames().len(), 2);
        for frame in spectrogram.frames() {
            assert_eq!(frame.len(), 9);
            // The periodic window of four is 0, ½, 1, ½.
            assert!((frame[0] - 2.0).abs() < 1e-6);
        }
    }
}
