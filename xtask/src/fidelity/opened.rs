//! A model opened at the probe points of the recipe.

use anyhow::{Context as _, Result};
use kokoro_model::probe::{Probe, Probed, Tensor};
use kokoro_model::{Error, Runtime};
use quantizer::probe::{Point, expose, replace};
use quantizer::proto::{ModelProto, tensor_proto::DataType};
use quantizer::{dead, model};

use super::Speech;
use crate::failure::Failure;
use crate::gates::{Subject, Utterance};
use crate::recipe::ProbeRecipe;

/// The inputs that take the place of what the model predicts.
const FORCED: [&str; 3] = ["forced_durations", "forced_f0", "forced_energy"];

/// Makes the predictions of a model outputs of its graph; if `forced`, also inputs that everything behind them reads.
/// The predictions are then those of F0 and energy over forced durations.
///
/// # Errors
/// [`Failure::Model`], naming the value that the graph does not have, with a hint at the recipe.
pub fn open(model: &mut ModelProto, recipe: &ProbeRecipe, forced: bool) -> Result<()> {
    let graph = model::graph_mut(model).context(Failure::Model)?;
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

/// Durations are float32 [1, tokens], in frames; F0, in Hz, and energy float32 [1, 1, 2 · frames].
fn points(recipe: &ProbeRecipe) -> [Point<'_>; 3] {
    let point = |value, rank| Point { value, element: DataType::Float, rank };
    [point(recipe.durations.as_str(), 2), point(&recipe.f0, 3), point(&recipe.energy, 3)]
}

/// An opened model, ready to run.
pub(super) struct Opened<'a> {
    probe: Probe,
    recipe: &'a ProbeRecipe,
}

impl<'a> Opened<'a> {
    /// Loads `subject` with `threads`, opened as [`open`] does.
    ///
    /// # Errors
    /// [`Failure::Model`]: not ONNX, no such values, or the engine refuses it.
    pub(super) fn load(
        runtime: &Runtime,
        subject: &Subject,
        recipe: &'a ProbeRecipe,
        threads: usize,
        forced: bool,
    ) -> Result<Self> {
        let mut decoded = crate::base::decode(&subject.name, &subject.model)?;
        open(&mut decoded, recipe, forced).with_context(|| format!("`{}`", subject.name))?;
        let mut bytes = Vec::with_capacity(subject.model.len());
        model::encode(&decoded, &mut bytes)?;
        drop(decoded);
        let options = subject.options.clone().threads(threads);
        let inputs = if forced { &FORCED[..] } else { &[] };
        let probe = Probe::from_bytes(runtime, &bytes, &options, inputs)
            .with_context(|| format!("`{}` does not load with its graph opened", subject.name))
            .context(Failure::Model)?;
        Ok(Self { probe, recipe })
    }

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
