//! `artifacts/quantization_comparison_results.json`: what a run of the main job measured. A run of single gates replaces what
//! these say and nothing else ([`Results::keep`]).
//!
//! The names of the reference result are kept, so that the two can be laid side by side. Megabytes there are MiB
//! (2²⁰ bytes): its 310.5 → 275.5 are 325,532,387 → 288,828,647 bytes.
//!
//! Invariant: nothing of this file goes into a hashed one, for it holds timings, the machine and paths of chance.

mod contestant;
mod coreml;
mod earlier;
mod providers;
mod timeless;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::Result;
use kokoro_model::{BaseKind, Chosen, ChosenFor};
use quantizer::census::Stored;
use serde::{Deserialize, Serialize};

pub use self::contestant::{Contestant, ContestantResult};
pub use self::coreml::{CoremlResult, Taken};
pub use self::providers::{
    Measured, ProviderBenchmark, ProviderBenchmarks, ProviderGates, ProviderModel, ProviderResult,
};
use crate::choice::Choice;
use crate::corpus::{Language, Sentence};
use crate::digest::Digest;
use crate::fidelity::Fidelity;
use crate::files::{read_json, write_json};
use crate::gates::{Benchmark, ExecutionProvider, Gate, Interval, Report, Spoken, Subject};
use crate::host::Host;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// The size of the base in MiB.
    pub original_model_mb: f64,
    /// The size of the chosen candidate in MiB; `None` if none was chosen.
    pub quant_model_mb: Option<f64>,
    /// How much smaller the chosen candidate is than the base.
    pub size_reduction_percent: Option<f64>,
    /// The speed of the base; `None` if the bench gate was not run.
    pub original_benchmark: Option<ProviderBenchmarks>,
    /// The speed of the chosen candidate; `None` if none was chosen or the bench gate was not run.
    pub quant_benchmark: Option<ProviderBenchmarks>,
    /// The scheme of the chosen candidate.
    pub chosen: Option<String>,
    /// What is chosen for each execution provider, of the candidates of this run; `cpu` is `chosen`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub chosen_for: BTreeMap<ExecutionProvider, Choice>,
    /// The model that everything is relative to.
    pub base: BaseResult,
    /// What was made of the base, by scheme.
    pub candidates: BTreeMap<String, CandidateResult>,
    /// Other quantizations of the base, by the name that the recipe gives them: shown beside the candidates, judged by
    /// nothing.
    pub contestants: BTreeMap<String, Contestant>,
    /// What was found on the execution providers beside the CPU's that the run asked for; not written where it asked for none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<ExecutionProvider, ProviderResult>,
    /// What CoreML would take of the base and of each candidate, by their names: predicted by the graph alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub coreml: BTreeMap<String, CoremlResult>,
    /// The sentences of which `audio/` has what each model said, in the order of the corpus.
    pub sentences: Vec<SentenceText>,
    /// How the benchmark was run; `None` if it was not.
    pub benchmark: Option<BenchmarkSetting>,
    /// Whether all of it was measured in this run: on all held-out sentences, and the contestants too.
    #[serde(default)]
    pub full: bool,
    /// Threads of each model while fidelity was measured here; `None` if it was not.
    #[serde(default)]
    pub fidelity_threads: Option<usize>,
    /// The machine.
    pub host: Host,
    /// The library that ran the models.
    pub runtime: RuntimeResult,
    /// The digest of the sentences.
    pub corpus_sha256: Digest,
    /// The digest of the recipe.
    pub recipe_sha256: Digest,
}

/// How the benchmark was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchmarkSetting {
    /// Threads of each model; 0 is the runtime's own choice.
    pub threads: usize,
    /// Rounds before those that count.
    pub warm_up: usize,
    /// Rounds that count.
    pub rounds: usize,
}

/// Why a provider or a contestant was not measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unavailable {
    /// Always `false`.
    pub available: bool,
    /// Why.
    pub reason: String,
}

/// The model that everything is relative to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseResult {
    /// Its name.
    pub name: String,
    /// The digest of its file.
    pub sha256: Digest,
    /// The size of its file.
    pub bytes: u64,
    /// Who vouches for it.
    pub kind: BaseKind,
    /// Nodes per operator.
    pub operators: BTreeMap<String, usize>,
    /// Initializers per element type.
    pub precisions: BTreeMap<String, PrecisionResult>,
    /// The same for each part of the model.
    pub parts: BTreeMap<String, BTreeMap<String, PrecisionResult>>,
}

/// What one scheme made of the base, and what the gates say of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandidateResult {
    /// The name of its file.
    pub file: String,
    /// The digest of its file.
    pub sha256: Digest,
    /// The size of its file.
    pub bytes: u64,
    /// The same in MiB.
    pub mib: f64,
    /// How much smaller it is than the base.
    pub size_reduction_percent: f64,
    /// Nodes per operator, before and after.
    pub operators: BTreeMap<String, OperatorChange>,
    /// Initializers per element type.
    pub precisions: BTreeMap<String, PrecisionResult>,
    /// The same for each part of the model.
    pub parts: BTreeMap<String, BTreeMap<String, PrecisionResult>>,
    /// What the gates say.
    pub gates: GateResults,
    /// How far it is from the base on the held-out sentences; `None` if the fidelity gate was not run.
    pub fidelity: Option<Fidelity>,
    /// Its speed; `None` if the bench gate was not run.
    pub benchmark: Option<ProviderBenchmarks>,
    /// How many times as fast as the base, with the confidence interval of the median.
    pub speed_ratio: Option<Interval>,
    /// Where the figures of the provider and the fidelity gate were measured, if they are those of the committed proof;
    /// `None` if they were measured here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved: Option<MeasuredOn>,
}

/// The machine and the library that a proof was measured with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredOn {
    /// The machine.
    pub host: Host,
    /// The version of ONNX Runtime.
    pub onnxruntime: String,
    /// The digest of the library.
    pub onnxruntime_sha256: Digest,
}

impl fmt::Display for MeasuredOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, ONNX Runtime {}", self.host, self.onnxruntime)
    }
}

/// A sentence that the models said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentenceText {
    /// The id of the sentence.
    pub id: String,
    /// What it is spoken in.
    pub language: Language,
    /// The name of the voice.
    pub voice: String,
    /// The speed it is spoken at; 1 is the voice's own.
    pub speed: f32,
    /// The sentence as it is written.
    pub text: String,
}

/// How many nodes of an operator the base and a candidate have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorChange {
    /// In the base.
    pub before: usize,
    /// In the candidate.
    pub after: usize,
}

/// Initializers of one element type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrecisionResult {
    /// How many.
    pub tensors: usize,
    /// Their payload.
    pub bytes: usize,
}

/// What each gate says of a candidate; `None` for a gate that was not run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateResults {
    /// Operators and size.
    pub provider: Option<Report>,
    /// Speech.
    pub smoke: Option<Report>,
    /// Nearness to the base.
    pub fidelity: Option<Report>,
    /// Speed.
    pub bench: Option<Report>,
    /// What the smoke gate heard.
    pub spoken: Vec<Spoken>,
}

impl GateResults {
    /// The reports of the gates that were run.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        [&self.provider, &self.smoke, &self.fidelity, &self.bench].into_iter().flatten()
    }

    /// Whether every required gate was run, and every gate that was run said yes.
    pub fn all_passed(&self) -> bool {
        let was_run = |gate| self.reports().any(|report| report.gate == gate);
        Gate::REQUIRED.into_iter().all(was_run) && self.reports().all(|report| report.pass)
    }
}

/// The library that ran the models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeResult {
    /// Its version, as it says itself.
    pub version: String,
    /// The digest of the library.
    pub sha256: Digest,
    /// Where it is from.
    pub origin: String,
}

impl Results {
    /// Reads the file of an earlier run.
    ///
    /// # Errors
    /// The file cannot be read, or is of another version.
    pub fn read(path: &Path) -> Result<Self> {
        read_json(path)
    }

    /// Writes the file, which appears under its name only when it is whole.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_json(path, self)
    }

    /// Tells which of its candidates `chosen` names, and for what.
    pub fn tell(&mut self, chosen: &Chosen) {
        let of = |sha256: &str| {
            let is_it = |(_, it): &(&String, &CandidateResult)| it.sha256.to_string() == sha256;
            self.candidates.iter().find(is_it).map(|(scheme, _)| scheme.clone())
        };
        let choice = |(provider, entry): (&String, &ChosenFor)| {
            let provider = ExecutionProvider::ALL.into_iter().find(|it| it.as_str() == provider)?;
            Some((provider, Choice { scheme: of(&entry.sha256)?, evidence: entry.evidence }))
        };
        let chosen_for = chosen.providers.iter().filter_map(choice).collect();
        let scheme = of(&chosen.sha256);
        self.chosen_for = chosen_for;
        self.choose(scheme.as_deref());
    }

    /// The candidates by where their operators and fidelity were measured, where that is elsewhere.
    pub fn proved(&self) -> Vec<(&MeasuredOn, Vec<&str>)> {
        let mut groups: Vec<(&MeasuredOn, Vec<&str>)> = Vec::new();
        for (scheme, candidate) in &self.candidates {
            let Some(measured_on) = &candidate.proved else { continue };
            match groups.iter_mut().find(|(known, _)| *known == measured_on) {
                Some((_, schemes)) => schemes.push(scheme),
                None => groups.push((measured_on, vec![scheme])),
            }
        }
        groups
    }

    /// Makes the candidate of `scheme` the chosen one, and fills in the fields of the reference result from it.
    /// A scheme without candidate, or `None`, leaves them empty.
    pub fn choose(&mut self, scheme: Option<&str>) {
        let chosen = scheme.and_then(|scheme| self.candidates.get_key_value(scheme));
        self.quant_model_mb = chosen.map(|(_, candidate)| candidate.mib);
        self.size_reduction_percent = chosen.map(|(_, candidate)| candidate.size_reduction_percent);
        self.quant_benchmark = chosen.and_then(|(_, candidate)| candidate.benchmark.clone());
        self.chosen = chosen.map(|(scheme, _)| scheme.clone());
    }
}

impl BaseResult {
    /// What `subject`, the base, says of itself.
    pub fn new(subject: &Subject, kind: BaseKind) -> Self {
        Self {
            name: subject.name.clone(),
            sha256: subject.sha256,
            bytes: subject.bytes,
            kind,
            operators: subject.operators.clone(),
            precisions: precisions(&subject.precisions),
            parts: parts(subject),
        }
    }
}

impl CandidateResult {
    /// What `candidate`, whose file is called `file`, is beside `base`; `fidelity` and `benchmark` are the candidate's.
    pub fn new(
        file: String,
        base: &Subject,
        candidate: &Subject,
        gates: GateResults,
        fidelity: Option<Fidelity>,
        benchmark: Option<&Benchmark>,
    ) -> Self {
        Self {
            file,
            sha256: candidate.sha256,
            bytes: candidate.bytes,
            mib: candidate.mib(),
            size_reduction_percent: 100.0 * (1.0 - candidate.bytes as f64 / base.bytes as f64),
            operators: changes(&base.operators, &candidate.operators),
            precisions: precisions(&candidate.precisions),
            parts: parts(candidate),
            gates,
            fidelity,
            benchmark: benchmark.map(ProviderBenchmarks::new),
            speed_ratio: benchmark.and_then(|benchmark| benchmark.speed_ratio),
            proved: None,
        }
    }
}

impl SentenceText {
    /// What a report needs of a sentence.
    pub fn of(sentence: &Sentence) -> Self {
        let Sentence { id, language, voice, speed, text, .. } = sentence;
        Self { id: id.clone(), language: *language, voice: voice.clone(), speed: *speed, text: text.clone() }
    }
}

fn changes(
    before: &BTreeMap<String, usize>,
    after: &BTreeMap<String, usize>,
) -> BTreeMap<String, OperatorChange> {
    let count = |counts: &BTreeMap<String, usize>, name: &str| counts.get(name).copied().unwrap_or(0);
    let change = |name: &String| OperatorChange { before: count(before, name), after: count(after, name) };
    before.keys().chain(after.keys()).map(|name| (name.clone(), change(name))).collect()
}

fn precisions(stored: &BTreeMap<String, Stored>) -> BTreeMap<String, PrecisionResult> {
    let of = |stored: &Stored| PrecisionResult { tensors: stored.tensors, bytes: stored.bytes };
    stored.iter().map(|(name, stored)| (name.clone(), of(stored))).collect()
}

fn parts(subject: &Subject) -> BTreeMap<String, BTreeMap<String, PrecisionResult>> {
    subject.parts.iter().map(|(part, stored)| (part.clone(), precisions(stored))).collect()
}

#[cfg(test)]
pub(crate) mod tests;
