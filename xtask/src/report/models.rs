//! The models of a run side by side, whatever each of them is.

use std::collections::BTreeMap;

use crate::fidelity::Fidelity;
use crate::gates::{ExecutionProvider, Interval};
use crate::results::{
    CandidateResult, Contestant, GateResults, Measured, PrecisionResult, ProviderBenchmark,
    ProviderBenchmarks, Results,
};

/// What a model is in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Base,
    Chosen,
    Candidate,
    Contestant,
}

impl Role {
    /// The class that gives the model its colour.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Chosen => "chosen",
            Self::Candidate => "candidate",
            Self::Contestant => "contestant",
        }
    }
}

/// One model, with everything that a table or a plot shows of it.
pub(super) struct Model<'a> {
    pub(super) name: &'a str,
    pub(super) role: Role,
    pub(super) bytes: u64,
    pub(super) operators: BTreeMap<&'a str, usize>,
    pub(super) precisions: &'a BTreeMap<String, PrecisionResult>,
    pub(super) parts: &'a BTreeMap<String, BTreeMap<String, PrecisionResult>>,
    pub(super) measured: Option<&'a Measured>,
    pub(super) speed_ratio: Option<Interval>,
    pub(super) fidelity: Option<&'a Fidelity>,
    pub(super) gates: Option<&'a GateResults>,
}

impl Model<'_> {
    /// The size of the file in MiB.
    pub(super) fn mib(&self) -> f64 {
        mib(self.bytes as f64)
    }

    /// How many nodes the graph has.
    pub(super) fn nodes(&self) -> usize {
        self.operators.values().sum()
    }

    /// The mean of a metric over the held-out sentences.
    pub(super) fn mean(&self, metric: &str) -> Option<f64> {
        Some(self.fidelity?.metrics.get(metric)?.found.mean)
    }

    /// The worst sentence's value of a metric.
    pub(super) fn worst(&self, metric: &str) -> Option<f64> {
        Some(self.fidelity?.metrics.get(metric)?.found.worst)
    }
}

/// Bytes in MiB (2²⁰ bytes).
pub(super) fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

/// All models of a run that were opened: the base, the chosen candidate, the other candidates, the contestants.
pub(super) struct Models<'a>(Vec<Model<'a>>);

impl<'a> Models<'a> {
    pub(super) fn of(results: &'a Results) -> Self {
        let base = &results.base;
        let mut models = vec![Model {
            name: &base.name,
            role: Role::Base,
            bytes: base.bytes,
            operators: base.operators.iter().map(|(name, count)| (name.as_str(), *count)).collect(),
            precisions: &base.precisions,
            parts: &base.parts,
            measured: cpu(results.original_benchmark.as_ref()),
            speed_ratio: None,
            fidelity: None,
            gates: None,
        }];
        let is_chosen = |name: &String| Some(name) == results.chosen.as_ref();
        let chosen = results.candidates.iter().filter(|(name, _)| is_chosen(name));
        let others = results.candidates.iter().filter(|(name, _)| !is_chosen(name));
        models.extend(chosen.map(|(name, it)| candidate(name, Role::Chosen, it)));
        models.extend(others.map(|(name, it)| candidate(name, Role::Candidate, it)));
        models.extend(results.contestants.iter().filter_map(|(name, it)| contestant(name, it)));
        Self(models)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Model<'a>> {
        self.0.iter()
    }

    /// The float model.
    pub(super) fn base(&self) -> &Model<'a> {
        &self.0[0]
    }

    /// All but the base.
    pub(super) fn others(&self) -> impl ExactSizeIterator<Item = &Model<'a>> {
        self.0[1..].iter()
    }

    /// The candidate that builds embed.
    pub(super) fn chosen(&self) -> Option<&Model<'a>> {
        self.0.iter().find(|model| model.role == Role::Chosen)
    }
}

fn candidate<'a>(name: &'a str, role: Role, result: &'a CandidateResult) -> Model<'a> {
    let after = result.operators.iter().map(|(name, change)| (name.as_str(), change.after));
    Model {
        name,
        role,
        bytes: result.bytes,
        operators: after.collect(),
        precisions: &result.precisions,
        parts: &result.parts,
        measured: cpu(result.benchmark.as_ref()),
        speed_ratio: result.speed_ratio,
        fidelity: result.fidelity.as_ref(),
        gates: Some(&result.gates),
    }
}

fn contestant<'a>(name: &'a str, contestant: &'a Contestant) -> Option<Model<'a>> {
    let Contestant::Measured(result) = contestant else { return None };
    let after = result.operators.iter().map(|(name, change)| (name.as_str(), change.after));
    Some(Model {
        name,
        role: Role::Contestant,
        bytes: result.bytes,
        operators: after.collect(),
        precisions: &result.precisions,
        parts: &result.parts,
        measured: cpu(result.benchmark.as_ref()),
        speed_ratio: result.speed_ratio,
        fidelity: result.fidelity.as_ref(),
        gates: None,
    })
}

fn cpu(benchmarks: Option<&ProviderBenchmarks>) -> Option<&Measured> {
    match benchmarks?.providers.get(&ExecutionProvider::Cpu)? {
        ProviderBenchmark::Measured(measured) => Some(measured),
        ProviderBenchmark::Unavailable(_) => None,
    }
}
