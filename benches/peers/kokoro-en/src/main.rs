//! Speaks through `kokoro-en`. VOICES is a folder with one file of raw floats for each voice.

use std::error::Error;

use common::Task;
use kokoro_en::KokoroTts;
use tokio::runtime::Runtime;

#[path = "../../common.rs"]
mod common;

fn main() -> Result<(), Box<dyn Error>> {
    let task = Task::begin()?;
    Runtime::new()?.block_on(async {
        let tts = KokoroTts::new(&task.model, &task.voices).await?;
        for text in &task.texts {
            let (samples, _) = tts.synth(text, "af_heart").await?;
            task.spoke(&samples);
        }
        Ok(())
    })
}
