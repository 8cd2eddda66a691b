//! Words to phonemes: English by `misaki-rs`, a port of the G2P that Kokoro was trained with.
//!
//! For the other languages there is no library to rely on: what the model was trained with is eSpeak NG, whose licence
//! (GPL 3) a binary would have to take over, and dictionaries that are downloaded when they are built.
//!
//! Looked at and left: `jpreprocess` and `lindera`, whose dictionaries are downloaded when they are
//! built; `pinyin` with `jieba-rs`, which lack the readings of phrases; bindings and ports of
//! eSpeak NG. A language is added where a maintained library has its data in the package.
//!
//! The dictionaries are loaded when the first text is said, in 0.2 s, once for a process, and
//! shared by all synthesizers of a pool.

use std::ops::Range;
use std::sync::OnceLock;

use misaki_rs::G2P;

use super::lexicon::{Lexicon, with_s};
use super::normalize::{Dialect, Knowledge, LETTER, Normalized, normalize};
use super::spelling::Speller;
use crate::error::ErrorKind;
use crate::language::Language;

/// The dictionaries and the tagger of one kind of English. Loading takes tenths of a second, so each is loaded once.
pub(crate) struct English {
    g2p: G2P,
    dialect: Dialect,
}

impl English {
    /// The one for a language.
    pub(crate) fn of(language: Language) -> Result<&'static Self, ErrorKind> {
        static AMERICAN: OnceLock<English> = OnceLock::new();
        static BRITISH: OnceLock<English> = OnceLock::new();
        let (loaded, english, dialect) = match language {
            Language::AmericanEnglish => (&AMERICAN, misaki_rs::Language::EnglishUS, Dialect::American),
            Language::BritishEnglish => (&BRITISH, misaki_rs::Language::EnglishGB, Dialect::British),
            language => return Err(ErrorKind::LanguageWithoutText { language }),
        };
        let speller = Speller { british: dialect == Dialect::British };
        Ok(loaded.get_or_init(|| Self { g2p: G2P::with_fallback(english, Some(Box::new(speller))), dialect }))
    }

    /// The text in words.
    pub(crate) fn normalize(&self, text: &str, lexicon: &Lexicon) -> Normalized {
        let is_word = |word: &str| self.g2p.lexicon.in_gold(word);
        normalize(text, Knowledge { dialect: self.dialect, is_word: &is_word, lexicon })
    }

    /// The phonemes of a sentence in words, and what of it has none: of [`Self::normalize`], nothing. What takes more than
    /// linear time here is bounded by the length of a piece.
    pub(crate) fn phonemes(&self, piece: &str) -> Pronounced {
        let known = self.asked(&self.marked(piece, false));
        // Of words that a mark joins, such as "Yes!No", none may be known.
        if known.unspoken.is_empty() { known } else { self.asked(&self.marked(piece, true)) }
    }

    fn asked(&self, piece: &Marked) -> Pronounced {
        let mut said = Pronounced::default();
        let Ok((_, tokens)) = self.g2p.g2p(&piece.text) else {
            said.unspoken.push(piece.plain.clone());
            return said;
        };
        let unknown = &self.g2p.unk;
        let (mut at, mut count, mut space) = (0, 0, false);
        for token in tokens {
            let place = locate(&piece.plain, at, &token.text);
            at = place.as_ref().map_or(at, |place| place.end);
            let is_word = token.text.contains(char::is_alphanumeric);
            let phonemes = token.phonemes.as_ref().unwrap_or(unknown);
            // Of marks alone, some have no sound.
            if phonemes.contains(unknown) && is_word {
                said.unspoken.push(token.text.clone());
            }
            let mut first = None;
            for phoneme in phonemes.replace(unknown, "").chars() {
                if phoneme.is_whitespace() {
                    space = count > 0;
                    continue;
                }
                if std::mem::take(&mut space) {
                    said.phonemes.push(' ');
                    count += 1;
                }
                first.get_or_insert(count);
                said.phonemes.push(phoneme);
                count += 1;
            }
            space |= count > 0 && token.whitespace.contains(char::is_whitespace);
            if let (Some(first), Some(place), true) = (first, place, is_word)
                && let (Some(begin), Some(end)) =
                    (piece.places.get(place.start), piece.places.get(place.end - 1))
            {
                said.words.push((first..count, begin.start..end.end));
            }
        }
        said
    }

    /// The piece as `misaki-rs` is to be asked: with phonemes given for what it would take for something else, which are the
    /// letter A, its article, and two contractions at once, which no dictionary has. `apart` keeps marks from words.
    fn marked(&self, piece: &str, apart: bool) -> Marked {
        let mut marked = Marked::default();
        if !apart && !piece.contains([LETTER, '\n', '[']) && !piece.contains("'ve") {
            marked.keep(piece, 0);
            return marked;
        }
        let mut rest = piece;
        while let Some(first) = rest.chars().next() {
            let at = piece.len() - rest.len();
            if let Some((word, phonemes, length)) = given(rest) {
                let word = at + 1..at + 1 + word.len();
                rest = &rest[length..];
                match rest.strip_prefix("'s").filter(|behind| !behind.starts_with(char::is_alphanumeric)) {
                    Some(behind) => {
                        marked.give(&with_s(phonemes), word);
                        rest = behind;
                    }
                    None => marked.give(phonemes, word),
                }
                // A word that touches what is given would be looked up together with it.
                if rest.starts_with(|it: char| it.is_alphanumeric() || "-'".contains(it)) {
                    let behind = piece.len() - rest.len();
                    marked.put(' ', behind..behind);
                    rest = rest.strip_prefix(['-', '\'']).unwrap_or(rest);
                }
                continue;
            }
            let length = rest.bytes().take_while(|it| it.is_ascii_alphabetic() || *it == b'\'').count();
            let (word, behind) = rest.split_at(length);
            match word.strip_suffix("'ve").filter(|stem| stem.contains('\'')) {
                Some(stem) => {
                    marked.give(&format!("{}əv", self.phonemes(stem).phonemes), at..at + length);
                }
                None if length > 0 => marked.keep(word, at),
                None => {
                    let place = at..at + first.len_utf8();
                    rest = &rest[first.len_utf8()..];
                    match first {
                        LETTER if rest.starts_with('A') => {
                            marked.give("ˈA", at..at + LETTER.len_utf8() + 1);
                            rest = &rest[1..];
                        }
                        LETTER => {}
                        _ if first.is_whitespace() => marked.put(' ', place),
                        _ if apart => {
                            marked.put(' ', at..at);
                            marked.put(first, place.clone());
                            marked.put(' ', place.end..place.end);
                        }
                        _ => marked.put(first, place),
                    }
                    continue;
                }
            }
            rest = behind;
        }
        marked
    }
}

/// How a piece is said.
#[derive(Debug, Default)]
pub(crate) struct Pronounced {
    pub(crate) phonemes: String,
    /// Which phonemes are of which bytes of the piece, for each word in its order; marks are none.
    pub(crate) words: Vec<(Range<usize>, Range<usize>)>,
    /// Words without phonemes.
    pub(crate) unspoken: Vec<String>,
}

/// A piece as `misaki-rs` is asked it.
#[derive(Default)]
struct Marked {
    text: String,
    /// The text without the phonemes that are given in it, of which the answer is.
    plain: String,
    /// The bytes of the piece that each byte of it stands for.
    places: Vec<Range<usize>>,
}

impl Marked {
    /// Appends what stands at byte `at` of the piece.
    fn keep(&mut self, text: &str, at: usize) {
        self.text.push_str(text);
        self.plain.push_str(text);
        self.places.extend((at..at + text.len()).map(|at| at..at + 1));
    }

    /// Appends a character for what stands at this place of the piece: a space may be for nothing.
    fn put(&mut self, character: char, place: Range<usize>) {
        self.text.push(character);
        self.plain.push(character);
        self.places.resize(self.plain.len(), place);
    }

    /// Appends phonemes. The word that they are of is in no dictionary: of one that is, `misaki-rs` takes what the dictionary
    /// says.
    fn give(&mut self, phonemes: &str, place: Range<usize>) {
        const WORD: &str = "xyzzyq";
        if self.text.ends_with('-') {
            self.text.pop();
            self.plain.pop();
            self.places.pop();
        }
        if self.text.ends_with(|it: char| it.is_alphanumeric() || it == '\'') {
            self.put(' ', place.start..place.start);
        }
        for part in ["[", WORD, "](/", phonemes, "/)"] {
            self.text.push_str(part);
        }
        self.plain.push_str(WORD);
        self.places.resize(self.plain.len(), place);
    }
}

/// Where in `plain`, from byte `at` on, a token of it stands, which is without some of the quotation marks in it.
fn locate(plain: &str, at: usize, token: &str) -> Option<Range<usize>> {
    let (mut rest, mut start) = (plain.get(at..)?.char_indices(), None);
    let mut end = at;
    for expected in token.chars() {
        let is_left_out = |it: char| it.is_whitespace() || "'‘’".contains(it);
        let (found, _) =
            rest.find(|(_, it)| *it == expected || !is_left_out(*it)).filter(|(_, it)| *it == expected)?;
        start.get_or_insert(at + found);
        end = at + found + expected.len_utf8();
    }
    Some(start?..end)
}

/// Word and phonemes of `[word](/…/)`, if that is what the text begins with, and its length.
fn given(text: &str) -> Option<(&str, &str, usize)> {
    let inner = text.strip_prefix('[')?;
    let word = inner.find([']', '[', '\n']).filter(|&word| word > 0)?;
    let behind = inner[word..].strip_prefix("](/")?;
    let length = behind.find(['[', ')', '\n'])?;
    let phonemes = behind[..length].strip_suffix('/')?;
    behind[length..].starts_with(')').then_some((&inner[..word], phonemes, 1 + word + 3 + length + 1))
}
