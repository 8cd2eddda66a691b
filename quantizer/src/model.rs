//! Bytes to model and back.

use std::io::{self, Write};

use bytes::Bytes;
use prost::Message;

use crate::error::{Error, ErrorKind, Result};
use crate::proto::{GraphProto, ModelProto};
use crate::wire;

/// Reads a model; tensor payloads stay slices of `bytes`.
///
/// A text that is not UTF-8 is kept: each of its bytes that is none stands as a character of a
/// private-use plane, and [`encode`] writes the byte.
///
/// # Errors
/// [`ErrorKind::NotOnnx`] for bytes that are not protobuf, are cut short, or hold no graph;
/// [`ErrorKind::Unsupported`] for a model with fields that the schema does not know, which writing it again
/// would lose.
pub fn decode(bytes: Bytes) -> Result<ModelProto> {
    let length = bytes.len();
    // What cannot be walked does not decode either.
    let found = wire::scan(&bytes).unwrap_or_default();
    let bytes = match found.foreign_text.then(|| wire::to_utf8(&bytes)).flatten() {
        Some(utf8) => utf8.into(),
        None => bytes,
    };
    let model = ModelProto::decode(bytes).map_err(|error| {
        Error::new(
            ErrorKind::NotOnnx,
            format!("expected an ONNX model, found {length} bytes that do not decode: {error}"),
        )
    })?;
    if model.graph.is_none() || model.ir_version.is_none() {
        return Err(Error::new(
            ErrorKind::NotOnnx,
            format!("expected an ONNX model, found {length} bytes without an IR version and a graph"),
        ));
    }
    if let Some(unknown) = found.unknown {
        let message = format!(
            "expected a model of IR version 14 or older, found {unknown}, which is not in the schema and would be lost"
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(model)
}

/// The graph of a decoded model.
///
/// # Errors
/// [`ErrorKind::NotOnnx`] for a model made by hand without one; [`decode`] never returns such a model.
pub fn graph(model: &ModelProto) -> Result<&GraphProto> {
    model.graph.as_ref().ok_or_else(|| Error::new(ErrorKind::NotOnnx, "the model has no graph"))
}

/// The graph of a decoded model, to change; see [`graph`].
///
/// # Errors
/// As [`graph`].
pub fn graph_mut(model: &mut ModelProto) -> Result<&mut GraphProto> {
    model.graph.as_mut().ok_or_else(|| Error::new(ErrorKind::NotOnnx, "the model has no graph"))
}

/// Writes a model to `sink`, tensor by tensor, so that peak memory is the largest tensor and not the model.
///
/// The bytes are those of [`Message::encode`]: fields in the order of their numbers, which is also what
/// the protobuf library writes.
///
/// # Errors
/// Those of `sink`.
pub fn encode(model: &ModelProto, sink: &mut impl Write) -> io::Result<()> {
    if has_foreign_text(model) {
        let utf8 = model.encode_to_vec();
        // What prost encoded can be walked.
        return sink.write_all(&wire::from_utf8(&utf8).unwrap_or(utf8));
    }
    // Both messages are taken apart field by field, so that a field added to the schema does not compile
    // until it has its place here.
    let ModelProto {
        ir_version,
        producer_name,
        producer_version,
        domain,
        model_version,
        doc_string,
        graph,
        opset_import,
        metadata_props,
        training_info,
        functions,
        configuration,
    } = model;
    let before = ModelProto {
        ir_version: *ir_version,
        producer_name: producer_name.clone(),
        producer_version: producer_version.clone(),
        domain: domain.clone(),
        model_version: *model_version,
        doc_string: doc_string.clone(),
        ..Default::default()
    };
    let after = ModelProto {
        opset_import: opset_import.clone(),
        metadata_props: metadata_props.clone(),
        training_info: training_info.clone(),
        functions: functions.clone(),
        configuration: configuration.clone(),
        ..Default::default()
    };
    sink.write_all(&before.encode_to_vec())?;
    if let Some(graph) = graph {
        write_header(7, graph.encoded_len(), sink)?;
        encode_graph(graph, sink)?;
    }
    sink.write_all(&after.encode_to_vec())
}

/// Whether a text could hold a character that stands for a byte. Where the payload of a node's
/// tensor only looks so, nothing is lost but the time to write the model in one piece.
fn has_foreign_text(model: &ModelProto) -> bool {
    let Some(graph) = &model.graph else { return wire::may_hold_foreign_text(&model.encode_to_vec()) };
    let around = ModelProto {
        producer_name: model.producer_name.clone(),
        producer_version: model.producer_version.clone(),
        domain: model.domain.clone(),
        doc_string: model.doc_string.clone(),
        graph: Some(GraphProto {
            name: graph.name.clone(),
            doc_string: graph.doc_string.clone(),
            input: graph.input.clone(),
            output: graph.output.clone(),
            value_info: graph.value_info.clone(),
            quantization_annotation: graph.quantization_annotation.clone(),
            sparse_initializer: graph.sparse_initializer.clone(),
            metadata_props: graph.metadata_props.clone(),
            ..Default::default()
        }),
        opset_import: model.opset_import.clone(),
        metadata_props: model.metadata_props.clone(),
        training_info: model.training_info.clone(),
        functions: model.functions.clone(),
        configuration: model.configuration.clone(),
        ..Default::default()
    };
    wire::may_hold_foreign_text(&around.encode_to_vec())
        || graph.node.iter().any(|node| wire::may_hold_foreign_text(&node.encode_to_vec()))
        || graph.initializer.iter().any(|tensor| {
            let entries = tensor.external_data.iter().chain(&tensor.metadata_props);
            let texts = entries.flat_map(|entry| [entry.key(), entry.value()]);
            texts
                .chain([tensor.name(), tensor.doc_string()])
                .any(|text| wire::may_hold_foreign_text(text.as_bytes()))
        })
}

fn encode_graph(graph: &GraphProto, sink: &mut impl Write) -> io::Result<()> {
    let GraphProto {
        node,
        name,
        initializer,
        sparse_initializer,
        doc_string,
        input,
        output,
        value_info,
        quantization_annotation,
        metadata_props,
    } = graph;
    let between = GraphProto { name: name.clone(), ..Default::default() };
    let after = GraphProto {
        doc_string: doc_string.clone(),
        input: input.clone(),
        output: output.clone(),
        value_info: value_info.clone(),
        quantization_annotation: quantization_annotation.clone(),
        sparse_initializer: sparse_initializer.clone(),
        metadata_props: metadata_props.clone(),
        ..Default::default()
    };
    let mut scratch = Vec::new();
    for node in node {
        write_message(1, node, &mut scratch, sink)?;
    }
    sink.write_all(&between.encode_to_vec())?;
    for tensor in initializer {
        write_message(5, tensor, &mut scratch, sink)?;
    }
    sink.write_all(&after.encode_to_vec())
}

fn write_message(
    field: u8,
    message: &impl Message,
    scratch: &mut Vec<u8>,
    sink: &mut impl Write,
) -> io::Result<()> {
    scratch.clear();
    message.encode(scratch).expect("a `Vec` has room for every message");
    write_header(field, scratch.len(), sink)?;
    sink.write_all(scratch)
}

/// The key of a length-delimited field below 16, which is one byte, and its length as a varint.
fn write_header(field: u8, length: usize, sink: &mut impl Write) -> io::Result<()> {
    const LENGTH_DELIMITED: u8 = 2;
    let mut header = vec![field << 3 | LENGTH_DELIMITED];
    prost::encode_length_delimiter(length, &mut header).expect("a `Vec` has room for a varint");
    sink.write_all(&header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, ValueInfoProto};

    fn full_model() -> ModelProto {
        let named = |name: &str| ValueInfoProto { name: Some(name.into()), ..Default::default() };
        ModelProto {
            ir_version: Some(9),
            producer_name: Some("test".into()),
            model_version: Some(0),
            doc_string: Some(String::new()),
            graph: Some(GraphProto {
                name: Some("g".into()),
                node: vec![NodeProto { op_type: Some("Neg".into()), ..Default::default() }; 3],
                initializer: vec![TensorProto {
                    dims: vec![300],
                    raw_data: Some(Bytes::from(vec![7; 300])),
                    ..Default::default()
                }],
                input: vec![named("x")],
                output: vec![named("y")],
                value_info: vec![named("z")],
                doc_string: Some("doc".into()),
                metadata_props: vec![StringStringEntryProto::default()],
                sparse_initializer: vec![crate::proto::SparseTensorProto::default()],
                quantization_annotation: vec![crate::proto::TensorAnnotation::default()],
            }),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(20) }],
            metadata_props: vec![StringStringEntryProto { key: Some("k".into()), value: Some("v".into()) }],
            functions: vec![crate::proto::FunctionProto::default()],
            ..Default::default()
        }
    }

    #[test]
    fn the_stream_is_what_prost_encodes() {
        let model = full_model();
        let mut streamed = Vec::new();
        encode(&model, &mut streamed).unwrap();
        assert_eq!(streamed, model.encode_to_vec());
        assert_eq!(decode(streamed.into()).unwrap(), model);
    }

    #[test]
    fn fields_that_would_be_lost_are_refused() {
        let mut bytes = full_model().encode_to_vec();
        // Field 1000, a varint.
        bytes.extend([0xc0, 0x3e, 0x01]);
        let error = decode(bytes.into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("found field 1000 of a `ModelProto`"), "{error}");
    }

    /// What other writers may do: pad a length, split a message, and give texts in the encoding of
    /// their time.
    #[test]
    fn legal_bytes_of_other_writers_are_read() {
        let model = full_model();
        let plain = model.encode_to_vec();
        let key = plain.iter().position(|&byte| byte == 7 << 3 | 2).unwrap();
        // The graph's length takes two bytes; a third one adds nothing to it.
        let padded =
            [&plain[..=key], &[plain[key + 1], plain[key + 2] | 0x80, 0], &plain[key + 3..]].concat();
        let later = GraphProto { doc_string: Some("again".into()), ..Default::default() };
        let later = ModelProto { graph: Some(later), ..Default::default() };
        let split = [plain.clone(), later.encode_to_vec()].concat();
        assert_eq!(decode(padded.into()).unwrap(), model);
        let split = decode(split.into()).unwrap().graph.unwrap();
        assert_eq!((split.node.len(), split.doc_string()), (3, "again"));

        let graph = GraphProto { doc_string: Some("caf?".into()), ..model.graph.clone().unwrap() };
        let mut latin = ModelProto { graph: Some(graph), ..model }.encode_to_vec();
        let at = latin.windows(4).position(|four| four == b"caf?").unwrap();
        latin[at + 3] = 0xe9;
        let decoded = decode(latin.clone().into()).unwrap();
        let mut written = Vec::new();
        encode(&decoded, &mut written).unwrap();
        assert_eq!(written, latin);
    }

    #[test]
    fn bytes_that_are_no_model_are_refused() {
        let whole = full_model().encode_to_vec();
        let cut = whole[..whole.len() - 5].to_vec();
        // Field 7, length 2 GiB − 1, and nothing behind it.
        let huge = vec![0x08, 0x09, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x07];
        for (what, bytes) in [
            ("empty", vec![]),
            ("garbage", b"<!DOCTYPE html><html>".to_vec()),
            ("cut short", cut),
            ("a 2 GiB length", huge),
        ] {
            let error = decode(bytes.into()).expect_err(what);
            assert_eq!(error.kind(), ErrorKind::NotOnnx, "{what}");
            assert!(error.to_string().contains("expected an ONNX model"), "{what}: {error}");
        }
    }
}
