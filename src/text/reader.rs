//! How a text is to be read.

use std::sync::Arc;

use super::english::English;
use super::lexicon::Lexicon;
use super::notice::Unknown;
use super::script::Script;
use crate::error::{Error, ErrorKind};
use crate::language::Language;

/// Reads texts: what is said of numbers, dates, symbols and addresses, of words with phonemes of the caller's, and what is done
/// with that of which nothing is known.
///
/// ```
/// use kokoro_model::{Language, Reader};
///
/// let script = Reader::new(Language::BritishEnglish).read("On 3/4/2021 it was 5°C. 🎉")?;
/// assert_eq!(script.words(), "On the third of April, twenty twenty one it was five degrees Celsius.");
/// assert_eq!(script.notices()[0].to_string(), "line 1, column 25: `🎉` has no known reading");
/// # Ok::<(), kokoro_model::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reader {
    language: Language,
    unknown: Unknown,
    lexicon: Arc<Lexicon>,
}

impl Reader {
    /// The longest text that is taken, in bytes.
    const MOST: usize = u32::MAX as usize;

    /// A reader of this language, who leaves out what is unknown.
    pub fn new(language: Language) -> Self {
        Self { language, unknown: Unknown::default(), lexicon: Arc::default() }
    }

    /// What is done with a word or a symbol of which no reading is known.
    #[must_use]
    pub fn unknown(mut self, unknown: Unknown) -> Self {
        self.unknown = unknown;
        self
    }

    /// Words whose phonemes are known better.
    #[must_use]
    pub fn lexicon(mut self, lexicon: impl Into<Arc<Lexicon>>) -> Self {
        self.lexicon = lexicon.into();
        self
    }

    /// The text as it will be said. All of it is looked at, so that nothing of it can fail later.
    ///
    /// # Errors
    /// [`ErrorKind::LanguageWithoutText`] for languages other than English, [`ErrorKind::TextTooLong`] for more than 4 GB, and with
    /// [`Unknown::Error`] [`ErrorKind::Unreadable`] with every place of what is unknown.
    pub fn read(&self, text: &str) -> Result<Script, Error> {
        let english = English::of(self.language)?;
        if text.len() > Self::MOST {
            return Err(ErrorKind::TextTooLong { bytes: text.len(), most: Self::MOST }.into());
        }
        let normalized = english.normalize(text, &self.lexicon);
        if self.unknown == Unknown::Error {
            let unknown = normalized.notices.iter().filter(|notice| notice.kind.is_unknown());
            let notices: Vec<_> = unknown.cloned().collect();
            if !notices.is_empty() {
                return Err(ErrorKind::Unreadable { notices }.into());
            }
        }
        Ok(Script::english(text, english, normalized))
    }
}

/// The phonemes of a text in American or British English, in the vocabulary of the model.
///
/// A word's phonemes can be given in the text: `[Kokoro](/kˈOkəɹO/)`. A word that the dictionaries lack, such as a name,
/// is read by the rules of English spelling. [`Reader`] tells what is read how, and can leave out what is unknown.
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
/// [`ErrorKind::LanguageWithoutText`] for other languages; [`ErrorKind::Unreadable`] for symbols that are not spoken, such as
/// emoji, and words of other scripts, with all their places.
pub fn phonemize(text: &str, language: Language) -> Result<String, Error> {
    Ok(Reader::new(language).unknown(Unknown::Error).read(text)?.phonemes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::voice::MAX_PHONEMES;

    fn american(text: &str) -> Result<String, ErrorKind> {
        phonemize(text, Language::AmericanEnglish).map_err(|error| error.kind().clone())
    }

    #[test]
    fn all_that_is_unknown_is_reported_at_once_with_its_places() {
        let error = american("Hello 😀 world.\nNaïve. A ☃ here.\n\nOne. 日本語 three.").unwrap_err();
        let ErrorKind::Unreadable { notices } = error else { panic!("{error}") };
        let places: Vec<_> = notices.iter().map(|it| (it.text.as_str(), it.line, it.column)).collect();
        assert_eq!(places, [("😀", 1, 7), ("☃", 2, 10), ("日本語", 4, 6)]);
    }

    #[test]
    fn what_is_left_out_leaves_the_rest() {
        let script = Reader::new(Language::AmericanEnglish).read("Hello 😀 world.").unwrap();
        assert_eq!(script.phonemes(), american("Hello world.").unwrap());
        assert_eq!(script.notices().len(), 1);
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
    fn phonemes_can_be_given_in_the_text_and_in_a_lexicon() {
        assert_eq!(american("[Kokoro](/kˈæɑ̃ø/) speaks.").unwrap(), "kˈæɑ̃ø spˈiks.");
        // Words that the dictionaries know otherwise, too, whatever stands around them.
        for (written, expected) in [
            ("[Bob](/bˈA/) is.", "bˈA ɪz."),
            ("It is [hello](/bˈA/)!", "ˌɪt ɪz bˈA!"),
            ("([hello](/bˈA/))", "(bˈA)"),
            ("[hello](/bˈA/)'s end", "bˈAz ˈɛnd"),
            ("[hello](/bˈA/)-end", "bˈA ˈɛnd"),
            ("end-[hello](/bˈA/)", "ˈɛnd bˈA"),
        ] {
            assert_eq!(american(written).unwrap(), expected, "{written}");
        }
        let lexicon: Lexicon = "kokoro kˈæɑ̃ø\nC# sˈiʃˈɑɹp".parse().unwrap();
        let reader = Reader::new(Language::AmericanEnglish).lexicon(lexicon);
        assert_eq!(reader.read("Kokoro speaks C#.").unwrap().phonemes(), "kˈæɑ̃ø spˈiks sˈiʃˈɑɹp.");
    }

    #[test]
    fn the_meaning_of_contractions_stays() {
        for (written, like) in [
            ("No, it isn’t.", "No, it isn't."),
            ("I know you don`t!", "I know you don't!"),
            ("I'M SORRY, I DIDN'T KNOW.", "I'm sorry, I didn't know."),
            ("THE OLD MAN LOOKED", "The old man looked"),
            ("IT WAS A DARK NIGHT.", "It was a dark night."),
        ] {
            assert_eq!(american(written).unwrap(), american(like).unwrap(), "{written}");
        }
        for (written, expected) in [
            ("it isn’t", "ˈɪzᵊnt"),
            ("I’d’ve known", "ˌIdəv nˈOn"),
            ("You shouldn't've.", "ʃˈʊdᵊntəv"),
            ("AT&T", "ˈA tˈi ænd tˈi"),
            ("the FBI", "ˌɛfbˌiˈI"),
        ] {
            let found = american(written).unwrap();
            assert!(found.contains(expected), "{written}: {found}, expected {expected}");
        }
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
    fn odd_text_of_the_length_of_a_piece_is_no_trouble() {
        for odd in ["a", "aA", "'", "(", "1", "a'", "-", "[", "](/", "\u{0}", "0.", "é", "😀"] {
            let text: String = odd.chars().cycle().take(MAX_PHONEMES).collect();
            // An error or phonemes, both will do; a panic will not.
            let _ = american(&text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        /// What promises that a text which was read cannot fail when it is spoken.
        #[test]
        fn whatever_is_read_has_phonemes_of_the_vocabulary(
            text in prop_oneof![any::<String>(), "([a-zA-Z0-9é$€£%.,'’ -]{0,8}[ \n\\[\\](/)*#:;!?“”&@=+~^|_<>°½²]{0,2}){0,12}"],
            british in any::<bool>(),
        ) {
            let language = if british { Language::BritishEnglish } else { Language::AmericanEnglish };
            let script = Reader::new(language).read(&text).unwrap();
            prop_assert_eq!(script.unspoken(), Vec::<String>::new(), "{}", script.words());
            prop_assert!(crate::tokenize(&script.phonemes()).is_ok(), "{}", script.phonemes());
        }
    }
}
