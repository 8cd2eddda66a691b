//! When words are said: in frames of the model, in every way to say them, and against what is heard.
#![cfg(all(feature = "embed", feature = "text", feature = "voices"))]

use std::sync::OnceLock;

use kokoro_model::{
    Delivery, METADATA, MODEL, Pool, Synthesizer, SynthesizerOptions, Utterance, Voice, Word,
};

mod common;

/// A frame of the model, in seconds.
const FRAME: f64 = 0.025;

/// News, prose and talk, with numbers and money, that nothing was fitted to, and the words as they are written.
const SENTENCES: [(&str, &[&str]); 12] = [
    ("The firm raised $5.3 billion, up 10%.", &["The", "firm", "raised", "$5.3 billion", "up", "10%"]),
    ("Nobody saw the keeper on Tuesday.", &["Nobody", "saw", "the", "keeper", "on", "Tuesday"]),
    ("At 9:30, the train leaves.", &["At", "9:30", "the", "train", "leaves"]),
    ("She folded it, and sighed.", &["She", "folded", "it", "and", "sighed"]),
    ("What would you have done?", &["What", "would", "you", "have", "done"]),
    ("It's 25°C; drink water!", &["It's", "25°C", "drink", "water"]),
    ("Dr. Hale bought 12 apples for £3.", &["Dr.", "Hale", "bought", "12", "apples", "for", "£3"]),
    ("He said: “Stop,” and we stopped.", &["He", "said", "Stop", "and", "we", "stopped"]),
    ("Rivers carve valleys over years.", &["Rivers", "carve", "valleys", "over", "years"]),
    ("Well-known problems need answers.", &["Well-known", "problems", "need", "answers"]),
    ("The 1990s were a quieter time.", &["The", "1990s", "were", "a", "quieter", "time"]),
    ("Please check the box, then sign.", &["Please", "check", "the", "box", "then", "sign"]),
];

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        let runtime = common::runtime();
        Pool::new(1, || Synthesizer::embedded(&runtime)).unwrap()
    })
}

/// The root of the mean square between two times, in decibels of full scale.
fn level(said: &Utterance, from: f64, to: f64) -> f64 {
    let at = |seconds: f64| ((seconds * 24_000.0) as usize).min(said.samples.len());
    let samples = &said.samples[at(from.max(0.0))..at(to)];
    let power: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    10.0 * (power / samples.len().max(1) as f64 + 1e-12).log10()
}

/// In order, within the audio, and each as its phonemes say.
fn check(said: &Utterance) -> &[Word] {
    let words = said.words().unwrap();
    let mut before = 0.0;
    for word in words {
        assert!(word.start >= before - 1e-9 && word.end > word.start, "{word:?} behind {before}");
        before = word.end;
        assert_eq!((word.start, word.end), (word.phonemes[0].start, word.phonemes.last().unwrap().end));
        assert!(word.phonemes.windows(2).all(|pair| (pair[0].end - pair[1].start).abs() < 1e-9), "{word:?}");
    }
    assert!(before <= said.duration().as_secs_f64() + 1e-9, "{before} s");
    words
}

fn texts(words: &[Word]) -> Vec<&str> {
    words.iter().map(|word| word.text.as_str()).collect()
}

/// Every boundary is one of the frames that the audio was made of, and the sound is where the words are.
#[test]
fn words_are_heard_when_they_are_said_to_be() {
    let mut synthesizer = pool().checkout();
    for (index, (sentence, expected)) in SENTENCES.into_iter().enumerate() {
        let voice = [Voice::AfHeart, Voice::AmAdam, Voice::BfEmma][index % 3];
        let said = synthesizer.say(sentence, voice, 1.0).unwrap();
        let words = check(&said);
        assert_eq!(texts(words), expected, "{sentence}");
        for word in words {
            assert_eq!(&sentence[word.source.clone()], word.text, "{sentence}");
            for time in word.phonemes.iter().flat_map(|it| [it.start, it.end]) {
                let frames = time / FRAME;
                assert!((frames - frames.round()).abs() < 1e-6, "{sentence}: {time} s is within a frame");
            }
        }
        let (first, last) = (words[0].start, words[words.len() - 1].end);
        let spoken = level(&said, first, last);
        // The sound of a token is up to four frames before its time, and the silence behind a sentence is of its
        // last word.
        let before = level(&said, 0.0, first - 4.0 * FRAME);
        let behind = level(&said, last, f64::INFINITY);
        println!("{sentence}: {first:.3} to {last:.3} s, {before:.1}, {spoken:.1} and {behind:.1} dB");
        assert!(before < spoken - 20.0, "{sentence}: {before:.1} dB before, {spoken:.1} dB of words");
        assert!(behind < spoken - 20.0, "{sentence}: {behind:.1} dB behind, {spoken:.1} dB of words");
        for word in words {
            let loud = level(&said, word.start - 4.0 * FRAME, word.end);
            assert!(loud > spoken - 20.0, "{sentence}: {loud:.1} dB in `{}`", word.text);
        }
    }
}

/// The silence before it stays as long as at speed 1: in a longer one the model says a vowel.
#[test]
fn slow_speech_begins_with_its_first_phoneme() {
    let mut synthesizer = pool().checkout();
    for voice in [Voice::AfHeart, Voice::AmAdam, Voice::BfEmma] {
        let begin = check(&synthesizer.say("Seven.", voice, 1.0).unwrap())[0].start;
        for speed in [0.7, 0.5] {
            let said = synthesizer.say("Seven.", voice, speed).unwrap();
            let word = &check(&said)[0];
            assert!(
                (word.start - begin).abs() < 1e-9,
                "{voice:?} at {speed}: {} s and {begin} s",
                word.start
            );
            let (before, spoken) = (level(&said, 0.0, begin - 6.0 * FRAME), level(&said, begin, word.end));
            assert!(before < spoken - 40.0, "{voice:?} at {speed}: {before:.1} dB and {spoken:.1} dB");
        }
    }
}

#[test]
fn times_hold_in_a_stream_in_a_joint_and_behind_a_trimmed_edge() {
    let mut synthesizer = pool().checkout();
    let text = "One, two. [pause 1s] Three!";
    let parts: Vec<_> =
        synthesizer.stream(text, Voice::AfHeart, 1.0).unwrap().collect::<Result<_, _>>().unwrap();
    let said = synthesizer.say(text, Voice::AfHeart, 1.0).unwrap();
    let words = check(&said);
    assert_eq!(texts(words), ["One", "two", "Three"]);
    assert_eq!((said.text.as_str(), parts[1].text.as_str()), ("One, two. Three!", "Three!"));
    let later = parts[0].duration().as_secs_f64();
    let third = &check(&parts[1])[0];
    assert!((words[2].start - later - third.start).abs() < 1e-9);
    assert!(words[2].start - words[1].end > 0.9, "a second of silence is between");
    assert!(level(&said, words[1].end + 0.3, words[2].start - 0.1) < -60.0);

    let trimmed = synthesizer.say(text, Voice::AfHeart, Delivery::new(1.0).trim(true)).unwrap();
    let edge = check(&trimmed);
    assert!(edge[0].start < 0.15 && edge[0].start < words[0].start, "{edge:?}");
    let moved = words[0].start - edge[0].start;
    for (one, other) in words.iter().zip(edge) {
        assert!((one.start - other.start - moved).abs() < 1e-9, "all are moved alike: {one:?}, {other:?}");
    }
    let fast = synthesizer.say(text, Voice::AfHeart, 2.0).unwrap();
    assert!(check(&fast)[1].end < 0.7 * words[1].end);
}

#[test]
fn a_sentence_in_several_runs_has_all_its_words() {
    let mut synthesizer = pool().checkout();
    let text = "W, ".repeat(70) + "and no more.";
    let said = synthesizer.say(&text, Voice::AfHeart, 5.0).unwrap();
    let words = check(&said);
    assert_eq!(words.len(), 73);
    assert_eq!(words[72].text, "more");
    let duration = said.duration().as_secs_f64();
    assert!((duration - 1.0..duration).contains(&words[72].end), "{:?} in {duration} s", words[72]);
}

#[test]
fn the_whole_model_and_phonemes_give_the_same_times() {
    let mut synthesizer = pool().checkout();
    let said = synthesizer.say("Hello there.", Voice::AfHeart, 1.0).unwrap();
    let styles = Voice::AfHeart.styles().unwrap();
    let phonemes = synthesizer.speak_phonemes(&said.phonemes, &styles, 1.0).unwrap();
    let times = |said: &Utterance| check(said).iter().map(|it| (it.start, it.end)).collect::<Vec<_>>();
    assert_eq!(times(&phonemes), times(&said));
    assert_eq!(texts(phonemes.words().unwrap()).join(" "), said.phonemes.trim_end_matches('.'));
    let options = SynthesizerOptions::for_artifact(&METADATA);
    let mut whole = Synthesizer::from_bytes(&common::runtime(), MODEL, &options).unwrap();
    assert_eq!(whole.say("Hello there.", Voice::AfHeart, 1.0).unwrap(), said);
}
