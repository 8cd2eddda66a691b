//! The ends of a sentence on the pinned ONNX Runtime: a residual block by `static-int8`, whose input is many times as large
//! at both ends as between, beside the same block in float.

use crate::support::models::of_any_lengths;
use crate::support::program::runtime;
use kokoro_model::SynthesizerOptions;
use kokoro_model::probe::{Graph, Tensor};
use quantizer::calibration::{Edges, Point, Ranges, Selection, Statistics};
use quantizer::calibration::{expose_errors, expose_statistics, points};
use quantizer::graph::{attribute, integer_attribute, node};
use quantizer::proto::attribute_proto::AttributeType;
use quantizer::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use quantizer::schemes::{self, StaticInt8, WeightsInt8};
use quantizer::{model, tensor};

const CHANNELS: usize = 4;
/// How far the large part of the signal reaches, and how far its convolutions carry it.
const LARGE: usize = 8;
const POSITIONS: usize = 16;
const TIMES: f32 = 8.0;

/// `{name}` = Snake of a norm of `input`, through a convolution that keeps the length into `output`.
fn half(name: &str, input: &str, output: &str, [dilation, pad]: [i64; 2]) -> Vec<NodeProto> {
    let inner = |what: &str| format!("{name}/{what}");
    let [norm, angle, sine, square, part] = ["norm", "angle", "sine", "sine.2", "part"].map(inner);
    let mut convolve = node("Conv", inner("Conv"), &[name, &inner("w"), "b"], &[output]);
    let integers = |name: &str, ints: Vec<i64>| AttributeProto {
        name: Some(name.into()),
        ints,
        r#type: Some(AttributeType::Ints.into()),
        ..Default::default()
    };
    convolve.attribute = vec![
        integers("dilations", vec![dilation]),
        integers("pads", vec![pad, pad]),
        integer_attribute("group", 1),
    ];
    vec![
        node("InstanceNormalization", &norm, &[input, "gamma", "beta"], &[&norm]),
        node("Mul", &angle, &["alpha", &norm], &[&angle]),
        node("Sin", &sine, &[&angle], &[&sine]),
        node("Mul", &square, &[&sine, &sine], &[&square]),
        node("Mul", &part, &["inverse_alpha", &square], &[&part]),
        node("Add", name, &[&norm, &part], &[name]),
        convolve,
    ]
}

/// A residual block, as the decoder has them: kernels of 5 with dilation 3, and of 3.
fn block() -> ModelProto {
    let weights = |taps: usize, seed: usize| -> Vec<f32> {
        let at = |at: usize| ((at * 37 + seed) % 29) as f32 / 29.0 - 0.48;
        (0..CHANNELS * CHANNELS * taps).map(at).collect()
    };
    let per_channel = [1, CHANNELS, 1];
    let graph = GraphProto {
        name: Some("a residual block".into()),
        node: [
            half("a", "x", "between", [3, 6]),
            half("c", "between", "branch", [1, 1]),
            vec![node("Add", "y", &["x", "branch"], &["y"])],
        ]
        .concat(),
        initializer: vec![
            tensor::from_f32("a/w", &[CHANNELS, CHANNELS, 5], &weights(5, 3)),
            tensor::from_f32("c/w", &[CHANNELS, CHANNELS, 3], &weights(3, 11)),
            tensor::from_f32("b", &[CHANNELS], &[0.1, -0.2, 0.0, 0.3]),
            tensor::from_f32("alpha", &per_channel, &[1.5, 0.5, 4.0, 1.0]),
            tensor::from_f32("inverse_alpha", &per_channel, &[1.0 / 1.5, 2.0, 0.25, 1.0]),
            tensor::from_f32("gamma", &[CHANNELS], &[1.0, 0.5, 2.0, 1.5]),
            tensor::from_f32("beta", &[CHANNELS], &[0.0, 0.25, -1.0, 0.5]),
        ],
        input: vec![of_any_lengths("x")],
        output: vec![of_any_lengths("y"), of_any_lengths("branch")],
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(20) };
    ModelProto { ir_version: Some(9), opset_import: vec![opset], graph: Some(graph), ..Default::default() }
}

/// Waves, many times as large at both ends.
fn signal(batch: usize, length: usize) -> Tensor {
    let at = |index: usize| {
        let (row, time) = (index / length, index % length);
        let wave =
            (time as f32 * (0.31 + 0.17 * row as f32)).sin() + 0.5 * (time as f32 * 1.7 + row as f32).cos();
        let large = time.min(length - 1 - time) < LARGE;
        wave * if large { 12.0 } else { 1.0 }
    };
    Tensor { shape: vec![batch, CHANNELS, length], values: (0..batch * CHANNELS * length).map(at).collect() }
}

fn encoded(model: &ModelProto) -> Vec<u8> {
    let mut bytes = Vec::new();
    model::encode(model, &mut bytes).unwrap();
    bytes
}

fn edges() -> Vec<Edges> {
    vec![Edges { pattern: schemes::pattern("Conv").unwrap(), positions: POSITIONS, times: TIMES }]
}

/// The ranges of some sentences, without clipping, and what is measured of them.
fn calibrated(open: &dyn Fn(&[u8]) -> Graph, edges: &[Edges]) -> (Vec<Point>, Ranges) {
    let mut extended = block();
    let graph = model::graph_mut(&mut extended).unwrap();
    let points = points(graph, &Selection::default(), edges).unwrap();
    let outputs = expose_statistics(graph, &points).unwrap();
    let mut session = open(&encoded(&extended));
    let mut statistics = Statistics::default();
    for length in [400, 700] {
        let mut measured = session.run(&[("x", &signal(1, length))]).unwrap();
        for (point, output) in points.iter().zip(&outputs) {
            statistics.add(point, &measured.remove(output).unwrap().values).unwrap();
        }
    }
    (points, statistics.ranges())
}

fn quantized(ranges: &Ranges, edges: &[Edges], lookup_levels: Option<u16>) -> Vec<u8> {
    let scheme = StaticInt8 {
        rewrites: vec![],
        convolutions: Selection::default(),
        ranges: ranges.clone(),
        edges: edges.to_vec(),
        weight_levels: 127,
        lookup_levels,
        weights: WeightsInt8 { min_elements: 4096, exclude: None, finer: vec![] },
    };
    let mut model = block();
    schemes::quantize(&mut model, &scheme).unwrap();
    // Behind bytes no norm is left, and so nothing that computes the whole in float.
    let graph = model::graph(&model).unwrap();
    let norms = graph.node.iter().filter(|node| node.op_type() == "InstanceNormalization").count();
    let branch_is_output = graph.output.iter().any(|output| output.name() == "branch");
    assert!(branch_is_output && norms == if lookup_levels.is_some() { 1 } else { 2 });
    assert!(graph.node.iter().all(|node| node.op_type() != "Conv" && attribute(node, "auto_pad").is_none()));
    encoded(&model)
}

/// How much larger than its error a branch is, in dB.
fn fidelity(exact: &[f32], found: &[f32]) -> f64 {
    let power =
        |values: &mut dyn Iterator<Item = f32>| -> f64 { values.map(|it| f64::from(it).powi(2)).sum() };
    let error = power(&mut exact.iter().zip(found).map(|(exact, found)| exact - found));
    10.0 * (power(&mut exact.iter().copied()) / error).log10()
}

#[test]
fn edges_are_exact_at_every_length() {
    let runtime = runtime();
    let options = SynthesizerOptions::default().session_option("session.disable_quant_qdq", "1");
    let open = |bytes: &[u8]| Graph::from_bytes(&runtime, "block", bytes, &options).unwrap();
    let mut float = open(&encoded(&block()));
    let (_, body) = calibrated(&open, &edges());
    let mut computed = open(&quantized(&body, &edges(), None));
    let mut looked_up = open(&quantized(&body, &edges(), Some(1024)));
    let mut clipped = open(&quantized(&body, &[], Some(1024)));
    let e = POSITIONS;
    for (batch, length) in [1, 2, e - 1, e, e + 1, e + 7, 2 * e - 1, 2 * e, 2 * e + 1, 3 * e, 500, 900]
        .map(|length| (1, length))
        .into_iter()
        .chain([(2, 1), (2, e + 1), (3, 300)])
    {
        let x = signal(batch, length);
        let [exact, a, b, without] = [&mut float, &mut computed, &mut looked_up, &mut clipped]
            .map(|graph| graph.run(&[("x", &x)]).unwrap().remove("branch").unwrap());
        assert_eq!((&exact.shape, exact.values.len()), (&a.shape, a.values.len()));
        assert_eq!((&exact.shape, exact.values.len()), (&b.shape, b.values.len()));
        let [a, b, without] = [a, b, without].map(|branch| fidelity(&exact.values, &branch.values));
        println!(
            "{batch} x {length}: computed {a:.1} dB, looked up {b:.1} dB, without edges {without:.1} dB"
        );
        // Of what is all edge there is nothing but the coarse steps of these; a norm over one position is its bias, far
        // below them.
        if length > 2 {
            assert!((a - b).abs() < 3.0, "{batch} x {length}: {a} and {b}");
            assert!(a > 17.0 && b > 17.0, "{batch} x {length}: {a} and {b}");
        }
        if length >= 2 * e {
            assert!(b > without + 6.0, "{batch} x {length}: {b}, without edges {without}");
        }
    }
}

/// What lies between the edges is measured, and where nothing does, the whole.
#[test]
fn calibration_measures_the_body() {
    let runtime = runtime();
    let options = SynthesizerOptions::default().session_option("session.disable_quant_qdq", "1");
    let open = |bytes: &[u8]| Graph::from_bytes(&runtime, "block", bytes, &options).unwrap();
    let (_, whole) = calibrated(&open, &[]);
    let (points, body) = calibrated(&open, &edges());
    for (name, channels) in &body.values {
        for (body, whole) in channels.iter().zip(&whole.values[name]) {
            assert!(body.high < 0.7 * whole.high && body.high > 0.0, "{name}: {body:?} of {whole:?}");
        }
    }
    let mut extended = block();
    let graph = model::graph_mut(&mut extended).unwrap();
    let statistics = expose_statistics(graph, &points).unwrap();
    graph.output.extend(
        points.iter().filter(|point| point.value != "branch").map(|point| of_any_lengths(&point.value)),
    );
    let mut statistics_of = open(&encoded(&extended));
    let mut extended = block();
    let errors = expose_errors(model::graph_mut(&mut extended).unwrap(), &points, &body, &[1.0]).unwrap();
    let mut errors_of = open(&encoded(&extended));
    for length in [1, POSITIONS, 2 * POSITIONS, 2 * POSITIONS + 1, 100] {
        let x = signal(1, length);
        let measured = statistics_of.run(&[("x", &x)]).unwrap();
        let off = errors_of.run(&[("x", &x)]).unwrap();
        let kept = if length > 2 * POSITIONS { POSITIONS..length - POSITIONS } else { 0..length };
        for ((point, statistics), errors) in points.iter().zip(&statistics).zip(&errors) {
            let activation = &measured[&point.value].values;
            for channel in 0..CHANNELS {
                let row = &activation[channel * length..][kept.clone()];
                let high = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                assert_eq!(
                    measured[statistics].values[CHANNELS + channel],
                    high,
                    "{length}: {}",
                    point.value
                );
            }
            assert!(off[errors].values.iter().all(|&error| error.is_finite() && error >= 0.0));
        }
    }
}
