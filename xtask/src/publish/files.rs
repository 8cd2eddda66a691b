//! The files of a release: where they are here, what they must be there, and whether what came back is that.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Order;
use super::archive::Archive;
use super::github::Expected;
use crate::digest::Digest;

/// The files of the release here, and what they must be there.
pub(super) struct Files {
    pub(super) archive: PathBuf,
    /// To be written: the digest of the archive.
    pub(super) checksum: PathBuf,
    /// To be written.
    pub(super) notes: PathBuf,
    /// The folder for what comes back from the release.
    pub(super) downloaded: PathBuf,
    /// The folder for what comes back from a registry.
    pub(super) pulled: PathBuf,
    /// The archive and the file with its digest.
    pub(super) expected: [Expected; 2],
}

impl Files {
    pub(super) fn of(order: &Order, scratch: &Path) -> Self {
        let Archive { path, name, bytes, sha256, .. } = &order.archive;
        let checksum = order.archive.checksum();
        let digest = Expected {
            name: order.archive.checksum_name(),
            bytes: checksum.len() as u64,
            sha256: Digest::of(checksum.as_bytes()),
        };
        Self {
            archive: path.clone(),
            checksum: scratch.join(&digest.name),
            notes: scratch.join("notes.md"),
            downloaded: scratch.join("downloaded"),
            pulled: scratch.join("pulled"),
            expected: [Expected { name: name.clone(), bytes: *bytes, sha256: *sha256 }, digest],
        }
    }

    /// In the order of `expected`.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        [&*self.archive, &*self.checksum].into_iter()
    }
}

/// What was expected of a file and what was found.
#[derive(Debug)]
pub(super) struct OtherBytes(String);

impl fmt::Display for OtherBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the file that came back is the one that was sent.
pub(super) fn same_bytes(path: &Path, sha256: Digest, bytes: u64) -> Result<(), OtherBytes> {
    let found = Digest::of_file(path).map_err(|error| OtherBytes(error.to_string()))?;
    if found == sha256 {
        return Ok(());
    }
    let length = fs_err::metadata(path).map_or(0, |metadata| metadata.len());
    Err(OtherBytes(format!("expected {bytes} bytes, sha256 {sha256}, found {length} bytes, sha256 {found}")))
}
