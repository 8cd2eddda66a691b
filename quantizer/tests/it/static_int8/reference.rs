//! The operators as the ONNX specification defines them, in integers and f64, batch 1.

use std::collections::BTreeMap;

use quantizer::graph::{attribute, integer};
use quantizer::proto::{GraphProto, NodeProto};
use quantizer::tensor;

/// A value [1, rows, length], or a list or a scalar as one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub rows: Vec<Vec<f64>>,
}

impl Value {
    fn list(&self) -> &[f64] {
        &self.rows[0]
    }
}

/// Every value that the graph computes from `x`, and its initializers.
pub fn evaluate(graph: &GraphProto, x: &[Vec<f64>]) -> BTreeMap<String, Value> {
    let mut known = BTreeMap::from([("x".to_owned(), Value { rows: x.to_vec() })]);
    for stored in &graph.initializer {
        let integers = tensor::to_i64(stored).map(|values| values.iter().map(|&it| it as f64).collect());
        let data = integers.unwrap_or_else(|_| {
            tensor::to_f32(stored).unwrap().into_iter().map(f64::from).collect::<Vec<_>>()
        });
        known.insert(stored.name().to_owned(), Value { rows: vec![data] });
    }
    for node in &graph.node {
        let inputs: Vec<&Value> = node.input.iter().map(|name| &known[name]).collect();
        let rows = match node.op_type() {
            "Conv" => convolve(
                node,
                graph,
                &inputs[0].rows,
                inputs[1].list(),
                0.0,
                inputs.get(2).map(|it| it.list()),
            ),
            "QuantizeLinear" => {
                by_channel(&inputs, |x, scale, zero| saturate((x / scale).round_ties_even() + zero))
            }
            "DequantizeLinear" => by_channel(&inputs, |x, scale, zero| (x - zero) * scale),
            "QLinearConv" => {
                let [x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias] = inputs[..] else {
                    panic!("{node:?}")
                };
                assert!(w_zero.list().iter().all(|&zero| zero == 0.0));
                let sums = convolve(node, graph, &x.rows, w.list(), x_zero.list()[0], Some(bias.list()));
                let output = |(sums, scale): (Vec<f64>, &f64)| {
                    let multiplier = x_scale.list()[0] * scale / y_scale.list()[0];
                    let of = |sum: &f64| {
                        assert!(sum.abs() < 2f64.powi(31), "{sum} does not fit 32 bits");
                        saturate((sum * multiplier).round_ties_even() + y_zero.list()[0])
                    };
                    sums.iter().map(of).collect()
                };
                sums.into_iter().zip(w_scale.list()).map(output).collect()
            }
            other => panic!("the tests do not compute {other}"),
        };
        known.insert(node.output[0].clone(), Value { rows });
    }
    known
}

fn saturate(level: f64) -> f64 {
    level.clamp(0.0, 255.0)
}

fn by_channel(inputs: &[&Value], function: impl Fn(f64, f64, f64) -> f64) -> Vec<Vec<f64>> {
    let parameters = inputs[1].list().iter().zip(inputs[2].list());
    let row = |(row, (&scale, &zero)): (&Vec<f64>, (&f64, &f64))| {
        row.iter().map(|&x| function(x, scale, zero)).collect()
    };
    inputs[0].rows.iter().zip(parameters).map(row).collect()
}

/// `Σ (x − zero) · w + bias`, padded with `zero`.
fn convolve(
    node: &NodeProto,
    graph: &GraphProto,
    x: &[Vec<f64>],
    weights: &[f64],
    zero: f64,
    bias: Option<&[f64]>,
) -> Vec<Vec<f64>> {
    let position = usize::from(node.op_type() == "QLinearConv") * 2 + 1;
    let stored = graph.initializer.iter().find(|tensor| tensor.name() == node.input[position]).unwrap();
    let &[outputs, per_group, kernel] = tensor::shape(stored).as_slice() else { panic!("{:?}", stored.dims) };
    let ints =
        |name: &str| attribute(node, name).unwrap().ints.iter().map(|&it| it as usize).collect::<Vec<_>>();
    let (stride, dilation, pads) = (ints("strides")[0], ints("dilations")[0], ints("pads"));
    let of_group = outputs / integer(node, "group", 1) as usize;
    let length = x[0].len();
    let positions = (length + pads[0] + pads[1] - dilation * (kernel - 1) - 1) / stride + 1;
    let at = |output: usize, position: usize| {
        let mut sum = bias.map_or(0.0, |bias| bias[output]);
        for (input, tap) in (0..per_group).flat_map(|input| (0..kernel).map(move |tap| (input, tap))) {
            let from = (position * stride + tap * dilation).wrapping_sub(pads[0]);
            if let Some(x) = x[output / of_group * per_group + input].get(from) {
                sum += (x - zero) * weights[(output * per_group + input) * kernel + tap];
            }
        }
        sum
    };
    (0..outputs).map(|output| (0..positions).map(|position| at(output, position)).collect()).collect()
}
