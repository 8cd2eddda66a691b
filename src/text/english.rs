//! Words to phonemes: English by `misaki-rs`, a port of the G2P that Kokoro was trained with.
//!
//! For the other languages there is no library to rely on: what the model was trained with is eSpeak NG, whose licence
//! (GPL 3) a binary would have to take over, and dictionaries that are downloaded when they are built.

use std::borrow::Cow;
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
    pub(crate) fn phonemes(&self, piece: &str) -> (String, Vec<String>) {
        match self.asked(&self.marked(piece, false)) {
            // Of words that a mark joins, such as "Yes!No", none may be known.
            (_, unknown) if !unknown.is_empty() => self.asked(&self.marked(piece, true)),
            known => known,
        }
    }

    fn asked(&self, piece: &str) -> (String, Vec<String>) {
        let Ok((phonemes, tokens)) = self.g2p.g2p(piece) else {
            return (String::new(), vec![piece.to_owned()]);
        };
        let is_known = |phonemes: &str| !phonemes.contains(&self.g2p.unk);
        // Of marks alone, some have no sound.
        let unknown = tokens.iter().filter(|token| {
            !token.phonemes.as_deref().is_some_and(is_known) && token.text.contains(char::is_alphanumeric)
        });
        let unknown = unknown.map(|token| token.text.clone()).collect();
        let phonemes = phonemes.replace(&self.g2p.unk, "");
        (phonemes.split_whitespace().collect::<Vec<_>>().join(" "), unknown)
    }

    /// The piece as `misaki-rs` is to be asked: with phonemes given for what it would take for something else, which are the
    /// letter A, its article, and two contractions at once, which no dictionary has. `apart` keeps marks from words.
    fn marked<'a>(&self, piece: &'a str, apart: bool) -> Cow<'a, str> {
        if !apart && !piece.contains([LETTER, '\n', '[']) && !piece.contains("'ve") {
            return Cow::Borrowed(piece);
        }
        let mut marked = String::with_capacity(piece.len() + 16);
        let mut rest = piece;
        while let Some(first) = rest.chars().next() {
            if let Some((phonemes, length)) = given(rest) {
                rest = &rest[length..];
                match rest.strip_prefix("'s").filter(|behind| !behind.starts_with(char::is_alphanumeric)) {
                    Some(behind) => {
                        give(&mut marked, &with_s(phonemes));
                        rest = behind;
                    }
                    None => give(&mut marked, phonemes),
                }
                // A word that touches what is given would be looked up together with it.
                if rest.starts_with(|it: char| it.is_alphanumeric() || "-'".contains(it)) {
                    marked.push(' ');
                    rest = rest.strip_prefix(['-', '\'']).unwrap_or(rest);
                }
                continue;
            }
            let length = rest.bytes().take_while(|it| it.is_ascii_alphabetic() || *it == b'\'').count();
            let (word, behind) = rest.split_at(length);
            match word.strip_suffix("'ve").filter(|stem| stem.contains('\'')) {
                Some(stem) => give(&mut marked, &format!("{}əv", self.phonemes(stem).0)),
                None if length > 0 => marked.push_str(word),
                None => {
                    rest = &rest[first.len_utf8()..];
                    match first {
                        LETTER if rest.starts_with('A') => {
                            give(&mut marked, "ˈA");
                            rest = &rest[1..];
                        }
                        LETTER => {}
                        _ if first.is_whitespace() => marked.push(' '),
                        _ if apart => marked.extend([' ', first, ' ']),
                        _ => marked.push(first),
                    }
                    continue;
                }
            }
            rest = behind;
        }
        Cow::Owned(marked)
    }
}

/// Appends phonemes. The word that they are of is in no dictionary: of one that is, `misaki-rs` takes what the dictionary says.
fn give(marked: &mut String, phonemes: &str) {
    if marked.ends_with('-') {
        marked.pop();
    }
    if marked.ends_with(|it: char| it.is_alphanumeric() || it == '\'') {
        marked.push(' ');
    }
    marked.extend(["[xyzzyq](/", phonemes, "/)"]);
}

/// The phonemes of `[word](/…/)`, if that is what the text begins with, and its length.
fn given(text: &str) -> Option<(&str, usize)> {
    let inner = text.strip_prefix('[')?;
    let word = inner.find([']', '[', '\n']).filter(|&word| word > 0)?;
    let behind = inner[word..].strip_prefix("](/")?;
    let length = behind.find(['[', ')', '\n'])?;
    let phonemes = behind[..length].strip_suffix('/')?;
    behind[length..].starts_with(')').then_some((phonemes, 1 + word + 3 + length + 1))
}
