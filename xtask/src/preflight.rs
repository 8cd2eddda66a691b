//! A look at a model of the user's, before anything is made of it.

use anyhow::{Context as _, Result};
use kokoro_model::{Runtime, STYLE_LEN, Style, Synthesizer};
use quantizer::kokoro::Export;

use crate::base::Base;
use crate::failure::Failure;
use crate::fetch::Console;
use crate::gates::Subject;

/// Says what the model is, and has it speak once by itself, so that what it cannot do is told of it and not of what is made of
/// it.
///
/// # Errors
/// [`Failure::Model`] for a model that does not load or says nothing.
pub fn look(base: &Base, runtime: &Runtime, console: &Console) -> Result<()> {
    let Some(export) = &base.export else { return Ok(()) };
    console.say(&describe(&base.name, export));
    let subject = Subject::of_base(base)?;
    let speak = || {
        let mut synthesizer = Synthesizer::from_bytes(runtime, &subject.model, &subject.options)?;
        let ids: Vec<i64> = (1..i64::from(subject.vocabulary_size).min(13)).collect();
        synthesizer.speak_tokens(&ids, &Style::new([0.05; STYLE_LEN])?, 1.0)
    };
    let said = speak().with_context(|| format!("`{}` does not speak by itself", base.name));
    said.context(Failure::Model).map(drop)
}

fn describe(name: &str, export: &Export) -> String {
    let mut told = vec![format!("opset {}", export.opset)];
    told.push(format!("durations are `{}`", export.parts.durations));
    if export.random > 0 {
        told.push(format!("{} nodes draw random numbers, which the gates hold still", export.random));
    }
    if export.widened > 0 {
        told.push(format!("{} tensors in half precision, taken as float32", export.widened));
    }
    format!("`{name}` is a Kokoro: {}", told.join("; "))
}
