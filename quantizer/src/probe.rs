//! Probes: reading an inner value of a graph, and putting another in its place.
//!
//! Two graphs that share the names of some inner values can so be compared part by part: what the one predicts is
//! exposed, and what the other predicted is put in its place, so that everything behind it starts from the same.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{View, declaration, outputs};

use crate::proto::{GraphProto, NodeProto, ValueInfoProto, tensor_proto::DataType, type_proto};

/// What is known of a value inside a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point<'a> {
    /// The name of the value: an output of a node, which need not be the node's name.
    pub value: &'a str,
    /// The type of its elements.
    pub element: DataType,
    /// How many dimensions it has. All of them are left open.
    pub rank: usize,
}

/// Makes an inner value an output of the graph, under its own name and behind the outputs there are. Nodes are left
/// as they are. A value that is an output already stays one.
///
/// # Errors
/// [`ErrorKind::Graph`] where no node makes the value, [`ErrorKind::Unsupported`] where the graph says that it is of
/// another type.
pub fn expose(graph: &mut GraphProto, point: Point<'_>) -> Result<()> {
    check(graph, point)?;
    if graph.output.iter().all(|output| output.name() != point.value) {
        graph.output.push(point.info(point.value));
    }
    Ok(())
}

/// Makes every node that uses an inner value, also inside of sub-graphs, use the new graph input `input` instead.
/// The node that makes the value stays, so that the value can be exposed as well; [`crate::dead::remove`] drops what
/// nothing needs any more. A graph output of the value's name still is the value.
///
/// # Errors
/// Those of [`expose`], and [`ErrorKind::Graph`] where the graph has a value called `input` already, or nothing uses
/// the value.
pub fn replace(graph: &mut GraphProto, point: Point<'_>, input: &str) -> Result<()> {
    check(graph, point)?;
    let view = View::new(graph);
    let is_taken = view.is_input(input)
        || view.producer(input).is_some()
        || view.initializer(input).is_some()
        || view.consumers(input).next().is_some();
    if is_taken {
        let message = "expected a new name for an input, found a value of that name";
        return Err(Error::tensor(ErrorKind::Graph, input, message));
    }
    if view.consumers(point.value).next().is_none() {
        let message = "expected a value that a node uses, found one that none does";
        return Err(Error::tensor(ErrorKind::Graph, point.value, message));
    }
    rename(&mut graph.node, point.value, input);
    graph.input.push(point.info(input));
    Ok(())
}

impl Point<'_> {
    /// The declaration of this value under the name `name`.
    fn info(self, name: &str) -> ValueInfoProto {
        declaration(name, self.element, vec![None; self.rank])
    }
}

/// That a node makes the value, and that the graph does not contradict the point.
fn check(graph: &GraphProto, point: Point<'_>) -> Result<()> {
    if !graph.node.iter().flat_map(outputs).any(|output| output == point.value) {
        let message = "expected a value that a node of the graph makes, found none of that name";
        return Err(Error::tensor(ErrorKind::Graph, point.value, message));
    }
    let Some(info) = graph.value_info.iter().find(|info| info.name() == point.value) else { return Ok(()) };
    let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_ref().and_then(|it| it.value.as_ref())
    else {
        return Ok(());
    };
    let rank = tensor.shape.as_ref().map_or(point.rank, |shape| shape.dim.len());
    if tensor.elem_type() != i32::from(point.element) || rank != point.rank {
        let found = DataType::try_from(tensor.elem_type()).unwrap_or_default();
        return Err(Error::tensor(
            ErrorKind::Unsupported,
            point.value,
            format!(
                "expected {} of {} dimensions, found {} of {rank}",
                crate::census::element_name(point.element),
                point.rank,
                crate::census::element_name(found),
            ),
        ));
    }
    Ok(())
}

/// Renames what `nodes` and their sub-graphs use, but where a sub-graph has a value of that name of its own.
fn rename(nodes: &mut [NodeProto], from: &str, to: &str) {
    for node in nodes {
        for input in node.input.iter_mut().filter(|input| *input == from) {
            to.clone_into(input);
        }
        let graphs = node.attribute.iter_mut().flat_map(|it| it.g.iter_mut().chain(&mut it.graphs));
        for graph in graphs {
            let owns = graph.input.iter().any(|input| input.name() == from)
                || graph.initializer.iter().any(|tensor| tensor.name() == from)
                || graph.node.iter().flat_map(outputs).any(|output| output == from);
            if !owns {
                rename(&mut graph.node, from, to);
                for output in graph.output.iter_mut().filter(|output| output.name() == from) {
                    output.name = Some(to.to_owned());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::node;
    use crate::interface::{self, Dimension};
    use crate::proto::AttributeProto;
    use crate::{check, dead};

    const MIDDLE: Point<'_> = Point { value: "middle", element: DataType::Float, rank: 2 };

    fn value(name: &str) -> ValueInfoProto {
        ValueInfoProto { name: Some(name.into()), ..Default::default() }
    }

    /// `x → front → middle → { twice, and an If whose branch captures it } → y`
    fn graph() -> GraphProto {
        let branch = |nodes: Vec<NodeProto>, output: &str| AttributeProto {
            g: Some(GraphProto { node: nodes, output: vec![value(output)], ..Default::default() }),
            ..Default::default()
        };
        let mut choice = node("If", "choice", &["x"], &["y"]);
        choice.attribute = vec![
            branch(vec![node("Neg", "inner", &["middle"], &["result"])], "result"),
            branch(vec![node("Neg", "own", &["x"], &["middle"])], "middle"),
            branch(Vec::new(), "middle"),
        ];
        GraphProto {
            node: vec![
                node("Neg", "front", &["x"], &["middle"]),
                node("Mul", "twice", &["middle", "middle"], &["z"]),
                choice,
            ],
            input: vec![value("x")],
            output: vec![value("y"), value("z")],
            ..Default::default()
        }
    }

    #[test]
    fn an_exposed_value_is_an_output_of_its_own_name() {
        let mut graph = graph();
        expose(&mut graph, MIDDLE).unwrap();
        expose(&mut graph, MIDDLE).unwrap();
        let ports = interface::outputs(&graph);
        assert_eq!(ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(), ["y", "z", "middle"]);
        assert_eq!(ports[2].element_type, "float32");
        assert_eq!(ports[2].shape, [Dimension::Named(String::new()), Dimension::Named(String::new())]);
        assert_eq!(graph.node, self::graph().node);
    }

    #[test]
    fn every_user_reads_the_input_and_the_producer_stays() {
        let mut graph = graph();
        replace(&mut graph, MIDDLE, "forced").unwrap();
        assert_eq!(graph.node[0], self::graph().node[0]);
        assert_eq!(graph.node[1].input, ["forced", "forced"]);
        let branch = |index: usize| graph.node[2].attribute[index].g.as_ref().unwrap();
        assert_eq!(branch(0).node[0].input, ["forced"]);
        // The second branch makes a `middle` of its own, the third one hands the captured value on.
        assert_eq!(branch(1).output[0].name(), "middle");
        assert_eq!(branch(2).output[0].name(), "forced");
        assert_eq!(interface::inputs(&graph)[1].name, "forced");
        check::validate(&graph).unwrap();

        let mut without = graph.clone();
        dead::remove(&mut without);
        assert!(without.node.iter().all(|node| node.name() != "front"));
    }

    #[test]
    fn exposing_and_replacing_do_not_depend_on_their_order() {
        let (mut one, mut other) = (graph(), graph());
        expose(&mut one, MIDDLE).unwrap();
        replace(&mut one, MIDDLE, "forced").unwrap();
        replace(&mut other, MIDDLE, "forced").unwrap();
        expose(&mut other, MIDDLE).unwrap();
        assert_eq!(one, other);
        dead::remove(&mut one);
        assert_eq!(one.node[0].name(), "front");
        assert_eq!(one.output[2].name(), "middle");
    }

    #[test]
    fn what_cannot_be_probed_is_named() {
        let point = |value| Point { value, ..MIDDLE };
        for name in ["x", "nowhere", "result"] {
            for error in [expose(&mut graph(), point(name)), replace(&mut graph(), point(name), "new")] {
                let error = error.expect_err(name);
                assert_eq!(error.kind(), ErrorKind::Graph);
                assert!(
                    error.to_string().starts_with(&format!("tensor `{name}`: expected a value")),
                    "{error}"
                );
            }
        }
        for taken in ["x", "z", "middle"] {
            let error = replace(&mut graph(), MIDDLE, taken).expect_err(taken);
            assert!(error.to_string().contains("expected a new name"), "{error}");
        }
        let error = replace(&mut graph(), point("z"), "new").unwrap_err();
        assert!(error.to_string().contains("found one that none does"), "{error}");
        let mut typed = graph();
        typed.value_info = vec![Point { element: DataType::Int64, rank: 1, ..MIDDLE }.info("middle")];
        let error = expose(&mut typed, MIDDLE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.to_string(), "tensor `middle`: expected float32 of 2 dimensions, found int64 of 1");
    }
}
