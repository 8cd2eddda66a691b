//! What a release says of itself, held against its bytes: `SHA256SUMS`, `chosen.json`, and the metadata of its model.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use kokoro_model::{Chosen, Metadata};
use serde::de::DeserializeOwned;

use super::super::archive::bad_archive;
use super::super::error::SourceError;
use crate::artifacts::PREPARED;
use crate::digest::Digest;
use crate::release::{CHECKSUMS, CHOSEN, Checksums, Unpacked};

/// A bound on the files that are parsed: choice and metadata have a few thousand bytes.
const MOST_TEXT: usize = 1 << 20;

/// A release of one model whose files fit each other.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) metadata: Metadata,
    /// The digest of the file that has them, by which a build pins all.
    pub(super) metadata_sha256: Digest,
    /// The files that a build needs, the metadata last.
    pub(super) files: Vec<ReleasedFile>,
}

/// A file of a release, and the digest that its bytes must have.
#[derive(Debug)]
pub(super) struct ReleasedFile {
    pub(super) name: String,
    pub(super) sha256: Digest,
    pub(super) bytes: Bytes,
}

impl Release {
    /// Reads an archive: every file is hashed.
    pub(super) fn of_archive(archive: &Path) -> Result<Self, SourceError> {
        let file = fs_err::File::open(archive).map_err(SourceError::Local)?;
        blaming(archive, Unpacked::of_archive(file).and_then(|unpacked| Self::of(&unpacked)))
    }

    /// Hashes every file of a folder that an archive was unpacked to.
    pub(super) fn of_folder(folder: &Path) -> Result<Self, SourceError> {
        blaming(folder, Unpacked::of_folder(folder).and_then(|unpacked| Self::of(&unpacked)))
    }

    /// An `.onnx` file with its `.json` beside it, which alone tells its digest if `pinned` does not.
    pub(super) fn of_model(model: &Path, pinned: Option<Digest>) -> Result<Self, SourceError> {
        let read = |path: &Path| fs_err::read(path).map(Bytes::from).map_err(SourceError::Local);
        let beside = model.with_extension("json");
        let bytes = read(&beside)?;
        let shown = beside.display().to_string();
        let metadata: Metadata = blaming(model, parse(&shown, &bytes))?;
        if let Some(pinned) = pinned
            && metadata.sha256 != pinned.to_string()
        {
            let problem = format!("expected the digest `{pinned}`, found `{}` in `{shown}`", metadata.sha256);
            return Err(bad_archive(model, problem));
        }
        let prepared = model.with_extension(PREPARED);
        let prepared = metadata.prepared.as_ref().map(|_| read(&prepared)).transpose()?;
        blaming(model, Self::described(metadata, bytes, read(model)?, prepared))
    }

    /// Holds the files against what `SHA256SUMS` lists, and takes what `chosen.json` names.
    fn of(unpacked: &Unpacked) -> Result<Self> {
        let file = |name: &str| {
            let bytes = unpacked.files.get(name);
            bytes.cloned().with_context(|| format!("expected `{name}`, found none"))
        };
        let checksums = Checksums::parse(&file(CHECKSUMS)?).context(format!("`{CHECKSUMS}`"))?;
        for (path, check, outcome) in checksums.compare(&unpacked.files) {
            outcome.with_context(|| format!("`{path}`: {check}"))?;
        }
        // All digests in `checksums` are those of the bytes from here on.
        let has = |name: &str, sha256: &str| {
            let found = checksums.digests.get(name).with_context(|| format!("`{name}` is not listed"))?;
            let found = found.to_string();
            ensure!(
                found == sha256,
                "wrong digest of `{name}`\n  expected sha256 {sha256}\n  found    sha256 {found}"
            );
            Ok(())
        };

        let chosen: Chosen = parse(CHOSEN, &file(CHOSEN)?)?;
        let beside = file(&chosen.metadata)?;
        has(&chosen.metadata, &chosen.metadata_sha256)?;
        let metadata: Metadata = parse(&chosen.metadata, &beside)?;
        ensure!(
            metadata.name == chosen.file && metadata.sha256 == chosen.sha256,
            "`{CHOSEN}` names `{}` with the digest `{}`, but `{}` names `{}` with `{}`",
            chosen.file,
            chosen.sha256,
            chosen.metadata,
            metadata.name,
            metadata.sha256
        );
        let stem = chosen.file.strip_suffix(".onnx").unwrap_or(&chosen.file);
        let prepared = metadata.prepared.as_ref().map(|_| file(&format!("{stem}.{PREPARED}"))).transpose()?;
        let release = Self::described(metadata, beside, file(&chosen.file)?, prepared)?;
        for ReleasedFile { name, sha256, .. } in &release.files {
            has(name, &sha256.to_string())?;
        }
        Ok(release)
    }

    /// The files of `metadata`, which `beside` has, with their names and digests and of their sizes.
    fn described(metadata: Metadata, beside: Bytes, model: Bytes, prepared: Option<Bytes>) -> Result<Self> {
        // Builds look all of them up by the name in the metadata.
        let stem = metadata.name.strip_suffix(".onnx").filter(|_| is_plain(&metadata.name));
        let stem =
            stem.with_context(|| format!("expected a plain `.onnx` name, found `{}`", metadata.name))?;
        let described = |extension: &str, sha256: &str, size: u64, bytes: Bytes| {
            let name = format!("{stem}.{extension}");
            let found = bytes.len();
            ensure!(found as u64 == size, "`{name}` has {found} bytes, expected {size} by its metadata");
            let sha256 = sha256.parse().with_context(|| format!("the metadata's digest of `{name}`"))?;
            Ok(ReleasedFile { name, sha256, bytes })
        };
        let mut files = vec![described("onnx", &metadata.sha256, metadata.bytes, model)?];
        if let (Some(it), Some(bytes)) = (&metadata.prepared, prepared) {
            files.push(described(PREPARED, &it.sha256, it.bytes, bytes)?);
        }
        let metadata_sha256 = Digest::of(&beside);
        files.push(ReleasedFile { name: format!("{stem}.json"), sha256: metadata_sha256, bytes: beside });
        Ok(Self { metadata, metadata_sha256, files })
    }
}

/// Lays what is wrong to `archive`, or to what stands in its place.
fn blaming<T>(archive: &Path, result: Result<T>) -> Result<T, SourceError> {
    result.map_err(|error| bad_archive(archive, format!("{error:#}")))
}

fn is_plain(name: &str) -> bool {
    Path::new(name).file_name() == Some(name.as_ref())
}

fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    let found = bytes.len();
    ensure!(found <= MOST_TEXT, "`{name}`: expected at most {MOST_TEXT} bytes, found {found}");
    serde_json::from_slice(bytes).with_context(|| format!("`{name}`"))
}
