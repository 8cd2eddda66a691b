//! How far the sound of a candidate is from the base's, sample for sample and frame for frame: the curves that
//! set timing and pitch must have been forced, else every distance saturates.
//!
//! Each metric has its formula, unit and source where it is computed. All are of the base's samples `a` and the
//! candidate's `b`, mono, at [`SAMPLE_RATE`], nominally within −1.0..=1.0. What is no number never gets there:
//! [`compare_sound`] answers for it, with [`WORST`].

mod loudness;
pub(super) mod mel;
mod octave;
#[cfg(test)]
mod signals;
mod spectral;
pub(crate) mod stft;
#[cfg(test)]
mod tests;
mod waveform;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::octave::{BandDifference, OctaveDifference};
use self::stft::Stft;
use super::metric::{Better, Metric, WORST};

/// Samples per second.
const SAMPLE_RATE: f64 = kokoro_model::SAMPLE_RATE as f64;

/// What every floor is at least, as a magnitude of a spectrum: a base that is silent still divides, and whatever the
/// candidate adds to it is far away.
const SILENCE: f32 = 1e-9;

/// A sample beyond this, 120 dB above full scale, is no sound; its spectrum could leave the range of single
/// precision.
const LARGEST: f32 = 1e6;

/// How far a candidate's sound is from the base's. All numbers are finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sound {
    /// Samples that are NaN, infinite or beyond ±10⁶. Where there is one, [`Self::clipped_runs`] counts it and every
    /// other metric is [`WORST`].
    pub not_finite: usize,
    /// Log-spectral distance, in dB.
    pub lsd_db: f64,
    /// Signal-to-noise ratio, in dB: 200 for an exact copy, −200 for noise alone.
    pub snr_db: f64,
    /// Mean distance of log-mel magnitudes, in nepers.
    pub log_mel_l1: f64,
    /// Mel-cepstral distortion of 13 coefficients without warping, in dB.
    pub mcd_db: f64,
    /// Spectral convergence over three resolutions, a ratio.
    pub stft_convergence: f64,
    /// Log magnitude distance over three resolutions, in nepers.
    pub stft_log_magnitude: f64,
    /// Energy difference per octave, in dB.
    pub octave_db: OctaveDifference,
    /// How much louder the candidate is, in LU.
    pub loudness_lu: f64,
    /// How much higher the candidate peaks, in dB.
    pub peak_db: f64,
    /// Runs of at least three samples that the candidate clips and the base does not.
    pub clipped_runs: usize,
    /// How far the mean of the samples is from the base's, relative to full scale.
    pub dc: f64,
}

impl Sound {
    /// The metrics, under the names of the fields; that of the octaves is the worst band's.
    pub const METRICS: [Metric<Self>; 12] = [
        metric("not_finite", "samples", Better::Lower, |it| Some(it.not_finite as f64)),
        metric("lsd_db", "dB", Better::Lower, |it| Some(it.lsd_db)),
        metric("snr_db", "dB", Better::Higher, |it| Some(it.snr_db)),
        metric("log_mel_l1", "Np", Better::Lower, |it| Some(it.log_mel_l1)),
        metric("mcd_db", "dB", Better::Lower, |it| Some(it.mcd_db)),
        metric("stft_convergence", "", Better::Lower, |it| Some(it.stft_convergence)),
        metric("stft_log_magnitude", "Np", Better::Lower, |it| Some(it.stft_log_magnitude)),
        metric("octave_db", "dB", Better::Lower, |it| Some(it.octave_db.worst_db)),
        metric("loudness_lu", "LU", Better::NearZero, |it| Some(it.loudness_lu)),
        metric("peak_db", "dB", Better::NearZero, |it| Some(it.peak_db)),
        metric("clipped_runs", "runs", Better::Lower, |it| Some(it.clipped_runs as f64)),
        metric("dc", "", Better::NearZero, |it| Some(it.dc)),
    ];
}

const fn metric(
    name: &'static str,
    unit: &'static str,
    better: Better,
    value: fn(&Sound) -> Option<f64>,
) -> Metric<Sound> {
    Metric { name, unit, better, value }
}

/// Why two sounds cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SoundError {
    /// There is nothing to compare.
    #[error("sound: expected samples, found none")]
    Empty,
    /// The sounds are not of the same durations.
    #[error("sound: expected the {reference} samples of the base, found {candidate}")]
    Lengths {
        /// Samples of the base.
        reference: usize,
        /// Samples of the candidate.
        candidate: usize,
    },
    /// The base itself is broken, so nothing can be measured against it.
    #[error("sound of the base: expected finite samples, found another at {index}")]
    ReferenceNotFinite {
        /// The first such sample.
        index: usize,
    },
}

/// Compares the sound of a `candidate` with that of the `reference`, the base.
///
/// A candidate of which one sample is no number has [`WORST`] in every metric, so no threshold lets it through.
///
/// # Errors
/// There are no samples, not as many on both sides, or the base has one that is not finite or beyond ±10⁶.
pub fn compare_sound(reference: &[f32], candidate: &[f32]) -> Result<Sound, SoundError> {
    let (a, b) = (reference, candidate);
    if a.len() != b.len() {
        return Err(SoundError::Lengths { reference: a.len(), candidate: b.len() });
    }
    if a.is_empty() {
        return Err(SoundError::Empty);
    }
    if let Some(index) = a.iter().position(|sample| !measurable(*sample)) {
        return Err(SoundError::ReferenceNotFinite { index });
    }
    let not_finite = b.iter().filter(|sample| !measurable(**sample)).count();
    if not_finite > 0 {
        return Ok(unmeasurable(not_finite, waveform::clipped_runs(a, b)));
    }
    let stft = Stft::new(1024, 1024, 256);
    let (spectra_a, spectra_b) = (stft.magnitudes(a), stft.magnitudes(b));
    let mel = mel::mel_distance(&spectra_a, &spectra_b);
    let multi_resolution = spectral::multi_resolution(a, b);
    Ok(Sound {
        not_finite,
        lsd_db: spectral::log_spectral_distance(&spectra_a, &spectra_b),
        snr_db: waveform::signal_to_noise(a, b),
        log_mel_l1: mel.log_mel_l1,
        mcd_db: mel.mcd_db,
        stft_convergence: multi_resolution.convergence,
        stft_log_magnitude: multi_resolution.log_magnitude,
        octave_db: octave::octave_difference(&spectra_a, &spectra_b),
        loudness_lu: loudness::loudness(b, SAMPLE_RATE) - loudness::loudness(a, SAMPLE_RATE),
        peak_db: waveform::peak_difference(a, b),
        clipped_runs: waveform::clipped_runs(a, b),
        dc: waveform::offset(a, b),
    })
}

/// What the metrics are of.
fn measurable(sample: f32) -> bool {
    sample.abs() <= LARGEST
}

/// What stands for the metrics of a candidate of which some samples are no numbers.
fn unmeasurable(not_finite: usize, clipped_runs: usize) -> Sound {
    Sound {
        not_finite,
        lsd_db: WORST,
        snr_db: -WORST,
        log_mel_l1: WORST,
        mcd_db: WORST,
        stft_convergence: WORST,
        stft_log_magnitude: WORST,
        octave_db: OctaveDifference::unmeasurable(),
        loudness_lu: WORST,
        peak_db: WORST,
        clipped_runs,
        dc: WORST,
    }
}
