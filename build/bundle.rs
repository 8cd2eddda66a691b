//! Finds the pinned ONNX Runtime library in the cache, checks it, and compresses it.
//!
//! It is compressed in C here and unpacked in Rust, so that what ships has no C that parses bytes.
//! Unpacking takes 0.2 s, once.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::digest;
use super::runtime::{Pinned, platform};
use super::settings::{Settings, Source};

/// Build scripts are compiled without optimization, and the C code of the compressor with them. For the 23 MB of
/// Linux x86-64, level 9 takes 3.5 s and gives 7.4 MB; level 3 takes 1.3 s for 8.1 MB, level 19 41 s for 6.6 MB.
const LEVEL: i32 = 9;

/// A library, compressed.
#[derive(Debug)]
pub struct Bundle {
    /// The compressed file in `OUT_DIR`, named by the digest of what it unpacks to.
    pub compressed: PathBuf,
    /// The library itself, for `cargo::rerun-if-changed`.
    pub library: PathBuf,
}

/// Why there is nothing to bundle. Its text is the one message a user sees.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong, in one line.
    pub reason: String,
    /// The digest of the library that was wanted, once it is known.
    pub sha256: Option<String>,
    /// The file looked for.
    pub looked_in: Option<PathBuf>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no ONNX Runtime library to bundle: {}", self.reason)?;
        if let Some(sha256) = &self.sha256 {
            writeln!(f, "digest: `{sha256}`")?;
        }
        if let Some(path) = &self.looked_in {
            writeln!(f, "looked in: `{}`", path.display())?;
        }
        write!(
            f,
            "hint: `cargo xtask fetch onnxruntime` brings the library of this machine into the cache; "
        )?;
        write!(f, "`KOKORO_MODEL_CACHE` names another cache; without feature `bundle-runtime` none is needed")
    }
}

impl std::error::Error for Failure {}

/// The library that is pinned for the target; `None` if the settings ask for nothing to be embedded.
///
/// # Errors
/// The one message that tells what was looked for, where, and what to do.
pub fn resolve(pinned: Option<&Pinned>, settings: &Settings) -> Result<Option<Bundle>, Failure> {
    if settings.source == Source::Nothing {
        return Ok(None);
    }
    let mut failure = Failure::default();
    let found = match pinned {
        Some(pinned) => find(pinned, settings, &mut failure),
        None => Err(format!("none is pinned for `{}`", platform(&settings.target))),
    };
    found.map(Some).map_err(|reason| Failure { reason, ..failure })
}

fn find(pinned: &Pinned, settings: &Settings, failure: &mut Failure) -> Result<Bundle, String> {
    let Pinned { name, sha256, bytes, .. } = pinned;
    failure.sha256 = Some(sha256.clone());
    let cache = settings.cache.as_ref().ok_or("there is no home folder, and so no cache")?;
    let library = cache.join(sha256).join(name);
    failure.looked_in = Some(library.clone());
    let found = match fs_err::metadata(&library) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(format!("`{name}` is missing")),
        found => found.map_err(|error| error.to_string())?.len(),
    };
    if found != *bytes {
        return Err(format!("`{}` has {found} bytes, expected {bytes}", library.display()));
    }
    let compressed = settings.out.join(format!("{sha256}.zst"));
    // It is named by the digest, and the digest is checked again when it is unpacked: it need not be made anew.
    if !compressed.is_file() {
        let made = compress(&library, &compressed, pinned, settings);
        if made.is_err() {
            // The reason matters more than a part file in a folder that is Cargo's to clean.
            let _ = fs_err::remove_file(part(settings));
        }
        made?;
    }
    Ok(Bundle { compressed, library })
}

/// Compresses a copy whose digest was checked, so that a file that changes meanwhile is caught.
fn compress(library: &Path, compressed: &Path, pinned: &Pinned, settings: &Settings) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let part = part(settings);
    fs_err::copy(library, &part).map_err(text)?;
    let found = digest::of_file(&part, settings).map_err(text)?;
    if found != pinned.sha256 {
        let (library, expected) = (library.display(), &pinned.sha256);
        return Err(format!("`{library}` has the digest `{found}`, expected `{expected}`"));
    }
    let bytes = fs_err::read(&part).map_err(text)?;
    let packed = zstd::bulk::compress(&bytes, LEVEL).map_err(text)?;
    fs_err::write(&part, packed).map_err(text)?;
    fs_err::rename(&part, compressed).map_err(text)
}

/// Not `unchecked.part`: that is the model's.
fn part(settings: &Settings) -> PathBuf {
    settings.out.join("unchecked.library")
}
