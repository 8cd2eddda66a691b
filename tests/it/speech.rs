//! The embedded model says text: whole and in parts, cancelled, and from many threads.
#![cfg(all(feature = "embed", feature = "text", feature = "voices"))]

use std::sync::OnceLock;
use std::time::Duration;

use crate::common;
use kokoro_model::{
    Cancellation, Delivery, ErrorKind, Language, Lexicon, Pool, Reader, Speaker, Style, Synthesizer, Unknown,
    Utterance, Voice, phonemize, tokenize,
};

/// Fast speech, for what is tested is how parts are joined.
const SPEED: f32 = 2.0;

/// One for all tests: loading a model takes longer than a short sentence.
fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        let runtime = common::runtime();
        Pool::new(2, || Synthesizer::embedded(&runtime)).unwrap()
    })
}

fn parts(synthesizer: &mut Synthesizer, text: &str) -> Vec<Utterance> {
    synthesizer.stream(text, Voice::AfHeart, SPEED).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn the_parts_joined_are_what_is_said_at_once() {
    let mut synthesizer = pool().checkout();
    let text = "One. Dr. Two!\n\n* * *\n\nThree?";
    let parts = parts(&mut synthesizer, text);
    let texts: Vec<_> = parts.iter().map(|part| part.text.as_str()).collect();
    assert_eq!(texts, ["One.", "Dr. Two!", "Three?"]);
    assert_eq!(parts[0].phonemes, phonemize("One.", Language::AmericanEnglish).unwrap());
    let joined: Vec<f32> = parts.into_iter().flat_map(|part| part.audio.samples).collect();
    assert!(joined.iter().all(|sample| sample.is_finite()));
    assert_eq!(synthesizer.say(text, Voice::AfHeart, SPEED).unwrap().samples, joined);
}

#[test]
fn one_sentence_is_what_the_model_says_of_its_tokens() {
    let mut synthesizer = pool().checkout();
    let said = synthesizer.say("Hello, Kokoro.", Voice::BmGeorge, SPEED).unwrap();
    let phonemes = phonemize("Hello, Kokoro.", Language::BritishEnglish).unwrap();
    let tokens = tokenize(&phonemes).unwrap();
    let styles = Voice::BmGeorge.styles().unwrap();
    let spoken = synthesizer.speak_tokens(&tokens, styles.style(tokens.len()), SPEED).unwrap();
    assert_eq!(said.audio, spoken);
    assert_eq!(synthesizer.speak_phonemes(&phonemes, &styles, SPEED).unwrap().audio, spoken);
}

#[test]
fn a_sentence_longer_than_the_model_takes_is_said_in_parts() {
    let mut synthesizer = pool().checkout();
    // The name of this letter is nine phonemes: what fits as words need not fit as phonemes.
    let text = "W, ".repeat(70) + "and no more.";
    let phonemes = phonemize(&text, Language::AmericanEnglish).unwrap();
    assert!(phonemes.chars().count() > 510, "{phonemes}");
    let said: Vec<_> =
        synthesizer.stream(&text, Voice::AfHeart, 10.0).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(said.len(), 1, "one sentence is one utterance");
    assert_eq!(said[0].phonemes, phonemes);
    assert!(said[0].audio.duration() > Duration::from_secs(2), "{:?}", said[0].audio.duration());
}

#[test]
fn what_cannot_be_said_is_an_error_before_anything_is_said() {
    let mut synthesizer = pool().checkout();
    let mut kind = |text: &str, speaker: Speaker, speed| {
        synthesizer.stream(text, speaker, speed).map(|_| ()).unwrap_err().kind().clone()
    };
    let heart = || Speaker::from(Voice::AfHeart);
    for text in ["", " \n", "* * *", "—", "😀😀"] {
        assert_eq!(kind(text, heart(), 1.0), ErrorKind::NothingToSay, "{text:?}");
    }
    assert_eq!(kind("One.", heart(), 0.0), ErrorKind::Speed { found: 0.0 });
    assert!(matches!(kind("One.", heart(), f32::NAN), ErrorKind::Speed { found } if found.is_nan()));
    let french = ErrorKind::LanguageWithoutText { language: Language::French };
    assert_eq!(kind("Un.", Voice::FfSiwis.into(), 1.0), french);

    let styles = Voice::AfHeart.styles().unwrap();
    let error = synthesizer.speak_phonemes("wˈʌn #", &styles, 1.0).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::UnknownPhoneme);
    let error = synthesizer.speak_phonemes("…!", &styles, 1.0).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::NothingToSay);
    let error = synthesizer.say(&"One. ".repeat(1 << 18), Voice::AfHeart, 1.0).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::TextTooLong { bytes: 5 << 18, most: Synthesizer::MAX_TEXT });
    let loud = Delivery::new(1.0).loudness(1.0);
    let error = synthesizer.say("One.", Voice::AfHeart, loud).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Loudness { found: 1.0 });
}

#[test]
fn what_is_unknown_is_left_out_or_refused_before_anything_is_said() {
    let mut synthesizer = pool().checkout();
    let stream = synthesizer.stream("One. A ☃. Two.", Voice::AfHeart, SPEED).unwrap();
    assert_eq!(stream.notices()[0].to_string(), "line 1, column 8: `☃` has no known reading");
    let said: Vec<_> = stream.collect::<Result<_, _>>().unwrap();
    assert_eq!(said.len(), 3);
    let error =
        synthesizer.unknown(Unknown::Error).say("One. A ☃. Two 😀.", Voice::AfHeart, SPEED).unwrap_err();
    synthesizer.unknown(Unknown::Skip);
    let ErrorKind::Unreadable { notices } = error.kind() else { panic!("{error}") };
    assert_eq!(notices.len(), 2, "all of it at once: {error}");
}

#[test]
fn a_pause_is_as_long_as_the_text_says_and_edges_are_trimmed() {
    let mut synthesizer = pool().checkout();
    let mut seconds = |text: &str, delivery: Delivery| {
        synthesizer.say(text, Voice::AfHeart, delivery).unwrap().duration().as_secs_f64()
    };
    let short = seconds("One. [pause 0.5s] Two.", SPEED.into());
    let long = seconds("One. [pause 2s] Two.", SPEED.into());
    assert!((long - short - 1.5).abs() < 1e-3, "{short} s and {long} s");
    let trimmed = seconds("One.", Delivery::new(SPEED).trim(true));
    assert!(trimmed + 0.2 < seconds("One.", SPEED.into()), "{trimmed} s");
}

#[test]
fn a_lexicon_says_how_a_word_is_spoken() {
    let mut synthesizer = pool().checkout();
    let lexicon: Lexicon = "Kokoro kˈOkəɹO".parse().unwrap();
    let said = synthesizer.lexicon(lexicon).stream("Kokoro.", Voice::AfHeart, SPEED).unwrap().next();
    assert_eq!(said.unwrap().unwrap().phonemes, "kˈOkəɹO.");
    synthesizer.lexicon(Lexicon::default());
}

#[test]
fn a_stream_that_owns_its_synthesizer_goes_to_another_thread_and_gives_it_back() {
    let script = Reader::new(Language::AmericanEnglish).read("One. Two.").unwrap();
    let expected = pool().checkout().say("One. Two.", Voice::AfHeart, SPEED).unwrap();
    let stream = pool().checkout().into_speech(script, Voice::AfHeart, SPEED).unwrap();
    let said = std::thread::spawn(move || stream.join()).join().unwrap().unwrap();
    assert_eq!(said, expected);
    assert!(pool().checkout_timeout(Duration::from_mins(1)).is_ok());
}

#[test]
fn a_stream_of_a_megabyte_gives_its_first_sentence() {
    let mut synthesizer = pool().checkout();
    let text = "One. ".repeat(1 << 18);
    let first = synthesizer.stream(&text, Voice::AfHeart, SPEED).unwrap().next().unwrap().unwrap();
    assert_eq!(first.text, "One.");
}

#[test]
fn a_cancelled_stream_ends_between_sentences() {
    let mut synthesizer = pool().checkout();
    let cancellation = Cancellation::new();
    let stream = synthesizer.stream("One. Two. Three.", Voice::AfHeart, SPEED).unwrap();
    let mut stream = stream.cancelled_by(&cancellation);
    assert!(stream.next().unwrap().is_ok());
    cancellation.clone().cancel();
    assert!(cancellation.is_cancelled());
    assert_eq!(stream.next().unwrap().unwrap_err().kind(), &ErrorKind::Cancelled);
    assert!(stream.next().is_none());
    assert!(synthesizer.say("One.", Voice::AfHeart, SPEED).is_ok(), "the next speech is another");
}

/// The run is ended while it goes on: a thread cancels once it has seen that there is one.
#[test]
fn a_run_is_ended_within() {
    let mut synthesizer = pool().checkout();
    let cancellation = Cancellation::new();
    let handle = cancellation.clone();
    // Half a minute of speech in one run, which takes seconds; it is cancelled at its beginning.
    let phonemes = "wˈʌn tˈu ".repeat(56);
    let styles = Voice::AfHeart.styles().unwrap();
    let thread = std::thread::spawn(move || {
        while !format!("{handle:?}").contains("runs: 1") {
            std::thread::sleep(Duration::from_millis(1));
        }
        handle.cancel();
    });
    let stream = synthesizer.stream_phonemes(&phonemes, &styles, 0.5).unwrap().cancelled_by(&cancellation);
    let error = stream.join().unwrap_err();
    thread.join().unwrap();
    assert_eq!(error.kind(), &ErrorKind::Cancelled);
    assert!(format!("{cancellation:?}").contains("runs: 0"));
    assert!(synthesizer.say("One.", Voice::AfHeart, SPEED).is_ok(), "the session is as before");
}

#[test]
fn threads_share_a_pool_and_say_what_one_says() {
    let expected = pool().checkout().say("One.", Voice::AfHeart, SPEED).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                assert_eq!(pool().checkout().say("One.", Voice::AfHeart, SPEED).unwrap(), expected);
            });
        }
    });
    assert_eq!(pool().size(), 2);
}

/// The durations are the same, and the sound as near as it gets: the phase of the voiced sound follows from a sum over F0, so
/// a change of one style value by its last bit already gives 30 to 32 dB. Finer steps than 2^−16 give no more.
#[test]
fn a_packed_voice_sounds_as_the_published_one() {
    let row = include_bytes!("../data/af_heart-13.f32").as_chunks::<4>().0;
    let published = Style::new(std::array::from_fn(|index| f32::from_le_bytes(row[index]))).unwrap();
    let tokens = tokenize("həlˈO wˈɜɹld.").unwrap();
    assert_eq!(tokens.len(), 13, "the style is that of 13 phonemes");
    let styles = Voice::AfHeart.styles().unwrap();
    let mut synthesizer = pool().checkout();
    let expected = synthesizer.speak_tokens(&tokens, &published, 1.0).unwrap().samples;
    let found = synthesizer.speak_tokens(&tokens, styles.style(13), 1.0).unwrap().samples;
    assert_eq!(found.len(), expected.len(), "the durations are the same");
    let power: f32 = expected.iter().map(|sample| sample * sample).sum();
    let noise: f32 = expected.iter().zip(&found).map(|(a, b)| (a - b).powi(2)).sum();
    let snr = 10.0 * (power / noise).log10();
    assert!(snr > 20.0, "{snr} dB");
}
