//! A few operators, computed as the ONNX specification defines them and in f64: what a graph says, without a runtime.

use std::collections::BTreeMap;

use quantizer::graph::{attribute, integer};
use quantizer::proto::{GraphProto, NodeProto};
use quantizer::tensor;

/// A value with its shape, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub dims: Vec<usize>,
    pub data: Vec<f64>,
}

impl Value {
    /// Numbers that are unlike each other, as many as the shape asks for.
    pub fn some(dims: &[usize]) -> Self {
        let number = |index: usize| ((index * 37 + 11) % 64) as f64 / 16.0 - 2.0;
        Self { dims: dims.to_vec(), data: (0..dims.iter().product()).map(number).collect() }
    }
}

/// The outputs of a graph in order.
pub fn evaluate(graph: &GraphProto, inputs: &[(&str, Value)]) -> Vec<Value> {
    let mut known: BTreeMap<&str, Value> =
        inputs.iter().map(|(name, value)| (*name, value.clone())).collect();
    for stored in &graph.initializer {
        let floats = tensor::to_f32(stored).map(|values| values.into_iter().map(f64::from).collect());
        let data =
            floats.unwrap_or_else(|_| tensor::to_i64(stored).unwrap().iter().map(|&it| it as f64).collect());
        known.insert(stored.name(), Value { dims: tensor::shape(stored), data });
    }
    let left_out = Value { dims: vec![0], data: vec![] };
    for node in &graph.node {
        let inputs: Vec<&Value> =
            node.input.iter().map(|input| known.get(input.as_str()).unwrap_or(&left_out)).collect();
        known.extend(node.output.iter().map(String::as_str).zip(run(node, &inputs)));
    }
    graph.output.iter().map(|output| known[output.name()].clone()).collect()
}

/// The largest difference between two lists of values of the same shapes.
pub fn distance(a: &[Value], b: &[Value]) -> f64 {
    let shapes = |values: &[Value]| values.iter().map(|value| value.dims.clone()).collect::<Vec<_>>();
    assert_eq!(shapes(a), shapes(b));
    let pairs = a.iter().zip(b).flat_map(|(a, b)| a.data.iter().zip(&b.data));
    pairs.fold(0.0, |largest, (a, b)| largest.max((a - b).abs()))
}

fn run(node: &NodeProto, inputs: &[&Value]) -> Vec<Value> {
    let x = inputs[0];
    let one = match node.op_type() {
        "Add" => broadcast(x, inputs[1], |a, b| a + b),
        "Sub" => broadcast(x, inputs[1], |a, b| a - b),
        "Mul" => broadcast(x, inputs[1], |a, b| a * b),
        "Div" => broadcast(x, inputs[1], |a, b| a / b),
        "Pow" => broadcast(x, inputs[1], f64::powf),
        "Neg" => Value { dims: x.dims.clone(), data: x.data.iter().map(|value| -value).collect() },
        "Sqrt" => Value { dims: x.dims.clone(), data: x.data.iter().map(|value| value.sqrt()).collect() },
        "Identity" | "Dropout" | "Cast" => x.clone(),
        "ReduceMean" => mean(x, axis(inputs[1].data[0], x.dims.len())),
        "Transpose" => transpose(x, &list(node, "perm", &[])),
        "Reshape" => reshape(x, inputs[1]),
        "Squeeze" => {
            let gone: Vec<usize> = inputs[1].data.iter().map(|&it| axis(it, x.dims.len())).collect();
            let stays = |&(at, _): &(usize, &usize)| !gone.contains(&at);
            let dims = x.dims.iter().enumerate().filter(stays).map(|(_, &size)| size).collect();
            Value { dims, data: x.data.clone() }
        }
        "Unsqueeze" => {
            let rank = x.dims.len() + inputs[1].data.len();
            let added: Vec<usize> = inputs[1].data.iter().map(|&it| axis(it, rank)).collect();
            let mut old = x.dims.iter();
            let size = |at| if added.contains(&at) { 1 } else { *old.next().unwrap() };
            Value { dims: (0..rank).map(size).collect(), data: x.data.clone() }
        }
        "Slice" => slice(x, inputs[1].data[0], inputs[2].data[0], inputs[3].data[0] as usize),
        "InstanceNormalization" => instance_norm(node, inputs),
        "Conv" => conv(node, inputs),
        "ConvTranspose" => conv_transpose(node, inputs),
        _ => return super::operators::run(node, inputs),
    };
    vec![one]
}

pub fn list(node: &NodeProto, name: &str, default: &[usize]) -> Vec<usize> {
    attribute(node, name).map_or(default.to_vec(), |it| it.ints.iter().map(|&value| value as usize).collect())
}

pub fn axis(axis: f64, rank: usize) -> usize {
    (if axis < 0.0 { axis + rank as f64 } else { axis }) as usize
}

pub fn index(dims: &[usize], mut at: usize) -> Vec<usize> {
    let mut index = vec![0; dims.len()];
    for (axis, size) in dims.iter().enumerate().rev() {
        index[axis] = at % size;
        at /= size;
    }
    index
}

pub fn offset(dims: &[usize], index: &[usize]) -> usize {
    dims.iter().zip(index).fold(0, |at, (&size, &here)| at * size + if size == 1 { 0 } else { here })
}

pub fn broadcast(a: &Value, b: &Value, function: fn(f64, f64) -> f64) -> Value {
    let rank = a.dims.len().max(b.dims.len());
    let padded = |dims: &[usize]| [vec![1; rank - dims.len()], dims.to_vec()].concat();
    let (left, right) = (padded(&a.dims), padded(&b.dims));
    let dims: Vec<usize> = left.iter().zip(&right).map(|(&l, &r)| l.max(r)).collect();
    let value = |at| {
        let index = index(&dims, at);
        function(a.data[offset(&left, &index)], b.data[offset(&right, &index)])
    };
    Value { data: (0..dims.iter().product()).map(value).collect(), dims }
}

fn mean(x: &Value, axis: usize) -> Value {
    let mut dims = x.dims.clone();
    dims[axis] = 1;
    let mut data = vec![0.0; dims.iter().product()];
    for (at, value) in x.data.iter().enumerate() {
        data[offset(&dims, &index(&x.dims, at))] += value / x.dims[axis] as f64;
    }
    Value { dims, data }
}

fn transpose(x: &Value, permutation: &[usize]) -> Value {
    let dims: Vec<usize> = permutation.iter().map(|&axis| x.dims[axis]).collect();
    let value = |at| {
        let mut from = vec![0; dims.len()];
        for (&axis, here) in permutation.iter().zip(index(&dims, at)) {
            from[axis] = here;
        }
        x.data[offset(&x.dims, &from)]
    };
    Value { data: (0..x.data.len()).map(value).collect(), dims }
}

fn reshape(x: &Value, shape: &Value) -> Value {
    let size = |(axis, &size): (usize, &f64)| if size == 0.0 { x.dims[axis] } else { size.max(0.0) as usize };
    let mut dims: Vec<usize> = shape.data.iter().enumerate().map(size).collect();
    if let Some(free) = shape.data.iter().position(|&size| size < 0.0) {
        dims[free] = 1;
        dims[free] = x.data.len() / dims.iter().product::<usize>();
    }
    assert_eq!(dims.iter().product::<usize>(), x.data.len());
    Value { dims, data: x.data.clone() }
}

fn slice(x: &Value, start: f64, end: f64, axis: usize) -> Value {
    let size = x.dims[axis] as f64;
    let at = |bound: f64| (if bound < 0.0 { bound + size } else { bound }).clamp(0.0, size) as usize;
    let kept = at(start)..at(end);
    let mut dims = x.dims.clone();
    dims[axis] = kept.len();
    let is_kept = |&(at, _): &(usize, &f64)| kept.contains(&index(&x.dims, at)[axis]);
    Value { data: x.data.iter().enumerate().filter(is_kept).map(|(_, &value)| value).collect(), dims }
}

fn instance_norm(node: &NodeProto, inputs: &[&Value]) -> Value {
    let (x, epsilon) = (inputs[0], f64::from(attribute(node, "epsilon").unwrap().f()));
    let (channels, time) = (x.dims[1], x.dims[2]);
    assert_eq!([&inputs[1].dims, &inputs[2].dims], [&vec![channels]; 2]);
    let row = |(number, row): (usize, &[f64])| {
        let mean = row.iter().sum::<f64>() / time as f64;
        let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / time as f64;
        let [scale, bias] = [1, 2].map(|input| inputs[input].data[number % channels]);
        row.iter()
            .map(|value| (value - mean) / (variance + epsilon).sqrt() * scale + bias)
            .collect::<Vec<_>>()
    };
    Value { dims: x.dims.clone(), data: x.data.chunks(time).enumerate().flat_map(row).collect() }
}

/// Batch 1, one spatial dimension.
fn conv(node: &NodeProto, inputs: &[&Value]) -> Value {
    let (x, weights) = (inputs[0], inputs[1]);
    let (length, pads) = (x.dims[2], list(node, "pads", &[0, 0]));
    let &[outputs, per_group, kernel] = weights.dims.as_slice() else { panic!("{:?}", weights.dims) };
    let of_group = outputs / integer(node, "group", 1) as usize;
    let dims = vec![1, outputs, length + pads[0] + pads[1] + 1 - kernel];
    let value = |at| {
        let [_, output, position] = *index(&dims, at) else { unreachable!() };
        let mut sum = inputs.get(2).map_or(0.0, |bias| bias.data[output]);
        for input in 0..per_group {
            for tap in 0..kernel {
                let from = (position + tap).wrapping_sub(pads[0]);
                if from < length {
                    let channel = output / of_group * per_group + input;
                    sum += x.data[channel * length + from]
                        * weights.data[(output * per_group + input) * kernel + tap];
                }
            }
        }
        sum
    };
    Value { data: (0..dims.iter().product()).map(value).collect(), dims }
}

/// As [`conv`]: every input puts its kernel down, `stride` positions after the one before.
fn conv_transpose(node: &NodeProto, inputs: &[&Value]) -> Value {
    let (x, weights) = (inputs[0], inputs[1]);
    let (stride, pads) = (list(node, "strides", &[1])[0], list(node, "pads", &[0, 0]));
    let added = list(node, "output_padding", &[0])[0];
    let &[channels, per_group, kernel] = weights.dims.as_slice() else { panic!("{:?}", weights.dims) };
    let groups = integer(node, "group", 1) as usize;
    let length = x.dims[2];
    let whole = (length - 1) * stride + kernel + added;
    let size = whole - pads[0] - pads[1];
    let outputs = groups * per_group;
    let bias = |at: usize| inputs.get(2).map_or(0.0, |bias| bias.data[at / size]);
    let mut data: Vec<f64> = (0..outputs * size).map(bias).collect();
    for channel in 0..channels {
        for within in 0..per_group {
            let output = channel / (channels / groups) * per_group + within;
            for (from, tap) in (0..length).flat_map(|from| (0..kernel).map(move |tap| (from, tap))) {
                let to = (from * stride + tap).wrapping_sub(pads[0]);
                if to < size {
                    let weight = weights.data[(channel * per_group + within) * kernel + tap];
                    data[output * size + to] += x.data[channel * length + from] * weight;
                }
            }
        }
    }
    Value { dims: vec![1, outputs, size], data }
}
