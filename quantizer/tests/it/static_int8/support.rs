//! Small graphs with one convolution or two.

use std::collections::BTreeMap;

use quantizer::calibration::{Channel, Ranges, Selection};
use quantizer::graph::{integer_attribute, node};
use quantizer::proto::attribute_proto::AttributeType;
use quantizer::proto::tensor_proto::DataType;
use quantizer::proto::tensor_shape_proto::{self, Dimension};
use quantizer::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorShapeProto, TypeProto, ValueInfoProto,
    type_proto,
};
use quantizer::schemes::{self, Scheme, StaticInt8, Summary, WeightsInt8};
use quantizer::tensor;

/// How a convolution is laid out.
#[derive(Clone, Debug)]
pub struct Layout {
    pub outputs: usize,
    pub per_group: usize,
    pub kernel: usize,
    pub groups: usize,
    pub stride: usize,
    pub dilation: usize,
    pub pads: [usize; 2],
}

impl Layout {
    /// A convolution of one tap and nothing else.
    pub const fn plain(outputs: usize, per_group: usize, kernel: usize) -> Self {
        Self { outputs, per_group, kernel, groups: 1, stride: 1, dilation: 1, pads: [0, 0] }
    }

    pub fn inputs(&self) -> usize {
        self.per_group * self.groups
    }

    pub fn dims(&self) -> [usize; 3] {
        [self.outputs, self.per_group, self.kernel]
    }

    pub fn node(&self, name: &str, inputs: &[&str], output: &str) -> NodeProto {
        let mut conv = node("Conv", name, inputs, &[output]);
        let ints = |name: &str, values: &[usize]| AttributeProto {
            name: Some(name.into()),
            ints: values.iter().map(|&value| value as i64).collect(),
            r#type: Some(AttributeType::Ints.into()),
            ..Default::default()
        };
        conv.attribute = vec![
            ints("strides", &[self.stride]),
            ints("dilations", &[self.dilation]),
            ints("pads", &self.pads),
            integer_attribute("group", self.groups as i64),
        ];
        conv
    }
}

pub fn value(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.into()), ..Default::default() }
}

/// A declared tensor of float32; a dimension of 0 is left open.
pub fn float(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = |&size: &i64| Dimension {
        value: (size > 0).then_some(tensor_shape_proto::dimension::Value::DimValue(size)),
        ..Default::default()
    };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: Some(DataType::Float.into()), shape: Some(shape) };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { r#type: Some(kind), ..value(name) }
}

/// `y = Conv(x, w, b)`, called `conv`.
pub fn one_convolution(layout: &Layout, weights: &[f32], bias: &[f32]) -> GraphProto {
    GraphProto {
        node: vec![layout.node("conv", &["x", "w", "b"], "y")],
        initializer: vec![
            tensor::from_f32("w", &layout.dims(), weights),
            tensor::from_f32("b", &[layout.outputs], bias),
        ],
        input: vec![value("x")],
        output: vec![value("y")],
        ..Default::default()
    }
}

pub fn model(graph: GraphProto) -> ModelProto {
    ModelProto { ir_version: Some(9), graph: Some(graph), ..Default::default() }
}

/// A channel that reaches from `low` to `high` and has `variance` around the mean 0.
pub fn channel(low: f32, high: f32, variance: f32) -> Channel {
    Channel { low, high, mean: 0.0, mean_square: variance }
}

pub fn ranges(values: &[(&str, Vec<Channel>)]) -> Ranges {
    let values = values.iter().map(|(name, channels)| ((*name).to_owned(), channels.clone()));
    Ranges { values: values.collect::<BTreeMap<_, _>>() }
}

pub fn scheme(ranges: Ranges) -> StaticInt8 {
    StaticInt8 {
        rewrites: vec![],
        convolutions: Selection::default(),
        ranges,
        edges: vec![],
        weight_levels: 127,
        lookup_levels: None,
        weights: WeightsInt8 { min_elements: 1, exclude: None, finer: vec![] },
    }
}

pub fn quantized(graph: GraphProto, scheme: &dyn Scheme) -> (GraphProto, Summary) {
    let mut model = model(graph);
    let summary = schemes::quantize(&mut model, scheme).unwrap();
    (model.graph.unwrap(), summary)
}
