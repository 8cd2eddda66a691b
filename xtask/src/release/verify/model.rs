//! The model and its metadata: one is what the other says.

use std::collections::BTreeMap;
use std::fmt::Debug;

use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;
use kokoro_model::{Chosen, Metadata};
use quantizer::check;

use super::Released;
use super::findings::Findings;
use crate::artifacts::{PREPARED, file_name};
use crate::base::decode;
use crate::describe::{self, Described, describe};
use crate::digest::Digest;
use crate::release::operators::is_known;
use crate::release::unpacked::Unpacked;
use crate::scheme::SchemeName;

/// No scheme may emit it.
const NEVER: &str = "ConvInteger";

/// The files of an artifact.
pub(super) struct Parts {
    pub(super) name: String,
    pub(super) metadata_name: String,
    pub(super) model: Bytes,
    pub(super) metadata: Bytes,
    pub(super) prepared: Option<Bytes>,
}

impl Parts {
    /// The files that `chosen.json` names.
    pub(super) fn of(unpacked: &Unpacked, chosen: &Chosen, findings: &mut Findings) -> Option<Self> {
        let mut there = |name: &String| {
            let bytes = unpacked.files.get(name).cloned();
            findings.keep(
                name,
                "is there",
                bytes.ok_or_else(|| anyhow!("`chosen.json` names it, and it is missing")),
            )
        };
        let (model, metadata) = (there(&chosen.file)?, there(&chosen.metadata)?);
        let stem = chosen.file.strip_suffix(".onnx").unwrap_or(&chosen.file);
        let prepared = unpacked.files.get(&format!("{stem}.{PREPARED}")).cloned();
        let (name, metadata_name) = (chosen.file.clone(), chosen.metadata.clone());
        Some(Self { name, metadata_name, model, metadata, prepared })
    }
}

/// That the model is the one of its metadata, and what else is to be known of it: its operators.
pub(super) fn is_described(
    parts: Parts,
    findings: &mut Findings,
) -> Option<(Released, BTreeMap<String, usize>)> {
    let Parts { name, metadata_name: json, model, metadata, prepared } = parts;
    let metadata: Metadata = findings.read(&json, Some(&metadata))?;
    findings.judge(&json, "is metadata", is_sound(&metadata, &name).map(|()| String::new()));
    findings.equal(&name, "sha256 of the metadata", &*metadata.sha256, &Digest::of(&model).to_string());
    findings.equal(&name, "size", &metadata.bytes, &(model.len() as u64));
    self::prepared(&name, &metadata, prepared.as_ref(), findings);
    if !findings.none_said_no() {
        findings.skip(&name, "its graph", "something said no before");
        return None;
    }
    let described = decode(&name, &model).and_then(|decoded| {
        check::validate(quantizer::model::graph(&decoded)?)?;
        describe(&decoded)
    });
    let described = findings.keep(&name, "can be read", described)?;
    graph(&name, &json, &metadata, &described, findings);
    Some((Released { name, model, prepared, metadata }, described.operators))
}

/// What the types do not say of metadata, and the schema does.
fn is_sound(metadata: &Metadata, name: &str) -> Result<()> {
    let expected = file_name(&metadata.base.name, &metadata.scheme);
    ensure!(metadata.name == expected, "`name`: expected `{expected}`, found `{}`", metadata.name);
    ensure!(metadata.name == name, "`name`: expected `{name}`, found `{}`", metadata.name);
    ensure!(SchemeName::parse(&metadata.scheme).is_some(), "`scheme`: `{}` is not known", metadata.scheme);
    let prepared = metadata.prepared.as_ref().map(|it| &it.sha256);
    let plan = metadata.plan_sha256.as_ref();
    for digest in [&metadata.sha256, &metadata.base.sha256, &metadata.recipe_sha256]
        .into_iter()
        .chain(plan)
        .chain(prepared)
    {
        digest.parse::<Digest>()?;
    }
    let rate = describe::SAMPLE_RATE;
    ensure!(metadata.sample_rate == rate, "`sample_rate`: expected {rate}, found {}", metadata.sample_rate);
    for (key, text) in [
        ("tool_version", &metadata.tool_version),
        ("licence", &metadata.licence),
        ("attribution", &metadata.attribution),
    ] {
        ensure!(!text.is_empty(), "`{key}` is empty");
    }
    Ok(())
}

fn prepared(name: &str, metadata: &Metadata, prepared: Option<&Bytes>, findings: &mut Findings) {
    let file = format!("{}.{PREPARED}", name.strip_suffix(".onnx").unwrap_or(name));
    match (&metadata.prepared, prepared) {
        (Some(said), Some(bytes)) => {
            findings.equal(&file, "sha256 of the metadata", &*said.sha256, &Digest::of(bytes).to_string());
            findings.equal(&file, "size", &said.bytes, &(bytes.len() as u64));
        }
        (Some(_), None) => {
            findings.judge(&file, "is there", Err(anyhow!("the metadata has it, and it is missing")));
        }
        (None, Some(_)) => {
            findings.judge(&file, "is of the model", Err(anyhow!("the metadata does not have it")));
        }
        (None, None) => findings.skip(&file, "is there", "the artifact was made without"),
    }
}

/// What the graph says of itself is what the metadata says of it, and it has no operator that it may not have.
fn graph(name: &str, json: &str, metadata: &Metadata, found: &Described, findings: &mut Findings) {
    let shown = |said: &dyn Debug, found: &dyn Debug| (format!("{found:?}"), format!("{said:?}"));
    for (key, (expected, said)) in [
        ("onnx_opset", shown(&&*metadata.onnx_opset, &&*found.onnx_opset)),
        ("onnx_ir", shown(&metadata.onnx_ir, &found.onnx_ir)),
        ("inputs", shown(&&*metadata.inputs, &&*found.inputs)),
        ("outputs", shown(&&*metadata.outputs, &&*found.outputs)),
        ("vocabulary_size", shown(&metadata.vocabulary_size, &found.vocabulary_size)),
        ("precisions", shown(&&*metadata.precisions, &&*found.precisions)),
    ] {
        findings.equal(json, &format!("`{key}` is that of `{name}`"), &expected, &said);
    }
    let never = found.operators.get(NEVER).copied().unwrap_or(0);
    findings.equal(name, &format!("has no {NEVER}"), &0, &never);
    let unknown: Vec<&str> = found.operators.keys().map(String::as_str).filter(|it| !is_known(it)).collect();
    findings.holds(
        name,
        "has known operators only",
        unknown.is_empty(),
        &format!("found `{}`", unknown.join("`, `")),
    );
}
