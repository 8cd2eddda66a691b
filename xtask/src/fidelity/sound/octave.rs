//! Energy per octave, frame by frame.

use std::array;

use serde::{Deserialize, Serialize};

use super::stft::Spectrogram;
use super::{SAMPLE_RATE, SILENCE};
use crate::fidelity::metric::{WORST, bounded};

/// Octaves around 1 kHz · 2ⁿ, n from −4 to 3, under their nominal names, and what is left above the last.
const NAMES: [&str; 9] =
    ["63 Hz", "125 Hz", "250 Hz", "500 Hz", "1 kHz", "2 kHz", "4 kHz", "8 kHz", "above 11.3 kHz"];

/// The floor, relative to the loudest frame of the base over all bands: −80 dB. Of speech heard at a loud 80 dB
/// above the threshold of hearing, that is the threshold.
const FLOOR: f64 = 1e-8;

/// How far energies per octave are apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OctaveDifference {
    /// The difference of the worst band, in dB.
    pub worst_db: f64,
    /// The name of the worst band.
    pub worst_band: String,
    /// Every band, from the lowest on.
    pub bands: Vec<BandDifference>,
}

/// How far the energies of one band are apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BandDifference {
    /// The nominal centre, such as `63 Hz` or `8 kHz`; `above 11.3 kHz` for what is left.
    pub band: String,
    /// The mean over the frames of the difference's magnitude, in dB.
    pub db: f64,
}

impl OctaveDifference {
    fn of(db: [f64; 9]) -> Self {
        let db = db.map(bounded);
        let worst = (1..db.len()).fold(0, |worst, band| if db[band] > db[worst] { band } else { worst });
        let bands = NAMES.iter().zip(db).map(|(name, db)| BandDifference { band: (*name).to_owned(), db });
        Self { worst_db: db[worst], worst_band: NAMES[worst].to_owned(), bands: bands.collect() }
    }

    /// What stands for a candidate that cannot be measured.
    pub(super) fn unmeasurable() -> Self {
        Self::of([WORST; 9])
    }
}

/// The energy difference per octave band: the mean over frames of |10 · log₁₀((E + f)/(E' + f))|, E being the band's
/// energy in one frame of the base and f [`FLOOR`] of the energy of its loudest frame. The bands are those of
/// IEC 61260:1995 to base 2: the edges lie a factor of √2 around the centre.
///
/// The definition is ours. Every frame counts the same, so static in a pause, where the base has next to nothing,
/// weighs as much as damage in a vowel, and it is the mean of one band, so hiss cannot hide among the quieter
/// octaves.
///
/// Silence on both sides is 0 dB. Where the base is silent, f is the square of [`SILENCE`], and whatever can be
/// heard is more than 100 dB away.
pub(super) fn octave_difference(a: &Spectrogram, b: &Spectrogram) -> OctaveDifference {
    let (a, b) = (energies(a), energies(b));
    let loudest = a.iter().map(|bands| bands.iter().sum()).fold(0.0, f64::max);
    let floor = (FLOOR * loudest).max(f64::from(SILENCE).powi(2));
    let mut sums = [0.0; 9];
    for (a, b) in a.iter().zip(&b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += (10.0 * ((a + floor) / (b + floor)).log10()).abs();
        }
    }
    OctaveDifference::of(sums.map(|sum| sum / a.len() as f64))
}

/// The energy of each band in each frame.
fn energies(spectrogram: &Spectrogram) -> Vec<[f64; 9]> {
    let energy = |magnitudes: &[f32]| magnitudes.iter().map(|it| f64::from(*it).powi(2)).sum();
    let of = |frame: &[f32]| {
        let edges = edges(2 * (frame.len() - 1));
        array::from_fn(|band| energy(&frame[edges[band]..edges[band + 1]]))
    };
    spectrogram.frames().map(of).collect()
}

/// The first bin of each band in a transform of `size` samples, and the end of the last. What is below 44 Hz is in
/// no band: the mean of the samples and the loudness tell of it.
fn edges(size: usize) -> [usize; 10] {
    array::from_fn(|edge| {
        let frequency = 1000.0 * 2.0_f64.powf(edge as f64 - 4.5);
        let bin = (frequency * size as f64 / SAMPLE_RATE).ceil() as usize;
        if edge == 9 { size / 2 + 1 } else { bin }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fidelity::sound::signals::{noise, scaled, sine};
    use crate::fidelity::sound::stft::Stft;

    fn difference(a: &[f32], b: &[f32]) -> OctaveDifference {
        let stft = Stft::new(1024, 1024, 256);
        octave_difference(&stft.magnitudes(a), &stft.magnitudes(b))
    }

    #[test]
    fn the_bins_of_the_bands() {
        // 44.2, 88.4, 176.8, … Hz over 23.4375 Hz; 11,314 Hz is 482.7.
        assert_eq!(edges(1024), [2, 4, 8, 16, 31, 61, 121, 242, 483, 513]);
    }

    #[test]
    fn a_gain_is_in_every_band() {
        let a = noise(5, 24_000, 0.1);
        for gain in [2.0, 0.5] {
            let octave = difference(&a, &scaled(&a, gain));
            for band in &octave.bands {
                assert!((band.db - 20.0 * 2.0_f64.log10()).abs() < 0.01, "{band:?}");
            }
        }
    }

    #[test]
    fn a_band_three_decibels_up_is_found() {
        // One tone in each band. The lowest two bands are two and four bins wide, so that the window's main lobe
        // still lets them overlap a little.
        let tones = [55.0, 150.0, 270.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 11_700.0];
        let mix = |boosted: Option<usize>| {
            let mut samples = vec![0.0; 24_000];
            for (index, frequency) in tones.into_iter().enumerate() {
                let level = if boosted == Some(index) { 0.05 * 10.0_f64.powf(3.0 / 20.0) } else { 0.05 };
                for (sample, tone) in samples.iter_mut().zip(sine(frequency, 24_000, level)) {
                    *sample += tone;
                }
            }
            samples
        };
        let a = mix(None);
        for (index, name) in NAMES.into_iter().enumerate() {
            let octave = difference(&a, &mix(Some(index)));
            assert_eq!(octave.worst_band, name);
            assert!((octave.worst_db - 3.0).abs() < 0.1, "{octave:?}");
            assert_eq!(octave.worst_db, octave.bands[index].db);
            for (other, band) in octave.bands.iter().enumerate() {
                assert!(other == index || band.db < 0.1, "{octave:?}");
            }
        }
    }

    #[test]
    fn silence() {
        let (silence, sound) = (vec![0.0; 3000], noise(6, 3000, 0.01));
        assert_eq!(difference(&silence, &silence).worst_db, 0.0);
        assert!(difference(&silence, &sound).bands.iter().all(|band| band.db > 100.0));
        assert!(difference(&sound, &silence).bands.iter().all(|band| band.db > 40.0));
    }
}
