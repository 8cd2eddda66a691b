//! The recipe of the ONNX Runtime library, `models/onnxruntime.toml`: one pinned library per platform.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, anyhow};
use serde::Deserialize;

use super::load;
use crate::digest::Digest;
use crate::failure::Failure;

/// Where the ONNX Runtime library can be had.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeRecipe {
    /// The version of every library below.
    pub version: String,
    /// An SPDX expression.
    pub licence: String,
    /// Who made it.
    pub attribution: String,
    /// By platform, such as `linux-x86_64`: the system and the processor as Rust calls them.
    #[serde(rename = "platform")]
    pub platforms: BTreeMap<String, Platform>,
}

/// The library of one platform.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// Where it can be had, in the order to try.
    #[serde(rename = "source")]
    pub sources: Vec<RuntimeSource>,
}

/// One place where the library can be had.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeSource {
    /// A member of a release archive.
    Archive(Archive),
    /// A member of a pip wheel.
    Wheel(Wheel),
}

/// A release archive, a gzipped tarball. Its own digest pins the library inside.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// The archive's address.
    pub url: String,
    /// The archive's digest.
    pub sha256: Digest,
    /// A bound on the size of the archive and, unpacked, of the library.
    pub at_most_bytes: u64,
    /// The library's path inside.
    pub member: String,
}

/// The wheel of a pip package, for one Python and one platform, whichever Python runs here.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// The package's name; its version is the recipe's.
    pub package: String,
    /// The Python version to ask for, such as `3.12`.
    pub python: String,
    /// The Python ABI to ask for, such as `cp312`.
    pub abi: String,
    /// The platform tag to ask for.
    pub tag: String,
    /// The wheel's digest.
    pub sha256: Digest,
    /// The library's path inside.
    pub member: String,
    /// The exact size of the library.
    pub library_bytes: u64,
    /// The digest of the library.
    pub library_sha256: Digest,
}

impl RuntimeRecipe {
    /// Reads and checks the recipe.
    ///
    /// # Errors
    /// [`Failure::Usage`], naming the file and the key.
    pub fn load(path: &Path) -> Result<Self> {
        Ok(load::<Self>(path, Self::check)?.0)
    }

    /// The library of the machine that this program was built for.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the recipe has none for it.
    pub fn here(&self) -> Result<&Platform> {
        let name = platform_here();
        self.platforms.get(&name).ok_or_else(|| {
            anyhow!(
                "ONNX Runtime {} is not pinned for `{name}`\nhint: name a library of your own with \
                 `--onnxruntime PATH` or `ORT_DYLIB_PATH`",
                self.version
            )
            .context(Failure::Usage)
        })
    }
}

/// What the recipe calls the machine that this program was built for, such as `linux-x86_64`.
pub fn platform_here() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

impl Archive {
    /// The last part of the address.
    pub fn file_name(&self) -> &str {
        last_part(&self.url)
    }

    /// The library's name without its folder.
    pub fn library_name(&self) -> &str {
        last_part(&self.member)
    }
}

impl Wheel {
    /// The library's name without its folder.
    pub fn library_name(&self) -> &str {
        last_part(&self.member)
    }
}

pub(super) fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
