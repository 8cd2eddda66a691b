//! What is computed for the ends of a sentence, and how it comes into the rest.

use quantizer::calibration::{Edges, Point, expose_errors, expose_statistics};
use quantizer::graph::node;
use quantizer::proto::GraphProto;
use quantizer::schemes::{EDGES, Scheme, StaticInt8, pattern};
use quantizer::{check, tensor};

use super::support::{Layout, channel, one_convolution, quantized, ranges, scheme};

const LAYOUT: Layout = Layout { dilation: 3, pads: [6, 6], ..Layout::plain(2, 2, 5) };

fn edges(positions: usize, times: f32) -> Vec<Edges> {
    vec![Edges { pattern: pattern("conv").unwrap(), positions, times }]
}

fn with_edges(times: f32) -> StaticInt8 {
    let known = vec![channel(-1.0, 1.55, 0.1); 2];
    StaticInt8 { edges: edges(16, times), ..scheme(ranges(&[("x", known.clone()), ("y", known)])) }
}

fn graph() -> GraphProto {
    let weights: Vec<f32> = (0_u8..20).map(|at| f32::from(at) / 10.0 - 1.0).collect();
    one_convolution(&LAYOUT, &weights, &[0.5, -3.0])
}

fn stored(graph: &GraphProto, name: &str) -> Vec<i64> {
    let found = graph.initializer.iter().find(|tensor| tensor.name() == name);
    tensor::to_i64(found.unwrap_or_else(|| panic!("no `{name}`"))).unwrap()
}

#[test]
fn a_convolution_is_there_twice_on_the_same_weights() {
    let (graph, _) = quantized(graph(), &with_edges(4.0));
    check::validate(&graph).unwrap();
    let convolutions: Vec<_> = graph.node.iter().filter(|node| node.op_type() == "QLinearConv").collect();
    let [whole, edges] = convolutions[..] else { panic!("{} convolutions", convolutions.len()) };
    assert_eq!((edges.name(), whole.name()), (format!("conv{EDGES}").as_str(), "conv"));
    assert_eq!(edges.attribute, whole.attribute);
    let others: Vec<usize> = (0..9).filter(|&at| edges.input[at] != whole.input[at]).collect();
    // Levels, their scale, the output's, and the bias.
    assert_eq!(others, [0, 1, 6, 8]);
    // What the bias holds of the output's zero point is 4 times as much, and the unit is 4 times as large.
    let [near, far] = [whole, edges].map(|node| stored(&graph, &node.input[8]));
    let zeros = stored(&graph, "y_zero_point");
    let multipliers = graph.initializer.iter().find(|tensor| tensor.name() == "y_weight_scale").unwrap();
    for (channel, multiplier) in tensor::to_f32(multipliers).unwrap().into_iter().enumerate() {
        let offset = (zeros[channel] - 128) as f64 / f64::from(multiplier);
        let expected = (near[channel] as f64 - offset) / 4.0 + offset;
        assert!((far[channel] as f64 - expected).abs() <= 1.0, "{channel}: {} for {expected}", far[channel]);
    }
    // 16 positions and the reach of 6.
    assert_eq!(stored(&graph, "edges/22"), [22]);
    assert!(graph.node.iter().any(|node| node.op_type() == "ScatterElements" && node.output == ["y"]));
}

#[test]
fn without_edges_nothing_is_added() {
    let none = StaticInt8 { edges: vec![], ..with_edges(4.0) };
    let other = StaticInt8 {
        edges: vec![Edges { pattern: pattern("other").unwrap(), positions: 16, times: 4.0 }],
        ..with_edges(4.0)
    };
    let plain = quantized(graph(), &none).0;
    assert_eq!(quantized(graph(), &other).0, plain);
    assert!(plain.node.iter().all(|node| !node.name().contains("edges")));
}

#[test]
fn an_output_of_another_length_is_refused() {
    for layout in [
        Layout { pads: [6, 5], ..LAYOUT },
        Layout { stride: 2, ..LAYOUT },
        Layout { pads: [0, 0], ..LAYOUT },
        Layout { dilation: 2, ..LAYOUT },
    ] {
        let mut graph = graph();
        graph.node = vec![layout.node("conv", &["x", "w", "b"], "y")];
        let error = with_edges(4.0).apply(&mut graph).unwrap_err();
        assert!(error.to_string().contains("to be as long as its input"), "{layout:?}: {error}");
    }
}

/// Two convolutions in a row that are as long as `x` share what depends on the length alone.
#[test]
fn what_depends_on_the_length_is_there_once() {
    let mut graph = graph();
    graph.node = vec![
        LAYOUT.node("conv", &["x", "w", "b"], "y"),
        node("Add", "sum", &["x", "y"], &["sum"]),
        LAYOUT.node("conv again", &["sum", "w", "b"], "z"),
    ];
    graph.output[0].name = Some("z".into());
    let known = vec![channel(-1.0, 1.55, 0.1); 2];
    let ranges = ranges(&["x", "y", "sum", "z"].map(|name| (name, known.clone())));
    let (graph, _) = quantized(graph, &StaticInt8 { ranges, ..with_edges(4.0) });
    let count = |op: &str| graph.node.iter().filter(|node| node.op_type() == op).count();
    assert_eq!((count("ScatterElements"), count("Expand"), count("Neg")), (2, 1, 1));
    assert!(graph.node.iter().any(|node| node.output == ["x/length"]));
}

#[test]
fn calibration_slices_edges_off() {
    let point = |edges| [Point { value: "y".into(), channels: 2, edges }];
    let known = ranges(&[("y", vec![channel(-1.0, 1.55, 0.1); 2])]);
    for edges in [0, 3] {
        let mut statistics = graph();
        expose_statistics(&mut statistics, &point(edges)).unwrap();
        let mut errors = graph();
        expose_errors(&mut errors, &point(edges), &known, &[1.0]).unwrap();
        for graph in [statistics, errors] {
            check::validate(&graph).unwrap();
            let measured = if edges == 0 { "y" } else { "y/body" };
            let reads = |name: &str| {
                let readers =
                    graph.node.iter().filter(|node| node.input.first().is_some_and(|it| it == name));
                readers.filter(|node| !matches!(node.op_type(), "Shape" | "Slice")).count()
            };
            assert!(reads(measured) > 0);
            assert_eq!(reads("y") > 0, edges == 0);
        }
    }
}
