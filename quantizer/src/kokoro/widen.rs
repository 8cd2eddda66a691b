//! Half precision made single.
//!
//! A float16 or bfloat16 is a float32, so weights keep their values and every product is at least as
//! exact.

use crate::error::Result;
use crate::graph::{is, nested_mut};
use crate::model;
use crate::proto::{GraphProto, ModelProto, TensorProto, ValueInfoProto, tensor_proto::DataType, type_proto};
use crate::tensor;

/// Makes every tensor of half precision float32, and what is declared of them and cast to them.
/// Returns how many tensors there were. A model in which nothing but stored weights is narrow, each
/// behind a Cast, is computed as before.
///
/// # Errors
/// Those of the tensors.
pub(super) fn widen(model: &mut ModelProto) -> Result<usize> {
    widen_graph(model::graph_mut(model)?)
}

fn widen_graph(graph: &mut GraphProto) -> Result<usize> {
    let mut count = 0;
    for tensor in &mut graph.initializer {
        count += usize::from(widen_tensor(tensor)?);
    }
    let infos = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    infos.for_each(widen_declaration);
    for node in &mut graph.node {
        let to = is(node, "Cast").then_some("to").or(is_typed(node.op_type()).then_some("dtype"));
        for attribute in &mut node.attribute {
            if let Some(tensor) = &mut attribute.t {
                count += usize::from(widen_tensor(tensor)?);
            }
            if Some(attribute.name()) == to && is_half(attribute.i() as i32) {
                attribute.i = Some(i64::from(i32::from(DataType::Float)));
            }
        }
        for inner in nested_mut(node) {
            count += widen_graph(inner)?;
        }
    }
    Ok(count)
}

/// Operators with an attribute `dtype`.
fn is_typed(op: &str) -> bool {
    op.starts_with("Random") || ["EyeLike", "Bernoulli", "Multinomial"].contains(&op)
}

fn is_half(element: i32) -> bool {
    [DataType::Float16, DataType::Bfloat16].map(i32::from).contains(&element)
}

fn widen_tensor(tensor: &mut TensorProto) -> Result<bool> {
    if !is_half(tensor.data_type()) {
        return Ok(false);
    }
    let values = tensor::to_nearest_f32(tensor)?;
    let name = tensor.name.take();
    let doc = tensor.doc_string.take();
    *tensor = tensor::from_f32("", &tensor::shape(tensor), &values);
    tensor.name = name;
    tensor.doc_string = doc;
    Ok(true)
}

fn widen_declaration(info: &mut ValueInfoProto) {
    if let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_mut().and_then(|it| it.value.as_mut())
        && is_half(tensor.elem_type())
    {
        tensor.elem_type = Some(DataType::Float.into());
    }
}
