//! Speaks through `kokoro-tts`. VOICES is a map of all voices, encoded with bincode.

use std::error::Error;

use common::Task;
use kokoro_tts::{KokoroTts, Voice};
use tokio::runtime::Runtime;

#[path = "../../common.rs"]
mod common;

fn main() -> Result<(), Box<dyn Error>> {
    let task = Task::begin()?;
    Runtime::new()?.block_on(async {
        let tts = KokoroTts::new(&task.model, &task.voices).await?;
        for text in &task.texts {
            let (samples, _) = tts.synth(text, Voice::AfHeart(1.0)).await?;
            task.spoke(&samples);
        }
        Ok(())
    })
}
