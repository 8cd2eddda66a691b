//! Says the phonemes of its first argument into the WAV file of its second one, and prints which runtime it used.

use std::error::Error;
use std::path::PathBuf;

use kokoro_model::{METADATA, Runtime, Synthesizer, SynthesizerOptions, Voice, tokenize};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let phonemes = arguments.next().and_then(|it| it.into_string().ok()).ok_or("expected phonemes")?;
    let path: PathBuf = arguments.next().ok_or("expected the name of a WAV file")?.into();

    let runtime = Runtime::load()?;
    let options = SynthesizerOptions::for_artifact(&METADATA).threads(1);
    let mut synthesizer = Synthesizer::embedded_with(&runtime, &options)?;
    let tokens = tokenize(&phonemes)?;
    let styles = Voice::AfHeart.styles()?;
    synthesizer.speak_tokens(&tokens, styles.style(tokens.len()), 1.0)?.write_wav(path)?;
    println!("{}", runtime.path().display());
    Ok(())
}
