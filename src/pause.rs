//! Pauses where two pieces of speech meet.
//!
//! The model begins and ends each piece with silence of its own: in 13 sentences of the corpus 0.20 to 0.50 s before
//! (median 0.28) and 0.21 to 1.06 s behind (median 0.53), which joined would make pauses from 0.4 to 1.5 s, the same
//! within a sentence as between two. So at a joint the silence is set to what a reader leaves; at the very beginning and
//! end of a text nothing is changed.

use crate::split::Boundary;
use crate::synthesizer::SAMPLE_RATE;

/// The length of the frames that are quiet or not, in samples: 10 ms.
const FRAME: usize = SAMPLE_RATE as usize / 100;

/// The loudest RMS of a quiet frame: −45 dB of full scale, between the model's silence (below −60) and its breath.
const QUIET: f32 = 0.005_623;

/// What stays beside the sound, in seconds: a soft beginning and the end of a breath are quieter than [`QUIET`].
const MARGIN: f32 = 0.03;

/// The pause at a joint, in seconds, at speed 1.
///
/// Readers pause less than 0.2 s within a clause, 0.2 to 1.0 s at most other places, and longer between paragraphs
/// (Campione and Véronis, "A large-scale multilingual study of silent pause duration", 2002). The sentence has what the
/// model leaves between two sentences that it is given at once.
fn seconds(end: Boundary) -> f32 {
    match end {
        Boundary::Word => 0.06,
        Boundary::Clause => 0.25,
        Boundary::Sentence => 0.6,
        Boundary::Paragraph => 1.0,
    }
}

/// Sets the silence of a piece where it is joined: before it to the margin, unless it is the `first`; behind it to the
/// pause of `joint` over `speed`, unless it is the last and has none.
pub(crate) fn fit(samples: &mut Vec<f32>, first: bool, joint: Option<Boundary>, speed: f32) {
    let is_loud = |frame: &[f32]| {
        let power = frame.iter().map(|sample| sample * sample).sum::<f32>() / frame.len() as f32;
        power > QUIET * QUIET
    };
    let margin = to_samples(MARGIN);
    if let Some(joint) = joint {
        let loud = samples.chunks(FRAME).rposition(is_loud).map_or(0, |frame| (frame + 1) * FRAME);
        samples.truncate((loud + margin).min(samples.len()));
        // What the margins on both sides of the joint are, the silence need not be.
        let silence = to_samples(seconds(joint) / speed).saturating_sub(2 * margin);
        samples.resize(samples.len() + silence, 0.0);
    }
    if !first {
        let loud = samples.chunks(FRAME).position(is_loud).map_or(0, |frame| frame * FRAME);
        samples.drain(..loud.saturating_sub(margin));
    }
}

fn to_samples(seconds: f32) -> usize {
    (seconds * SAMPLE_RATE as f32).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: usize = SAMPLE_RATE as usize;

    /// Half a second of silence, a second of sound, and half a second of silence.
    fn piece() -> Vec<f32> {
        let sound = (0..SECOND).map(|index| if index % 2 == 0 { 0.5 } else { -0.5 });
        let silence = || std::iter::repeat_n(0.0, SECOND / 2);
        silence().chain(sound).chain(silence()).collect()
    }

    fn fitted(first: bool, joint: Option<Boundary>, speed: f32) -> Vec<f32> {
        let mut samples = piece();
        fit(&mut samples, first, joint, speed);
        samples
    }

    #[test]
    fn what_stands_alone_is_not_changed() {
        assert_eq!(fitted(true, None, 1.0), piece());
    }

    #[test]
    fn a_joint_has_its_pause() {
        for (joint, speed, pause) in [
            (Boundary::Word, 1.0, 0.06),
            (Boundary::Clause, 1.0, 0.25),
            (Boundary::Sentence, 1.0, 0.6),
            (Boundary::Paragraph, 1.0, 1.0),
            (Boundary::Sentence, 2.0, 0.3),
        ] {
            let (before, after) = (fitted(true, Some(joint), speed), fitted(false, None, speed));
            let quiet =
                |samples: &mut dyn Iterator<Item = &f32>| samples.take_while(|it| **it == 0.0).count();
            let found = quiet(&mut before.iter().rev()) + quiet(&mut after.iter());
            let expected = (pause * SECOND as f64).round() as usize;
            assert!(
                found.abs_diff(expected) <= 1,
                "{joint:?} at {speed}: {found} samples, expected {expected}"
            );
            assert_eq!(before[..SECOND / 2 + SECOND], piece()[..SECOND / 2 + SECOND], "the sound stays");
            assert_eq!(after.len(), SECOND + to_samples(MARGIN) + SECOND / 2, "the end stays");
        }
    }

    #[test]
    fn silence_alone_becomes_a_pause() {
        let mut samples = vec![0.0; SECOND];
        fit(&mut samples, false, Some(Boundary::Sentence), 1.0);
        assert_eq!(samples.len(), to_samples(0.6) - to_samples(MARGIN));
        let mut samples = Vec::new();
        fit(&mut samples, false, None, 1.0);
        assert!(samples.is_empty());
    }
}
