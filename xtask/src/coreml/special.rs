//! What the provider asks of single operators that is more than a number to compare.

use quantizer::proto::tensor_proto::DataType;

use super::check::{element_among, ensure, wrong_attribute};
use super::subject::{Subject, casts_to_int32, unknown};
use super::{Left, Reason, rules};

/// The most dimensions that CoreML computes with.
const MOST_DIMENSIONS: usize = 5;

fn too_many_dimensions(what: &str, rank: usize) -> Left {
    Left::because(Reason::Rank, format!("of {what} is {rank}, expected at most {MOST_DIMENSIONS}"))
}

/// `axis`, counted from the front.
fn from_front(axis: i64, rank: usize) -> usize {
    (if axis < 0 { axis + rank as i64 } else { axis }) as usize
}

/// All inputs have the element type of the first.
pub fn same_types(subject: &Subject<'_>) -> Result<(), Left> {
    let types: Vec<DataType> =
        subject.node.input.iter().filter(|name| !name.is_empty()).map(|name| subject.element(name)).collect();
    ensure(types.windows(2).all(|pair| pair[0] == pair[1]), || {
        let names: Vec<String> = types.iter().map(|&it| quantizer::census::element_name(it)).collect();
        Left::because(Reason::ElementType, format!("inputs are {}, expected the same", names.join(", ")))
    })
}

/// A `NeuralNetwork` does not know a reduction over no axis that leaves everything as it is.
pub fn no_empty_axes(subject: &Subject<'_>) -> Result<(), Left> {
    if subject.is_ml_program() || subject.integer("noop_with_empty_axes", 0) == 0 {
        return Ok(());
    }
    let is_empty = subject.input(1).is_none() || subject.integers(1, "axes")?.is_empty();
    ensure(!is_empty, || wrong_attribute("noop_with_empty_axes", &1, &0))
}

/// Two dimensions to pool over, next to each other.
pub fn pooled_in_two_dimensions(subject: &Subject<'_>) -> Result<(), Left> {
    let kernel = subject.list("kernel_shape").map_or(2, <[i64]>::len);
    ensure(kernel == 2, || {
        Left::because(Reason::Rank, format!("of `kernel_shape` is {kernel}, expected 2"))
    })?;
    let dilations = subject.list("dilations").unwrap_or(&[1, 1]);
    ensure(dilations == [1, 1], || wrong_attribute("dilations", &format_args!("{dilations:?}"), &"[1, 1]"))
}

/// An `ArgMax` as an ML Program has one reader, and a cast that reads it is to int32, since CoreML counts in int32.
pub fn arg_max_feeds_what_is_taken(subject: &Subject<'_>) -> Result<(), Left> {
    let readers = subject.consumers(0);
    let casts = readers.iter().filter(|node| node.op_type() == "Cast").count();
    let to_int32 = readers.iter().filter(|node| casts_to_int32(node)).count();
    let wrong = |detail: String| Err(Left::because(Reason::Neighbours, detail));
    match readers.len() {
        1 if !subject.is_ml_program() || casts == to_int32 => Ok(()),
        1 => wrong("is cast to another type than int32".into()),
        2.. if to_int32 > 0 => wrong("is cast to int32 and read elsewhere".into()),
        _ if !subject.is_ml_program() => Ok(()),
        count => wrong(format!("{count} readers, expected 1")),
    }
}

/// A cast of what another node made, between types that CoreML has; in a `NeuralNetwork` of an `ArgMax` to int32 only.
pub fn cast(subject: &Subject<'_>) -> Result<(), Left> {
    const CASTABLE: &[DataType] = &[DataType::Float, DataType::Float16, DataType::Int32, DataType::Int64];
    if subject.is_ml_program() {
        element_among(subject, "output 0", subject.output(0), CASTABLE)?;
    }
    let producer = subject.producer(0);
    let producer = producer.ok_or_else(|| {
        Left::because(Reason::Neighbours, "no node makes input 0, which has to come from one")
    })?;
    if subject.is_ml_program() {
        return Ok(());
    }
    ensure(producer.op_type() == "ArgMax", || {
        Left::because(Reason::Neighbours, "input 0 comes from another operator than ArgMax")
    })?;
    rules::verdict(&Subject { node: producer, ..*subject })
        .map_err(|_| Left::because(Reason::Neighbours, "input 0 comes from an ArgMax that is left"))?;
    element_among(subject, "output 0", subject.output(0), &[DataType::Int32])
}

/// A `NeuralNetwork` concatenates along the axis that is the third from the end.
pub fn concat_along_channels(subject: &Subject<'_>) -> Result<(), Left> {
    let rank = subject.shape(0)?.len();
    let axis = subject.integer("axis", 1);
    ensure(subject.is_ml_program() || from_front(axis, rank) + 3 == rank, || {
        wrong_attribute("axis", &axis, &-3)
    })
}

/// There is no other place for the kernel's shape than the weight's own.
pub fn kernel_of_the_weight(subject: &Subject<'_>) -> Result<(), Left> {
    let Some(kernel) = subject.list("kernel_shape") else { return Ok(()) };
    let weight = subject.shape(1)?.get(2..).unwrap_or_default();
    let same = kernel.len() == weight.len() && kernel.iter().zip(weight).all(|(a, b)| Some(*a) == *b);
    ensure(same, || wrong_attribute("kernel_shape", &format_args!("{kernel:?}"), &"the weight's"))
}

/// CoreML agrees with ONNX on padded transposed convolutions only where all sides are padded alike.
pub fn equal_pads(subject: &Subject<'_>) -> Result<(), Left> {
    let pads = if subject.text("auto_pad", "NOTSET") == "NOTSET" { subject.list("pads") } else { None };
    let pads = pads.unwrap_or_default();
    ensure(pads.windows(2).all(|pair| pair[0] == pair[1]), || {
        wrong_attribute("pads", &format_args!("{pads:?}"), &"the same on all sides")
    })
}

/// CoreML has no such padding.
pub fn no_output_padding(subject: &Subject<'_>) -> Result<(), Left> {
    let padding = subject.list("output_padding").unwrap_or_default();
    ensure(padding.iter().all(|&side| side == 0), || {
        wrong_attribute("output_padding", &format_args!("{padding:?}"), &0)
    })
}

/// In mode `CRD` the provider reshapes, for which it has to know the shape.
pub fn static_if_column_row_depth(subject: &Subject<'_>) -> Result<(), Left> {
    if subject.text("mode", "DCR") == "CRD" { subject.static_shape(0).map(drop) } else { Ok(()) }
}

/// At least one dimension.
pub fn no_scalar(subject: &Subject<'_>) -> Result<(), Left> {
    ensure(!subject.shape(0)?.is_empty(), || {
        Left::because(Reason::Rank, "of input 0 is 0, expected at least 1")
    })
}

/// Indices are no scalar, since a partition gets scalars as vectors of one.
pub fn gather(subject: &Subject<'_>) -> Result<(), Left> {
    let (data, indices) = (subject.shape(0)?.len(), subject.shape(1)?.len());
    ensure(indices > 0, || Left::because(Reason::Rank, "of input 1, `indices`, is 0, expected at least 1"))?;
    let rank = (data + indices).saturating_sub(1);
    ensure(rank <= MOST_DIMENSIONS, || too_many_dimensions("the output", rank))
}

/// `A · B + C` with neither factors nor a transposed `A`, and `C` constant, one for each column or one for all.
pub fn gemm(subject: &Subject<'_>) -> Result<(), Left> {
    let transposed = subject.integer("transA", 0);
    ensure(transposed == 0, || wrong_attribute("transA", &transposed, &0))?;
    for factor in ["alpha", "beta"] {
        let found = subject.float(factor, 1.0);
        ensure(found == 1.0, || wrong_attribute(factor, &found, &1))?;
    }
    if subject.input(2).is_none() {
        return Ok(());
    }
    ensure(subject.is_constant(2), || super::subject::not_constant(2, "C"))?;
    let columns = subject.shape(1)?.get(usize::from(subject.integer("transB", 0) == 0)).copied().flatten();
    let fits = match *subject.shape(2)? {
        [] => true,
        [one] | [Some(1), one] if one == columns => true,
        [one] => one == Some(1),
        _ => false,
    };
    ensure(fits, || Left::because(Reason::Shape, "input 2, `C`, is not one for each column"))
}

/// A vector times a matrix is wrong in an ML Program.
pub fn no_vector(subject: &Subject<'_>) -> Result<(), Left> {
    let ranks = [subject.shape(0)?.len(), subject.shape(1)?.len()];
    let wrong = subject.is_ml_program() && ranks.contains(&1) && ranks[0] != ranks[1];
    ensure(!wrong, || Left::because(Reason::Rank, "of one input is 1, expected a matrix"))
}

/// All that CoreML has but cubic interpolation, and linear with reflected borders where corners are not aligned.
pub fn grid_sample(subject: &Subject<'_>) -> Result<(), Left> {
    let mode = subject.text("mode", "linear");
    ensure(matches!(mode, "linear" | "bilinear" | "nearest"), || {
        wrong_attribute("mode", &format_args!("`{mode}`"), &"`linear` or `nearest`")
    })?;
    let differs = mode != "nearest"
        && subject.text("padding_mode", "zeros") == "reflection"
        && subject.integer("align_corners", 0) == 0;
    ensure(!differs, || wrong_attribute("padding_mode", &"`reflection`", &"`zeros` or `border`"))
}

/// Slopes are constant: one for each channel, or one for all of more than one.
pub fn slope(subject: &Subject<'_>) -> Result<(), Left> {
    let shape = subject.shape(0)?;
    let channels = shape[shape.len() - 3].ok_or_else(|| {
        Left::because(Reason::DynamicDimension, "of input 0, the third from the end, which has to be static")
    })?;
    ensure(subject.is_constant(1), || super::subject::not_constant(1, "slope"))?;
    let slopes = subject.static_shape(1)?;
    let is_one = slopes.iter().product::<i64>() == 1;
    let one_a_channel = matches!(slopes[..], [_, 1, 1]);
    ensure((is_one || one_a_channel) && !(is_one && channels == 1), || {
        Left::because(Reason::Shape, format!("input 1, `slope`, is {slopes:?} for {channels} channels"))
    })
}

/// Where nothing is taken away, and what is added is known; in a `NeuralNetwork`, and of reflections, in the last two
/// dimensions.
pub fn pad(subject: &Subject<'_>) -> Result<(), Left> {
    let shape = subject.shape(0)?;
    let (rank, is_constant) = (shape.len(), subject.text("mode", "constant") == "constant");
    let least = if subject.is_ml_program() { 1 } else { 2 };
    ensure(rank >= least, || {
        Left::because(Reason::Rank, format!("of input 0 is {rank}, expected at least {least}"))
    })?;
    if !subject.is_ml_program() {
        ensure(subject.input(2).is_some(), || {
            Left::because(Reason::Parameter, "`constant_value` is left out, expected one")
        })?;
        element_among(subject, "input 2", subject.input(2), &[DataType::Float])?;
    }
    let pads = subject.integers(1, "pads")?;
    ensure(pads.iter().all(|&pad| pad >= 0), || {
        Left::because(Reason::Parameter, "`pads` has a negative number")
    })?;
    let axes = match subject.input(3) {
        Some(_) => subject.integers(3, "axes")?,
        None => (0..rank as i64).collect(),
    };
    for (at, &named) in axes.iter().enumerate() {
        let place = from_front(named, rank);
        let most = pads.get(at).copied().unwrap_or(0).max(pads.get(at + axes.len()).copied().unwrap_or(0));
        ensure((subject.is_ml_program() && is_constant) || place + 2 >= rank || most == 0, || {
            Left::because(Reason::Parameter, "`pads` are not in the last two dimensions")
        })?;
        if is_constant {
            continue;
        }
        let length = shape.get(place).copied().flatten().ok_or_else(|| {
            Left::because(Reason::DynamicDimension, "of input 0, which has to be static to reflect it")
        })?;
        ensure(most < length, || Left::because(Reason::Parameter, "`pads` reflect more than there is"))?;
    }
    Ok(())
}

/// From a static shape to a constant one.
pub fn reshape(subject: &Subject<'_>) -> Result<(), Left> {
    let wanted = subject.integers(1, "shape")?;
    ensure(!wanted.is_empty(), || Left::because(Reason::Parameter, "`shape` is that of a scalar"))?;
    ensure(!subject.static_shape(0)?.is_empty(), || {
        Left::because(Reason::Rank, "of input 0 is 0, expected at least 1")
    })?;
    ensure(wanted.len() <= MOST_DIMENSIONS, || too_many_dimensions("`shape`", wanted.len()))?;
    ensure(subject.integer("allowzero", 0) != 1 || !wanted.contains(&0), || {
        Left::because(Reason::Parameter, "`shape` has a 0 that `allowzero` takes as it is")
    })
}

/// A part of a shape is not empty.
pub fn part_of_the_shape(subject: &Subject<'_>) -> Result<(), Left> {
    let rank = subject.shape(0)?.len();
    let end = from_front(subject.integer("end", rank as i64), rank);
    let start = from_front(subject.integer("start", 0), rank);
    ensure(rank == 0 || start != end, || Left::because(Reason::Attribute, "`start` and `end` leave nothing"))
}

/// Of a static shape, by constants, so that something is left.
pub fn slice(subject: &Subject<'_>) -> Result<(), Left> {
    let shape = subject.static_shape(0)?;
    let (starts, ends) = (subject.integers(1, "starts")?, subject.integers(2, "ends")?);
    let axes = match subject.input(3) {
        Some(_) => subject.integers(3, "axes")?,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = match subject.input(4) {
        Some(_) => subject.integers(4, "steps")?,
        None => vec![1; starts.len()],
    };
    for (((&start, &end), &axis), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let length = shape.get(from_front(axis, shape.len())).copied().unwrap_or(0);
        let at = |place: i64| if place < 0 { place.saturating_add(length) } else { place };
        // Where a slice begins and ends: <https://onnx.ai/onnx/operators/onnx__Slice.html>.
        let is_some = match step {
            1.. => at(start).clamp(0, length) < at(end).clamp(0, length),
            0 => false,
            _ => at(start).clamp(0, length - 1) > at(end).clamp(-1, length - 1),
        };
        ensure(is_some, || Left::because(Reason::Parameter, "`starts` and `ends` leave nothing"))?;
    }
    Ok(())
}

/// Before version 13 a Softmax flattens its input, for which the provider has to know its shape.
pub fn static_if_old_softmax(subject: &Subject<'_>) -> Result<(), Left> {
    if subject.opset() < 13 { subject.static_shape(0).map(drop) } else { Ok(()) }
}

/// Into at least two parts that are known.
pub fn split(subject: &Subject<'_>) -> Result<(), Left> {
    let shape = subject.shape(0)?;
    let length = shape.get(from_front(subject.integer("axis", 0), shape.len())).copied().flatten();
    let dynamic =
        || Left::because(Reason::DynamicDimension, "of input 0 along `axis`, which has to be static");
    if subject.input(1).is_some() {
        let sizes = subject.integers(1, "split")?;
        ensure(sizes.len() >= 2, || {
            Left::because(Reason::Parameter, "`split` has one part, expected at least 2")
        })?;
        let length = length.ok_or_else(dynamic)?;
        ensure(sizes.iter().sum::<i64>() == length && !sizes.contains(&0), || {
            Left::because(Reason::Parameter, "`split` has an empty part, or other parts than the whole")
        })
    } else if subject.opset() >= 18 {
        let parts = subject.integer("num_outputs", 0);
        ensure(parts >= 2 && parts == subject.node.output.len() as i64, || {
            wrong_attribute("num_outputs", &parts, &"at least 2, and as many as there are outputs")
        })?;
        let length = length.ok_or_else(dynamic)?;
        ensure(parts <= length, || wrong_attribute("num_outputs", &parts, &"at most the length along `axis`"))
    } else {
        Ok(())
    }
}

/// To at most five dimensions.
pub fn unsqueeze(subject: &Subject<'_>) -> Result<(), Left> {
    let more = if subject.opset() < 13 {
        subject.list("axes").map_or(0, <[i64]>::len)
    } else {
        let axes = subject.shape(1)?.first().copied().flatten();
        axes.ok_or_else(|| unknown("input 1"))? as usize
    };
    let rank = subject.shape(0)?.len() + more;
    ensure(rank <= MOST_DIMENSIONS, || too_many_dimensions("the output", rank))
}
