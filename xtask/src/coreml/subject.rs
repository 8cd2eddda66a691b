//! What the provider can know of a node: its attributes, and the types, shapes and constants of its values.

use std::collections::HashMap;

use quantizer::graph::{View, attribute, is};
use quantizer::proto::tensor_proto::DataType;
use quantizer::proto::{
    AttributeProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
    tensor_shape_proto::dimension, type_proto,
};
use quantizer::{model, tensor};

use super::{Format, Left, Options, Reason};

/// A length, or `None` where it is dynamic.
pub(super) type Dimension = Option<i64>;

/// What is known of a value.
struct Known {
    element: DataType,
    shape: Option<Vec<Dimension>>,
}

/// What is known of the values of a graph.
pub(super) struct Values<'a> {
    pub view: View<'a>,
    known: HashMap<&'a str, Known>,
    /// The version of ONNX's own operators.
    opset: i64,
    /// From version 4 of the format on, an initializer that is an input, too, is a default that a caller may replace.
    inputs_replace: bool,
}

impl<'a> Values<'a> {
    pub fn of(model: &'a ModelProto) -> quantizer::error::Result<Self> {
        let graph = model::graph(model)?;
        let mut known = HashMap::new();
        let infos = graph.value_info.iter().chain(&graph.input).chain(&graph.output);
        known.extend(infos.map(|info| (info.name(), of_info(info))));
        // The shape of a stored tensor is never in doubt.
        known.extend(graph.initializer.iter().map(|stored| {
            let shape = stored.dims.iter().map(|&length| Some(length)).collect();
            (stored.name(), Known { element: tensor::element_type(stored), shape: Some(shape) })
        }));
        let own = |domain: &str| matches!(domain, "" | "ai.onnx");
        let opset =
            model.opset_import.iter().find(|set| own(set.domain())).map_or(1, OperatorSetIdProto::version);
        let inputs_replace = model.ir_version() >= 4;
        Ok(Self { view: View::new(graph), known, opset, inputs_replace })
    }

    /// The shape of a value; `None` where not even the number of dimensions is known.
    pub fn shape(&self, name: &str) -> Option<&[Dimension]> {
        self.known.get(name)?.shape.as_deref()
    }

    fn constant(&self, name: &str) -> Option<&'a TensorProto> {
        let stored = self.view.initializer(name)?;
        (!(self.inputs_replace && self.view.is_input(name))).then_some(stored)
    }
}

fn of_info(info: &ValueInfoProto) -> Known {
    let Some(type_proto::Value::TensorType(tensor)) =
        info.r#type.as_ref().and_then(|r#type| r#type.value.as_ref())
    else {
        return Known { element: DataType::Undefined, shape: None };
    };
    let dimension = |dimension: &quantizer::proto::tensor_shape_proto::Dimension| match dimension.value {
        Some(dimension::Value::DimValue(length)) if length >= 0 => Some(length),
        _ => None,
    };
    Known {
        element: DataType::try_from(tensor.elem_type()).unwrap_or_default(),
        shape: tensor.shape.as_ref().map(|shape| shape.dim.iter().map(dimension).collect()),
    }
}

/// A node that the provider is asked about.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub node: &'a NodeProto,
    pub values: &'a Values<'a>,
    pub format: Format,
    pub options: Options,
}

impl<'a> Subject<'a> {
    pub fn is_ml_program(&self) -> bool {
        self.format == Format::MlProgram
    }

    /// The version of ONNX's own operators.
    pub fn opset(&self) -> i64 {
        self.values.opset
    }

    /// The name of an input; `None` for one that is left out.
    pub fn input(&self, at: usize) -> Option<&'a str> {
        self.node.input.get(at).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The name of an output; `None` for one that is left out.
    pub fn output(&self, at: usize) -> Option<&'a str> {
        self.node.output.get(at).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The element type of a value; undefined where it is not known.
    pub fn element(&self, name: &str) -> DataType {
        self.values.known.get(name).map_or(DataType::Undefined, |known| known.element)
    }

    /// The shape of a value; `None` where not even the number of dimensions is known.
    pub fn shape_of(&self, name: &str) -> Option<&'a [Dimension]> {
        self.values.shape(name)
    }

    /// The shape of an input that is not left out.
    pub fn shape(&self, at: usize) -> Result<&'a [Dimension], Left> {
        self.input(at).and_then(|name| self.shape_of(name)).ok_or_else(|| unknown(&format!("input {at}")))
    }

    /// The shape of an input, if no dimension of it is dynamic.
    pub fn static_shape(&self, at: usize) -> Result<Vec<i64>, Left> {
        self.shape(at)?.iter().copied().collect::<Option<_>>().ok_or_else(|| {
            Left::because(Reason::DynamicDimension, format!("of input {at}, which has to be static"))
        })
    }

    /// Whether an input is a constant that no caller can replace.
    pub fn is_constant(&self, at: usize) -> bool {
        self.input(at).is_some_and(|name| self.values.constant(name).is_some())
    }

    /// The values of an input, which has to be a constant. `what` is the operator's name for it.
    pub fn integers(&self, at: usize, what: &str) -> Result<Vec<i64>, Left> {
        let constant = self.input(at).and_then(|name| self.values.constant(name));
        let stored = constant.ok_or_else(|| not_constant(at, what))?;
        tensor::to_i64(stored).map_err(|_| {
            let element = quantizer::census::element_name(tensor::element_type(stored));
            Left::because(Reason::ElementType, format!("`{what}` is {element}, expected integers"))
        })
    }

    /// The values of an input, which has to be a constant. `what` is the operator's name for it.
    pub fn floats(&self, at: usize, what: &str) -> Result<Vec<f32>, Left> {
        let constant = self.input(at).and_then(|name| self.values.constant(name));
        let stored = constant.ok_or_else(|| not_constant(at, what))?;
        tensor::to_f32(stored).map_err(|_| {
            let element = quantizer::census::element_name(tensor::element_type(stored));
            Left::because(Reason::ElementType, format!("`{what}` is {element}, expected float32"))
        })
    }

    /// An integer attribute, or the operator's default for it.
    pub fn integer(&self, name: &str, default: i64) -> i64 {
        quantizer::graph::integer(self.node, name, default)
    }

    /// A float attribute, or the operator's default for it.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        attribute(self.node, name).map_or(default, AttributeProto::f)
    }

    /// An attribute of several integers, if the node has it.
    pub fn list(&self, name: &str) -> Option<&'a [i64]> {
        attribute(self.node, name).map(|found| found.ints.as_slice())
    }

    /// A text attribute, or the operator's default for it.
    pub fn text(&self, name: &str, default: &'static str) -> &'a str {
        attribute(self.node, name).map_or(default, |found| std::str::from_utf8(found.s()).unwrap_or_default())
    }

    /// The node that makes an input.
    pub fn producer(&self, at: usize) -> Option<&'a NodeProto> {
        self.values.view.producer(self.input(at)?)
    }

    /// The nodes that use an output.
    pub fn consumers(&self, at: usize) -> Vec<&'a NodeProto> {
        self.output(at).map_or(Vec::new(), |name| self.values.view.consumers(name).collect())
    }
}

/// Whether a node casts to int32.
pub(super) fn casts_to_int32(node: &NodeProto) -> bool {
    is(node, "Cast") && quantizer::graph::integer(node, "to", 0) == DataType::Int32 as i64
}

pub(super) fn unknown(what: &str) -> Left {
    Left::because(Reason::UnknownShape, format!("of {what}"))
}

pub(super) fn not_constant(at: usize, what: &str) -> Left {
    Left::because(Reason::NotConstant, format!("input {at}, `{what}`"))
}
