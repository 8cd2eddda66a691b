//! Weights out of an artifact, as tensors of the runtime.

use ort::value::{DynValue, Tensor};

use super::{Element, Finer, Span, Stored, Weight, damaged};
use crate::error::Error;
use crate::runtime::RuntimeMessage;

/// The weight as a tensor.
///
/// # Errors
/// [`ErrorKind::PreparedDamaged`] for a weight that lies outside of the artifact or has another size than its shape.
pub(super) fn tensor(weight: &Weight<'_>, artifact: &[u8]) -> Result<DynValue, Error> {
    let shape: Vec<usize> = weight.shape.iter().map(|&length| length as usize).collect();
    let elements: usize = shape.iter().product();
    let refused = |source: ort::Error| {
        let reason = format!("no tensor can be made of weight `{}`", weight.name);
        Error::with_source(damaged(reason), RuntimeMessage::from(source))
    };
    let wrong = |what: &str| damaged(format!("weight `{}`: {what}", weight.name));
    let tensor = match weight.stored {
        Stored::Plain { values, element } => {
            let bytes = part(artifact, values).ok_or_else(|| wrong("its values lie outside of the model"))?;
            if bytes.len() != elements * element.size() {
                return Err(wrong("its values do not fill its shape").into());
            }
            plain(shape, bytes, element)
        }
        Stored::Levels { levels, scales, inner, finer } => {
            let found = (part(artifact, levels), part(artifact, scales));
            let (Some(levels), Some(scales)) = found else {
                return Err(wrong("its levels lie outside of the model").into());
            };
            let scales: Vec<f32> =
                scales.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            let row = inner as usize * scales.len();
            if levels.len() != elements || row == 0 || !elements.is_multiple_of(row) {
                return Err(wrong("its levels and scales do not fill its shape").into());
            }
            let inner = inner as usize;
            let values = match finer {
                None => scaled(&scales, inner, levels, |_, level| f32::from(level)),
                Some(Finer { packed, bits }) => {
                    let packed = part(artifact, packed).filter(|it| it.len() * 8 == elements * bits as usize);
                    let packed = packed.ok_or_else(|| wrong("its lower bits do not fill its shape"))?;
                    match bits {
                        1 => scaled(&scales, inner, levels, whole_level::<1>(packed)),
                        2 => scaled(&scales, inner, levels, whole_level::<2>(packed)),
                        4 => scaled(&scales, inner, levels, whole_level::<4>(packed)),
                        _ => return Err(wrong("expected 1, 2 or 4 lower bits").into()),
                    }
                }
            };
            Tensor::from_array((shape, values)).map(Tensor::into_dyn)
        }
    };
    tensor.map_err(refused)
}

fn part(artifact: &[u8], span: Span) -> Option<&[u8]> {
    let start = usize::try_from(span.start).ok()?;
    artifact.get(start..)?.get(..usize::try_from(span.bytes).ok()?)
}

fn plain(shape: Vec<usize>, bytes: &[u8], element: Element) -> ort::Result<DynValue> {
    Ok(match element {
        Element::Float32 => Tensor::from_array((shape, numbers(bytes, f32::from_le_bytes)))?.into_dyn(),
        Element::Int8 => Tensor::from_array((shape, numbers(bytes, i8::from_le_bytes)))?.into_dyn(),
        Element::Uint8 => Tensor::from_array((shape, bytes.to_vec()))?.into_dyn(),
        Element::Int32 => Tensor::from_array((shape, numbers(bytes, i32::from_le_bytes)))?.into_dyn(),
        Element::Int64 => Tensor::from_array((shape, numbers(bytes, i64::from_le_bytes)))?.into_dyn(),
    })
}

fn numbers<T, const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&bytes| number(bytes)).collect()
}

/// `level(i, h) · scale` of each element `i` whose int8 is `h`. The level is exact in float32, so one product rounds, as
/// in the graph.
fn scaled(scales: &[f32], inner: usize, levels: &[u8], level: impl Fn(usize, i8) -> f32) -> Vec<f32> {
    let mut values = Vec::with_capacity(levels.len());
    for (index, row) in levels.chunks_exact(scales.len() * inner).enumerate() {
        let start = index * row.len();
        let row = row.iter().enumerate().map(|(at, &high)| level(start + at, high.cast_signed()));
        if inner == 1 {
            values.extend(row.zip(scales).map(|(level, scale)| level * scale));
        } else {
            values.extend(row);
            for (channel, scale) in values[start..].chunks_exact_mut(inner).zip(scales) {
                for level in channel {
                    *level *= scale;
                }
            }
        }
    }
    values
}

/// `2ᵏ·h + l` of the element at an index, `l` out of the packed lower `K` bits of all.
fn whole_level<const K: usize>(packed: &[u8]) -> impl Fn(usize, i8) -> f32 {
    move |index, high| {
        let low = packed[index / (8 / K)] >> (K * (index % (8 / K))) & ((1 << K) - 1);
        f32::from((i16::from(high) << K) + i16::from(low))
    }
}

impl Element {
    /// Bytes of one value.
    fn size(self) -> usize {
        match self {
            Self::Int8 | Self::Uint8 => 1,
            Self::Float32 | Self::Int32 => 4,
            Self::Int64 => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn scales_go_round_the_channels() {
        let levels: Vec<u8> = (0..12).map(|level| (level as i8 - 6).cast_unsigned()).collect();
        let level = |_, level: i8| f32::from(level);
        // [4, 3], one scale for each of the last axis; then [2, 3, 2], one for each of the middle one.
        let one = scaled(&[1.0, 10.0, 100.0], 1, &levels, level);
        let two = scaled(&[1.0, 10.0, 100.0], 2, &levels, level);
        assert_eq!(one, [-6.0, -50.0, -400.0, -3.0, -20.0, -100.0, 0.0, 10.0, 200.0, 3.0, 40.0, 500.0]);
        assert_eq!(two, [-6.0, -5.0, -40.0, -30.0, -200.0, -100.0, 0.0, 1.0, 20.0, 30.0, 400.0, 500.0]);
    }

    #[test]
    fn lower_bits_are_unpacked_low_ones_first() {
        // Levels 4·h + l of 5, −1, −512 and 511.
        let (levels, packed) = ([1, -1, -128, 127].map(i8::cast_unsigned), [0b1100_1101]);
        let values = scaled(&[0.5, 2.0], 2, &levels, whole_level::<2>(&packed));
        assert_eq!(values, [2.5, -0.5, -1024.0, 1022.0]);
    }

    #[test]
    fn a_weight_that_does_not_fit_is_named() {
        let stored = |start| Stored::Plain { values: Span { start, bytes: 4 }, element: Element::Float32 };
        let weight = |shape: &[u32], start| Weight {
            name: "w".into(),
            shape: shape.to_vec(),
            is_input: false,
            stored: stored(start),
        };
        for (weight, expected) in [
            (weight(&[2], 0), "weight `w`: its values do not fill its shape"),
            (weight(&[1], 5), "weight `w`: its values lie outside of the model"),
            (weight(&[1], u64::MAX), "weight `w`: its values lie outside of the model"),
        ] {
            let error = tensor(&weight, &[0; 8]).unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::PreparedDamaged { reason } if reason == expected),
                "{error}"
            );
        }
    }
}
