//! What the programs of all Rust peers share: their arguments, and the line that they print.

use std::env;
use std::error::Error;
use std::time::Instant;

/// Of Kokoro's audio, per second.
const SAMPLE_RATE: f64 = 24_000.0;

/// What a contestant is to do: `MODEL VOICES TEXT…`.
pub struct Task {
    started: Instant,
    pub model: String,
    pub voices: String,
    pub texts: Vec<String>,
}

impl Task {
    /// Call it first: the clock begins here.
    pub fn begin() -> Result<Self, Box<dyn Error>> {
        let started = Instant::now();
        let mut arguments = env::args().skip(1);
        let (Some(model), Some(voices)) = (arguments.next(), arguments.next()) else {
            return Err("expected `MODEL VOICES TEXT…`".into());
        };
        Ok(Self { started, model, voices, texts: arguments.collect() })
    }

    /// Prints one line of JSON, once the audio of a text is in hand.
    pub fn spoke(&self, samples: &[f32]) {
        let first_sample = self.started.elapsed().as_secs_f64();
        let seconds = samples.len() as f64 / SAMPLE_RATE;
        println!("{{\"first_sample_s\": {first_sample:.4}, \"seconds\": {seconds:.4}}}");
    }
}
