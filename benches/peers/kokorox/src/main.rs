//! Speaks through `kokorox`. VOICES is an archive of NumPy arrays. The crate itself prints to both streams.

use std::error::Error;

use common::Task;
use kokorox::tts::koko::TTSKoko;
use tokio::runtime::Runtime;

#[path = "../../common.rs"]
mod common;

fn main() -> Result<(), Box<dyn Error>> {
    let task = Task::begin()?;
    let tts = Runtime::new()?.block_on(TTSKoko::from_paths(&task.model, &task.voices));
    for text in &task.texts {
        // No silence in front, no guess at the language, this voice and no other, and text, not phonemes.
        let samples = tts.tts_raw_audio(text, "en-us", "af_heart", 1.0, None, false, true, false)?;
        task.spoke(&samples);
    }
    Ok(())
}
