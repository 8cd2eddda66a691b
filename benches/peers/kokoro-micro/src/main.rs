//! Speaks through `kokoro-micro`. VOICES is an archive of NumPy arrays.

use std::error::Error;

use common::Task;
use kokoro_micro::TtsEngine;
use tokio::runtime::Runtime;

#[path = "../../common.rs"]
mod common;

/// The crate hands the model its own speed times 0.65 (`SPEED_SCALE` in its `lib.rs`): this is what others call 1.
const SPEED: f32 = 1.0 / 0.65;

fn main() -> Result<(), Box<dyn Error>> {
    let task = Task::begin()?;
    let engine = Runtime::new()?.block_on(TtsEngine::with_paths(&task.model, &task.voices))?;
    for text in &task.texts {
        let samples = engine.synthesize_with_options(text, Some("af_heart"), SPEED, 1.0, None)?;
        task.spoke(&samples);
    }
    Ok(())
}
