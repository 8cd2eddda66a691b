//! A Kokoro model whose graph was opened: values inside of it read as outputs, or given as inputs; and any other graph,
//! such as a model that judges speech.
//!
//! Both run with the options and on the provider of a [`Synthesizer`](crate::Synthesizer), so what is found of a Kokoro
//! here is true of what ships. Opening its graph is the caller's.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue, SessionOutputs};
use ort::value::{TensorElementType, TensorRef, ValueRef};

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
        let Interface { tokens: tokens_name, style: style_name, speed: speed_name, audio, durations } =
            &self.interface;
        let mut inputs = ort::inputs![
            tokens_name.as_str() => TensorRef::from_array_view(([1, tokens.len()], tokens))?,
            style_name.as_str() => TensorRef::from_array_view(([1, STYLE_LEN], style))?,
            speed_name.as_str() => TensorRef::from_array_view(([1], speed.as_slice()))?,
        ];
        for (name, tensor) in others {
            inputs.push(((*name).into(), view(tensor)?));
        }
        let mut made = self.session.run(inputs)?;
        // Whole numbers are no tensor of floats; whoever wants these opens the value that they are made of.
        let whole =
            |name: &&String| made[name.as_str()].dtype().tensor_type() != Some(TensorElementType::Float32);
        if let Some(durations) = durations.as_ref().filter(whole) {
            made.remove(durations);
        }
        let mut values = outputs(&made)?;
        let audio = values.remove(audio).map_or(Vec::new(), |tensor| tensor.values);
        Ok(Probed { audio, values })
    }
}

/// Has ONNX Runtime write `model` to `path` as it optimizes it when it loads it, but for what depends on the processor.
///
/// # Errors
/// [`ErrorKind::SessionOption`], and [`ErrorKind::ModelRejected`] with what the runtime said.
pub fn write_optimized(
    runtime: &Runtime,
    model: &[u8],
    options: &SynthesizerOptions,
    path: &Path,
) -> Result<(), Error> {
    write(runtime, model, options, GraphOptimizationLevel::Level2, path)
}

/// Has ONNX Runtime write `model` to `path` as it has it when it asks its providers what they take: constants are folded and
/// nodes fused by rules that hold for any provider. A value that the model declares, if only by its name, is written with the
/// type and shape that the runtime inferred for it.
///
/// # Errors
/// Those of [`write_optimized`].
pub fn write_folded(
    runtime: &Runtime,
    model: &[u8],
    options: &SynthesizerOptions,
    path: &Path,
) -> Result<(), Error> {
    write(runtime, model, options, GraphOptimizationLevel::Level1, path)
}

fn write(
    runtime: &Runtime,
    model: &[u8],
    options: &SynthesizerOptions,
    level: GraphOptimizationLevel,
    path: &Path,
) -> Result<(), Error> {
    let session = options.session(runtime, "model to optimize", model.len() as u64, |builder| {
        let builder = builder.clone().with_optimization_level(level)?;
        builder.with_optimized_model_path(path)?.commit_from_memory(model)
    });
    session.map(drop)
}

/// Any model of which all inputs and outputs are float32, ready to run. One thread at a time.
#[derive(Debug)]
pub struct Graph {
    session: Session,
    name: String,
}

impl Graph {
    /// A model in the `.onnx` format, in memory; `name` is what errors call it. Of the `options`, the size of the
    /// vocabulary means nothing here.
    ///
    /// # Errors
    /// [`ErrorKind::SessionOption`], and [`ErrorKind::ModelRejected`] with what the runtime said.
    pub fn from_bytes(
        runtime: &Runtime,
        name: &str,
        model: &[u8],
        options: &SynthesizerOptions,
    ) -> Result<Self, Error> {
        let session = options
            .session(runtime, name, model.len() as u64, |builder| builder.commit_from_memory(model))?;
        Ok(Self { session, name: name.to_owned() })
    }

    /// A model in a file, which may have further files beside it. What the runtime has to say of an
    /// error is in the error alone, and not on the standard error.
    ///
    /// # Errors
    /// Those of [`Graph::from_bytes`].
    pub fn from_file(
        runtime: &Runtime,
        name: &str,
        path: &Path,
        options: &SynthesizerOptions,
    ) -> Result<Self, Error> {
        let bytes = fs_err::metadata(path).map_or(0, |file| file.len());
        let session = options.session(runtime, name, bytes, |builder| {
            let mut builder = builder.clone().with_log_level(LogLevel::Fatal)?;
            builder.commit_from_file(path)
        })?;
        Ok(Self { session, name: name.to_owned() })
    }

    /// Runs the model on its `inputs` by name, and returns its outputs by name.
    ///
    /// # Errors
    /// [`ErrorKind::Graph`] for an input that is missing, has another shape, or is none of the graph's, and for an
    /// output that is not float32.
    pub fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<BTreeMap<String, Tensor>, Error> {
        self.run_checked(inputs).map_err(|source| {
            let kind = ErrorKind::Graph { model: self.name.clone() };
            Error::with_source(kind, RuntimeMessage::from(source))
        })
    }

    fn run_checked(&mut self, inputs: &[(&str, &Tensor)]) -> ort::Result<BTreeMap<String, Tensor>> {
        let inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = inputs
            .iter()
            .map(|(name, tensor)| Ok(((*name).into(), view(tensor)?)))
            .collect::<ort::Result<_>>()?;
        outputs(&self.session.run(inputs)?)
    }
}

/// A tensor as the runtime takes it, without a copy.
fn view(tensor: &Tensor) -> ort::Result<SessionInputValue<'_>> {
    let view = TensorRef::from_array_view((tensor.shape.clone(), tensor.values.as_slice()))?;
    Ok(SessionInputValue::from(view))
}

/// All outputs of a run, by name.
fn outputs(outputs: &SessionOutputs<'_>) -> ort::Result<BTreeMap<String, Tensor>> {
    let tensor = |(name, value): (&str, ValueRef<'_>)| {
        let (shape, values) = value.try_extract_tensor::<f32>()?;
        let shape = shape.iter().map(|&length| length as usize).collect();
        Ok((name.to_owned(), Tensor { shape, values: values.to_vec() }))
    };
    outputs.iter().map(tensor).collect()
}
