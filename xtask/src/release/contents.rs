//! What goes into a release, and the one file that it becomes.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use serde::Serialize;

use super::archive::{self, Body, Entry};
use super::bom::{self, Files};
use super::builder::Builder;
use super::checksums::Checksums;
use super::judgement::Judgement;
use super::nominee::Nominee;
use super::{provenance, signature::Signer, standing};
use crate::artifacts::PREPARED;
use crate::digest::Digest;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::files::write_atomically;
use crate::report;
use crate::workspace::{MODEL, Workspace};

/// The schema of the metadata, as it is committed.
const SCHEMA: &str = include_str!("../../../schemas/metadata.schema.json");

/// How many sentences go along as WAV files, of the artifact and of its base: the first of the corpus, as the fidelity
/// gate heard them.
const RECORDINGS: usize = 3;

/// Texts of the checkout that go along as they are.
const LICENCES: [&str; 3] = ["LICENSE-APACHE", "LICENSE-MIT", "NOTICE"];

/// An archive that was written.
#[derive(Debug, Clone, Serialize)]
pub struct Package {
    /// Where it is.
    pub path: PathBuf,
    /// Its digest.
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
    /// How many files are in it.
    pub files: usize,
    /// Whether `SHA256SUMS` is signed.
    pub signed: bool,
    /// Why it is not an official release.
    pub unofficial: Option<&'static str>,
}

/// Writes the release of `nominee` into `folder`, one file that appears there when it is whole.
///
/// # Errors
/// [`Failure::Gate`] for a base that is not the published float model, unless `allow_unofficial`, and for one off the grid; the disk's, and a file
/// that changed since it was checked.
pub fn package(
    nominee: &Nominee,
    workspace: &Workspace,
    signer: Option<&Signer>,
    allow_unofficial: bool,
    folder: &Path,
) -> Result<Package> {
    let base = &nominee.artifact.metadata.base.name;
    if *base == nominee.recipe.base.offgrid.name {
        return Err(anyhow!("`{base}` is to judge by, and nothing that is made of it is released\nhint: `cargo xtask quantize` \
                            makes the artifact of another base")
        .context(Failure::Gate));
    }
    let unofficial = nominee.artifact.unofficial();
    if let Some(why) = unofficial.filter(|_| !allow_unofficial) {
        return Err(anyhow!(
            "`{}` is not to be released: {}\nhint: `--allow-unofficial` packs it all the same, and marks it as unofficial",
            nominee.artifact.metadata.name,
            why.trim_end_matches('.')
        )
        .context(Failure::Gate));
    }
    let metadata = &nominee.artifact.metadata;
    let name = standing::name(&metadata.base.name, &metadata.scheme, metadata.base.kind);
    let time = time(workspace.environment())?;
    let entries = sealed(entries(nominee, workspace)?, unofficial, signer, &name);

    let path = folder.join(format!("{name}.{}", super::EXTENSION));
    write_atomically(&path, |file| archive::write(file, &name, &entries, time))
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(Package {
        sha256: Digest::of_file(&path)?,
        bytes: fs_err::metadata(&path)?.len(),
        files: entries.len(),
        signed: signer.is_some(),
        unofficial,
        path,
    })
}

/// `SOURCE_DATE_EPOCH`, or a day of our own: never the clock.
fn time(environment: &Environment) -> Result<u64> {
    let Some(value) = &environment.source_date_epoch else { return Ok(archive::EPOCH) };
    // The octal field of a `ustar` header has eleven digits.
    let seconds = value.to_str().and_then(|text| text.parse().ok()).filter(|it| *it < 1 << 33);
    seconds
        .with_context(|| {
            format!("`SOURCE_DATE_EPOCH`: expected seconds since 1970, found `{}`", value.display())
        })
        .context(Failure::Usage)
}

/// Adds digests of all, and their signature.
fn sealed(
    mut entries: Vec<Entry>,
    unofficial: Option<&str>,
    signer: Option<&Signer>,
    name: &str,
) -> Vec<Entry> {
    let digests = entries.iter().map(|entry| (entry.path.clone(), entry.body.sha256()));
    let checksums =
        Checksums { digests: digests.collect(), unofficial: unofficial.map(str::to_owned) }.text();
    if let Some(signer) = signer {
        entries.push(bytes(super::SIGNATURE, signer.sign(checksums.as_bytes(), name)));
    }
    entries.push(bytes(super::CHECKSUMS, checksums));
    entries
}

fn entries(nominee: &Nominee, workspace: &Workspace) -> Result<Vec<Entry>> {
    let metadata = &nominee.artifact.metadata;
    let stem = metadata.name.strip_suffix(".onnx").unwrap_or(&metadata.name);
    let (size, prepared) = nominee.prepared;
    let files = Files { model: nominee.sha256, prepared, metadata: Digest::of(&nominee.metadata) };
    let judgement = Judgement::of(nominee)?;
    let builder = Builder::here(workspace.environment().github.as_ref());
    let lock_sha256 = Digest::of(&nominee.lock_bytes);
    let statement = provenance::statement(metadata, files, &nominee.lock, lock_sha256, &builder);
    let results = nominee.results.clone().without_timings();
    let page = report::of_release(&results, nominee.artifact.unofficial(), &nominee.audio)
        .context("the report cannot be made")?;

    let mut entries = vec![
        file(&metadata.name, &nominee.artifact.path, metadata.bytes, nominee.sha256),
        file(&format!("{stem}.{PREPARED}"), &nominee.artifact.path.with_extension(PREPARED), size, prepared),
        bytes(&format!("{stem}.json"), nominee.metadata.clone()),
        json(super::CHOSEN, &nominee.chosen)?,
        bytes(super::SCHEMA, SCHEMA),
        json(super::GATES, &judgement)?,
        json(super::BOM, &bom::bom(metadata, files, &judgement, &nominee.recipe)?)?,
        json(super::PROVENANCE, &statement)?,
        bytes(super::REPORT, page),
        bytes(&in_models(&format!("{MODEL}.lock.toml")), nominee.lock_bytes.clone()),
    ];
    entries.extend(nominee.models.iter().map(|(name, text)| bytes(&in_models(name), text.clone())));
    for name in LICENCES {
        entries.push(bytes(name, fs_err::read(workspace.root().join(name))?));
    }
    if let Some(why) = nominee.artifact.unofficial() {
        entries.push(bytes(super::UNOFFICIAL, standing::note(why)));
    }
    entries.extend(recordings(nominee)?);
    Ok(entries)
}

fn in_models(name: &str) -> String {
    format!("{}/{name}", super::MODELS)
}

/// The first sentences of the run, as the base and the artifact say them.
fn recordings(nominee: &Nominee) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for sentence in nominee.results.sentences.iter().take(RECORDINGS) {
        for model in [&*nominee.artifact.metadata.scheme, &*nominee.artifact.metadata.base.name] {
            let name = format!("{model}-{}.wav", sentence.id);
            let sound = fs_err::read(nominee.audio.join(&name));
            let sound = sound
                .context("hint: `cargo xtask quantize --force` records again")
                .context(Failure::Usage)?;
            entries.push(bytes(&format!("{}/{name}", super::AUDIO), sound));
        }
    }
    Ok(entries)
}

fn bytes(path: &str, bytes: impl Into<Vec<u8>>) -> Entry {
    Entry { path: path.to_owned(), body: Body::Bytes(bytes.into()) }
}

fn file(name: &str, path: &Path, bytes: u64, sha256: Digest) -> Entry {
    Entry { path: name.to_owned(), body: Body::File { path: path.to_path_buf(), bytes, sha256 } }
}

/// A JSON file, indented, with a line feed at its end.
fn json(path: &str, value: &impl Serialize) -> Result<Entry> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(bytes(path, text))
}
