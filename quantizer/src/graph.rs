//! A view of a graph by name: who makes a value, who uses it, which values are constant.

use std::collections::{HashMap, HashSet};

use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType, tensor_proto::DataType, type_proto,
};

/// Look-ups over a graph that is not being changed. Only look-ups: iterate the graph itself, whose order is
/// part of the model, and never these maps.
pub struct View<'a> {
    /// The graph that is viewed.
    pub graph: &'a GraphProto,
    producer: HashMap<&'a str, usize>,
    consumers: HashMap<&'a str, Vec<usize>>,
    initializer: HashMap<&'a str, usize>,
    input: HashSet<&'a str>,
}

impl<'a> View<'a> {
    /// Indexes `graph` by the names of its values.
    pub fn new(graph: &'a GraphProto) -> Self {
        let mut producer = HashMap::new();
        let mut consumers: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for output in outputs(node) {
                producer.insert(output, index);
            }
            for input in used_names(node) {
                let users = consumers.entry(input).or_default();
                if users.last() != Some(&index) {
                    users.push(index);
                }
            }
        }
        let initializer =
            graph.initializer.iter().enumerate().map(|(index, tensor)| (tensor.name(), index)).collect();
        let input = graph.input.iter().map(ValueInfoProto::name).collect();
        Self { graph, producer, consumers, initializer, input }
    }

    /// The node that makes `value`.
    pub fn producer(&self, value: &str) -> Option<&'a NodeProto> {
        self.producer.get(value).map(|&index| &self.graph.node[index])
    }

    /// The position of the node that makes `value`.
    pub fn producer_index(&self, value: &str) -> Option<usize> {
        self.producer.get(value).copied()
    }

    /// The nodes that use `value`, also those that use it only inside a sub-graph, in graph order.
    pub fn consumers(&self, value: &str) -> impl Iterator<Item = &'a NodeProto> + '_ {
        self.consumers.get(value).into_iter().flatten().map(|&index| &self.graph.node[index])
    }

    /// The one node that uses `value`; `None` where there are more, or none, or `value` is a graph output.
    pub fn only_consumer(&self, value: &str) -> Option<&'a NodeProto> {
        let is_output = self.graph.output.iter().any(|output| output.name() == value);
        match self.consumers.get(value).map(Vec::as_slice) {
            Some([index]) if !is_output => Some(&self.graph.node[*index]),
            _ => None,
        }
    }

    /// The initializer called `value`.
    pub fn initializer(&self, value: &str) -> Option<&'a TensorProto> {
        self.initializer.get(value).map(|&index| &self.graph.initializer[index])
    }

    /// Whether `value` is an input of the graph. An initializer of that name is only a default, which the
    /// caller may replace.
    pub fn is_input(&self, value: &str) -> bool {
        self.input.contains(value)
    }

    /// The position of the initializer called `value`.
    pub fn initializer_index(&self, value: &str) -> Option<usize> {
        self.initializer.get(value).copied()
    }
}

/// Whether `node` is the operator `op` of the default ONNX domain.
pub fn is(node: &NodeProto, op: &str) -> bool {
    node.op_type() == op && matches!(node.domain(), "" | "ai.onnx")
}

/// The outputs of `node` that have a name; an empty name means an optional output that is left out.
pub fn outputs(node: &NodeProto) -> impl Iterator<Item = &str> {
    node.output.iter().map(String::as_str).filter(|name| !name.is_empty())
}

/// Every value that `node` needs: its own inputs and what its sub-graphs capture from outside.
pub fn used_names(node: &NodeProto) -> Vec<&str> {
    let mut used: Vec<&str> = node.input.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    used.extend(nested(node).flat_map(captured_names));
    used
}

/// The graphs within the attributes of `node`: branches, and bodies of loops.
pub fn nested(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// The graphs within the attributes of `node`, to change, in the order of [`nested`].
pub fn nested_mut(node: &mut NodeProto) -> impl Iterator<Item = &mut GraphProto> {
    node.attribute.iter_mut().flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs))
}

/// The names of the sparse initializers of `graph`.
pub fn sparse_names(graph: &GraphProto) -> impl Iterator<Item = &str> {
    graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref()).map(TensorProto::name)
}

/// What `graph` has itself: inputs, initializers, and what its nodes make.
pub fn own_names(graph: &GraphProto) -> HashSet<&str> {
    let mut own: HashSet<&str> = graph.input.iter().map(super::proto::ValueInfoProto::name).collect();
    own.extend(graph.initializer.iter().map(TensorProto::name));
    own.extend(sparse_names(graph));
    own.extend(graph.node.iter().flat_map(outputs));
    own
}

/// The values a sub-graph uses without making them.
fn captured_names(graph: &GraphProto) -> Vec<&str> {
    let own = own_names(graph);
    let results = graph.output.iter().map(super::proto::ValueInfoProto::name);
    graph.node.iter().flat_map(used_names).chain(results).filter(|name| !own.contains(name)).collect()
}

/// The attribute `name` of `node`.
pub fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name() == name)
}

/// The integer attribute `name` of `node`, or what the operator's specification says where it is left out.
pub fn integer(node: &NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).map_or(default, super::proto::AttributeProto::i)
}

/// An integer attribute, ready to be put into a node.
pub fn integer_attribute(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        i: Some(value),
        r#type: Some(AttributeType::Int.into()),
        ..Default::default()
    }
}

/// A float attribute, ready to be put into a node.
pub fn float_attribute(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        f: Some(value),
        r#type: Some(AttributeType::Float.into()),
        ..Default::default()
    }
}

/// A string attribute, ready to be put into a node.
pub fn string_attribute(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        s: Some(value.to_owned().into()),
        r#type: Some(AttributeType::String.into()),
        ..Default::default()
    }
}

/// A tensor attribute, ready to be put into a node.
pub fn tensor_attribute(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        t: Some(value),
        r#type: Some(AttributeType::Tensor.into()),
        ..Default::default()
    }
}

/// The declaration of a tensor, each of whose dimensions has a size, a name, or neither.
pub fn declaration(name: &str, element: DataType, dims: Vec<Option<dimension::Value>>) -> ValueInfoProto {
    let dim = dims.into_iter().map(|value| Dimension { value, ..Default::default() }).collect();
    let shape = Some(TensorShapeProto { dim });
    let tensor = type_proto::Tensor { elem_type: Some(element.into()), shape };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto { value, ..Default::default() }),
        ..Default::default()
    }
}

/// A node of the default ONNX domain.
pub fn node(op: &str, name: impl Into<String>, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        name: Some(name.into()),
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: outputs.iter().map(|&output| output.into()).collect(),
        ..Default::default()
    }
}

/// How messages call a node: its operator with the domain, and its name or its first output.
pub fn describe(node: &NodeProto) -> String {
    let name = match node.name() {
        "" => node.output.first().map_or("", String::as_str),
        name => name,
    };
    match node.domain() {
        "" | "ai.onnx" => format!("node `{name}` ({})", node.op_type()),
        domain => format!("node `{name}` ({domain}.{})", node.op_type()),
    }
}
