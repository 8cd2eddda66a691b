//! Preparing an artifact for a quick start: the graph optimized by the runtime, taken apart, and said to be the same.
//!
//! ONNX Runtime computes weights and tables from constants in one thread and optimizes the graph
//! whenever it loads a model: 0.65 s and 0.23 s of the 1.5 s of one logged load of `static-int8`.
//! Neither depends on anything but the artifact, so the graph is written as the runtime optimizes
//! it for any processor (level "extended"), and taken apart: what computes the tables, the encoder,
//! the decoder. The provider gate profiles the artifact as it is; smoke and bench run what was
//! prepared. Another ONNX Runtime may make another file of the same artifact.
//!
//! What else was measured:
//!
//! - The format `.ort` cannot fold at load, so it would have to hold 325 MB of floats.
//! - Planning memory compares the shape of each new buffer with all that are free, names and types
//!   as text: up to 0.2 s in a graph of 2,200 nodes. So the parts declare no shapes, which halves
//!   that and costs nothing when they run.
//! - Weights of `Conv`, `ConvTranspose` and `Gather` are inputs, since the runtime does nothing
//!   with them at load. Those of `MatMul`, LSTM and `QLinearConv` are initializers, since the
//!   runtime packs them, without which a run takes a fifth longer.
//! - The twelve layers of ALBERT share their weights, and each packs them again: 264 MB.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::Bytes;
use kokoro_model::prepared::{Element, Finer, Part, Prepared, Span, Stored, Weight};
use kokoro_model::{Metadata, Runtime, Style, Synthesizer, SynthesizerOptions, probe};
use prost::Message as _;
use quantizer::prepared::{Form, take_apart};
use quantizer::proto::{ModelProto, TensorProto, tensor_proto::DataType};
use quantizer::schemes::pattern;
use quantizer::{kokoro, model, tensor};

use crate::failure::Failure;
use crate::files::Scratch;
use crate::recipe::Recipe;

/// The contents of the `.prepared` file of the artifact with these bytes. The runtime works in `scratch`.
///
/// # Errors
/// [`Failure::Model`] for a model that cannot be taken apart, or does not say the same then; [`Failure::Usage`] for a
/// pattern of the recipe that is none.
pub fn prepare(
    runtime: &Runtime,
    artifact: &Bytes,
    metadata: &Metadata,
    recipe: &Recipe,
    scratch: &Path,
) -> Result<Vec<u8>> {
    let options = SynthesizerOptions::for_artifact(metadata);
    let prepared = assemble(runtime, artifact, metadata, recipe, &options, scratch)?;
    let check = |artifact: &[u8], prepared: &[u8]| {
        check(runtime, artifact, prepared, &options, metadata.vocabulary_size)
    };
    match stilled(artifact)? {
        None => check(artifact, &prepared)?,
        // What draws noise never says the same twice, so it is compared with the noise held still.
        Some(still) => {
            check(&still, &assemble(runtime, &still, metadata, recipe, &options, scratch)?)?;
        }
    }
    Ok(prepared)
}

/// The artifact without what draws random numbers, if anything does.
fn stilled(artifact: &Bytes) -> Result<Option<Bytes>> {
    let mut decoded = model::decode(artifact.clone()).context(Failure::Model)?;
    if kokoro::still(model::graph_mut(&mut decoded).context(Failure::Model)?) == 0 {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(artifact.len());
    model::encode(&decoded, &mut bytes)?;
    Ok(Some(bytes.into()))
}

/// The contents of the `.prepared` file. What it is made from, the floats of all weights among it, is gone when this returns.
fn assemble(
    runtime: &Runtime,
    artifact: &Bytes,
    metadata: &Metadata,
    recipe: &Recipe,
    options: &SynthesizerOptions,
    scratch: &Path,
) -> Result<Vec<u8>> {
    let first = recipe.prepare.first.as_deref().map(pattern).transpose();
    let first = first.context("`prepare.first`").context(Failure::Usage)?;
    let optimized = optimize(runtime, artifact, options, scratch)?;
    let original = model::decode(artifact.clone()).context(Failure::Model)?;
    let parts = take_apart(&original, &optimized, first.as_ref()).context(Failure::Model)?;
    let graphs: Vec<Vec<u8>> = parts.iter().map(|part| part.model.encode_to_vec()).collect();
    let names = |names: &[String]| names.iter().map(|name| Cow::Owned(name.clone())).collect();
    let parts = parts.iter().zip(&graphs).map(|(part, graph)| {
        let weight = |weight: &quantizer::prepared::Weight<'_>| {
            let form = stored(artifact, &weight.form);
            let stored = form.with_context(|| format!("weight `{}`", weight.name)).context(Failure::Model)?;
            let shape = weight.dims.iter().map(|&length| length as u32).collect();
            Ok(Weight { name: weight.name.clone().into(), shape, is_input: weight.is_input, stored })
        };
        let weights = part.weights.iter().map(weight).collect::<Result<_>>()?;
        Ok(Part { graph, inputs: names(&part.inputs), outputs: names(&part.outputs), weights })
    });
    let port = |among: &[kokoro_model::TensorInfo], known: &[&str]| {
        let info = among.iter().find(|info| known.contains(&&*info.name));
        let info = info
            .with_context(|| format!("expected an input or output `{}`, found none", known.join("` or `")));
        Ok::<_, anyhow::Error>(info.context(Failure::Model)?.name.clone())
    };
    let prepared = Prepared {
        artifact_bytes: artifact.len() as u64,
        artifact_crc32: crc32fast::hash(artifact),
        tokens: port(&metadata.inputs, &["tokens", "input_ids"])?,
        style: port(&metadata.inputs, &["style"])?,
        speed: port(&metadata.inputs, &["speed"])?,
        audio: port(&metadata.outputs, &["audio", "waveform"])?,
        parts: parts.collect::<Result<_>>()?,
    };
    Ok(prepared.to_bytes()?)
}

/// The model as the runtime optimizes it.
fn optimize(
    runtime: &Runtime,
    artifact: &Bytes,
    options: &SynthesizerOptions,
    scratch: &Path,
) -> Result<ModelProto> {
    let scratch = Scratch::new(scratch.to_path_buf()).context("no folder for the optimized graph")?;
    let path = scratch.folder().join("optimized.onnx");
    probe::write_optimized(runtime, artifact, options, &path).context(Failure::Model)?;
    model::decode(fs_err::read(&path)?.into()).context(Failure::Model)
}

/// That the prepared model says to the bit what the model says, with a style that no voice has.
fn check(
    runtime: &Runtime,
    artifact: &[u8],
    prepared: &[u8],
    options: &SynthesizerOptions,
    vocabulary_size: u32,
) -> Result<()> {
    let ids: Vec<i64> = (1..40).map(|id| id % i64::from(vocabulary_size)).collect();
    let style = Style::new([0.05; kokoro_model::STYLE_LEN])?;
    let mut whole = Synthesizer::from_bytes(runtime, artifact, options).context(Failure::Model)?;
    let expected = whole.speak_tokens(&ids, &style, 1.0).context(Failure::Model)?;
    drop(whole);
    let mut prepared =
        Synthesizer::from_prepared(runtime, artifact, prepared, options).context(Failure::Model)?;
    let found = prepared.speak_tokens(&ids, &style, 1.0).context(Failure::Model)?;
    let same =
        expected.samples.iter().zip(&found.samples).filter(|(a, b)| a.to_bits() == b.to_bits()).count();
    let (expected, found) = (expected.samples.len(), found.samples.len());
    let wrong =
        || anyhow!("prepared: expected the {expected} samples of the model, found {same} of them in {found}");
    ensure!(same == expected && same == found, wrong().context(Failure::Model));
    Ok(())
}

/// How a weight lies in the artifact, whose tensors are slices of its bytes.
fn stored(artifact: &Bytes, form: &Form<'_>) -> Result<Stored> {
    Ok(match form {
        Form::Plain(values) => Stored::Plain { values: span(artifact, values)?, element: element(values)? },
        Form::Stored(found) => {
            ensure!(tensor::element_type(found.scale) == DataType::Float, "expected a float32 scale");
            let (dims, scales) = (tensor::shape(found.levels), tensor::shape(found.scale));
            // Behind the last axis that a scale is along.
            let behind = scales.iter().rposition(|&length| length > 1).map_or(scales.len(), |axis| axis + 1);
            Stored::Levels {
                levels: span(artifact, found.levels)?,
                scales: span(artifact, found.scale)?,
                inner: dims[behind..].iter().product::<usize>() as u32,
                finer: match found.finer {
                    Some((low, bits)) => Some(Finer { packed: span(artifact, low)?, bits }),
                    None => None,
                },
            }
        }
    })
}

fn span(artifact: &Bytes, tensor: &TensorProto) -> Result<Span> {
    let raw = tensor.raw_data.as_ref().context("expected bytes, found numbers")?;
    let start = (raw.as_ptr() as usize).checked_sub(artifact.as_ptr() as usize);
    let start = start
        .filter(|start| start + raw.len() <= artifact.len())
        .context("expected bytes of the artifact")?;
    Ok(Span { start: start as u64, bytes: raw.len() as u64 })
}

fn element(tensor: &TensorProto) -> Result<Element> {
    Ok(match tensor::element_type(tensor) {
        DataType::Float => Element::Float32,
        DataType::Int8 => Element::Int8,
        DataType::Uint8 => Element::Uint8,
        DataType::Int32 => Element::Int32,
        DataType::Int64 => Element::Int64,
        other => return Err(anyhow!("expected float32, int8, uint8, int32 or int64, found {other:?}")),
    })
}
