//! Payloads that ONNX stores in files beside the model ("external data").
//!
//! This crate opens no file: the caller gives a function that does, and gets locations that cannot lead out
//! of the model's folder by their spelling. A symbolic link in that folder is the caller's to refuse.

use std::io;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::proto::{GraphProto, TensorProto, tensor_proto::DataLocation};
use crate::tensor::{element_bits, element_count, element_type, is_external};

/// Brings every external payload of `graph`, its attributes and its sub-graphs into the model.
///
/// `load` gets a relative path below the model's folder, with `/` between its parts.
///
/// # Errors
/// [`ErrorKind::ExternalData`] for a location that is absolute or has a `..`, a file that `load` cannot read,
/// a range outside the file.
pub fn inline(graph: &mut GraphProto, load: &mut dyn FnMut(&str) -> io::Result<Bytes>) -> Result<()> {
    for tensor in &mut graph.initializer {
        inline_tensor(tensor, load)?;
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
            inline_tensor(tensor, load)?;
        }
        for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            inline(graph, load)?;
        }
    }
    Ok(())
}

fn inline_tensor(tensor: &mut TensorProto, load: &mut dyn FnMut(&str) -> io::Result<Bytes>) -> Result<()> {
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
    use crate::proto::StringStringEntryProto;
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
