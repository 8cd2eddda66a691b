use quantizer::check;
use quantizer::graph::{integer_attribute, node};
use quantizer::proto::{GraphProto, NodeProto, ValueInfoProto};
use quantizer::rewrite::instance_norm;
use quantizer::tensor::{from_f32, from_i64};

use super::evaluate::{Value, distance, evaluate};
use super::support::{float, shown, value, with_ints};

/// Adaptive instance normalization of `x` [2, 3, time] by the style `g` and `b`, as exporters write it.
fn adain() -> GraphProto {
    GraphProto {
        node: vec![
            node("ReduceMean", "mean", &["x", "last"], &["m"]),
            node("Sub", "centre", &["x", "m"], &["d"]),
            node("Mul", "square", &["d", "d"], &["q"]),
            node("ReduceMean", "variance", &["q", "last"], &["v"]),
            node("Add", "guard", &["v", "eps"], &["e"]),
            node("Sqrt", "root", &["e"], &["s"]),
            node("Div", "norm", &["d", "s"], &["n"]),
            node("Add", "gamma", &["g", "one"], &["g1"]),
            node("Mul", "scale", &["g1", "n"], &["p"]),
            node("Add", "shift", &["p", "b"], &["y"]),
        ],
        initializer: vec![
            from_i64("last", &[1], &[2]),
            from_i64("first", &[1], &[0]),
            from_i64("both", &[2], &[1, 2]),
            from_f32("eps", &[], &[0.25]),
            from_f32("row", &[1, 3, 1], &[0.25, 0.5, 1.0]),
            from_f32("one", &[], &[1.0]),
        ],
        input: vec![float("x", &[0, 3, 0]), float("g", &[1, 3, 1]), float("b", &[1, 3, 1])],
        output: vec![value("y")],
        value_info: vec![value("n"), value("p")],
        ..Default::default()
    }
}

fn inputs() -> Vec<(&'static str, Value)> {
    let x = Value::some(&[2, 3, 5]);
    let g = Value { dims: vec![1, 3, 1], data: vec![0.5, -2.0, 0.0] };
    let b = Value { dims: vec![1, 3, 1], data: vec![1.0, 0.0, -4.0] };
    vec![("x", x), ("g", g), ("b", b)]
}

fn assert_rewritten(mut graph: GraphProto, count: usize) -> GraphProto {
    let before = evaluate(&graph, &inputs());
    assert_eq!(instance_norm(&mut graph).unwrap(), count);
    check::validate(&graph).unwrap();
    assert!(distance(&before, &evaluate(&graph, &inputs())) < 1e-12);
    let mut again = graph.clone();
    assert_eq!(instance_norm(&mut again).unwrap(), 0);
    assert_eq!(again, graph);
    graph
}

#[test]
fn ten_nodes_become_four() {
    let graph = assert_rewritten(adain(), 1);
    let expected = [
        "g1 = Add(g, one)",
        "y/scale = Reshape(g1, instance-norm/flat)",
        "y/bias = Reshape(b, instance-norm/flat)",
        "y = InstanceNormalization(x, y/scale, y/bias)",
    ];
    assert_eq!(shown(&graph), expected);
    assert_eq!(graph.value_info, []);
    assert_eq!(graph.initializer.len(), 2, "{:?}", graph.initializer);
}

#[test]
fn other_spellings_are_the_same() {
    let mut power = adain();
    power.node[2] = node("Pow", "square", &["d", "two"], &["q"]);
    power.initializer.push(from_f32("two", &[], &[2.0]));
    let mut computed_twice = adain();
    computed_twice.node.splice(
        2..3,
        [
            node("ReduceMean", "mean 2", &["x", "last"], &["m2"]),
            node("Sub", "centre 2", &["x", "m2"], &["d2"]),
            node("Mul", "square", &["d2", "d2"], &["q"]),
        ],
    );
    let mut negative = adain();
    negative.initializer[0] = from_i64("last", &[1], &[-1]);
    let mut turned = adain();
    turned.node[8].input.swap(0, 1);
    turned.node[9].input.swap(0, 1);
    turned.node[4].input.swap(0, 1);
    for graph in [power, computed_twice, negative, turned] {
        assert_rewritten(graph, 1);
    }
}

#[test]
fn two_styles_of_one_norm_become_two_operators() {
    let mut graph = adain();
    graph.node.push(node("Mul", "scale 2", &["n", "b"], &["p2"]));
    graph.node.push(node("Add", "shift 2", &["p2", "g"], &["y2"]));
    graph.output.push(value("y2"));
    let graph = assert_rewritten(graph, 2);
    assert_eq!(graph.node.iter().filter(|node| node.op_type() == "InstanceNormalization").count(), 2);
}

#[test]
fn a_norm_of_transposed_values_transposes_once() {
    let mut graph = adain();
    graph.input[0] = float("t", &[0, 0, 3]);
    graph.initializer[0] = from_i64("last", &[1], &[0]);
    for index in [0, 1] {
        graph.node[index].input[0] = "t".into();
    }
    graph.node[4].input[0] = "vt".into();
    graph.node[6].input[0] = "dt".into();
    let turn = |from: &str, to: &str| with_ints(node("Transpose", to, &[from], &[to]), "perm", &[1, 2, 0]);
    graph.node.insert(4, turn("v", "vt"));
    graph.node.insert(2, turn("d", "dt"));
    let mut style = inputs();
    style[0] = ("t", Value::some(&[5, 2, 3]));
    let before = evaluate(&graph, &style);
    assert_eq!(instance_norm(&mut graph).unwrap(), 1);
    assert!(distance(&before, &evaluate(&graph, &style)) < 1e-12);
    assert!(shown(&graph).contains(&"y/x = Transpose(t)".to_owned()), "{:?}", shown(&graph));
}

#[test]
fn shapes_may_be_inferred_from_what_makes_the_values() {
    let mut graph = adain();
    graph.input = vec![float("style", &[1, 6]), value("raw")];
    graph.initializer.push(from_f32("weights", &[3, 2, 1], &[1.0; 6]));
    graph.initializer.push(from_i64("sizes", &[2], &[3, 3]));
    graph.initializer.push(from_i64("two", &[1], &[2]));
    let mut split = node("Split", "split", &["wide", "sizes"], &["g", "b"]);
    split.attribute.push(integer_attribute("axis", 1));
    let before = [
        node("Conv", "conv", &["raw", "weights"], &["x"]),
        node("Unsqueeze", "wide", &["style", "two"], &["wide"]),
        split,
    ];
    graph.node.splice(0..0, before);
    assert_eq!(instance_norm(&mut graph).unwrap(), 1);
    check::validate(&graph).unwrap();
}

fn with_inputs(change: impl Fn(&mut Vec<ValueInfoProto>)) -> GraphProto {
    let mut graph = adain();
    change(&mut graph.input);
    graph
}

fn with_nodes(change: impl Fn(&mut Vec<NodeProto>)) -> GraphProto {
    let mut graph = adain();
    change(&mut graph.node);
    graph
}

#[test]
fn what_is_not_proved_exact_stays() {
    let output = |name: &str| {
        let mut graph = adain();
        graph.output.push(value(name));
        graph
    };
    let user = |name: &str| {
        let mut graph = with_nodes(|nodes| nodes.push(node("Neg", "user", &[name], &["z"])));
        graph.output.push(value("z"));
        graph
    };
    let mut unsquared = adain();
    unsquared.node[2].input[1] = "m".into();
    let mut default = adain();
    default.input.push(float("eps", &[]));
    let cases = [
        ("a style for each element of a batch", with_inputs(|it| it[1] = float("g", &[2, 3, 1]))),
        ("a bias of unknown batch", with_inputs(|it| it[2] = float("b", &[0, 3, 1]))),
        ("a scale for each moment", with_inputs(|it| it[1] = float("g", &[1, 3, 5]))),
        ("a scale of two dimensions", with_inputs(|it| it[1] = float("g", &[3, 1]))),
        ("one scale for all channels", with_inputs(|it| it[1] = float("g", &[1, 1, 1]))),
        ("an image", with_inputs(|it| it[0] = float("x", &[0, 3, 0, 0]))),
        ("nothing known of x", with_inputs(|it| it[0] = value("x"))),
        ("channels unknown", with_inputs(|it| it[0] = float("x", &[0, 0, 0]))),
        ("a mean over the batch", with_nodes(|it| it[0].input[1] = "first".into())),
        ("a variance over the batch", with_nodes(|it| it[3].input[1] = "first".into())),
        (
            "means over two axes",
            with_nodes(|it| [0, 3].iter().for_each(|&at| it[at].input[1] = "both".into())),
        ),
        ("a mean without its axis", with_nodes(|it| it[3].attribute.push(integer_attribute("keepdims", 0)))),
        ("a guard for each channel", with_nodes(|it| it[4].input[1] = "row".into())),
        ("a guard that the caller may replace", default),
        ("no square", unsquared),
        ("a square of something else", with_nodes(|it| it[2].input = vec!["x".into(), "x".into()])),
        ("a mean of something else", with_nodes(|it| it[0].input[0] = "g".into())),
        ("a difference the other way round", with_nodes(|it| it[1].input.swap(0, 1))),
        ("a quotient the other way round", with_nodes(|it| it[6].input.swap(0, 1))),
        ("no bias", with_nodes(|it| it[9] = node("Sub", "shift", &["p", "b"], &["y"]))),
        ("no scale", with_nodes(|it| it[8] = node("Sub", "scale", &["g1", "n"], &["p"]))),
        ("the norm as an output", output("n")),
        ("the scaled norm as an output", output("p")),
        ("the mean as an output", output("m")),
        ("the difference used elsewhere", user("d")),
        ("the norm used elsewhere", user("n")),
        ("the scaled norm used elsewhere", user("p")),
    ];
    for (what, before) in cases {
        let mut after = before.clone();
        assert_eq!(instance_norm(&mut after).unwrap(), 0, "{what}");
        assert_eq!(after, before, "{what}");
    }
}

#[test]
fn transpositions_that_differ_stay() {
    let mut before = adain();
    before.input[0] = float("x", &[0, 3, 3]);
    before.node[6].input[0] = "dt".into();
    before.node.insert(2, with_ints(node("Transpose", "t", &["d"], &["dt"]), "perm", &[0, 2, 1]));
    let mut after = before.clone();
    assert_eq!(instance_norm(&mut after).unwrap(), 0);
    assert_eq!(after, before);
}
