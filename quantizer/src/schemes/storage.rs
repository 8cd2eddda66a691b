//! How a weight is stored as integers that a runtime's constant folding turns back into floats.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{View, integer_attribute, is, node, string_attribute};
use crate::int8::{self, Channels, Loss, Range};
use crate::names::Names;
use crate::proto::{NodeProto, TensorProto, tensor_proto::DataType};
use crate::tensor;
use half::f16;

/// How fine a stored weight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// An int8.
    Eight,
    /// An int8 and one bit, eight of them in a byte.
    Nine,
    /// An int8 and two bits, four pairs in a byte.
    Ten,
    /// An int8 and four bits, two halves in a byte.
    Twelve,
}

impl Bits {
    /// The number that is meant by `bits`; `None` for one that does not pack into whole bytes.
    pub fn new(bits: u32) -> Option<Self> {
        match bits {
            8 => Some(Self::Eight),
            9 => Some(Self::Nine),
            10 => Some(Self::Ten),
            12 => Some(Self::Twelve),
            _ => None,
        }
    }

    /// The bits below those of the int8.
    fn extra(self) -> u32 {
        match self {
            Self::Eight => 0,
            Self::Nine => 1,
            Self::Ten => 2,
            Self::Twelve => 4,
        }
    }
}

/// The stored form of one weight; the last node makes a value with the weight's own name, so the nodes that use it
/// stay as they are.
pub(super) struct Stored {
    /// The int8 initializer.
    pub(super) levels: TensorProto,
    /// The initializers beside it: the scale, and what unpacks further bits.
    pub(super) others: Vec<TensorProto>,
    pub(super) nodes: Vec<NodeProto>,
    /// The operator set that has all of these nodes.
    pub(super) opset: i64,
}

impl Stored {
    /// Gives everything but the weight itself a name that is not taken.
    pub(super) fn settle(&mut self, names: &mut Names, weight: &str) {
        let mut tensors = vec![std::mem::take(&mut self.levels)];
        tensors.append(&mut self.others);
        names.settle(&mut self.nodes, &mut tensors, weight);
        self.others = tensors.split_off(1);
        self.levels = tensors.remove(0);
    }
}

/// The initializers that a weight is stored in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found<'a> {
    /// The int8 of each element.
    pub levels: &'a TensorProto,
    /// A scale for each channel, of the shape that broadcasts over the levels.
    pub scale: &'a TensorProto,
    /// The packed lower bits, and how many each element has.
    pub finer: Option<(&'a TensorProto, u32)>,
}

/// How the weight `name` is stored; `None` if it is no stored weight.
pub fn find<'a>(view: &View<'a>, name: &str) -> Option<Found<'a>> {
    let is_last = |node: &NodeProto| is(node, "Mul") && node.name() == format!("{name}_Mul");
    view.producer(name).filter(|node| is_last(node))?;
    let initializer = |what: &str| view.initializer(&format!("{name}_{what}"));
    let finer = match initializer("low") {
        // As many places as a byte has parts.
        Some(low) => Some((low, 8 / u32::try_from(*initializer("places")?.dims.last()?).ok()?)),
        None => None,
    };
    Some(Found { levels: initializer("int8")?, scale: initializer("scale")?, finer })
}

/// Stores `weight` with one scale for each position along `axes`.
///
/// Of `Eight` bits that is `Mul(Cast(int8), scale)`. With `k` bits more, a level `L` is split as `2ᵏ·h + l`: `h`, the
/// int8 above, and `l` below, packed into bytes, low bits first; `Mul(Add(Mul(Cast(h), 2ᵏ), Cast(l)), scale)` is
/// `L·scale` with no rounding before the last product. `l` is unpacked by two `BitShift`, to the left and back to the
/// right, of each byte by each of its places; opset 11 has that, and every runtime that folds constants folds it.
///
/// That is float16 for a weight of float16 whose scales it has, and float32 otherwise, cast to the
/// type of the weight at the end. A weight whose values would be lost is told as a [`Loss`].
///
/// # Errors
/// [`ErrorKind::Tensor`] for values without a number, [`ErrorKind::Unsupported`] for a weight whose
/// elements do not fill whole bytes.
pub(super) fn store(
    weight: &TensorProto,
    axes: std::ops::Range<usize>,
    bits: Bits,
) -> Result<Result<Stored, Loss>> {
    let name = weight.name();
    let of_weight = tensor::element_type(weight);
    let dims = tensor::shape(weight);
    let values = tensor::to_nearest_f32(weight)?;
    int8::check_numbers(name, &values)?;
    if let Err(loss) = int8::check_range(&values, tensor::largest(of_weight)) {
        return Ok(Err(loss));
    }
    if of_weight == DataType::Double {
        let vanishes = |(wide, value): (&f64, &f32)| *wide != 0.0 && *value == 0.0;
        if tensor::to_f64(weight)?.iter().zip(&values).any(vanishes) {
            return Ok(Err(Loss::Range));
        }
    }
    let view = Channels::new(&dims, axes.clone());
    let range = Range::with_extra_bits(bits.extra());
    let mut scales = int8::least_squares_scales(&values, view, range);
    // The shape that broadcasts: its own size on the channel axes and behind them 1.
    let mut scale_dims = vec![1; dims.len()];
    scale_dims[axes.clone()].copy_from_slice(&dims[axes]);
    let scale_name = format!("{name}_scale");
    let fits_half = |scale: &f32| (f16::MIN_POSITIVE.to_f32()..f16::MAX.to_f32()).contains(scale);
    let element = match of_weight {
        DataType::Float16 if scales.iter().all(fits_half) => DataType::Float16,
        _ => DataType::Float,
    };
    let scale = tensor::from_float(&scale_name, element, &scale_dims, &scales);
    if element == DataType::Float16 {
        // Levels are for the scale as it is stored.
        scales = tensor::to_f32(&scale)?;
    }
    let (stored, floats) = (format!("{name}_int8"), format!("{name}_cast"));
    let mut nodes = vec![cast(name, &stored, &floats, element)];
    let mut others = vec![scale];
    let (levels, sum) = if bits == Bits::Eight {
        let levels = int8::quantize(&values, view, &scales);
        if let Err(loss) = int8::check_levels(&values, &levels) {
            return Ok(Err(loss));
        }
        (levels, floats)
    } else {
        let levels = int8::quantize_to(&values, view, &scales, range);
        if let Err(loss) = int8::check_levels(&values, &levels) {
            return Ok(Err(loss));
        }
        let (high, low) = split(&levels, bits).ok_or_else(|| {
            let wanted = 8 / bits.extra();
            let message = format!("expected a multiple of {wanted} elements to pack, found {}", levels.len());
            Error::tensor(ErrorKind::Unsupported, name, message)
        })?;
        unpack(name, bits, element, &dims, &low, &mut nodes, &mut others);
        (high, format!("{name}_sum"))
    };
    if element == of_weight {
        nodes.push(node("Mul", format!("{name}_Mul"), &[&sum, &scale_name], &[name]));
    } else {
        let product = format!("{name}_scaled");
        nodes.push(node("Mul", format!("{name}_Mul"), &[&sum, &scale_name], &[&product]));
        nodes.push(cast(&format!("{name}_as_stored"), &product, name, of_weight));
    }
    let integers = TensorProto {
        doc_string: weight.doc_string.clone(),
        metadata_props: weight.metadata_props.clone(),
        ..tensor::from_i8(&stored, &dims, &levels)
    };
    let opset = match (of_weight, bits) {
        // Mul broadcasts as it does now since 7; BitShift came with 11, bfloat16 in Cast with 13.
        (DataType::Bfloat16, _) => 13,
        (_, Bits::Eight) => 7,
        _ => 11,
    };
    Ok(Ok(Stored { levels: integers, others, nodes, opset }))
}

fn cast(name: &str, from: &str, to: &str, element: DataType) -> NodeProto {
    let mut cast = node("Cast", format!("{name}_Cast"), &[from], &[to]);
    cast.attribute.push(integer_attribute("to", i64::from(i32::from(element))));
    cast
}

/// The upper eight bits of each level and the packed lower ones; `None` where these do not fill whole bytes.
fn split(levels: &[i16], bits: Bits) -> Option<(Vec<i8>, Vec<u8>)> {
    let extra = bits.extra();
    let (bytes, rest) = (levels.chunks_exact((8 / extra) as usize), levels.len() % (8 / extra) as usize);
    let below = (1 << extra) - 1;
    let pack = |levels: &[i16]| {
        let places = (0..).step_by(extra as usize);
        levels.iter().zip(places).fold(0, |byte, (&level, place)| byte | ((level & below) as u8) << place)
    };
    (rest == 0).then(|| {
        // An arithmetic shift rounds down, so what is below is never negative.
        let high = levels.iter().map(|&level| (level >> extra) as i8).collect();
        (high, bytes.map(pack).collect())
    })
}

/// Adds the nodes from the packed bits and the cast int8 to the whole level, `{name}_sum`.
fn unpack(
    name: &str,
    bits: Bits,
    element: DataType,
    dims: &[usize],
    low: &[u8],
    nodes: &mut Vec<NodeProto>,
    others: &mut Vec<TensorProto>,
) {
    let extra = bits.extra();
    let value = |what: &str| format!("{name}_{what}");
    let places: Vec<u8> = (0..8 / extra).map(|place| (8 - extra * (place + 1)) as u8).collect();
    let shape: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
    others.extend([
        tensor::from_u8(&value("low"), &[low.len(), 1], low),
        tensor::from_u8(&value("places"), &[1, places.len()], &places),
        tensor::from_u8(&value("width"), &[1, 1], &[(8 - extra) as u8]),
        tensor::from_i64(&value("shape"), &[dims.len()], &shape),
        tensor::from_float(&value("step"), element, &[], &[f32::from(1_u16 << extra)]),
    ]);
    let shift = |direction: &str, inputs: [&str; 2], output: &str| {
        let inputs = inputs.map(value);
        let mut shift = node(
            "BitShift",
            value(&format!("BitShift_{direction}")),
            &[&inputs[0], &inputs[1]],
            &[&value(output)],
        );
        shift.attribute.push(string_attribute("direction", direction));
        shift
    };
    let step = |op: &str, as_name: &str, inputs: [&str; 2], output: &str| {
        let inputs = inputs.map(value);
        node(op, value(as_name), &[&inputs[0], &inputs[1]], &[&value(output)])
    };
    nodes.extend([
        shift("LEFT", ["low", "places"], "left"),
        shift("RIGHT", ["left", "width"], "unpacked"),
        step("Reshape", "Reshape", ["unpacked", "shape"], "shaped"),
        cast(&value("low"), &value("shaped"), &value("below"), element),
        step("Mul", "low_Mul", ["cast", "step"], "above"),
        step("Add", "Add", ["above", "below"], "sum"),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Bits; 3] = [Bits::Nine, Bits::Ten, Bits::Twelve];

    #[test]
    fn levels_are_split_and_packed_by_hand() {
        // 5 = 1·4 + 1, −1 = −1·4 + 3, −512 = −128·4, 511 = 127·4 + 3; low bits first: 11 00 11 01.
        let (high, low) = split(&[5, -1, -512, 511], Bits::Ten).unwrap();
        assert_eq!((high, low), (vec![1, -1, -128, 127], vec![0b1100_1101]));
        let (high, low) = split(&[-2_048, 2_047], Bits::Twelve).unwrap();
        assert_eq!((high, low), (vec![-128, 127], vec![0b1111_0000]));
        assert_eq!(split(&[1, 2, 3], Bits::Ten), None);
    }

    /// What `BitShift` to the left and to the right makes of a byte, as the ONNX specification defines it.
    fn unpacked(stored: &Stored) -> Vec<u8> {
        let bytes = |what: &str| {
            let tensor = stored.others.iter().find(|it| it.name() == format!("w_{what}")).unwrap();
            tensor::to_i64(tensor).unwrap()
        };
        let (places, width) = (bytes("places"), bytes("width")[0]);
        let shifted =
            |byte: i64| places.iter().map(move |place| ((byte << place) as u8) >> width).collect::<Vec<_>>();
        bytes("low").into_iter().flat_map(shifted).collect()
    }

    #[test]
    fn what_is_unpacked_is_the_level_that_was_stored() {
        let values: Vec<f32> = (0..64u8).map(|i| (f32::from(i) * 1.7).sin()).collect();
        for bits in ALL {
            let stored = store(&tensor::from_f32("w", &[4, 16], &values), 0..1, bits).unwrap().unwrap();
            let (scales, range) =
                (tensor::to_f32(&stored.others[0]).unwrap(), Range::with_extra_bits(bits.extra()));
            let expected = int8::quantize_to(&values, Channels::new(&[4, 16], 0..1), &scales, range);
            let high = tensor::to_i64(&stored.levels).unwrap();
            let levels = high.iter().zip(unpacked(&stored));
            let levels: Vec<i64> =
                levels.map(|(high, low)| (high << bits.extra()) + i64::from(low)).collect();
            assert_eq!(levels, expected.into_iter().map(i64::from).collect::<Vec<_>>(), "{bits:?}");
            // More than an int8 could hold, or the lower bits would not matter.
            assert!(levels.iter().any(|level| *level > 127), "{bits:?}");
        }
    }

    #[test]
    fn a_weight_that_does_not_fill_bytes_is_named() {
        let error = store(&tensor::from_f32("w", &[1, 3], &[1.0, 2.0, 3.0]), 0..1, Bits::Ten).err().unwrap();
        assert_eq!(error.to_string(), "tensor `w`: expected a multiple of 4 elements to pack, found 3");
    }
}
