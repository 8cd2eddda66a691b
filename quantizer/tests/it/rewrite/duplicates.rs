use quantizer::check;
use quantizer::graph::{integer_attribute, node};
use quantizer::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use quantizer::rewrite::common_subexpressions;
use quantizer::tensor::{from_f32, from_i64};

use super::support::{shown, value};

fn graph(nodes: Vec<NodeProto>, stored: Vec<TensorProto>) -> GraphProto {
    GraphProto {
        node: nodes,
        initializer: stored,
        input: vec![value("x"), value("z")],
        output: vec![value("y")],
        ..Default::default()
    }
}

#[test]
fn equal_tensors_and_then_equal_nodes_become_one() {
    let typed = TensorProto { raw_data: None, float_data: vec![1.5], ..from_f32("c", &[1], &[]) };
    let copy = TensorProto { name: Some("d".into()), doc_string: Some("the same".into()), ..typed.clone() };
    let mut graph = graph(
        vec![
            node("Add", "1", &["x", "a"], &["p"]),
            node("Add", "2", &["x", "b"], &["q"]),
            node("Mul", "3", &["p", "c"], &["r"]),
            node("Mul", "4", &["q", "d"], &["s"]),
            node("Sub", "5", &["r", "s"], &["y"]),
        ],
        vec![from_f32("a", &[1], &[2.0]), from_f32("b", &[1], &[2.0]), typed, copy],
    );
    graph.value_info = ["p", "q", "r", "s"].map(value).into();
    assert_eq!(common_subexpressions(&mut graph).unwrap(), 4);
    check::validate(&graph).unwrap();
    assert_eq!(shown(&graph), ["p = Add(x, a)", "r = Mul(p, c)", "y = Sub(r, r)"]);
    assert_eq!(graph.initializer.iter().map(TensorProto::name).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(graph.value_info, ["p", "r"].map(value));
    let before = graph.clone();
    assert_eq!(common_subexpressions(&mut graph).unwrap(), 0);
    assert_eq!(graph, before);
}

#[test]
fn attributes_count_in_any_order() {
    let of = |name: &str, order: [&str; 2]| {
        let mut node = node("Foo", name, &["x"], &[name]);
        node.attribute = order.map(|name| integer_attribute(name, name.len() as i64)).into();
        node
    };
    let nodes =
        vec![of("a", ["one", "three"]), of("b", ["three", "one"]), node("Add", "", &["a", "b"], &["y"])];
    let mut graph = graph(nodes, vec![]);
    assert_eq!(common_subexpressions(&mut graph).unwrap(), 1);
    assert_eq!(shown(&graph), ["a = Foo(x)", "y = Add(a, a)"]);
}

#[test]
fn a_node_in_front_of_what_it_needs_is_merged_too() {
    let nodes = vec![
        node("Sub", "", &["b", "d"], &["y"]),
        node("Neg", "", &["c"], &["d"]),
        node("Neg", "", &["a"], &["b"]),
        node("Abs", "", &["x"], &["c"]),
        node("Abs", "", &["x"], &["a"]),
    ];
    let mut graph = graph(nodes, vec![]);
    assert_eq!(common_subexpressions(&mut graph).unwrap(), 2);
    check::validate(&graph).unwrap();
    assert_eq!(graph.node.len(), 3);
}

#[test]
fn what_may_differ_stays() {
    let pair = |a: NodeProto, b: NodeProto| {
        let named = |node: NodeProto, name: &str| NodeProto { output: vec![name.into()], ..node };
        vec![named(a, "a"), named(b, "b"), node("Add", "", &["a", "b"], &["y"])]
    };
    let twice = |node: NodeProto| pair(node.clone(), node);
    let unary = |op: &str| node(op, "", &["x"], &[]);
    let number = |value: i64| {
        let mut node = unary("Cast");
        node.attribute.push(integer_attribute("to", value));
        node
    };
    let branch = {
        let mut node = unary("If");
        node.attribute.push(AttributeProto { g: Some(GraphProto::default()), ..Default::default() });
        node
    };
    let foreign = NodeProto { domain: Some("custom".into()), ..unary("Neg") };
    let mut result = graph(twice(unary("Neg")), vec![]);
    result.output.push(value("b"));
    let stored = |left, right| graph(vec![node("Add", "", &["v", "w"], &["y"])], vec![left, right]);
    let two = |name| from_f32(name, &[1], &[2.0]);
    let mut replaceable = stored(two("v"), two("w"));
    replaceable.input.push(value("w"));
    let cases = [
        ("operators", graph(pair(unary("Neg"), unary("Abs")), vec![])),
        ("inputs", graph(pair(unary("Neg"), node("Neg", "", &["z"], &[])), vec![])),
        (
            "order of inputs",
            graph(pair(node("Sub", "", &["x", "z"], &[]), node("Sub", "", &["z", "x"], &[])), vec![]),
        ),
        ("attributes", graph(pair(number(1), number(7)), vec![])),
        ("domains", graph(pair(unary("Neg"), foreign.clone()), vec![])),
        ("operators of other domains", graph(twice(foreign), vec![])),
        ("random numbers", graph(twice(unary("RandomNormalLike")), vec![])),
        ("sub-graphs", graph(twice(branch), vec![])),
        ("results", result),
        ("bits", stored(from_f32("v", &[1], &[0.0]), from_f32("w", &[1], &[-0.0]))),
        ("shapes", stored(two("v"), from_f32("w", &[], &[2.0]))),
        (
            "types",
            stored(
                from_i64("v", &[1], &[0]),
                TensorProto { data_type: Some(11), ..from_i64("w", &[1], &[0]) },
            ),
        ),
        ("defaults", replaceable),
    ];
    for (what, before) in cases {
        let mut after = before.clone();
        assert_eq!(common_subexpressions(&mut after).unwrap(), 0, "{what}");
        assert_eq!(after, before, "{what}");
    }
}
