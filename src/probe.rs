//! A Kokoro model whose graph was opened: values inside of it read as outputs, or given as inputs.
//!
//! It runs with the options and on the provider of a [`Synthesizer`](crate::Synthesizer), so what is found here is
//! true of what ships. Opening the graph is the caller's.

use std::collections::BTreeMap;

use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

use crate::error::{Error, ErrorKind};
use crate::interface::Interface;
use crate::runtime::{Runtime, RuntimeMessage};
use crate::synthesizer::{SynthesizerOptions, checked};
use crate::voice::{STYLE_LEN, Style};

/// A float32 tensor, the last dimension running fastest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// The lengths of its dimensions.
    pub shape: Vec<usize>,
    /// As many values as the shape has places.
    pub values: Vec<f32>,
}

/// What a model said, and what the graph's further outputs were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probed {
    /// The samples, at [`SAMPLE_RATE`](crate::SAMPLE_RATE); none where the model said nothing.
    pub audio: Vec<f32>,
    /// The outputs beside the audio, by name.
    pub values: BTreeMap<String, Tensor>,
}

/// An opened model, ready to run. One thread at a time.
#[derive(Debug)]
pub struct Probe {
    session: Session,
    interface: Interface,
    vocabulary_size: u32,
}

impl Probe {
    /// A model in the `.onnx` format, in memory. `inputs` are the names of those that it has beside the three of
    /// Kokoro, all of them float32.
    ///
    /// # Errors
    /// Those of [`Synthesizer::from_bytes`](crate::Synthesizer::from_bytes).
    pub fn from_bytes(
        runtime: &Runtime,
        model: &[u8],
        options: &SynthesizerOptions,
        inputs: &[&str],
    ) -> Result<Self, Error> {
        let name = "opened model in memory";
        let session = options
            .session(runtime, name, model.len() as u64, |builder| builder.commit_from_memory(model))?;
        let interface = Interface::of(&session, name, inputs)?;
        Ok(Self { session, interface, vocabulary_size: options.vocabulary_size })
    }

    /// Runs one sentence: phoneme ids without padding, the style for their number and a speed, as
    /// [`Synthesizer::speak_tokens`](crate::Synthesizer::speak_tokens) takes them, and the further `inputs` by name.
    ///
    /// # Errors
    /// Those of [`Synthesizer::speak_tokens`](crate::Synthesizer::speak_tokens), but no [`ErrorKind::NoAudio`].
    /// [`ErrorKind::Inference`] also for an input that is missing, has another shape, or is none of the graph's,
    /// and for an output that is not float32.
    pub fn run(
        &mut self,
        phoneme_ids: &[i64],
        style: &Style,
        speed: f32,
        inputs: &[(&str, &Tensor)],
    ) -> Result<Probed, Error> {
        let tokens = checked(phoneme_ids, speed, self.vocabulary_size)?;
        self.run_checked(&tokens, style, speed, inputs).map_err(|source| {
            Error::with_source(
                ErrorKind::Inference { tokens: phoneme_ids.len() },
                RuntimeMessage::from(source),
            )
        })
    }

    fn run_checked(
        &mut self,
        tokens: &[i64],
        style: &Style,
        speed: f32,
        others: &[(&str, &Tensor)],
    ) -> ort::Result<Probed> {
        let (style, speed) = (style.values().as_slice(), [speed]);
        let Interface { tokens: tokens_name, style: style_name, speed: speed_name, audio } = &self.interface;
        let mut inputs = ort::inputs![
            tokens_name.as_str() => TensorRef::from_array_view(([1, tokens.len()], tokens))?,
            style_name.as_str() => TensorRef::from_array_view(([1, STYLE_LEN], style))?,
            speed_name.as_str() => TensorRef::from_array_view(([1], speed.as_slice()))?,
        ];
        for (name, tensor) in others {
            let view = TensorRef::from_array_view((tensor.shape.clone(), tensor.values.as_slice()))?;
            inputs.push(((*name).into(), SessionInputValue::from(view)));
        }
        let outputs = self.session.run(inputs)?;
        let mut probed = Probed::default();
        for (name, value) in &outputs {
            let (shape, values) = value.try_extract_tensor::<f32>()?;
            if name == audio {
                probed.audio = values.to_vec();
            } else {
                let shape = shape.iter().map(|&length| length as usize).collect();
                probed.values.insert(name.to_owned(), Tensor { shape, values: values.to_vec() });
            }
        }
        Ok(probed)
    }
}
