//! What we say in in-toto Statement v1 with SLSA Provenance v1, as types: <https://in-toto.io/Statement/v1>,
//! <https://slsa.dev/provenance/v1>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

pub(super) const STATEMENT: &str = "https://in-toto.io/Statement/v1";
pub(super) const PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// A statement about files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Statement {
    #[serde(rename = "_type")]
    pub(super) kind: String,
    pub(super) subject: Vec<Resource>,
    pub(super) predicate_type: String,
    pub(super) predicate: Provenance,
}

/// A file by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resource {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) uri: Option<String>,
    /// By algorithm, such as `sha256`.
    pub(super) digest: BTreeMap<String, String>,
}

impl Resource {
    pub(super) fn new(name: impl Into<String>, sha256: Digest) -> Self {
        Self { name: name.into(), uri: None, digest: [("sha256".to_owned(), sha256.to_string())].into() }
    }
}

/// What made the files from what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Provenance {
    pub(super) build_definition: BuildDefinition,
    pub(super) run_details: RunDetails,
}

/// What was asked for, and from what it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BuildDefinition {
    pub(super) build_type: String,
    pub(super) external_parameters: ExternalParameters,
    pub(super) internal_parameters: InternalParameters,
    pub(super) resolved_dependencies: Vec<Resource>,
}

/// What whoever started the build chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExternalParameters {
    pub(super) model: String,
    pub(super) base: String,
    pub(super) scheme: String,
    /// Why the release is not an official one, where `--allow-unofficial` was given and needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unofficial: Option<String>,
}

/// What the builder chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InternalParameters {
    pub(super) tool: String,
}

/// Who ran the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunDetails {
    pub(super) builder: BuilderId,
}

/// A builder by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BuilderId {
    pub(super) id: String,
}
