//! How a candidate times and intones a sentence, from the model's own curves, so that no pitch tracker stands
//! between.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::metric::{Better, Metric, WORST, bounded};
use crate::gates::percentile;

/// A frame whose F0 is above this, in Hz, is voiced: the threshold of the model's own source module, which below
/// it makes noise instead of harmonics.
const VOICED_HZ: f32 = 10.0;

/// What a model predicts for one sentence.
#[derive(Debug, Clone, Copy)]
pub struct Curves<'a> {
    /// Frames of each token.
    pub durations: &'a [i64],
    /// F0 in Hz, twice as many values as there are frames.
    pub f0: &'a [f32],
    /// The energy curve, as long as F0: the natural logarithm of the norm of the mel spectrum, the energy that
    /// `StyleTTS` 2 was trained on (Li et al. 2023), hence in nepers.
    pub energy: &'a [f32],
}

/// How far the candidate's prosody is from the base's. The curves are compared frame by frame; where they differ
/// in length, only the durations are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prosody {
    /// Whether every token lasts as long.
    pub durations_exact: bool,
    /// Σ|d − d'| over the tokens, in frames of the durations.
    pub frames_off: u64,
    /// The share of tokens that last longer or shorter. What listeners just notice of the length of a sound is 10 to 25 ms,
    /// a frame at most: Klatt and Cooper, *Perception of segment duration in sentence contexts* (1975); Huggins, *Just
    /// noticeable differences for segment duration in natural speech* (1972).
    pub tokens_off: f64,
    /// max |d − d'| over the tokens, in frames.
    pub token_frames: u64,
    /// |Σd − Σd'| / Σd: by what share of its length the sentence is longer or shorter.
    pub length_off: f64,
    /// Mean of 1200 · |log₂(f'/f)| over the frames that are voiced in both, in cents. `None` when the curves
    /// differ in length or no frame is voiced in both; then [`Self::voicing_errors`] judges.
    pub f0_mean_cents: Option<f64>,
    /// The 95th percentile of the same.
    pub f0_p95_cents: Option<f64>,
    /// The share of frames voiced in one and not in the other: the voicing decision error of Chu and Alwan,
    /// *Reducing F0 frame error of F0 tracking algorithms under noisy conditions* (2009). A frame that is no
    /// number is an error.
    pub voicing_errors: Option<f64>,
    /// Mean |n − n'| of the energy curve, in nepers (1 Np is 8.69 dB), over all frames: the curve is a logarithm
    /// already.
    pub energy_nepers: Option<f64>,
}

impl Prosody {
    /// The metrics, under the names of the fields. `durations_exact` is 1 or 0; its mean is the share of sentences.
    pub const METRICS: [Metric<Self>; 9] = [
        metric("durations_exact", "", Better::Higher, |it| Some(f64::from(u8::from(it.durations_exact)))),
        metric("frames_off", "frames", Better::Lower, |it| Some(it.frames_off as f64)),
        metric("tokens_off", "", Better::Lower, |it| Some(it.tokens_off)),
        metric("token_frames", "frames", Better::Lower, |it| Some(it.token_frames as f64)),
        metric("length_off", "", Better::Lower, |it| Some(it.length_off)),
        metric("f0_mean_cents", "cents", Better::Lower, |it| it.f0_mean_cents),
        metric("f0_p95_cents", "cents", Better::Lower, |it| it.f0_p95_cents),
        metric("voicing_errors", "", Better::Lower, |it| it.voicing_errors),
        metric("energy_nepers", "Np", Better::Lower, |it| it.energy_nepers),
    ];
}

const fn metric(
    name: &'static str,
    unit: &'static str,
    better: Better,
    value: fn(&Prosody) -> Option<f64>,
) -> Metric<Prosody> {
    Metric { name, unit, better, value }
}

/// Why two predictions cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProsodyError {
    /// There is nothing to compare.
    #[error("`{curve}`: expected values, found none")]
    Empty {
        /// `durations`, `f0` or `energy`.
        curve: &'static str,
    },
    /// These are not two predictions for one sentence.
    #[error("`{curve}`: expected the {reference} values of the base, found {candidate}")]
    Lengths {
        /// `durations`, `f0` or `energy`.
        curve: &'static str,
        /// Values of the base.
        reference: usize,
        /// Values of the candidate.
        candidate: usize,
    },
    /// The base itself is broken, so nothing can be measured against it.
    #[error("`{curve}` of the base: expected finite values, found another at {index}")]
    ReferenceNotFinite {
        /// `f0` or `energy`.
        curve: &'static str,
        /// The first such value.
        index: usize,
    },
}

/// Compares what the candidate predicts with what the base does, for the same sentence.
///
/// A value of the candidate's F0 that is no number counts as [`WORST`] cents and as a voicing error, one of its
/// energy as [`WORST`] nepers, so it fails.
///
/// # Errors
/// A curve is empty; there are not as many durations; the durations are the same and the curves still differ in
/// length; the base is not finite.
pub fn compare_prosody(reference: Curves<'_>, candidate: Curves<'_>) -> Result<Prosody, ProsodyError> {
    let lengths = |curve, reference: usize, candidate: usize| {
        if reference == 0 || candidate == 0 {
            return Err(ProsodyError::Empty { curve });
        }
        Ok(reference == candidate)
    };
    let differ = |curve, reference, candidate| ProsodyError::Lengths { curve, reference, candidate };
    let (from, to) = (reference.durations.len(), candidate.durations.len());
    if !lengths("durations", from, to)? {
        return Err(differ("durations", from, to));
    }
    let pairs = reference.durations.iter().zip(candidate.durations);
    let off: Vec<u64> = pairs.map(|(a, b)| a.abs_diff(*b)).collect();
    let frames_off = off.iter().copied().fold(0, u64::saturating_add);
    let length = |durations: &[i64]| durations.iter().map(|&it| it as f64).sum::<f64>();
    let (before, after) = (length(reference.durations), length(candidate.durations));
    let mut prosody = Prosody {
        durations_exact: frames_off == 0,
        frames_off,
        tokens_off: off.iter().filter(|&&frames| frames > 0).count() as f64 / off.len() as f64,
        token_frames: off.iter().copied().max().unwrap_or(0),
        length_off: bounded((after - before).abs() / before),
        f0_mean_cents: None,
        f0_p95_cents: None,
        voicing_errors: None,
        energy_nepers: None,
    };
    let curves = [("f0", reference.f0, candidate.f0), ("energy", reference.energy, candidate.energy)];
    let mut alike = true;
    for (curve, a, b) in curves {
        if let Some(index) = a.iter().position(|value| !value.is_finite()) {
            return Err(ProsodyError::ReferenceNotFinite { curve, index });
        }
        let same = lengths(curve, a.len(), b.len())?;
        if !same && prosody.durations_exact {
            return Err(differ(curve, a.len(), b.len()));
        }
        alike &= same;
    }
    if alike {
        let (cents, voicing_errors) = pitch(reference.f0, candidate.f0);
        if !cents.is_empty() {
            prosody.f0_mean_cents = Some(mean(cents.iter().copied()));
            prosody.f0_p95_cents = Some(percentile(&cents, 95.0));
        }
        prosody.voicing_errors = Some(voicing_errors);
        let pairs = reference.energy.iter().zip(candidate.energy);
        prosody.energy_nepers = Some(mean(pairs.map(|(a, b)| bounded(f64::from(a - b).abs()))));
    }
    Ok(prosody)
}

/// The errors in cents of the frames voiced in both, sorted, and the share of voicing errors.
fn pitch(reference: &[f32], candidate: &[f32]) -> (Vec<f64>, f64) {
    let mut cents = Vec::with_capacity(reference.len());
    let mut errors = 0_usize;
    for (&a, &b) in reference.iter().zip(candidate) {
        if !b.is_finite() {
            errors += 1;
            cents.push(WORST);
            continue;
        }
        match (a > VOICED_HZ, b > VOICED_HZ) {
            (true, true) => cents.push(1200.0 * (f64::from(b) / f64::from(a)).log2().abs()),
            (false, false) => {}
            _ => errors += 1,
        }
    }
    cents.sort_by(f64::total_cmp);
    (cents, errors as f64 / reference.len() as f64)
}

/// The mean of at least one value.
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    values.sum::<f64>() / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const F0: [f32; 6] = [0.0, 100.0, 200.0, 400.0, 150.0, -3.0];
    const ENERGY: [f32; 6] = [-4.0, 1.0, 2.0, 2.5, 1.0, -5.0];

    fn curves<'a>(durations: &'a [i64], f0: &'a [f32], energy: &'a [f32]) -> Curves<'a> {
        Curves { durations, f0, energy }
    }

    fn base() -> Curves<'static> {
        curves(&[1, 2], &F0, &ENERGY)
    }

    #[test]
    fn a_copy_has_no_error() {
        let prosody = compare_prosody(base(), base()).unwrap();
        let expected = Prosody {
            durations_exact: true,
            frames_off: 0,
            tokens_off: 0.0,
            token_frames: 0,
            length_off: 0.0,
            f0_mean_cents: Some(0.0),
            f0_p95_cents: Some(0.0),
            voicing_errors: Some(0.0),
            energy_nepers: Some(0.0),
        };
        assert_eq!(prosody, expected);
    }

    #[test]
    fn twenty_cents_are_twenty_cents() {
        for sign in [1.0, -1.0] {
            let shifted = F0.map(|hz| hz * (sign * 20.0_f32 / 1200.0).exp2());
            let prosody = compare_prosody(base(), curves(&[1, 2], &shifted, &ENERGY)).unwrap();
            // F0 is single precision: one part in 2²⁴ is 10⁻⁴ cents.
            assert!((prosody.f0_mean_cents.unwrap() - 20.0).abs() < 1e-3);
            assert!((prosody.f0_p95_cents.unwrap() - 20.0).abs() < 1e-3);
            assert_eq!(prosody.voicing_errors, Some(0.0));
        }
    }

    #[test]
    fn errors_by_hand() {
        // An octave up, an octave down, the same, and one frame each way over the threshold of voicing.
        let f0 = [11.0, 200.0, 100.0, 400.0, 10.0, 5.0];
        let energy = [-4.5, 1.0, 2.0, 2.5, 1.25, -5.0];
        let prosody = compare_prosody(base(), curves(&[4, 0], &f0, &energy)).unwrap();
        assert!(!prosody.durations_exact);
        assert_eq!(prosody.frames_off, 5);
        assert_eq!((prosody.tokens_off, prosody.token_frames, prosody.length_off), (1.0, 3, 1.0 / 3.0));
        assert_eq!(prosody.f0_mean_cents, Some(800.0));
        assert_eq!(prosody.f0_p95_cents, Some(1200.0));
        assert_eq!(prosody.voicing_errors, Some(2.0 / 6.0));
        assert_eq!(prosody.energy_nepers, Some(0.75 / 6.0));
    }

    #[test]
    fn curves_of_another_length_are_not_compared() {
        let prosody = compare_prosody(base(), curves(&[1, 3], &[100.0; 8], &[0.0; 8])).unwrap();
        assert_eq!((prosody.durations_exact, prosody.frames_off), (false, 1));
        assert_eq!((prosody.tokens_off, prosody.token_frames, prosody.length_off), (0.5, 1, 1.0 / 3.0));
        assert_eq!((prosody.f0_mean_cents, prosody.f0_p95_cents), (None, None));
        assert_eq!((prosody.voicing_errors, prosody.energy_nepers), (None, None));
    }

    #[test]
    fn a_candidate_without_a_voice_is_all_voicing_errors() {
        let prosody = compare_prosody(base(), curves(&[1, 2], &[0.0; 6], &ENERGY)).unwrap();
        assert_eq!(prosody.f0_mean_cents, None);
        assert_eq!(prosody.voicing_errors, Some(4.0 / 6.0));
    }

    #[test]
    fn what_is_no_number_fails() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (mut f0, mut energy) = (F0, ENERGY);
            (f0[0], energy[0]) = (bad, bad);
            let prosody = compare_prosody(base(), curves(&[1, 2], &f0, &energy)).unwrap();
            assert!(prosody.f0_mean_cents.unwrap() > 1e5, "{bad}");
            assert!(prosody.f0_p95_cents.unwrap() > 1e5, "{bad}");
            assert_eq!(prosody.voicing_errors, Some(1.0 / 6.0), "{bad}");
            assert!(prosody.energy_nepers.unwrap() > 1e5, "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let refused = |a: Curves<'_>, b: Curves<'_>| compare_prosody(a, b).unwrap_err().to_string();
        assert_eq!(
            refused(base(), curves(&[1], &F0, &ENERGY)),
            "`durations`: expected the 2 values of the base, found 1"
        );
        assert_eq!(
            refused(base(), curves(&[1, 2], &F0[..4], &ENERGY)),
            "`f0`: expected the 6 values of the base, found 4"
        );
        assert_eq!(refused(curves(&[], &F0, &ENERGY), base()), "`durations`: expected values, found none");
        assert_eq!(refused(base(), curves(&[1, 2], &F0, &[])), "`energy`: expected values, found none");
        let broken = [-4.0, f32::NAN, 2.0, 2.5, 1.0, -5.0];
        assert_eq!(
            refused(curves(&[1, 2], &F0, &broken), base()),
            "`energy` of the base: expected finite values, found another at 1"
        );
    }

    #[test]
    fn the_metrics_are_the_fields() {
        let prosody = compare_prosody(base(), base()).unwrap();
        let fields = serde_json::to_value(prosody).unwrap();
        let names: Vec<_> = Prosody::METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(fields.as_object().unwrap().len(), names.len());
        assert!(names.iter().all(|name| fields.get(name).is_some()), "{names:?}");
    }
}
