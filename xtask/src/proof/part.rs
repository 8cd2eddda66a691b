//! What one full run says of one artifact, and the joining of many such parts.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

use super::{Proof, Proved, ProvedBase, VERSION};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::files::{read_json, write_json};
use crate::lock::{Lock, LockedArtifact, LockedBase};
use crate::results::{Contestant, CoremlResult, Results};

/// The proof of one artifact, with what a lock says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The version of the format, that of [`Proof`].
    pub version: u32,
    /// The version of the quantizer.
    pub tool: String,
    /// The digest of the recipe.
    pub recipe_sha256: Digest,
    /// The digest of the sentences.
    pub corpus_sha256: Digest,
    /// The base.
    pub base: PartOf,
    /// The scheme.
    pub scheme: String,
    /// What the lock is to have of the artifact.
    pub locked: LockedArtifact,
    /// What was measured of it.
    pub proved: Proved,
    /// Other quantizations that were measured in the same run.
    pub contestant: std::collections::BTreeMap<String, Contestant>,
}

/// The base that a part is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartOf {
    /// Its name.
    pub name: String,
    /// The digest of the float model.
    pub sha256: Digest,
    /// What CoreML is predicted to take of it.
    pub coreml: CoremlResult,
}

impl Part {
    /// What `results` of a full run say of the candidate of `scheme`, which `lock` is to have as `locked`; `None` where
    /// [`Proved::of`] is.
    pub fn of(results: &Results, scheme: &str, lock: &Lock, locked: LockedArtifact) -> Option<Self> {
        let proved = Proved::of(results, scheme)?;
        let contestant = results.clone().without_timings().contestants;
        let base = &results.base;
        Some(Self {
            version: VERSION,
            tool: lock.tool.clone(),
            recipe_sha256: lock.recipe,
            corpus_sha256: lock.corpus,
            base: PartOf {
                name: base.name.clone(),
                sha256: base.sha256,
                coreml: results.coreml.get(&base.name)?.clone(),
            },
            scheme: scheme.to_owned(),
            locked,
            proved,
            contestant,
        })
    }

    /// Reads a part.
    ///
    /// # Errors
    /// [`Failure::Usage`], naming the file: not there, or no part of a proof.
    pub fn read(path: &Path) -> Result<Self> {
        let part: Self = read_json(path).context(Failure::Usage)?;
        let (name, version) = (path.display(), part.version);
        ensure!(
            version == VERSION,
            anyhow!("`{name}`: `version`: expected {VERSION}, found {version}").context(Failure::Usage)
        );
        Ok(part)
    }

    /// Writes the part; it appears whole or not at all.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_json(path, self)
    }
}

/// Puts `parts` into `proof` and `lock`, in the place of what these have of the same artifacts.
///
/// # Errors
/// [`Failure::Gate`], naming the artifact: made of other inputs than `lock` has, or of another base than the other
/// parts, or a part whose two digests are not the same.
pub fn join(parts: impl IntoIterator<Item = Part>, proof: &mut Proof, lock: &mut Lock) -> Result<()> {
    for part in parts {
        let Part { tool, recipe_sha256, corpus_sha256, base, scheme, locked, proved, contestant, .. } = part;
        let named = format!("the proof of `{scheme}` of `{}`", base.name);
        let same = |what: &str, expected: String, found: String| {
            let differs = || anyhow!("{named}: `{what}`: expected {expected}, found {found}");
            if expected == found { Ok(()) } else { Err(differs().context(Failure::Gate)) }
        };
        same("tool", lock.tool.clone(), tool)?;
        same("recipe_sha256", lock.recipe.to_string(), recipe_sha256.to_string())?;
        same("corpus_sha256", lock.corpus.to_string(), corpus_sha256.to_string())?;
        same("proved.sha256", locked.sha256.to_string(), proved.sha256.to_string())?;

        let kept = lock.base.entry(base.name.clone());
        let kept = kept.or_insert_with(|| LockedBase { sha256: base.sha256, artifact: [].into() });
        same("base.sha256", kept.sha256.to_string(), base.sha256.to_string())?;
        kept.artifact.insert(scheme.clone(), locked);

        let known = proof.base.entry(base.name).or_insert_with(|| ProvedBase {
            sha256: base.sha256,
            coreml: base.coreml.clone(),
            artifact: [].into(),
            contestant: [].into(),
        });
        if known.sha256 != base.sha256 {
            // What was proved of another base of this name proves nothing now.
            *known = ProvedBase { artifact: [].into(), contestant: [].into(), ..known.clone() };
            known.sha256 = base.sha256;
        }
        known.coreml = base.coreml;
        known.artifact.insert(scheme, proved);
        known.contestant.extend(contestant);
    }
    Ok(())
}
