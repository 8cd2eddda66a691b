//! Tensors: payload sizes, and values in and out of the several fields in which ONNX may store them.

use bytes::Bytes;
use half::{bf16, f16};

use crate::error::{Error, ErrorKind, Result};
use crate::proto::{TensorProto, tensor_proto::DataLocation, tensor_proto::DataType};

/// The element type of a tensor; `Undefined` for a number that the schema does not know.
pub fn element_type(tensor: &TensorProto) -> DataType {
    DataType::try_from(tensor.data_type()).unwrap_or(DataType::Undefined)
}

/// Bits per element; `None` for strings and undefined types, which have no fixed size.
pub fn element_bits(element: DataType) -> Option<usize> {
    use DataType as T;
    Some(match element {
        T::Uint2 | T::Int2 => 2,
        T::Uint4 | T::Int4 | T::Float4e2m1 => 4,
        T::Bool
        | T::Uint8
        | T::Int8
        | T::Float8e4m3fn
        | T::Float8e4m3fnuz
        | T::Float8e5m2
        | T::Float8e5m2fnuz
        | T::Float8e8m0 => 8,
        T::Float6e2m3 | T::Float6e3m2 => 6,
        T::Uint16 | T::Int16 | T::Float16 | T::Bfloat16 => 16,
        T::Uint32 | T::Int32 | T::Float => 32,
        T::Uint64 | T::Int64 | T::Double | T::Complex64 => 64,
        T::Complex128 => 128,
        T::String | T::Undefined => return None,
    })
}

/// How many elements the shape asks for.
///
/// # Errors
/// [`ErrorKind::Tensor`] for a negative dimension or a product beyond what memory can address.
pub fn element_count(tensor: &TensorProto) -> Result<usize> {
    // A dimension of 0 must not hide others whose product, taken in another order, overflows.
    let empty = tensor.dims.contains(&0);
    tensor
        .dims
        .iter()
        .try_fold(1usize, |count, &dim| count.checked_mul(usize::try_from(dim).ok()?.max(1)))
        .filter(|&count| count <= 1 << 40)
        .map(|count| if empty { 0 } else { count })
        .ok_or_else(|| {
            let shape = &tensor.dims;
            Error::tensor(
                ErrorKind::Tensor,
                tensor.name(),
                format!("the shape {shape:?} is negative or too large"),
            )
        })
}

/// The dimensions of a tensor whose shape [`element_count`] accepts.
pub fn shape(tensor: &TensorProto) -> Vec<usize> {
    tensor.dims.iter().map(|&dim| dim as usize).collect()
}

/// Whether the payload lies in another file; see [`crate::external`].
pub fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location() == DataLocation::External
}

/// Bytes that the payload of a tensor takes in a model file; external payloads count nothing.
pub fn stored_bytes(tensor: &TensorProto) -> usize {
    tensor.raw_data().len()
        + 4 * (tensor.float_data.len() + tensor.int32_data.len())
        + 8 * (tensor.int64_data.len() + tensor.double_data.len() + tensor.uint64_data.len())
        + tensor.string_data.iter().map(Bytes::len).sum::<usize>()
}

/// Checks that the payload is as large as type and shape ask for.
///
/// # Errors
/// [`ErrorKind::Tensor`] otherwise.
pub fn check(tensor: &TensorProto) -> Result<()> {
    let count = element_count(tensor)?;
    let element = element_type(tensor);
    let wrong = |message: String| Err(Error::tensor(ErrorKind::Tensor, tensor.name(), message));
    if element == DataType::Undefined {
        return wrong(format!("expected an element type, found the number {}", tensor.data_type()));
    }
    if is_external(tensor) {
        return Ok(());
    }
    if let (Some(raw), Some(bits)) = (&tensor.raw_data, element_bits(element)) {
        let expected = (count * bits).div_ceil(8);
        if raw.len() != expected {
            return wrong(format!(
                "expected {expected} bytes for {element:?} {:?}, found {}",
                tensor.dims,
                raw.len()
            ));
        }
        return Ok(());
    }
    let (field, found) = typed_field(tensor, element);
    // Four-bit types pack two elements into one `int32_data` entry, two-bit types four.
    let per_entry = element_bits(element).map_or(1, |bits| (8 / bits).max(1));
    let expected = match element {
        DataType::Complex64 | DataType::Complex128 => 2 * count,
        _ => count.div_ceil(per_entry),
    };
    if found != expected {
        return wrong(format!("expected {expected} elements in `{field}`, found {found}"));
    }
    Ok(())
}

fn typed_field(tensor: &TensorProto, element: DataType) -> (&'static str, usize) {
    use DataType as T;
    match element {
        T::Float | T::Complex64 => ("float_data", tensor.float_data.len()),
        T::Double | T::Complex128 => ("double_data", tensor.double_data.len()),
        T::Int64 => ("int64_data", tensor.int64_data.len()),
        T::Uint32 | T::Uint64 => ("uint64_data", tensor.uint64_data.len()),
        T::String => ("string_data", tensor.string_data.len()),
        _ => ("int32_data", tensor.int32_data.len()),
    }
}

/// The payload as little-endian bytes, from `raw_data` or one of the fields for floats; `None` for
/// any other form.
pub fn to_raw(tensor: &TensorProto) -> Option<Bytes> {
    match (&tensor.raw_data, element_type(tensor)) {
        (Some(raw), _) => Some(raw.clone()),
        (None, DataType::Float) => {
            Some(tensor.float_data.iter().flat_map(|value| value.to_le_bytes()).collect())
        }
        (None, DataType::Double) => {
            Some(tensor.double_data.iter().flat_map(|value| value.to_le_bytes()).collect())
        }
        _ => None,
    }
}

/// The values of a float32 or float16 tensor, in row-major order, as float32 (which is exact).
///
/// # Errors
/// [`ErrorKind::Unsupported`] for another element type or an external payload, [`ErrorKind::Tensor`] for a
/// payload of the wrong size.
pub fn to_f32(tensor: &TensorProto) -> Result<Vec<f32>> {
    readable(tensor)?;
    match (element_type(tensor), &tensor.raw_data) {
        (DataType::Float, Some(raw)) => Ok(words::<4>(raw).map(f32::from_le_bytes).collect()),
        (DataType::Float, None) => Ok(tensor.float_data.clone()),
        (DataType::Float16, Some(raw)) => {
            Ok(words::<2>(raw).map(|word| f16::from_le_bytes(word).to_f32()).collect())
        }
        (DataType::Float16, None) => {
            Ok(tensor.int32_data.iter().map(|&bits| f16::from_bits(bits as u16).to_f32()).collect())
        }
        _ => unsupported(tensor, "float32 or float16"),
    }
}

/// Whether a weight may be of this type: float64, float32, float16 or bfloat16.
pub fn is_float(element: DataType) -> bool {
    matches!(element, DataType::Float | DataType::Float16 | DataType::Bfloat16 | DataType::Double)
}

/// The largest finite number of a type that [`is_float`].
pub fn largest(element: DataType) -> f64 {
    match element {
        DataType::Float16 => f16::MAX.to_f64(),
        DataType::Bfloat16 => bf16::MAX.to_f64(),
        DataType::Double => f64::MAX,
        _ => f64::from(f32::MAX),
    }
}

/// The values of a tensor of any type that [`is_float`], in row-major order, as the float32 next to
/// each. Only those of float64 are rounded; beyond the range of float32 they are infinite.
///
/// # Errors
/// As [`to_f32`].
pub fn to_nearest_f32(tensor: &TensorProto) -> Result<Vec<f32>> {
    match element_type(tensor) {
        DataType::Double => Ok(to_f64(tensor)?.into_iter().map(|value| value as f32).collect()),
        DataType::Bfloat16 => {
            readable(tensor)?;
            Ok(match &tensor.raw_data {
                Some(raw) => words::<2>(raw).map(|word| bf16::from_le_bytes(word).to_f32()).collect(),
                None => tensor.int32_data.iter().map(|&bits| bf16::from_bits(bits as u16).to_f32()).collect(),
            })
        }
        _ => to_f32(tensor),
    }
}

/// The values of a float64 tensor, in row-major order.
///
/// # Errors
/// As [`to_f32`].
pub fn to_f64(tensor: &TensorProto) -> Result<Vec<f64>> {
    readable(tensor)?;
    match (element_type(tensor), &tensor.raw_data) {
        (DataType::Double, Some(raw)) => Ok(words::<8>(raw).map(f64::from_le_bytes).collect()),
        (DataType::Double, None) => Ok(tensor.double_data.clone()),
        _ => unsupported(tensor, "float64"),
    }
}

/// The values of an integer or boolean tensor of at most 64 bits, in row-major order.
///
/// # Errors
/// As [`to_f32`].
pub fn to_i64(tensor: &TensorProto) -> Result<Vec<i64>> {
    use DataType as T;
    readable(tensor)?;
    let Some(raw) = &tensor.raw_data else {
        return match element_type(tensor) {
            T::Int64 => Ok(tensor.int64_data.clone()),
            T::Int32 | T::Int16 | T::Int8 | T::Uint8 | T::Uint16 | T::Bool => {
                Ok(tensor.int32_data.iter().map(|&value| value.into()).collect())
            }
            _ => unsupported(tensor, "an integer type"),
        };
    };
    Ok(match element_type(tensor) {
        T::Int64 => words::<8>(raw).map(i64::from_le_bytes).collect(),
        T::Int32 => words::<4>(raw).map(|word| i32::from_le_bytes(word).into()).collect(),
        T::Int16 => words::<2>(raw).map(|word| i16::from_le_bytes(word).into()).collect(),
        T::Uint16 => words::<2>(raw).map(|word| u16::from_le_bytes(word).into()).collect(),
        T::Int8 => raw.iter().map(|&byte| i64::from(byte as i8)).collect(),
        T::Uint8 | T::Bool => raw.iter().map(|&byte| byte.into()).collect(),
        _ => return unsupported(tensor, "an integer type"),
    })
}

fn readable(tensor: &TensorProto) -> Result<()> {
    check(tensor)?;
    if is_external(tensor) {
        return unsupported(tensor, "a payload inside the model, not in another file");
    }
    Ok(())
}

fn unsupported<T>(tensor: &TensorProto, expected: &str) -> Result<T> {
    let found = element_type(tensor);
    Err(Error::tensor(ErrorKind::Unsupported, tensor.name(), format!("expected {expected}, found {found:?}")))
}

fn words<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    raw.as_chunks::<N>().0.iter().copied()
}

/// A tensor of float32.
pub fn from_f32(name: &str, dims: &[usize], values: &[f32]) -> TensorProto {
    raw(name, DataType::Float, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// A tensor of float16, each value rounded to the nearest.
pub fn from_f16(name: &str, dims: &[usize], values: &[f32]) -> TensorProto {
    let bytes = values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
    raw(name, DataType::Float16, dims, bytes)
}

/// A tensor of float32, float16 or bfloat16, as `element` says.
pub fn from_float(name: &str, element: DataType, dims: &[usize], values: &[f32]) -> TensorProto {
    match element {
        DataType::Float16 => from_f16(name, dims, values),
        DataType::Bfloat16 => {
            let bytes = values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect();
            raw(name, element, dims, bytes)
        }
        _ => from_f32(name, dims, values),
    }
}

/// A tensor of float64.
pub fn from_f64(name: &str, dims: &[usize], values: &[f64]) -> TensorProto {
    raw(name, DataType::Double, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// A tensor of int8.
pub fn from_i8(name: &str, dims: &[usize], values: &[i8]) -> TensorProto {
    raw(name, DataType::Int8, dims, values.iter().map(|&value| value as u8).collect())
}

/// A tensor of uint8.
pub fn from_u8(name: &str, dims: &[usize], values: &[u8]) -> TensorProto {
    raw(name, DataType::Uint8, dims, values.to_vec())
}

/// A tensor of int32.
pub fn from_i32(name: &str, dims: &[usize], values: &[i32]) -> TensorProto {
    raw(name, DataType::Int32, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// A tensor of int64.
pub fn from_i64(name: &str, dims: &[usize], values: &[i64]) -> TensorProto {
    raw(name, DataType::Int64, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

fn raw(name: &str, element: DataType, dims: &[usize], bytes: Vec<u8>) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        data_type: Some(element.into()),
        dims: dims.iter().map(|&dim| dim as i64).collect(),
        raw_data: Some(bytes.into()),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_the_same_from_every_field() {
        let values = [1.0f32, -0.5, 65504.0];
        let raw32 = from_f32("w", &[3], &values);
        let raw16 = from_f16("w", &[3], &values);
        let typed32 = TensorProto { raw_data: None, float_data: values.to_vec(), ..raw32.clone() };
        let bits = values.iter().map(|&value| f16::from_f32(value).to_bits().into()).collect();
        let typed16 = TensorProto { raw_data: None, int32_data: bits, ..raw16.clone() };
        for tensor in [raw32, raw16, typed32, typed16] {
            assert_eq!(to_f32(&tensor).unwrap(), values, "{:?}", element_type(&tensor));
        }
    }

    #[test]
    fn wide_and_short_floats_are_read_as_the_nearest_float32() {
        let values = [1.0f32, -0.5, 3.0];
        let short = from_float("w", DataType::Bfloat16, &[3], &values);
        let bits = values.iter().map(|&value| bf16::from_f32(value).to_bits().into()).collect();
        let typed = TensorProto { raw_data: None, int32_data: bits, ..short.clone() };
        let wide = from_f64("w", &[3], &[1.0, -0.5, 3.0 + 1e-12]);
        let typed_wide = TensorProto { raw_data: None, double_data: vec![1.0, -0.5, 3.0], ..wide.clone() };
        for tensor in [short, typed, wide, typed_wide] {
            assert_eq!(to_nearest_f32(&tensor).unwrap(), values, "{:?}", element_type(&tensor));
        }
        assert_eq!(to_nearest_f32(&from_f64("w", &[1], &[1e300])).unwrap(), [f32::INFINITY]);
    }

    #[test]
    fn integers_read_the_same_from_every_field() {
        let raw64 = from_i64("w", &[2], &[-3, 100]);
        let raw8 = from_i8("w", &[2], &[-3, 100]);
        let typed64 = TensorProto { raw_data: None, int64_data: vec![-3, 100], ..raw64.clone() };
        let typed8 = TensorProto { raw_data: None, int32_data: vec![-3, 100], ..raw8.clone() };
        for tensor in [raw64, raw8, typed64, typed8] {
            assert_eq!(to_i64(&tensor).unwrap(), [-3, 100], "{:?}", element_type(&tensor));
        }
    }

    #[test]
    fn a_wrong_type_says_what_was_found() {
        let error = to_f32(&from_i8("bias", &[1], &[1])).unwrap_err();
        assert_eq!(error.to_string(), "tensor `bias`: expected float32 or float16, found Int8");
    }

    #[test]
    fn four_bit_payloads_are_counted_in_packed_bytes() {
        let mut tensor = raw("w", DataType::Int4, &[3], vec![0; 2]);
        check(&tensor).unwrap();
        tensor.raw_data = Some(vec![0; 3].into());
        assert!(check(&tensor).is_err());
    }
}
