//! Constant values and the operators that weight computations are made of.

use std::rc::Rc;

use half::{bf16, f16};

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{attribute, integer, is};
use crate::proto::{NodeProto, TensorProto, tensor_proto::DataType};
use crate::tensor;

/// A constant with its shape, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    dims: Vec<usize>,
    data: Data,
}

/// Values of float16 and bfloat16 are held as f32 and rounded after each operator.
#[derive(Clone, Debug, PartialEq)]
enum Data {
    Float(DataType, Vec<f32>),
    /// Moved only, and cast.
    Double(Vec<f64>),
    Integer(DataType, Vec<i64>),
}

impl Data {
    /// The elements at these positions.
    fn pick(&self, at: impl Iterator<Item = usize>) -> Self {
        match self {
            Self::Float(element, values) => Self::Float(*element, at.map(|at| values[at]).collect()),
            Self::Double(values) => Self::Double(at.map(|at| values[at]).collect()),
            Self::Integer(element, values) => Self::Integer(*element, at.map(|at| values[at]).collect()),
        }
    }

    /// Puts `count` elements of `other`, from `start` on, behind these; `None` where the types
    /// differ.
    fn append(&mut self, other: &Self, start: usize, count: usize) -> Option<()> {
        let range = start..start + count;
        match (self, other) {
            (Self::Float(element, values), Self::Float(other, more)) if element == other => {
                values.extend_from_slice(&more[range]);
            }
            (Self::Double(values), Self::Double(more)) => values.extend_from_slice(&more[range]),
            (Self::Integer(element, values), Self::Integer(other, more)) if element == other => {
                values.extend_from_slice(&more[range]);
            }
            _ => return None,
        }
        Some(())
    }
}

/// More elements than that are not put together of several tensors: names are short, and a chain of
/// nodes that each double what comes in would ask for any amount of memory.
const MOST_JOINED: usize = 1 << 27;

impl Value {
    /// Reads a tensor; `None` for element types that weights are not computed from.
    pub fn from_tensor(tensor: &TensorProto) -> Result<Option<Self>> {
        let element = tensor::element_type(tensor);
        let data = match element {
            DataType::Float | DataType::Float16 | DataType::Bfloat16 => {
                Data::Float(element, tensor::to_nearest_f32(tensor)?)
            }
            DataType::Double => Data::Double(tensor::to_f64(tensor)?),
            DataType::Int64
            | DataType::Int32
            | DataType::Int16
            | DataType::Uint16
            | DataType::Int8
            | DataType::Uint8 => Data::Integer(element, tensor::to_i64(tensor)?),
            _ => return Ok(None),
        };
        Ok(Some(Self { dims: tensor::shape(tensor), data }))
    }

    /// The value as an initializer; `None` for integers, which are no weights.
    pub fn to_float_tensor(&self, name: &str) -> Option<TensorProto> {
        match &self.data {
            Data::Float(element, values) => Some(tensor::from_float(name, *element, &self.dims, values)),
            Data::Double(values) => Some(tensor::from_f64(name, &self.dims, values)),
            Data::Integer(..) => None,
        }
    }

    fn float(element: DataType, dims: Vec<usize>, mut values: Vec<f32>) -> Self {
        for value in &mut values {
            match element {
                DataType::Float16 => *value = f16::from_f32(*value).to_f32(),
                DataType::Bfloat16 => *value = bf16::from_f32(*value).to_f32(),
                _ => break,
            }
        }
        Self { dims, data: Data::Float(element, values) }
    }
}

/// Computes the only output of `node`; `None` where the operator or its element type is not supported.
///
/// Sums run in f64 in row-major order and are rounded once, so the result does not depend on the machine.
///
/// # Errors
/// [`ErrorKind::Tensor`] for shapes or axes that do not fit.
pub fn evaluate(node: &NodeProto, inputs: &[Rc<Value>]) -> Result<Option<Rc<Value>>> {
    let op = |name| is(node, name);
    let value = match inputs {
        [] if op("Constant") => constant(node),
        [x] if op("Identity") => return Ok(Some(Rc::clone(x))),
        [x] if op("Sqrt") => Ok(map(x, f32::sqrt)),
        [x] if op("Neg") => Ok(map(x, |value| -value)),
        [x] if op("Abs") => Ok(map(x, f32::abs)),
        [x] if op("Cast") => Ok(cast(x, integer(node, "to", 0))),
        [x] if op("Transpose") => transpose(node, x).map(Some),
        [x, shape] if op("Reshape") => reshape(node, x, shape),
        [x, rest @ ..] if op("Unsqueeze") || op("Squeeze") => squeeze(node, x, rest.first().map(Rc::as_ref)),
        [x] if op("Flatten") => flatten(node, x).map(Some),
        [_, ..] if op("Concat") => concat(node, inputs),
        [x, rest @ ..] if op("ReduceSum") => {
            reduce(node, x, rest.first().map(Rc::as_ref), |value| value, |sum| sum)
        }
        [x, rest @ ..] if op("ReduceL2") => {
            reduce(node, x, rest.first().map(Rc::as_ref), |value| value * value, f64::sqrt)
        }
        [a, b] if op("Add") => broadcast(node, a, b, |a, b| a + b),
        [a, b] if op("Sub") => broadcast(node, a, b, |a, b| a - b),
        [a, b] if op("Mul") => broadcast(node, a, b, |a, b| a * b),
        [a, b] if op("Div") => broadcast(node, a, b, |a, b| a / b),
        _ => Ok(None),
    };
    Ok(value?.map(Rc::new))
}

/// What a Constant holds, in any of the attributes for numbers.
fn constant(node: &NodeProto) -> Result<Option<Value>> {
    if let Some(tensor) = attribute(node, "value").and_then(|attribute| attribute.t.as_ref()) {
        return Value::from_tensor(tensor);
    }
    let floats = |dims, values| Some(Value { dims, data: Data::Float(DataType::Float, values) });
    let integers = |dims, values| Some(Value { dims, data: Data::Integer(DataType::Int64, values) });
    let Some(found) = node.attribute.iter().find(|attribute| attribute.name().starts_with("value_")) else {
        return Ok(None);
    };
    Ok(match found.name() {
        "value_float" => floats(vec![], vec![found.f()]),
        "value_floats" => floats(vec![found.floats.len()], found.floats.clone()),
        "value_int" => integers(vec![], vec![found.i()]),
        "value_ints" => integers(vec![found.ints.len()], found.ints.clone()),
        _ => None,
    })
}

fn map(x: &Value, function: fn(f32) -> f32) -> Option<Value> {
    match &x.data {
        Data::Float(element, values) => Some(Value::float(
            *element,
            x.dims.clone(),
            values.iter().map(|&value| function(value)).collect(),
        )),
        Data::Double(_) | Data::Integer(..) => None,
    }
}

fn cast(x: &Value, to: i64) -> Option<Value> {
    use DataType::{Bfloat16, Double, Float, Float16, Int64};
    let to = DataType::try_from(to as i32).ok()?;
    let float = |values| Some(Value::float(to, x.dims.clone(), values));
    let data = match (&x.data, to) {
        (Data::Float(_, values), Float | Float16 | Bfloat16) => return float(values.clone()),
        (Data::Double(values), Float) => return float(values.iter().map(|&value| value as f32).collect()),
        (Data::Integer(_, values), Float | Float16 | Bfloat16) => {
            return float(values.iter().map(|&value| value as f32).collect());
        }
        (Data::Float(_, values), Double) => Data::Double(values.iter().copied().map(f64::from).collect()),
        (Data::Double(values), Double) => Data::Double(values.clone()),
        (Data::Integer(_, values), Double) => {
            Data::Double(values.iter().map(|&value| value as f64).collect())
        }
        (Data::Integer(_, values), Int64) => Data::Integer(to, values.clone()),
        _ => return None,
    };
    Some(Value { dims: x.dims.clone(), data })
}

fn transpose(node: &NodeProto, x: &Value) -> Result<Value> {
    let rank = x.dims.len();
    let permutation: Vec<usize> = match attribute(node, "perm") {
        Some(attribute) => attribute.ints.iter().map(|&axis| axis as usize).collect(),
        None => (0..rank).rev().collect(),
    };
    let mut sorted = permutation.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(misfit(node, format!("expected a permutation of {rank} axes, found {permutation:?}")));
    }
    let dims: Vec<usize> = permutation.iter().map(|&axis| x.dims[axis]).collect();
    let strides = strides(&x.dims);
    let steps: Vec<usize> = permutation.iter().map(|&axis| strides[axis]).collect();
    let order = positions(&dims, &steps);
    let data = x.data.pick(order);
    Ok(Value { dims, data })
}

fn reshape(node: &NodeProto, x: &Value, shape: &Value) -> Result<Option<Value>> {
    let Data::Integer(_, wanted) = &shape.data else { return Ok(None) };
    let count: usize = x.dims.iter().product();
    let keeps_zero = integer(node, "allowzero", 0) == 0;
    let mut dims = Vec::with_capacity(wanted.len());
    let mut free = None;
    for (axis, &dim) in wanted.iter().enumerate() {
        match dim {
            -1 if free.is_none() => {
                free = Some(axis);
                dims.push(1);
            }
            0 if keeps_zero && axis < x.dims.len() => dims.push(x.dims[axis]),
            1.. => dims.push(dim as usize),
            _ => return Err(misfit(node, format!("expected a shape for {:?}, found {wanted:?}", x.dims))),
        }
    }
    let product = |dims: &[usize]| dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    if let Some(axis) = free
        && let Some(fixed @ 1..) = product(&dims)
    {
        dims[axis] = count / fixed;
    }
    if product(&dims) != Some(count) {
        return Err(misfit(
            node,
            format!("expected {count} elements as in {:?}, found the shape {wanted:?}", x.dims),
        ));
    }
    Ok(Some(Value { dims, data: x.data.clone() }))
}

/// The axes that a node names, as an attribute (before opset 13) or as its second input; `None`
/// where it names none.
fn axes_of(node: &NodeProto, given: Option<&Value>) -> Option<Vec<i64>> {
    match (given.map(|value| &value.data), attribute(node, "axes")) {
        (Some(Data::Integer(_, axes)), _) => Some(axes.clone()),
        (None, Some(attribute)) => Some(attribute.ints.clone()),
        _ => None,
    }
}

/// The place of `axis` among `rank` ones.
fn place(node: &NodeProto, dims: &[usize], axis: i64, rank: usize) -> Result<usize> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    let at = usize::try_from(at).ok().filter(|&at| at < rank);
    at.ok_or_else(|| misfit(node, format!("expected an axis of {dims:?}, found {axis}")))
}

fn squeeze(node: &NodeProto, x: &Value, given: Option<&Value>) -> Result<Option<Value>> {
    let axes = axes_of(node, given);
    let mut dims = x.dims.clone();
    if is(node, "Squeeze") {
        let gone = match axes {
            Some(axes) => axes
                .iter()
                .map(|&axis| place(node, &x.dims, axis, x.dims.len()))
                .collect::<Result<Vec<_>>>()?,
            None if given.is_none() => (0..dims.len()).filter(|&axis| dims[axis] == 1).collect(),
            None => return Ok(None),
        };
        if let Some(&axis) = gone.iter().find(|&&axis| dims[axis] != 1) {
            return Err(misfit(node, format!("expected 1 along axis {axis} of {dims:?}")));
        }
        dims = (0..dims.len()).filter(|axis| !gone.contains(axis)).map(|axis| dims[axis]).collect();
    } else {
        let Some(axes) = axes else { return Ok(None) };
        let rank = dims.len() + axes.len();
        let mut new =
            axes.iter().map(|&axis| place(node, &x.dims, axis, rank)).collect::<Result<Vec<_>>>()?;
        new.sort_unstable();
        new.dedup();
        if new.len() < axes.len() {
            return Err(misfit(node, format!("expected axes that differ, found {axes:?}")));
        }
        for axis in new {
            dims.insert(axis, 1);
        }
    }
    Ok(Some(Value { dims, data: x.data.clone() }))
}

fn flatten(node: &NodeProto, x: &Value) -> Result<Value> {
    let axis = place(node, &x.dims, integer(node, "axis", 1), x.dims.len() + 1)?;
    let (outer, inner) = x.dims.split_at(axis);
    Ok(Value { dims: vec![outer.iter().product(), inner.iter().product()], data: x.data.clone() })
}

fn concat(node: &NodeProto, parts: &[Rc<Value>]) -> Result<Option<Value>> {
    let mut dims = parts[0].dims.clone();
    // Before opset 4 the axis could be left out.
    let axis = place(node, &dims, integer(node, "axis", 1), dims.len())?;
    let fits = |part: &Rc<Value>| {
        part.dims.len() == dims.len() && (0..dims.len()).all(|at| at == axis || part.dims[at] == dims[at])
    };
    if let Some(part) = parts.iter().find(|part| !fits(part)) {
        return Err(misfit(node, format!("shapes {dims:?} and {:?} do not concatenate", part.dims)));
    }
    dims[axis] = parts.iter().map(|part| part.dims[axis]).sum();
    let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    if count.is_none_or(|count| count > MOST_JOINED) {
        return Ok(None);
    }
    let outer: usize = dims[..axis].iter().product();
    let mut data = parts[0].data.pick(std::iter::empty());
    for at in 0..outer {
        for part in parts {
            let length: usize = part.dims[axis..].iter().product();
            if data.append(&part.data, at * length, length).is_none() {
                return Ok(None);
            }
        }
    }
    Ok(Some(Value { dims, data }))
}

/// A reduction over the axes of the second input (opset 13 and 18) or of the attribute (before).
fn reduce(
    node: &NodeProto,
    x: &Value,
    axes: Option<&Value>,
    each: fn(f64) -> f64,
    last: fn(f64) -> f64,
) -> Result<Option<Value>> {
    let Data::Float(element, values) = &x.data else { return Ok(None) };
    if values.is_empty() {
        // The sums over no elements could be any number of zeros: no weight is computed that way.
        return Ok(None);
    }
    let rank = x.dims.len();
    let axes: Vec<i64> = match axes_of(node, axes) {
        Some(named) => named,
        None if axes.is_none() && integer(node, "noop_with_empty_axes", 0) == 0 => (0..rank as i64).collect(),
        None => return Ok(None),
    };
    let mut reduced = vec![false; rank];
    for &axis in &axes {
        reduced[place(node, &x.dims, axis, rank)?] = true;
    }
    let kept: Vec<usize> =
        x.dims.iter().zip(&reduced).map(|(&dim, &gone)| if gone { 1 } else { dim }).collect();
    let steps: Vec<usize> = strides(&kept)
        .into_iter()
        .zip(&reduced)
        .map(|(stride, &gone)| if gone { 0 } else { stride })
        .collect();
    let mut sums = vec![0f64; kept.iter().product()];
    for (&value, at) in values.iter().zip(positions(&x.dims, &steps)) {
        sums[at] += each(f64::from(value));
    }
    let dims = match integer(node, "keepdims", 1) {
        0 => x.dims.iter().zip(&reduced).filter(|&(_, &gone)| !gone).map(|(&dim, _)| dim).collect(),
        _ => kept,
    };
    Ok(Some(Value::float(*element, dims, sums.into_iter().map(|sum| last(sum) as f32).collect())))
}

/// An elementwise operator with the multidirectional broadcasting of the ONNX specification.
fn broadcast(node: &NodeProto, a: &Value, b: &Value, function: fn(f32, f32) -> f32) -> Result<Option<Value>> {
    let (Data::Float(element, left), Data::Float(other, right)) = (&a.data, &b.data) else { return Ok(None) };
    if !node.attribute.is_empty() {
        // `broadcast` and `axis` of opsets before 7 mean another way to broadcast.
        return Ok(None);
    }
    if element != other {
        return Err(misfit(node, format!("element types {element:?} and {other:?} differ")));
    }
    let rank = a.dims.len().max(b.dims.len());
    let padded = |dims: &[usize]| [vec![1; rank - dims.len()], dims.to_vec()].concat();
    let (left_dims, right_dims) = (padded(&a.dims), padded(&b.dims));
    let mut dims = Vec::with_capacity(rank);
    for (&l, &r) in left_dims.iter().zip(&right_dims) {
        match (l, r) {
            (l, r) if l == r => dims.push(l),
            (1, other) | (other, 1) => dims.push(other),
            _ => return Err(misfit(node, format!("shapes {:?} and {:?} do not broadcast", a.dims, b.dims))),
        }
    }
    // An outer product is larger than both of its factors, and to store it could take any amount of memory; it
    // is left to the runtime.
    let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    if count.is_none_or(|count| count > left.len().max(right.len())) {
        return Ok(None);
    }
    let steps = |own: &[usize]| -> Vec<usize> {
        strides(own).into_iter().zip(own).map(|(stride, &dim)| if dim == 1 { 0 } else { stride }).collect()
    };
    let values = positions(&dims, &steps(&left_dims))
        .zip(positions(&dims, &steps(&right_dims)))
        .map(|(l, r)| function(left[l], right[r]))
        .collect();
    Ok(Some(Value::float(*element, dims, values)))
}

fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    strides
}

/// Walks `dims` in row-major order and yields, for each element, the offset that `steps` give.
fn positions(dims: &[usize], steps: &[usize]) -> impl Iterator<Item = usize> {
    let (dims, steps) = (dims.to_vec(), steps.to_vec());
    let count = dims.iter().product();
    let mut index = vec![0; dims.len()];
    let mut at = 0;
    (0..count).map(move |_| {
        let here = at;
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            at += steps[axis];
            if index[axis] < dims[axis] {
                break;
            }
            at -= steps[axis] * dims[axis];
            index[axis] = 0;
        }
        here
    })
}

fn misfit(node: &NodeProto, message: String) -> Error {
    Error::node(ErrorKind::Tensor, node, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{integer_attribute, node};
    use crate::proto::AttributeProto;
    use crate::tensor::{from_f16, from_f32, from_i8, from_i64, to_f32};

    fn run(node: &NodeProto, inputs: &[TensorProto]) -> TensorProto {
        let inputs: Vec<Rc<Value>> =
            inputs.iter().map(|tensor| Rc::new(Value::from_tensor(tensor).unwrap().unwrap())).collect();
        evaluate(node, &inputs).unwrap().expect("supported").to_float_tensor("out").unwrap()
    }

    #[test]
    fn transpose_and_reshape_move_values_and_nothing_else() {
        let x = from_f32("x", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let t = run(&node("Transpose", "t", &["x"], &["y"]), std::slice::from_ref(&x));
        assert_eq!((t.dims.clone(), to_f32(&t).unwrap()), (vec![3, 2], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
        let r = run(&node("Reshape", "r", &["x", "s"], &["y"]), &[x, from_i64("s", &[3], &[0, -1, 1])]);
        assert_eq!((r.dims.clone(), to_f32(&r).unwrap()[5]), (vec![2, 3, 1], 6.0));
    }

    #[test]
    fn transpose_of_three_axes_by_hand() {
        let values: Vec<f32> = (0..24u8).map(f32::from).collect();
        let mut permute = node("Transpose", "t", &["x"], &["y"]);
        permute.attribute =
            vec![AttributeProto { name: Some("perm".into()), ints: vec![2, 0, 1], ..Default::default() }];
        let t = run(&permute, &[from_f32("x", &[2, 3, 4], &values)]);
        assert_eq!(t.dims, [4, 2, 3]);
        assert_eq!(to_f32(&t).unwrap()[..7], [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 1.0]);
    }

    #[test]
    fn int8_cast_and_scaled_is_how_this_crate_stores_weights() {
        let mut cast = node("Cast", "c", &["q"], &["f"]);
        cast.attribute.push(integer_attribute("to", DataType::Float as i64));
        let float = run(&cast, &[from_i8("q", &[2, 2], &[1, -2, 3, -4])]);
        let y = run(&node("Mul", "m", &["f", "s"], &["w"]), &[float, from_f32("s", &[2, 1], &[0.5, 2.0])]);
        assert_eq!(to_f32(&y).unwrap(), [0.5, -1.0, 6.0, -8.0]);
    }

    #[test]
    fn float16_rounds_after_each_operator() {
        let a = from_f16("a", &[1], &[1.0]);
        let b = from_f16("b", &[1], &[3.0]);
        let y = run(&node("Div", "d", &["a", "b"], &["y"]), &[a, b]);
        assert_eq!(to_f32(&y).unwrap(), [f16::from_f32(1.0 / 3.0).to_f32()]);
    }

    #[test]
    fn axes_come_go_and_join() {
        let x = from_f32("x", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        let dims = |tensor: &TensorProto| tensor.dims.clone();
        let added =
            run(&node("Unsqueeze", "u", &["x", "a"], &["y"]), &[x.clone(), from_i64("a", &[2], &[0, -1])]);
        assert_eq!(dims(&added), [1, 2, 2, 1]);
        let mut squeeze = node("Squeeze", "s", &["x"], &["y"]);
        assert_eq!(dims(&run(&squeeze, std::slice::from_ref(&added))), [2, 2]);
        squeeze.attribute =
            vec![AttributeProto { name: Some("axes".into()), ints: vec![-1], ..Default::default() }];
        assert_eq!(dims(&run(&squeeze, std::slice::from_ref(&added))), [1, 2, 2]);
        let mut flatten = node("Flatten", "f", &["x"], &["y"]);
        flatten.attribute.push(integer_attribute("axis", 2));
        assert_eq!(dims(&run(&flatten, &[added])), [2, 2]);
        let mut concat = node("Concat", "c", &["x", "x"], &["y"]);
        concat.attribute.push(integer_attribute("axis", -1));
        let joined = run(&concat, &[x.clone(), x.clone()]);
        assert_eq!(
            (dims(&joined), to_f32(&joined).unwrap()),
            (vec![2, 4], vec![1., 2., 1., 2., 3., 4., 3., 4.])
        );
        let sum = run(&node("Sub", "d", &["x", "x"], &["y"]), &[x.clone(), x]);
        assert_eq!(to_f32(&sum).unwrap(), [0.0; 4]);
    }

    #[test]
    fn constants_hold_numbers_in_several_attributes() {
        let with = |attribute| NodeProto { attribute: vec![attribute], ..node("Constant", "", &[], &["w"]) };
        let named = |name: &str| AttributeProto { name: Some(name.into()), ..Default::default() };
        let floats = AttributeProto { floats: vec![1.5, -2.0], ..named("value_floats") };
        let one = AttributeProto { f: Some(0.25), ..named("value_float") };
        assert_eq!(to_f32(&run(&with(floats), &[])).unwrap(), [1.5, -2.0]);
        assert_eq!(run(&with(one), &[]).dims, [0i64; 0]);
        assert!(evaluate(&with(named("value_string")), &[]).unwrap().is_none());
    }

    #[test]
    fn the_broadcasting_of_old_opsets_is_left_alone() {
        let mut mul = node("Mul", "m", &["a", "b"], &["y"]);
        mul.attribute = vec![integer_attribute("broadcast", 1), integer_attribute("axis", 0)];
        let value = |dims: &[usize]| {
            let values = vec![1.0; dims.iter().product()];
            Rc::new(Value::from_tensor(&from_f32("v", dims, &values)).unwrap().unwrap())
        };
        assert!(evaluate(&mul, &[value(&[2, 2]), value(&[2])]).unwrap().is_none());
    }

    #[test]
    fn reductions_drop_or_keep_axes() {
        let x = from_f32("x", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        let mut sum = node("ReduceSum", "s", &["x", "axes"], &["y"]);
        let kept = run(&sum, &[x.clone(), from_i64("axes", &[1], &[-1])]);
        assert_eq!((kept.dims.clone(), to_f32(&kept).unwrap()), (vec![2, 1], vec![3.0, 7.0]));
        sum.attribute.push(integer_attribute("keepdims", 0));
        let all = run(&sum, &[x]);
        assert_eq!((all.dims.clone(), to_f32(&all).unwrap()), (vec![], vec![10.0]));
    }
}
