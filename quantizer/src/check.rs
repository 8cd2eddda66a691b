//! Refuses graphs that no runtime could run, with a message that names the node or tensor.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{describe, nested, outputs, own_names, sparse_names, used_names};
use crate::proto::{GraphProto, ModelProto, ValueInfoProto};
use crate::tensor;

/// Checks a whole model: its graph as [`validate`] does, the bodies of its functions, and that
/// every operator is of a domain that the model imports.
///
/// # Errors
/// Those of [`validate`].
pub fn model(model: &ModelProto) -> Result<()> {
    let graph = crate::model::graph(model)?;
    validate(graph)?;
    for function in &model.functions {
        let value = |name: &String| ValueInfoProto { name: Some(name.clone()), ..Default::default() };
        let body = GraphProto {
            node: function.node.clone(),
            input: function.input.iter().map(value).collect(),
            output: function.output.iter().map(value).collect(),
            ..Default::default()
        };
        validate(&body)?;
    }
    Ok(())
}

/// Checks that every value has one maker, that every value used is made somewhere, that there is no
/// cycle, and that each initializer's payload has the size that its type and shape ask for; of the
/// graph and of those within.
///
/// # Errors
/// [`ErrorKind::Graph`] and [`ErrorKind::Tensor`], for the first defect in graph order.
pub fn validate(graph: &GraphProto) -> Result<()> {
    within(graph, &HashSet::new())
}

/// Checks a graph that may use the values called `outside`.
fn within<'a>(graph: &'a GraphProto, outside: &HashSet<&'a str>) -> Result<()> {
    let mut stored = HashSet::new();
    for initializer in &graph.initializer {
        if !stored.insert(initializer.name()) {
            return Err(Error::tensor(
                ErrorKind::Graph,
                initializer.name(),
                "two initializers have this name",
            ));
        }
        tensor::check(initializer)?;
    }
    stored.extend(sparse_names(graph));
    let mut made: HashMap<&str, usize> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for output in outputs(node) {
            if let Some(other) = made.insert(output, index) {
                let other = describe(&graph.node[other]);
                return Err(Error::node(
                    ErrorKind::Graph,
                    node,
                    format!("output `{output}` is also made by {other}"),
                ));
            }
            if stored.contains(output) {
                return Err(Error::node(
                    ErrorKind::Graph,
                    node,
                    format!("output `{output}` is also the name of an initializer"),
                ));
            }
        }
    }
    let mut given = HashSet::new();
    for input in &graph.input {
        if !given.insert(input.name()) {
            return Err(Error::tensor(
                ErrorKind::Graph,
                input.name(),
                "two inputs of the graph have this name",
            ));
        }
        if let Some(&maker) = made.get(input.name()) {
            return Err(Error::node(
                ErrorKind::Graph,
                &graph.node[maker],
                format!("output `{}` is also the name of a graph input", input.name()),
            ));
        }
    }
    let own = |name: &str| stored.contains(name) || made.contains_key(name) || given.contains(name);
    let known = |name: &str| own(name) || outside.contains(name);
    for node in &graph.node {
        if let Some(missing) = used_names(node).into_iter().find(|name| !known(name)) {
            return Err(Error::node(
                ErrorKind::Graph,
                node,
                format!(
                    "input `{missing}` is made by no node and is neither an initializer nor a graph input"
                ),
            ));
        }
    }
    if let Some(output) = graph.output.iter().find(|output| !known(output.name())) {
        return Err(Error::tensor(ErrorKind::Graph, output.name(), "no node makes this output of the graph"));
    }
    crate::order::order(graph)?;
    for inner in graph.node.iter().flat_map(nested) {
        let mut outside = outside.clone();
        outside.extend(own_names(graph));
        within(inner, &outside)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::node;
    use crate::proto::{TensorProto, ValueInfoProto, tensor_proto::DataType};

    fn sound() -> GraphProto {
        let value = |name: &str| ValueInfoProto { name: Some(name.into()), ..Default::default() };
        GraphProto {
            node: vec![node("Add", "sum", &["x", "w"], &["s"]), node("Neg", "minus", &["s"], &["y"])],
            initializer: vec![tensor::from_f32("w", &[2], &[1.0, 2.0])],
            input: vec![value("x")],
            output: vec![value("y")],
            ..Default::default()
        }
    }

    #[test]
    fn a_sound_graph_passes() {
        validate(&sound()).unwrap();
    }

    #[test]
    fn every_defect_is_named() {
        type Defect = fn(&mut GraphProto);
        let defects: [(Defect, &str); 8] = [
            (|g| g.initializer.clear(), "node `sum` (Add): input `w` is made by no node"),
            (|g| g.initializer.push(g.initializer[0].clone()), "tensor `w`: two initializers"),
            (
                |g| g.node.push(node("Neg", "again", &["x"], &["y"])),
                "node `again` (Neg): output `y` is also made by node `minus`",
            ),
            (|g| g.node.push(node("Neg", "clash", &["x"], &["w"])), "also the name of an initializer"),
            (|g| g.output[0].name = Some("z".into()), "tensor `z`: no node makes this output"),
            (|g| g.node[0].input[0] = "y".into(), "a cycle of 2"),
            (|g| g.initializer[0].dims = vec![3], "tensor `w`: expected 12 bytes"),
            (|g| g.initializer[0].dims = vec![i64::MAX, 4], "tensor `w`: the shape"),
        ];
        for (change, expected) in defects {
            let mut graph = sound();
            change(&mut graph);
            let error = validate(&graph).expect_err(expected);
            assert!(error.to_string().contains(expected), "expected `{expected}`, found `{error}`");
        }
    }

    #[test]
    fn a_payload_in_typed_fields_is_counted_in_elements() {
        let mut graph = sound();
        graph.initializer[0] = TensorProto {
            name: Some("w".into()),
            dims: vec![2],
            data_type: Some(DataType::Float.into()),
            float_data: vec![1.0],
            ..Default::default()
        };
        let error = validate(&graph).unwrap_err();
        assert!(error.to_string().contains("expected 2 elements in `float_data`, found 1"), "{error}");
    }
}
