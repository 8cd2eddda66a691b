//! Unit tests: what a corpus must not contain, and what the committed one must.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;
use crate::recipe::Recipe;

const VOICES: [&str; 3] = ["af_heart", "am_adam", "ff_siwis"];

fn sentence(id: &str, set: &str, text: &str, phonemes: &str) -> String {
    format!(
        "[[sentence]]\nid = \"{id}\"\nset = \"{set}\"\nlanguage = \"en-us\"\nvoice = \"af_heart\"\n\
         speed = 1.0\ntags = [\"one-word\"]\ntext = \"{text}\"\nphonemes = \"{phonemes}\"\n"
    )
}

/// Two sentences that nothing is wrong with.
fn valid() -> String {
    sentence("cal-01", "calibration", "Yes.", "jˈɛs.") + &sentence("held-01", "held-out", "No.", "nˈO.")
}

fn message(text: &str) -> String {
    format!("{:#}", Corpus::from_str(text, &VOICES).expect_err("the corpus should be refused"))
}

#[test]
fn a_valid_corpus_is_read() {
    let corpus = Corpus::from_str(&valid(), &VOICES).unwrap();
    assert_eq!(corpus.calibration().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["cal-01"]);
    assert_eq!(corpus.held_out().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["held-01"]);
    assert_eq!(corpus.tagged("one-word").count(), 2);
    assert_eq!(corpus.tagged("bench").count(), 0);
    // n, primary stress, O, full stop.
    assert_eq!(corpus.held_out().next().unwrap().tokens, [56, 156, 31, 4]);
    assert_eq!(corpus.sha256(), Digest::of(valid().as_bytes()));
}

#[test]
fn what_one_sentence_must_not_be() {
    let long = format!("phonemes = \"{}\"", "a".repeat(MAX_PHONEMES + 1));
    let cases = [
        ("speed = 1.0", "speed = 1.0\npitch = 2", "unknown field `pitch`"),
        ("language = \"en-us\"", "language = \"tlh\"", "unknown variant `tlh`"),
        ("id = \"cal-01\"", "id = \"held-02\"", "begins with `cal-`"),
        ("voice = \"af_heart\"", "voice = \"af_hart\"", "no voice `af_hart`"),
        ("voice = \"af_heart\"", "voice = \"ff_siwis\"", "`ff_siwis` speaks another language"),
        ("speed = 1.0", "speed = 2.5", "speed 2.5 is not within 0.5 to 2"),
        ("speed = 1.0", "speed = nan", "speed NaN is not within 0.5 to 2"),
        ("[\"one-word\"]", "[\"oneword\"]", "no tag `oneword`"),
        ("[\"one-word\"]", "[\"list\", \"list\"]", "tag `list` stands twice"),
        ("[\"one-word\"]", "[\"bench\"]", "tag `bench` is for held-out sentences"),
        ("[\"one-word\"]", "[\"long\"]", "here are 5"),
        ("text = \"Yes.\"", "text = \" \"", "the text is empty"),
        ("phonemes = \"jˈɛs.\"", "phonemes = \"\"", "0 phonemes, expected 1 to 510"),
        ("phonemes = \"jˈɛs.\"", &long, "511 phonemes, expected 1 to 510"),
    ];
    for (right, wrong, expected) in cases {
        let text = valid().replacen(right, wrong, 1);
        assert_ne!(text, valid(), "the case `{wrong}` changes nothing");
        let found = message(&text);
        assert!(found.contains(expected), "`{wrong}`: expected `{expected}`, found `{found}`");
    }
}

#[test]
fn a_sentence_over_the_threshold_must_say_that_it_is_long() {
    let text = valid().replace("jˈɛs.", &"a".repeat(LONG + 1));
    assert!(message(&text).contains("here are 401"));
    assert!(Corpus::from_str(&text.replacen("one-word", "long", 1), &VOICES).is_ok());
}

#[test]
fn an_unknown_phoneme_is_named_with_its_sentence_and_place() {
    let found = message(&valid().replace("jˈɛs.", "jˈɛg."));
    for expected in ["`cal-01`", "`g`", "phoneme 3"] {
        assert!(found.contains(expected), "expected {expected} in `{found}`");
    }
}

#[test]
fn nothing_stands_twice() {
    let cases = [
        ("cal-01", "Perhaps.", "pəɹhˈæps.", "the same id"),
        ("cal-02", "  yes.", "pəɹhˈæps.", "the same text"),
        ("cal-02", "Perhaps.", "nˈO.", "the same phonemes"),
    ];
    for (id, text, phonemes, expected) in cases {
        let found = message(&(valid() + &sentence(id, "calibration", text, phonemes)));
        assert!(found.contains(expected), "expected `{expected}`, found `{found}`");
    }
}

#[test]
fn a_key_beside_the_sentences_is_refused() {
    assert!(message(&format!("version = 1\n{}", valid())).contains("unknown field `version`"));
}

#[test]
fn a_missing_file_is_a_usage_error_that_names_it() {
    let error = Corpus::load(Path::new("no-such-corpus.toml"), &VOICES).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Failure::Usage));
    assert!(format!("{error:#}").contains("no-such-corpus.toml"));
}

fn committed() -> Corpus {
    let models = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models");
    let recipe = Recipe::load(&models.join("kokoro-v1.0.toml")).unwrap();
    Corpus::load(&models.join("corpus.toml"), &recipe.voice_names().collect::<Vec<_>>()).unwrap()
}

fn voices<'a>(sentences: impl Iterator<Item = &'a Sentence>) -> BTreeSet<&'a str> {
    sentences.map(|sentence| sentence.voice.as_str()).collect()
}

#[test]
fn the_committed_corpus_is_large_and_various_enough() {
    let corpus = committed();
    assert!(corpus.calibration().count() >= 24);
    assert!(corpus.held_out().count() >= 48);
    assert!(voices(corpus.sentences().iter()).len() >= 16);
    for set in [Set::Calibration, Set::HeldOut] {
        let of = || corpus.of(set);
        let languages: BTreeSet<_> = of().map(|sentence| sentence.language).collect();
        assert!(languages.len() >= 6, "{set:?}: {languages:?}");
        // The graph sees 512 tokens at most, padding included.
        let longest = of().map(|sentence| sentence.tokens.len()).max().unwrap();
        assert!(longest > LONG && longest < MAX_PHONEMES, "{set:?}: longest {longest}");
        assert!(of().any(|sentence| sentence.tokens.len() < 10), "{set:?}: nothing short");
        assert!(of().any(|sentence| sentence.speed < 1.0), "{set:?}: nothing slow");
        assert!(of().any(|sentence| sentence.speed > 1.0), "{set:?}: nothing fast");
        for tag in CONTENT_TAGS {
            assert!(of().any(|sentence| sentence.has_tag(tag)), "{set:?}: no sentence tagged `{tag}`");
        }
    }
}

#[test]
fn the_committed_sets_share_a_voice_only_where_a_language_has_one() {
    let corpus = committed();
    let (calibration, held_out) = (voices(corpus.calibration()), voices(corpus.held_out()));
    let shared: Vec<_> = calibration.intersection(&held_out).collect();
    assert_eq!(shared, [&"ff_siwis"]);
}

#[test]
fn the_committed_corpus_serves_the_gates() {
    let corpus = committed();
    let languages = |tag| corpus.tagged(tag).map(|sentence| sentence.language).collect::<BTreeSet<_>>();

    assert_eq!(corpus.tagged("bench").count(), 6);
    assert_eq!(languages("bench").len(), 6);
    assert_eq!(voices(corpus.tagged("bench")).len(), 6);
    assert!(corpus.tagged("bench").all(|sentence| sentence.speed == 1.0));

    assert_eq!(corpus.tagged("smoke").count(), 4);
    let length = |sentence: &Sentence| sentence.tokens.len();
    assert!(corpus.tagged("smoke").map(length).min().unwrap() <= 3);
    let longest = corpus.sentences().iter().map(length).max();
    assert_eq!(corpus.tagged("smoke").map(length).max(), longest);

    assert_eq!(corpus.tagged("quick").count(), 12);
    assert!(languages("quick").len() >= 6);
}
