//! The sessions of a prepared model: loaded side by side, run one after another.
//!
//! Weights are handed over by `AddInitializer`, which takes no copy, where
//! `AddExternalInitializers` does. ONNX Runtime 1.26 still wants the file to exist that such an
//! initializer is said to lie in, and is content with a folder: the parts say `.`, of the root.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{DynValue, TensorRef};

use super::shared::{Named, Shared};
use super::{Part, Prepared as Contents, Weight, check_sum, damaged, weights};
use crate::error::Error;
use crate::interface::DURATIONS;
use crate::runtime::{Runtime, RuntimeMessage};
use crate::synthesizer::{Spoken, SynthesizerOptions, frames};
use crate::voice::{STYLE_LEN, Style};

/// A prepared model that was loaded.
#[derive(Debug)]
pub(crate) struct Prepared {
    parts: Vec<Loaded>,
    /// The constants that parts computed when they were loaded.
    constants: HashMap<String, Arc<DynValue>>,
    /// Dropped behind the parts, which use it.
    _shared: Arc<Shared>,
    tokens: String,
    style: String,
    speed: String,
    audio: String,
    durations: Option<String>,
}

/// A part that was loaded.
#[derive(Debug)]
struct Loaded {
    session: Session,
    /// What it takes, but for weights.
    inputs: Vec<String>,
    /// The weights that are given at each run.
    weights: Named,
    outputs: Vec<String>,
}

impl Prepared {
    /// Loads the parts in `contents`, each in a thread of its own, with weights from `artifact`.
    ///
    /// # Errors
    /// [`ErrorKind::PreparedDamaged`] for contents that are not of this artifact, [`ErrorKind::ModelRejected`] and
    /// [`ErrorKind::SessionOption`] with what the runtime said.
    pub(crate) fn load(
        runtime: &Runtime,
        artifact: &[u8],
        contents: &Contents<'_>,
        options: &SynthesizerOptions,
    ) -> Result<Self, Error> {
        if contents.artifact_bytes != artifact.len() as u64 {
            let (expected, found) = (contents.artifact_bytes, artifact.len());
            return Err(damaged(format!("expected a model of {expected} bytes, found {found}")).into());
        }
        let shared = Shared::of(contents);
        let takes_turns = contents.parts.iter().filter(|part| !part.inputs.is_empty()).count() > 1;
        let loaded = thread::scope(|scope| {
            let sound = scope.spawn(|| check_sum("model", artifact, contents.artifact_crc32));
            let threads: Vec<_> = contents
                .parts
                .iter()
                .enumerate()
                .map(|(index, part)| {
                    let shared = &shared;
                    let load =
                        move || Loaded::load(runtime, artifact, (index, part), options, takes_turns, shared);
                    scope.spawn(load)
                })
                .collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            let loaded = threads.into_iter().map(join).collect::<Result<Vec<_>, Error>>();
            // Of a damaged model the runtime may have said anything.
            sound.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            loaded
        })?;
        shared.publish();
        let (mut parts, mut constants) = (Vec::new(), HashMap::new());
        for (part, computed) in loaded {
            parts.extend(part);
            constants.extend(computed);
        }
        let [tokens, style, speed, audio] =
            [&contents.tokens, &contents.style, &contents.speed, &contents.audio].map(ToString::to_string);
        let made = contents.parts.iter().flat_map(|part| &part.outputs);
        let durations = made.map(AsRef::as_ref).find(|name| DURATIONS.contains(name)).map(ToOwned::to_owned);
        Ok(Self { parts, constants, _shared: shared, tokens, style, speed, audio, durations })
    }

    /// Runs every part, and returns the samples and durations.
    pub(crate) fn run(
        &mut self,
        tokens: &[i64],
        style: &Style,
        speed: f32,
        options: &RunOptions,
    ) -> ort::Result<Spoken> {
        let speeds = speeds(speed, tokens.len());
        let tokens = TensorRef::from_array_view(([1, tokens.len()], tokens))?;
        let style = TensorRef::from_array_view(([1, STYLE_LEN], style.values().as_slice()))?;
        let speed = TensorRef::from_array_view(([speeds.len()], speeds.as_slice()))?;
        let mut values: HashMap<String, DynValue> = HashMap::new();
        for part in &mut self.parts {
            let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::new();
            for name in &part.inputs {
                let value = if *name == self.tokens {
                    tokens.view().into()
                } else if *name == self.style {
                    style.view().into()
                } else if *name == self.speed {
                    speed.view().into()
                } else if let Some(value) =
                    values.get(name).or_else(|| self.constants.get(name).map(Arc::as_ref))
                {
                    value.into()
                } else {
                    // The runtime says which input it misses.
                    continue;
                };
                inputs.push((name.into(), value));
            }
            inputs.extend(part.weights.iter().map(|(name, weight)| (name.into(), weight.as_ref().into())));
            let mut outputs = part.session.run_with_options(inputs, options)?;
            let made: Vec<_> =
                part.outputs.iter().filter_map(|name| Some((name.clone(), outputs.remove(name)?))).collect();
            drop(outputs);
            values.extend(made);
        }
        let durations = self.durations.as_ref().and_then(|name| values.get(name)).map(frames).transpose()?;
        let samples = match values.get(&self.audio) {
            Some(audio) => audio.try_extract_tensor::<f32>()?.1.to_vec(),
            None => Vec::new(),
        };
        Ok(Spoken { samples, durations })
    }

    /// The session of the last part, which takes most of the time.
    pub(crate) fn last(&mut self) -> Option<&mut Session> {
        self.parts.last_mut().map(|part| &mut part.session)
    }
}

/// The `speed` input, by which the model divides the length of each of so many tokens.
///
/// The padding at both ends is silence, and is never longer than at speed 1: in a longer one the model begins to speak where it
/// is used to, and says a vowel before the first phoneme. At 0.5 to 0.9, three sentences by five voices had −13 to −37 dB
/// below 1 kHz there, and have −37 to −89. A shorter one does no harm. The model declares one speed for all, its parts
/// declare no shapes.
fn speeds(speed: f32, tokens: usize) -> Vec<f32> {
    if speed >= 1.0 {
        return vec![speed];
    }
    let last = tokens.saturating_sub(1);
    (0..tokens).map(|token| if token == 0 || token == last { 1.0 } else { speed }).collect()
}

/// Whether each kernel of the graph can give away what it packed. Those of `QLinearConv` cannot, and to ask them is an error
/// (ONNX Runtime 1.26.0, `PrepackConstantInitializedTensors`).
fn can_share_what_is_packed(graph: &[u8]) -> bool {
    let operator = b"QLinearConv";
    !graph.windows(operator.len()).any(|at| at == operator)
}

impl Loaded {
    /// The part of this number, unless it has no inputs: then what it computes. `takes_turns` says whether other parts are run
    /// besides.
    fn load(
        runtime: &Runtime,
        artifact: &[u8],
        (index, part): (usize, &Part<'_>),
        options: &SynthesizerOptions,
        takes_turns: bool,
        shared: &Shared,
    ) -> Result<(Option<Self>, Named), Error> {
        if part.inputs.is_empty()
            && let Some(constants) = shared.constants(index)
        {
            return Ok((None, constants));
        }
        let tensor = |weight: &Weight<'_>| {
            let make = || weights::tensor(weight, artifact);
            // What constants are computed from is needed once.
            let once = part.inputs.is_empty();
            let tensor = if once { Arc::new(make()?) } else { shared.weight(index, &weight.name, make)? };
            Ok::<_, Error>((weight.name.to_string(), tensor))
        };
        let (given, known): (Vec<_>, Vec<_>) = part.weights.iter().partition(|weight| weight.is_input);
        let known = known.into_iter().map(tensor).collect::<Result<Vec<_>, _>>()?;
        let name = "a part of the prepared model";
        let mut session = options.session(runtime, name, part.graph.len() as u64, |builder| {
            // It is optimized already. The folder is where the runtime sees to it that external data exists, before it
            // takes the tensors that are given for it: one that is always there.
            let folder = "session.model_external_initializers_file_folder_path";
            let mut made = builder
                .clone()
                .with_optimization_level(GraphOptimizationLevel::Disable)?
                .with_config_entry(folder, std::path::MAIN_SEPARATOR_STR)?;
            if takes_turns {
                // The threads of one part must not spin while another one runs.
                made = made.with_config_entry("session.force_spinning_stop", "1")?;
            }
            for (name, weight) in known {
                made = made.with_initializer(name, weight)?;
            }
            if can_share_what_is_packed(part.graph) {
                made = made.with_prepacked_weights(shared.packed(index))?;
            }
            made.commit_from_memory(part.graph)
        })?;
        let owned = |names: &[Cow<'_, str>]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let outputs = owned(&part.outputs);
        if part.inputs.is_empty() {
            let run = || -> ort::Result<Named> {
                let mut values = session.run(Vec::<(Cow<'_, str>, SessionInputValue<'_>)>::new())?;
                Ok(outputs
                    .into_iter()
                    .filter_map(|name| values.remove(&name).map(|value| (name, Arc::new(value))))
                    .collect())
            };
            let computed = run().map_err(|source| {
                let kind = damaged("its constants cannot be computed");
                Error::with_source(kind, RuntimeMessage::from(source))
            })?;
            shared.keep(index, &computed);
            return Ok((None, computed));
        }
        let weights = given.into_iter().map(tensor).collect::<Result<_, _>>()?;
        Ok((Some(Self { session, inputs: owned(&part.inputs), weights, outputs }), Vec::new()))
    }
}
