//! When words are said, in the samples that are delivered.
//!
//! The model predicts for each token how many frames it lasts, and makes the sound of a run from these frames, so
//! the first sample of each token is known but for the silence that was taken off or put between.

use std::ops::Range;

use crate::pause::Fitted;
use crate::synthesizer::SAMPLE_RATE;
use crate::text::script::Spelled;

/// A word, and when it is said.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// As it was written, such as `10%` or `$5.3 billion`; of phonemes, these.
    pub text: String,
    /// Where it stands in what was given, in bytes.
    pub source: Range<usize>,
    /// When it begins, in seconds from the beginning of the audio.
    pub start: f64,
    /// When it ends.
    pub end: f64,
    /// Its phonemes; where it is said in several words, with spaces and marks between.
    pub phonemes: Vec<Phoneme>,
}

/// A phoneme, and when it is said. A mark of stress or of length is one, too.
#[derive(Clone, Debug, PartialEq)]
pub struct Phoneme {
    /// One of the symbols that [`tokenize`](crate::tokenize) knows.
    pub symbol: char,
    /// When it begins, in seconds from the beginning of the audio.
    pub start: f64,
    /// When it ends.
    pub end: f64,
}

impl Word {
    /// The same word in audio that has so many seconds before.
    pub(crate) fn later(mut self, seconds: f64) -> Self {
        self.start += seconds;
        self.end += seconds;
        for phoneme in &mut self.phonemes {
            phoneme.start += seconds;
            phoneme.end += seconds;
        }
        self
    }
}

/// The samples of each phoneme of a sentence, none of what was not said; no timeline once a run did not tell its durations.
#[derive(Debug)]
pub(crate) struct Timeline(Option<Vec<Option<Range<usize>>>>);

impl Timeline {
    pub(crate) fn new(phonemes: usize) -> Self {
        Self(Some(vec![None; phonemes]))
    }

    /// Notes a run, which said `count` phonemes from `first` on in so many `samples`, of which `fitted` is left behind what
    /// was `said` before.
    pub(crate) fn note(
        &mut self,
        (first, count): (usize, usize),
        durations: Option<&[u32]>,
        samples: usize,
        fitted: Fitted,
        said: usize,
    ) {
        let starts = durations.and_then(|durations| starts(durations, samples));
        // One for each token, of which two are padding, and the end of the last.
        let starts = starts.filter(|starts| starts.len() == count + 3);
        let (Some(times), Some(starts)) = (&mut self.0, starts) else {
            self.0 = None;
            return;
        };
        let place = |sample: usize| said + sample.saturating_sub(fitted.cut).min(fitted.spoken);
        for (time, bounds) in times[first..first + count].iter_mut().zip(starts[1..].windows(2)) {
            *time = Some(place(bounds[0])..place(bounds[1]));
        }
    }

    /// The words of the sentence; `given` is what was written, and `phonemes` those of the sentence.
    pub(crate) fn words<'a>(
        self,
        words: &[Spelled],
        phonemes: &str,
        given: impl Fn(Range<usize>) -> &'a str,
    ) -> Option<Vec<Word>> {
        let times = self.0?;
        let symbols: Vec<char> = phonemes.chars().collect();
        let word = |Spelled { phonemes: of, source }: &Spelled| {
            let said = symbols[of.clone()].iter().zip(&times[of.clone()]);
            let phonemes: Vec<Phoneme> = said
                .filter_map(|(&symbol, time)| {
                    let Range { start, end } = time.clone()?;
                    Some(Phoneme { symbol, start: seconds(start), end: seconds(end) })
                })
                .collect();
            let (start, end) = (phonemes.first()?.start, phonemes.last()?.end);
            let text = given(source.clone()).to_owned();
            Some(Word { text, source: source.clone(), start, end, phonemes })
        };
        Some(words.iter().filter_map(word).collect())
    }
}

pub(crate) fn seconds(samples: usize) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}

/// The first sample of each token, and the end of the last.
fn starts(durations: &[u32], samples: usize) -> Option<Vec<usize>> {
    let frames: u64 = durations.iter().copied().map(u64::from).sum();
    let mut passed = 0;
    let mut starts = vec![0];
    for &duration in durations {
        passed += u64::from(duration);
        // Of Kokoro, 600 samples for each frame.
        starts.push((passed * samples as u64).checked_div(frames)? as usize);
    }
    Some(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 600;

    /// Five phonemes, "ab cd", in two words.
    fn spelled() -> [Spelled; 2] {
        [Spelled { phonemes: 0..2, source: 0..3 }, Spelled { phonemes: 3..5, source: 4..6 }]
    }

    fn words(timeline: Timeline) -> Option<Vec<Word>> {
        timeline.words(&spelled(), "ab cd", |source| &"10% is"[source])
    }

    fn times(words: &[Word]) -> Vec<(f64, f64)> {
        words.iter().map(|word| (word.start, word.end)).collect()
    }

    #[test]
    fn times_are_sums_of_durations() {
        let mut timeline = Timeline::new(5);
        let samples = 20 * FRAME;
        let fitted = Fitted { cut: 0, spoken: samples };
        timeline.note((0, 5), Some(&[4, 1, 2, 3, 0, 5, 5]), samples, fitted, 0);
        let words = words(timeline).unwrap();
        assert_eq!(times(&words), [(0.1, 0.175), (0.25, 0.375)]);
        assert_eq!(words[0].text, "10%");
        let phonemes: Vec<_> = words[0].phonemes.iter().map(|it| (it.symbol, it.start, it.end)).collect();
        assert_eq!(phonemes, [('a', 0.1, 0.125), ('b', 0.125, 0.175)]);
        assert_eq!(words[1].clone().later(1.0).phonemes[1].end, 1.375);
    }

    #[test]
    fn what_is_cut_and_what_was_said_before_count() {
        let mut timeline = Timeline::new(5);
        // Two runs, of which the first loses its silence and is followed by a pause.
        let fitted = Fitted { cut: 3 * FRAME, spoken: 4 * FRAME };
        timeline.note((0, 2), Some(&[4, 1, 2, 9]), 16 * FRAME, fitted, 0);
        let fitted = Fitted { cut: FRAME / 2, spoken: 4 * FRAME };
        timeline.note((3, 2), Some(&[1, 2, 2, 1]), 6 * FRAME, fitted, 10 * FRAME);
        let words = words(timeline).unwrap();
        assert_eq!(times(&words), [(0.025, 0.1), (0.2625, 0.35)]);
    }

    #[test]
    fn without_a_duration_for_each_token_there_are_no_words() {
        for durations in [None, Some(&[1, 1, 1][..]), Some(&[0; 7]), Some(&[])] {
            let mut timeline = Timeline::new(5);
            let fitted = Fitted { cut: 0, spoken: 20 };
            timeline.note((0, 5), durations, 20, fitted, 0);
            timeline.note((0, 5), Some(&[1; 7]), 20, fitted, 20);
            assert_eq!(words(timeline), None, "{durations:?}");
        }
    }
}
