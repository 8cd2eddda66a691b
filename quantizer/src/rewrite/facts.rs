//! What a graph says about its values before it runs: constants, element types, dimensions.

use std::collections::HashMap;

use crate::graph::{View, attribute, integer, is};
use crate::proto::{
    GraphProto, NodeProto, TensorProto, tensor_proto::DataType, tensor_shape_proto::dimension, type_proto,
};
use crate::tensor;

/// The dimensions of a value; `None` stands for one that is not known.
pub type Dims = Vec<Option<i64>>;

/// Look-ups of what is known. Declared shapes are believed; where they are missing or leave a dimension open, the
/// shape is worked out from the inputs, for the operators that the passes meet.
pub struct Facts<'a> {
    /// The graph that the facts are about.
    pub view: &'a View<'a>,
    declared: HashMap<&'a str, &'a type_proto::Tensor>,
    dims: HashMap<&'a str, Dims>,
}

impl<'a> Facts<'a> {
    /// Gathers the facts. Nodes that stand in front of what makes their inputs give less.
    pub fn new(view: &'a View<'a>) -> Self {
        let mut facts = Self { view, declared: declared(view.graph), dims: HashMap::new() };
        for node in &view.graph.node {
            for (position, output) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                let found = match (facts.declared_dims(output), super::shape::infer(node, position, &facts)) {
                    // A declaration knows the rank; what it leaves open may be known from the inputs.
                    (Some(declared), Some(inferred)) if declared.len() == inferred.len() => {
                        Some(declared.iter().zip(inferred).map(|(known, found)| known.or(found)).collect())
                    }
                    (declared, inferred) => declared.or(inferred),
                };
                if let Some(dims) = found {
                    facts.dims.insert(output, dims);
                }
            }
        }
        facts
    }

    /// The tensor behind a value that never changes: an initializer, or what a Constant holds. An initializer that is
    /// an input as well is only a default.
    pub fn tensor(&self, value: &str) -> Option<&'a TensorProto> {
        match self.view.initializer(value) {
            Some(_) if self.view.is_input(value) => None,
            Some(tensor) => Some(tensor),
            None => {
                let node = self.view.producer(value).filter(|node| is(node, "Constant"))?;
                attribute(node, "value")?.t.as_ref()
            }
        }
    }

    /// The elements of a constant of integers.
    pub fn integers(&self, value: &str) -> Option<Vec<i64>> {
        tensor::to_i64(self.tensor(value)?).ok()
    }

    /// A constant float without dimensions.
    pub fn scalar(&self, value: &str) -> Option<f32> {
        let tensor = self.tensor(value).filter(|tensor| tensor.dims.is_empty())?;
        tensor::to_f32(tensor).ok()?.first().copied()
    }

    /// Whether a value is the stored scalar 2, of any type.
    pub fn is_two(&self, value: &str) -> bool {
        let is_scalar = self.tensor(value).is_some_and(|tensor| tensor.dims.is_empty());
        is_scalar && (self.scalar(value) == Some(2.0) || self.integers(value).is_some_and(|it| it == [2]))
    }

    /// The constant axes of a reduction, a Squeeze or an Unsqueeze: the second input, before opset 13 or 18 an
    /// attribute.
    pub fn axes(&self, node: &NodeProto) -> Option<Vec<i64>> {
        match node.input.get(1) {
            Some(axes) if !axes.is_empty() => self.integers(axes),
            _ => attribute(node, "axes").map(|attribute| attribute.ints.clone()),
        }
    }

    /// The element type of a value; `None` where it is neither stored, declared, nor the result of a Cast.
    pub fn element(&self, value: &str) -> Option<DataType> {
        if let Some(tensor) = self.view.initializer(value) {
            return Some(tensor::element_type(tensor));
        }
        let cast = self.view.producer(value).filter(|node| is(node, "Cast"));
        let number = match (self.declared.get(value), cast) {
            (Some(declared), _) => declared.elem_type(),
            (None, Some(cast)) => i32::try_from(integer(cast, "to", 0)).ok()?,
            (None, None) => return None,
        };
        DataType::try_from(number).ok().filter(|&element| element != DataType::Undefined)
    }

    /// The dimensions of a value, where at least their number is known.
    pub fn dims(&self, value: &str) -> Option<Dims> {
        if let Some(dims) = self.dims.get(value) {
            return Some(dims.clone());
        }
        match self.view.initializer(value) {
            // The caller may bring a default of another shape.
            Some(tensor) if !self.view.is_input(value) => {
                Some(tensor.dims.iter().map(|&dim| Some(dim)).collect())
            }
            _ => self.declared_dims(value),
        }
    }

    fn declared_dims(&self, value: &str) -> Option<Dims> {
        let shape = self.declared.get(value)?.shape.as_ref()?;
        let size = |dim: &crate::proto::tensor_shape_proto::Dimension| match dim.value {
            Some(dimension::Value::DimValue(size)) if size >= 0 => Some(size),
            _ => None,
        };
        Some(shape.dim.iter().map(size).collect())
    }

    /// Whether a value is one that the graph gives to the caller.
    pub fn is_output(&self, value: &str) -> bool {
        self.view.graph.output.iter().any(|output| output.name() == value)
    }

    /// A name for a new value that no value has yet: `wanted`, with a number behind it where that is taken.
    pub fn free_name(&self, wanted: &str) -> String {
        let taken = |name: &str| {
            self.view.is_input(name)
                || self.view.initializer(name).is_some()
                || self.view.producer(name).is_some()
                || self.view.consumers(name).next().is_some()
        };
        let numbered = (2..).map(|number| format!("{wanted}/{number}"));
        std::iter::once(wanted.to_owned())
            .chain(numbered)
            .find(|name| !taken(name))
            .expect("numbers do not end")
    }
}

/// What the graph declares about tensors: inputs, outputs and inner values.
fn declared(graph: &GraphProto) -> HashMap<&str, &type_proto::Tensor> {
    let all = graph.value_info.iter().chain(&graph.output).chain(&graph.input);
    all.filter_map(|value| match value.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => Some((value.name(), tensor)),
        _ => None,
    })
    .collect()
}
