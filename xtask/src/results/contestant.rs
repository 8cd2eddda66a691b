//! Results of models that somebody else quantized.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{OperatorChange, PrecisionResult, ProviderBenchmarks, Unavailable, changes, parts, precisions};
use crate::digest::Digest;
use crate::fidelity::Fidelity;
use crate::gates::{Benchmark, Interval, Subject};

/// What was measured of a model that somebody else quantized, or why nothing was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Contestant {
    /// It was opened.
    Measured(Box<ContestantResult>),
    /// It could not be had, or is no model that can be measured.
    Unavailable(Unavailable),
}

/// What was measured of a model that somebody else quantized.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContestantResult {
    /// Always `true`.
    pub available: bool,
    /// The name of its file.
    pub file: String,
    /// The digest of its file.
    pub sha256: Digest,
    /// The size of its file.
    pub bytes: u64,
    /// The same in MiB.
    pub mib: f64,
    /// Nodes per operator, before and after.
    pub operators: BTreeMap<String, OperatorChange>,
    /// Initializers per element type.
    pub precisions: BTreeMap<String, PrecisionResult>,
    /// The same for each part of the model.
    pub parts: BTreeMap<String, BTreeMap<String, PrecisionResult>>,
    /// How far it is from the base on the held-out sentences; `None` if that was not measured.
    pub fidelity: Option<Fidelity>,
    /// Its speed; `None` if that was not measured.
    pub benchmark: Option<ProviderBenchmarks>,
    /// How many times as fast as the base, with the confidence interval of the median.
    pub speed_ratio: Option<Interval>,
    /// What could not be measured of it, and why.
    pub notes: Vec<String>,
}

impl ContestantResult {
    /// What `contestant`, whose file is called `file`, is beside `base`; `fidelity` and `benchmark` are the
    /// contestant's, and `notes` say what is missing.
    pub fn new(
        file: String,
        base: &Subject,
        contestant: &Subject,
        fidelity: Option<Fidelity>,
        benchmark: Option<&Benchmark>,
        notes: Vec<String>,
    ) -> Self {
        Self {
            available: true,
            file,
            sha256: contestant.sha256,
            bytes: contestant.bytes,
            mib: contestant.mib(),
            operators: changes(&base.operators, &contestant.operators),
            precisions: precisions(&contestant.precisions),
            parts: parts(contestant),
            fidelity,
            benchmark: benchmark.map(ProviderBenchmarks::new),
            speed_ratio: benchmark.and_then(|benchmark| benchmark.speed_ratio),
            notes,
        }
    }
}
