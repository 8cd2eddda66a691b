//! What each convolution costs in float and what in INT8, from profiles of whole runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use kokoro_model::{Runtime, Synthesizer, SynthesizerOptions};
use quantizer::model;
use quantizer::proto::ModelProto;
use serde::{Deserialize, Serialize};

use super::attribution::{Attribution, attribute};
use crate::failure::Failure;
use crate::files::Scratch;
use crate::gates::{Progress, Timings, Utterance};

/// Calls that count, after one that does not.
const CALLS: usize = 5;

/// How long a sentence takes, and each convolution's part in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Milliseconds of a call of the base.
    pub base_ms: f64,
    /// Milliseconds with every convolution in float, which has tables before it as in a plan.
    pub float_ms: f64,
    /// Milliseconds with every convolution in INT8.
    pub int8_ms: f64,
    /// Each convolution with what [works for it](super::attribution), by name.
    pub convolutions: BTreeMap<String, Cost>,
}

/// How long one convolution takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Milliseconds where it computes in float.
    pub float_ms: f64,
    /// Milliseconds in INT8.
    pub int8_ms: f64,
}

impl Cost {
    /// What INT8 saves, in milliseconds; less than nothing where it is slower.
    pub fn saving(self) -> f64 {
        self.float_ms - self.int8_ms
    }
}

/// The three models that are profiled.
pub(super) struct Models {
    pub(super) base: ModelProto,
    pub(super) float: ModelProto,
    pub(super) int8: ModelProto,
}

/// How they are run.
pub(super) struct Profiling<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) options: &'a SynthesizerOptions,
    /// Threads of each model.
    pub(super) threads: usize,
    pub(super) utterance: &'a Utterance,
    /// A folder that is emptied first and gone afterwards.
    pub(super) scratch: &'a Path,
    pub(super) progress: Progress,
}

impl Costs {
    /// Profiles the models on one sentence, one call of each after another, so that whatever slows the machine slows all.
    ///
    /// # Errors
    /// [`Failure::Model`] for a model that does not load or speak; a profile that cannot be written or read.
    pub(super) fn measure(models: &Models, convolutions: &[String], how: &Profiling<'_>) -> Result<Self> {
        let scratch = Scratch::new(how.scratch.to_path_buf()).context("no folder for the profiles")?;
        let all = [&models.base, &models.float, &models.int8];
        let mut steps = how.progress.start("tune, cost of each convolution", (CALLS + 1) * all.len());
        let mut sessions = Vec::new();
        for (index, model) in all.into_iter().enumerate() {
            sessions.push(load(model, how, &scratch.folder().join(index.to_string()))?);
        }
        for _ in 0..=CALLS {
            for session in &mut sessions {
                how.utterance.speak(session).context(Failure::Model)?;
                steps.small_step(&how.utterance.id);
            }
        }
        let mut timings = Vec::new();
        for session in &mut sessions {
            let text = fs_err::read_to_string(session.finish_profile()?)?;
            timings.push(Timings::parse(&text).context("a profile cannot be used")?);
        }
        let total = |index: usize| least(&timings[index].calls);
        let parts = |model: &ModelProto, index: usize| -> Result<Attribution> {
            let timings: &Timings = &timings[index];
            let nodes = timings.nodes.iter().map(|(name, times)| (name.clone(), least(times)));
            Ok(attribute(model::graph(model).context(Failure::Model)?, &nodes.collect()))
        };
        let (float, int8) = (parts(&models.float, 1)?, parts(&models.int8, 2)?);
        let of = |part: &Attribution, name: &str| part.convolutions.get(name).copied().unwrap_or_default();
        let cost = |name: &String| Cost { float_ms: of(&float, name), int8_ms: of(&int8, name) };
        Ok(Self {
            base_ms: total(0),
            float_ms: total(1),
            int8_ms: total(2),
            convolutions: convolutions.iter().map(|name| (name.clone(), cost(name))).collect(),
        })
    }

    /// What INT8 saves for `name`, in milliseconds, so that the savings of all are what was saved in all: what no single
    /// convolution can be told to have saved is spread over those that save something, in proportion.
    pub fn saving(&self, name: &str) -> f64 {
        let savings = || self.convolutions.values().map(|cost| cost.saving());
        let (gains, losses): (Vec<f64>, Vec<f64>) = savings().partition(|saving| *saving > 0.0);
        let saved = self.float_ms - self.int8_ms - losses.iter().sum::<f64>();
        let share = saved.max(0.0) / gains.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let saving = self.convolutions.get(name).copied().unwrap_or_default().saving();
        if saving > 0.0 { saving * share } else { saving }
    }

    /// How many times as fast as the base a model is in which `convolutions` compute in INT8.
    pub fn speed(&self, convolutions: &BTreeSet<String>) -> f64 {
        let saved: f64 = convolutions.iter().map(|name| self.saving(name)).sum();
        self.base_ms / (self.float_ms - saved).max(f64::MIN_POSITIVE)
    }
}

fn load(model: &ModelProto, how: &Profiling<'_>, profile: &Path) -> Result<Synthesizer> {
    let mut bytes = Vec::new();
    model::encode(model, &mut bytes)?;
    let options = how.options.clone().threads(how.threads).profile(profile);
    Synthesizer::from_bytes(how.runtime, &bytes, &options)
        .context("a model of `tune` does not load")
        .context(Failure::Model)
}

/// The least of microseconds, in milliseconds, without the first call, which warms up. Whatever else the machine does can
/// only add to a time.
fn least(times: &[f64]) -> f64 {
    let least = times.iter().skip(1).copied().reduce(f64::min);
    least.map_or(0.0, |microseconds| microseconds / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs() -> Costs {
        let convolutions = [("a", [30.0, 10.0]), ("b", [20.0, 10.0]), ("c", [5.0, 7.0])];
        let convolutions = convolutions
            .map(|(name, [float_ms, int8_ms])| (name.to_owned(), Cost { float_ms, int8_ms }))
            .into();
        Costs { base_ms: 120.0, float_ms: 100.0, int8_ms: 66.0, convolutions }
    }

    #[test]
    fn what_is_saved_in_all_is_the_sum_of_the_savings() {
        let costs = costs();
        // 34 ms were saved, 2 of them against the loss of `c`: 36 for `a` and `b`, which tell of 30.
        let savings = ["a", "b", "c"].map(|name| costs.saving(name));
        let expected = [24.0, 12.0, -2.0];
        assert!(savings.iter().zip(expected).all(|(found, it)| (found - it).abs() < 1e-9), "{savings:?}");
        let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
        assert!((costs.speed(&names(&["a", "b", "c"])) - 120.0 / 66.0).abs() < 1e-9);
        assert!((costs.speed(&names(&[])) - 1.2).abs() < 1e-9);
        assert!((costs.speed(&names(&["b"])) - 120.0 / 88.0).abs() < 1e-9);
    }

    #[test]
    fn a_machine_on_which_int8_saves_nothing_is_no_error() {
        let slow = Costs { int8_ms: 130.0, ..costs() };
        assert_eq!(slow.saving("a"), 0.0);
        let none = Costs { convolutions: BTreeMap::new(), ..costs() };
        assert_eq!(none.speed(&BTreeSet::new()), 1.2);
    }

    #[test]
    fn the_first_call_does_not_count() {
        assert_eq!(least(&[500.0, 4000.0, 2000.0, 3000.0]), 2.0);
        assert_eq!(least(&[9000.0]), 0.0);
    }
}
