//! What the P.808 network hears: mel energies in decibels, as librosa computes them.

use super::RATE;
use crate::fidelity::sound::mel::{hertz, mel, triangle};
use crate::fidelity::sound::stft::Stft;

/// Bands, from 0 Hz to Nyquist's frequency.
pub(super) const BANDS: usize = 120;

/// Samples of a frame and of its transform: an odd number, as in the package.
const FRAME: usize = 321;

/// Samples from one frame to the next.
const STEP: usize = 160;

/// The least energy, before decibels.
const LEAST: f32 = 1e-10;

/// How far below the loudest the softest is, in dB.
const RANGE: f32 = 80.0;

/// The features' transform and bands.
pub(super) struct LogMel {
    stft: Stft,
    /// Per band, its first bin and the weights from there on; none where no bin lies in it.
    bands: Vec<(usize, Vec<f32>)>,
}

impl LogMel {
    pub(super) fn new() -> Self {
        let (rate, width) = (RATE as f64, RATE as f64 / FRAME as f64);
        let top = mel(rate / 2.0);
        let edge = |index: usize| hertz(top * index as f64 / (BANDS + 1) as f64);
        let bands = (0..BANDS).map(|band| {
            let (low, centre, high) = (edge(band), edge(band + 1), edge(band + 2));
            let (first, weights) = triangle(low, centre, high, width);
            // Triangles of one area each, after Slaney.
            let height = 2.0 / (high - low);
            (first, weights.iter().map(|weight| (height * weight) as f32).collect())
        });
        Self { stft: Stft::new(FRAME, FRAME, STEP), bands: bands.collect() }
    }

    /// Log-mel energies of `samples` at 16 kHz, shape [1 + (samples − 1) / 160, 120]: decibels below the loudest, down to
    /// −80, as (dB + 40)/40, hence within −1..=1. Frames are centred on every 160th sample, with zeros around.
    pub(super) fn features(&self, samples: &[f32]) -> Vec<f32> {
        let frames = 1 + (samples.len() + 2 * (FRAME / 2) - FRAME) / STEP;
        // The transform begins with its first sample and fills up with zeros at the end.
        let padded = [&[0.0; FRAME / 2], samples].concat();
        let spectrogram = self.stft.magnitudes(&padded);
        let mut energies = Vec::with_capacity(frames * BANDS);
        for frame in spectrogram.frames().take(frames) {
            energies.extend(self.bands.iter().map(|(first, weights)| -> f32 {
                // The first bin of a band without any may lie beyond the last.
                let bins = frame.get(*first..).unwrap_or_default();
                weights.iter().zip(bins).map(|(weight, magnitude)| weight * magnitude * magnitude).sum()
            }));
        }
        let decibels = |energy: f32| 10.0 * energy.max(LEAST).log10();
        let loudest = decibels(energies.iter().copied().fold(0.0, f32::max));
        energies.iter().map(|&energy| ((decibels(energy) - loudest).max(-RANGE) + 40.0) / 40.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frequency of bin `bin`, in Hz.
    fn frequency(bin: usize) -> f64 {
        bin as f64 * RATE as f64 / FRAME as f64
    }

    #[test]
    fn a_bank_of_one_area_by_hand() {
        let bank = LogMel::new();
        assert_eq!(bank.bands.len(), BANDS);
        // Below 1 kHz, edges are (15 + 27 · ln 8/ln 6.4)/121 = 0.373 93 mel or 24.929 Hz apart, half a bin: bin 1, at
        // 49.844 Hz, is all but at the end of band 0 and in the middle of band 1.
        let step = (15.0 + 27.0 * 8.0_f64.ln() / 6.4_f64.ln()) / 121.0 * 200.0 / 3.0;
        assert!((step - 24.929).abs() < 0.001, "{step}");
        let (first, weights) = &bank.bands[0];
        let expected = (2.0 * step - frequency(1)) / step / step;
        assert_eq!((*first, weights.len()), (1, 1));
        assert!((f64::from(weights[0]) - expected).abs() < 1e-7, "{weights:?}, expected {expected}");
        let (first, weights) = &bank.bands[1];
        let expected = (frequency(1) - step) / step / step;
        assert_eq!((*first, weights.len()), (1, 1));
        assert!((f64::from(weights[0]) - expected).abs() < 1e-7, "{weights:?}, expected {expected}");
        // Where bands are wide, the bins under a triangle add up to its area, of 1, over a bin's width.
        let (_, weights) = &bank.bands[BANDS - 1];
        let area = f64::from(weights.iter().sum::<f32>()) * frequency(1);
        assert!(weights.len() > 5 && (area - 1.0).abs() < 0.05, "{area} from {} bins", weights.len());
    }

    #[test]
    fn a_sine_is_loudest_in_its_band_and_even_in_time() {
        let samples: Vec<f32> = (0..16_000)
            .map(|n| (std::f64::consts::TAU * frequency(60) / RATE as f64 * f64::from(n)).sin() as f32)
            .collect();
        let features = LogMel::new().features(&samples);
        // As many as librosa makes: the odd frame needs a sample more than 160 zeros on each side give it.
        assert_eq!(features.len(), 100 * BANDS);
        // Edges are equal in mel: where it lies among them says which band is next to it.
        let place = mel(frequency(60)) / mel(8000.0) * (BANDS + 1) as f64;
        let band = place.round() as usize - 1;
        for frame in features.chunks(BANDS).skip(2).take(95) {
            assert!(frame.iter().all(|value| (-1.0..=1.0).contains(value)));
            let loudest = (0..BANDS).max_by(|&a, &b| frame[a].total_cmp(&frame[b])).unwrap();
            assert_eq!(loudest, band);
            assert!((frame[band] - 1.0).abs() < 1e-3, "{}", frame[band]);
            // Far off there is nothing.
            assert_eq!(frame[5], -1.0);
        }
        // Half of the first frame is the silence before. librosa 0.11 says 0.880 484 for it.
        assert!((features[band] - 0.880_484).abs() < 1e-3, "{}", features[band]);
    }

    #[test]
    fn silence_is_as_loud_as_its_loudest() {
        assert!(LogMel::new().features(&[0.0; 1600]).iter().all(|value| *value == 1.0));
    }
}
