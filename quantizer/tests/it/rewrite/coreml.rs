//! The passes for `CoreML` that compute something: floor, comparisons, arc tangent, sine, and the inverse transform.

use quantizer::check;
use quantizer::coreml;
use quantizer::error::Result;
use quantizer::graph::{integer_attribute, node};
use quantizer::proto::{GraphProto, NodeProto, TensorProto};
use quantizer::tensor::{from_f32, from_i64};

use super::evaluate::{Value, distance, evaluate};
use super::support::{float, shown, value, with_ints};

pub type Pass = fn(&mut GraphProto) -> Result<usize>;

pub fn graph(nodes: &[NodeProto], inputs: &[(&str, &[i64])], stored: &[TensorProto]) -> GraphProto {
    GraphProto {
        node: nodes.to_vec(),
        initializer: stored.to_vec(),
        input: inputs.iter().map(|(name, dims)| float(name, dims)).collect(),
        output: vec![value("y")],
        ..Default::default()
    }
}

/// The graph as the pass leaves it, which is sound, and in which the pass finds no more.
#[track_caller]
pub fn rewritten(pass: Pass, mut graph: GraphProto, count: usize) -> GraphProto {
    assert_eq!(pass(&mut graph).unwrap(), count);
    check::validate(&graph).unwrap();
    let mut again = graph.clone();
    assert_eq!(pass(&mut again).unwrap(), 0, "{:?}", shown(&graph));
    assert_eq!(again, graph);
    graph
}

/// As [`rewritten`], and the outputs are as near to those before as `bound`.
#[track_caller]
pub fn same(pass: Pass, graph: GraphProto, inputs: &[(&str, Value)], count: usize, bound: f64) -> GraphProto {
    let before = evaluate(&graph, inputs);
    let graph = rewritten(pass, graph, count);
    let found = distance(&before, &evaluate(&graph, inputs));
    assert!(found <= bound, "{found} is above {bound}: {:?}", shown(&graph));
    graph
}

fn row(data: &[f64]) -> Value {
    Value { dims: vec![1, 1, data.len()], data: data.to_vec() }
}

/// The smallest float above 0.
const LEAST: f64 = 1.401_298_464_324_817e-45;

fn has(graph: &GraphProto, op: &str) -> bool {
    graph.node.iter().any(|node| node.op_type() == op)
}

/// Runtimes merge two products in a row by constants into one, and the square of this constant is infinite.
#[track_caller]
fn no_products_in_a_row(graph: &GraphProto) {
    let is_product = |name: &str| {
        graph
            .node
            .iter()
            .any(|node| node.op_type() == "Mul" && node.output.iter().any(|output| output == name))
    };
    let is_stored = |name: &str| graph.initializer.iter().any(|tensor| tensor.name() == name);
    for node in graph.node.iter().filter(|node| node.op_type() == "Mul") {
        let by_constant = node.input.iter().any(|name| is_stored(name));
        assert!(!by_constant || !node.input.iter().any(|name| is_product(name)), "{:?}", shown(graph));
    }
}

#[test]
fn floor_is_exact() {
    let plain = || graph(&[node("Floor", "", &["x"], &["y"])], &[("x", &[1, 1, 0])], &[]);
    let x = row(&[-2.0, -1.75, -0.5, -LEAST, 0.0, LEAST, 0.5, 1.0, 1.5, 2.5, 3.999, 8_388_607.5]);
    let floored = same(coreml::floor, plain(), &[("x", x)], 1, 0.0);
    assert!(!has(&floored, "Floor"));
    no_products_in_a_row(&floored);
    let mut counted = plain();
    counted.input = vec![value("x")];
    rewritten(coreml::floor, counted, 0);
}

#[test]
fn what_is_compared_becomes_steps() {
    let a = row(&[-1.0, -LEAST, 0.0, LEAST, 1.0, 1.000_000_119_209_289_6, -3.0]);
    let b = row(&[-1.0, 0.0, 0.0, 0.0, 1.000_000_119_209_289_6, 1.0, 5.0]);
    let floats: &[(&str, &[i64])] = &[("a", &[1, 1, 0]), ("b", &[1, 1, 0])];
    let inputs = [("a", a), ("b", b)];
    for (op, right) in [("Greater", "zero"), ("Less", "zero"), ("Greater", "b"), ("Less", "b")] {
        let mut cast = node("Cast", "", &["c"], &["y"]);
        cast.attribute.push(integer_attribute("to", 1));
        for last in [cast, node("Where", "", &["c", "a", "b"], &["y"])] {
            let nodes = [node(op, "", &["a", right], &["c"]), last];
            let plain = graph(&nodes, floats, &[from_f32("zero", &[], &[0.0])]);
            let stepped = same(coreml::comparisons, plain, &inputs, 1, 0.0);
            assert!(!has(&stepped, op) && !has(&stepped, "Where") && !has(&stepped, "Cast"));
            no_products_in_a_row(&stepped);
        }
    }
    // Of integers a step in floats would not be exact.
    let mut counted = graph(
        &[node("Less", "", &["a", "b"], &["c"]), node("Where", "", &["c", "a", "b"], &["y"])],
        floats,
        &[],
    );
    counted.input = ["a", "b"].map(value).to_vec();
    rewritten(coreml::comparisons, counted, 0);
}

#[test]
fn an_arc_tangent_is_a_polynomial() {
    let sizes = (0..4_000).map(|at| f64::from(at) * 0.001).chain([1e3, 1e30, f64::INFINITY]);
    let both: Vec<f64> = sizes.flat_map(|size| [size, -size]).collect();
    let plain = graph(&[node("Atan", "", &["x"], &["y"])], &[("x", &[1, 1, 0])], &[]);
    let made = same(coreml::atan, plain, &[("x", row(&both))], 1, 1e-7);
    assert!(!has(&made, "Atan"));
}

#[test]
fn a_squared_sine_is_a_polynomial() {
    let stored = [from_f32("alpha", &[1, 2, 1], &[0.75, 20.0])];
    let snake = |angle: NodeProto| {
        let nodes = [angle, node("Sin", "", &["a"], &["s"]), node("Mul", "", &["s", "s"], &["y"])];
        graph(&nodes, &[("x", &[1, 2, 0])], &stored)
    };
    let data = (0..2_002).map(|at| (f64::from(at) - 1_000.0) * 0.01).collect();
    let x = [("x", Value { dims: vec![1, 2, 1_001], data })];
    let angles = [
        node("Mul", "", &["x", "alpha"], &["a"]),
        node("Mul", "", &["alpha", "x"], &["a"]),
        node("Add", "", &["alpha", "x"], &["a"]),
    ];
    for angle in angles {
        // α/π is rounded to float32, and with it 64 half turns are off by 64·π·2⁻²⁵ at the most.
        let made = same(coreml::squared_sines, snake(angle), &x, 1, 8e-6);
        assert!(!has(&made, "Sin"));
    }
    let mut heard = snake(node("Mul", "", &["x", "alpha"], &["a"]));
    heard.output.push(value("s"));
    rewritten(coreml::squared_sines, heard, 0);
}

/// What exporters write behind an inverse transform with a window of four, that cuts two samples off at both ends.
fn inverse() -> GraphProto {
    let attribute = |mut node: NodeProto, name, value| {
        node.attribute.push(integer_attribute(name, value));
        node
    };
    let nodes = [
        with_ints(node("ConvTranspose", "", &["x", "basis"], &["c"]), "strides", &[2]),
        node("Shape", "", &["c"], &["shape"]),
        node("Slice", "", &["shape", "minus", "open", "0"], &["length"]),
        node("Squeeze", "", &["length", "0"], &["l"]),
        node("Unsqueeze", "", &["l", "0"], &["end"]),
        node("Slice", "", &["window", "0", "end", "0", "1"], &["w"]),
        node("Greater", "", &["w", "tiny"], &["g"]),
        node("NonZero", "", &["g"], &["n"]),
        with_ints(node("Transpose", "", &["n"], &["places"]), "perm", &[1, 0]),
        node("Squeeze", "", &["c", "1"], &["s"]),
        node("Range", "", &["zero", "rows", "one"], &["r"]),
        node("Reshape", "", &["r", "column"], &["rr"]),
        node("Expand", "", &["rr", "to"], &["e"]),
        node("Expand", "", &["places", "to"], &["f"]),
        node("Unsqueeze", "", &["e", "minus"], &["ee"]),
        node("Unsqueeze", "", &["f", "minus"], &["ff"]),
        attribute(node("Concat", "", &["ee", "ff"], &["index"]), "axis", -1),
        attribute(node("Gather", "", &["s", "places"], &["sp"]), "axis", 1),
        node("Gather", "", &["w", "places"], &["wp"]),
        node("Div", "", &["sp", "wp"], &["q"]),
        node("Reshape", "", &["q", "to"], &["updates"]),
        node("ScatterND", "", &["s", "index", "updates"], &["z"]),
        node("Unsqueeze", "", &["z", "1"], &["u"]),
        node("Mul", "", &["u", "factor"], &["m"]),
        node("Slice", "", &["m", "2", "open", "2", "1"], &["front"]),
        node("Slice", "", &["front", "0", "back", "2", "1"], &["y"]),
    ];
    let one = |name: &str, value: i64| from_i64(name, &[1], &[value]);
    let scalar = |name: &str, value: i64| from_i64(name, &[], &[value]);
    let stored = [
        from_f32("basis", &[2, 1, 4], &[1.0, -2.0, 0.5, 3.0, 0.25, 1.5, -1.0, 2.0]),
        from_f32("window", &[4], &[0.0, 0.5, 0.25, 0.0]),
        from_f32("tiny", &[], &[1e-30]),
        from_f32("factor", &[], &[4.0]),
        from_i64("to", &[2], &[-1, 1]),
        from_i64("column", &[2], &[-1, 1]),
        one("0", 0),
        one("1", 1),
        one("2", 2),
        one("back", -2),
        one("minus", -1),
        one("open", i64::MAX),
        scalar("zero", 0),
        scalar("rows", 1),
        scalar("one", 1),
    ];
    graph(&nodes, &[("x", &[1, 2, 0])], &stored)
}

#[test]
fn an_inverse_transform_is_cut_and_divided_without_indices() {
    let graph = rewritten(coreml::istft, inverse(), 1);
    let ops: Vec<&str> = graph.node.iter().map(NodeProto::op_type).collect();
    assert_eq!(ops, ["ConvTranspose", "Conv", "Concat", "Div", "Mul"]);
    for frames in [3, 4, 9] {
        let x = Value::some(&[1, 2, frames]);
        let mut plain = inverse();
        plain.node.truncate(1);
        plain.output = vec![value("c")];
        let [whole] = &evaluate(&plain, &[("x", x.clone())])[..] else { panic!() };
        let mut expected = whole.data.clone();
        // The window sum is above the bound in the middle alone.
        expected[1] /= 0.5;
        expected[2] /= 0.25;
        let kept = expected[2..expected.len() - 2].iter().map(|value| 4.0 * value).collect::<Vec<_>>();
        let dims = vec![1, 1, kept.len()];
        assert!(distance(&[Value { dims, data: kept }], &evaluate(&graph, &[("x", x)])) == 0.0, "{frames}");
    }
}

#[test]
fn an_inverse_transform_that_is_not_proven_stays() {
    // Other cuts at both ends, a sum that is longer than what comes out, the sound of several at once, and a sum of something else.
    let swap = |from: usize, input: usize, to: &str| {
        let mut graph = inverse();
        graph.node[from].input[input] = to.into();
        graph
    };
    let mut longer = inverse();
    longer.initializer[1] = from_f32("window", &[5], &[1.0; 5]);
    let mut several = inverse();
    several.input = vec![float("x", &[0, 2, 0])];
    let mut heard = inverse();
    heard.output.push(value("u"));
    for graph in [swap(24, 1, "1"), swap(2, 1, "0"), swap(17, 0, "wp"), longer, several, heard] {
        rewritten(coreml::istft, graph, 0);
    }
}
