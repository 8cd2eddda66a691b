//! The graph that a provider is asked about.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use kokoro_model::{Runtime, SynthesizerOptions, probe};
use quantizer::graph::outputs;
use quantizer::model;
use quantizer::proto::{GraphProto, ModelProto, ValueInfoProto};

use crate::failure::Failure;

/// A second time names what the first one made; more would only be for nodes that fusing makes of fused ones.
const TIMES: usize = 3;

/// `model` as the loaded ONNX Runtime has it when it asks its providers what they take, with the shapes that it inferred.
///
/// The runtime writes the type and shape of a value only if the model it was given declares it, so every value is declared by
/// its name first; those that only its own nodes make, in another round.
///
/// # Errors
/// [`Failure::Model`] with what the runtime said of the model.
pub fn fold(runtime: &Runtime, mut model: ModelProto) -> Result<ModelProto> {
    let scratch = tempfile::tempdir().context("no folder for the folded graph")?;
    let path = scratch.path().join("folded.onnx");
    for time in 0..TIMES {
        let declared = declare(model::graph_mut(&mut model).context(Failure::Model)?);
        if time > 0 && declared == 0 {
            break;
        }
        let mut bytes = Vec::new();
        model::encode(&model, &mut bytes)?;
        probe::write_folded(runtime, &bytes, &SynthesizerOptions::default(), &path)
            .context(Failure::Model)?;
        model = model::decode(fs_err::read(&path)?.into()).context(Failure::Model)?;
    }
    Ok(model)
}

/// Declares the outputs of all nodes, and returns how many were not.
fn declare(graph: &mut GraphProto) -> usize {
    let infos = graph.value_info.iter().chain(&graph.input).chain(&graph.output);
    let declared: HashSet<&str> = infos.map(ValueInfoProto::name).collect();
    let named = |name: &str| ValueInfoProto { name: Some(name.to_owned()), ..Default::default() };
    let missing = graph.node.iter().flat_map(outputs).filter(|name| !declared.contains(name));
    let missing: Vec<_> = missing.map(named).collect();
    let count = missing.len();
    graph.value_info.extend(missing);
    count
}
