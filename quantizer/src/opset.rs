//! Versions: which operator set a model has, and a newer one where every operator in it means the
//! same there.
//!
//! What a scheme writes may need operators that a model's own set lacks, so the set is raised, up
//! to [`HIGHEST`], as the history of each operator in the specification allows. Most versions only
//! allow more than the one before. Some moved an attribute to an input, which is written out here.
//! Where a meaning changed, or cannot be told from the graph, the model is refused by the node's
//! name.

mod step;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::nested_mut;
use crate::names::Names;
use crate::proto::{ModelProto, NodeProto, OperatorSetIdProto, TensorProto};
use step::Step;

/// The set up to which models are raised.
pub const HIGHEST: i64 = 18;

/// The version of the default operator set that a model imports.
pub fn version(sets: &[OperatorSetIdProto]) -> Option<i64> {
    sets.iter().find(|set| is_default(set.domain())).map(OperatorSetIdProto::version)
}

fn is_default(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Takes the initializers of a model before IR version 4 out of its inputs, where each of them had
/// to be: a caller could not replace them. The model is of version 4 then, which says the same
/// without that.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for IR version 1 and 2, in which operators have no versions.
pub(crate) fn make_initializers_constant(model: &mut ModelProto) -> Result<()> {
    let version = model.ir_version();
    if version < 3 {
        let message = format!("expected a model of IR version 3 or later, found {version}");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if version == 3 {
        let graph = crate::model::graph_mut(model)?;
        let constants: std::collections::HashSet<&str> =
            graph.initializer.iter().map(TensorProto::name).collect();
        graph.input.retain(|input| !constants.contains(input.name()));
        model.ir_version = Some(4);
    }
    Ok(())
}

/// Makes `model` one of the default operator set `needed` or a later one.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where that is not exact, or for sets above [`HIGHEST`]; the message
/// names the node.
pub(crate) fn raise(model: &mut ModelProto, needed: i64) -> Result<()> {
    let functions = model.functions.iter().map(|function| &function.opset_import);
    let sets = std::iter::once(&model.opset_import).chain(functions);
    let lowest = sets.filter_map(|sets| version(sets)).min();
    if lowest.is_none_or(|lowest| lowest >= needed) {
        return Ok(());
    }
    if needed > HIGHEST {
        let found = lowest.unwrap_or_default();
        let message = format!(
            "expected a model of opset {needed} or later, found {found}, and models are raised to {HIGHEST} at most\n\
             hint: convert it with the tool that made it, or with `onnx.version_converter`"
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let only_float32 = step::has_only_float32(model);
    if let Some(from) = version(&model.opset_import).filter(|&from| from < needed) {
        let graph = crate::model::graph_mut(model)?;
        let names = Names::of(graph);
        let mut step = Step { from, to: needed, only_float32, names: Some(names), tensors: Vec::new() };
        each(&mut graph.node, &mut step)?;
        graph.initializer.append(&mut step.tensors);
        set(&mut model.opset_import, needed);
    }
    for function in &mut model.functions {
        if let Some(from) = version(&function.opset_import).filter(|&from| from < needed) {
            let mut step = Step { from, to: needed, only_float32, names: None, tensors: Vec::new() };
            each(&mut function.node, &mut step)?;
            set(&mut function.opset_import, needed);
        }
    }
    Ok(())
}

fn set(sets: &mut [OperatorSetIdProto], version: i64) {
    sets.iter_mut().filter(|set| is_default(set.domain())).for_each(|set| set.version = Some(version));
}

fn each(nodes: &mut [NodeProto], step: &mut Step) -> Result<()> {
    for node in nodes {
        if is_default(node.domain()) {
            step.take(node).map_err(|reason| {
                let (from, to) = (step.from, step.to);
                let message = format!(
                    "expected a node that means the same in opset {to}, which what is written needs; the model is of \
                     opset {from}, and {reason}\nhint: convert the model with `onnx.version_converter`"
                );
                Error::node(ErrorKind::Unsupported, node, message)
            })?;
        }
        nested_mut(node).try_for_each(|inner| each(&mut inner.node, step))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::graph::{integer, integer_attribute, node};
    use crate::proto::{AttributeProto, GraphProto};
    use crate::tensor;

    /// A node of opset `from` in the highest one, and the constants that came to it.
    fn raised(
        op: &str,
        outputs: &[&str],
        attributes: &[AttributeProto],
        from: i64,
    ) -> Result<(NodeProto, GraphProto)> {
        let node = NodeProto { attribute: attributes.to_vec(), ..node(op, "old", &["x"], outputs) };
        let graph = GraphProto { node: vec![node], ..GraphProto::default() };
        let sets = OperatorSetIdProto { domain: None, version: Some(from) };
        let mut model = ModelProto { graph: Some(graph), opset_import: vec![sets], ..ModelProto::default() };
        raise(&mut model, HIGHEST)?;
        assert_eq!(version(&model.opset_import), Some(HIGHEST));
        let graph = model.graph.unwrap();
        Ok((graph.node[0].clone(), graph))
    }

    fn ints(name: &str, ints: &[i64]) -> AttributeProto {
        AttributeProto { name: Some(name.into()), ints: ints.to_vec(), ..AttributeProto::default() }
    }

    #[test]
    fn axes_become_an_input_where_the_operator_has_one() {
        for (op, from) in
            [("ReduceMean", 17), ("ReduceL2", 13), ("ReduceSum", 11), ("Unsqueeze", 12), ("Squeeze", 11)]
        {
            let (node, graph) = raised(op, &["y"], &[ints("axes", &[0, 2])], from).unwrap();
            assert_eq!(
                (node.input.as_slice(), node.attribute.len()),
                (&["x", "y_axes"].map(String::from)[..], 0),
                "{op}"
            );
            assert_eq!(tensor::to_i64(&graph.initializer[0]).unwrap(), [0, 2], "{op}");
        }
        // It is one already, or means all of them.
        let (node, graph) = raised("ReduceSum", &["y"], &[], 13).unwrap();
        assert_eq!((node.input.len(), graph.initializer.len()), (1, 0));
    }

    #[test]
    fn parts_without_sizes_are_counted() {
        let (node, _) = raised("Split", &["a", "b"], &[integer_attribute("axis", 1)], 13).unwrap();
        assert_eq!((integer(&node, "num_outputs", 0), integer(&node, "axis", 0)), (2, 1));
        let (node, graph) =
            raised("Split", &["a", "b"], &[integer_attribute("axis", 1), ints("split", &[1, 3])], 11)
                .unwrap();
        assert_eq!(
            (node.input.as_slice(), graph.initializer.len()),
            (&["x", "a_split"].map(String::from)[..], 1)
        );
        assert_eq!(integer(&node, "num_outputs", 0), 0);
    }

    #[test]
    fn what_went_over_several_axes_is_refused_by_name() {
        assert!(raised("Softmax", &["y"], &[integer_attribute("axis", -1)], 12).is_ok());
        for (op, outputs, attribute, from) in [
            ("Softmax", &["y"][..], integer_attribute("axis", 1), 12),
            ("BatchNormalization", &["y", "mean"], integer_attribute("axis", 1), 13),
        ] {
            let error = raised(op, outputs, &[attribute], from).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("node `old`"), "{error}");
        }
    }
}
