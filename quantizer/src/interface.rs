//! What a caller sees of a model: inputs, outputs, and how many token ids its embeddings have.

use std::collections::HashSet;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{View, is};
use crate::proto::{
    GraphProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::dimension, type_proto,
};

/// One dimension of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Fixed by the model.
    Fixed(i64),
    /// Chosen by the caller or by the data; the name may be empty.
    Named(String),
}

/// One input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The name of the value in the graph.
    pub name: String,
    /// The element type in lower case, such as `int64` or `float32`.
    pub element_type: String,
    /// The shape, outermost dimension first.
    pub shape: Vec<Dimension>,
}

/// The inputs of a graph that have no default, in order.
pub fn inputs(graph: &GraphProto) -> Vec<Port> {
    let defaults: HashSet<&str> = graph.initializer.iter().map(super::proto::TensorProto::name).collect();
    graph.input.iter().filter(|value| !defaults.contains(value.name())).map(port).collect()
}

/// The outputs of a graph, in order.
pub fn outputs(graph: &GraphProto) -> Vec<Port> {
    graph.output.iter().map(port).collect()
}

fn port(value: &ValueInfoProto) -> Port {
    let tensor = match value.r#type.as_ref().and_then(|r#type| r#type.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => Some(tensor),
        _ => None,
    };
    let element = tensor.and_then(|tensor| DataType::try_from(tensor.elem_type()).ok()).unwrap_or_default();
    let dims = tensor.and_then(|tensor| tensor.shape.as_ref()).map_or(&[][..], |shape| &shape.dim);
    let shape = dims
        .iter()
        .map(|dim| match &dim.value {
            Some(dimension::Value::DimValue(value)) => Dimension::Fixed(*value),
            Some(dimension::Value::DimParam(name)) => Dimension::Named(name.clone()),
            None => Dimension::Named(String::new()),
        })
        .collect();
    Port { name: value.name().into(), element_type: crate::census::element_name(element), shape }
}

/// The number of token ids: the fewest rows of the tables in which `tokens` is looked up directly.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where nothing is looked up by that input.
pub fn vocabulary_size(graph: &GraphProto, tokens: &str) -> Result<usize> {
    let view = View::new(graph);
    let rows = view
        .consumers(tokens)
        .filter(|node| is(node, "Gather") && node.input.get(1).is_some_and(|indices| indices == tokens))
        .filter_map(|node| stored_rows(&node.input[0], &view));
    rows.min().ok_or_else(|| {
        Error::tensor(
            ErrorKind::Unsupported,
            tokens,
            "expected an embedding that looks this input up, found none",
        )
    })
}

/// The rows of a table, seen through the elementwise nodes that turn stored integers into floats.
fn stored_rows(table: &str, view: &View<'_>) -> Option<usize> {
    let mut name = table;
    // A stored table stands at most a Cast and a Mul away; the bound ends a walk through a cycle.
    for _ in 0..8 {
        if let Some(initializer) = view.initializer(name) {
            return initializer.dims.first().map(|&rows| rows as usize);
        }
        let node = view.producer(name)?;
        if !["Cast", "Mul", "DequantizeLinear", "Identity"].iter().any(|op| is(node, op)) {
            return None;
        }
        name = node.input.first()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::node;
    use crate::tensor::{from_f32, from_i8};

    #[test]
    fn the_smallest_table_bounds_the_ids() {
        let graph = GraphProto {
            node: vec![
                node("Cast", "", &["table_int8"], &["table_cast"]),
                node("Mul", "", &["table_cast", "scale"], &["table"]),
                node("Gather", "", &["table", "tokens"], &["a"]),
                node("Gather", "", &["other", "tokens"], &["b"]),
                node("Gather", "", &["unrelated", "positions"], &["c"]),
            ],
            initializer: vec![
                from_i8("table_int8", &[4, 1], &[0; 4]),
                from_f32("scale", &[4, 1], &[0.0; 4]),
                from_f32("other", &[5, 1], &[0.0; 5]),
                from_f32("unrelated", &[2, 1], &[0.0; 2]),
            ],
            ..Default::default()
        };
        assert_eq!(vocabulary_size(&graph, "tokens").unwrap(), 4);
        let error = vocabulary_size(&graph, "style").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
