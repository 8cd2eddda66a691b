//! Building small graphs.

use quantizer::proto::tensor_proto::DataType;
use quantizer::proto::{
    AttributeProto, GraphProto, NodeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

/// A value of which the graph declares nothing.
pub fn value(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.into()), ..Default::default() }
}

/// A declared tensor; a dimension of 0 is left open.
pub fn declared(name: &str, element: DataType, dims: &[i64]) -> ValueInfoProto {
    let dim = |&size: &i64| tensor_shape_proto::Dimension {
        value: (size > 0).then_some(tensor_shape_proto::dimension::Value::DimValue(size)),
        ..Default::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(element.into()),
        shape: Some(quantizer::proto::TensorShapeProto { dim: dims.iter().map(dim).collect() }),
    };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto { r#type: Some(TypeProto { value, ..Default::default() }), ..self::value(name) }
}

/// A declared tensor of float32.
pub fn float(name: &str, dims: &[i64]) -> ValueInfoProto {
    declared(name, DataType::Float, dims)
}

/// The node with a list of integers as an attribute, in place of one of that name.
pub fn with_ints(mut node: NodeProto, name: &str, ints: &[i64]) -> NodeProto {
    node.attribute.retain(|attribute| attribute.name() != name);
    node.attribute.push(AttributeProto {
        name: Some(name.into()),
        ints: ints.to_vec(),
        ..Default::default()
    });
    node
}

/// The nodes of a graph, one a line: `y = Add(a, b)`.
pub fn shown(graph: &GraphProto) -> Vec<String> {
    let show =
        |node: &NodeProto| format!("{} = {}({})", node.output[0], node.op_type(), node.input.join(", "));
    graph.node.iter().map(show).collect()
}
