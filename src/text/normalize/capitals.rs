//! Text in capitals: words that are shouted are words, initials stay letters.

use super::mapped::Mapped;
use super::reading::{Place, Reading, reading};

/// The text with runs of words in capitals in small letters. A word in capitals among others is left as it is: the dictionaries
/// know whether it is one.
pub(super) fn lowered(text: &Mapped, is_word: &dyn Fn(&str) -> bool) -> Mapped {
    let whole = text.as_str();
    let mut lowered = Mapped::with_capacity(text.len());
    let mut at = 0;
    for run in runs(whole, is_word) {
        lowered.keep(text, at..run.start);
        at = run.end;
        let mut begins = !lowered
            .as_str()
            .trim_end_matches(['"', '“', '‘', '(', ' '])
            .ends_with(|it: char| it.is_alphanumeric() || it == ',');
        let mut index = run.start;
        while index < run.end {
            let length = word_length(&whole[index..run.end]);
            if length == 0 {
                let mark = whole[index..].chars().next().unwrap_or(' ');
                begins |= matches!(mark, '.' | '!' | '?' | '\n');
                lowered.push(mark, text.origin(index).unwrap_or(0));
                index += mark.len_utf8();
                continue;
            }
            let word = &whole[index..index + length];
            let small = small(word, is_word);
            for (offset, character) in small.char_indices() {
                let character =
                    if begins && offset == 0 { character.to_ascii_uppercase() } else { character };
                lowered.push(character, text.origin(index + offset).unwrap_or(0));
            }
            begins = false;
            index += length;
        }
    }
    lowered.keep(text, at..text.len());
    lowered
}

/// A word of a run: small if it is one, with a capital if it is long enough to be a name, else as it is.
fn small(word: &str, is_word: &dyn Fn(&str) -> bool) -> String {
    let small = word.to_ascii_lowercase();
    let stem = small.split('\'').next().unwrap_or(&small);
    if stem == "i" {
        return format!("I{}", &small[1..]);
    }
    if stem.bytes().all(|it| b"ivxlcdm".contains(&it)) && !is_common(stem) {
        return word.to_owned();
    }
    if is_known(stem, is_word) {
        small
    } else if stem.len() > 4 {
        format!("{}{}", &word[..1], &small[1..])
    } else {
        word.to_owned()
    }
}

/// Whether it is a word, or one with a common ending.
fn is_known(word: &str, is_word: &dyn Fn(&str) -> bool) -> bool {
    let stem = |ending: &str, put: &str| {
        let stem = word.strip_suffix(ending).filter(|stem| stem.len() > 2);
        stem.is_some_and(|stem| is_word(&format!("{stem}{put}")))
    };
    is_word(word)
        || [("s", ""), ("es", ""), ("ies", "y"), ("ed", ""), ("d", ""), ("ing", ""), ("ing", "e"), ("ly", "")]
            .iter()
            .any(|(ending, put)| stem(ending, put))
}

fn is_common(word: &str) -> bool {
    matches!(
        word,
        "mix"
            | "mild"
            | "did"
            | "dim"
            | "mid"
            | "ill"
            | "civil"
            | "vivid"
            | "livid"
            | "lid"
            | "mill"
            | "dill"
    )
}

/// Runs of at least two words in capitals, most of which are words of the language.
fn runs(text: &str, is_word: &dyn Fn(&str) -> bool) -> Vec<std::ops::Range<usize>> {
    let (mut runs, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let length = word_length(&text[at..]);
        if length == 0 {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        }
        let start = at;
        let (mut end, mut words, mut known) = (at, 0, 0);
        loop {
            let length = word_length(&text[at..]);
            let word = &text[at..at + length];
            if length == 0 || !is_shouted(word) {
                at += length;
                break;
            }
            at += length;
            end = at;
            if length > 1 {
                words += 1;
                let small = word.to_ascii_lowercase();
                let stem = small.split('\'').next().unwrap_or(&small);
                known += usize::from(stem == "i" && length > 1 || is_known(stem, is_word));
            }
            // Spaces and marks, of which a figure ends no run.
            at +=
                text[at..].chars().take_while(|it| !it.is_alphanumeric()).map(char::len_utf8).sum::<usize>();
            if at >= text.len() {
                break;
            }
        }
        if known >= 2 && 2 * known >= words {
            runs.push(start..end);
        }
    }
    runs
}

fn word_length(text: &str) -> usize {
    if !text.starts_with(char::is_alphanumeric) {
        return 0;
    }
    text.chars().take_while(|it| it.is_alphanumeric() || *it == '\'').map(char::len_utf8).sum()
}

fn is_shouted(word: &str) -> bool {
    word.bytes().all(|it| it.is_ascii_uppercase() || it == b'\'')
}

/// A contraction or a possessive in capitals, by itself: `DIDN'T`, `NASA'S`.
pub(super) fn shout(place: &Place<'_>) -> Option<Reading> {
    let length = word_length(place.rest());
    let word = &place.rest()[..length];
    let (stem, ending) = word.split_once('\'')?;
    if !is_shouted(word) || !matches!(ending, "S" | "T" | "D" | "M" | "RE" | "LL" | "VE") {
        return None;
    }
    let ending = ending.to_ascii_lowercase();
    if stem == "I" {
        return reading(format!("I'{ending}"), length);
    }
    let small = stem.to_ascii_lowercase();
    let known = ending != "s" || (place.knowledge.is_word)(&small);
    reading(format!("{}'{ending}", if known { &small } else { stem }), length)
}
