//! What does not fit is refused, with what was found.

use super::*;

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
    let convolution = "ai.kokoro:WinogradConv";
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
        (convolution, &["x", "scale"], &[], "`w` of [M, C, K], not empty, found [5]"),
        (
            convolution,
            &["x", "alpha"],
            &[],
            "`w` of 2 taps or more, and of rows that are a multiple of 1, found [1, 5, 1]",
        ),
        (
            convolution,
            &["x", "taps"],
            &[("phases", Integer(2))],
            "rows that are a multiple of 2, found [3, 4, 2]",
        ),
        (convolution, &["x", "taps"], &[], "`x` of 4 channels, as `w` has, found 5"),
        (convolution, &["flat", "taps"], &[], "`x` of 3 dimensions, found [5, 2003]"),
        (convolution, &["x", "taps", "scale"], &[], "`b` of 3 values, found 5"),
        (convolution, &["x", "taps"], &[("dilation", Integer(0))], "`dilation` of 1 or more, found 0"),
        (convolution, &["x", "taps"], &[("pads_end", Integer(-1))], "`pads_end` of 0 or more, found -1"),
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
        let graph = start().floats("taps", &[3, 4, 2], &[1.0; 24]).floats("wrong", &[3], &[1.0; 3]).floats(
            "long",
            &[long.len() as u64],
            &long,
        );
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
