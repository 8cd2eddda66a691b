//! English text gives the phonemes that the model was trained with, as the corpus of the gates has them.
#![cfg(feature = "text")]

use kokoro_model::{ErrorKind, Language, phonemize};
use serde::Deserialize;

#[derive(Deserialize)]
struct Corpus {
    sentence: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    id: String,
    language: String,
    text: String,
    phonemes: String,
}

/// The least share of sentences with equal phonemes. All 42 were equal with misaki-rs 0.8; two may become others.
const FLOOR: f64 = 0.95;

/// The corpus was made by misaki 0.9.4 itself, with the parts of speech by spaCy.
#[test]
fn the_corpus_has_the_same_phonemes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/corpus.toml");
    let corpus: Corpus = toml::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    let (mut sentences, mut equal, mut differing) = (0, 0, Vec::new());
    for Sentence { id, language, text, phonemes } in corpus.sentence {
        let language = match language.as_str() {
            "en-us" => Language::AmericanEnglish,
            "en-gb" => Language::BritishEnglish,
            _ => continue,
        };
        sentences += 1;
        let found = phonemize(&text, language).unwrap();
        if found == phonemes {
            equal += 1;
        } else {
            differing.push(format!("{id}: {text}\n  expected {phonemes}\n  found    {found}"));
        }
    }
    assert!(sentences >= 40, "{sentences} English sentences");
    let share = f64::from(equal) / f64::from(sentences);
    assert!(
        share >= FLOOR,
        "{equal} of {sentences} sentences are equal, expected {FLOOR}\n{}",
        differing.join("\n")
    );
}

#[test]
fn long_text_is_split_before_it_is_looked_up() {
    let text = "The quick brown fox jumps over the lazy dog, and so on. ".repeat(100);
    let phonemes = phonemize(&text, Language::AmericanEnglish).unwrap();
    assert_eq!(phonemes.matches("fˈɑks").count(), 100);
    let error = phonemize(&"😀".repeat(1 << 18), Language::AmericanEnglish).unwrap_err();
    let ErrorKind::Unreadable { notices } = error.kind() else { panic!("{error}") };
    assert_eq!((notices.len(), notices[0].line, notices[0].column), (1, 1, 1));
}
