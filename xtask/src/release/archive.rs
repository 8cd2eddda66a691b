//! The archive: a tar file of sorted entries, compressed, the same bytes wherever it is made.
//!
//! Each header is that of `ustar` with owner 0, one mode and one time, so it follows from path and size. zstd at one level
//! in one thread gives the same bytes on any machine; the library is pinned by `Cargo.lock`.
//!
//! What changes the archive beside the artifacts is the key, the time (`SOURCE_DATE_EPOCH`, or
//! 1980-01-01) and, on GitHub Actions, workflow and commit, which the provenance names. zlib-rs was
//! tried: what it writes depends on the processor.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use tar::{EntryType, Header};

use crate::digest::{Digest, Hasher};

/// How much zstd tries. INT8 weights are nearly noise: of the 85.9 MB of `static-int8`, level 3 leaves 68.2 MB in 0.4 s,
/// level 6 67.7 MB in 1.0 s, level 9 67.4 MB in 2.8 s and level 12 67.2 MB in 6 s.
pub(super) const LEVEL: i32 = 6;

/// 1980-01-01, the first day that every archive format can name: the time of all files if `SOURCE_DATE_EPOCH` is not set.
pub(super) const EPOCH: u64 = 315_532_800;

/// Bytes of a header, and what contents are padded to.
pub(super) const BLOCK: usize = 512;

/// A file of a release.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The path below the folder of the release, with `/` between folders.
    pub(super) path: String,
    /// What is in it.
    pub(super) body: Body,
}

/// What is in a file.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The bytes of a file that was verified; they are verified again when they are copied.
    File {
        /// Where it is.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// Its digest.
        sha256: Digest,
    },
}

impl Body {
    /// The digest.
    pub(super) fn sha256(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes),
            Self::File { sha256, .. } => *sha256,
        }
    }

    /// The size.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { bytes, .. } => *bytes,
        }
    }
}

/// The header of a file: a function of these three.
///
/// # Errors
/// A path that `ustar` cannot hold.
pub(super) fn header(path: &str, bytes: u64, time: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(time);
    header.set_size(bytes);
    header.set_cksum();
    Ok(header)
}

/// Writes the archive of `entries` below the folder `top`, sorted by path, all with the time `time`.
///
/// Takes a few megabytes of memory, whatever the size of the files.
///
/// # Errors
/// Those of `output`; a path that is too long; a file that is no longer what it was.
pub(super) fn write(output: impl Write, top: &str, entries: &[Entry], time: u64) -> io::Result<()> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut encoder = zstd::Encoder::new(output, LEVEL)?;
    encoder.include_checksum(true)?;
    let mut archive = tar::Builder::new(encoder);
    for Entry { path, body } in sorted {
        let header = header(&format!("{top}/{path}"), body.len(), time)?;
        match body {
            Body::Bytes(bytes) => archive.append(&header, &bytes[..])?,
            Body::File { path, bytes, sha256 } => {
                let mut reader =
                    Hashed { file: fs_err::File::open(path)?.take(*bytes), hasher: Hasher::default() };
                archive.append(&header, &mut reader)?;
                let found = reader.hasher.digest();
                if found != *sha256 {
                    return Err(io::Error::other(format!(
                        "`{}` changed while it was packed: expected sha256 {sha256}, found {found}",
                        path.display()
                    )));
                }
            }
        }
    }
    archive.into_inner()?.finish()?.flush()
}

/// A file that is hashed while it is read.
struct Hashed<R> {
    file: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
