//! The operators of `ai.kokoro` in ONNX Runtime, beside the stock operators that they take the place of.
#![cfg(feature = "probe")]

use std::collections::BTreeMap;
use std::error::Error as _;
use std::process::Command;
use std::sync::Barrier;

use kokoro_model::probe::{self, Tensor};
use kokoro_model::{ErrorKind, InstructionSet, Metadata, Runtime, SynthesizerOptions};

#[path = "../common/mod.rs"]
mod common;
mod convolution;
mod graph;
mod quantized;
mod refusals;
mod registration;
mod transform;

use graph::{Float, Graph, Integer, Text};

/// Together more values than are computed without asking for threads.
const CHANNELS: usize = 5;
const TIME: usize = 2_003;

/// Numbers from −1 to 1 that are the same in every run.
fn noise(length: usize) -> Vec<f32> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}

fn tensor(shape: &[usize], values: Vec<f32>) -> Tensor {
    assert_eq!(shape.iter().product::<usize>(), values.len());
    Tensor { shape: shape.to_vec(), values }
}

/// Floats of speech-like size.
fn x() -> Tensor {
    tensor(&[1, CHANNELS, TIME], noise(CHANNELS * TIME).into_iter().map(|it| 3.0 * it + 0.5).collect())
}

/// A graph with `x` as its input, and the parameters of the operators.
fn start() -> Graph {
    let per_channel = [CHANNELS as u64];
    Graph::default()
        .input("x", 3)
        .floats("scale", &per_channel, &[1.0, 0.5, -2.0, 1.3, 0.0])
        .floats("bias", &per_channel, &[0.0, 0.5, -1.0, 2.0, 0.25])
        .floats("alpha", &[1, CHANNELS as u64, 1], &[1.0, 0.02, 2.3, -0.4, 1.1])
}

fn run(graph: &Graph, options: &SynthesizerOptions) -> BTreeMap<String, Tensor> {
    let runtime = common::runtime();
    let mut graph = probe::Graph::from_bytes(&runtime, "operators", &graph.model(2), options).unwrap();
    graph.run(&[("x", &x())]).unwrap()
}

/// The chain by stock operators, from `x` to `stock`.
fn stock(graph: Graph, activation: &str) -> Graph {
    let norm = [("epsilon", Float(1e-5))];
    let graph = graph.node("InstanceNormalization", &["x", "scale", "bias"], "r", &norm);
    match activation {
        "snake" => graph
            .node("Mul", &["r", "alpha"], "a", &[])
            .node("Sin", &["a"], "sine", &[])
            .node("Mul", &["sine", "sine"], "square", &[])
            .node("Div", &["square", "alpha"], "part", &[])
            .node("Add", &["r", "part"], "stock", &[]),
        "leaky_relu" => graph.node("LeakyRelu", &["r"], "stock", &[("alpha", Float(0.2))]),
        _ => graph.node("Identity", &["r"], "stock", &[]),
    }
}

/// What the attributes of a chain are.
fn chain(activation: &str) -> Vec<(&'static str, graph::Attribute<'_>)> {
    let mut attributes = vec![("activation", Text(activation)), ("epsilon", Float(1e-5))];
    if activation == "leaky_relu" {
        attributes.push(("slope", Float(0.2)));
    }
    attributes
}

/// The inputs of a chain behind `x`.
fn parameters(activation: &str, norm: bool) -> [&'static str; 3] {
    let alpha = if activation == "snake" { "alpha" } else { "" };
    if norm { ["scale", "bias", alpha] } else { ["", "", alpha] }
}

/// The chain by the operator, from `x` to `ours`.
fn fused(graph: Graph, activation: &str, norm: bool) -> Graph {
    let inputs = [&["x"], &parameters(activation, norm)[..]].concat();
    graph.node("ai.kokoro:AdaINActivation", &inputs, "ours", &chain(activation)).output("ours")
}

/// That `ours` is near to `stock`: where α is 0.02, an error of sin² counts fifty times; the rest is the runtime's float32 statistics.
fn check(outputs: &BTreeMap<String, Tensor>, place: &str) {
    let (ours, stock) = (&outputs["ours"], &outputs["stock"]);
    assert_eq!(ours.shape, stock.shape);
    for (index, (ours, stock)) in ours.values.iter().zip(&stock.values).enumerate() {
        let difference = (ours - stock).abs();
        assert!(difference <= 2e-5 * (1.0 + stock.abs()), "{place} [{index}]: {ours} for {stock}");
    }
}

#[test]
fn the_operator_says_what_the_stock_operators_say() {
    for activation in ["snake", "leaky_relu", "none"] {
        let graph = fused(stock(start(), activation).output("stock"), activation, true);
        check(&run(&graph, &SynthesizerOptions::default()), activation);
    }
}

#[test]
fn nothing_leaves_every_bit_as_it_is() {
    let outputs = run(&fused(start(), "none", false), &SynthesizerOptions::default());
    assert!(
        x().values.iter().map(|it| it.to_bits()).eq(outputs["ours"].values.iter().map(|it| it.to_bits()))
    );
}

#[test]
fn threads_and_instruction_sets_change_no_bit() {
    let bits = |options: &SynthesizerOptions| {
        let outputs = run(&fused(start(), "snake", true), options);
        outputs["ours"].values.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    let first = bits(&SynthesizerOptions::default().threads(1));
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
        for threads in [1, 2] {
            let options = SynthesizerOptions::default().threads(threads).instruction_set(set);
            assert!(bits(&options) == first, "{set}, {threads} threads");
        }
    }
}

#[test]
fn snake_alone_takes_no_norm() {
    let graph = start().node("Mul", &["x", "alpha"], "a", &[]).node("Sin", &["a"], "sine", &[]);
    let graph =
        graph.node("Mul", &["sine", "sine"], "square", &[]).node("Div", &["square", "alpha"], "part", &[]);
    let graph = graph.node("Add", &["x", "part"], "stock", &[]).output("stock");
    check(&run(&fused(graph, "snake", false), &SynthesizerOptions::default()), "snake alone");
}

#[test]
fn no_time_and_a_batch_are_taken() {
    let graph = fused(start(), "snake", true);
    let runtime = common::runtime();
    let options = SynthesizerOptions::default();
    let mut session = probe::Graph::from_bytes(&runtime, "operators", &graph.model(2), &options).unwrap();
    let nothing = tensor(&[1, CHANNELS, 0], vec![]);
    assert_eq!(session.run(&[("x", &nothing)]).unwrap()["ours"], nothing);
    let x = x();
    let one = session.run(&[("x", &x)]).unwrap();
    let twice = |it: &Tensor| tensor(&[2, CHANNELS, TIME], it.values.repeat(2));
    let two = session.run(&[("x", &twice(&x))]).unwrap();
    assert_eq!(two["ours"], twice(&one["ours"]));
}
