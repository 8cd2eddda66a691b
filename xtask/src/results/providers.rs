//! Results on execution providers: the speed of a model on each, and the gates on those that a run asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{GateResults, Results, Unavailable};
use crate::digest::Digest;
use crate::fidelity::Fidelity;
use crate::gates::{Benchmark, ExecutionProvider, Interval, SentenceTime, Summary};

/// A model's speed by execution provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderBenchmarks {
    /// Every provider that people ask about.
    pub providers: BTreeMap<ExecutionProvider, ProviderBenchmark>,
}

/// A model's speed on one execution provider, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ProviderBenchmark {
    /// Measured here.
    Measured(Measured),
    /// Not measured.
    Unavailable(Unavailable),
}

/// A model's speed. The names of the times are those of the reference result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Always `true`.
    pub available: bool,
    /// The times of all calls.
    #[serde(flatten)]
    pub summary: Summary,
    /// Real-time factor.
    pub rtf: f64,
    /// How many calls were timed.
    pub runs: usize,
    /// Milliseconds from bytes to a session.
    pub load_ms: f64,
    /// Each sentence for itself.
    pub sentences: Vec<SentenceTime>,
}

/// What a run that asked for a provider found there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ProviderResult {
    /// The gates were run on it.
    Available(ProviderGates),
    /// It cannot be had here.
    Unavailable(Unavailable),
}

/// The gates on one provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderGates {
    /// Always `true`.
    pub available: bool,
    /// What it was: the provider of ONNX Runtime, and its device or attributes.
    pub setting: String,
    /// By model: the name of the base, or a scheme.
    pub models: BTreeMap<String, ProviderModel>,
}

/// The gates of one model on one provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderModel {
    /// The digest of its file.
    pub sha256: Digest,
    /// What the gates say. That on operators is of the file, and not asked again.
    pub gates: GateResults,
    /// How far it is from the base on the CPU; `None` if that was not measured.
    pub fidelity: Option<Fidelity>,
    /// Its speed; `None` if it was not timed.
    pub benchmark: Option<Measured>,
    /// How many times as fast as the base on the same provider.
    pub speed_ratio: Option<Interval>,
    /// How many times as fast as the base on the CPU, in the same rounds.
    pub over_cpu: Option<Interval>,
}

impl ProviderBenchmarks {
    /// What was measured on the CPU, and why the other providers were not.
    pub fn new(benchmark: &Benchmark) -> Self {
        let of = |provider: ExecutionProvider| match provider {
            ExecutionProvider::Cpu => ProviderBenchmark::Measured(Measured::of(benchmark)),
            _ => ProviderBenchmark::Unavailable(Unavailable::new(provider.without_asking())),
        };
        Self {
            providers: ExecutionProvider::ALL.into_iter().map(|provider| (provider, of(provider))).collect(),
        }
    }
}

impl Measured {
    /// What a benchmark says of a model.
    pub fn of(benchmark: &Benchmark) -> Self {
        Self {
            available: true,
            summary: benchmark.summary,
            rtf: benchmark.rtf,
            runs: benchmark.runs,
            load_ms: benchmark.load_ms,
            sentences: benchmark.sentences.clone(),
        }
    }
}

impl Unavailable {
    /// Something that there is none of, for this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { available: false, reason: reason.into() }
    }
}

impl ProviderModel {
    /// Why a gate refuses it, a line for each failed check; `name` is what the lines call it.
    pub fn failures(&self, name: &str) -> Vec<String> {
        self.gates.reports().flat_map(|report| report.failures(name)).collect()
    }
}

impl Results {
    /// Adds what a run found on a provider, also where the speed of each model on each provider is told.
    pub fn add_provider(&mut self, name: ExecutionProvider, found: ProviderResult) {
        let of_model = |model: &str| match &found {
            ProviderResult::Unavailable(why) => ProviderBenchmark::Unavailable(why.clone()),
            ProviderResult::Available(gates) => {
                match gates.models.get(model).and_then(|model| model.benchmark.clone()) {
                    Some(measured) => ProviderBenchmark::Measured(measured),
                    None => ProviderBenchmark::Unavailable(Unavailable::new("it was not timed there")),
                }
            }
        };
        let base = self.original_benchmark.iter_mut().map(|it| (self.base.name.as_str(), it));
        let candidates = self.candidates.iter_mut();
        let candidates =
            candidates.filter_map(|(scheme, it)| Some((scheme.as_str(), it.benchmark.as_mut()?)));
        for (model, benchmarks) in base.chain(candidates) {
            benchmarks.providers.insert(name, of_model(model));
        }
        self.providers.insert(name, found);
    }

    /// Lines for every gate that says no on a provider other than the CPU.
    pub fn provider_failures(&self) -> Vec<String> {
        let found = self.providers.iter().filter_map(|(name, found)| match found {
            ProviderResult::Available(gates) => Some((name, gates)),
            ProviderResult::Unavailable(_) => None,
        });
        found
            .flat_map(|(name, gates)| gates.models.iter().map(move |it| (name, it)))
            .flat_map(|(name, (model, found))| found.failures(&format!("{model}@{name}")))
            .collect()
    }
}
