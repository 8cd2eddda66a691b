//! Shapes that ONNX Runtime does not infer, written into the graph.

use super::edit::{is_float, position};
use crate::error::Result;
use crate::graph::{View, integer, is};
use crate::order;
use crate::proto::tensor_proto::DataType;
use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{GraphProto, NodeProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto};
use crate::rewrite::{Dims, Facts};
use crate::tensor;

/// Declares what LSTM, STFT, Gather, Where and the layer norms make, as far as it follows from their inputs and the graph does not say
/// it yet. Returns how many values. What the other operators make of these, runtimes infer.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn declare(graph: &mut GraphProto) -> Result<usize> {
    order::sort(graph)?;
    let mut count = 0;
    // Each round declares what follows from what the rounds before declared, and takes an open dimension away.
    loop {
        let found = {
            let view = View::new(graph);
            let facts = Facts::new(&view);
            let found = view.graph.node.iter().flat_map(|node| found(node, &facts));
            found.collect::<Vec<_>>()
        };
        if found.is_empty() {
            return Ok(count);
        }
        count += found.len();
        for (name, element, dims) in found {
            write(graph, &name, element, &dims);
        }
    }
}

/// Declares what STFT makes and nothing else. Returns how many values it declared.
///
/// No runtime infers that shape, and OpenVINO takes no value of unknown rank. All that comes behind follows from it.
pub fn transforms(graph: &mut GraphProto) -> usize {
    let made = {
        let view = View::new(graph);
        let facts = Facts::new(&view);
        let transforms = view.graph.node.iter().filter(|node| is(node, "STFT"));
        let made = transforms.filter_map(|node| {
            let (element, dims) = shapes(node, &facts)?;
            Some((node.output.first()?.clone(), element, dims.into_iter().next()?))
        });
        made.collect::<Vec<_>>()
    };
    let mut declared = 0;
    for (name, element, dims) in &made {
        // A value that the graph gives away is declared there.
        if graph.output.iter().all(|output| output.name() != name) {
            write(graph, name, *element, dims);
            declared += 1;
        }
    }
    declared
}

/// The outputs of a node of which more is found than is known.
fn found(node: &NodeProto, facts: &Facts<'_>) -> Vec<(String, DataType, Dims)> {
    let Some((element, shapes)) = shapes(node, facts) else { return vec![] };
    let outputs = node.output.iter().zip(shapes).filter(|(name, _)| !name.is_empty());
    let more = outputs.filter_map(|(name, dims)| {
        let merged = match facts.dims(name) {
            None => dims,
            Some(known) if known.len() == dims.len() => {
                let merged: Dims = known.iter().zip(dims).map(|(known, found)| known.or(found)).collect();
                Some(merged).filter(|merged| *merged != known)?
            }
            // The graph says otherwise.
            Some(_) => return None,
        };
        Some((name.clone(), element, merged))
    });
    more.collect()
}

/// The element type and the shape of each output.
fn shapes(node: &NodeProto, facts: &Facts<'_>) -> Option<(DataType, Vec<Dims>)> {
    let dims = |at: usize| facts.dims(node.input.get(at)?);
    let stored = |at: usize| Some(tensor::element_type(facts.tensor(node.input.get(at)?)?));
    match node.op_type() {
        "LSTM" if is(node, "LSTM") && integer(node, "layout", 0) == 0 => {
            let [steps, batch, _] = dims(0)?[..] else { return None };
            let [directions, _, hidden] = dims(2)?[..] else { return None };
            let state = vec![directions, batch, hidden];
            Some((stored(1)?, vec![vec![steps, directions, batch, hidden], state.clone(), state]))
        }
        "STFT" if is(node, "STFT") => {
            let [length] = dims(2)?[..] else { return None };
            let is_onesided = integer(node, "onesided", 1) == 1;
            let bins = if is_onesided { length.map(|length| length / 2 + 1) } else { length };
            // Whatever the signal is, there are four.
            let batch = dims(0).and_then(|dims| *dims.first()?);
            Some((stored(2)?, vec![vec![batch, None, bins, Some(2)]]))
        }
        "Gather" if is(node, "Gather") => {
            let (data, indices) = (dims(0)?, dims(1)?);
            let axis = position(integer(node, "axis", 0), data.len())?;
            let element = stored(0).or_else(|| is_float(&node.input[0], facts).then_some(DataType::Float));
            Some((element?, vec![[&data[..axis], &indices, &data[axis + 1..]].concat()]))
        }
        "Where" if is(node, "Where") => {
            let chosen = dims(1).filter(|dims| is_float(&node.input[1], facts) && !dims.is_empty())?;
            let is_alike = compared(&node.input[0], facts)? == chosen && dims(2)? == chosen;
            is_alike.then_some((DataType::Float, vec![chosen]))
        }
        "LayerNormalization" | "SkipLayerNormalization" => {
            let scale = if node.op_type() == "LayerNormalization" { 1 } else { 2 };
            Some((stored(scale)?, vec![dims(0)?]))
        }
        _ => None,
    }
}

/// The shape of a comparison with a scalar.
fn compared(condition: &str, facts: &Facts<'_>) -> Option<Dims> {
    let comparison = facts.view.producer(condition)?;
    let [a, b] = comparison.input.as_slice() else { return None };
    let is_comparison = is(comparison, "Greater") || is(comparison, "Less");
    facts.dims(a).filter(|_| is_comparison && facts.scalar(b).is_some())
}

/// Puts a shape into the declaration of a value, or declares it. Names that open dimensions have stay.
fn write(graph: &mut GraphProto, name: &str, element: DataType, dims: &Dims) {
    let at = graph.value_info.iter().position(|info| info.name() == name).unwrap_or_else(|| {
        graph.value_info.push(ValueInfoProto { name: Some(name.into()), ..Default::default() });
        graph.value_info.len() - 1
    });
    let info: &mut TypeProto = graph.value_info[at].r#type.get_or_insert_default();
    let empty = || type_proto::Value::TensorType(type_proto::Tensor::default());
    let type_proto::Value::TensorType(declared) = info.value.get_or_insert_with(empty) else { return };
    declared.elem_type.get_or_insert(element.into());
    let shape: &mut TensorShapeProto = declared.shape.get_or_insert_default();
    shape.dim.resize_with(dims.len(), Dimension::default);
    for (declared, size) in shape.dim.iter_mut().zip(dims) {
        if let Some(size) = size {
            declared.value = Some(dimension::Value::DimValue(*size));
        }
    }
}
