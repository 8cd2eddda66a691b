//! Says a text into a WAV file, by the model and the voices in this binary.
//!
//!     cargo run --release --features text,voices --example speak -- "Hello there." hello.wav
//!
//! A third argument is the voice, or a mix of voices such as `af_heart+am_adam:0.3`.

use std::error::Error;

use kokoro_model::{Runtime, Speaker, Synthesizer};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (text, output, voice) = match arguments.as_slice() {
        [text, output] => (text, output, "af_heart"),
        [text, output, voice] => (text, output, voice.as_str()),
        _ => return Err("expected: TEXT OUTPUT [VOICE]".into()),
    };
    let speaker: Speaker = voice.parse()?;
    let runtime = Runtime::load()?;
    let mut synthesizer = Synthesizer::embedded(&runtime)?;
    let audio = synthesizer.say(text, speaker, 1.0)?;
    audio.write_wav(output)?;
    println!("`{output}`: {:.1} s", audio.duration().as_secs_f64());
    Ok(())
}
