//! How long everything took.

use std::time::{Duration, Instant};

use anyhow::Result;
use kokoro_model::{Audio, Word};
use serde::Serialize;

/// Looks at the time whenever something is done.
pub struct Clock {
    started: Instant,
    loaded: Option<Duration>,
    first_sample: Option<Duration>,
    last_sample: Duration,
    audio: Duration,
    utterances: usize,
    words: Option<Vec<Timed>>,
}

/// A word, or a phoneme of it.
#[derive(Serialize)]
struct Timed {
    text: String,
    start: f64,
    end: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    phonemes: Vec<Timed>,
}

/// In seconds; see the help of the program.
#[derive(Serialize)]
struct Timings<'a> {
    load: f64,
    first_sample: f64,
    synthesis: f64,
    audio: f64,
    real_time_factor: f64,
    utterances: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<&'a [Timed]>,
}

impl Clock {
    /// Begins at the start of the program.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            loaded: None,
            first_sample: None,
            last_sample: Duration::ZERO,
            audio: Duration::ZERO,
            utterances: 0,
            words: None,
        }
    }

    /// The model is ready.
    pub fn loaded(&mut self) {
        self.loaded = Some(self.started.elapsed());
    }

    /// A piece of sound is there.
    pub fn spoke(&mut self, audio: &Audio) {
        self.last_sample = self.started.elapsed();
        self.first_sample.get_or_insert(self.last_sample);
        self.audio += audio.duration();
        self.utterances += 1;
    }

    /// These words are said in the next piece of sound.
    pub fn list(&mut self, words: &[Word]) {
        let before = self.audio.as_secs_f64();
        let timed = |word: &Word| Timed {
            text: word.text.clone(),
            start: before + word.start,
            end: before + word.end,
            phonemes: word
                .phonemes
                .iter()
                .map(|it| Timed {
                    text: it.symbol.to_string(),
                    start: before + it.start,
                    end: before + it.end,
                    phonemes: Vec::new(),
                })
                .collect(),
        };
        self.words.get_or_insert_default().extend(words.iter().map(timed));
    }

    /// How long the speech lasts until now.
    pub fn audio(&self) -> Duration {
        self.audio
    }

    /// Prints everything as one line of JSON: to standard error if standard output holds sound.
    pub fn print(&self, output_is_taken: bool) -> Result<()> {
        let load = self.loaded.unwrap_or_default();
        let synthesis = self.last_sample.saturating_sub(load);
        let timings = Timings {
            load: load.as_secs_f64(),
            first_sample: self.first_sample.unwrap_or_default().as_secs_f64(),
            synthesis: synthesis.as_secs_f64(),
            audio: self.audio.as_secs_f64(),
            real_time_factor: synthesis.as_secs_f64() / self.audio.as_secs_f64(),
            utterances: self.utterances,
            words: self.words.as_deref(),
        };
        let text = serde_json::to_string(&timings)?;
        if output_is_taken {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
        Ok(())
    }
}
