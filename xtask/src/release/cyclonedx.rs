//! What we say in CycloneDX 1.6, as types: <https://cyclonedx.org/docs/1.6/json/>.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// A bill of materials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Bom {
    #[serde(rename = "$schema")]
    pub(super) schema: String,
    #[serde(rename = "bomFormat")]
    pub(super) format: String,
    pub(super) spec_version: String,
    pub(super) serial_number: String,
    pub(super) version: u32,
    pub(super) metadata: BomMetadata,
    pub(super) components: Vec<Component>,
    pub(super) dependencies: Vec<Dependency>,
}

/// What the bill is of, and what made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BomMetadata {
    pub(super) tools: Tools,
    pub(super) component: Component,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) properties: Vec<Property>,
}

/// What made the bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tools {
    pub(super) components: Vec<Component>,
}

/// A model, a file or a program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Component {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(rename = "bom-ref", default, skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<String>,
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) hashes: Vec<Hash>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) licenses: Vec<Licence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) copyright: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pedigree: Option<Pedigree>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) model_card: Option<ModelCard>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) properties: Vec<Property>,
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hash {
    pub(super) alg: String,
    pub(super) content: String,
}

impl Hash {
    pub(super) fn of(sha256: Digest) -> Self {
        Self { alg: "SHA-256".to_owned(), content: sha256.to_string() }
    }
}

/// A licence as an SPDX expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Licence {
    pub(super) expression: String,
}

/// What a component was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pedigree {
    pub(super) ancestors: Vec<Component>,
    pub(super) notes: String,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) value: String,
}

/// Which component needs which others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Dependency {
    #[serde(rename = "ref")]
    pub(super) reference: String,
    pub(super) depends_on: Vec<String>,
}

/// What a model takes and gives, how well it does, and what to mind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ModelCard {
    pub(super) model_parameters: ModelParameters,
    pub(super) quantitative_analysis: QuantitativeAnalysis,
    pub(super) considerations: Considerations,
}

/// What a model takes and gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ModelParameters {
    pub(super) task: String,
    pub(super) architecture_family: String,
    pub(super) model_architecture: String,
    pub(super) inputs: Vec<Format>,
    pub(super) outputs: Vec<Format>,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Format {
    pub(super) format: String,
}

/// How well a model does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct QuantitativeAnalysis {
    pub(super) performance_metrics: Vec<PerformanceMetric>,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PerformanceMetric {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) slice: Option<String>,
}

/// What to mind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Considerations {
    pub(super) use_cases: Vec<String>,
    pub(super) technical_limitations: Vec<String>,
    pub(super) performance_tradeoffs: Vec<String>,
    #[serde(rename = "ethicalConsiderations")]
    pub(super) risks: Vec<Risk>,
}

/// A risk and what is done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Risk {
    pub(super) name: String,
    pub(super) mitigation_strategy: String,
}
