//! Distances on a scale of pitch as it is heard.

use super::stft::Spectrogram;
use super::{SAMPLE_RATE, SILENCE};
use crate::fidelity::metric::bounded;

/// Bands of the filter bank, from 0 Hz to Nyquist's frequency.
const BANDS: usize = 80;

/// The mel-cepstral coefficients that are compared: c₁ to c₁₃. c₀ is loudness, which is judged for itself.
const COEFFICIENTS: usize = 13;

/// The floor, relative to the base's largest mel magnitude: −60 dB. What is below hardly counts, so this is of the
/// sound of the speech; what is in its pauses, the octave bands tell.
const FLOOR: f32 = 1e-3;

/// The mel distances.
pub(super) struct MelDistance {
    pub(super) log_mel_l1: f64,
    pub(super) mcd_db: f64,
}

/// The distances of the mel magnitudes M of the base and M' of the candidate, where L = ln(M + f), f = [`FLOOR`] ·
/// max M:
/// - log-mel L1, in nepers (1 Np is 8.69 dB): the mean of |L − L'| over frames and bands. After the mel-spectrogram
///   loss of Kong, Kim and Bae, *HiFi-GAN* (2020), section 2.4, with the floor made relative.
/// - mel-cepstral distortion, in dB: the mean over frames of 10/ln 10 · √(2 · Σ(cₘ − c'ₘ)²), m from 1 to 13, no
///   warping. Kubichek, *Mel-cepstral distance measure for objective speech quality assessment* (1993). cₘ =
///   2/N · Σ Lₙ · cos(πm(n + ½)/N) over the N bands, of which L is the sum of cₘ · cos: so the distortion is
///   the root mean square over the bands, in dB, of the smooth part of the difference. (With the coefficients of an
///   orthonormal transform it would be √(N/2) = 6.3 times as much.)
///
/// The bands are those of Slaney, *Auditory Toolbox* (1998): linear up to 1 kHz, logarithmic above, triangles that
/// overlap by half; the weights of each band add up to 1.
///
/// Silence on both sides is 0. Where the base is silent, f is [`SILENCE`], so that whatever can be heard is 10 Np away and more.
pub(super) fn mel_distance(a: &Spectrogram, b: &Spectrogram) -> MelDistance {
    let size = a.frames().next().map_or(0, |frame| 2 * (frame.len() - 1));
    let bank = FilterBank::new(size);
    let (mut a, mut b) = (bank.apply(a), bank.apply(b));
    let floor = (FLOOR * a.iter().copied().fold(0.0, f32::max)).max(SILENCE);
    for value in a.iter_mut().chain(&mut b) {
        *value = (*value + floor).ln();
    }
    let cosines = cosines();
    // From a coefficient of the orthonormal transform to cₘ.
    let scale = (2.0 / BANDS as f32).sqrt();
    let (mut l1, mut distortion) = (0.0, 0.0);
    for (a, b) in a.chunks_exact(BANDS).zip(b.chunks_exact(BANDS)) {
        let mut difference = [0.0_f32; BANDS];
        for (difference, (a, b)) in difference.iter_mut().zip(a.iter().zip(b)) {
            *difference = a - b;
        }
        l1 += f64::from(difference.iter().map(|it| it.abs()).sum::<f32>());
        let squares = cosines.iter().map(|row| {
            let dot: f32 = row.iter().zip(&difference).map(|(cosine, it)| cosine * it).sum();
            f64::from(scale * dot).powi(2)
        });
        distortion += (2.0 * squares.sum::<f64>()).sqrt();
    }
    let frames = (a.len() / BANDS) as f64;
    MelDistance {
        log_mel_l1: bounded(l1 / frames / BANDS as f64),
        mcd_db: bounded(10.0 / std::f64::consts::LN_10 * distortion / frames),
    }
}

/// Rows 1 to 13 of the orthonormal cosine transform, type II: √(2/N) · cos(πm(n + ½)/N).
fn cosines() -> [[f32; BANDS]; COEFFICIENTS] {
    let bands = BANDS as f64;
    std::array::from_fn(|row| {
        let frequency = std::f64::consts::PI * (row + 1) as f64 / bands;
        std::array::from_fn(|n| ((2.0 / bands).sqrt() * (frequency * (n as f64 + 0.5)).cos()) as f32)
    })
}

/// The weights of the bins in the bands.
struct FilterBank {
    /// Per band, its first bin and the weights from there on.
    bands: Vec<(usize, Vec<f32>)>,
}

impl FilterBank {
    /// The bank for transforms of `size` samples.
    fn new(size: usize) -> Self {
        let top = mel(SAMPLE_RATE / 2.0);
        let edge = |index: usize| hertz(top * index as f64 / (BANDS + 1) as f64);
        let width = SAMPLE_RATE / size as f64;
        let bands = (0..BANDS).map(|band| triangle(edge(band), edge(band + 1), edge(band + 2), width));
        let normalized = |(first, weights): (usize, Vec<f64>)| {
            let sum: f64 = weights.iter().sum();
            (first, weights.iter().map(|weight| (weight / sum) as f32).collect())
        };
        Self { bands: bands.map(normalized).collect() }
    }

    /// Mel magnitudes, shape [frames, bands].
    fn apply(&self, spectrogram: &Spectrogram) -> Vec<f32> {
        let mut mels = Vec::with_capacity(spectrogram.frames().len() * BANDS);
        for frame in spectrogram.frames() {
            mels.extend(self.bands.iter().map(|(first, weights)| -> f32 {
                weights.iter().zip(&frame[*first..]).map(|(weight, magnitude)| weight * magnitude).sum()
            }));
        }
        mels
    }
}

/// The bins of a transform, each `width` Hz from the last, that lie strictly between `low` and `high`, in Hz, as the
/// first one and their weights: 1 at `centre`, falling linearly to 0 on both sides.
pub(in crate::fidelity) fn triangle(low: f64, centre: f64, high: f64, width: f64) -> (usize, Vec<f64>) {
    let weight = |bin: usize| {
        let frequency = bin as f64 * width;
        ((frequency - low) / (centre - low)).min((high - frequency) / (high - centre))
    };
    let (first, end) = ((low / width).floor() as usize + 1, (high / width).ceil() as usize);
    (first, (first..end).map(weight).collect())
}

/// Mels at `hertz`, after Slaney: 200/3 Hz each up to 1 kHz, from there 27 to a factor of 6.4.
pub(in crate::fidelity) fn mel(hertz: f64) -> f64 {
    if hertz < 1000.0 { hertz * 3.0 / 200.0 } else { 15.0 + 27.0 * (hertz / 1000.0).ln() / 6.4_f64.ln() }
}

/// The inverse of [`mel`].
pub(in crate::fidelity) fn hertz(mel: f64) -> f64 {
    if mel < 15.0 { mel * 200.0 / 3.0 } else { 1000.0 * ((mel - 15.0) / 27.0 * 6.4_f64.ln()).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fidelity::sound::signals::{noise, scaled};
    use crate::fidelity::sound::stft::Stft;

    fn distance(a: &[f32], b: &[f32]) -> MelDistance {
        let stft = Stft::new(1024, 1024, 256);
        mel_distance(&stft.magnitudes(a), &stft.magnitudes(b))
    }

    #[test]
    fn the_scale_is_slaneys() {
        for (frequency, expected) in [(0.0, 0.0), (200.0, 3.0), (1000.0, 15.0), (6400.0, 42.0)] {
            assert!((mel(frequency) - expected).abs() < 1e-12);
            assert!((hertz(expected) - frequency).abs() < 1e-9);
        }
        // One that librosa's documentation prints: the mel of 220 Hz is 3.3.
        assert!((mel(220.0) - 3.3).abs() < 1e-12);
    }

    #[test]
    fn triangles_share_out_every_bin() {
        let top = mel(SAMPLE_RATE / 2.0);
        let edge = |index: usize| hertz(top * index as f64 / (BANDS + 1) as f64);
        let mut sums = vec![0.0; 513];
        for band in 0..BANDS {
            let (first, weights) = triangle(edge(band), edge(band + 1), edge(band + 2), SAMPLE_RATE / 1024.0);
            assert!(weights.len() >= 3, "band {band} has {} bins", weights.len());
            for (sum, weight) in sums[first..].iter_mut().zip(&weights) {
                *sum += weight;
            }
        }
        for (bin, sum) in sums.iter().enumerate() {
            let frequency = bin as f64 * SAMPLE_RATE / 1024.0;
            if (edge(1)..=edge(BANDS)).contains(&frequency) {
                assert!((sum - 1.0).abs() < 1e-9, "bin {bin}: {sum}");
            } else {
                assert!((0.0..1.0).contains(sum), "bin {bin}: {sum}");
            }
        }
    }

    #[test]
    fn the_weights_of_a_band_add_up_to_one() {
        let bank = FilterBank::new(1024);
        assert_eq!(bank.bands.len(), BANDS);
        for (first, weights) in &bank.bands {
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            assert!(first + weights.len() <= 513);
        }
        let mut flat = Stft::new(1024, 1024, 256).magnitudes(&[0.0; 1024]);
        flat.magnitudes_mut().fill(0.25);
        assert!(bank.apply(&flat).iter().all(|mel| (mel - 0.25).abs() < 1e-6));
    }

    #[test]
    fn the_cosines_are_orthonormal() {
        let rows = cosines();
        for (i, a) in rows.iter().enumerate() {
            assert!(a.iter().sum::<f32>().abs() < 1e-5, "row {i} holds loudness");
            for (j, b) in rows.iter().enumerate() {
                let dot: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((dot - expected).abs() < 1e-5, "{i} · {j} = {dot}");
            }
        }
    }

    #[test]
    fn a_gain_is_log_mel_and_no_distortion() {
        let a = noise(3, 24_000, 0.1);
        for gain in [2.0, 0.5] {
            let distance = distance(&a, &scaled(&a, gain));
            // White noise is 20 to 30 dB above the floor, which so takes a percent or two off, not the same in
            // every band.
            assert!((distance.log_mel_l1 - 2.0_f64.ln()).abs() < 0.02, "{}", distance.log_mel_l1);
            assert!(distance.mcd_db < 0.1, "{}", distance.mcd_db);
        }
    }

    /// A spectrum whose mel magnitudes are exp of a cosine has one coefficient.
    #[test]
    fn the_distortion_of_one_cosine() {
        let stft = Stft::new(1024, 1024, 256);
        let (mut a, mut b) = (stft.magnitudes(&[0.0; 1024]), stft.magnitudes(&[0.0; 1024]));
        a.magnitudes_mut().fill(1.0);
        let top = mel(SAMPLE_RATE / 2.0);
        let (depth, row) = (0.2, 2.0);
        for (bin, value) in b.magnitudes_mut().iter_mut().enumerate() {
            // Band n is centred on mel (n + 1)/81 of the whole.
            let band = mel(bin as f64 * SAMPLE_RATE / 1024.0) / top * (BANDS + 1) as f64 - 1.0;
            let cosine = (std::f64::consts::PI * row * (band + 0.5) / BANDS as f64).cos();
            *value = (depth * cosine).exp() as f32;
        }
        // A cosine of 0.2 Np, as root mean square in dB; the triangles smooth it a little and the floor is 10⁻³.
        let expected = 20.0 / std::f64::consts::LN_10 * depth / 2.0_f64.sqrt();
        let distortion = mel_distance(&a, &b).mcd_db;
        assert!((distortion / expected - 1.0).abs() < 0.01, "{distortion}, expected {expected}");
        // The mean of |cos| is 2/π.
        let l1 = mel_distance(&a, &b).log_mel_l1;
        assert!((l1 / (depth * 2.0 / std::f64::consts::PI) - 1.0).abs() < 0.01, "{l1}");
    }

    #[test]
    fn silence() {
        let (silence, sound) = (vec![0.0; 3000], noise(4, 3000, 0.01));
        let nothing = distance(&silence, &silence);
        assert_eq!((nothing.log_mel_l1, nothing.mcd_db), (0.0, 0.0));
        assert!(distance(&silence, &sound).log_mel_l1 > 10.0);
        assert!(distance(&sound, &silence).log_mel_l1 > 3.0);
    }
}
