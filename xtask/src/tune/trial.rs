//! Trials: a model in which some convolutions compute in INT8, said and compared with the base.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context as _, Result};
use kokoro_model::SynthesizerOptions;
use quantizer::calibration::prepare;
use quantizer::proto::{ModelProto, TensorProto};
use quantizer::schemes::{Scheme as _, StaticInt8, WeightsInt8};
use quantizer::{dead, fold, model, order};
use serde::{Deserialize, Serialize};

use crate::base::Base;
use crate::describe::vocabulary_size;
use crate::failure::Failure;
use crate::fidelity::Ruler;
use crate::fidelity::metric::WORST;
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::scheme::static_int8;

/// How far a model is from the base, with the base's durations, F0 and energy forced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distance {
    /// The sound of each sentence, by its id.
    pub sentences: BTreeMap<String, Heard>,
    /// What the model itself predicts.
    pub predicted: Predicted,
}

/// How far one sentence is from the base's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// Log-spectral distance in dB.
    pub lsd_db: f64,
    /// Signal-to-noise ratio in dB.
    pub snr_db: f64,
}

/// How far predictions are from the base's, over all sentences.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicted {
    /// The share of sentences with all durations as the base has them.
    pub durations_exact: f64,
    /// The mean error of F0 in cents.
    pub f0_mean_cents: f64,
    /// The mean error of energy in nepers.
    pub energy_nepers: f64,
}

impl Distance {
    /// The same of these sentences alone; predictions are those of all.
    #[must_use]
    pub fn of(mut self, ids: &[String]) -> Self {
        self.sentences.retain(|id, _| ids.contains(id));
        self
    }

    /// LSD in dB, in the order of the ids.
    pub fn lsd(&self) -> Vec<f64> {
        self.sentences.values().map(|heard| heard.lsd_db).collect()
    }
}

/// Everything that trials have in common.
pub(super) struct Trials<'a> {
    recipe: &'a Recipe,
    plan: &'a Plan,
    /// The base after the plan's rewrites, its weights as they are.
    rewritten: ModelProto,
    /// Its weights as they are read back after they were stored as INT8, by name.
    stored: HashMap<String, TensorProto>,
    options: SynthesizerOptions,
    ruler: Ruler<'a>,
}

impl<'a> Trials<'a> {
    /// Rewrites `base` as `plan` says, and stores its weights once for all trials.
    ///
    /// # Errors
    /// [`Failure::Model`] for a base that cannot be rewritten or stored; [`Failure::Usage`] for the recipe.
    pub(super) fn new(base: &Base, recipe: &'a Recipe, plan: &'a Plan, ruler: Ruler<'a>) -> Result<Self> {
        let mut rewritten = base.decode()?;
        prepare(&mut rewritten, plan.passes()?).context(Failure::Model)?;
        let mut stored = rewritten.clone();
        let graph = model::graph_mut(&mut stored).context(Failure::Model)?;
        static_int8(recipe, Some(plan))?.weights.apply(graph).context(Failure::Model)?;
        // Weights with further bits are not folded, and stay as they are: their rounding is a quarter and less.
        fold::fold_weights(graph).context(Failure::Model)?;
        let initializers = std::mem::take(&mut graph.initializer).into_iter();
        let options = SynthesizerOptions::default().vocabulary_size(vocabulary_size(&rewritten)?);
        Ok(Self {
            recipe,
            plan,
            rewritten,
            stored: initializers.map(|tensor| (tensor.name().to_owned(), tensor)).collect(),
            options,
            ruler,
        })
    }

    /// The same on these sentences alone.
    pub(super) fn on(self, ids: &[String]) -> Self {
        Self { ruler: self.ruler.only(|utterance| ids.contains(&utterance.id)), ..self }
    }

    /// The base after the rewrites.
    pub(super) fn rewritten(&self) -> &ModelProto {
        &self.rewritten
    }

    /// The options that all models are run with.
    pub(super) fn options(&self) -> &SynthesizerOptions {
        &self.options
    }

    /// The model in which `convolutions` compute in INT8. It is what `static-int8` makes of such a plan, but that weights
    /// which are only stored as INT8 are floats already, as they are after loading: that loads faster.
    ///
    /// # Errors
    /// [`Failure::Model`] for what cannot be quantized.
    pub(super) fn model(&self, convolutions: &BTreeSet<String>) -> Result<ModelProto> {
        let plan = Plan { convolutions: convolutions.iter().cloned().collect(), ..self.plan.clone() };
        let weights = WeightsInt8 { min_elements: usize::MAX, exclude: None, finer: Vec::new() };
        let scheme = StaticInt8 { rewrites: Vec::new(), weights, ..static_int8(self.recipe, Some(&plan))? };
        let mut model = self.rewritten.clone();
        let graph = model::graph_mut(&mut model).context(Failure::Model)?;
        scheme.apply(graph).context(Failure::Model)?;
        dead::remove(graph);
        order::sort(graph).context(Failure::Model)?;
        for tensor in &mut graph.initializer {
            if let Some(stored) = self.stored.get(tensor.name()) {
                tensor.clone_from(stored);
            }
        }
        Ok(model)
    }

    /// Says every sentence with `convolutions` in INT8.
    ///
    /// # Errors
    /// Those of [`Self::model`]. A sentence that is not said is as far off as can be.
    pub(super) fn measure(&self, convolutions: &BTreeSet<String>) -> Result<Distance> {
        let fidelity = self.ruler.measure_decoded("a plan", self.model(convolutions)?, &self.options)?;
        let unheard = Heard { lsd_db: WORST, snr_db: -WORST };
        let ids = self.ruler.sentences().map(|(utterance, _)| (utterance.id.clone(), unheard));
        let mut sentences: BTreeMap<String, Heard> = ids.collect();
        for it in &fidelity.sentences {
            sentences.insert(it.id.clone(), Heard { lsd_db: it.sound.lsd_db, snr_db: it.sound.snr_db });
        }
        let mean = |metric: &str, lacking| fidelity.metrics.get(metric).map_or(lacking, |it| it.found.mean);
        let predicted = Predicted {
            durations_exact: mean("durations_exact", 0.0),
            // Without a voiced sound there is no error of F0.
            f0_mean_cents: mean("f0_mean_cents", 0.0),
            energy_nepers: mean("energy_nepers", 0.0),
        };
        Ok(Distance { sentences, predicted })
    }
}
