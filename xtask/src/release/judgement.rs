//! `gates.json`: what the gates said of the released artifact, without anything timed and without the machine.
//!
//! What is measured may differ in its last digits between processors, so this holds what was found, not what must be found.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::nominee::Nominee;
use crate::digest::Digest;
use crate::fidelity::Fidelity;
use crate::gates::{Report, Spoken};

/// The version of the file.
pub(super) const VERSION: u32 = 1;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Judgement {
    /// [`VERSION`].
    pub(super) version: u32,
    /// Why the release is not an official one.
    pub(super) unofficial: Option<String>,
    /// The file that was judged.
    pub(super) artifact: Judged,
    /// The float model that it was measured against.
    pub(super) base: Judged,
    /// The library that ran both.
    pub(super) onnxruntime: Judged,
    /// The digest of the sentences.
    pub(super) corpus: Digest,
    /// The digest of the recipe, which has the thresholds.
    pub(super) recipe: Digest,
    /// Nodes of the artifact per operator.
    pub(super) operators: BTreeMap<String, usize>,
    /// The provider gate: operators and size.
    pub(super) provider: Report,
    /// The smoke gate: speech.
    pub(super) smoke: Report,
    /// What the smoke gate heard.
    pub(super) spoken: Vec<Spoken>,
    /// The fidelity gate: nearness to the base.
    pub(super) fidelity: Report,
    /// What the fidelity gate measured.
    pub(super) measured: Fidelity,
    /// Whether the bench gate passed. Its numbers are of one machine and stay there.
    pub(super) bench_passed: bool,
}

/// A file, or a library by its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Judged {
    pub(super) name: String,
    pub(super) sha256: Digest,
}

impl Judgement {
    /// What the gates said of the artifact.
    ///
    /// # Errors
    /// A gate was not run.
    pub(super) fn of(nominee: &Nominee) -> Result<Self> {
        let results = &nominee.results;
        let candidate = nominee.candidate()?;
        let gates = &candidate.gates;
        let operators = candidate.operators.iter().filter(|(_, change)| change.after > 0);
        Ok(Self {
            version: VERSION,
            unofficial: nominee.artifact.unofficial().map(str::to_owned),
            artifact: Judged { name: candidate.file.clone(), sha256: candidate.sha256 },
            base: Judged { name: results.base.name.clone(), sha256: results.base.sha256 },
            onnxruntime: Judged { name: results.runtime.version.clone(), sha256: results.runtime.sha256 },
            corpus: results.corpus_sha256,
            recipe: results.recipe_sha256,
            operators: operators.map(|(name, change)| (name.clone(), change.after)).collect(),
            provider: gates.provider.clone().context("the provider gate was not run")?,
            smoke: gates.smoke.clone().context("the smoke gate was not run")?,
            spoken: gates.spoken.clone(),
            fidelity: gates.fidelity.clone().context("the fidelity gate was not run")?,
            measured: candidate.fidelity.clone().context("the fidelity gate was not run")?,
            bench_passed: gates.bench.as_ref().context("the bench gate was not run")?.pass,
        })
    }
}
