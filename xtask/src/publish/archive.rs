//! The archive that is published: its digest, and what stands in its metadata.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, ensure};
use kokoro_model::{BaseKind, Metadata};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::names::is_plain;
use crate::digest::Digest;
use crate::failure::Failure;
use crate::gates::Report;
use crate::release::{GATES, SIGNATURE, Unpacked};

/// How the names of archives end.
pub const EXTENSION: &str = ".tar.zst";

/// No JSON file in an archive is nearly as large; a larger one is not read.
const LARGEST_JSON: usize = 16 << 20;

/// An archive that `cargo xtask package` wrote.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Where it is, an absolute path.
    pub path: PathBuf,
    /// Its file name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Digest,
    /// The metadata of the model inside.
    pub metadata: Metadata,
    /// What the gates said of it.
    pub gates: Gates,
    /// When the files inside are said to be from, in seconds since 1970: the time that the archive was made reproducible with.
    pub modified: u64,
    /// Whether a minisign signature is inside.
    pub is_signed: bool,
}

/// What the gates said, as far as the notes tell it.
#[derive(Debug, Clone, Deserialize)]
pub struct Gates {
    /// Operators and size.
    pub provider: Report,
    /// Speech.
    pub smoke: Report,
    /// Nearness to the base.
    pub fidelity: Report,
    /// Speed.
    pub bench_passed: bool,
}

impl Archive {
    /// Reads what an archive says of itself. Nothing is verified yet.
    ///
    /// # Errors
    /// [`Failure::Usage`] when there is no such file or its name would be changed on the way; [`Failure::Fetch`] when it is no
    /// archive of a model.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        let Some(stem) = name.strip_suffix(EXTENSION).filter(|_| is_plain(&name, "._-")) else {
            return Err(anyhow!(
                "`{}`: expected the name `<base>.<scheme>{EXTENSION}` of letters, digits, `.`, `_` and `-`",
                path.display()
            )
            .context(Failure::Usage));
        };
        let path = fs_err::canonicalize(path).context(Failure::Usage)?;
        let unpacked = Unpacked::of_archive(fs_err::File::open(&path)?)
            .with_context(|| format!("`{}` is no archive of a model", path.display()))
            .context(Failure::Fetch)?;
        let metadata = format!("{}.json", stem.strip_suffix(".unofficial").unwrap_or(stem));
        Ok(Self {
            bytes: fs_err::metadata(&path)?.len(),
            sha256: Digest::of_file(&path)?,
            metadata: read(&path, &unpacked, &metadata)?,
            gates: read(&path, &unpacked, GATES)?,
            modified: unpacked.time.unwrap_or_default(),
            is_signed: unpacked.files.contains_key(SIGNATURE),
            path,
            name,
        })
    }

    /// Whether the model is not one of a published, pinned base.
    pub fn is_unofficial(&self) -> bool {
        self.metadata.base.kind != BaseKind::Official || self.name.contains(".unofficial.")
    }

    /// The name of the file with the digest.
    pub(super) fn checksum_name(&self) -> String {
        format!("{}.sha256", self.name)
    }

    /// The file with the digest, as `sha256sum --check` takes it.
    pub(super) fn checksum(&self) -> String {
        format!("{}  {}\n", self.sha256, self.name)
    }
}

fn read<T: DeserializeOwned>(archive: &Path, unpacked: &Unpacked, name: &str) -> Result<T> {
    let text = unpacked.files.get(name).context("there is none");
    text.and_then(|text| {
        ensure!(text.len() <= LARGEST_JSON, "expected at most {LARGEST_JSON} bytes, found {}", text.len());
        Ok(serde_json::from_slice(text)?)
    })
    .with_context(|| format!("`{}`, `{name}` in it", archive.display()))
    .context(Failure::Fetch)
}
