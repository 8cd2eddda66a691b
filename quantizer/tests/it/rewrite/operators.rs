//! More operators for [`evaluate`](super::evaluate): those that the passes for `CoreML` read and write.

use quantizer::graph::{attribute, integer};
use quantizer::proto::NodeProto;

use super::evaluate::{Value, axis, broadcast, index, list, offset};

/// The outputs of a node, in order.
pub fn run(node: &NodeProto, inputs: &[&Value]) -> Vec<Value> {
    let x = inputs[0];
    let one = match node.op_type() {
        "Atan" => map(x, f64::atan),
        "Sin" => map(x, f64::sin),
        "Cos" => map(x, f64::cos),
        "Floor" => map(x, f64::floor),
        "Tanh" => map(x, f64::tanh),
        "MatMul" => {
            let &[rows, columns] = inputs[1].dims.as_slice() else { panic!("{:?}", inputs[1].dims) };
            let product = |row: &[f64], column| {
                (0..rows).map(|at| row[at] * inputs[1].data[at * columns + column]).sum()
            };
            let data =
                x.data.chunks(rows).flat_map(|row| (0..columns).map(move |column| product(row, column)));
            let mut dims = x.dims.clone();
            *dims.last_mut().unwrap() = columns;
            Value { data: data.collect(), dims }
        }
        "Round" => map(x, f64::round_ties_even),
        "Clip" => {
            let [least, most] = [1, 2].map(|at| inputs[at].data[0]);
            map(x, |value| value.clamp(least, most))
        }
        "Max" => broadcast(x, inputs[1], f64::max),
        "Greater" => broadcast(x, inputs[1], |a, b| f64::from(a > b)),
        "Less" => broadcast(x, inputs[1], |a, b| f64::from(a < b)),
        "Where" => {
            let chosen = broadcast(x, inputs[1], |chosen, value| if chosen > 0.0 { value } else { f64::NAN });
            broadcast(&chosen, inputs[2], |chosen, other| if chosen.is_nan() { other } else { chosen })
        }
        "Gather" => gather(x, inputs[1], axis(integer(node, "axis", 0) as f64, x.dims.len())),
        "Concat" => concat(inputs, axis(integer(node, "axis", 0) as f64, x.dims.len())),
        "CumSum" => {
            let along = axis(inputs[1].data[0], x.dims.len());
            let mut sums = x.clone();
            for at in 0..sums.data.len() {
                let mut before = index(&x.dims, at);
                if before[along] > 0 {
                    before[along] -= 1;
                    sums.data[at] += sums.data[offset(&x.dims, &before)];
                }
            }
            sums
        }
        "Pad" => {
            let at = |position: i64, size: i64| {
                let from_start = position.abs();
                (if from_start < size { from_start } else { 2 * size - 2 - from_start }) as usize
            };
            let rank = x.dims.len();
            (0..rank).fold(x.clone(), |x, along| {
                let (before, behind) = (inputs[1].data[along] as i64, inputs[1].data[rank + along] as i64);
                let size = x.dims[along] as i64;
                take(&x, along, &(-before..size + behind).map(|place| at(place, size)).collect::<Vec<_>>())
            })
        }
        "Resize" => (0..x.dims.len()).fold(x.clone(), |x, along| {
            let times = inputs[2].data[along] as usize;
            take(&x, along, &(0..x.dims[along] * times).map(|place| place / times).collect::<Vec<_>>())
        }),
        "Shape" => Value { dims: vec![x.dims.len()], data: x.dims.iter().map(|&size| size as f64).collect() },
        "Split" => {
            let along = axis(integer(node, "axis", 0) as f64, x.dims.len());
            let mut start = 0;
            let part = |&size: &f64| {
                let places: Vec<usize> = (start..start + size as usize).collect();
                start += size as usize;
                take(x, along, &places)
            };
            return inputs[1].data.iter().map(part).collect();
        }
        other => panic!("the tests do not compute {other}"),
    };
    assert!(attribute(node, "auto_pad").is_none() && list(node, "dilations", &[1]) == [1]);
    vec![one]
}

fn map(x: &Value, function: impl Fn(f64) -> f64) -> Value {
    Value { dims: x.dims.clone(), data: x.data.iter().map(|&value| function(value)).collect() }
}

/// These places of an axis.
fn take(x: &Value, along: usize, places: &[usize]) -> Value {
    let mut dims = x.dims.clone();
    dims[along] = places.len();
    let value = |at| {
        let mut from = index(&dims, at);
        from[along] = places[from[along]];
        x.data[offset(&x.dims, &from)]
    };
    Value { data: (0..dims.iter().product()).map(value).collect(), dims: dims.clone() }
}

fn gather(x: &Value, indices: &Value, along: usize) -> Value {
    let places: Vec<usize> = indices.data.iter().map(|&place| axis(place, x.dims[along])).collect();
    let taken = take(x, along, &places);
    let dims = [&x.dims[..along], &indices.dims, &x.dims[along + 1..]].concat();
    Value { dims, data: taken.data }
}

fn concat(parts: &[&Value], along: usize) -> Value {
    let mut dims = parts[0].dims.clone();
    dims[along] = parts.iter().map(|part| part.dims[along]).sum();
    let value = |at| {
        let mut from = index(&dims, at);
        let mut rest = parts.iter();
        let mut part = rest.next().unwrap();
        while from[along] >= part.dims[along] {
            from[along] -= part.dims[along];
            part = rest.next().unwrap();
        }
        part.data[offset(&part.dims, &from)]
    };
    Value { data: (0..dims.iter().product()).map(value).collect(), dims: dims.clone() }
}
