//! The proof of a lock: what the gates measured of exactly the artifacts that the lock has.
//!
//! It is committed beside the lock, `models/<name>.proof.json`, and written with it, by `quantize --update-lock` and
//! `prove --join` alone. An artifact that has the digest of the lock need not be listened to again: its fidelity is
//! *proved*, and told with the machine that measured it. The lock has the digest of the proof, so nobody edits one
//! without the other.
//!
//! A run of [`Scope::Full`](crate::judge::Scope) leaves a [`Part`] for each artifact that every gate let pass. Parts of
//! several machines are joined into one proof.
//!
//! Operators and fidelity are taken from it, because they depend on nothing but the bytes, the
//! version of ONNX Runtime and rounding. Smoke and bench depend on the machine and always run.
//! `linear-int8` is the exception: a proof speaks for it only on processors whose products of u8
//! and s8 saturate, or do not, as those of its own.

mod part;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

pub use self::part::{Part, PartOf, join};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::fidelity::Fidelity;
use crate::files::{read_json, write_json};
use crate::gates::{Bound, Check, Gate, Interval, Report};
use crate::lock::Lock;
use crate::results::{BenchmarkSetting, Contestant, CoremlResult, MeasuredOn, Results};

/// The version of the format.
pub const VERSION: u32 = 1;

/// What the gates measured of the artifacts of a lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The version of this format, 1.
    pub version: u32,
    /// The version of the quantizer that made the artifacts.
    pub tool: String,
    /// The digest of the recipe, which has the thresholds.
    pub recipe_sha256: Digest,
    /// The digest of the sentences.
    pub corpus_sha256: Digest,
    /// What is made of each base, by the base's name.
    pub base: BTreeMap<String, ProvedBase>,
}

/// A base and what was measured of what is made from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvedBase {
    /// The digest of the float model.
    pub sha256: Digest,
    /// What CoreML is predicted to take of it.
    pub coreml: CoremlResult,
    /// The artifacts, by scheme.
    pub artifact: BTreeMap<String, Proved>,
    /// Other quantizations of the same model, without what was timed.
    pub contestant: BTreeMap<String, Contestant>,
}

/// What was measured of an artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proved {
    /// The digest of the `.onnx` file.
    pub sha256: Digest,
    /// Where it was measured, and by which library.
    pub measured_on: MeasuredOn,
    /// Threads of each model while fidelity was measured.
    pub fidelity_threads: usize,
    /// How the benchmark was run.
    pub benchmark: BenchmarkSetting,
    /// How many times as fast as the base it was there.
    pub speed_ratio: Interval,
    /// Every check of every gate.
    pub gates: BTreeMap<Gate, Vec<ProvedCheck>>,
    /// How far it is from the base on all held-out sentences.
    pub fidelity: Fidelity,
    /// What CoreML is predicted to take of it.
    pub coreml: CoremlResult,
}

/// A check that passed, and how much room it left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvedCheck {
    /// What was measured.
    pub name: String,
    /// What was found.
    pub value: f64,
    /// What the recipe asks for.
    pub threshold: f64,
    /// The side of the threshold that is good.
    pub bound: Bound,
    /// The unit of the three numbers; empty for a ratio or a share.
    pub unit: String,
    /// How far the value is on the good side of the threshold, never negative.
    pub margin: f64,
    /// Where the value was found.
    pub detail: Option<String>,
}

impl Proof {
    /// A proof of nothing yet, for artifacts of these inputs.
    pub fn of(lock: &Lock) -> Self {
        Self {
            version: VERSION,
            tool: lock.tool.clone(),
            recipe_sha256: lock.recipe,
            corpus_sha256: lock.corpus,
            base: BTreeMap::new(),
        }
    }

    /// Reads the proof at `path` and holds it against `lock`: its digest, the inputs that both name, and that it has
    /// every artifact of the lock.
    ///
    /// # Errors
    /// [`Failure::Gate`], naming the file and what does not fit; [`Failure::Usage`] for a file that is no proof.
    pub fn read(path: &Path, lock: &Lock) -> Result<Option<Self>> {
        let shown = path.display();
        let Some(expected) = lock.proof else { return Ok(None) };
        let refused = |what: String| {
            anyhow!("`{shown}` is not the proof of the lock: {what}\n{WRITES}").context(Failure::Gate)
        };
        if !path.exists() {
            return Err(refused(format!("expected sha256 {expected}, found no file")));
        }
        let found = Digest::of_file(path).context(Failure::Usage)?;
        if found != expected {
            return Err(refused(format!("expected sha256 {expected}, found {found}")));
        }
        let proof: Self = read_json(path)?;
        proof.fits(lock).map_err(|error| refused(format!("{error:#}")))?;
        Ok(Some(proof))
    }

    fn fits(&self, lock: &Lock) -> Result<()> {
        ensure!(self.version == VERSION, "`version`: expected {VERSION}, found {}", self.version);
        for (key, expected, found) in [
            ("tool", lock.tool.clone(), self.tool.clone()),
            ("recipe_sha256", lock.recipe.to_string(), self.recipe_sha256.to_string()),
            ("corpus_sha256", lock.corpus.to_string(), self.corpus_sha256.to_string()),
        ] {
            ensure!(expected == found, "`{key}`: expected {expected}, found {found}");
        }
        for (name, base) in &lock.base {
            for (scheme, artifact) in &base.artifact {
                let found = self.find(name, base.sha256, scheme);
                let found = found.with_context(|| format!("it has no `{scheme}` of `{name}`"))?;
                let key = format!("base.{name}.artifact.{scheme}.sha256");
                let (expected, found) = (artifact.sha256, found.sha256);
                ensure!(expected == found, "`{key}`: expected {expected}, found {found}");
            }
        }
        Ok(())
    }

    /// What was measured of the artifact that `scheme` makes of this base.
    pub fn find(&self, base: &str, sha256: Digest, scheme: &str) -> Option<&Proved> {
        self.base.get(base).filter(|base| base.sha256 == sha256)?.artifact.get(scheme)
    }

    /// Writes the proof, which appears whole or not at all, and returns its digest.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, path: &Path) -> Result<Digest> {
        write_json(path, self)?;
        Ok(Digest::of_file(path)?)
    }
}

const WRITES: &str = "hint: `cargo xtask quantize --update-lock` measures again and writes both; to undo an edit, \
                      `git checkout` the file";

impl Proved {
    /// What `results` of a full run say of the candidate of `scheme`; `None` unless each gate was run in it and let the
    /// candidate pass.
    pub fn of(results: &Results, scheme: &str) -> Option<Self> {
        let candidate = results.candidates.get(scheme).filter(|it| it.gates.all_passed())?;
        if !results.full || candidate.proved.is_some() {
            return None;
        }
        let gates = candidate.gates.reports().map(|report| {
            let checks = report.checks.iter().map(ProvedCheck::of).collect();
            (report.gate, checks)
        });
        Some(Self {
            sha256: candidate.sha256,
            measured_on: MeasuredOn {
                host: results.host.clone(),
                onnxruntime: results.runtime.version.clone(),
                onnxruntime_sha256: results.runtime.sha256,
            },
            fidelity_threads: results.fidelity_threads?,
            benchmark: results.benchmark.clone()?,
            speed_ratio: candidate.speed_ratio?,
            gates: gates.collect(),
            fidelity: candidate.fidelity.clone()?,
            coreml: results.coreml.get(scheme)?.clone(),
        })
    }

    /// What `gate` said.
    pub fn report(&self, gate: Gate) -> Option<Report> {
        let checks = self.gates.get(&gate)?.iter().map(ProvedCheck::check).collect();
        Some(Report::new(gate, checks))
    }
}

impl ProvedCheck {
    fn of(check: &Check) -> Self {
        let Check { name, value, threshold, bound, unit, detail, .. } = check;
        let margin = match bound {
            Bound::AtMost => threshold - value,
            Bound::AtLeast => value - threshold,
        };
        Self {
            name: name.clone(),
            value: *value,
            threshold: *threshold,
            bound: *bound,
            unit: unit.to_string(),
            margin,
            detail: detail.clone(),
        }
    }

    /// The check, judged anew.
    fn check(&self) -> Check {
        let Self { name, value, threshold, bound, unit, detail, .. } = self;
        let check = Check::new(name.clone(), *value, *threshold, *bound, unit.clone());
        Check { detail: detail.clone(), ..check }
    }
}

#[cfg(test)]
mod tests;
