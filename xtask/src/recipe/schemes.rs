//! What a recipe says of the base model, the schemes and the gates.

use quantizer::kokoro;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::digest::Digest;

/// Which float model every number is relative to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseRecipe {
    /// The file that is the published float model.
    pub official: String,
    /// The float model that is rebuilt where the published one is out of reach.
    pub restored: RestoredBase,
    /// A stand-in for a float model that was never quantized, to judge by and never to release.
    pub offgrid: OffgridBase,
}

/// A float model rebuilt from a dynamically quantized one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoredBase {
    /// The name of the rebuilt model.
    pub name: String,
    /// The file it is rebuilt from.
    pub from: String,
    /// The exact size of the rebuilt model.
    pub bytes: u64,
    /// The digest of the rebuilt model.
    pub sha256: Digest,
}

/// The restored model, its weights moved off the grid that they lie on: see [`quantizer::offgrid`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OffgridBase {
    /// The name of the model.
    pub name: String,
    /// Of the random numbers that weights are moved by.
    pub seed: u64,
    /// The exact size of the model.
    pub bytes: u64,
    /// The digest of the model.
    pub sha256: Digest,
}

/// How the schemes are set and what their candidates must keep to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Schemes {
    /// The reference result.
    pub linear_int8: LinearInt8Recipe,
    /// Every large weight as INT8, computation in float.
    pub weights_int8: WeightsInt8Recipe,
    /// Convolutions that compute in INT8, the other weights stored as INT8.
    pub static_int8: StaticInt8Recipe,
    /// Convolutions that compute in INT8 by operators of our own, the other weights stored as INT8.
    pub fused_int8: FusedInt8Recipe,
    /// The float model, its convolutions joined by operators of our own.
    pub fused_float: FusedFloatRecipe,
    /// `weights-int8`, rewritten for CoreML.
    pub coreml_int8: WeightsInt8Recipe,
}

/// Settings of `fused-int8`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusedInt8Recipe {
    /// A regular expression; convolutions whose name matches compute in INT8. Case is ignored.
    pub int8: String,
    /// A regular expression; those of them whose name matches read activations of 16 bits, for twice the products.
    pub int16: Option<String>,
    /// Weights that are only stored, with fewer elements, stay float.
    pub min_elements: usize,
    /// Weights that are only stored, and finer than INT8; the first pattern that matches decides.
    #[serde(default)]
    pub finer: Vec<FinerRecipe>,
    /// What a candidate must keep to.
    pub gates: Thresholds,
}

/// Settings of `fused-float`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusedFloatRecipe {
    /// What a candidate must keep to.
    pub gates: Thresholds,
}

/// Settings of `linear-int8`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearInt8Recipe {
    /// A regular expression; nodes whose name matches stay float. Case is ignored.
    pub exclude: Option<String>,
    /// What a candidate must keep to.
    pub gates: Thresholds,
}

/// Settings of `weights-int8` and `coreml-int8`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsInt8Recipe {
    /// Weights with fewer elements stay float.
    pub min_elements: usize,
    /// A regular expression; weights and nodes whose name matches stay float. Case is ignored.
    pub exclude: Option<String>,
    /// Weights that are stored finer than INT8; the first pattern that matches decides.
    #[serde(default)]
    pub finer: Vec<FinerRecipe>,
    /// What a candidate must keep to.
    pub gates: Thresholds,
}

/// Settings of `static-int8`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticInt8Recipe {
    /// The file of the plan ([`crate::plan`]), beside the recipe.
    pub plan: String,
    /// A regular expression; convolutions whose name matches compute in float, whatever a plan says. Case is ignored.
    pub exclude: Option<String>,
    /// The shares of a channel's range that calibration tries, of which it takes the one with the least error, relative
    /// to how loud it is: above 0, and 1 among them, which clips nothing.
    pub clip_ratios: Vec<f32>,
    /// Convolutions whose input and output are far larger at both ends of a sentence than between; the first pattern that
    /// matches decides.
    #[serde(default)]
    pub edges: Vec<EdgesRecipe>,
    /// The largest level of a weight that is computed with: 127, or 64 for x86 without VNNI, where the sum of two
    /// products saturates in 16 bits.
    pub weight_levels: u8,
    /// How many levels a float has that a table is indexed by; left out, nothing is looked up.
    #[serde(default)]
    pub lookup_levels: Option<u16>,
    /// Weights that are only stored, with fewer elements, stay float.
    pub min_elements: usize,
    /// Weights that are only stored, and finer than INT8; the first pattern that matches decides.
    #[serde(default)]
    pub finer: Vec<FinerRecipe>,
    /// What a candidate must keep to.
    pub gates: Thresholds,
}

/// Convolutions that compute the ends of a sentence apart, with ranges of their own.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgesRecipe {
    /// A regular expression for the names of convolutions. Case is ignored.
    pub pattern: String,
    /// How many positions of the output an end has: what calibration leaves out at either side.
    pub positions: u16,
    /// How many times as far as between the ends the ranges reach there.
    pub times: f32,
}

/// Weights that are stored finer than INT8.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinerRecipe {
    /// A regular expression for the names of weights or of nodes that use them. Case is ignored.
    pub pattern: String,
    /// Bits of each: 8, 9, 10 or 12.
    pub bits: u32,
}

/// The thresholds of the gates for one scheme.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// The largest model file, in MiB (2²⁰ bytes).
    pub max_mib: f64,
    /// The most nodes of an operator that the file may have; an operator that is not named is free.
    pub max_nodes: BTreeMap<String, usize>,
    /// The most runs of an operator per call that a profile of the loaded model may show.
    pub max_executed: BTreeMap<String, usize>,
    /// The least speed relative to the base: median over sentences and runs of base time over candidate time.
    pub min_speed_ratio: f64,
    /// How far from the base it may be on held-out sentences, by the name of a metric of [`crate::fidelity`]; a
    /// metric that is not named is reported and not judged.
    pub fidelity: BTreeMap<String, Limits>,
}

/// The limits of one metric, in its own unit: the most, or the least where more is better.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// For the mean over the sentences.
    pub mean: Option<f64>,
    /// For the worst sentence.
    pub worst: Option<f64>,
}

/// How an artifact is prepared for a quick start.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareRecipe {
    /// The nodes that, with all they need, are loaded beside the others, as a regular expression of their names; without
    /// it the graph stays whole.
    pub first: Option<String>,
}

/// Where in the graph the model's predictions are, by the names of values, which are outputs of nodes: those of an imported
/// Kokoro, unless a recipe names others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeRecipe {
    /// Frames of each token, after rounding: float32 [1, tokens].
    pub durations: String,
    /// F0 in Hz: float32 [1, 1, 2 · frames].
    pub f0: String,
    /// Energy: float32 [1, 1, 2 · frames].
    pub energy: String,
}

impl Default for ProbeRecipe {
    fn default() -> Self {
        Self {
            durations: kokoro::DURATIONS.value.to_owned(),
            f0: kokoro::F0.value.to_owned(),
            energy: kokoro::ENERGY.value.to_owned(),
        }
    }
}

impl ProbeRecipe {
    /// Whether models are imported, so that these values and all modules are found by what they compute.
    pub fn is_by_structure(&self) -> bool {
        *self == Self::default()
    }
}

/// The models that rate speech as listeners would, by the names of their files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsmosRecipe {
    /// The model of DNSMOS P.835: it rates speech, background and both together.
    pub main: String,
    /// The model of DNSMOS as of ITU-T P.808: it rates the whole.
    pub p808: String,
}

/// A model that somebody else quantized.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContestantRecipe {
    /// What results call it.
    pub name: String,
    /// The file of the recipe that it is.
    pub file: String,
}

/// How the gates measure, whatever the scheme.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// The smoke gate.
    pub smoke: SmokeRecipe,
    /// The fidelity gate.
    pub fidelity: FidelityRecipe,
    /// The bench gate.
    pub bench: BenchRecipe,
}

/// How fidelity is measured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FidelityRecipe {
    /// Threads of the runtime.
    pub threads: usize,
}

/// What counts as speech.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmokeRecipe {
    /// The least root mean square of a sentence, relative to full scale.
    pub min_rms: f64,
    /// The largest share of samples at or beyond full scale.
    pub max_clipped: f64,
    /// The most samples in a row that are at or beyond full scale and all the same.
    pub max_at_rail: usize,
    /// The largest mean of the samples, relative to full scale.
    pub max_dc: f64,
    /// The least seconds of sound per phoneme at speed 1.
    pub min_seconds_per_phoneme: f64,
    /// The most seconds of sound per phoneme at speed 1, after one second for start and end.
    pub max_seconds_per_phoneme: f64,
    /// The speeds at which the sentences are spoken; a long one is spoken at its own speed only.
    pub speeds: Vec<f32>,
}

/// How the benchmark is run where everything is measured, and where a user waits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchRecipe {
    /// Runs of each sentence for each model.
    pub runs: usize,
    /// The most runs, where a ratio is undecided.
    pub most_runs: usize,
    /// Runs of the longest sentence before those that count.
    pub warm_up: usize,
    /// Threads of the runtime.
    pub threads: usize,
    /// What is said, and how often, where a user waits.
    pub short: ShortBenchRecipe,
}

/// The benchmark of a run that is to be short.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShortBenchRecipe {
    /// The held-out sentences.
    pub sentences: Vec<String>,
    /// Runs of each sentence for each model.
    pub runs: usize,
    /// The most runs, where a ratio is undecided.
    pub most_runs: usize,
}

impl BenchRecipe {
    /// The same, in exactly so many rounds whether the run is full or short.
    #[must_use]
    pub fn with_runs(mut self, runs: usize) -> Self {
        (self.runs, self.most_runs) = (runs, runs);
        (self.short.runs, self.short.most_runs) = (runs, runs);
        self
    }
}
