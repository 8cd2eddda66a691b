//! Reads a text from standard input and writes its sound to standard output while the rest is still being made: 16-bit
//! PCM, little-endian, mono, 24 kHz.
//!
//!     cargo run --release --features text,voices --example stream < chapter.txt |
//!         aplay -f S16_LE -r 24000
//!
//! When the player ends, so does the program: it can no longer write.

use std::error::Error;
use std::io::{Read as _, Write as _};

use kokoro_model::{Runtime, Synthesizer, Voice};

fn main() -> Result<(), Box<dyn Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let runtime = Runtime::load()?;
    let mut synthesizer = Synthesizer::embedded(&runtime)?;
    let mut output = std::io::stdout().lock();
    for utterance in synthesizer.stream(&text, Voice::AfHeart, 1.0)? {
        let utterance = utterance?;
        eprintln!("{}", utterance.text);
        let pcm = utterance.audio.samples.iter().map(|sample| (sample.clamp(-1.0, 1.0) * 32_767.0) as i16);
        output.write_all(&pcm.flat_map(i16::to_le_bytes).collect::<Vec<_>>())?;
        output.flush()?;
    }
    Ok(())
}
