//! Payloads that ONNX stores in files beside the model ("external data").
//!
//! This crate opens no file: the caller gives a function that does, and gets locations that cannot lead out
//! of the model's folder by their spelling. A symbolic link in that folder is the caller's to refuse.

use std::collections::HashMap;
use std::io::{self, Write};

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::nested_mut;
use crate::proto::{
    GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, tensor_proto::DataLocation,
};
use crate::tensor::{element_bits, element_count, element_type, is_external, to_raw};

/// A function that reads a file by a relative path below the model's folder, with `/` between its
/// parts.
pub type Load<'a> = &'a mut dyn FnMut(&str) -> io::Result<Bytes>;

/// Brings every external payload of `model` into it: of its graph and of its functions.
///
/// # Errors
/// Those of [`inline`].
pub fn inline_all(model: &mut ModelProto, load: Load<'_>) -> Result<()> {
    let mut load = once(load);
    if let Some(graph) = &mut model.graph {
        inline_graph(graph, &mut load)?;
    }
    model.functions.iter_mut().try_for_each(|function| inline_nodes(&mut function.node, &mut load))
}

/// Brings every external payload of `graph`, its attributes and its sub-graphs into the model.
/// `load` is asked once for each file.
///
/// # Errors
/// [`ErrorKind::ExternalData`] for a location that is absolute or has a `..`, a file that `load` cannot read,
/// a range outside the file.
pub fn inline(graph: &mut GraphProto, load: Load<'_>) -> Result<()> {
    inline_graph(graph, &mut once(load))
}

/// Loads each file once: many tensors lie in one.
fn once(load: Load<'_>) -> impl FnMut(&str) -> io::Result<Bytes> {
    let mut loaded: HashMap<String, Bytes> = HashMap::new();
    move |location| {
        if let Some(known) = loaded.get(location) {
            return Ok(known.clone());
        }
        let bytes = load(location)?;
        loaded.insert(location.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

fn inline_graph(graph: &mut GraphProto, load: Load<'_>) -> Result<()> {
    for tensor in &mut graph.initializer {
        inline_tensor(tensor, load)?;
    }
    for sparse in &mut graph.sparse_initializer {
        sparse
            .values
            .iter_mut()
            .chain(&mut sparse.indices)
            .try_for_each(|tensor| inline_tensor(tensor, load))?;
    }
    inline_nodes(&mut graph.node, load)
}

fn inline_nodes(nodes: &mut [NodeProto], load: Load<'_>) -> Result<()> {
    for attribute in nodes.iter_mut().flat_map(|node| &mut node.attribute) {
        for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
            inline_tensor(tensor, load)?;
        }
        for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            inline_graph(graph, load)?;
        }
    }
    Ok(())
}

/// More bytes than that no protobuf message may have.
pub const MOST: usize = i32::MAX as usize;

/// Payloads that were taken out of a model, to be written to the file that it names.
#[derive(Debug, Default)]
pub struct Outside {
    payloads: Vec<Bytes>,
}

/// Where a payload begins in its file: pages, so that a runtime can map it.
const ALIGNMENT: usize = 4096;

impl Outside {
    /// How many bytes the file has.
    pub fn bytes(&self) -> u64 {
        let places = self.payloads.iter().map(|payload| payload.len().next_multiple_of(ALIGNMENT) as u64);
        let padding =
            self.payloads.last().map_or(0, |last| last.len().next_multiple_of(ALIGNMENT) - last.len());
        places.sum::<u64>() - padding as u64
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn write(&self, sink: &mut impl Write) -> io::Result<()> {
        let mut padding = 0;
        for payload in &self.payloads {
            sink.write_all(&[0; ALIGNMENT][..padding])?;
            sink.write_all(payload)?;
            padding = payload.len().next_multiple_of(ALIGNMENT) - payload.len();
        }
        Ok(())
    }
}

/// Takes the payloads of initializers of at least `smallest` bytes out of `model`, which says then
/// that they are in the file `location` beside it; those of the graphs within too.
pub fn outsource(model: &mut ModelProto, location: &str, smallest: usize) -> Outside {
    let mut outside = Outside::default();
    let mut offset = 0;
    if let Some(graph) = &mut model.graph {
        outsource_graph(graph, location, smallest.max(1), &mut offset, &mut outside);
    }
    outside
}

fn outsource_graph(
    graph: &mut GraphProto,
    location: &str,
    smallest: usize,
    offset: &mut usize,
    outside: &mut Outside,
) {
    for tensor in graph.initializer.iter_mut().filter(|tensor| !is_external(tensor)) {
        let Some(payload) = to_raw(tensor).filter(|payload| payload.len() >= smallest) else { continue };
        let entry =
            |key: &str, value: String| StringStringEntryProto { key: Some(key.into()), value: Some(value) };
        *tensor = TensorProto {
            name: tensor.name.take(),
            dims: std::mem::take(&mut tensor.dims),
            data_type: tensor.data_type,
            doc_string: tensor.doc_string.take(),
            metadata_props: std::mem::take(&mut tensor.metadata_props),
            data_location: Some(DataLocation::External.into()),
            external_data: vec![
                entry("location", location.to_owned()),
                entry("offset", offset.to_string()),
                entry("length", payload.len().to_string()),
            ],
            ..Default::default()
        };
        *offset += payload.len().next_multiple_of(ALIGNMENT);
        outside.payloads.push(payload);
    }
    for inner in graph.node.iter_mut().flat_map(nested_mut) {
        outsource_graph(inner, location, smallest, offset, outside);
    }
}

fn inline_tensor(tensor: &mut TensorProto, load: Load<'_>) -> Result<()> {
    if !is_external(tensor) {
        return Ok(());
    }
    let wrong = |message: String| Error::tensor(ErrorKind::ExternalData, tensor.name(), message);
    let entry = |key: &str| {
        tensor
            .external_data
            .iter()
            .find(|entry| entry.key() == key)
            .map(super::proto::StringStringEntryProto::value)
    };
    let number = |key: &str, default: usize| match entry(key) {
        None => Ok(default),
        Some(text) => {
            text.parse().map_err(|_| wrong(format!("expected a number as `{key}`, found `{text}`")))
        }
    };
    let location = entry("location").ok_or_else(|| wrong("has no `location`".into()))?;
    if !stays_inside(location) {
        return Err(wrong(format!("expected a location inside the model's folder, found `{location}`")));
    }
    let bits = element_bits(element_type(tensor))
        .ok_or_else(|| wrong(format!("{:?} cannot be stored outside the model", element_type(tensor))))?;
    let needed = (element_count(tensor)? * bits).div_ceil(8);
    let file = load(location).map_err(|error| wrong(format!("cannot read `{location}`: {error}")))?;
    let offset = number("offset", 0)?;
    let length = number("length", needed)?;
    let end = offset.checked_add(length).filter(|&end| end <= file.len());
    let (Some(end), true) = (end, length == needed) else {
        return Err(wrong(format!(
            "expected {needed} bytes at offset {offset} of `{location}`, found a length of {length} in a file of {}",
            file.len()
        )));
    };
    tensor.raw_data = Some(file.slice(offset..end));
    tensor.data_location = Some(DataLocation::Default.into());
    tensor.external_data.clear();
    Ok(())
}

/// Whether a location is relative and free of `..`, on every platform: a backslash or a colon would mean a
/// folder or a drive on Windows.
fn stays_inside(location: &str) -> bool {
    !location.is_empty()
        && !location.contains(['\\', ':', '\0'])
        && location.split('/').all(|part| !part.is_empty() && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{from_f32, to_f32};

    fn external(entries: &[(&str, &str)]) -> GraphProto {
        let entry = |&(key, value): &(&str, &str)| StringStringEntryProto {
            key: Some(key.into()),
            value: Some(value.into()),
        };
        let tensor = TensorProto {
            raw_data: None,
            data_location: Some(DataLocation::External.into()),
            external_data: entries.iter().map(entry).collect(),
            ..from_f32("w", &[2], &[0.0, 0.0])
        };
        GraphProto { initializer: vec![tensor], ..Default::default() }
    }

    fn load(path: &str) -> io::Result<Bytes> {
        match path {
            "data/w.bin" => Ok([9.0f32, 1.0, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    #[test]
    fn a_range_of_a_file_becomes_the_payload() {
        let mut graph = external(&[("location", "data/w.bin"), ("offset", "4"), ("length", "8")]);
        inline(&mut graph, &mut load).unwrap();
        assert_eq!(to_f32(&graph.initializer[0]).unwrap(), [1.0, 2.0]);
    }

    #[test]
    fn locations_that_lead_outside_are_refused_before_anything_is_read() {
        for location in ["../secret", "a/../../secret", "/etc/passwd", "C:\\x", "a\\..\\..\\x", "", "a//b"] {
            let mut never = |path: &str| -> io::Result<Bytes> { panic!("opened `{path}`") };
            let error = inline(&mut external(&[("location", location)]), &mut never).expect_err(location);
            assert_eq!(error.kind(), ErrorKind::ExternalData);
            assert!(error.to_string().contains("tensor `w`: expected a location inside"), "{error}");
        }
    }

    #[test]
    fn what_is_taken_out_is_read_again() {
        let graph = GraphProto {
            initializer: vec![
                from_f32("w", &[2], &[1.0, 2.0]),
                from_f32("small", &[1], &[5.0]),
                TensorProto { raw_data: None, float_data: vec![3.0, 4.0], ..from_f32("v", &[2], &[]) },
            ],
            ..Default::default()
        };
        let mut model = ModelProto { graph: Some(graph.clone()), ..Default::default() };
        let outside = outsource(&mut model, "m.data", 8);
        let mut file = Vec::new();
        outside.write(&mut file).unwrap();
        assert_eq!((outside.bytes(), file.len()), (4096 + 8, 4096 + 8));
        let initializers = &model.graph.as_ref().unwrap().initializer;
        assert_eq!(initializers.iter().map(is_external).collect::<Vec<_>>(), [true, false, true]);
        let mut loaded = 0;
        inline_all(&mut model, &mut |location| {
            loaded += 1;
            assert_eq!(location, "m.data");
            Ok(file.clone().into())
        })
        .unwrap();
        assert_eq!(loaded, 1, "each file is loaded once");
        for (tensor, before) in model.graph.unwrap().initializer.iter().zip(&graph.initializer) {
            assert_eq!(to_f32(tensor).unwrap(), to_f32(before).unwrap());
        }
    }

    #[test]
    fn ranges_outside_the_file_and_missing_files_are_named() {
        for (entries, expected) in [
            (&[("location", "data/w.bin"), ("offset", "8")][..], "at offset 8 of `data/w.bin`"),
            (&[("location", "data/w.bin"), ("offset", "18446744073709551615")], "expected 8 bytes at offset"),
            (&[("location", "data/w.bin"), ("length", "4")], "found a length of 4"),
            (&[("location", "data/w.bin"), ("offset", "x")], "expected a number as `offset`, found `x`"),
            (&[("location", "gone.bin")], "cannot read `gone.bin`"),
            (&[], "has no `location`"),
        ] {
            let error = inline(&mut external(entries), &mut load).expect_err(expected);
            assert!(error.to_string().contains(expected), "expected `{expected}`, found `{error}`");
        }
    }
}
