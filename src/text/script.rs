//! What is to be said, in pieces that the model takes.

use std::ops::Range;

#[cfg(feature = "english")]
use super::english::{English, Pronounced};
#[cfg(feature = "english")]
use super::normalize::{LETTER, Normalized, PAUSE};
#[cfg(feature = "english")]
use super::notice::Notice;
#[cfg(feature = "english")]
use super::split::split_text;
use super::split::{Boundary, Piece, split_phonemes};
use super::vocabulary::tokenize;
use crate::error::Error;
use crate::voice::MAX_PHONEMES;

/// A text that was read, or phonemes: all that can be wrong with it was found, and nothing was said yet.
pub struct Script {
    text: String,
    written: Written,
}

/// What a script is written in.
enum Written {
    #[cfg(feature = "english")]
    English {
        english: &'static English,
        normalized: Normalized,
    },
    Phonemes,
}

/// What follows a unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Joint {
    /// The pause of a boundary, over the speed.
    Boundary(Boundary),
    /// A pause that the text asks for, in seconds.
    Pause(f32),
}

/// A sentence of the script, or a part of one.
pub(crate) struct Unit {
    pub(crate) start: usize,
    after: usize,
    end: Boundary,
    /// Marks that are not spoken stood before it, such as a line of asterisks.
    behind_marks: bool,
    /// The pauses, in seconds, that the text asks for before it.
    paused: Option<f32>,
}

impl Script {
    /// Phonemes: the symbols that [`tokenize`] knows.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownPhoneme`](crate::ErrorKind::UnknownPhoneme).
    pub fn from_phonemes(phonemes: &str) -> Result<Self, Error> {
        tokenize(phonemes)?;
        Ok(Self { text: phonemes.to_owned(), written: Written::Phonemes })
    }

    #[cfg(feature = "english")]
    pub(super) fn english(text: &str, english: &'static English, normalized: Normalized) -> Self {
        Self { text: text.to_owned(), written: Written::English { english, normalized } }
    }

    /// What of the text is not read, or not as it is meant, in its order.
    #[cfg(feature = "english")]
    pub fn notices(&self) -> &[Notice] {
        match &self.written {
            Written::English { normalized, .. } => &normalized.notices,
            Written::Phonemes => &[],
        }
    }

    /// The text in words, as it is looked up; of phonemes, these.
    #[cfg(feature = "english")]
    pub fn words(&self) -> String {
        self.spoken().trim().replace(LETTER, "").replace(PAUSE, "[pause]")
    }

    /// The phonemes of all sentences, with spaces between.
    #[cfg(feature = "english")]
    pub fn phonemes(&self) -> String {
        let units = self.units().map(|unit| self.said(&unit).phonemes);
        units.filter(|phonemes| !phonemes.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The words for which there are no phonemes.
    #[cfg(all(test, feature = "english"))]
    pub(super) fn unspoken(&self) -> Vec<String> {
        self.units().flat_map(|unit| self.said(&unit).unspoken).collect()
    }

    #[cfg(feature = "english")]
    fn units(&self) -> impl Iterator<Item = Unit> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let unit = self.unit(at)?;
            at = unit.after;
            Some(unit)
        })
    }

    /// How many bytes there are to be said.
    pub(crate) fn len(&self) -> usize {
        self.spoken().len()
    }

    /// What is split: the text in words, or phonemes.
    fn spoken(&self) -> &str {
        match &self.written {
            #[cfg(feature = "english")]
            Written::English { normalized, .. } => normalized.text.as_str(),
            Written::Phonemes => &self.text,
        }
    }

    /// The first unit at or after byte `at` that there is something to say of.
    pub(crate) fn unit(&self, mut at: usize) -> Option<Unit> {
        let mut behind_marks = false;
        #[cfg_attr(not(feature = "english"), expect(unused_mut, reason = "phonemes have no pauses"))]
        let mut paused = None;
        loop {
            let rest = &self.spoken()[at..];
            let begin = rest.len() - rest.trim_start().len();
            #[cfg(feature = "english")]
            if let Written::English { normalized, .. } = &self.written
                && rest[begin..].starts_with(PAUSE)
            {
                let index = normalized.pauses.partition_point(|(pause, _)| *pause < at + begin);
                *paused.get_or_insert(0.0) += normalized.pauses[index].1;
                at += begin + PAUSE.len_utf8();
                continue;
            }
            let piece = self.piece(at + begin)?;
            let start = at + begin + piece.start;
            let after = start + piece.text.len();
            if is_speech(piece.text) {
                return Some(Unit { start, after, end: piece.end, behind_marks, paused });
            }
            (at, behind_marks) = (after, true);
        }
    }

    /// The next piece, which ends before a pause.
    fn piece(&self, at: usize) -> Option<Piece<'_>> {
        match &self.written {
            #[cfg(feature = "english")]
            Written::English { normalized, .. } => {
                let index = normalized.pauses.partition_point(|(pause, _)| *pause < at);
                let end = normalized.pauses.get(index).map_or(self.len(), |(pause, _)| *pause);
                split_text(&self.spoken()[at..end], MAX_PHONEMES).next()
            }
            Written::Phonemes => split_phonemes(&self.text[at..], MAX_PHONEMES).next(),
        }
    }

    /// The unit behind this one, and what is between.
    pub(crate) fn next(&self, unit: &Unit) -> (Option<Unit>, Option<Joint>) {
        let next = self.unit(unit.after);
        let joint = next.as_ref().map(|next| match next.paused {
            Some(seconds) => Joint::Pause(seconds),
            None if next.behind_marks => Joint::Boundary(Boundary::Paragraph),
            None => Joint::Boundary(unit.end),
        });
        (next, joint)
    }

    /// Where in the original a unit ends.
    #[cfg(feature = "english")]
    fn end(&self, normalized: &Normalized, unit: &Unit) -> usize {
        let last = normalized.text.as_str()[unit.start..unit.after].chars().next_back();
        let behind = || normalized.text.origin(unit.after).unwrap_or(self.text.len());
        let Some(last) = last else { return behind() };
        // A mark stands for itself, and a word for all that was written for it.
        let origin = normalized.text.origin(unit.after - last.len_utf8()).unwrap_or(self.text.len());
        if self.text[origin..].starts_with(last) { origin + last.len_utf8() } else { behind() }
    }

    /// The text and the phonemes of a unit.
    pub(crate) fn said(&self, unit: &Unit) -> Said {
        match &self.written {
            #[cfg(feature = "english")]
            Written::English { english, normalized } => {
                let Pronounced { phonemes, words, unspoken } =
                    english.phonemes(&normalized.text.as_str()[unit.start..unit.after]);
                let start = normalized.text.origin(unit.start).unwrap_or(self.text.len());
                let end = self.end(normalized, unit).max(start);
                let text = self.text[start..end].trim_end();
                let words = words.into_iter().map(|(phonemes, piece)| Spelled {
                    phonemes,
                    source: normalized.written(&self.text, unit.start + piece.start..unit.start + piece.end),
                });
                Said { text: text.to_owned(), phonemes, words: whole(words), unspoken }
            }
            Written::Phonemes => {
                let phonemes = &self.text[unit.start..unit.after];
                let words = runs(phonemes).map(|(phonemes, Range { start, end })| Spelled {
                    phonemes,
                    source: unit.start + start..unit.start + end,
                });
                let words = words.collect();
                Said { text: String::new(), phonemes: phonemes.to_owned(), words, unspoken: Vec::new() }
            }
        }
    }

    /// What of the text, or of the phonemes, was given at these bytes.
    pub(crate) fn given(&self, source: Range<usize>) -> &str {
        &self.text[source]
    }
}

/// What is said of a unit.
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) phonemes: String,
    /// The words in their order.
    pub(crate) words: Vec<Spelled>,
    /// Words without phonemes. None that was read has any, by the tests of this crate.
    pub(crate) unspoken: Vec<String>,
}

/// A word as it was written, and how it is said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spelled {
    /// Its phonemes among those of the unit, in characters.
    pub(crate) phonemes: Range<usize>,
    /// Where it stands in what was given, in bytes.
    pub(crate) source: Range<usize>,
}

/// The words as they were written, of which one may be said in several: `$5.3 billion`.
#[cfg(feature = "english")]
fn whole(said: impl Iterator<Item = Spelled>) -> Vec<Spelled> {
    let mut words: Vec<Spelled> = Vec::new();
    for word in said {
        match words.last_mut() {
            Some(last) if word.source.start < last.source.end => {
                last.phonemes.end = word.phonemes.end;
                last.source.end = last.source.end.max(word.source.end);
            }
            _ => words.push(word),
        }
    }
    words
}

/// The words of phonemes, in characters and in bytes: what is between white space and marks.
fn runs(phonemes: &str) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    let mut rest = phonemes.char_indices().enumerate().peekable();
    std::iter::from_fn(move || {
        let is_between = |it: char| it.is_whitespace() || ";:,.!?—…\"()“”".contains(it);
        let (first, (start, _)) = rest.find(|(_, (_, it))| !is_between(*it))?;
        let mut count = 1;
        while rest.next_if(|(_, (_, it))| !is_between(*it)).is_some() {
            count += 1;
        }
        let end = rest.peek().map_or(phonemes.len(), |(_, (end, _))| *end);
        Some((first..first + count, start..end))
    })
}

/// Whether there is a letter or a figure; marks alone are not spoken.
pub(crate) fn is_speech(piece: &str) -> bool {
    piece.contains(char::is_alphanumeric)
}

impl std::fmt::Debug for Script {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Script").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(script: &Script) -> Vec<(&str, String)> {
        let mut words = Vec::new();
        let mut next = script.unit(0);
        while let Some(unit) = next {
            let said = script.said(&unit);
            let phonemes: Vec<char> = said.phonemes.chars().collect();
            words.extend(said.words.into_iter().map(|Spelled { phonemes: of, source }| {
                (script.given(source), phonemes[of].iter().collect::<String>())
            }));
            next = script.next(&unit).0;
        }
        words
    }

    #[test]
    fn words_of_phonemes_are_between_marks() {
        let script = Script::from_phonemes("“həlˈO, ɑ\u{303}”… wˈɜɹld.  jˈɛs!").unwrap();
        let words = words(&script);
        let texts: Vec<_> = words.iter().map(|(text, _)| *text).collect();
        assert_eq!(texts, ["həlˈO", "ɑ\u{303}", "wˈɜɹld", "jˈɛs"]);
        assert!(words.iter().all(|(text, phonemes)| text == phonemes));
    }

    #[cfg(feature = "english")]
    #[test]
    fn words_are_those_that_were_written() {
        use crate::{Language, Lexicon, Reader};

        let lexicon: Lexicon = "Kokoro kˈOkəɹO\nC# sˈiʃˈɑɹp".parse().unwrap();
        let reader = Reader::new(Language::AmericanEnglish).lexicon(lexicon);
        for (text, expected) in [
            ("It cost $5.3 billion, up 10%.", &["It", "cost", "$5.3 billion", "up", "10%"][..]),
            ("Dr. Oz came at 9:30 on 3/4/2021!", &["Dr.", "Oz", "came", "at", "9:30", "on", "3/4/2021"]),
            ("**Bold** and **50%**, [a link](https://a.org).", &["Bold", "and", "50%", "a", "link"]),
            ("No, it isn’t; I’d’ve known.", &["No", "it", "isn’t", "I’d’ve", "known"]),
            ("Naïve cafe\u{301}s: ﬁnal.", &["Naïve", "cafe\u{301}s", "ﬁnal"]),
            ("Kokoro's C# is [Bob](/bˈA/).", &["Kokoro's", "C#", "is", "Bob"]),
            ("THE OLD MAN LOOKED AT THE item(s).", &["THE", "OLD", "MAN", "LOOKED", "AT", "THE", "item(s)"]),
            ("Yes!No—maybe.", &["Yes", "No", "maybe"]),
            ("Use, e.g., a well-known one; ‘Hello’.", &["Use", "e.g.", "a", "well-known", "one", "Hello"]),
            (", -'jé ok", &["-'jé", "ok"]),
            ("# Title\n\n1. One ☃ two\n2. It's 5°C", &["Title", "1", "One", "two", "2", "It's", "5°C"]),
            ("Plan A. [pause 1s] World War II", &["Plan", "A.", "World", "War", "II"]),
        ] {
            let script = reader.read(text).unwrap();
            let words = words(&script);
            assert_eq!(words.iter().map(|(text, _)| *text).collect::<Vec<_>>(), expected, "{text}");
            // No phoneme is of two words, and none but spaces and marks of none.
            let all: String = script.phonemes().chars().filter(|it| it.is_alphanumeric()).collect();
            let of_words = words.iter().flat_map(|(_, phonemes)| phonemes.chars());
            assert_eq!(of_words.filter(|it| it.is_alphanumeric()).collect::<String>(), all, "{text}");
        }
        let script = reader.read("It cost $5.3 billion.").unwrap();
        assert_eq!(words(&script)[2].1, "fˈIv pˈYnt θɹˈi bˈɪljən dˈɑləɹz");
    }
}
