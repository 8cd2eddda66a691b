//! The lock of a model: the digests of everything that decides an artifact's bytes, and of the artifacts.
//!
//! It is committed under `models/` and written by the tool. What the present run reads or makes is compared with it, so
//! nobody takes other bytes for the same release.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::failure::Failure;

/// The lock of a model, `models/<name>.lock.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The version of this format, 1.
    pub version: u32,
    /// The version of the quantizer, which has the digest of its sources in it.
    pub tool: String,
    /// The digest of the recipe.
    pub recipe: Digest,
    /// The digest of the committed plan.
    pub plan: Digest,
    /// The digest of the sentences.
    pub corpus: Digest,
    /// The digest of the wire schema of ONNX.
    pub proto: Digest,
    /// The library that prepares and judges.
    pub onnxruntime: LockedRuntime,
    /// The digest of each file and voice of the recipe, by name.
    pub sources: BTreeMap<String, Digest>,
    /// What is made of each base, by the base's name.
    pub base: BTreeMap<String, LockedBase>,
}

/// ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedRuntime {
    /// The version, such as `1.26.0`.
    pub version: String,
    /// The digest of its recipe, which pins the archives and libraries of every platform.
    pub recipe: Digest,
    /// The digest of the library, by platform, such as `linux-x86_64`, where it is pinned.
    pub library: BTreeMap<String, Digest>,
}

/// A base and the artifacts made from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedBase {
    /// The digest of the float model.
    pub sha256: Digest,
    /// The artifacts, by scheme.
    pub artifact: BTreeMap<String, LockedArtifact>,
}

/// An artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedArtifact {
    /// The digest of the `.onnx` file.
    pub sha256: Digest,
    /// Its size in bytes.
    pub bytes: u64,
    /// The digest of the `.prepared` file beside it.
    pub prepared: Digest,
    /// The digest of the metadata beside it.
    pub metadata: Digest,
}

impl Lock {
    /// Reads a lock.
    ///
    /// # Errors
    /// [`Failure::Usage`], naming the file and the place in it: no TOML, a key that is not known, one that lacks.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path)?;
        toml::from_str(&text)
            .map_err(|error| anyhow!("`{}`: {error}", path.display()))
            .context(Failure::Usage)
    }
}
