//! Speaks by a model and a voice of your own, such as a fine-tuned Kokoro: nothing needs to be embedded. The phonemes are
//! given, so it may be in any language.
//!
//!     cargo run --release --no-default-features --features ort --example custom_model -- \
//!         my.onnx my_voice.bin "bɔ̃ʒˈuʁ!" bonjour.wav

use std::error::Error;

use kokoro_model::{Runtime, Synthesizer, SynthesizerOptions, VoiceStyles};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, voice, phonemes, output] = arguments.as_slice() else {
        return Err("expected: MODEL VOICE PHONEMES OUTPUT".into());
    };
    let runtime = Runtime::load()?;
    // 178 rows are those of Kokoro v1.0; a model with other tokens says so here, and takes them by `speak_tokens`.
    let options = SynthesizerOptions::default().vocabulary_size(178);
    let mut synthesizer = Synthesizer::from_file(&runtime, model, &options)?;
    let styles = VoiceStyles::from_bytes(&fs_err::read(voice)?)?;
    let audio = synthesizer.speak_phonemes(phonemes, &styles, 1.0)?;
    audio.write_wav(output)?;
    println!("`{output}`: {:.1} s", audio.duration().as_secs_f64());
    Ok(())
}
