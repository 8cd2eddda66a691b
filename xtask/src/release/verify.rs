//! What a downloaded release is worth. Nothing in it is trusted, and nothing of it is used before its digest is checked.
//!
//! A signature proves who made `SHA256SUMS`, and `SHA256SUMS` that no file changed since. The rest proves what a signature
//! cannot: that the documents are of this model, and that the model is what they say.

mod documents;
mod findings;
mod locks;
mod model;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use kokoro_model::{Chosen, Metadata};
use serde::Serialize;

use self::findings::Findings;
pub use self::findings::{Finding, Outcome};
use super::bom::Files;
use super::checksums::Checksums;
use super::unpacked::Unpacked;
use super::{signature, standing};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::gates::{Report, Subject};
use crate::lock::Lock;

/// Has a model speak, and judges the sound.
pub type Smoke<'a> = &'a dyn Fn(&Subject) -> Result<Report>;

/// What a release is held against.
#[derive(Clone, Copy, Default)]
pub struct Against<'a> {
    /// The public key that must have signed it.
    pub key: Option<&'a Path>,
    /// The lock of this checkout.
    pub lock: Option<&'a Lock>,
    /// What has the model speak; without it, it does not.
    pub smoke: Option<Smoke<'a>>,
}

/// What was found of a release.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// What was looked at.
    pub path: PathBuf,
    /// Whether nothing said no.
    pub verified: bool,
    /// Why it is not an official release.
    pub unofficial: Option<&'static str>,
    /// Every check, in the order they were made.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// This verdict as a result.
    ///
    /// # Errors
    /// [`Failure::Fetch`] with a line for each check that said no.
    pub fn into_result(self) -> Result<()> {
        if self.verified {
            return Ok(());
        }
        let no = self.findings.iter().filter(|finding| finding.outcome == Outcome::No);
        let lines: Vec<String> = no.map(Finding::told).collect();
        Err(anyhow!(lines.join("\n")).context(Failure::Fetch))
    }
}

/// Looks at `path`: an archive, the folder that one was unpacked to, or an `.onnx` file with its metadata beside it.
///
/// # Errors
/// [`Failure::Usage`] if there is nothing, or no public key in the file of the key; the disk's. What is wrong with the
/// release is no error but a finding.
pub fn verify(path: &Path, against: Against<'_>) -> Result<Verdict> {
    let kind = fs_err::metadata(path).context(Failure::Usage)?;
    let mut findings = Findings::default();
    let looked_at = if !kind.is_dir() && path.extension().is_some_and(|it| it == "onnx") {
        alone(path, &mut findings)?
    } else {
        let shown = path.display().to_string();
        let unpacked = if kind.is_dir() {
            Unpacked::of_folder(path)
        } else {
            fs_err::File::open(path).map_err(anyhow::Error::from).and_then(Unpacked::of_archive)
        };
        match unpacked {
            Err(error) => {
                findings.judge(&shown, "is a release", Err(error));
                None
            }
            Ok(unpacked) => {
                let bytes: usize = unpacked.files.values().map(Bytes::len).sum();
                let (count, mib) = (unpacked.files.len(), bytes as f64 / f64::from(1 << 20));
                findings.judge(&shown, "is a release", Ok(format!("{count} files, {mib:.1} MiB")));
                whole(&unpacked, !kind.is_dir(), against, &mut findings)?
            }
        }
    };
    let unofficial = looked_at.as_ref().and_then(|it| standing::unofficial(it.metadata.base.kind));
    match (looked_at, against.smoke) {
        (Some(it), Some(smoke)) if findings.none_said_no() => speaks(&it, smoke, &mut findings)?,
        (Some(it), None) => findings.skip(&it.name, "speaks", "not asked for"),
        (Some(it), Some(_)) => findings.skip(&it.name, "speaks", "something said no before"),
        (None, _) => {}
    }
    let findings = findings.all();
    let verified = findings.iter().all(|finding| finding.outcome != Outcome::No);
    Ok(Verdict { path: path.to_path_buf(), verified, unofficial, findings })
}

/// The artifact of a release.
struct Released {
    name: String,
    model: Bytes,
    prepared: Option<Bytes>,
    metadata: Metadata,
}

/// A model without a release around it.
fn alone(path: &Path, findings: &mut Findings) -> Result<Option<Released>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let json = path.with_extension("json");
    let beside = json.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !json.exists() {
        findings.judge(&beside, "is metadata", Err(anyhow!("there is none beside `{name}`")));
        return Ok(None);
    }
    let read = |path: &Path| Ok::<_, anyhow::Error>(Bytes::from(fs_err::read(path)?));
    let prepared = path.with_extension(crate::artifacts::PREPARED);
    let prepared = prepared.exists().then(|| read(&prepared)).transpose()?;
    let parts =
        model::Parts { name, metadata_name: beside, model: read(path)?, metadata: read(&json)?, prepared };
    Ok(model::is_described(parts, findings).map(|(released, _)| released))
}

/// A release with everything in it.
fn whole(
    unpacked: &Unpacked,
    is_archive: bool,
    against: Against<'_>,
    findings: &mut Findings,
) -> Result<Option<Released>> {
    let Some(checksums) = checksums(unpacked, findings) else { return Ok(None) };
    let signed = signed(unpacked, against.key, findings)?;
    if !findings.none_said_no() {
        findings.skip(super::CHOSEN, "everything else", "nothing is used whose digest is not right");
        return Ok(None);
    }
    let Some(chosen) = findings.read::<Chosen>(super::CHOSEN, unpacked.files.get(super::CHOSEN)) else {
        return Ok(None);
    };
    let Some(parts) = model::Parts::of(unpacked, &chosen, findings) else { return Ok(None) };
    let files = Files {
        model: Digest::of(&parts.model),
        prepared: Digest::of(parts.prepared.as_deref().unwrap_or_default()),
        metadata: Digest::of(&parts.metadata),
    };
    let Some((released, operators)) = model::is_described(parts, findings) else { return Ok(None) };
    let metadata = &released.metadata;
    let digests = [(&chosen.sha256, files.model), (&chosen.metadata_sha256, files.metadata)];
    for (said, found) in digests {
        findings.equal(super::CHOSEN, "sha256", &found.to_string(), said);
    }
    for (provider, entry) in &chosen.providers {
        findings.equal(super::CHOSEN, &format!("the artifact for {provider}"), &chosen.sha256, &entry.sha256);
        let what = format!("the metadata for {provider}");
        findings.equal(super::CHOSEN, &what, &chosen.metadata_sha256, &entry.metadata_sha256);
    }

    let unofficial = standing::unofficial(metadata.base.kind);
    let name = standing::name(&metadata.base.name, &metadata.scheme, metadata.base.kind);
    if is_archive {
        findings.equal(&unpacked.top, "the folder's name", &name, &unpacked.top);
    }
    if let Some(signed) = signed {
        findings.equal(super::SIGNATURE, "the release that is signed", &name, &signed);
    }
    documents::marks(unpacked, &checksums, unofficial, findings);
    let about = documents::About { unpacked, metadata, files, operators: &operators, unofficial };
    documents::check(about, findings);
    locks::check(about, against.lock, findings);
    Ok(Some(released))
}

/// Every file has the digest that `SHA256SUMS` says, and none is missing there or here.
fn checksums(unpacked: &Unpacked, findings: &mut Findings) -> Option<Checksums> {
    let name = super::CHECKSUMS;
    let parsed = match unpacked.files.get(name) {
        Some(bytes) => Checksums::parse(bytes),
        None => Err(anyhow!("it is missing")),
    };
    let checksums = match parsed {
        Ok(checksums) => checksums,
        Err(error) => {
            findings.judge(name, "lists every file", Err(error));
            return None;
        }
    };
    for (path, check, outcome) in checksums.compare(&unpacked.files) {
        findings.keep(path, check, outcome);
    }
    Some(checksums)
}

/// The release that the signature says it is of, where there is one.
fn signed(unpacked: &Unpacked, key: Option<&Path>, findings: &mut Findings) -> Result<Option<String>> {
    let name = super::SIGNATURE;
    let checksums = unpacked.files.get(super::CHECKSUMS).map(|bytes| &bytes[..]).unwrap_or_default();
    match (unpacked.files.get(name), key) {
        (Some(signature), Some(key)) => {
            let checked = signature::check(signature, checksums, key)?;
            Ok(findings.keep(name, &format!("is signed by `{}`", key.display()), checked))
        }
        (Some(signature), None) => {
            let signed = signature::signed(signature);
            if let Err(error) = signed {
                findings.judge(name, "is a signature", Err(error));
                return Ok(None);
            }
            findings.skip(name, "is signed", "not checked; `--key` names the public key");
            Ok(signed.ok())
        }
        (None, Some(_)) => {
            findings.judge(name, "is signed", Err(anyhow!("it is missing")));
            Ok(None)
        }
        (None, None) => {
            findings.skip(name, "is signed", "there is no signature");
            Ok(None)
        }
    }
}

fn speaks(it: &Released, smoke: Smoke<'_>, findings: &mut Findings) -> Result<()> {
    let subject = Subject::new(&*it.metadata.scheme, it.model.clone(), Some(&it.metadata))?;
    let report = smoke(&Subject { prepared: it.prepared.clone(), ..subject })?;
    let failures = report.failures(&it.name);
    let outcome = if failures.is_empty() {
        Ok(format!("{} checks of the smoke gate", report.checks.len()))
    } else {
        Err(anyhow!(failures.join("\n")))
    };
    findings.judge(&it.name, "speaks", outcome);
    Ok(())
}
