//! Tables, and the operators of `kokoro-model`, beside what they stand for, on the pinned ONNX Runtime: the same graph by
//! `static-int8`, once computed, once looked up, and fused.

use crate::support::models::of_any_lengths;
use crate::support::program::runtime;
use kokoro_model::SynthesizerOptions;
use kokoro_model::probe::{Graph, Tensor};
use quantizer::calibration::{Channel, Ranges, Selection};
use quantizer::fuse::DOMAIN;
use quantizer::graph::node;
use quantizer::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use quantizer::schemes::{self, FusedFloat, FusedInt8, Scheme, StaticInt8, WeightsInt8};
use quantizer::{model, tensor};
use regex::Regex;

const CHANNELS: usize = 3;

/// `{name}` = Snake of a norm of `input`, through a convolution of one tap into `output`.
fn block(name: &str, input: &str, output: &str) -> Vec<NodeProto> {
    let inner = |what: &str| format!("{name}/{what}");
    let [norm, angle, sine, square, part] = ["norm", "angle", "sine", "square", "part"].map(inner);
    vec![
        node("InstanceNormalization", &norm, &[input, "gamma", "beta"], &[&norm]),
        node("Mul", &angle, &["alpha", &norm], &[&angle]),
        node("Sin", &sine, &[&angle], &[&sine]),
        node("Mul", &square, &[&sine, &sine], &[&square]),
        node("Mul", &part, &["inverse_alpha", &square], &[&part]),
        node("Add", name, &[&norm, &part], &[name]),
        node("Conv", format!("{name}/Conv"), &[name, "w"], &[output]),
    ]
}

/// Two blocks, the first of a float and the second of levels.
fn two_blocks() -> ModelProto {
    let per_channel = [1, CHANNELS, 1];
    let weights = [0.5, -0.25, 0.1, 0.125, 1.0, -0.5, 0.2, 0.3, -0.7];
    let graph = GraphProto {
        name: Some("two blocks".into()),
        node: [block("a", "x", "between"), block("b", "between", "y")].concat(),
        initializer: vec![
            tensor::from_f32("w", &[CHANNELS, CHANNELS, 1], &weights),
            tensor::from_f32("alpha", &per_channel, &[1.5, 0.5, 4.0]),
            tensor::from_f32("inverse_alpha", &per_channel, &[1.0 / 1.5, 2.0, 0.25]),
            tensor::from_f32("gamma", &[CHANNELS], &[1.0, 0.5, 2.0]),
            tensor::from_f32("beta", &[CHANNELS], &[0.0, 0.25, -1.0]),
        ],
        input: vec![of_any_lengths("x")],
        output: vec![of_any_lengths("y")],
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(20) };
    ModelProto { ir_version: Some(9), opset_import: vec![opset], graph: Some(graph), ..Default::default() }
}

fn scheme(lookup_levels: Option<u16>) -> StaticInt8 {
    let channel = Channel { low: -4.0, high: 8.0, mean: 0.3, mean_square: 2.0 };
    let values = ["a", "b", "between", "y"].map(|name| (name.to_owned(), vec![channel; CHANNELS]));
    StaticInt8 {
        rewrites: vec![],
        convolutions: Selection::default(),
        ranges: Ranges { values: values.into() },
        edges: vec![],
        weight_levels: 127,
        lookup_levels,
        weights: WeightsInt8 { min_elements: 4096, exclude: None, finer: vec![] },
    }
}

/// What the scheme makes of the two blocks; `operators` is how many tables or operators of our own there must be.
fn made(scheme: &dyn Scheme, operators: usize) -> Vec<u8> {
    let mut model = two_blocks();
    schemes::quantize(&mut model, scheme).unwrap();
    let is_one = |node: &&NodeProto| node.op_type() == "GatherElements" || node.domain() == DOMAIN;
    assert_eq!(model.graph.iter().flat_map(|graph| &graph.node).filter(is_one).count(), operators);
    encoded(&model)
}

fn encoded(model: &ModelProto) -> Vec<u8> {
    let mut bytes = Vec::new();
    model::encode(model, &mut bytes).unwrap();
    bytes
}

fn open(name: &str, bytes: &[u8]) -> Graph {
    Graph::from_bytes(&runtime(), name, bytes, &SynthesizerOptions::default()).unwrap()
}

/// The root mean square of the difference.
fn distance(to: &Tensor, from: &Tensor) -> f32 {
    assert_eq!((&to.shape, to.values.len()), (&from.shape, from.values.len()));
    let squares = to.values.iter().zip(&from.values).map(|(to, from)| (to - from).powi(2));
    (squares.sum::<f32>() / to.values.len() as f32).sqrt()
}

const SHAPES: [(usize, usize); 3] = [(1, 1), (1, 300), (2, 211)];

/// A sine that grows, with a part that is far outside of what calibration saw.
fn signal(batch: usize, length: usize) -> Tensor {
    let at = |index: usize| {
        let (row, time) = (index / length, (index % length) as f32);
        let outlier = if index % 97 == 5 { 40.0 } else { 0.0 };
        (time * (0.05 + 0.02 * row as f32)).sin() * (1.0 + time / 64.0) + row as f32 + outlier
    };
    Tensor { shape: vec![batch, CHANNELS, length], values: (0..batch * CHANNELS * length).map(at).collect() }
}

#[test]
fn a_table_says_what_the_operators_say() {
    let mut computed = open("computed", &made(&scheme(None), 0));
    let mut float = open("float", &encoded(&two_blocks()));
    for levels in [512, 4096] {
        let mut looked_up = open("looked up", &made(&scheme(Some(levels)), 2));
        for (batch, length) in SHAPES {
            let x = signal(batch, length);
            let [a, b, exact] = [&mut computed, &mut looked_up, &mut float]
                .map(|graph| graph.run(&[("x", &x)]).unwrap().remove("y").unwrap());
            let (computed, looked_up, between) =
                (distance(&a, &exact), distance(&b, &exact), distance(&a, &b));
            println!(
                "{levels} levels, {batch} x {length}: off by {computed} and {looked_up}, {between} between"
            );
            // A step is 12/255. An index adds a part of one, and what saturates does so in both.
            assert!(between < 0.04 && looked_up < computed * 1.01 + 0.01);
        }
    }
}

/// An operator of ours differs by roundings, and in INT8 by steps: of weights, and of activations at each position.
#[test]
fn a_fused_operator_says_what_the_operators_say() {
    let float = FusedFloat { rewrites: vec![] };
    let int8 = |finer_activations: Option<Regex>| FusedInt8 {
        rewrites: vec![],
        convolutions: Selection::default(),
        finer_activations,
        weights: scheme(None).weights,
    };
    let any = || Some(Regex::new("").unwrap());
    for (fused, most) in
        [(made(&float, 2), 2e-5), (made(&int8(any()), 2), 0.01), (made(&int8(None), 2), 0.02)]
    {
        let (mut computed, mut fused) = (open("computed", &encoded(&two_blocks())), open("fused", &fused));
        for (batch, length) in SHAPES {
            let x = signal(batch, length);
            let [a, b] = [&mut computed, &mut fused]
                .map(|graph| graph.run(&[("x", &x)]).unwrap().remove("y").unwrap());
            let between = distance(&a, &b);
            println!("{batch} x {length}: {between} between");
            assert!(between < most, "{between}");
        }
    }
}
