//! `provenance.intoto.json`: what made the artifact from what, the lock as its materials.
//!
//! The statement is not signed by itself, so it proves nothing of who made it: `SHA256SUMS.minisig` and the attestation
//! of a hosted builder do.

use kokoro_model::Metadata;

use super::bom::Files;
use super::builder::Builder;
use super::intoto::{
    BuildDefinition, BuilderId, ExternalParameters, InternalParameters, PREDICATE, Provenance, Resource,
    RunDetails, STATEMENT, Statement,
};
use super::standing;
use crate::artifacts::PREPARED;
use crate::digest::Digest;
use crate::lock::Lock;
use crate::workspace::MODEL;

/// What kind of build it is; the page tells what the parameters mean.
const BUILD_TYPE: &str =
    "https://github.com/kokoro-model/kokoro-model/blob/main/docs/RELEASING.md#build-type-v1";

/// The statement about the files of an artifact; `lock_sha256` is the digest of the lock's own file.
pub(super) fn statement(
    metadata: &Metadata,
    files: Files,
    lock: &Lock,
    lock_sha256: Digest,
    builder: &Builder,
) -> Statement {
    Statement {
        kind: STATEMENT.to_owned(),
        subject: subjects(&metadata.name, files),
        predicate_type: PREDICATE.to_owned(),
        predicate: Provenance {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE.to_owned(),
                external_parameters: ExternalParameters {
                    model: MODEL.to_owned(),
                    base: metadata.base.name.to_string(),
                    scheme: metadata.scheme.to_string(),
                    unofficial: standing::unofficial(metadata.base.kind).map(str::to_owned),
                },
                internal_parameters: InternalParameters { tool: metadata.tool_version.to_string() },
                resolved_dependencies: source(builder)
                    .into_iter()
                    .chain(dependencies(metadata, lock, lock_sha256))
                    .collect(),
            },
            run_details: RunDetails { builder: BuilderId { id: builder.id.clone() } },
        },
    }
}

/// The files that the statement is about.
pub(super) fn subjects(model: &str, Files { model: sha256, prepared, metadata }: Files) -> Vec<Resource> {
    let stem = model.strip_suffix(".onnx").unwrap_or(model);
    vec![
        Resource::new(model, sha256),
        Resource::new(format!("{stem}.{PREPARED}"), prepared),
        Resource::new(format!("{stem}.json"), metadata),
    ]
}

/// The commit that the builder checked out.
fn source(builder: &Builder) -> Option<Resource> {
    let (uri, commit) = builder.source.as_ref()?;
    Some(Resource {
        name: "source".to_owned(),
        uri: Some(uri.clone()),
        digest: [("gitCommit".to_owned(), commit.clone())].into(),
    })
}

/// Everything that the artifact follows from, by digest: what the lock has, and the base.
pub(super) fn dependencies(metadata: &Metadata, lock: &Lock, lock_sha256: Digest) -> Vec<Resource> {
    let mut all = vec![
        Resource::new(format!("{MODEL}.lock.toml"), lock_sha256),
        Resource::new("recipe", lock.recipe),
        Resource::new("plan", lock.plan),
        Resource::new("corpus", lock.corpus),
        Resource::new("proto/onnx.proto", lock.proto),
        Resource::new("onnxruntime.toml", lock.onnxruntime.recipe),
    ];
    let libraries = lock.onnxruntime.library.iter();
    all.extend(libraries.map(|(platform, sha256)| {
        Resource::new(format!("onnxruntime {} {platform}", lock.onnxruntime.version), *sha256)
    }));
    all.extend(lock.sources.iter().map(|(name, sha256)| Resource::new(name, *sha256)));
    // A digest that is none stands in no metadata that was read.
    if let Ok(sha256) = metadata.base.sha256.parse() {
        all.push(Resource::new(format!("base {}", metadata.base.name), sha256));
    }
    // The committed plan is not of a base of one's own.
    let own_plan = metadata.plan_sha256.as_ref().and_then(|plan| plan.parse().ok());
    if let Some(sha256) = own_plan.filter(|sha256| *sha256 != lock.plan) {
        all.push(Resource::new(format!("plan of {}", metadata.base.name), sha256));
    }
    all
}
