//! What can be told of speech from its samples alone.

use serde::{Deserialize, Serialize};

/// Full scale. A WAV file clamps what is beyond, which sounds like a crackle, or like nothing when all of it is.
const RAIL: f32 = 1.0;

/// The measures of one piece of audio. Where samples are not finite, the others are of those that are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sound {
    /// How many samples are NaN or infinite.
    pub not_finite: usize,
    /// Root mean square, relative to full scale. The mean is not taken off: [`Self::dc`] judges that.
    pub rms: f64,
    /// The largest magnitude.
    pub peak: f64,
    /// The share of samples at or beyond full scale.
    pub clipped: f64,
    /// The most samples in a row that are at or beyond full scale and all the same.
    pub longest_at_rail: usize,
    /// The mean: sound has none, a broken filter or a pinned output has.
    pub dc: f64,
}

impl Sound {
    /// Measures `samples`, nominally within −1.0..=1.0. Nothing at all is silence.
    pub fn of(samples: &[f32]) -> Self {
        let mut finite = 0_usize;
        let (mut sum, mut squares, mut peak) = (0.0_f64, 0.0_f64, 0.0_f64);
        let (mut clipped, mut run, mut longest) = (0_usize, 0_usize, 0_usize);
        let mut last = None;
        for &sample in samples {
            if !sample.is_finite() {
                (last, run) = (None, 0);
                continue;
            }
            let value = f64::from(sample);
            finite += 1;
            sum += value;
            squares += value * value;
            peak = peak.max(value.abs());
            if sample.abs() >= RAIL {
                clipped += 1;
                run = if last == Some(sample) { run + 1 } else { 1 };
                longest = longest.max(run);
            }
            last = Some(sample);
        }
        let count = finite.max(1) as f64;
        Self {
            not_finite: samples.len() - finite,
            rms: (squares / count).sqrt(),
            peak,
            clipped: clipped as f64 / count,
            longest_at_rail: longest,
            dc: sum / count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_by_hand() {
        let sound = Sound::of(&[0.5, -0.5, 1.0, 1.0, -1.0, 0.0, 1.5, 1.5]);
        assert_eq!(sound.not_finite, 0);
        assert_eq!(sound.peak, 1.5);
        assert_eq!(sound.clipped, 5.0 / 8.0);
        assert_eq!(sound.longest_at_rail, 2);
        assert_eq!(sound.dc, 4.0 / 8.0);
        // 2 · 0.25 + 3 · 1 + 2 · 2.25 = 8.
        assert_eq!(sound.rms, 1.0);
    }

    #[test]
    fn what_is_not_finite_is_counted_and_hides_nothing() {
        let sound = Sound::of(&[1.0, f32::NAN, 1.0, f32::INFINITY, f32::NEG_INFINITY]);
        assert_eq!(sound.not_finite, 3);
        assert_eq!((sound.rms, sound.dc, sound.clipped), (1.0, 1.0, 1.0));
        // A sample that is no number ends a run.
        assert_eq!(sound.longest_at_rail, 1);
    }

    #[test]
    fn a_run_at_the_rail_is_of_equal_samples() {
        assert_eq!(Sound::of(&[1.0; 480]).longest_at_rail, 480);
        assert_eq!(Sound::of(&[-1.0, 1.0, -1.0, 1.0]).longest_at_rail, 1);
        assert_eq!(Sound::of(&[0.9; 480]).longest_at_rail, 0);
    }

    #[test]
    fn nothing_is_silence() {
        let sound = Sound::of(&[]);
        assert_eq!((sound.rms, sound.peak, sound.dc, sound.clipped), (0.0, 0.0, 0.0, 0.0));
    }
}
