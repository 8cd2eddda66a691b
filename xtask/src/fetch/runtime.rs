//! The ONNX Runtime library: the one that the user names, or the pinned one of this platform.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::archive::{bad_archive, tarball_members, wheel_member};
use super::cache::{Entry, Size};
use super::error::{FetchError, SourceError, WrongDigest};
use super::http::Standing;
use super::part::Part;
use super::tools::Tags;
use super::{Candidate, Fetched, Fetcher, Origin};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::recipe::{Archive, Platform, RuntimeRecipe, RuntimeSource, Wheel};

/// A library to load ONNX Runtime from.
#[derive(Debug, Clone, Serialize)]
pub struct RuntimeLibrary {
    /// Where it is.
    pub path: PathBuf,
    /// The version that the recipe pins; `None` for a library that the user named, until it is probed.
    pub version: Option<String>,
    /// The digest of the library.
    pub sha256: Digest,
    /// Where it is from.
    pub origin: Origin,
}

impl Fetcher {
    /// The library that `--onnxruntime` or `ORT_DYLIB_PATH` names, else the pinned one of this platform.
    /// Its version is not probed here.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the named library cannot be read or the platform has none pinned;
    /// [`Failure::Fetch`] over a [`FetchError`].
    pub fn onnxruntime(&self, recipe: &RuntimeRecipe) -> Result<RuntimeLibrary> {
        if let Some(path) = &self.options.onnxruntime {
            let sha256 = Digest::of_file(path)
                .context("the ONNX Runtime library of `--onnxruntime` or `ORT_DYLIB_PATH` cannot be read")
                .context(Failure::Usage)?;
            return Ok(RuntimeLibrary { path: path.clone(), version: None, sha256, origin: Origin::Given });
        }
        let Fetched { path, sha256, origin, .. } =
            self.obtain_library(recipe.here()?, &recipe.version).context(Failure::Fetch)?;
        Ok(RuntimeLibrary { path, version: Some(recipe.version.clone()), sha256, origin })
    }

    fn obtain_library(&self, platform: &Platform, version: &str) -> Result<Fetched, FetchError> {
        if let Some(held) = self.held_library(platform)? {
            return Ok(held);
        }
        let mut missing = Vec::new();
        let mut all_reasons = Vec::new();
        let mut rest = platform.sources.iter().peekable();
        while let Some(source) = rest.next() {
            let standing = if rest.peek().is_some() { Standing::Followed } else { Standing::Last };
            let outcome = match source {
                RuntimeSource::Archive(archive) => {
                    let candidate = Candidate::Https(archive.url.clone());
                    self.obtain(&self.archive_entry(archive), &[candidate], standing)
                        .and_then(|fetched| self.library_of_archive(archive, fetched))
                }
                RuntimeSource::Wheel(wheel) => {
                    let candidate = Candidate::Wheel { wheel, version };
                    self.obtain(&self.wheel_entry(wheel), &[candidate], standing)
                }
            };
            match outcome {
                Err(FetchError::Unavailable { reasons, .. }) => all_reasons.extend(reasons),
                Err(FetchError::Offline { missing: names, .. }) => missing.extend(names),
                outcome => return outcome,
            }
        }
        if missing.is_empty() {
            let name = format!("ONNX Runtime {version}");
            return Err(FetchError::Unavailable { name, reasons: all_reasons });
        }
        Err(self.offline(missing))
    }

    /// What an earlier run has brought from any of the sources, before any of them is asked.
    fn held_library(&self, platform: &Platform) -> Result<Option<Fetched>, FetchError> {
        for source in &platform.sources {
            let (entry, archive) = match source {
                RuntimeSource::Archive(archive) => (self.archive_entry(archive), Some(archive)),
                RuntimeSource::Wheel(wheel) => (self.wheel_entry(wheel), None),
            };
            if self.holds(&entry)? {
                let held = super::fetched(&entry, Origin::Cache);
                return match archive {
                    Some(archive) => self.library_of_archive(archive, held).map(Some),
                    None => Ok(Some(held)),
                };
            }
        }
        Ok(None)
    }

    pub(super) fn archive_entry(&self, archive: &Archive) -> Entry {
        self.cache.entry(archive.file_name(), archive.sha256, Size::AtMost(archive.at_most_bytes))
    }

    pub(super) fn wheel_entry(&self, wheel: &Wheel) -> Entry {
        let size = Size::Exactly(wheel.library_bytes);
        self.cache.entry(wheel.library_name(), wheel.library_sha256, size)
    }

    /// The library inside a verified archive, in the cache under a digest of its own.
    ///
    /// The archive is read anew each time, for only its digest is pinned: whatever lies in the cache as
    /// the library is used if it is what the archive holds, and replaced if it is not.
    fn library_of_archive(&self, archive: &Archive, fetched: Fetched) -> Result<Fetched, FetchError> {
        let failed = |error| FetchError::Source { from: archive.url.clone(), error };
        let bytes = library_bytes(archive, &fetched.path).map_err(failed)?;
        let size = Size::Exactly(bytes.len() as u64);
        let entry = self.cache.entry(archive.library_name(), Digest::of(&bytes), size);
        if !self.holds(&entry)? {
            let _lock = self.lock(&entry.sha256.to_string(), &entry.name)?;
            if !self.holds(&entry)? {
                let write = || {
                    let mut part = Part::create(&entry)?;
                    part.write(&bytes)?;
                    part.finish()
                };
                write().map_err(failed)?;
            }
        }
        Ok(super::fetched(&entry, fetched.origin))
    }

    /// Takes the library out of a wheel, both with their own digest.
    pub(super) fn bring_from_wheel(
        &self,
        wheel: &Wheel,
        version: &str,
        entry: &Entry,
    ) -> Result<(), SourceError> {
        let Wheel { package, python, abi, tag, .. } = wheel;
        let _busy = self
            .options
            .console
            .busy(&format!("`{}`: pip downloads `{package}` {version}, {}", entry.name, wheel.tag));
        let scratch = entry.scratch().map_err(SourceError::Local)?;
        let file =
            self.tools.pip_download(package, version, Some(Tags { python, abi, tag }), scratch.folder())?;
        let found = Digest::of_file(&file).map_err(SourceError::Local)?;
        if found != wheel.sha256 {
            let rejected = entry.rejected();
            fs_err::rename(&file, &rejected).map_err(SourceError::Local)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(Box::new(WrongDigest { name, expected: wheel.sha256, found, rejected }).into());
        }
        let mut part = Part::create(entry)?;
        wheel_member(&file, &wheel.member, &mut part)?;
        part.finish()
    }
}

/// The bytes of the library inside the archive at `path`.
fn library_bytes(archive: &Archive, path: &Path) -> Result<Vec<u8>, SourceError> {
    use std::io::Read as _;
    let mut library = None;
    tarball_members(path, |name, reader| {
        if name == archive.member {
            let mut bytes = Vec::new();
            let mut capped = reader.take(archive.at_most_bytes + 1);
            capped
                .read_to_end(&mut bytes)
                .map_err(|error| bad_archive(path, format!("`{name}`: {error}")))?;
            library = Some(bytes);
        }
        Ok(())
    })?;
    let limit = archive.at_most_bytes;
    match library {
        Some(bytes) if bytes.len() as u64 > limit => {
            Err(SourceError::TooLarge { limit, found: bytes.len() as u64, declared: false })
        }
        Some(bytes) => Ok(bytes),
        None => Err(bad_archive(path, format!("expected the member `{}`, found none", archive.member))),
    }
}
