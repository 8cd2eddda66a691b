//! Pauses where two pieces of speech meet, and the edges of speech.
//!
//! The model begins and ends each piece with silence of its own: in 13 sentences of the corpus 0.20 to 0.50 s before
//! (median 0.28) and 0.21 to 1.06 s behind (median 0.53), which joined would make pauses from 0.4 to 1.5 s, the same
//! within a sentence as between two. So at a joint the silence is set to what a reader leaves; at the very beginning and
//! end of a text nothing is changed, unless it is to be trimmed.
//!
//! Silence is what is silent in every band: the hiss of an s is far below the voice, and loud among what is as high.

use crate::synthesizer::SAMPLE_RATE;
use crate::text::script::Joint;
use crate::text::split::Boundary;

/// The length of the frames that are quiet or not, in samples: 10 ms.
const FRAME: usize = SAMPLE_RATE as usize / 100;

/// Where the bands meet, in hertz: the voice and its first formants, what is above, and hiss.
const EDGES: [f32; 2] = [1_000.0, 4_000.0];

/// The loudest RMS of a quiet frame in each band, of full scale: −45, −55 and −60 dB.
const QUIET: [f32; 3] = [0.005_623, 0.001_778, 0.001];

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

/// What becomes of the silence at one end of a piece.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Edge {
    /// It stays as the model made it.
    Kept,
    /// It is taken off, but for the margin.
    Trimmed,
    /// It is set to a pause; before the piece behind it, to the margin.
    Joined(Joint),
}

/// What of a piece is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fitted {
    /// How many samples were taken off its beginning.
    pub(crate) cut: usize,
    /// How many are the model's, before a pause that was added.
    pub(crate) spoken: usize,
}

/// Sets the silence before and behind a piece. A pause of a boundary is over the `speed`.
pub(crate) fn fit(samples: &mut Vec<f32>, before: Edge, behind: Edge, speed: f32) -> Fitted {
    if before == Edge::Kept && behind == Edge::Kept {
        return Fitted { cut: 0, spoken: samples.len() };
    }
    let loud = loud_frames(samples);
    let margin = to_samples(MARGIN);
    let last = loud.iter().rposition(|loud| *loud).map_or(0, |frame| (frame + 1) * FRAME);
    if behind != Edge::Kept {
        samples.truncate((last + margin).min(samples.len()));
    }
    let end = samples.len();
    if let Edge::Joined(joint) = behind {
        let pause = match joint {
            Joint::Boundary(boundary) => seconds(boundary) / speed,
            Joint::Pause(seconds) => seconds,
        };
        // What the margins on both sides of the joint are, the silence need not be.
        let silence = to_samples(pause).saturating_sub(2 * margin);
        samples.resize(samples.len() + silence, 0.0);
    }
    let mut cut = 0;
    if before != Edge::Kept {
        let first = loud.iter().position(|loud| *loud).map_or(0, |frame| frame * FRAME);
        cut = first.saturating_sub(margin).min(samples.len());
        samples.drain(..cut);
    }
    Fitted { cut, spoken: end.saturating_sub(cut) }
}

/// For each frame, whether it is loud in any band.
fn loud_frames(samples: &[f32]) -> Vec<bool> {
    let [mut low, mut middle] = EDGES.map(LowPass::at);
    let mut powers = vec![[0.0_f32; 3]; samples.len().div_ceil(FRAME)];
    for (index, &sample) in samples.iter().enumerate() {
        let (below_low, below_middle) = (low.pass(sample), middle.pass(sample));
        let bands = [below_low, below_middle - below_low, sample - below_middle];
        for (power, band) in powers[index / FRAME].iter_mut().zip(bands) {
            *power += band * band;
        }
    }
    let is_loud = |(frame, powers): (usize, [f32; 3])| {
        let length = FRAME.min(samples.len() - frame * FRAME) as f32;
        powers.iter().zip(QUIET).any(|(power, quiet)| power / length > quiet * quiet)
    };
    powers.into_iter().enumerate().map(is_loud).collect()
}

/// A low-pass filter of the second order, Butterworth's (Bristow-Johnson, "Audio EQ cookbook").
struct LowPass {
    feed: [f32; 3],
    back: [f32; 2],
    held: [f32; 2],
}

impl LowPass {
    fn at(hertz: f32) -> Self {
        let angle = std::f32::consts::TAU * hertz / SAMPLE_RATE as f32;
        let (sin, cos) = angle.sin_cos();
        let alpha = sin * std::f32::consts::FRAC_1_SQRT_2;
        let scale = 1.0 / (1.0 + alpha);
        let edge = (1.0 - cos) / 2.0 * scale;
        Self {
            feed: [edge, 2.0 * edge, edge],
            back: [-2.0 * cos * scale, (1.0 - alpha) * scale],
            held: [0.0; 2],
        }
    }

    fn pass(&mut self, sample: f32) -> f32 {
        let passed = self.feed[0] * sample + self.held[0];
        self.held[0] = self.feed[1] * sample - self.back[0] * passed + self.held[1];
        self.held[1] = self.feed[2] * sample - self.back[1] * passed;
        passed
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

    fn fitted(before: Edge, behind: Edge, speed: f32) -> Vec<f32> {
        let mut samples = piece();
        fit(&mut samples, before, behind, speed);
        samples
    }

    fn joined(boundary: Boundary) -> Edge {
        Edge::Joined(Joint::Boundary(boundary))
    }

    #[test]
    fn what_stands_alone_is_not_changed() {
        assert_eq!(fitted(Edge::Kept, Edge::Kept, 1.0), piece());
    }

    #[test]
    fn a_joint_has_its_pause() {
        for (joint, speed, pause) in [
            (joined(Boundary::Word), 1.0, 0.06),
            (joined(Boundary::Clause), 1.0, 0.25),
            (joined(Boundary::Sentence), 1.0, 0.6),
            (joined(Boundary::Paragraph), 1.0, 1.0),
            (joined(Boundary::Sentence), 2.0, 0.3),
            (Edge::Joined(Joint::Pause(2.5)), 2.0, 2.5),
        ] {
            let (before, after) = (fitted(Edge::Kept, joint, speed), fitted(joint, Edge::Kept, speed));
            let quiet =
                |samples: &mut dyn Iterator<Item = &f32>| samples.take_while(|it| **it == 0.0).count();
            let found = quiet(&mut before.iter().rev()) + quiet(&mut after.iter());
            let expected = (pause * SECOND as f64).round() as usize;
            // The filters ring for a frame.
            assert!(
                found.abs_diff(expected) <= 1 + FRAME,
                "{joint:?} at {speed}: {found} samples, expected {expected}"
            );
            assert_eq!(before[..SECOND / 2 + SECOND], piece()[..SECOND / 2 + SECOND], "the sound stays");
            assert_eq!(after.len(), SECOND + to_samples(MARGIN) + SECOND / 2, "the end stays");
        }
    }

    #[test]
    fn what_is_left_is_told() {
        let mut samples = piece();
        let whole = fit(&mut samples, Edge::Kept, Edge::Kept, 1.0);
        assert_eq!(whole, Fitted { cut: 0, spoken: 2 * SECOND });
        let Fitted { cut, spoken } = fit(&mut samples, Edge::Trimmed, joined(Boundary::Sentence), 1.0);
        assert_eq!(samples[..spoken], piece()[cut..cut + spoken]);
        assert!(cut.abs_diff(SECOND / 2 - to_samples(MARGIN)) <= FRAME, "{cut}");
        assert!(samples[spoken..].iter().all(|sample| *sample == 0.0) && samples.len() > spoken);
    }

    #[test]
    fn trimmed_speech_has_its_margins_alone() {
        let trimmed = fitted(Edge::Trimmed, Edge::Trimmed, 1.0);
        assert!(trimmed.len().abs_diff(SECOND + 2 * to_samples(MARGIN)) <= FRAME, "{}", trimmed.len());
    }

    /// −51 dB of hiss, which is below what is silent of a voice.
    #[test]
    fn a_hiss_is_no_silence_and_a_hum_as_loud_is() {
        let tone = |hertz: f32| {
            let step = std::f32::consts::TAU * hertz / SECOND as f32;
            (0..SECOND).map(|index| 0.004 * (step * index as f32).sin()).collect::<Vec<_>>()
        };
        let loud = |samples: &[f32]| loud_frames(samples).iter().filter(|loud| **loud).count();
        assert!(loud(&tone(8_000.0)) >= 99);
        // It sets in at once, which has something of every band.
        assert!(loud(&tone(150.0)) <= 1);
    }

    #[test]
    fn silence_alone_becomes_a_pause() {
        let mut samples = vec![0.0; SECOND];
        fit(&mut samples, joined(Boundary::Word), joined(Boundary::Sentence), 1.0);
        assert_eq!(samples.len(), to_samples(0.6) - to_samples(MARGIN));
        let mut samples = Vec::new();
        fit(&mut samples, Edge::Trimmed, Edge::Kept, 1.0);
        assert!(samples.is_empty());
    }
}
