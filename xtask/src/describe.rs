//! The metadata of an artifact, read off its graph.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use kokoro_model::{
    Base as MetadataBase, BaseKind, Dimension, Metadata, OperatorSet, Precision, PreparedFile, TensorInfo,
};
use quantizer::interface::{self, Port};
use quantizer::proto::ModelProto;
use quantizer::{census, model};

use crate::base::Base;
use crate::digest::Digest;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::scheme::SchemeName;

/// Samples per second of Kokoro's audio; the graph does not say.
pub const SAMPLE_RATE: u32 = 24_000;

/// The names that exports give the input of token ids.
const TOKENS: [&str; 2] = ["tokens", "input_ids"];

/// What a graph says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The operator sets it imports.
    pub onnx_opset: Vec<OperatorSet>,
    /// The version of the ONNX intermediate representation.
    pub onnx_ir: i64,
    /// Its inputs, in order.
    pub inputs: Vec<TensorInfo>,
    /// Its outputs, in order.
    pub outputs: Vec<TensorInfo>,
    /// How many token ids it has embeddings for.
    pub vocabulary_size: u32,
    /// What its initializers are stored as.
    pub precisions: Vec<Precision>,
    /// Nodes per operator, as [`census::operators`] names them.
    pub operators: BTreeMap<String, usize>,
}

/// Reads off a graph what metadata says of it.
///
/// # Errors
/// As [`metadata`].
pub fn describe(model: &ModelProto) -> Result<Described> {
    let graph = model::graph(model).context(Failure::Model)?;
    let operator_set = |set: &quantizer::proto::OperatorSetIdProto| OperatorSet {
        domain: Cow::Owned(set.domain().into()),
        version: set.version(),
    };
    let precisions = census::precisions(graph).into_iter().map(|(precision, stored)| Precision {
        precision: precision.into(),
        tensors: stored.tensors as u64,
        bytes: stored.bytes as u64,
    });
    Ok(Described {
        onnx_opset: model.opset_import.iter().map(operator_set).collect(),
        onnx_ir: model.ir_version(),
        inputs: interface::inputs(graph).into_iter().map(port).collect(),
        outputs: interface::outputs(graph).into_iter().map(port).collect(),
        vocabulary_size: vocabulary_size(model)?,
        precisions: precisions.collect(),
        operators: census::operators(graph),
    })
}

/// What the metadata says of a candidate, but for the digest and size of its file; `plan` is the one that its scheme
/// followed.
///
/// # Errors
/// [`Failure::Model`] for a graph without an input of token ids that an embedding looks up.
pub fn metadata(
    model: &ModelProto,
    base: &Base,
    scheme: SchemeName,
    recipe: &Recipe,
    plan: Option<&Plan>,
) -> Result<Metadata> {
    let described = describe(model)?;
    let (licence, attribution) = notices(model, base, recipe)?;
    Ok(Metadata {
        name: crate::artifacts::file_name(&base.name, scheme.as_str()).into(),
        scheme: scheme.as_str().into(),
        sha256: Cow::Borrowed(""),
        bytes: 0,
        base: MetadataBase {
            name: base.name.clone().into(),
            sha256: base.sha256.to_string().into(),
            bytes: base.file_bytes,
            kind: base.kind,
        },
        recipe_sha256: recipe.sha256.to_string().into(),
        plan_sha256: plan.map(|plan| plan.sha256.to_string().into()),
        tool_version: quantizer::VERSION.into(),
        onnx_opset: described.onnx_opset.into(),
        onnx_ir: described.onnx_ir,
        inputs: described.inputs.into(),
        outputs: described.outputs.into(),
        vocabulary_size: described.vocabulary_size,
        sample_rate: SAMPLE_RATE,
        precisions: described.precisions.into(),
        session_options: Cow::Borrowed(&[]),
        licence: licence.into(),
        attribution: attribution.into(),
        prepared: None,
        gated: Cow::Borrowed(&[]),
    })
}

/// Licence, as an SPDX expression, and attribution. Those of a model of the user's own are what its `metadata_props` say under
/// these names, for nobody else can know.
fn notices(model: &ModelProto, base: &Base, recipe: &Recipe) -> Result<(String, String)> {
    let file = match base.kind {
        BaseKind::Official => recipe.file(&recipe.base.official)?,
        BaseKind::Restored => recipe.file(&recipe.base.restored.from)?,
        BaseKind::Local => {
            let told = |names: &[&str]| {
                let entry = model.metadata_props.iter().find(|entry| names.contains(&entry.key()))?;
                Some(entry.value().to_owned()).filter(|value| !value.trim().is_empty())
            };
            let attribution = format!(
                "`{}`, a model of whoever quantized it; weights that were tuned from Kokoro-82M are by hexgrad, too (Apache-2.0)",
                base.name
            );
            return Ok((
                told(&["licence", "license"]).unwrap_or_else(|| "LicenseRef-not-stated".to_owned()),
                told(&["attribution", "author"]).unwrap_or(attribution),
            ));
        }
    };
    Ok((file.licence.clone(), file.attribution.clone()))
}

/// Adds digest and size once the file is written.
pub fn with_file(metadata: Metadata, sha256: Digest, bytes: u64) -> Metadata {
    Metadata { sha256: sha256.to_string().into(), bytes, ..metadata }
}

/// Adds what the `.prepared` file beside it holds, and the version of the runtime that optimized its graph.
pub fn with_prepared(metadata: Metadata, prepared: &[u8], version: &str) -> Metadata {
    let sha256 = Digest::of(prepared).to_string().into();
    let file = PreparedFile { sha256, bytes: prepared.len() as u64, onnxruntime: version.to_owned().into() };
    Metadata { prepared: Some(file), ..metadata }
}

/// How many token ids the model has embeddings for.
///
/// # Errors
/// [`Failure::Model`].
pub fn vocabulary_size(model: &ModelProto) -> Result<u32> {
    let graph = model::graph(model).context(Failure::Model)?;
    let inputs = interface::inputs(graph);
    let tokens = inputs.iter().find(|input| TOKENS.contains(&input.name.as_str())).with_context(|| {
        let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        format!("expected an input `tokens` or `input_ids`, found `{}`", names.join("`, `"))
    });
    let size =
        interface::vocabulary_size(graph, &tokens.context(Failure::Model)?.name).context(Failure::Model)?;
    u32::try_from(size).context(Failure::Model)
}

fn port(port: Port) -> TensorInfo {
    let dimension = |dimension| match dimension {
        interface::Dimension::Fixed(size) => Dimension::Fixed(size as u64),
        interface::Dimension::Named(name) => Dimension::Symbolic(name.into()),
    };
    TensorInfo {
        name: port.name.into(),
        element_type: port.element_type.into(),
        shape: port.shape.into_iter().map(dimension).collect(),
    }
}
