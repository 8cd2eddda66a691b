//! The lock of a model: the digests of everything that decides an artifact's bytes, and of the artifacts.
//!
//! It is committed under `models/` and written by the tool. What the present run reads or makes is compared with it, so
//! nobody takes other bytes for the same release.

mod guard;
mod inputs;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

pub use self::guard::{Guard, Mode};
use crate::artifacts::Artifact;
use crate::digest::Digest;
use crate::failure::Failure;
use crate::files::write_atomically;

/// The version of the format.
pub const VERSION: u32 = 1;

/// How a lock begins.
const HEADER: &str = "\
# What decides the bytes of the artifacts, and the artifacts themselves, all by SHA-256.
#
# Written by `cargo xtask quantize --update-lock`, which replaces the file as a whole. `cargo xtask quantize` says no where
# something is not as it stands here; `cargo xtask verify` makes the artifacts anew and compares.
";

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
    /// The digest of the proof, `models/<name>.proof.json`; `None` before anything is made of these inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Digest>,
    /// The library that prepares and judges.
    pub onnxruntime: LockedRuntime,
    /// The digest of each file and voice of the recipe, by the file's name.
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

/// Something that is not as the lock has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What.
    pub what: String,
    /// Digest or version in the lock.
    pub locked: String,
    /// Digest or version now.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, locked, found } = self;
        write!(f, "  {what}\n    lock  {locked}\n    found {found}")
    }
}

impl Lock {
    /// Reads a lock.
    ///
    /// # Errors
    /// [`Failure::Usage`], naming the file and the place in it: not there, no TOML, a key that is not known, one that
    /// lacks, another version of the format.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path).context(Failure::Usage)?;
        let read = || {
            let lock: Self = toml::from_str(&text)?;
            ensure!(lock.version == VERSION, "`version`: expected {VERSION}, found {}", lock.version);
            Ok(lock)
        };
        read()
            .map_err(|error: anyhow::Error| anyhow!("`{}`: {error}", path.display()))
            .context(Failure::Usage)
    }

    /// Reads the lock, if there is one.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub fn find(path: &Path) -> Result<Option<Self>> {
        path.exists().then(|| Self::read(path)).transpose()
    }

    /// Writes the lock; it appears whole or not at all.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = format!("{HEADER}{}", toml::to_string(self)?);
        write_atomically(path, |file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write `{}`", path.display()))
    }
}

impl LockedArtifact {
    /// What a lock says of `artifact`.
    ///
    /// # Errors
    /// Its metadata cannot be read, or knows of no `.prepared` file.
    pub fn of(artifact: &Artifact) -> Result<Self> {
        let Artifact { metadata, path } = artifact;
        let prepared = metadata.prepared.as_ref();
        let prepared = prepared.with_context(|| format!("`{}` is not prepared", metadata.name))?;
        Ok(Self {
            sha256: artifact.sha256()?,
            bytes: metadata.bytes,
            prepared: prepared.sha256.parse()?,
            metadata: Digest::of_file(&path.with_extension("json"))?,
        })
    }
}

#[cfg(test)]
mod tests;
