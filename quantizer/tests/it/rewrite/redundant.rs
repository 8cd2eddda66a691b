use quantizer::check;
use quantizer::graph::{integer_attribute, node};
use quantizer::proto::tensor_proto::DataType;
use quantizer::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use quantizer::rewrite::redundant;
use quantizer::tensor::from_i64;

use super::evaluate::{Value, distance, evaluate};
use super::support::{declared, float, shown, value, with_ints};

/// `x` [2, 1, 3], through `nodes` to `v`, and negated.
fn graph(nodes: Vec<NodeProto>) -> GraphProto {
    let constants: [(&str, &[i64]); 9] = [
        ("1", &[1]),
        ("-1", &[-1]),
        ("0", &[0]),
        ("copy", &[0, 0, 0]),
        ("free", &[2, -1, 3]),
        ("flat", &[6]),
        ("turned", &[3, 1, 2]),
        ("keeps first", &[0, 3, -1]),
        ("6 1 1", &[6, 1, 1]),
    ];
    let stored = |(name, values): (&str, &[i64])| from_i64(name, &[values.len()], values);
    GraphProto {
        node: nodes.into_iter().chain([node("Neg", "", &["v"], &["y"])]).collect(),
        initializer: constants
            .map(stored)
            .into_iter()
            .chain([off("off"), from_i64("on", &[], &[1])])
            .collect(),
        input: vec![float("x", &[2, 1, 3])],
        output: vec![value("y")],
        ..Default::default()
    }
}

fn off(name: &str) -> TensorProto {
    let raw_data = Some(vec![0].into());
    TensorProto { data_type: Some(DataType::Bool.into()), raw_data, ..from_i64(name, &[], &[0]) }
}

fn cast(from: &str, to: &str, element: DataType) -> NodeProto {
    let mut cast = node("Cast", "", &[from], &[to]);
    cast.attribute.push(integer_attribute("to", element as i64));
    cast
}

fn transpose(from: &str, to: &str, order: &[i64]) -> NodeProto {
    with_ints(node("Transpose", "", &[from], &[to]), "perm", order)
}

fn assert_becomes(before: &GraphProto, expected: &[&str]) {
    let mut after = before.clone();
    assert!(redundant(&mut after).unwrap() > 0, "{:?}", shown(before));
    check::validate(&after).unwrap();
    assert_eq!(shown(&after), expected, "{:?}", shown(before));
    let x = [("x", Value::some(&[2, 1, 3]))];
    assert!(distance(&evaluate(before, &x), &evaluate(&after, &x)) == 0.0);
    let once = after.clone();
    assert_eq!(redundant(&mut after).unwrap(), 0);
    assert_eq!(after, once);
}

#[test]
fn what_does_nothing_goes() {
    let reshape = |from: &str, shape: &str, to: &str| node("Reshape", "", &[from, shape], &[to]);
    let squeeze = |from: &str, axes: &str, to: &str| node("Squeeze", "", &[from, axes], &[to]);
    let unsqueeze = |from: &str, axes: &str, to: &str| node("Unsqueeze", "", &[from, axes], &[to]);
    for nodes in [
        vec![node("Identity", "", &["x"], &["v"])],
        vec![node("Dropout", "", &["x"], &["v", "mask"])],
        vec![node("Dropout", "", &["x", "", "off"], &["v"])],
        vec![node("Concat", "", &["x"], &["v"])],
        vec![cast("x", "v", DataType::Float)],
        vec![transpose("x", "v", &[0, 1, 2])],
        vec![transpose("x", "a", &[2, 0, 1]), transpose("a", "v", &[1, 2, 0])],
        vec![squeeze("x", "1", "a"), unsqueeze("a", "1", "v")],
        vec![unsqueeze("x", "-1", "a"), squeeze("a", "-1", "v")],
        vec![reshape("x", "copy", "v")],
        vec![reshape("x", "free", "v")],
        vec![reshape("x", "flat", "a"), reshape("a", "free", "v")],
        vec![squeeze("x", "1", "a"), reshape("a", "6 1 1", "b"), reshape("b", "free", "v")],
        vec![
            node("Identity", "", &["x"], &["a"]),
            transpose("a", "b", &[2, 1, 0]),
            transpose("b", "v", &[2, 1, 0]),
        ],
    ] {
        let evaluated: Vec<NodeProto> = nodes
            .into_iter()
            .map(|mut node| {
                // The tests compute no optional inputs.
                if node.op_type() == "Dropout" && node.input.len() == 3 {
                    node.input[1] = "off".into();
                }
                node
            })
            .collect();
        assert_becomes(&graph(evaluated), &["y = Neg(x)"]);
    }
}

#[test]
fn two_in_a_row_become_one() {
    let turned = vec![transpose("x", "a", &[2, 0, 1]), transpose("a", "v", &[0, 2, 1])];
    assert_becomes(&graph(turned), &["v = Transpose(x)", "y = Neg(v)"]);
    let reshaped =
        vec![node("Unsqueeze", "", &["x", "0"], &["a"]), node("Reshape", "", &["a", "turned"], &["v"])];
    assert_becomes(&graph(reshaped), &["v = Reshape(x, turned)", "y = Neg(v)"]);
}

#[test]
fn declared_types_of_inner_values_count() {
    let mut inner = graph(vec![node("Neg", "", &["x"], &["a"]), cast("a", "v", DataType::Float)]);
    inner.value_info = vec![declared("a", DataType::Float, &[]), declared("v", DataType::Float, &[])];
    assert_eq!(redundant(&mut inner).unwrap(), 1);
    assert_eq!(shown(&inner), ["a = Neg(x)", "y = Neg(a)"]);
    assert_eq!(inner.value_info, [declared("a", DataType::Float, &[])]);
    let twice = vec![cast("x", "a", DataType::Int64), cast("a", "v", DataType::Int64)];
    let mut twice = graph(twice);
    assert_eq!(redundant(&mut twice).unwrap(), 1);
    assert_eq!(shown(&twice), ["a = Cast(x)", "y = Neg(a)"]);
}

#[test]
fn what_does_something_or_may_do_so_stays() {
    let open =
        |dims: &[i64], nodes: Vec<NodeProto>| GraphProto { input: vec![float("x", dims)], ..graph(nodes) };
    let with_output = |name: &str, nodes: Vec<NodeProto>| {
        let mut graph = graph(nodes);
        graph.output.push(value(name));
        graph
    };
    let reshape = |shape: &str| vec![node("Reshape", "", &["x", shape], &["v"])];
    let pair = |first: &str, second: &str| {
        vec![node("Unsqueeze", "", &["x", first], &["a"]), node("Squeeze", "", &["a", second], &["v"])]
    };
    let unknown: Vec<ValueInfoProto> = vec![value("x")];
    let mut literal = reshape("copy");
    literal[0].attribute.push(integer_attribute("allowzero", 1));
    let mut masked = graph(vec![node("Dropout", "", &["x"], &["v", "mask"])]);
    masked.output.push(value("mask"));
    let cases = [
        ("another type", graph(vec![cast("x", "v", DataType::Float16)])),
        (
            "an unknown type",
            GraphProto { input: unknown.clone(), ..graph(vec![cast("x", "v", DataType::Float)]) },
        ),
        ("there and back", graph(vec![cast("x", "a", DataType::Int64), cast("a", "v", DataType::Float)])),
        ("training", graph(vec![node("Dropout", "", &["x", "", "on"], &["v"])])),
        ("a mask that is used", masked),
        ("a transposition", graph(vec![transpose("x", "v", &[2, 1, 0])])),
        ("the reverse order", graph(vec![node("Transpose", "", &["x"], &["v"])])),
        ("another axis", open(&[0, 0, 0], pair("0", "1"))),
        ("another shape", graph(reshape("turned"))),
        ("two open dimensions", open(&[0, 0, 3], reshape("free"))),
        ("nothing known", GraphProto { input: unknown, ..graph(reshape("free")) }),
        ("zeros that are meant", graph(literal)),
        ("a result", with_output("v", vec![node("Identity", "", &["x"], &["v"])])),
        (
            "a step that is a result",
            with_output("a", vec![transpose("x", "a", &[2, 0, 1]), transpose("a", "v", &[0, 2, 1])]),
        ),
        (
            "a shape that copies from what is in between",
            open(&[2, 0, 0], {
                let flat = node("Reshape", "", &["x", "6 1 1"], &["a"]);
                vec![flat, node("Reshape", "", &["a", "keeps first"], &["v"])]
            }),
        ),
    ];
    for (what, before) in cases {
        let mut after = before.clone();
        assert_eq!(redundant(&mut after).unwrap(), 0, "{what}");
        assert_eq!(after, before, "{what}");
    }
}
