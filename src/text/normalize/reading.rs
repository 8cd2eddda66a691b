//! From left to right through a text: words stay, all else is said in words by the first rule that knows it.

use super::mapped::Mapped;
use super::{
    Dialect, Findings, Knowledge, Normalized, abbreviations, addresses, calendar, capitals, figures, money,
    roman, symbols, units,
};
use crate::text::notice::NoticeKind;

/// Stands for a pause of a given length; no text has it, for private characters are left out.
pub(crate) const PAUSE: char = '\u{e000}';

/// Stands before a capital letter that is called by its name, not read as a word: the A in "plan A".
pub(crate) const LETTER: char = '\u{e001}';

/// What stands in words where phonemes are given of something that is no plain word, such as `C#`.
const NAME: &str = "name";

/// The longest pause that a text may ask for, in seconds.
const LONGEST_PAUSE: f32 = 60.0;

/// Where a rule looks.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) knowledge: Knowledge<'a>,
    /// Whether a quotation by straight marks is open.
    pub(super) quoted: bool,
}

impl<'a> Place<'a> {
    pub(super) fn dialect(&self) -> Dialect {
        self.knowledge.dialect
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn before(&self) -> &'a str {
        &self.text[..self.at]
    }

    /// The word that stands before, if only spaces are between.
    pub(super) fn word_before(&self) -> &'a str {
        let before = self.before().trim_end_matches(' ');
        let start = before.char_indices().rev().take_while(|(_, it)| it.is_alphanumeric()).last();
        start.map_or("", |(start, _)| &before[start..])
    }

    /// Whether an amount of `length` bytes is what a noun behind it is of: "a five dollar bill", "a ten kilometer run".
    pub(super) fn counts_one(&self, length: usize) -> bool {
        const OTHERS: [&str; 16] = [
            "a", "an", "per", "for", "of", "or", "and", "to", "in", "on", "at", "each", "is", "was", "more",
            "less",
        ];
        let Some(behind) = self.rest().get(length..).and_then(|behind| behind.strip_prefix(' ')) else {
            return false;
        };
        let next = behind.split(|it: char| !it.is_ascii_lowercase()).next().unwrap_or("");
        matches!(self.word_before(), "a" | "A" | "an" | "another" | "every")
            && next.len() > 1
            && !OTHERS.contains(&next)
    }

    pub(super) fn british(&self) -> bool {
        self.dialect() == Dialect::British
    }
}

/// What a rule says of the `length` bytes that it takes.
pub(super) struct Reading {
    pub(super) words: String,
    pub(super) length: usize,
}

pub(super) type Rule = fn(&Place<'_>) -> Option<Reading>;

#[allow(clippy::unnecessary_wraps, reason = "every rule returns it")]
pub(super) fn reading(words: impl Into<String>, length: usize) -> Option<Reading> {
    Some(Reading { words: words.into(), length })
}

/// What begins with a digit, or with a sign, a currency or a mark before one.
const NUMERIC: &[Rule] = &[
    addresses::network,
    calendar::iso_date,
    calendar::date,
    figures::telephone,
    figures::idiom,
    calendar::clock,
    figures::version,
    money::amount,
    figures::feet,
    calendar::decade,
    figures::percent,
    units::quantity,
    figures::fraction,
    figures::ordinal,
    figures::thousands,
    figures::dimensions,
    calendar::day_and_month,
    figures::range,
    figures::power,
    figures::signed,
    figures::number,
];

/// What begins with a letter.
const VERBAL: &[Rule] = &[
    addresses::address,
    abbreviations::dotted,
    calendar::month_and_day,
    abbreviations::plain,
    money::coded,
    symbols::lettered,
    roman::numeral,
    figures::compound,
    addresses::file,
    symbols::slashed,
    capitals::shout,
];

/// What begins with a mark.
const SYMBOLIC: &[Rule] = &[
    figures::telephone,
    money::amount,
    figures::numbered,
    figures::approximately,
    addresses::option,
    figures::signed,
    figures::decimal_point,
    calendar::decade,
    addresses::path,
    symbols::tagged,
    symbols::symbol,
];

/// The text in words, without its notices.
pub(super) fn read(
    text: &Mapped,
    original: &str,
    knowledge: Knowledge<'_>,
    findings: &mut Findings,
) -> Normalized {
    let whole = text.as_str();
    let (mut spoken, mut pauses) = (Mapped::with_capacity(text.len()), Vec::new());
    let mut readings = Vec::new();
    let written = |at: usize, length: usize| {
        let last =
            whole[at..at + length].trim_end().char_indices().next_back().map_or(at, |(last, _)| at + last);
        text.origin(at).unwrap_or(original.len())..text.end(last, original)
    };
    let (mut at, mut quoted) = (0, false);
    while let Some(first) = whole[at..].chars().next() {
        let origin = text.origin(at).unwrap_or(0);
        let place = Place { text: whole, at, knowledge, quoted };
        if first == '[' {
            if let Some(found) = given().find(place.rest()) {
                spoken.keep(text, at..at + found.end());
                at += found.end();
                continue;
            }
            if let Some(found) = pause().captures(place.rest()) {
                let length: f32 = found[1].parse().unwrap_or(0.0);
                // More would be silence for silence's sake, and take the memory of it.
                let seconds = if &found[2] == "ms" { length / 1000.0 } else { length }.min(LONGEST_PAUSE);
                pauses.push((spoken.len(), seconds));
                spoken.push(PAUSE, origin);
                at += found[0].len();
                continue;
            }
        }
        let within = spoken.as_str().chars().next_back().is_some_and(char::is_alphanumeric)
            && place.before().ends_with(char::is_alphanumeric);
        if !within && let Some((word, phonemes)) = knowledge.lexicon.at(place.rest()) {
            let name = if word.bytes().all(|it| it.is_ascii_alphabetic()) { word } else { NAME };
            spoken.push_str(&format!("[{name}](/{phonemes}/)"), origin);
            readings.push(written(at, word.len()));
            at += word.len();
            continue;
        }
        let rules = match first {
            _ if within && first.is_alphanumeric() => &[][..],
            '0'..='9' => NUMERIC,
            'a'..='z' | 'A'..='Z' => VERBAL,
            ' ' | '\n' | ',' | ';' | '!' | '?' | ')' => &[],
            _ => SYMBOLIC,
        };
        if let Some(Reading { words, length }) = rules.iter().find_map(|rule| rule(&place)) {
            say(&mut spoken, &words, origin, whole[at + length..].chars().next());
            readings.push(written(at, length));
            at += length;
            continue;
        }
        let mut length = first.len_utf8();
        match first {
            'a'..='z' | 'A'..='Z' | '\'' => {
                length =
                    whole[at..].bytes().take_while(|it| it.is_ascii_alphabetic() || *it == b'\'').count();
                spoken.keep(text, at..at + length);
            }
            '"' => {
                quoted = !quoted;
                spoken.keep(text, at..at + 1);
            }
            ' ' | '\n' => {
                if !(first == ' ' && (spoken.len() == 0 || spoken.as_str().ends_with(' '))) {
                    spoken.keep(text, at..at + 1);
                }
            }
            // A plural that may be one: item(s).
            '(' if place.rest().starts_with("(s)")
                && spoken.as_str().ends_with(|last: char| last.is_ascii_alphabetic()) =>
            {
                length = 3;
                spoken.push('s', origin);
                readings.push(written(at, length));
            }
            // What a bracket touches is a word of its own.
            '(' if spoken.as_str().ends_with(is_word) => {
                spoken.push(' ', origin);
                spoken.push('(', origin);
            }
            ')' if place.rest()[1..].starts_with(is_word) => {
                spoken.push(')', origin);
                spoken.push(' ', origin);
            }
            '.' | ',' | ';' | ':' | '!' | '?' | '(' | ')' | '-' | '–' | '—' | '…' | '“' | '”' | '‘' | '’'
            | '¿' | '¡' => {
                spoken.keep(text, at..at + length);
            }
            '0'..='9' => spoken.keep(text, at..at + 1),
            _ => {
                length = unknown(&whole[at..], original, origin, findings);
                // What stands on both sides must not become one word.
                if spoken.len() > 0 && !spoken.as_str().ends_with(|last: char| last.is_whitespace()) {
                    spoken.push(' ', origin);
                }
            }
        }
        at += length;
    }
    spoken.trim_end();
    Normalized { text: spoken, pauses, readings, notices: Vec::new() }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == LETTER
}

/// Appends words, with spaces where they would touch others.
fn say(spoken: &mut Mapped, words: &str, origin: usize, next: Option<char>) {
    if words.starts_with(is_word) && spoken.as_str().ends_with(|last: char| is_word(last) || last == '.') {
        spoken.push(' ', origin);
    }
    let words = if spoken.as_str().ends_with([' ', '\n']) || spoken.len() == 0 {
        words.trim_start_matches([' ', ','])
    } else {
        words
    };
    let touches = next.is_none_or(|next| !next.is_alphanumeric() && !"([“‘$£€¥#~\"".contains(next));
    let words = if touches { words.trim_end_matches(' ') } else { words };
    spoken.push_str(words, origin);
    if words.ends_with(is_word) && next.is_some_and(|next| next.is_alphanumeric() || "$£€¥#~".contains(next))
    {
        spoken.push(' ', origin);
    }
}

/// Notes a run of what has no reading, and returns its length.
fn unknown(rest: &str, original: &str, origin: usize, findings: &mut Findings) -> usize {
    let first = rest.chars().next().unwrap_or(' ');
    let is_letter = first.is_alphabetic();
    let belongs = |it: char| {
        !it.is_ascii() && it.is_alphabetic() == is_letter && !"–—…“”‘’¿¡".contains(it)
            || !is_letter && it == '\u{200d}'
            || is_letter && !it.is_ascii() && !it.is_whitespace() && it.is_alphanumeric()
    };
    let mut length = 0;
    for (at, character) in rest.char_indices() {
        // Words of one script are told at once.
        let joins = is_letter && character == ' ' && rest[at + 1..].starts_with(belongs);
        if at > 0 && !joins && !belongs(character) {
            break;
        }
        length = at + character.len_utf8();
        if first.is_ascii() {
            break;
        }
    }
    // As it stands in the original, in which a letter may have had other forms and an emoji marks of how it looks.
    let kind = if is_letter { NoticeKind::Script } else { NoticeKind::Symbol };
    let written: String = original[origin..].chars().take(rest[..length].chars().count()).collect();
    let written = if written.starts_with(first) { written } else { rest[..length].to_owned() };
    findings.add(kind, written.trim_end(), origin);
    length
}

patterns! {
    given = r"^\[[^\[\]\n]+\]\(/[^)\[\n]*/\)";
    pause = r"^\[pause (\d+(?:\.\d+)?) ?(m?s)\]";
}
