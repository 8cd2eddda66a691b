//! Float32 tensors in a file: the safetensors format, as far as it is needed here.
//!
//! The length of a JSON header as u64, the header, and the values, all little-endian. The header also holds the digest
//! of the values, so a file that was cut short or damaged is told from a whole one.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use kokoro_model::probe::Tensor;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The element type, as safetensors calls float32.
const F32: &str = "F32";

/// The key of the header under which the digest of the values stands.
const SHA256: &str = "sha256";

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

/// A tensor to write: its shape, and as many values, the last dimension running fastest.
pub(crate) type View<'a> = (&'a [usize], &'a [f32]);

/// The bytes of a file with these tensors, their values in the order given.
pub(crate) fn written<'a>(named: impl IntoIterator<Item = (&'a str, View<'a>)>) -> Result<Vec<u8>> {
    let (mut values, mut tensors) = (Vec::new(), BTreeMap::new());
    for (name, (shape, tensor)) in named {
        let start = values.len();
        values.extend(tensor.iter().flat_map(|value| value.to_le_bytes()));
        let entry = Entry { dtype: F32.into(), shape: shape.to_vec(), data_offsets: [start, values.len()] };
        tensors.insert(name.to_owned(), entry);
    }
    let metadata = BTreeMap::from([(SHA256.to_owned(), Digest::of(&values).to_string())]);
    let header = serde_json::to_vec(&Header { metadata, tensors })?;
    let length = (header.len() as u64).to_le_bytes();
    Ok([&length[..], &header, &values].concat())
}

/// The tensors of a file that [`written`] made, by name.
///
/// # Errors
/// The bytes are not whole, not what their own digest says, or hold anything but float32.
pub(crate) fn read(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let length = bytes.split_first_chunk();
    let (length, rest) = length.with_context(|| format!("expected a length, found {} bytes", bytes.len()))?;
    let length = u64::from_le_bytes(*length);
    let parts = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let (header, values) =
        parts.with_context(|| format!("expected a header of {length} bytes, found {}", rest.len()))?;
    let header: Header = serde_json::from_slice(header).context("the header")?;
    let (expected, found) = (header.metadata.get(SHA256), Digest::of(values).to_string());
    ensure!(
        expected == Some(&found),
        "expected values of sha256 {}, found {found}",
        expected.map_or("in the header", String::as_str)
    );
    let tensor = |(name, entry): (String, Entry)| {
        let tensor = floats(entry, values);
        let tensor = tensor.with_context(|| format!("tensor `{name}`: expected float32 of its shape"))?;
        Ok((name, tensor))
    };
    header.tensors.into_iter().map(tensor).collect()
}

fn floats(Entry { dtype, shape, data_offsets: [start, end] }: Entry, values: &[u8]) -> Option<Tensor> {
    let (values, rest) = values.get(start..end)?.as_chunks();
    let count = shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size));
    let is_whole = rest.is_empty() && dtype == F32 && count == Some(values.len());
    let values = || values.iter().map(|value| f32::from_le_bytes(*value)).collect();
    is_whole.then(|| Tensor { shape, values: values() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_come_back_to_the_bit() {
        let (long, odd) = (vec![0.5; 600], vec![-0.0, f32::MIN_POSITIVE, f32::INFINITY]);
        let named: [(&str, View<'_>); 3] =
            [("z", (&[2, 300], &long)), ("/a/Conv_output_0", (&[3], &odd)), ("none", (&[0], &[]))];
        let tensors = read(&written(named).unwrap()).unwrap();
        assert_eq!(tensors.keys().collect::<Vec<_>>(), ["/a/Conv_output_0", "none", "z"]);
        assert_eq!(tensors["z"], Tensor { shape: vec![2, 300], values: long });
        assert_eq!(tensors["/a/Conv_output_0"].values, odd);
        assert!(
            tensors["/a/Conv_output_0"].values[0].is_sign_negative() && tensors["none"].values.is_empty()
        );
    }

    #[test]
    fn the_layout_is_that_of_safetensors() {
        let bytes = written([("b", (&[1][..], &[1.0][..])), ("a", (&[1], &[2.0]))]).unwrap();
        let (length, rest) = bytes.split_first_chunk().unwrap();
        let (header, values) = rest.split_at(u64::from_le_bytes(*length) as usize);
        let header: serde_json::Value = serde_json::from_slice(header).unwrap();
        assert_eq!(header["b"], serde_json::json!({ "dtype": "F32", "shape": [1], "data_offsets": [0, 4] }));
        assert_eq!(values, [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]);
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let whole = written([("a", (&[2][..], &[1.0, 2.0][..]))]).unwrap();
        for length in [0, 7, 8, 40, whole.len() - 1] {
            assert!(read(&whole[..length]).is_err(), "{length} bytes");
        }
        for at in [0, 9, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(read(&changed).is_err(), "byte {at}");
        }
        for (old, new) in [("F32", "I32"), ("\"shape\":[2]", "\"shape\":[3]"), ("[0,8]", "[0,9]")] {
            let at = whole.windows(old.len()).position(|bytes| bytes == old.as_bytes()).expect(old);
            let mut changed = whole.clone();
            changed[at..at + old.len()].copy_from_slice(new.as_bytes());
            let error = read(&changed).expect_err(new);
            assert_eq!(error.to_string(), "tensor `a`: expected float32 of its shape");
        }
    }
}
