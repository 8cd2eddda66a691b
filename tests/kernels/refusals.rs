//! What does not fit is refused, with what was found.

use super::*;

/// The error of a run, with its sources.
fn message(graph: &Graph) -> String {
    let runtime = common::runtime();
    let options = SynthesizerOptions::default();
    let session = probe::Graph::from_bytes(&runtime, "operators", &graph.model(2), &options);
    let error = match session {
        Ok(mut session) => session.run(&[("x", &x())]).unwrap_err(),
        Err(error) => error,
    };
    format!("{error}: {}", error.source().unwrap())
}

/// What does not fit, beside what does.
fn operands() -> Graph {
    let long = vec![1.0; TIME + 1];
    let graph = start().floats("taps", &[3, 4, 2], &[1.0; 24]).floats("wrong", &[3], &[1.0; 3]).floats(
        "long",
        &[long.len() as u64],
        &long,
    );
    let graph = graph.levels("w", &[1, 2, 2, 4, 4], &[1; 64]).levels("flat_w", &[64], &[1; 64]);
    graph.floats("ws", &[4], &[1.0; 4]).node("Squeeze", &["x"], "flat", &[])
}

#[test]
fn what_does_not_fit_is_refused_with_what_was_found() {
    let snake = || [("activation", Text("snake"))];
    let none = || [("activation", Text("none"))];
    let float = "ai.kokoro:AdaINActivation";
    let quantized = "ai.kokoro:DynamicQuantizeConv";
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
            quantized,
            &["x", "w", "ws", "", "", "", ""],
            &[],
            "`leaky_relu` or `snake`, found none of type string",
        ),
        (
            quantized,
            &["x", "w", "ws", "", "scale", "", ""],
            &none(),
            "both `scale` and `bias` or neither, found one",
        ),
        (
            quantized,
            &["x", "w", "scale", "", "", "", ""],
            &none(),
            "`w` of [2, taps, 2, 4, 4] for 5 rows and 5 channels of `x`, found [1, 2, 2, 4, 4]",
        ),
        (quantized, &["x", "flat_w", "ws", "", "", "", ""], &none(), "[1, taps, 2, 4, 4] for 4 rows"),
        (quantized, &["x", "w", "ws", "scale", "", "", ""], &none(), "`b` of 4 values, found 5"),
        (
            quantized,
            &["x", "w", "ws", "", "", "", "", "x"],
            &none(),
            "`addends` of the shape of `y`, [1, 4, 2002], found [1, 5, 2003]",
        ),
        (
            quantized,
            &["x", "w", "ws", "", "", "", ""],
            &[("activation", Text("none")), ("phases", Integer(3))],
            "`w_scale` of a multiple of 3 values, found 4",
        ),
        (quantized, &["flat", "w", "ws", "", "", "", ""], &none(), "`x` of 3 dimensions, found [5, 2003]"),
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
        let graph = operands().node(operator, inputs, "result", attributes);
        let graph = graph.output("result");
        let message = message(&graph);
        assert!(message.contains(&format!("`{operator}` of node `result`")), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}
