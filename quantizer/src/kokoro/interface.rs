//! Inputs and samples, of whatever type an export has them, made those that every Kokoro of ours has.

use std::collections::HashMap;

use super::rename::rename_used;
use super::{AUDIO, SPEED, STYLE, TOKENS};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{View, declaration, integer, integer_attribute, is, node};
use crate::names::Names;
use crate::proto::{
    GraphProto, NodeProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto, type_proto,
};
use crate::tensor;

/// A speed that is an integer is cast to float before it divides: without the cast it can be any.
pub(super) fn take_speed_as_float(graph: &mut GraphProto, called: &str) -> Result<()> {
    let Some(input) = graph.input.iter().find(|input| input.name() == SPEED) else { return Ok(()) };
    let Some(type_proto::Value::TensorType(declared)) =
        input.r#type.as_ref().and_then(|it| it.value.as_ref())
    else {
        return Ok(());
    };
    let is_float = declared.elem_type() == i32::from(DataType::Float);
    let rank = declared.shape.as_ref().map(|shape| shape.dim.len());
    if !is_float {
        let casts = |node: &NodeProto| {
            is(node, "Cast") && integer(node, "to", 0) == i64::from(i32::from(DataType::Float))
        };
        let uses = View::new(graph).consumers(SPEED).all(casts);
        if !uses {
            let message = "expected a speed that is float or cast to it, found another use of an integer";
            return Err(Error::tensor(ErrorKind::Unsupported, called, message));
        }
    }
    // One number for all uses, of the rank that the model's own nodes take.
    if rank == Some(0) {
        let mut taken = Names::of(graph);
        let scalar = taken.value("kokoro/speed");
        let renamed = HashMap::from([(SPEED.to_owned(), scalar.clone())]);
        rename_used(&mut graph.node, &renamed);
        let shape = taken.value("kokoro/scalar");
        graph.initializer.push(tensor::from_i64(&shape, &[0], &[]));
        graph.node.insert(0, node("Reshape", taken.node("predictor/speed"), &[SPEED, &shape], &[&scalar]));
    }
    Ok(())
}

/// Declares the three inputs and the samples as every Kokoro of ours has them.
pub(super) fn declare(graph: &mut GraphProto) -> Result<()> {
    use tensor_shape_proto::dimension::Value;
    let open = |name: &str| Value::DimParam(name.to_owned());
    let inputs = [
        (TOKENS, DataType::Int64, vec![Value::DimValue(1), open("tokens")]),
        (STYLE, DataType::Float, vec![Value::DimValue(1), Value::DimValue(256)]),
        (SPEED, DataType::Float, vec![Value::DimValue(1)]),
    ];
    for (name, element, dims) in inputs {
        let Some(info) = graph.input.iter_mut().find(|input| input.name() == name) else { continue };
        let before = element_of(info);
        if before == Some(element) && rank_of(info) == Some(dims.len()) {
            continue;
        }
        *info = declaration(name, element, dims.into_iter().map(Some).collect());
        if name == TOKENS && before == Some(DataType::Int32) {
            cast_input(graph, TOKENS, DataType::Int32);
        }
    }
    let Some(audio) = graph.output.iter_mut().find(|output| output.name() == AUDIO) else { return Ok(()) };
    match element_of(audio) {
        None | Some(DataType::Float) => Ok(()),
        Some(found) => Err(Error::tensor(
            ErrorKind::Unsupported,
            AUDIO,
            format!("expected float32 samples, found {}", crate::census::element_name(found)),
        )),
    }
}

fn element_of(info: &ValueInfoProto) -> Option<DataType> {
    match info.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => DataType::try_from(tensor.elem_type()).ok(),
        _ => None,
    }
}

fn rank_of(info: &ValueInfoProto) -> Option<usize> {
    match info.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => tensor.shape.as_ref().map(|shape| shape.dim.len()),
        _ => None,
    }
}

/// Puts a Cast to `element` behind the input `name`.
fn cast_input(graph: &mut GraphProto, name: &str, element: DataType) {
    let mut taken = Names::of(graph);
    let cast = taken.value(&format!("kokoro/{name}"));
    rename_used(&mut graph.node, &HashMap::from([(name.to_owned(), cast.clone())]));
    let mut made = node("Cast", taken.node(&format!("bert/{name}")), &[name], &[&cast]);
    made.attribute.push(integer_attribute("to", i64::from(i32::from(element))));
    graph.node.insert(0, made);
}
