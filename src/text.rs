//! Text to phonemes: English by `misaki-rs`, a port of the G2P that Kokoro was trained with.
//!
//! For the other languages there is no library to rely on: what the model was trained with is eSpeak NG, whose licence
//! (GPL 3) a binary would have to take over, and dictionaries that are downloaded when they are built.

use std::sync::OnceLock;

use misaki_rs::G2P;
use unicode_normalization::UnicodeNormalization as _;

use crate::error::{Error, ErrorKind};
use crate::language::Language;
use crate::spelling::Speller;
use crate::split::split_text;
use crate::voice::MAX_PHONEMES;

/// The phonemes of a text in American or British English, in the vocabulary of the model.
///
/// A word's phonemes can be given in the text: `[Kokoro](/kˈOkəɹO/)`. A word that the dictionaries lack, such as a name,
/// is read by the rules of English spelling. Marks that are not spoken, such as `*` and `~`, are left out.
///
/// ```
/// use kokoro_model::{Language, phonemize};
///
/// let phonemes = phonemize("Hello, world!", Language::AmericanEnglish)?;
/// assert_eq!(phonemes, "həlˈO, wˈɜɹld!");
/// # Ok::<(), kokoro_model::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::LanguageWithoutText`] for other languages; [`ErrorKind::Unpronounceable`] for a symbol that is not
/// spoken, such as an emoji, and for a word of another script. Nothing is dropped silently.
pub fn phonemize(text: &str, language: Language) -> Result<String, Error> {
    let english = English::of(language)?;
    let mut phonemes = String::new();
    for piece in split_text(text, MAX_PHONEMES) {
        let spoken = english.phonemes(piece.text).map_err(|unspoken| unspoken.within(text, piece.start))?;
        if !phonemes.is_empty() && !spoken.is_empty() {
            phonemes.push(' ');
        }
        phonemes.push_str(&spoken);
    }
    Ok(phonemes)
}

/// A word or a symbol without phonemes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unspoken {
    word: String,
    /// How many bytes of the piece stand before it.
    at: usize,
}

impl Unspoken {
    /// The error, for a piece that begins at byte `start` of `text`.
    pub(crate) fn within(self, text: &str, start: usize) -> ErrorKind {
        let position = text[..start + self.at].chars().count();
        ErrorKind::Unpronounceable { word: self.word, position }
    }
}

/// What a piece of text is, before its words are looked up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// There may be something to say.
    Speech,
    /// Marks only, such as a line of asterisks: a pause.
    Marks,
}

/// Whether there is anything to look up. A lone symbol counts, so that it is looked up and reported.
pub(crate) fn content(piece: &str) -> Content {
    let is_mark = |character: char| {
        let general =
            matches!(character, '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}' | '¿' | '¡' | '«' | '»');
        general
            || character.is_whitespace()
            || character.is_ascii_punctuation() && !"%&+@".contains(character)
    };
    if piece.chars().all(is_mark) { Content::Marks } else { Content::Speech }
}

/// The dictionaries and the tagger of one kind of English. Loading takes tenths of a second, so each is loaded once.
pub(crate) struct English {
    g2p: G2P,
}

impl English {
    /// The one for a language.
    pub(crate) fn of(language: Language) -> Result<&'static Self, ErrorKind> {
        static AMERICAN: OnceLock<English> = OnceLock::new();
        static BRITISH: OnceLock<English> = OnceLock::new();
        let (loaded, english) = match language {
            Language::AmericanEnglish => (&AMERICAN, misaki_rs::Language::EnglishUS),
            Language::BritishEnglish => (&BRITISH, misaki_rs::Language::EnglishGB),
            language => return Err(ErrorKind::LanguageWithoutText { language }),
        };
        let british = language == Language::BritishEnglish;
        Ok(loaded
            .get_or_init(|| Self { g2p: G2P::with_fallback(english, Some(Box::new(Speller { british }))) }))
    }

    /// The phonemes of a sentence. What takes more than linear time here is bounded by the length of a piece.
    pub(crate) fn phonemes(&self, piece: &str) -> Result<String, Unspoken> {
        let Spelled { text, offsets } = Spelled::of(piece);
        let whole = || Unspoken { word: piece.to_owned(), at: 0 };
        let (phonemes, tokens) = self.g2p.g2p(&text).map_err(|_| whole())?;
        let mut after = 0;
        for token in &tokens {
            // A token that was changed, as in a link, is not found; its place is then that of the one before.
            let found = text[after..].find(&token.text);
            let at = after + found.unwrap_or(0);
            let known = token.phonemes.as_deref().is_some_and(|phonemes| !phonemes.contains(&self.g2p.unk));
            if !known && !token.text.trim().is_empty() {
                return Err(Unspoken { word: token.text.clone(), at: offsets[at.min(text.len() - 1)] });
            }
            if found.is_some() {
                after = at + token.text.len();
            }
        }
        if phonemes.contains(&self.g2p.unk) {
            return Err(whole());
        }
        Ok(phonemes.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// A text in the letters that the dictionaries have.
struct Spelled {
    text: String,
    /// For each byte of `text`, where the character that it comes from begins in the original.
    offsets: Vec<usize>,
}

impl Spelled {
    /// Accents go, as the dictionaries have none; white space is one space. Phonemes given in the text stay.
    fn of(piece: &str) -> Self {
        let mut spelled = Self { text: String::with_capacity(piece.len()), offsets: Vec::new() };
        let mut given = false;
        for (at, character) in piece.char_indices() {
            if given {
                given = !piece[at..].starts_with("/)");
            } else if piece[..at].ends_with("](/") {
                given = true;
            }
            if given {
                spelled.push(at, character);
                continue;
            }
            match character {
                _ if character.is_whitespace() => {
                    if !spelled.text.ends_with(' ') {
                        spelled.push(at, ' ');
                    }
                }
                '«' => spelled.push(at, '“'),
                '»' => spelled.push(at, '”'),
                'æ' => spelled.extend(at, "ae"),
                'Æ' => spelled.extend(at, "Ae"),
                'œ' => spelled.extend(at, "oe"),
                'Œ' => spelled.extend(at, "Oe"),
                'ø' => spelled.push(at, 'o'),
                'Ø' => spelled.push(at, 'O'),
                'ł' => spelled.push(at, 'l'),
                'Ł' => spelled.push(at, 'L'),
                'ß' => spelled.extend(at, "ss"),
                // What marks the letter before it, and what only chooses how an emoji looks.
                '\u{300}'..='\u{36f}' | '\u{fe0e}' | '\u{fe0f}' | '\u{200b}' | '\u{feff}' | '\u{ad}' => {}
                _ => {
                    let letter = character.nfd().next().filter(char::is_ascii_alphabetic);
                    spelled.push(at, letter.unwrap_or(character));
                }
            }
        }
        spelled
    }

    fn push(&mut self, at: usize, character: char) {
        self.text.push(character);
        self.offsets.resize(self.text.len(), at);
    }

    fn extend(&mut self, at: usize, text: &str) {
        text.chars().for_each(|character| self.push(at, character));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn american(text: &str) -> Result<String, ErrorKind> {
        phonemize(text, Language::AmericanEnglish).map_err(|error| error.kind().clone())
    }

    #[test]
    fn what_has_no_phonemes_is_reported_with_its_place() {
        for (text, word, position) in [
            ("Hello 😀 world.", "😀", 6),
            ("😀", "😀", 0),
            ("Naïve. A ☃ here.", "☃", 9),
            ("One. Two. 日本語 three.", "日本語", 10),
        ] {
            let expected = ErrorKind::Unpronounceable { word: word.to_owned(), position };
            assert_eq!(american(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn nothing_gives_nothing() {
        for text in ["", " \n", "*"] {
            assert_eq!(american(text), Ok(String::new()), "{text:?}");
        }
    }

    #[test]
    fn accents_and_white_space_make_no_difference() {
        let plain = american("A naive cafe facade.").unwrap();
        assert_eq!(american("A naïve\n  café façade.").unwrap(), plain);
        assert_eq!(american("A nai\u{308}ve cafe\u{301} facade.").unwrap(), plain);
    }

    #[test]
    fn phonemes_can_be_given_in_the_text() {
        assert_eq!(american("[Kokoro](/kˈæɑ̃ø/) speaks.").unwrap(), "kˈæɑ̃ø spˈiks.");
    }

    #[test]
    fn the_kinds_of_english_differ() {
        let british = phonemize("A glass of water.", Language::BritishEnglish).unwrap();
        assert_ne!(british, american("A glass of water.").unwrap());
    }

    #[test]
    fn other_languages_are_refused_with_a_way_out() {
        let error = phonemize("Bonjour.", Language::French).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::LanguageWithoutText { language: Language::French });
        assert!(error.to_string().contains("stream_phonemes"), "{error}");
    }

    #[test]
    fn marks_alone_are_a_pause_and_symbols_are_not() {
        for (piece, expected) in [
            ("* * *", Content::Marks),
            ("— … “”", Content::Marks),
            ("", Content::Marks),
            ("😀", Content::Speech),
            ("100 %", Content::Speech),
            ("&", Content::Speech),
            ("a", Content::Speech),
        ] {
            assert_eq!(content(piece), expected, "{piece}");
        }
    }

    #[test]
    fn odd_text_of_the_length_of_a_piece_is_no_trouble() {
        for odd in ["a", "aA", "'", "(", "1", "a'", "-", "[", "](/", "\u{0}", "0.", "é", "😀"] {
            let text: String = odd.chars().cycle().take(MAX_PHONEMES).collect();
            // An error or phonemes, both will do; a panic will not.
            let _ = american(&text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn any_text_is_phonemes_of_the_vocabulary_or_an_error(
            text in prop_oneof![any::<String>(), "([a-zA-Z0-9é$€£%.,'’ -]{0,8}[ \n\\[\\](/)*#:;!?“”]{0,2}){0,12}"],
            british in any::<bool>(),
        ) {
            let language = if british { Language::BritishEnglish } else { Language::AmericanEnglish };
            match phonemize(&text, language) {
                Ok(phonemes) => prop_assert!(crate::tokenize(&phonemes).is_ok(), "{}", phonemes),
                Err(error) => prop_assert!(
                    matches!(error.kind(), ErrorKind::Unpronounceable { .. }), "{}", error
                ),
            }
        }
    }
}
