//! The embedded model speaks, and bad input is an error of its own kind before it reaches the runtime.
#![cfg(all(feature = "ort", feature = "embed"))]

use std::error::Error as _;
use std::time::Duration;

use crate::common;
use kokoro_model::{
    ErrorKind, METADATA, MODEL, PREPARED, STYLE_LEN, Style, Synthesizer, SynthesizerOptions, tokenize,
};

/// "Hello world." in the phonemes of American English.
const HELLO: &str = "həlˈO wˈɜɹld.";

/// The row of the voice `af_heart` for the 13 phonemes of [`HELLO`] (Kokoro-82M by hexgrad, Apache-2.0): a made-up
/// style drives the model far out of its range.
fn style() -> Style {
    let row = include_bytes!("../data/af_heart-13.f32").as_chunks::<4>().0;
    Style::new(std::array::from_fn(|index| f32::from_le_bytes(row[index]))).unwrap()
}

fn synthesizer() -> Synthesizer {
    Synthesizer::embedded(&common::runtime()).unwrap()
}

#[test]
fn the_embedded_model_speaks_and_says_the_same_again() {
    let mut synthesizer = synthesizer();
    let tokens = tokenize(HELLO).unwrap();
    assert_eq!(tokens.len(), 13, "the style is that of 13 phonemes");
    let audio = synthesizer.speak_tokens(&tokens, &style(), 1.0).unwrap();
    assert_eq!(audio.sample_rate, 24_000);
    assert!(audio.samples.iter().all(|sample| sample.is_finite()), "a sample is not a number");
    let loudest = audio.samples.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    assert!((0.05..=1.5).contains(&loudest), "loudest sample {loudest}");
    let seconds = audio.duration();
    assert!((Duration::from_millis(300)..Duration::from_secs(5)).contains(&seconds), "{seconds:?}");

    // Kokoro v1.0 has no random node.
    let again = synthesizer.speak_tokens(&tokens, &style(), 1.0).unwrap();
    assert_eq!(audio, again);

    let slow = synthesizer.speak_tokens(&tokens, &style(), 0.5).unwrap();
    let ratio = slow.duration().as_secs_f64() / seconds.as_secs_f64();
    assert!((1.5..2.5).contains(&ratio), "half the speed is {ratio} times as long");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hello.wav");
    audio.write_wav(&path).unwrap();
    assert_eq!(hound::WavReader::open(&path).unwrap().duration() as usize, audio.samples.len());
}

#[test]
fn one_token_and_510_tokens_are_spoken() {
    let mut synthesizer = synthesizer();
    // Fast speech keeps the long input from taking minutes: what is tested is the length in tokens.
    for (count, speed) in [(1, 1.0), (510, 5.0)] {
        let tokens: Vec<i64> = tokenize(HELLO).unwrap().into_iter().cycle().take(count).collect();
        let audio = synthesizer.speak_tokens(&tokens, &style(), speed).unwrap();
        assert!(audio.samples.iter().all(|sample| sample.is_finite()), "{count} tokens");
        assert!(audio.duration() < Duration::from_mins(2), "{count} tokens: {:?}", audio.duration());
    }
}

#[test]
fn bad_input_is_refused_with_what_was_found() {
    let mut synthesizer = synthesizer();
    let vocabulary_size = METADATA.vocabulary_size;
    let beyond = i64::from(vocabulary_size);
    for (ids, expected) in [
        (vec![], ErrorKind::NoTokens),
        (vec![50; 511], ErrorKind::TooManyTokens { found: 511 }),
        (vec![50, beyond], ErrorKind::TokenOutOfVocabulary { position: 1, id: beyond, vocabulary_size }),
        (vec![-1], ErrorKind::TokenOutOfVocabulary { position: 0, id: -1, vocabulary_size }),
    ] {
        let error = synthesizer.speak_tokens(&ids, &style(), 1.0).unwrap_err();
        assert_eq!(error.kind(), &expected);
    }
    for speed in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -1.0, 0.05, 11.0] {
        let error = synthesizer.speak_tokens(&[50], &style(), speed).unwrap_err();
        // Compared as bits: NaN is not equal to itself.
        assert!(
            matches!(error.kind(), ErrorKind::Speed { found } if found.to_bits() == speed.to_bits()),
            "{error}"
        );
    }
    let mut values = [0.0; STYLE_LEN];
    values[3] = f32::NAN;
    let error = Style::new(values).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::StyleNotFinite { index: 3, .. }), "{error}");
    assert!(synthesizer.speak_tokens(&[50], &style(), 1.0).is_ok(), "an error spoils nothing");
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    let runtime = common::runtime();
    let options = SynthesizerOptions::default();
    let truncated = &MODEL[..MODEL.len() / 2];
    for (what, bytes) in [("truncated", truncated), ("garbage", &[0xff; 4096]), ("empty", &[])] {
        let error = Synthesizer::from_bytes(&runtime, bytes, &options).unwrap_err();
        let expected =
            ErrorKind::ModelRejected { model: "bytes in memory".to_owned(), bytes: bytes.len() as u64 };
        assert_eq!(error.kind(), &expected, "{what}");
        assert!(error.source().is_some_and(|source| !source.to_string().is_empty()), "{what}");
    }
}

#[test]
fn a_model_that_is_not_kokoro_is_refused_with_both_interfaces() {
    // ModelProto { ir_version: 8, graph: Identity of x float32 [1] to y, opset 17 }, by hand.
    let value = |name: &str| {
        [&[0x0a, 1][..], name.as_bytes(), &[0x12, 10, 0x0a, 8, 0x08, 1, 0x12, 4, 0x0a, 2, 0x08, 1]].concat()
    };
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat();
    let node = [field(1, b"x"), field(2, b"y"), field(4, b"Identity")].concat();
    let graph = [field(1, &node), field(2, b"g"), field(11, &value("x")), field(12, &value("y"))].concat();
    let model = [vec![0x08, 8], field(7, &graph), field(8, &[0x10, 17])].concat();
    let error =
        Synthesizer::from_bytes(&common::runtime(), &model, &SynthesizerOptions::default()).unwrap_err();
    let ErrorKind::ModelInterface { expected, found, .. } = error.kind() else { panic!("{error:?}") };
    assert!(expected.contains("`tokens`") && expected.contains("int64 [1, n]"), "{expected}");
    assert!(found.contains("`x`") && found.contains("[1]"), "{found}");
}

#[test]
fn a_file_is_loaded_and_a_missing_one_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let options = SynthesizerOptions::for_artifact(&METADATA).threads(1);
    let error = Synthesizer::from_file(&common::runtime(), &path, &options).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::ModelUnreadable { path: path.clone() });

    fs_err::write(&path, MODEL).unwrap();
    let mut from_file = Synthesizer::from_file(&common::runtime(), &path, &options).unwrap();
    let mut from_bytes = Synthesizer::from_bytes(&common::runtime(), MODEL, &options).unwrap();
    let tokens = tokenize(HELLO).unwrap();
    let audio = from_file.speak_tokens(&tokens, &style(), 1.0).unwrap();
    assert_eq!(audio, from_bytes.speak_tokens(&tokens, &style(), 1.0).unwrap());
}

#[test]
fn what_is_prepared_says_what_the_model_says() {
    assert!(!PREPARED.is_empty(), "the chosen artifact was prepared");
    for threads in [1, 2] {
        let options = SynthesizerOptions::for_artifact(&METADATA).threads(threads);
        let mut prepared = Synthesizer::embedded_with(&common::runtime(), &options).unwrap();
        let mut whole = Synthesizer::from_bytes(&common::runtime(), MODEL, &options).unwrap();
        let tokens = tokenize(HELLO).unwrap();
        for speed in [1.0, 1.4] {
            let [found, expected] =
                [&mut prepared, &mut whole].map(|it| it.speak_tokens(&tokens, &style(), speed).unwrap());
            assert_eq!(found, expected, "{threads} threads, speed {speed}");
        }
        // The whole model takes one speed for all tokens, and makes its silence longer.
        let [found, expected] =
            [&mut prepared, &mut whole].map(|it| it.speak_tokens(&tokens, &style(), 0.7).unwrap());
        assert!(found.samples.len() < expected.samples.len(), "{threads} threads");
    }
}

#[test]
fn one_changed_bit_of_what_is_embedded_is_noticed() {
    let options = SynthesizerOptions::for_artifact(&METADATA).threads(1);
    let refusal = |model: &[u8], prepared: &[u8]| {
        Synthesizer::from_prepared(&common::runtime(), model, prepared, &options).unwrap_err()
    };
    let mut model = MODEL.to_vec();
    for position in [8, model.len() / 2, model.len() - 1] {
        model[position] ^= 0x10;
        let error = refusal(&model, PREPARED);
        assert!(error.to_string().contains("CRC-32"), "{position}: {error}");
        model[position] ^= 0x10;
    }
    let mut prepared = PREPARED.to_vec();
    for position in [0, prepared.len() / 2, prepared.len() - 1] {
        prepared[position] ^= 0x10;
        let error = refusal(MODEL, &prepared);
        assert!(error.to_string().contains("CRC-32"), "{position}: {error}");
        prepared[position] ^= 0x10;
    }
}

#[test]
fn the_vocabulary_size_is_an_option() {
    let options = SynthesizerOptions::for_artifact(&METADATA).vocabulary_size(51);
    let mut synthesizer = Synthesizer::from_bytes(&common::runtime(), MODEL, &options).unwrap();
    let error = synthesizer.speak_tokens(&[50, 51], &style(), 1.0).unwrap_err();
    let expected = ErrorKind::TokenOutOfVocabulary { position: 1, id: 51, vocabulary_size: 51 };
    assert_eq!(error.kind(), &expected);
}

#[test]
fn a_profile_is_written_where_it_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let options = SynthesizerOptions::for_artifact(&METADATA).profile(folder.path().join("profile"));
    let mut synthesizer = Synthesizer::from_bytes(&common::runtime(), MODEL, &options).unwrap();
    synthesizer.speak_tokens(&tokenize(HELLO).unwrap(), &style(), 1.0).unwrap();
    let file = synthesizer.finish_profile().unwrap();
    assert!(file.starts_with(folder.path()), "{}", file.display());
    let profile: serde_json::Value = serde_json::from_slice(&fs_err::read(&file).unwrap()).unwrap();
    let events = profile.as_array().unwrap();
    assert!(events.iter().any(|event| event["cat"] == "Node"), "no operator in {} events", events.len());
}
