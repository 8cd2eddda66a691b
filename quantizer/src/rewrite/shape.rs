//! The shapes that operators give to their outputs, as far as the passes need them.

use super::facts::{Dims, Facts};
use crate::graph::{attribute, integer, is};
use crate::proto::NodeProto;

/// The dimensions of output `position` of `node`; `None` for an operator or a case that is not known here.
pub fn infer(node: &NodeProto, position: usize, facts: &Facts<'_>) -> Option<Dims> {
    if !is(node, node.op_type()) || (position > 0 && node.op_type() != "Split") {
        return None;
    }
    let dims = |index: usize| facts.dims(node.input.get(index)?);
    match node.op_type() {
        "Abs"
        | "Atan"
        | "Cast"
        | "Clip"
        | "Cos"
        | "CumSum"
        | "DequantizeLinear"
        | "Elu"
        | "Erf"
        | "Exp"
        | "Floor"
        | "Identity"
        | "LeakyRelu"
        | "Log"
        | "Neg"
        | "QuantizeLinear"
        | "Reciprocal"
        | "Relu"
        | "Round"
        | "ScatterElements"
        | "Sigmoid"
        | "Sin"
        | "Softmax"
        | "Sqrt"
        | "Tanh"
        | "InstanceNormalization" => dims(0),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Greater" | "Less" => broadcast(&dims(0)?, &dims(1)?),
        "Conv" | "QLinearConv" => {
            let weights = dims(if is(node, "Conv") { 1 } else { 3 })?;
            convolution(dims(0), &weights, *weights.first()?)
        }
        "ConvTranspose" => {
            let weights = dims(1)?;
            let per_group = *weights.get(1)?;
            let channels = per_group.and_then(|channels| channels.checked_mul(integer(node, "group", 1)));
            convolution(dims(0), &weights, channels)
        }
        "Gemm" => {
            let axis = |index: usize, name: &str, first: usize| {
                let transposed = integer(node, name, 0) != 0;
                dims(index)?.get(if transposed { 1 - first } else { first }).copied()
            };
            Some(vec![axis(0, "transA", 0)?, axis(1, "transB", 1)?])
        }
        "MatMul" => match (dims(0)?.as_slice(), dims(1)?.as_slice()) {
            ([rows @ .., _], [_, columns]) if !rows.is_empty() => Some([rows, &[*columns]].concat()),
            _ => None,
        },
        "Pad" | "Resize" => Some(kept(node, &dims(0)?, facts)),
        "ReduceMean" => reduced(node, dims(0)?, facts),
        "Reshape" => reshaped(node, &dims(0)?, facts),
        "Transpose" => {
            let dims = dims(0)?;
            permutation(node, dims.len())?.into_iter().map(|axis| dims.get(axis).copied()).collect()
        }
        "Unsqueeze" => {
            let (mut old, axes) = (dims(0)?.into_iter(), facts.axes(node)?);
            let rank = old.len() + axes.len();
            let added = positions(&axes, rank)?;
            (0..rank).map(|axis| if added.contains(&axis) { Some(Some(1)) } else { old.next() }).collect()
        }
        "Squeeze" => {
            let dims = dims(0)?;
            let gone = positions(&facts.axes(node)?, dims.len())?;
            let stays = |&(axis, _): &(usize, &Option<i64>)| !gone.contains(&axis);
            Some(dims.iter().enumerate().filter(stays).map(|(_, &dim)| dim).collect())
        }
        "Concat" => concatenated(node, facts),
        "Split" => {
            let mut dims = dims(0)?;
            let sizes = match node.input.get(1) {
                Some(sizes) => facts.integers(sizes),
                None => attribute(node, "split").map(|attribute| attribute.ints.clone()),
            };
            let axis = *positions(&[integer(node, "axis", 0)], dims.len())?.first()?;
            dims[axis] = sizes.and_then(|sizes| sizes.get(position).copied());
            Some(dims)
        }
        "Slice" => sliced(node, dims(0)?, facts),
        _ => None,
    }
}

/// The permutation of a Transpose of `rank` axes; `None` for one that is none.
pub fn permutation(node: &NodeProto, rank: usize) -> Option<Vec<usize>> {
    let Some(attribute) = attribute(node, "perm") else { return Some((0..rank).rev().collect()) };
    let axes: Option<Vec<usize>> = attribute.ints.iter().map(|&axis| usize::try_from(axis).ok()).collect();
    axes.filter(|axes| axes.len() == rank && (0..rank).all(|axis| axes.contains(&axis)))
}

/// Axes that may count from the end, as positions; `None` where one is out of range.
pub fn positions(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    let at = |&axis: &i64| {
        let from_start = if axis < 0 { axis.checked_add(i64::try_from(rank).ok()?)? } else { axis };
        usize::try_from(from_start).ok().filter(|&axis| axis < rank)
    };
    axes.iter().map(at).collect()
}

fn broadcast(a: &[Option<i64>], b: &[Option<i64>]) -> Option<Dims> {
    let rank = a.len().max(b.len());
    let padded = |dims: &[Option<i64>]| [vec![Some(1); rank - dims.len()], dims.to_vec()].concat();
    let pairs = padded(a).into_iter().zip(padded(b));
    pairs
        .map(|pair| match pair {
            (Some(1), other) | (other, Some(1)) => Some(other),
            (Some(a), Some(b)) => (a == b).then_some(Some(a)),
            // The open one is the other, or 1 and gives way.
            (Some(size), None) | (None, Some(size)) => Some(Some(size)),
            (None, None) => Some(None),
        })
        .collect()
}

/// The weights have as many dimensions as what they are convolved with, even where nothing is known of that.
fn convolution(x: Option<Dims>, weights: &[Option<i64>], channels: Option<i64>) -> Option<Dims> {
    let batch = x.and_then(|dims| dims.first().copied()).flatten();
    Some([vec![batch, channels], vec![None; weights.len().checked_sub(2)?]].concat())
}

/// The dimensions that a Pad adds nothing to, or that a Resize scales by 1.
fn kept(node: &NodeProto, dims: &[Option<i64>], facts: &Facts<'_>) -> Dims {
    let rank = dims.len();
    let named = |index: usize| node.input.get(index).filter(|name| !name.is_empty());
    let keeps: Option<Vec<bool>> = if node.op_type() == "Pad" {
        let pads = named(1).filter(|_| named(3).is_none()).and_then(|pads| facts.integers(pads));
        pads.filter(|pads| pads.len() == 2 * rank)
            .map(|pads| (0..rank).map(|axis| pads[axis] == 0 && pads[rank + axis] == 0).collect())
    } else {
        let is_simple = attribute(node, "axes").is_none();
        let scales = named(2).filter(|_| is_simple).and_then(|scales| facts.tensor(scales));
        let scales = scales.and_then(|scales| crate::tensor::to_f32(scales).ok());
        scales
            .filter(|scales| scales.len() == rank)
            .map(|scales| scales.iter().map(|scale| scale.to_bits() == 1.0f32.to_bits()).collect())
    };
    let keeps = keeps.unwrap_or_else(|| vec![false; rank]);
    dims.iter().zip(keeps).map(|(&dim, keeps)| dim.filter(|_| keeps)).collect()
}

fn reduced(node: &NodeProto, mut dims: Dims, facts: &Facts<'_>) -> Option<Dims> {
    let gone = positions(&facts.axes(node)?, dims.len())?;
    if gone.is_empty() || integer(node, "keepdims", 1) == 0 {
        return None;
    }
    for axis in gone {
        dims[axis] = Some(1);
    }
    Some(dims)
}

fn reshaped(node: &NodeProto, dims: &[Option<i64>], facts: &Facts<'_>) -> Option<Dims> {
    let wanted = facts.integers(node.input.get(1)?)?;
    let copies = integer(node, "allowzero", 0) == 0;
    let dim = |(axis, &size): (usize, &i64)| match size {
        0 if copies => dims.get(axis).copied().flatten(),
        0.. => Some(size),
        _ => None,
    };
    Some(wanted.iter().enumerate().map(dim).collect())
}

fn concatenated(node: &NodeProto, facts: &Facts<'_>) -> Option<Dims> {
    let parts: Vec<Dims> = node.input.iter().map(|input| facts.dims(input)).collect::<Option<_>>()?;
    let rank = parts.first()?.len();
    let joined = *positions(&[integer(node, "axis", 0)], rank)?.first()?;
    if parts.iter().any(|part| part.len() != rank) {
        return None;
    }
    let dim = |axis: usize| {
        let mut sizes = parts.iter().map(|part| part[axis]);
        if axis == joined {
            sizes.try_fold(0i64, |sum, size| sum.checked_add(size?))
        } else {
            sizes.find_map(|size| size)
        }
    };
    Some((0..rank).map(dim).collect())
}

/// A Slice by constants: with steps of 1, along axes whose size is known; any other axis that it cuts becomes open.
fn sliced(node: &NodeProto, mut dims: Dims, facts: &Facts<'_>) -> Option<Dims> {
    let list = |index: usize| facts.integers(node.input.get(index)?);
    let (starts, ends, axes) = (list(1)?, list(2)?, list(3)?);
    let is_stepped = node.input.len() > 4 && list(4)?.iter().any(|&step| step != 1);
    let cut = positions(&axes, dims.len())?;
    if starts.len() != cut.len() || ends.len() != cut.len() {
        return None;
    }
    for ((axis, start), end) in cut.into_iter().zip(starts).zip(ends) {
        let size = dims[axis].filter(|_| !is_stepped);
        dims[axis] = size.map(|size| {
            let at = |bound: i64| (if bound < 0 { bound.saturating_add(size) } else { bound }).clamp(0, size);
            (at(end) - at(start)).max(0)
        });
    }
    Some(dims)
}
