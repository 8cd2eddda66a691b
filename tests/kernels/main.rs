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
mod ends;
mod graph;
mod refusals;
mod registration;
mod transform;

use ends::{fused_with_ends, run_on, with_ends};
use graph::{Float, Graph, Integer, Text};

/// Together more values than are computed without asking for threads.
const CHANNELS: usize = 5;
const TIME: usize = 2_003;

/// What the levels of `x` stand for, channel by channel.
const SCALES: [f32; CHANNELS] = [0.03, 0.01, 0.02, 0.05, 0.011];
const ZEROS: [u8; CHANNELS] = [128, 0, 255, 117, 64];

/// The ends of `x` in the operators: how many positions count, how many the windows have, and how far apart their levels are.
const POSITIONS: usize = 30;
const WINDOW: usize = 41;
const TIMES: f32 = 2.7;

/// The ends of `y`.
const WIDTH: usize = 52;
const Y_TIMES: f32 = 3.3;

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

/// Floats of speech-like size, and levels as floats.
fn x() -> Tensor {
    tensor(&[1, CHANNELS, TIME], noise(CHANNELS * TIME).into_iter().map(|it| 3.0 * it + 0.5).collect())
}

fn levels() -> Tensor {
    let level = |it: f32| ((it * 127.5 + 128.0) as u8).into();
    tensor(&[1, CHANNELS, TIME], noise(CHANNELS * TIME).into_iter().map(level).collect())
}

/// A graph with `x` and its levels as inputs, and the parameters of the operators.
fn start() -> Graph {
    let per_channel = [CHANNELS as u64];
    Graph::default()
        .input("x", 3)
        .input("levels", 3)
        .node("Cast", &["levels"], "x_levels", &[("to", Integer(2))])
        .floats("scale", &per_channel, &[1.0, 0.5, -2.0, 1.3, 0.0])
        .floats("bias", &per_channel, &[0.0, 0.5, -1.0, 2.0, 0.25])
        .floats("alpha", &[1, CHANNELS as u64, 1], &[1.0, 0.02, 2.3, -0.4, 1.1])
        .floats("s", &per_channel, &SCALES)
        .levels("z", &per_channel, &ZEROS)
        .floats("t", &per_channel, &[0.031_25, 0.031, 0.007, 0.02, 0.002])
        .levels("y", &per_channel, &[128, 117, 90, 255, 0])
}

fn run(graph: &Graph, options: &SynthesizerOptions) -> BTreeMap<String, Tensor> {
    let runtime = common::runtime();
    let mut graph = probe::Graph::from_bytes(&runtime, "operators", &graph.model(1), options).unwrap();
    graph.run(&[("x", &x()), ("levels", &levels())]).unwrap()
}

/// The chain by stock operators, from `from` to `{to}.float` and, quantized and cast to float, `{to}.level`.
fn stock(graph: Graph, from: &str, to: &str, activation: &str) -> Graph {
    let value = |step: &str| format!("{to}.{step}");
    let [r, a, sine, square, part, float, quantized, level] =
        ["r", "a", "sine", "square", "part", "float", "quantized", "level"].map(value);
    let norm = [("epsilon", Float(1e-5))];
    let graph = graph.node("InstanceNormalization", &[from, "scale", "bias"], &r, &norm);
    let graph = match activation {
        "snake" => graph
            .node("Mul", &[&r, "alpha"], &a, &[])
            .node("Sin", &[&a], &sine, &[])
            .node("Mul", &[&sine, &sine], &square, &[])
            .node("Div", &[&square, "alpha"], &part, &[])
            .node("Add", &[&r, &part], &float, &[]),
        "leaky_relu" => graph.node("LeakyRelu", &[&r], &float, &[("alpha", Float(0.2))]),
        _ => graph.node("Identity", &[&r], &float, &[]),
    };
    graph
        .node("QuantizeLinear", &[&float, "t", "y"], &quantized, &[("axis", Integer(1))])
        .node("Cast", &[&quantized], &level, &[("to", Integer(1))])
        .output(&float)
        .output(&level)
}

/// All four operators of the family, each to an output of its types: `ff`, `fu`, `uf`, `uu`.
fn fused(graph: Graph, activation: &str, norm: bool) -> Graph {
    let mut attributes = vec![("activation", Text(activation)), ("epsilon", Float(1e-5))];
    if activation == "leaky_relu" {
        attributes.push(("slope", Float(0.2)));
    }
    let optional = match (norm, activation) {
        (true, "snake") => &["scale", "bias", "alpha"][..],
        (true, _) => &["scale", "bias"],
        (false, "snake") => &["", "", "alpha"],
        (false, _) => &[],
    };
    let node = |graph: Graph, operator: &str, required: &[&str], to: &str| {
        let operator = format!("ai.kokoro:{operator}");
        graph.node(&operator, &[required, optional].concat(), to, &attributes)
    };
    let graph = node(graph, "AdaINActivation", &["x"], "ff");
    let graph = node(graph, "AdaINActivationQuantize", &["x", "t", "y"], "fu.u8");
    let graph = node(graph, "DequantizeAdaINActivation", &["x_levels", "s", "z"], "uf");
    let graph = node(graph, "QLinearAdaINActivation", &["x_levels", "s", "z", "t", "y"], "uu.u8");
    graph
        .node("Cast", &["fu.u8"], "fu", &[("to", Integer(1))])
        .node("Cast", &["uu.u8"], "uu", &[("to", Integer(1))])
        .output("ff")
        .output("fu")
        .output("uf")
        .output("uu")
}

#[test]
fn the_operators_say_what_the_stock_operators_say() {
    for activation in ["snake", "leaky_relu", "none"] {
        let dequantized = ("DequantizeLinear", ["x_levels", "s", "z"]);
        let graph = start().node(dequantized.0, &dequantized.1, "d", &[("axis", Integer(1))]);
        let graph = stock(stock(graph, "x", "f", activation), "d", "u", activation);
        let outputs = run(&fused(graph, activation, true), &SynthesizerOptions::default());
        for (ours, theirs) in [("ff", "f.float"), ("uf", "u.float")] {
            let pairs = outputs[ours].values.iter().zip(&outputs[theirs].values);
            for (index, (ours_is, theirs_is)) in pairs.enumerate() {
                let difference = (ours_is - theirs_is).abs();
                // Where α is 0.02, an error of sin² counts fifty times; the rest is the runtime's float32 statistics.
                assert!(
                    difference <= 2e-5 * (1.0 + theirs_is.abs()),
                    "{activation} {ours}[{index}]: {difference}"
                );
            }
            assert_eq!(outputs[ours].shape, [1, CHANNELS, TIME]);
        }
        for (ours, theirs) in [("fu", "f.level"), ("uu", "u.level")] {
            let pairs = outputs[ours].values.iter().zip(&outputs[theirs].values);
            let differences: Vec<f32> = pairs.map(|(a, b)| (a - b).abs()).filter(|&it| it > 0.0).collect();
            assert!(differences.iter().all(|&difference| difference == 1.0), "{activation} {ours}");
            assert!(differences.len() <= CHANNELS * TIME / 500, "{activation} {ours}: {}", differences.len());
        }
    }
}

#[test]
fn quantization_is_that_of_the_runtime_to_the_bit() {
    // With `none` and no norm, each operator is a DequantizeLinear, a QuantizeLinear, or both.
    let axis = || [("axis", Integer(1))];
    let graph = fused(start(), "none", false)
        .node("QuantizeLinear", &["x", "t", "y"], "q", &axis())
        .node("DequantizeLinear", &["x_levels", "s", "z"], "stock.uf", &axis())
        .node("QuantizeLinear", &["stock.uf", "t", "y"], "qd", &axis())
        .node("Cast", &["q"], "stock.fu", &[("to", Integer(1))])
        .node("Cast", &["qd"], "stock.uu", &[("to", Integer(1))])
        .node("ai.kokoro:DequantizeAdd", &["x_levels", "s", "z", "", "x", "ff"], "sum", &[])
        .node("Add", &["stock.uf", "x"], "stock.part", &[])
        .node("Add", &["stock.part", "x"], "stock.sum", &[]);
    let graph =
        ["stock.uf", "stock.fu", "stock.uu", "sum", "stock.sum"].into_iter().fold(graph, Graph::output);
    let mut x = x();
    // Ties between two levels, with a scale that is a power of two; and what saturates.
    let ties = (0..TIME).map(|index| (index as f32 - 1_000.0) * 0.5 * 0.03125);
    x.values[..TIME].iter_mut().zip(ties).for_each(|(x, tie)| *x = tie);
    x.values[TIME..TIME + 6].copy_from_slice(&[
        1e30,
        -1e30,
        f32::INFINITY,
        f32::NEG_INFINITY,
        1e-42,
        f32::NAN,
    ]);
    let runtime = common::runtime();
    let options = SynthesizerOptions::default();
    let mut session = probe::Graph::from_bytes(&runtime, "operators", &graph.model(1), &options).unwrap();
    let outputs = session.run(&[("x", &x), ("levels", &levels())]).unwrap();
    for (ours, theirs) in [("fu", "stock.fu"), ("uf", "stock.uf"), ("uu", "stock.uu"), ("sum", "stock.sum")] {
        let [ours_are, theirs_are] = [ours, theirs].map(|name| {
            outputs[name].values.iter().map(|value| if value.is_nan() { 0 } else { value.to_bits() })
        });
        assert!(ours_are.eq(theirs_are), "{ours}");
    }
    assert!(x.values.iter().map(|it| it.to_bits()).eq(outputs["ff"].values.iter().map(|it| it.to_bits())));
}

#[test]
fn threads_and_instruction_sets_change_no_bit() {
    let runtime = common::runtime();
    let inputs = with_ends(1, TIME);
    let bits = |options: &SynthesizerOptions| {
        let sum = ["x_levels", "s", "z", "", "x"];
        let graph = fused(start(), "snake", true).node("ai.kokoro:DequantizeAdd", &sum, "sum", &[]);
        let graphs =
            [(graph.output("sum"), &inputs[..2]), (fused_with_ends(start(), "snake", true), &inputs)];
        let outputs = graphs.map(|(graph, inputs)| {
            let session = probe::Graph::from_bytes(&runtime, "operators", &graph.model(1), options);
            run_on(&mut session.unwrap(), inputs)
        });
        let values = outputs.iter().flat_map(BTreeMap::values).flat_map(|tensor| &tensor.values);
        values.map(|value| value.to_bits()).collect::<Vec<_>>()
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
    let outputs = run(&fused(graph, "snake", false), &SynthesizerOptions::default());
    for (ours, theirs) in outputs["ff"].values.iter().zip(&outputs["stock"].values) {
        assert!((ours - theirs).abs() <= 2e-5 * (1.0 + theirs.abs()), "{ours} {theirs}");
    }
}

#[test]
fn no_time_and_a_batch_are_taken() {
    let graph = fused(start(), "snake", true);
    let runtime = common::runtime();
    let options = SynthesizerOptions::default();
    let mut session = probe::Graph::from_bytes(&runtime, "operators", &graph.model(1), &options).unwrap();
    let nothing = tensor(&[1, CHANNELS, 0], vec![]);
    for output in session.run(&[("x", &nothing), ("levels", &nothing)]).unwrap().values() {
        assert_eq!(output, &nothing);
    }
    let (x, levels) = (x(), levels());
    let one = session.run(&[("x", &x), ("levels", &levels)]).unwrap();
    let twice = |it: &Tensor| tensor(&[2, CHANNELS, TIME], it.values.repeat(2));
    let two = session.run(&[("x", &twice(&x)), ("levels", &twice(&levels))]).unwrap();
    for (name, output) in &one {
        assert_eq!(two[name], twice(output), "{name}");
    }
}
