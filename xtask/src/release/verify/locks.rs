//! The lock in a release has its artifact and is what its provenance names; and the checkout's own lock agrees.

use anyhow::{Context as _, Result, anyhow};
use kokoro_model::BaseKind;

use super::documents::About;
use super::findings::Findings;
use crate::digest::Digest;
use crate::lock::{Lock, LockedArtifact};
use crate::release::intoto::Statement;
use crate::release::{MODELS, PROVENANCE, provenance};
use crate::workspace::MODEL;

/// Holds the release against the lock in it, and against `own`, the checkout's.
pub(super) fn check(about: About<'_>, own: Option<&Lock>, findings: &mut Findings) {
    let file = format!("{MODELS}/{MODEL}.lock.toml");
    let bytes = about.unpacked.files.get(&file).context("it is missing");
    let read = bytes.and_then(|bytes| Ok(toml::from_str::<Lock>(std::str::from_utf8(bytes)?)?));
    if let Some(lock) = findings.keep(&file, "can be read", read) {
        pinned(about, &file, &lock, findings);
        artifact(about, &file, &lock, findings);
        depends(about, &file, &lock, findings);
    }
    match own {
        Some(own) => agrees(about, own, findings),
        None => {
            findings.skip(&about.metadata.name, "is what the lock of this checkout has", "there is no lock");
        }
    }
}

/// The files that the artifact was made by are those of the lock, and the recipe that of the metadata.
fn pinned(about: About<'_>, file: &str, lock: &Lock, findings: &mut Findings) {
    findings.equal(file, "`tool`", &*about.metadata.tool_version, &lock.tool);
    findings.equal(file, "`recipe`", &*about.metadata.recipe_sha256, &lock.recipe.to_string());
    let proof = lock.proof.map(|proof| (format!("{MODEL}.proof.json"), "proof", proof));
    let always = [
        (format!("{MODEL}.toml"), "recipe", lock.recipe),
        ("corpus.toml".to_owned(), "corpus", lock.corpus),
        ("onnxruntime.toml".to_owned(), "onnxruntime.recipe", lock.onnxruntime.recipe),
    ];
    for (name, key, locked) in always.into_iter().chain(proof) {
        let name = format!("{MODELS}/{name}");
        let found = digest(about, &name);
        findings.equal(&name, &format!("`{key}` of the lock"), &locked.to_string(), &found);
    }
    let Some(plan) = &about.metadata.plan_sha256 else { return };
    let is_plan = |name: &&String| name.starts_with(MODELS) && name.ends_with(crate::plan::EXTENSION);
    let name = about.unpacked.files.keys().find(is_plan);
    let found = name.map_or_else(|| "none".to_owned(), |name| digest(about, name));
    let name = name.map_or("the plan", |name| name);
    findings.equal(name, "`plan_sha256` of the metadata", &**plan, &found);
}

fn digest(about: About<'_>, name: &str) -> String {
    about.unpacked.files.get(name).map_or_else(|| "none".to_owned(), |bytes| Digest::of(bytes).to_string())
}

/// The artifact is the one of the lock. A base of somebody's own is in no lock.
fn artifact(about: About<'_>, file: &str, lock: &Lock, findings: &mut Findings) {
    let check = "has the artifact";
    if about.metadata.base.kind == BaseKind::Local && !lock.base.contains_key(&*about.metadata.base.name) {
        findings.skip(file, check, "it does not know the base, which is of somebody's own");
        return;
    }
    findings.judge(file, check, has(about, lock).map(|()| String::new()));
}

fn has(About { metadata, files, .. }: About<'_>, lock: &Lock) -> Result<()> {
    let base = lock.base.get(&*metadata.base.name);
    let base = base.with_context(|| format!("it has no base `{}`", metadata.base.name))?;
    let LockedArtifact { sha256, bytes, prepared, metadata: json } =
        base.artifact.get(&*metadata.scheme).with_context(|| format!("it has no `{}`", metadata.scheme))?;
    for (what, expected, found) in [
        ("the base", base.sha256.to_string(), metadata.base.sha256.to_string()),
        ("`sha256`", sha256.to_string(), files.model.to_string()),
        ("`bytes`", bytes.to_string(), metadata.bytes.to_string()),
        ("`prepared`", prepared.to_string(), files.prepared.to_string()),
        ("`metadata`", json.to_string(), files.metadata.to_string()),
    ] {
        if expected != found {
            return Err(anyhow!("{what}: expected {expected}, found {found}"));
        }
    }
    Ok(())
}

/// The provenance names everything that the lock has, by the same digests.
fn depends(about: About<'_>, file: &str, lock: &Lock, findings: &mut Findings) {
    let Some(statement) = about.unpacked.files.get(PROVENANCE) else { return };
    // That it can be read was said before.
    let Ok(statement) = serde_json::from_slice::<Statement>(statement) else { return };
    let named = &statement.predicate.build_definition.resolved_dependencies;
    let Ok(lock_sha256) = digest(about, file).parse() else { return };
    let expected = provenance::dependencies(about.metadata, lock, lock_sha256);
    let missing: Vec<String> = expected
        .iter()
        .filter(|it| !named.contains(it))
        .map(|it| {
            let found = named.iter().find(|other| other.name == it.name).map(|other| &other.digest);
            format!("`{}`: expected {:?}, found {found:?}", it.name, it.digest)
        })
        .collect();
    findings.holds(PROVENANCE, "names everything of the lock", missing.is_empty(), &missing.join("; "));
    // The commit of a builder that tells one is the only other thing.
    let more = named.iter().find(|it| !expected.contains(it) && it.name != "source");
    let otherwise = more.map_or_else(String::new, |it| format!("`{}` is not in the lock", it.name));
    findings.holds(PROVENANCE, "names nothing else", more.is_none(), &otherwise);
}

/// Holds the artifact against the lock of this checkout, where that is of the same sources and tool.
fn agrees(about: About<'_>, own: &Lock, findings: &mut Findings) {
    let metadata = about.metadata;
    let check = "is what the lock of this checkout has";
    let comparable = [
        ("base", own.base.contains_key(&*metadata.base.name)),
        ("tool", own.tool == metadata.tool_version),
        ("recipe", own.recipe.to_string() == metadata.recipe_sha256),
        ("plan", metadata.plan_sha256.as_ref().is_none_or(|plan| own.plan.to_string() == **plan)),
    ];
    match comparable.iter().find(|(_, same)| !same) {
        Some((what, _)) => findings.skip(&metadata.name, check, &format!("it was made by another {what}")),
        None => findings.judge(&metadata.name, check, has(about, own).map(|()| String::new())),
    }
}
