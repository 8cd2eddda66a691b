//! Ordinary text into words: what is written short, in digits, in symbols or with marks, as a reader says it.
//!
//! Three steps, each of which remembers the place of everything in the original: [`characters`] writes each character in one
//! way, [`markup`] takes marks of Markdown out, [`reading`] finds what is not a word and says it in words. What no step knows is
//! left out and told. All of it takes time linear in the text, and no file.
//!
//! Libraries were weighed. `text-processing-rs` reads American only, writes everything in small letters without places, and
//! is silent about what it does not know; `num2words` computes in floating point; what `misaki-rs` has of its own covers numbers,
//! three currencies and a few symbols, and drops others without a word.

/// Functions that give a pattern, compiled at its first use. Digits are those of ASCII, which are all that numbers are read of.
macro_rules! patterns {
    ($($(#[$meta:meta])* $name:ident = $pattern:expr;)*) => {$(
        $(#[$meta])*
        fn $name() -> &'static regex::Regex {
            static PATTERN: std::sync::OnceLock<regex::Regex> = std::sync::OnceLock::new();
            PATTERN.get_or_init(|| {
                let pattern = $pattern.replace(r"\d", "[0-9]");
                regex::Regex::new(&pattern).expect("a pattern of this crate")
            })
        }
    )*};
}

mod abbreviations;
mod addresses;
mod calendar;
mod capitals;
mod characters;
mod figures;
mod languages;
mod mapped;
mod markup;
mod money;
mod numbers;
mod reading;
mod roman;
mod symbols;
mod units;

use std::ops::Range;

pub(crate) use mapped::Mapped;
pub(crate) use reading::{LETTER, PAUSE};

use super::lexicon::Lexicon;
use super::notice::{Notice, NoticeKind};

/// Whose conventions are followed where they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    American,
    British,
}

/// What the steps are given beside the text.
#[derive(Clone, Copy)]
pub(crate) struct Knowledge<'a> {
    pub(crate) dialect: Dialect,
    /// Whether a word in small letters is one of the language.
    pub(crate) is_word: &'a dyn Fn(&str) -> bool,
    /// What the caller knows better.
    pub(crate) lexicon: &'a Lexicon,
}

/// A text in words.
#[derive(Debug, Default)]
pub(crate) struct Normalized {
    /// Words, marks, phonemes given as `[word](/…/)`, [`LETTER`] before letters that are called by their names, and [`PAUSE`].
    pub(crate) text: Mapped,
    /// The place and the length in seconds of each [`PAUSE`], in their order.
    pub(crate) pauses: Vec<(usize, f32)>,
    /// What of the original is said in other words, each part in bytes, in their order.
    pub(crate) readings: Vec<Range<usize>>,
    /// What was left out, in the order of the text.
    pub(crate) notices: Vec<Notice>,
}

impl Normalized {
    /// What was written for these bytes of the text in words: for what stays as it is, itself; for what is said in
    /// other words, all that is said so.
    pub(crate) fn written(&self, original: &str, range: Range<usize>) -> Range<usize> {
        let last = self.text.as_str()[range.clone()].char_indices().next_back().map_or(0, |(at, _)| at);
        let last = range.start + last;
        let origin = |at: usize| self.text.origin(at).unwrap_or(original.len());
        let reading = |at: usize| {
            let index = self.readings.partition_point(|reading| reading.start <= at);
            let reading = index.checked_sub(1).map(|index| &self.readings[index]);
            reading.filter(|reading| reading.contains(&at))
        };
        let (first, behind) = (origin(range.start), origin(last));
        let start = reading(first).map_or(first, |reading| reading.start);
        let end = reading(behind).map_or_else(|| self.text.end(last, original), |reading| reading.end);
        start..end.max(start)
    }
}

/// The text in words.
pub(crate) fn normalize(text: &str, knowledge: Knowledge<'_>) -> Normalized {
    let mut findings = Findings::default();
    let plain = characters::plain(text);
    let plain = markup::plain(&plain, &mut findings);
    let plain = capitals::lowered(&plain, knowledge.is_word);
    let mut normalized = reading::read(&plain, text, knowledge, &mut findings);
    languages::notice(&normalized.text, text, &mut findings);
    normalized.notices = findings.notices(text);
    normalized
}

/// What was found on the way, by its place in the original.
#[derive(Debug, Default)]
struct Findings(Vec<(usize, NoticeKind, String)>);

impl Findings {
    fn add(&mut self, kind: NoticeKind, text: &str, origin: usize) {
        self.0.push((origin, kind, text.to_owned()));
    }

    /// With lines and columns of `text`.
    fn notices(mut self, text: &str) -> Vec<Notice> {
        self.0.sort_by_key(|(origin, ..)| *origin);
        let (mut line, mut start, mut seen) = (1, 0, 0);
        let place = |(origin, kind, found): (usize, NoticeKind, String)| {
            for (at, _) in text[seen..origin].match_indices('\n') {
                line += 1;
                start = seen + at + 1;
            }
            seen = origin;
            Notice { kind, text: found, line, column: text[start..origin].chars().count() + 1 }
        };
        self.0.into_iter().map(place).collect()
    }
}
