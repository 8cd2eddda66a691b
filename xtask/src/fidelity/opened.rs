//! A model opened at the probe points of the recipe.

use anyhow::{Context as _, Result};
use kokoro_model::probe::{Probe, Probed, Tensor};
use kokoro_model::{Error, Runtime, SynthesizerOptions};
use quantizer::probe::{Point, expose, replace};
use quantizer::proto::{GraphProto, ModelProto, tensor_proto::DataType};
use quantizer::{dead, kokoro, model};

use super::Speech;
use crate::failure::Failure;
use crate::gates::{ExecutionProvider, Subject, Utterance};
use crate::recipe::ProbeRecipe;

/// The inputs that take the place of what the model predicts.
const FORCED: [&str; 3] = ["forced_durations", "forced_f0", "forced_energy"];

/// Makes the predictions of a model outputs of its graph; if `forced`, also inputs that everything behind them reads.
/// The predictions are then those of F0 and energy over forced durations.
///
/// # Errors
/// [`Failure::Model`], naming the value that the graph does not have, with a hint at the recipe.
pub fn open(model: &mut ModelProto, recipe: &ProbeRecipe, forced: bool) -> Result<()> {
    if recipe.is_by_structure() && !is_named(model::graph(model).context(Failure::Model)?) {
        kokoro::name_predictions(model).context("the graph cannot be probed").context(Failure::Model)?;
    }
    let graph = model::graph_mut(model).context(Failure::Model)?;
    // Two models that draw noise never say the same.
    kokoro::still(graph);
    for (point, input) in points(recipe).into_iter().zip(FORCED) {
        expose(graph, point)
            .and_then(|()| if forced { replace(graph, point, input) } else { Ok(()) })
            .context(
                "the graph cannot be probed\nhint: `[probe]` of the recipe names the values that hold durations, F0 \
                 and energy",
            )
            .context(Failure::Model)?;
    }
    dead::remove(graph);
    Ok(())
}

/// Whether the model was imported, or made of one that was.
fn is_named(graph: &GraphProto) -> bool {
    graph.node.iter().flat_map(quantizer::graph::outputs).any(|output| output == kokoro::DURATIONS.value)
}

/// Durations are float32 [1, tokens], in frames; F0, in Hz, and energy float32 [1, 1, 2 · frames].
fn points(recipe: &ProbeRecipe) -> [Point<'_>; 3] {
    let point = |value, rank| Point { value, element: DataType::Float, rank };
    [point(recipe.durations.as_str(), 2), point(&recipe.f0, 3), point(&recipe.energy, 3)]
}

/// The file of an opened model, of which every worker loads a session of its own.
pub(super) struct OpenedFile<'a> {
    name: &'a str,
    bytes: Vec<u8>,
    options: SynthesizerOptions,
    recipe: &'a ProbeRecipe,
    forced: bool,
}

impl<'a> OpenedFile<'a> {
    /// Opens `subject` as [`open`] does, to be run with so many `threads`.
    ///
    /// # Errors
    /// [`Failure::Model`]: not ONNX, or no such values.
    pub(super) fn new(
        subject: &'a Subject,
        recipe: &'a ProbeRecipe,
        threads: usize,
        forced: bool,
    ) -> Result<Self> {
        let mut decoded = crate::base::decode(&subject.name, &subject.model)?;
        open(&mut decoded, recipe, forced).with_context(|| format!("`{}`", subject.name))?;
        let mut bytes = Vec::new();
        model::encode(&decoded, &mut bytes)?;
        // What a device computes is not shared out by threads of ours.
        let threads = if subject.provider == ExecutionProvider::Cpu { threads } else { 0 };
        let options = subject.options.clone().threads(threads);
        Ok(Self { name: &subject.name, bytes, options, recipe, forced })
    }

    /// Loads it.
    ///
    /// # Errors
    /// [`Failure::Model`]: the engine refuses it.
    pub(super) fn load(&self, runtime: &Runtime) -> Result<Opened<'a>> {
        let inputs = if self.forced { &FORCED[..] } else { &[] };
        let probe = Probe::from_bytes(runtime, &self.bytes, &self.options, inputs)
            .with_context(|| format!("`{}` does not load with its graph opened", self.name))
            .context(Failure::Model)?;
        Ok(Opened { probe, recipe: self.recipe })
    }
}

/// An opened model, ready to run.
pub(super) struct Opened<'a> {
    probe: Probe,
    recipe: &'a ProbeRecipe,
}

impl Opened<'_> {
    /// Speaks one sentence; a model opened to be forced needs a `reference` whose predictions it takes.
    pub(super) fn speak(
        &mut self,
        utterance: &Utterance,
        reference: Option<&Speech>,
    ) -> Result<Speech, Error> {
        let Utterance { ids, speed, .. } = utterance;
        let values = reference.map(|Speech { durations, f0, energy, .. }| {
            let tensor = |shape: &[usize], values: &[f32]| Tensor {
                shape: [shape, &[values.len()]].concat(),
                values: values.to_vec(),
            };
            [tensor(&[1], durations), tensor(&[1, 1], f0), tensor(&[1, 1], energy)]
        });
        let inputs: Vec<_> = FORCED.into_iter().zip(values.iter().flatten()).collect();
        let Probed { audio, mut values } = self.probe.run(ids, utterance.style(), *speed, &inputs)?;
        // The session has these outputs, or it would not have loaded.
        let mut take = |name: &str| values.remove(name).map_or(Vec::new(), |tensor| tensor.values);
        Ok(Speech {
            durations: take(&self.recipe.durations),
            f0: take(&self.recipe.f0),
            energy: take(&self.recipe.energy),
            audio,
        })
    }
}
