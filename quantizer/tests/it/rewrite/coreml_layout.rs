//! The passes for `CoreML` that move, repeat or declare and compute nothing.

use quantizer::coreml;
use quantizer::graph::{integer_attribute, node, string_attribute};
use quantizer::proto::{GraphProto, NodeProto, ValueInfoProto, type_proto};
use quantizer::rewrite::redundant;
use quantizer::tensor::{from_f32, from_i64};

use super::coreml::{graph, rewritten, same};
use super::evaluate::{Value, evaluate};
use super::support::{float, shown, value, with_ints};

fn along(mut node: NodeProto, axis: i64) -> NodeProto {
    node.attribute.push(integer_attribute("axis", axis));
    node
}

#[test]
fn repeated_frames_are_a_transposed_convolution() {
    let resize = |mode: &str| {
        let mut resize = node("Resize", "", &["x", "", "scales"], &["y"]);
        resize.attribute.push(string_attribute("coordinate_transformation_mode", mode));
        resize.attribute.push(string_attribute("nearest_mode", "floor"));
        resize
    };
    for (channels, frames, times) in [(1, 5, 300.0), (3, 1, 2.0), (2, 7, 3.0)] {
        let scales = from_f32("scales", &[3], &[1.0, 1.0, times]);
        let plain = graph(&[resize("asymmetric")], &[("x", &[0, channels, 0])], &[scales]);
        let x = Value::some(&[1, channels as usize, frames]);
        same(coreml::upsample, plain, &[("x", x)], 1, 0.0);
    }
    let stays: [(NodeProto, &[i64], [f32; 3]); 4] = [
        (resize("half_pixel"), &[1, 2, 0], [1.0, 1.0, 2.0]),
        (resize("asymmetric"), &[1, 0, 0], [1.0, 1.0, 2.0]),
        (resize("asymmetric"), &[1, 2, 0], [1.0, 2.0, 2.0]),
        (resize("asymmetric"), &[1, 2, 0], [1.0, 1.0, 1.5]),
    ];
    for (resize, dims, scales) in stays {
        let plain = graph(&[resize], &[("x", dims)], &[from_f32("scales", &[3], &scales)]);
        rewritten(coreml::upsample, plain, 0);
    }
}

#[test]
fn output_padding_is_a_tap_of_zero() {
    for (frames, added) in [(1, 1), (4, 1), (5, 2)] {
        let up = with_ints(node("ConvTranspose", "", &["x", "w", "b"], &["y"]), "strides", &[3]);
        let up = with_ints(with_ints(up, "pads", &[1, 1]), "output_padding", &[added]);
        let mut up = with_ints(up, "kernel_shape", &[3]);
        up.attribute.push(integer_attribute("group", 2));
        let stored = [
            from_f32("w", &[2, 1, 3], &[1.0, -2.0, 3.0, 0.5, 4.0, -1.0]),
            from_f32("b", &[2], &[0.25, -8.0]),
        ];
        let plain = graph(&[up], &[("x", &[1, 2, 0])], &stored);
        let made = same(coreml::output_padding, plain, &[("x", Value::some(&[1, 2, frames]))], 1, 0.0);
        let weight = made.initializer.iter().find(|stored| stored.name() == "w/padded").unwrap();
        assert_eq!(weight.dims, [2, 1, 3 + added]);
    }
}

#[test]
fn reflections_are_gathered() {
    let pad = |pads: &[i64]| {
        let mut pad = node("Pad", "", &["x", "pads"], &["y"]);
        pad.attribute.push(string_attribute("mode", "reflect"));
        graph(&[pad], &[("x", &[1, 2, 0])], &[from_i64("pads", &[6], pads)])
    };
    for pads in [[0, 0, 1, 0, 0, 0], [0, 0, 2, 0, 0, 3], [0, 0, 0, 0, 0, 2], [0, 1, 0, 0, 1, 0]] {
        let x = Value::some(&[1, 2, 5]);
        same(coreml::reflections, pad(&pads), &[("x", x)], 1, 0.0);
    }
    rewritten(coreml::reflections, pad(&[0, 1, 1, 0, 0, 0]), 0);
    rewritten(coreml::reflections, pad(&[0, 0, -1, 0, 0, 0]), 0);
}

#[test]
fn slices_of_a_known_axis_are_parts() {
    let slice = |start: i64, end: i64, dims: &[i64]| {
        let stored =
            [("from", start), ("to", end), ("axis", 1)].map(|(name, at)| from_i64(name, &[1], &[at]));
        graph(&[node("Slice", "", &["x", "from", "to", "axis"], &["y"])], &[("x", dims)], &stored)
    };
    for (start, end) in [(0, 2), (2, i64::MAX), (1, 3), (-2, 5), (0, -1)] {
        same(coreml::parts, slice(start, end, &[1, 5, 0]), &[("x", Value::some(&[1, 5, 3]))], 1, 0.0);
    }
    // Nothing is cut off, nothing is left, all is known, and nothing is.
    rewritten(coreml::parts, slice(0, 5, &[1, 5, 0]), 0);
    rewritten(coreml::parts, slice(3, 3, &[1, 5, 0]), 0);
    rewritten(coreml::parts, slice(0, 2, &[1, 5, 4]), 0);
    rewritten(coreml::parts, slice(0, 2, &[1, 0, 0]), 0);
}

#[test]
fn sums_and_sines_are_transposed_behind() {
    let turned = with_ints(node("Transpose", "", &["x"], &["t"]), "perm", &[0, 2, 1]);
    let back = with_ints(node("Transpose", "", &["s"], &["y"]), "perm", &[0, 2, 1]);
    let input: (&str, &[i64]) = ("x", &[1, 3, 0]);
    let axis = [from_i64("axis", &[], &[1])];
    let x = || [("x", Value::some(&[1, 3, 4]))];
    for inner in [node("CumSum", "", &["t", "axis"], &["s"]), node("Sin", "", &["t"], &["s"])] {
        let op = inner.op_type().to_owned();
        let plain = graph(&[turned.clone(), inner, back.clone()], &[input], &axis);
        let mut made = same(coreml::transposes, plain, &x(), 1, 0.0);
        redundant(&mut made).unwrap();
        let ops: Vec<&str> = made.node.iter().map(NodeProto::op_type).collect();
        // The two that undo each other became one that changes nothing, which makes the output.
        assert_eq!(ops, [op.as_str(), "Transpose"]);
    }
    let mut heard = graph(&[turned, node("Sin", "", &["t"], &["s"]), back], &[input], &[]);
    heard.output.push(value("t"));
    rewritten(coreml::transposes, heard, 0);
}

#[test]
fn dimensions_of_one_are_squeezed() {
    let reshape = |dims: &[i64], shape: &[i64]| {
        let stored = [from_i64("shape", &[shape.len()], shape)];
        graph(&[node("Reshape", "", &["x", "shape"], &["y"])], &[("x", dims)], &stored)
    };
    let cases: [(&[i64], &[i64], &str); 5] = [
        (&[1, 0], &[1, 1, -1], "Unsqueeze"),
        (&[1, 1, 0], &[1, -1], "Squeeze"),
        (&[1, 0, 3], &[-1, 3], "Squeeze"),
        (&[0, 1, 3], &[0, 3, 1], "Unsqueeze"),
        (&[1, 0], &[1, -1], "Identity"),
    ];
    for (declared, shape, last) in cases {
        // An open dimension is 5 long.
        let dims: Vec<usize> =
            declared.iter().map(|&size| if size == 0 { 5 } else { size as usize }).collect();
        let made = same(coreml::units, reshape(declared, shape), &[("x", Value::some(&dims))], 1, 0.0);
        assert_eq!(made.node.last().unwrap().op_type(), last, "{:?}", shown(&made));
    }
    // The first is no 1 as far as is known, the others change places or lengths.
    for (declared, shape) in [(&[0, 0], &[1, -1]), (&[2, 0], &[-1, 2]), (&[4, 3], &[3, 4])] {
        rewritten(coreml::units, reshape(declared, shape), 0);
    }
}

#[test]
fn a_shape_that_is_put_together_is_read() {
    let nodes = [
        node("Shape", "", &["x"], &["s"]),
        along(node("Gather", "", &["s", "second"], &["b"]), 0),
        along(node("Gather", "", &["s", "third"], &["c"]), 0),
        node("Unsqueeze", "", &["b", "front"], &["bb"]),
        node("Unsqueeze", "", &["c", "front"], &["cc"]),
        along(node("Concat", "", &["bb", "cc"], &["shape"]), 0),
        node("Reshape", "", &["x", "shape"], &["y"]),
    ];
    let stored = [from_i64("second", &[], &[1]), from_i64("third", &[], &[2]), from_i64("front", &[1], &[0])];
    let plain = |dims: &[i64]| graph(&nodes, &[("x", dims)], &stored);
    let made = same(coreml::units, plain(&[1, 1, 0]), &[("x", Value::some(&[1, 1, 5]))], 1, 0.0);
    assert_eq!(shown(&made), ["y = Squeeze(x, coreml/integers/1)"]);
    rewritten(coreml::units, plain(&[0, 1, 0]), 0);
}

#[test]
fn a_gather_of_one_is_squeezed() {
    for (dims, axis, index, first) in [([1, 1, 4], 1, 0, "Squeeze"), ([1, 3, 4], -2, 2, "Gather")] {
        let gather = along(node("Gather", "", &["x", "index"], &["y"]), axis);
        let declared = dims.map(|size| size as i64);
        let plain = graph(&[gather], &[("x", &declared)], &[from_i64("index", &[], &[index])]);
        let made = same(coreml::units, plain, &[("x", Value::some(&dims))], 1, 0.0);
        assert_eq!(made.node[0].op_type(), first);
    }
}

#[test]
fn shapes_of_transforms_and_recurrences_are_declared() {
    let mut lstm = node("LSTM", "", &["x", "w", "r"], &["", "h"]);
    lstm.output[0] = "all".into();
    let nodes = [
        node("STFT", "", &["wave", "step", "window", "long"], &["bins"]),
        lstm,
        node("Relu", "", &["bins"], &["y"]),
    ];
    let stored = [
        from_i64("step", &[], &[5]),
        from_f32("window", &[20], &[1.0; 20]),
        from_i64("long", &[], &[20]),
        from_f32("w", &[2, 12, 4], &[0.0; 96]),
        from_f32("r", &[2, 12, 3], &[0.0; 72]),
    ];
    let mut graph = graph(&nodes, &[("wave", &[1, 0]), ("x", &[0, 1, 4])], &stored);
    graph.output.extend([value("all"), value("h")]);
    graph.value_info = vec![float("bins", &[0, 0, 11, 2])];
    let made = rewritten(coreml::declare, graph, 3);
    let shape = |name: &str| {
        let info = made.value_info.iter().find(|info| info.name() == name).unwrap();
        let Some(type_proto::Value::TensorType(tensor)) = &info.r#type.as_ref().unwrap().value else {
            panic!()
        };
        assert_eq!(tensor.elem_type(), 1);
        tensor.shape.clone().unwrap()
    };
    let expected = |dims: &[i64]| {
        let info = float("", dims);
        let Some(type_proto::Value::TensorType(tensor)) = info.r#type.unwrap().value else { panic!() };
        tensor.shape.unwrap()
    };
    assert_eq!(shape("bins"), expected(&[1, 0, 11, 2]));
    assert_eq!(shape("all"), expected(&[0, 2, 1, 3]));
    assert_eq!(shape("h"), expected(&[2, 1, 3]));
}

/// However little is known of the signal.
#[test]
fn transforms_are_declared_and_nothing_else() {
    let nodes =
        |transform| [node("Relu", "", &["x"], &["wave"]), transform, node("Relu", "", &["bins"], &["y"])];
    let stored = [from_i64("step", &[], &[5]), from_f32("window", &[20], &[1.0; 20])];
    let transform = || node("STFT", "", &["wave", "step", "window"], &["bins"]);
    let mut twosided = transform();
    twosided.attribute.push(integer_attribute("onesided", 0));
    let windowless = node("STFT", "", &["wave", "step", "", "long"], &["bins"]);
    let cases: [(NodeProto, &[i64], &[ValueInfoProto]); 4] = [
        (transform(), &[3, 0], &[float("bins", &[3, 0, 11, 2])]),
        (transform(), &[0, 0], &[float("bins", &[0, 0, 11, 2])]),
        (twosided, &[1, 0], &[float("bins", &[1, 0, 20, 2])]),
        (windowless, &[1, 0], &[]),
    ];
    for (transform, signal, expected) in cases {
        let mut plain = graph(&nodes(transform), &[("x", signal)], &stored);
        plain.value_info = vec![float("wave", signal)];
        let mut made = plain.clone();
        assert_eq!(coreml::transforms(&mut made), expected.len());
        assert_eq!(made.value_info[0], plain.value_info[0]);
        assert_eq!(&made.value_info[1..], expected);
        let mut again = made.clone();
        coreml::transforms(&mut again);
        assert_eq!(again, made);
        made.value_info = plain.value_info.clone();
        assert_eq!(made, plain);
        // One that the graph gives away has its declaration there.
        plain.output = vec![value("bins")];
        assert_eq!(coreml::transforms(&mut plain), 0);
    }
}

/// A signal of two harmonics with its transform, as a vocoder makes it from the pitch `x`; `rest` is heard elsewhere.
fn harmonics(declared: &[i64]) -> GraphProto {
    let mut voiced = node("Cast", "", &["above"], &["voiced"]);
    voiced.attribute.push(integer_attribute("to", 1));
    let mut pad = node("Pad", "", &["row", "pads"], &["padded"]);
    pad.attribute.push(string_attribute("mode", "reflect"));
    let nodes = [
        node("Mul", "", &["x", "factors"], &["turns"]),
        node("Greater", "", &["x", "zero"], &["above"]),
        voiced,
        node("Floor", "", &["turns"], &["whole"]),
        node("Sub", "", &["turns", "whole"], &["rest"]),
        node("CumSum", "", &["rest", "second"], &["phase"]),
        node("Sin", "", &["phase"], &["sines"]),
        node("Mul", "", &["voiced", "sines"], &["heard"]),
        node("MatMul", "", &["heard", "weights"], &["mixed"]),
        node("Add", "", &["bias", "mixed"], &["sum"]),
        node("Tanh", "", &["sum"], &["column"]),
        with_ints(node("Transpose", "", &["column"], &["row"]), "perm", &[0, 2, 1]),
        pad,
        node("Squeeze", "", &["padded", "first"], &["wave"]),
        node("STFT", "", &["wave", "step", "window"], &["y"]),
    ];
    let stored = [
        from_f32("factors", &[1, 1, 2], &[0.375, 1.125]),
        from_f32("zero", &[], &[0.0]),
        from_i64("second", &[], &[1]),
        from_f32("weights", &[2, 1], &[0.5, -0.25]),
        from_f32("bias", &[1], &[0.0625]),
        from_i64("pads", &[6], &[0, 0, 2, 0, 0, 2]),
        from_i64("first", &[1], &[-2]),
        from_i64("step", &[], &[2]),
        from_f32("window", &[4], &[1.0; 4]),
    ];
    let mut graph = graph(&nodes, &[("x", declared)], &stored);
    graph.output.push(value("rest"));
    graph
}

#[test]
fn what_makes_the_signal_of_a_transform_is_raised_above_what_the_provider_takes() {
    let plain = harmonics(&[1, 0, 1]);
    let made = rewritten(coreml::source, plain.clone(), 13);
    // The transform is no operator of these tests, so what it is of is compared.
    let heard = |graph: &GraphProto| {
        let mut graph = graph.clone();
        graph.node.retain(|node| node.op_type() != "STFT");
        graph.output = vec![value("wave"), value("rest")];
        evaluate(&graph, &[("x", Value::some(&[1, 7, 1]))])
    };
    assert_eq!(heard(&made), heard(&plain));
    for node in made.node.iter().filter(|node| !["CumSum", "STFT", "Unsqueeze"].contains(&node.op_type())) {
        let is_raised = |name: &String| name.ends_with("/raised") || name.ends_with("/Unsqueeze.0");
        assert!(node.input.iter().any(is_raised), "{:?}", shown(&made));
    }
    // What is left to the CPU anyway is not replaced.
    for pass in [coreml::floor, coreml::comparisons, coreml::reflections] {
        rewritten(pass, made.clone(), 0);
    }

    // Where it is not known how many dimensions there are, where nothing is transformed, and where something else made it.
    let mut unknown = plain.clone();
    unknown.input = vec![value("x")];
    rewritten(coreml::source, unknown, 0);
    let mut silent = plain.clone();
    silent.node.last_mut().unwrap().op_type = Some("Relu".into());
    rewritten(coreml::source, silent, 0);
    let mut made_elsewhere = plain;
    made_elsewhere.node[11] = node("Relu", "", &["column"], &["row"]);
    rewritten(coreml::source, made_elsewhere, 2);
}

#[test]
fn all_passes_together_keep_what_a_graph_says() {
    let nodes = [
        node("Floor", "", &["x"], &["f"]),
        with_ints(node("Transpose", "", &["f"], &["t"]), "perm", &[0, 2, 1]),
        node("Sin", "", &["t"], &["s"]),
        node("Pow", "", &["s", "two"], &["q"]),
        node("Reshape", "", &["q", "shape"], &["y"]),
    ];
    let stored = [from_f32("two", &[], &[2.0]), from_i64("shape", &[2], &[-1, 3])];
    let mut plain = graph(&nodes, &[("x", &[1, 3, 0])], &stored);
    let inputs = [("x", Value::some(&[1, 3, 5]))];
    let before = evaluate(&plain, &inputs);
    quantizer::rewrite::apply(&mut plain, &coreml::PASSES).unwrap();
    quantizer::check::validate(&plain).unwrap();
    assert!(super::evaluate::distance(&before, &evaluate(&plain, &inputs)) < 1e-6);
    let left = ["Floor", "Sin", "Pow", "Reshape"];
    assert!(!plain.node.iter().any(|node| left.contains(&node.op_type())), "{:?}", shown(&plain));
}
