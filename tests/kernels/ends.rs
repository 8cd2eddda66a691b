//! Ends of time in levels of their own.

use super::*;

/// The operators that know of ends, with those of `x` from the input `ends`: `uf`, `sum`, and `fu` and `uu` with the ends of `y` as
/// `fu.ends` and `uu.ends`.
pub fn fused_with_ends(graph: Graph, activation: &str, norm: bool) -> Graph {
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
pub fn with_ends(batch: usize, time: usize) -> [(&'static str, Tensor); 3] {
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

pub fn run_on(session: &mut probe::Graph, inputs: &[(&'static str, Tensor)]) -> BTreeMap<String, Tensor> {
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
