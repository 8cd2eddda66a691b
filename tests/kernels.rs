//! The operators of `ai.kokoro` in ONNX Runtime, beside the stock operators that they take the place of.
#![cfg(feature = "probe")]

use std::collections::BTreeMap;
use std::error::Error as _;
use std::process::Command;
use std::sync::Barrier;

use kokoro_model::probe::{self, Tensor};
use kokoro_model::{ErrorKind, InstructionSet, Metadata, Runtime, SynthesizerOptions};

mod common;
#[path = "common/graph.rs"]
mod graph;

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

/// Also where nothing is left but rounding noise, whose sign is the phase.
#[test]
fn a_transform_is_that_of_the_runtime_to_the_bit() {
    for (frame, step) in [(20, 5), (20, 7), (3, 1), (11, 4), (50, 50), (1_000, 250)] {
        let length = 4_003;
        let tones = |at: usize| 0.1 * (at as f32 * 0.3).sin() + 0.01 * (at as f32 * 2.9).cos();
        let samples = noise(length).into_iter().enumerate().map(|(at, noise)| match at * 8 / length {
            0 => 0.0,
            1 => -0.0,
            2 => 0.25,
            3 => -0.25,
            4 | 5 => tones(at),
            _ => noise,
        });
        let signal = tensor(&[2, length], samples.clone().chain(samples.map(|it| 1e-20 * it)).collect());
        let window: Vec<f32> = (0..frame).map(|at| (at as f32 / frame as f32 * 3.0).sin().powi(2)).collect();
        let graph = Graph::default()
            .input("signal", 2)
            .floats("window", &[frame as u64], &window)
            .integer("step", step)
            .integer("length", frame)
            .node("STFT", &["signal", "step", "window", "length"], "stock", &[("onesided", Integer(1))])
            .node("ai.kokoro:OnesidedSTFT", &["signal", "window"], "ours", &[("frame_step", Integer(step))])
            .output("stock")
            .output("ours");
        let runtime = common::runtime();
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            let options = SynthesizerOptions::default().threads(2).instruction_set(set);
            let mut graph = probe::Graph::from_bytes(&runtime, "stft", &graph.model(1), &options).unwrap();
            let said = graph.run(&[("signal", &signal)]).unwrap();
            assert_eq!(said["stock"].shape, said["ours"].shape);
            let bits = |name: &str| said[name].values.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
            assert!(bits("stock") == bits("ours"), "{frame} {step} {set}");
        }
    }
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

/// The operators that know of ends, with those of `x` from the input `ends`: `uf`, `sum`, and `fu` and `uu` with the ends of `y` as
/// `fu.ends` and `uu.ends`.
fn fused_with_ends(graph: Graph, activation: &str, norm: bool) -> Graph {
    let attributes = [
        ("activation", Text(activation)),
        ("slope", Float(0.2)),
        ("x_ends_times", Float(TIMES)),
        ("x_ends_positions", Integer(POSITIONS as i64)),
        ("y_ends_times", Float(Y_TIMES)),
        ("y_ends_width", Integer(WIDTH as i64)),
    ];
    let (scale, bias) = if norm { ("scale", "bias") } else { ("", "") };
    let alpha = if activation == "snake" { "alpha" } else { "" };
    let node = |graph: Graph, operator: &str, inputs: &[&str], outputs: &[&str]| {
        graph.node_of(&format!("ai.kokoro:{operator}"), inputs, outputs, &attributes)
    };
    let graph = graph.input("ends", 3).node("Cast", &["ends"], "x_ends", &[("to", Integer(2))]);
    let (quantize, fu) = (["x", "t", "y", scale, bias, alpha], ["fu.u8", "fu.ends.u8"]);
    let graph = node(graph, "AdaINActivationQuantize", &quantize, &fu);
    let dequantize = ["x_levels", "s", "z", scale, bias, alpha, "x_ends"];
    let graph = node(graph, "DequantizeAdaINActivation", &dequantize, &["uf"]);
    let (q_linear, uu) =
        (["x_levels", "s", "z", "t", "y", scale, bias, alpha, "x_ends"], ["uu.u8", "uu.ends.u8"]);
    let graph = node(graph, "QLinearAdaINActivation", &q_linear, &uu);
    let graph = node(graph, "DequantizeAdd", &["x_levels", "s", "z", "x_ends", "x", "x"], &["sum"]);
    let graph = ["uf", "sum"].into_iter().fold(graph, Graph::output);
    ["fu", "fu.ends", "uu", "uu.ends"].into_iter().fold(graph, |graph, name| {
        graph.node("Cast", &[&format!("{name}.u8")], name, &[("to", Integer(1))]).output(name)
    })
}

/// Levels, windows of other ones, and the floats that they are together.
fn with_ends(batch: usize, time: usize) -> [(&'static str, Tensor); 3] {
    let window = WINDOW.min(time);
    let level = |it: f32| f32::from((it * 127.5 + 128.0) as u8);
    let all: Vec<f32> =
        noise(CHANNELS * (batch * time + 2 * batch * window)).into_iter().map(level).collect();
    let (levels, ends) = all.split_at(batch * CHANNELS * time);
    let positions = POSITIONS.min(time);
    let value = |index: usize| {
        let (row, position) = (index / time, index % time);
        let (scale, zero) = (SCALES[row % CHANNELS], f32::from(ZEROS[row % CHANNELS]));
        if position < positions {
            (ends[row * window + position] - zero) * (scale * TIMES)
        } else if position >= time - positions {
            let row = batch * CHANNELS + row;
            (ends[row * window + window - (time - position)] - zero) * (scale * TIMES)
        } else {
            (levels[index] - zero) * scale
        }
    };
    let x = (0..levels.len()).map(value).collect();
    [
        ("x", tensor(&[batch, CHANNELS, time], x)),
        ("levels", tensor(&[batch, CHANNELS, time], levels.to_vec())),
        ("ends", tensor(&[2 * batch, CHANNELS, window], ends.to_vec())),
    ]
}

fn run_on(session: &mut probe::Graph, inputs: &[(&'static str, Tensor)]) -> BTreeMap<String, Tensor> {
    let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    session.run(&inputs).unwrap()
}

/// The first windows of all elements of the batch, then the last ones.
fn windows(of: &Tensor) -> Tensor {
    let &[batch, channels, time] = of.shape.as_slice() else { panic!("{:?}", of.shape) };
    let width = WIDTH.min(time);
    let first = of.values.chunks(time.max(1)).flat_map(|row| &row[..width]);
    let last = of.values.chunks(time.max(1)).flat_map(|row| &row[time - width..]);
    tensor(&[2 * batch, channels, width], first.chain(last).copied().collect())
}

#[test]
fn ends_take_the_place_of_what_x_says() {
    let runtime = common::runtime();
    let options = SynthesizerOptions::default();
    for (activation, norm) in [("snake", true), ("leaky_relu", true), ("none", true), ("none", false)] {
        // Without a norm, what is quantized is what went in.
        let stock = stock(start(), "x", "f", activation);
        let float = if norm { "f.float" } else { "x" };
        let graph = fused_with_ends(stock, activation, norm)
            .floats("times", &[1], &[Y_TIMES])
            .node("Mul", &["t", "times"], "far", &[])
            .node("QuantizeLinear", &[float, "t", "y"], "near.u8", &[("axis", Integer(1))])
            .node("QuantizeLinear", &[float, "far", "y"], "far.u8", &[("axis", Integer(1))])
            .node("Cast", &["near.u8"], "near.level", &[("to", Integer(1))])
            .node("Cast", &["far.u8"], "far.level", &[("to", Integer(1))])
            .node("Add", &["x", "x"], "twice", &[])
            .node("Add", &["twice", "x"], "thrice", &[])
            .output("near.level")
            .output("far.level")
            .output("thrice");
        let mut session = probe::Graph::from_bytes(&runtime, "ends", &graph.model(1), &options).unwrap();
        // Ends apart, in a batch, side by side, over each other, all of time, and of one value.
        for (batch, time) in [(1, TIME), (2, 400), (2, 60), (2, 45), (1, POSITIONS), (2, 7), (1, 1)] {
            let inputs = with_ends(batch, time);
            let outputs = run_on(&mut session, &inputs);
            let place = format!("{activation}, norm: {norm}, {batch} of {time}");
            assert_eq!(outputs["sum"], outputs["thrice"], "{place}");
            let float = if norm { &outputs["f.float"] } else { &inputs[0].1 };
            assert_eq!(outputs["uf"].shape, float.shape);
            // One value alone differs from its mean by a rounding of up to 2·10⁻⁶, and its deviation is √epsilon.
            let (alone, any) = if norm && time == 1 { (3e-3, CHANNELS) } else { (0.0, 0) };
            for (index, (ours, theirs)) in outputs["uf"].values.iter().zip(&float.values).enumerate() {
                let bound = if norm { 2e-5 * (1.0 + theirs.abs()) + alone } else { 0.0 };
                assert!((ours - theirs).abs() <= bound, "{place}, uf[{index}]: {ours} for {theirs}");
            }
            let (near, far) = (&outputs["near.level"], windows(&outputs["far.level"]));
            for (name, expected) in [("fu", near), ("uu", near), ("fu.ends", &far), ("uu.ends", &far)] {
                assert_eq!(outputs[name].shape, expected.shape, "{place}, {name}");
                let pairs = outputs[name].values.iter().zip(&expected.values);
                let differences: Vec<f32> =
                    pairs.map(|(a, b)| (a - b).abs()).filter(|&it| it > 0.0).collect();
                let most = if norm { 1 + any + expected.values.len() / 500 } else { 0 };
                assert!(differences.iter().all(|&difference| difference == 1.0), "{place}, {name}");
                assert!(differences.len() <= most, "{place}, {name}: {}", differences.len());
            }
        }
    }
    // Of empty time there is nothing to compare.
    let graph = fused_with_ends(start(), "snake", true);
    let mut session = probe::Graph::from_bytes(&runtime, "ends", &graph.model(1), &options).unwrap();
    for (name, output) in run_on(&mut session, &with_ends(2, 0)) {
        let batch = if name.contains("ends") { 4 } else { 2 };
        assert_eq!(output, tensor(&[batch, CHANNELS, 0], vec![]), "{name}");
    }
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

/// The error of a run, with its sources.
fn message(graph: &Graph) -> String {
    let runtime = common::runtime();
    let options = SynthesizerOptions::default();
    let session = probe::Graph::from_bytes(&runtime, "operators", &graph.model(1), &options);
    let error = match session {
        Ok(mut session) => session.run(&[("x", &x()), ("levels", &levels())]).unwrap_err(),
        Err(error) => error,
    };
    format!("{error}: {}", error.source().unwrap())
}

#[test]
fn what_does_not_fit_is_refused_with_what_was_found() {
    let snake = || [("activation", Text("snake"))];
    let float = "ai.kokoro:AdaINActivation";
    let q_linear = "ai.kokoro:QLinearAdaINActivation";
    let (stft, step) = ("ai.kokoro:OnesidedSTFT", [("frame_step", Integer(5))]);
    for (operator, inputs, attributes, expected) in [
        (
            float,
            &["x", "scale", "", "alpha"][..],
            &snake()[..],
            "both `scale` and `bias` or neither, found one",
        ),
        (float, &["x", "scale", "bias"], &snake(), "an input `alpha`, found none"),
        (
            float,
            &["x", "scale", "wrong", "alpha"],
            &snake(),
            "`bias` of 5 values, one for each channel of `x`, found the shape [3]",
        ),
        (
            float,
            &["x", "scale", "bias", "alpha"],
            &[("activation", Text("none"))],
            "the activation `snake` only",
        ),
        (float, &["x"], &[("activation", Text("gelu"))], "`leaky_relu` or `snake`, found `gelu`"),
        (float, &["x"], &[], "`leaky_relu` or `snake`, found none of type string"),
        (float, &["flat"], &[("activation", Text("none"))], "`x` of 3 dimensions, found [5, 2003]"),
        (
            q_linear,
            &["x_levels", "wrong", "z", "t", "y"],
            &[("activation", Text("none"))],
            "`x_scale` of 5 values, one for each channel of `x` or one for all, found the shape [3]",
        ),
        (stft, &["flat", "scale"], &[], "an attribute `frame_step` of 1 or more, found none of type int"),
        (stft, &["flat", "scale"], &[("frame_step", Integer(0))], "`frame_step` of 1 or more, found 0"),
        (stft, &["x", "scale"], &step, "`window` of [F], found [1, 5, 2003] and [5]"),
        (stft, &["flat", "alpha"], &step, "`window` of [F], found [5, 2003] and [1, 5, 1]"),
        (
            stft,
            &["flat", "long"],
            &step,
            "as long as `window` at least, and that not empty, found 2003 and 2004",
        ),
    ] {
        let long = vec![1.0; TIME + 1];
        let graph = start().floats("wrong", &[3], &[1.0; 3]).floats("long", &[long.len() as u64], &long);
        let graph = graph.node("Squeeze", &["x"], "flat", &[]);
        let graph = graph.node(operator, inputs, "result", attributes);
        let graph = match operator {
            _ if operator == q_linear => {
                graph.node("Cast", &["result"], "out", &[("to", Integer(1))]).output("out")
            }
            _ => graph.output("result"),
        };
        let message = message(&graph);
        assert!(message.contains(&format!("`{operator}` of node `result`")), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    let graph = start().floats("short", &[1, 5, 1], &[0.0; 5]);
    let graph =
        graph.node("ai.kokoro:DequantizeAdd", &["x_levels", "s", "z", "", "short"], "out", &[]).output("out");
    let message = message(&graph);
    assert!(message.contains("of the shape of `x`, [1, 5, 2003], found [1, 5, 1]"), "{message}");
}

#[test]
fn ends_that_do_not_fit_are_refused_with_what_was_found() {
    let (times, positions) = (("x_ends_times", Float(2.0)), ("x_ends_positions", Integer(30)));
    let (y_times, width) = (("y_ends_times", Float(2.0)), ("y_ends_width", Integer(30)));
    let wrong_times = |of| ("x_ends_times", Float(of));
    let of_times = "an attribute `x_ends_times` above 0 and finite, found";
    let shape = "`x_ends` of [2, 5, 30 to 2003], found";
    // The shape of the ends of `x`, the attributes, and whether the ends of `y` are asked for.
    for (dims, attributes, of_y, expected) in [
        (
            Some(&[2, 5, 40][..]),
            &[positions][..],
            false,
            "an attribute `x_ends_times` of type float, found none".to_owned(),
        ),
        (
            Some(&[2, 5, 40]),
            &[times],
            false,
            "an attribute `x_ends_positions` of type int, found none".to_owned(),
        ),
        (Some(&[2, 5, 40]), &[wrong_times(0.0), positions], false, format!("{of_times} 0")),
        (Some(&[2, 5, 40]), &[wrong_times(-2.5), positions], false, format!("{of_times} -2.5")),
        (Some(&[2, 5, 40]), &[wrong_times(f32::INFINITY), positions], false, format!("{of_times} inf")),
        (Some(&[2, 5, 40]), &[wrong_times(f32::NAN), positions], false, format!("{of_times} NaN")),
        (
            Some(&[2, 5, 40]),
            &[times, ("x_ends_positions", Integer(0))],
            false,
            "an attribute `x_ends_positions` of 1 or more, found 0".to_owned(),
        ),
        (Some(&[1, 5, 40]), &[times, positions], false, format!("{shape} [1, 5, 40]")),
        (Some(&[2, 4, 40]), &[times, positions], false, format!("{shape} [2, 4, 40]")),
        (Some(&[2, 5, 29]), &[times, positions], false, format!("{shape} [2, 5, 29]")),
        (Some(&[2, 5, 2004]), &[times, positions], false, format!("{shape} [2, 5, 2004]")),
        (Some(&[2, 200]), &[times, positions], false, format!("{shape} [2, 200]")),
        (None, &[width], true, "an attribute `y_ends_times` of type float, found none".to_owned()),
        (None, &[y_times], true, "an attribute `y_ends_width` of type int, found none".to_owned()),
        (
            None,
            &[y_times, ("y_ends_width", Integer(-1))],
            true,
            "an attribute `y_ends_width` of 1 or more, found -1".to_owned(),
        ),
    ] {
        let operators: &[(&str, &[&str])] = if of_y {
            &[
                ("AdaINActivationQuantize", &["x", "t", "y"]),
                ("QLinearAdaINActivation", &["x_levels", "s", "z", "t", "y"]),
            ]
        } else {
            &[
                ("DequantizeAdaINActivation", &["x_levels", "s", "z", "", "", "", "ends"]),
                ("QLinearAdaINActivation", &["x_levels", "s", "z", "t", "y", "", "", "", "ends"]),
                ("DequantizeAdd", &["x_levels", "s", "z", "ends", "x"]),
            ]
        };
        for (operator, inputs) in operators {
            let count = dims.unwrap_or(&[]).iter().product::<u64>();
            let graph = start().levels("ends", dims.unwrap_or(&[0]), &vec![0; count as usize]);
            let outputs = if of_y { &["result", "result.ends"][..] } else { &["result"] };
            let attributes = [attributes, &[("activation", Text("none"))]].concat();
            let graph = graph.node_of(&format!("ai.kokoro:{operator}"), inputs, outputs, &attributes);
            let read = |graph: Graph, (index, output): (usize, &&str)| {
                let name = format!("out{index}");
                graph.node("Cast", &[output], &name, &[("to", Integer(1))]).output(&name)
            };
            let message = message(&outputs.iter().enumerate().fold(graph, read));
            assert!(message.contains(&format!("`ai.kokoro:{operator}` of node `result`")), "{message}");
            assert!(message.contains(&expected), "{message}");
        }
    }
}

#[test]
fn attributes_of_ends_that_are_not_there_are_no_error() {
    let some = [("activation", Text("none")), ("x_ends_times", Float(2.0)), ("y_ends_width", Integer(3))];
    let both = [&some[..], &[("y_ends_times", Float(2.0))]].concat();
    let inputs = ["x_levels", "s", "z", "t", "y"];
    let graph = start()
        .node("ai.kokoro:QLinearAdaINActivation", &inputs, "some", &some)
        .node_of("ai.kokoro:QLinearAdaINActivation", &inputs, &["both", ""], &both)
        .node("ai.kokoro:DequantizeAdd", &["x_levels", "s", "z", "", "x"], "sum", &some[1..])
        .node("Cast", &["some"], "a", &[("to", Integer(1))])
        .node("Cast", &["both"], "b", &[("to", Integer(1))]);
    let graph = ["a", "b", "sum"].into_iter().fold(graph, Graph::output);
    let outputs = run(&graph, &SynthesizerOptions::default());
    assert_eq!(outputs["a"], outputs["b"]);
}

#[test]
fn a_model_with_operators_of_a_later_version_names_this_crate() {
    let runtime = common::runtime();
    let expected = ErrorKind::OperatorsMissing { model: "later".into(), version: env!("CARGO_PKG_VERSION") };
    let unheard = start().node("ai.kokoro:Unheard", &["x"], "out", &[]).output("out").model(1);
    let error =
        probe::Graph::from_bytes(&runtime, "later", &unheard, &SynthesizerOptions::default()).unwrap_err();
    assert_eq!(error.kind(), &expected);
    assert!(error.source().unwrap().to_string().contains("ai.kokoro:Unheard"), "the runtime says which");
    // What the metadata of an artifact says, is refused before the runtime sees the model.
    let model = fused(start(), "none", false).model(2);
    for (version, is_known) in [(1, true), (2, false)] {
        let options = SynthesizerOptions::for_artifact(&metadata(version));
        let loaded = probe::Graph::from_bytes(&runtime, "later", &model, &options);
        assert_eq!(loaded.err().map(|error| error.kind().clone()), (!is_known).then(|| expected.clone()));
    }
}

/// The metadata of an artifact that needs `version` of the domain.
fn metadata(version: i64) -> Metadata {
    let digest = "0".repeat(64);
    let metadata = serde_json::json!({
        "name": "later.onnx", "scheme": "fused-int8", "sha256": digest, "bytes": 1,
        "base": { "name": "base", "sha256": digest, "bytes": 1, "kind": "local" },
        "recipe_sha256": digest, "plan_sha256": null, "tool_version": "0", "onnx_ir": 9,
        "onnx_opset": [{ "domain": "", "version": 20 }, { "domain": "ai.kokoro", "version": version }],
        "inputs": [], "outputs": [], "vocabulary_size": 178, "sample_rate": 24_000, "precisions": [],
        "session_options": [], "licence": "MIT", "attribution": "", "prepared": null,
    });
    serde_json::from_value(metadata).unwrap()
}

#[test]
fn instructions_that_this_processor_lacks_are_refused() {
    let runtime = common::runtime();
    for set in InstructionSet::ALL.into_iter().filter(|set| !set.is_available()) {
        let options = SynthesizerOptions::default().instruction_set(set);
        let error = probe::Graph::from_bytes(&runtime, "operators", &start().model(1), &options).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("no kernels `{set}` for this processor, expected `portable`")),
            "{message}"
        );
    }
}

/// A process of its own, in which the test `name` finds `CHILD` set; a process loads one runtime.
fn child(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .env("KOKORO_ONNXRUNTIME", common::library());
    command
}

/// The variable that says that this process is one of [`child`].
const CHILD: &str = "KOKORO_TEST_CHILD";

#[test]
fn the_first_sessions_of_a_process_may_be_made_all_at_once() {
    const SESSIONS: usize = 16;
    if std::env::var_os(CHILD).is_some() {
        let runtime = Runtime::load().unwrap();
        let model = fused_with_ends(start(), "snake", true).model(1);
        let barrier = Barrier::new(SESSIONS);
        let options = SynthesizerOptions::default().threads(1);
        std::thread::scope(|scope| {
            for _ in 0..SESSIONS {
                scope.spawn(|| {
                    barrier.wait();
                    probe::Graph::from_bytes(&runtime, "one of many", &model, &options).unwrap();
                });
            }
        });
        println!("all were made");
        return;
    }
    // Threads that do not meet prove nothing, so there is more than one try.
    for attempt in 0..8 {
        let output = child("the_first_sessions_of_a_process_may_be_made_all_at_once").output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success() && said[0].contains("all were made"), "{attempt}: {said:?}");
    }
}

#[test]
fn the_environment_names_the_kernels() {
    if std::env::var_os(CHILD).is_some() {
        match Runtime::load() {
            Ok(runtime) => println!("{runtime:?}"),
            Err(error) => println!("{error}"),
        }
        return;
    }
    let best = InstructionSet::ALL.into_iter().rfind(|set| set.is_available()).unwrap();
    for (name, expected) in [
        ("portable", "Kernels(Portable)".to_owned()),
        ("", format!("Kernels({best:?})")),
        ("sse", "no kernels `sse` for this processor, expected `portable`".to_owned()),
    ] {
        let output =
            child("the_environment_names_the_kernels").env("KOKORO_MODEL_KERNELS", name).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(&expected), "`{name}`: {said}");
    }
}
