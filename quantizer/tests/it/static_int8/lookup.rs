//! Which functions become tables, and how these are made.

use quantizer::calibration::Edges;
use quantizer::graph::{integer_attribute, node};
use quantizer::proto::attribute_proto::AttributeType;
use quantizer::proto::{AttributeProto, GraphProto, NodeProto};
use quantizer::schemes::StaticInt8;
use quantizer::tensor;

use super::support::{Layout, channel, float, quantized, ranges, scheme, value};

pub const CHANNELS: usize = 2;

/// A norm with the value `{name}/norm`.
pub fn norm(name: &str, input: &str) -> NodeProto {
    let output = format!("{name}/norm");
    let mut norm = node("InstanceNormalization", &output, &[input, "gamma", "beta"], &[&output]);
    norm.attribute.push(AttributeProto {
        name: Some("epsilon".into()),
        f: Some(1e-5),
        r#type: Some(AttributeType::Float.into()),
        ..Default::default()
    });
    norm
}

/// `y = r + sin²(αr)/α` of `{name}/norm`, as the value `name`.
pub fn snake(name: &str) -> Vec<NodeProto> {
    let inner = |what: &str| format!("{name}/{what}");
    let [argument, angle, sine, square, part] = ["norm", "angle", "sine", "square", "part"].map(inner);
    vec![
        node("Mul", &angle, &["alpha", &argument], &[&angle]),
        node("Sin", &sine, &[&angle], &[&sine]),
        node("Mul", &square, &[&sine, &sine], &[&square]),
        node("Mul", &part, &["inverse_alpha", &square], &[&part]),
        node("Add", name, &[&argument, &part], &[name]),
    ]
}

/// Norm, Snake and convolution, twice: the first from a float, the second from what the first put out.
pub fn two_chains() -> GraphProto {
    let layout = Layout::plain(CHANNELS, CHANNELS, 1);
    let nodes = [
        vec![norm("a", "x")],
        snake("a"),
        vec![layout.node("first", &["a", "w"], "b/in"), norm("b", "b/in")],
        snake("b"),
        vec![layout.node("second", &["b", "w"], "y")],
    ];
    GraphProto {
        node: nodes.concat(),
        initializer: vec![
            tensor::from_f32("w", &layout.dims(), &[0.5, -0.25, 0.125, 1.0]),
            tensor::from_f32("alpha", &[1, CHANNELS, 1], &[1.5, 0.5]),
            tensor::from_f32("inverse_alpha", &[1, CHANNELS, 1], &[1.0 / 1.5, 2.0]),
            tensor::from_f32("gamma", &[CHANNELS], &[1.0, 0.5]),
            tensor::from_f32("beta", &[CHANNELS], &[0.0, 0.25]),
        ],
        input: vec![float("x", &[0; 3])],
        output: vec![value("y")],
        ..Default::default()
    }
}

pub fn with_tables() -> StaticInt8 {
    let all = ["a", "b", "b/in", "y"].map(|name| (name, vec![channel(-2.0, 6.0, 1.0); CHANNELS]));
    StaticInt8 { lookup_levels: Some(512), ..scheme(ranges(&all)) }
}

fn count(graph: &GraphProto, op: &str) -> usize {
    graph.node.iter().filter(|node| node.op_type() == op).count()
}

#[test]
fn a_float_and_levels_each_have_their_table() {
    let (graph, _) = quantized(two_chains(), &with_tables());
    assert_eq!(count(&graph, "GatherElements"), 2);
    // Of the norms only the one of the float is left, and gives an index.
    let norms: Vec<&str> = graph
        .node
        .iter()
        .filter(|node| node.op_type() == "InstanceNormalization")
        .map(|node| node.output[0].as_str())
        .collect();
    assert_eq!(norms, ["lookup/0/position"]);
    // What the sine and the quantization see are tables.
    for op in ["Sin", "QuantizeLinear"] {
        let made: Vec<&str> = graph
            .node
            .iter()
            .filter(|node| node.op_type() == op)
            .map(|node| node.output[0].as_str())
            .collect();
        assert!(made.len() == 2 && made.iter().all(|name| name.starts_with("lookup/")), "{op}: {made:?}");
    }
    // The levels go on as they are: only the end of the graph becomes a float again.
    assert_eq!(count(&graph, "DequantizeLinear"), 1);
}

#[test]
fn without_levels_everything_is_computed() {
    let (graph, _) = quantized(two_chains(), &StaticInt8 { lookup_levels: None, ..with_tables() });
    assert_eq!((count(&graph, "GatherElements"), count(&graph, "InstanceNormalization")), (0, 2));
}

/// The first and the last entry of a table stand for the ends of the quantized range, and Snake maps one to the other.
#[test]
fn a_table_covers_the_range_of_its_entries() {
    let (graph, _) = quantized(two_chains(), &with_tables());
    let stored = |name: &str| {
        let found = graph.initializer.iter().find(|tensor| tensor.name() == name);
        tensor::to_f32(found.unwrap_or_else(|| panic!("no `{name}`"))).unwrap()
    };
    let scale = stored("a_quantized_scale");
    let zero = graph.initializer.iter().find(|tensor| tensor.name() == "a_quantized_zero_point").unwrap();
    let zero = tensor::to_i64(zero).unwrap();
    let (first, step) = (stored("lookup/0/first"), stored("lookup/0/step"));
    for (channel, alpha) in [1.5f64, 0.5].into_iter().enumerate() {
        let snake = |r: f64| r + (alpha * r).sin().powi(2) / alpha;
        let level = |level: i64| (level - zero[channel]) as f64 * f64::from(scale[channel]);
        let last = f64::from(first[channel]) + 511.0 * f64::from(step[channel]);
        assert!((snake(f64::from(first[channel])) - level(0)).abs() < 1e-4);
        assert!((snake(last) - level(255)).abs() < 1e-4);
    }
}

#[test]
fn what_is_no_function_of_one_norm_is_computed() {
    let change = |change: &dyn Fn(&mut GraphProto)| {
        let mut graph = two_chains();
        change(&mut graph);
        count(&quantized(graph, &with_tables()).0, "GatherElements")
    };
    assert_eq!(change(&|_| {}), 2);
    // A value in between that is an output, too.
    assert_eq!(change(&|graph| graph.output.push(value("a/sine"))), 1);
    // The norm's result is used elsewhere.
    assert_eq!(change(&|graph| graph.output.push(value("b/norm"))), 1);
    // What it is added to changes over time.
    assert_eq!(change(&|graph| graph.node[5].input[0] = "x".into()), 1);
    // A factor that the caller may bring.
    assert_eq!(change(&|graph| graph.input.push(value("alpha"))), 0);
    // An operator that is not known.
    assert_eq!(change(&|graph| graph.node[2].op_type = Some("Tan".into())), 1);
    // A function that does not rise has no table for floats, and one for levels.
    let falls = |graph: &mut GraphProto| {
        graph.node[2].op_type = Some("LeakyRelu".into());
        graph.node[9].op_type = Some("LeakyRelu".into());
        for tensor in &mut graph.initializer {
            if tensor.name() == "inverse_alpha" {
                *tensor = tensor::from_f32("inverse_alpha", &[1, CHANNELS, 1], &[-9.0, -9.0]);
            }
        }
    };
    assert_eq!(change(&falls), 1);
}

/// However long a chain is, it is followed for sixteen nodes and no further; deeper, it would be a matter of the stack.
#[test]
fn a_chain_that_is_too_long_is_computed() {
    let layout = Layout::plain(CHANNELS, CHANNELS, 1);
    for (length, tables) in [(16, 1), (17, 0), (100_000, 0)] {
        let mut graph = two_chains();
        graph.node = vec![norm("a", "x")];
        let mut last = "a/norm".to_owned();
        for position in 1..=length {
            let sum = if position == length { "a".to_owned() } else { format!("a/{position}") };
            graph.node.push(node("Add", &sum, &[&last, "alpha"], &[&sum]));
            last = sum;
        }
        graph.node.push(layout.node("first", &["a", "w"], "y"));
        let (graph, _) = quantized(graph, &with_tables());
        assert_eq!(count(&graph, "GatherElements"), tables, "{length} nodes");
    }
}

/// In front of a convolution that stays float, a table of floats reaches three times as far and is twice as fine.
#[test]
fn a_float_convolution_reads_floats_from_its_table() {
    let mut scheme = with_tables();
    scheme.convolutions.exclude = Some(regex::Regex::new("second").unwrap());
    let (graph, _) = quantized(two_chains(), &scheme);
    assert_eq!(
        (count(&graph, "GatherElements"), count(&graph, "QuantizeLinear"), count(&graph, "Conv")),
        (2, 1, 1)
    );
    // Behind a convolution in INT8 it has the 256 levels of that, otherwise as many as it needs.
    assert!(graph.initializer.iter().all(|tensor| tensor.name() != "lookup/ramp.1024"));
    scheme.convolutions.exclude = Some(regex::Regex::new("first|second").unwrap());
    let (graph, _) = quantized(two_chains(), &scheme);
    assert_eq!(
        (count(&graph, "GatherElements"), count(&graph, "QuantizeLinear"), count(&graph, "Conv")),
        (2, 0, 2)
    );
    assert!(graph.initializer.iter().any(|tensor| tensor.name() == "lookup/ramp.1024"));
    // Where ranges leave edges out, it reaches twice as far again.
    let pattern = quantizer::schemes::pattern("first|second").unwrap();
    scheme.edges = vec![Edges { pattern, positions: 3, times: 2.0 }];
    let wider = quantized(two_chains(), &scheme).0;
    assert!(wider.initializer.iter().any(|tensor| tensor.name() == "lookup/ramp.2048"));
    let first = |graph: &GraphProto| {
        let found = graph.initializer.iter().find(|tensor| tensor.name() == "lookup/0/first");
        tensor::to_f32(found.unwrap()).unwrap()[0]
    };
    // Snake is near its argument where that is far out.
    assert!((first(&wider) / first(&graph) - 2.0).abs() < 0.2);
    scheme.edges.clear();
    // Without ranges nobody knows how far a table must reach.
    scheme.ranges.values.remove("b");
    assert_eq!(count(&quantized(two_chains(), &scheme).0, "GatherElements"), 1);
}

/// The decoder's other blocks have `LeakyRelu` in place of Snake.
#[test]
fn a_leaky_relu_has_a_table() {
    let layout = Layout::plain(CHANNELS, CHANNELS, 1);
    let mut relu = node("LeakyRelu", "a", &["a/norm"], &["a"]);
    relu.attribute.push(AttributeProto {
        name: Some("alpha".into()),
        f: Some(0.2),
        ..integer_attribute("", 0)
    });
    let mut graph = two_chains();
    graph.node = vec![norm("a", "x"), relu, layout.node("first", &["a", "w"], "y")];
    let (graph, _) = quantized(graph, &with_tables());
    assert_eq!(count(&graph, "GatherElements"), 1);
}
