//! Reductions inside of a graph, as further outputs.

use super::{Point, Ranges};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{View, integer_attribute, node};
use crate::proto::{
    GraphProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, tensor_proto::DataType, type_proto,
};
use crate::tensor;

/// The rows of a statistics output, in this order: least, largest, mean, and mean of squares.
pub const STATISTICS: usize = 4;

/// Adds one output for each point, of shape [[`STATISTICS`], channels, 1] and in the order of the points; returns their
/// names. The reductions run over batch and time.
///
/// # Errors
/// [`ErrorKind::Graph`] where the graph lacks a point's value.
pub fn expose_statistics(graph: &mut GraphProto, points: &[Point]) -> Result<Vec<String>> {
    let mut addition = Addition::new(graph, points)?;
    let rows = [("ReduceMin", ""), ("ReduceMax", ""), ("ReduceMean", ""), ("ReduceMean", "square")];
    for point in points {
        let body = addition.body(point);
        let mut made = Vec::new();
        for (index, (op, what)) in rows.into_iter().enumerate() {
            let mut value = body.clone();
            if what == "square" {
                value = addition.node("Mul", &[&body, &body], &format!("{}/square", point.value));
            }
            made.push(addition.reduce(op, &value, &format!("{}/statistic.{index}", point.value)));
        }
        addition.output(&made, &format!("{}/statistics", point.value));
    }
    Ok(addition.finish(graph))
}

/// Adds one output for each point, of shape [ratios, channels, 1] and in the order of the points; returns their names.
/// Row `r` is `Σ (x − x̂)² / p` over batch and time, where `x̂` is what is left of `x` when it goes through 8 bits that
/// cover `ratios[r]` of the channel's range, and `p` is how loud the value is at that time: the mean of the squares of
/// all channels, and a tenth of what that is over all time.
///
/// Speech is mostly quieter than its loudest moments, which make the ranges. A noise that these hide is heard in a
/// pause. So an error counts against what there is at the same time, down to a floor of 10 dB below the mean.
///
/// # Errors
/// Those of [`expose_statistics`], and [`ErrorKind::Unsupported`] for a point without ranges.
pub fn expose_errors(
    graph: &mut GraphProto,
    points: &[Point],
    ranges: &Ranges,
    ratios: &[f32],
) -> Result<Vec<String>> {
    let mut addition = Addition::new(graph, points)?;
    for point in points {
        let channels = ranges.of(&point.value, point.channels)?;
        let body = addition.body(point);
        let loudness = addition.loudness(&body);
        let mut made = Vec::new();
        for (index, &ratio) in ratios.iter().enumerate() {
            let name = |what: &str| format!("{}/{what}.{index}", point.value);
            let (scales, zeros): (Vec<f32>, Vec<u8>) =
                channels.iter().map(|channel| channel.times(ratio).scale_and_zero()).unzip();
            let (scale, zero) = (name("scale"), name("zero"));
            addition.tensors.push(tensor::from_f32(&scale, &[point.channels], &scales));
            addition.tensors.push(tensor::from_u8(&zero, &[point.channels], &zeros));
            let levels = addition.node("QuantizeLinear", &[&body, &scale, &zero], &name("levels"));
            addition.on_channels();
            let near = addition.node("DequantizeLinear", &[&levels, &scale, &zero], &name("near"));
            addition.on_channels();
            let off = addition.node("Sub", &[&body, &near], &name("off"));
            let relative = addition.node("Div", &[&off, &loudness], &name("relative"));
            made.push(addition.reduce("ReduceSumSquare", &relative, &name("error")));
        }
        addition.output(&made, &format!("{}/errors", point.value));
    }
    Ok(addition.finish(graph))
}

/// What is added to a graph.
struct Addition {
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
    outputs: Vec<String>,
}

/// The initializers that name the axes which are reduced: batch and time, channels, time.
const AXES: &str = "calibration/axes";
const CHANNELS: &str = "calibration/channels";
const TIME: &str = "calibration/time";

/// The initializer that stands for no positions.
const NOTHING: &str = "calibration/nothing";

/// The initializers that hold the floor of loudness, as a part of its mean and as what keeps silence from 0 / 0.
const FLOOR: &str = "calibration/floor";
const LEAST: &str = "calibration/least";

impl Addition {
    fn new(graph: &GraphProto, points: &[Point]) -> Result<Self> {
        let view = View::new(graph);
        for point in points {
            if view.producer(&point.value).is_none() && !view.is_input(&point.value) {
                let message = "expected a value of the graph, found none of that name";
                return Err(Error::tensor(ErrorKind::Graph, &point.value, message));
            }
        }
        let tensors = vec![
            tensor::from_i64(AXES, &[2], &[0, 2]),
            tensor::from_i64(CHANNELS, &[1], &[1]),
            tensor::from_i64(TIME, &[1], &[2]),
            tensor::from_i64(NOTHING, &[1], &[0]),
            tensor::from_f32(FLOOR, &[], &[0.1]),
            tensor::from_f32(LEAST, &[], &[1e-12]),
        ];
        Ok(Self { nodes: vec![], tensors, outputs: vec![] })
    }

    fn node(&mut self, op: &str, inputs: &[&str], output: &str) -> String {
        self.nodes.push(node(op, output, inputs, &[output]));
        output.to_owned()
    }

    /// Makes the last node work on axis 1.
    fn on_channels(&mut self) {
        if let Some(node) = self.nodes.last_mut() {
            node.attribute.push(integer_attribute("axis", 1));
        }
    }

    /// A reduction of [N, C, T] to [1, C, 1].
    fn reduce(&mut self, op: &str, value: &str, output: &str) -> String {
        self.node(op, &[value, AXES], output)
    }

    /// What is measured of a point: what lies between its edges, and all of it where that is nothing.
    fn body(&mut self, point: &Point) -> String {
        let Point { value, edges, .. } = point;
        if *edges == 0 {
            return value.clone();
        }
        let name = |what: &str| format!("{value}/{what}");
        let (one, both) = (name("edge"), name("edges"));
        self.tensors.push(tensor::from_i64(&one, &[1], &[*edges as i64]));
        self.tensors.push(tensor::from_i64(&both, &[1], &[2 * *edges as i64]));
        let length = self.node("Shape", &[value], &name("length"));
        if let Some(node) = self.nodes.last_mut() {
            node.attribute.extend([integer_attribute("start", 2), integer_attribute("end", 3)]);
        }
        let longer = self.node("Greater", &[&length, &both], &name("longer"));
        let start = self.node("Where", &[&longer, &one, NOTHING], &name("start"));
        let end = self.node("Sub", &[&length, &start], &name("end"));
        self.node("Slice", &[value, &start, &end, TIME], &name("body"))
    }

    /// How loud a value [N, C, T] is at each time, as an amplitude [N, 1, T].
    fn loudness(&mut self, value: &str) -> String {
        let name = |what: &str| format!("{value}/{what}");
        let square = self.node("Mul", &[value, value], &name("square"));
        let power = self.node("ReduceMean", &[&square, CHANNELS], &name("power"));
        let mean = self.node("ReduceMean", &[&power, TIME], &name("power.mean"));
        let floor = self.node("Mul", &[&mean, FLOOR], &name("power.floor"));
        let floor = self.node("Add", &[&floor, LEAST], &name("power.least"));
        let sum = self.node("Add", &[&power, &floor], &name("power.sum"));
        self.node("Sqrt", &[&sum], &name("loudness"))
    }

    /// An output with `rows`, each [1, C, 1], one behind the other.
    fn output(&mut self, rows: &[String], name: &str) {
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let output = self.node("Concat", &rows, name);
        if let Some(node) = self.nodes.last_mut() {
            node.attribute.push(integer_attribute("axis", 0));
        }
        self.outputs.push(output);
    }

    fn finish(self, graph: &mut GraphProto) -> Vec<String> {
        graph.node.extend(self.nodes);
        graph.initializer.extend(self.tensors);
        let declared = |name: &String| {
            let tensor = type_proto::Tensor { elem_type: Some(DataType::Float.into()), shape: None };
            let value = Some(type_proto::Value::TensorType(tensor));
            ValueInfoProto {
                name: Some(name.clone()),
                r#type: Some(TypeProto { value, ..Default::default() }),
                ..Default::default()
            }
        };
        graph.output.extend(self.outputs.iter().map(declared));
        self.outputs
    }
}
