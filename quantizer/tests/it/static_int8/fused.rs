//! Which chains and convolutions become operators of `kokoro-model`, and how these are called.

use quantizer::calibration::Selection;
use quantizer::fuse::{DOMAIN, VERSION, fuse};
use quantizer::graph::{attribute, node};
use quantizer::proto::attribute_proto::AttributeType;
use quantizer::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};
use quantizer::rewrite::PASSES;
use quantizer::schemes::{self, FusedFloat, FusedInt8, Scheme, WeightsInt8};
use quantizer::tensor;

use super::lookup::{CHANNELS, norm, snake, two_chains};
use super::support::{Layout, float, model, value};

fn fused(graph: GraphProto, scheme: &dyn Scheme) -> ModelProto {
    let mut model = model(graph);
    schemes::quantize(&mut model, scheme).unwrap();
    model
}

const FLOAT: FusedFloat = FusedFloat { rewrites: vec![] };

/// All convolutions in INT8, except those of a name.
fn int8(exclude: &str) -> FusedInt8 {
    FusedInt8 {
        rewrites: PASSES.iter().collect(),
        convolutions: Selection { include: None, exclude: Some(regex::Regex::new(exclude).unwrap()) },
        finer_activations: None,
        weights: WeightsInt8 { min_elements: 1024, exclude: None, finer: vec![] },
    }
}

/// Those of the domain, as `operator(inputs) -> output`.
fn operators(graph: &GraphProto) -> Vec<String> {
    let ours = graph.node.iter().filter(|node| node.domain() == DOMAIN);
    ours.map(|node| format!("{}({}) -> {}", node.op_type(), node.input.join(", "), node.output[0])).collect()
}

fn count(graph: &GraphProto, op: &str) -> usize {
    graph.node.iter().filter(|node| node.op_type() == op).count()
}

/// What is left of the two chains with a change to their graph.
fn changed(change: impl Fn(&mut GraphProto)) -> GraphProto {
    let mut graph = two_chains();
    change(&mut graph);
    fused(graph, &FLOAT).graph.unwrap()
}

#[test]
fn a_chain_and_its_convolution_are_one_operator() {
    let model = fused(two_chains(), &int8("none"));
    let graph = model.graph.as_ref().unwrap();
    // Both have the same weights, which are stored once.
    assert_eq!(
        operators(graph),
        [
            "DynamicQuantizeConv(x, w/int8, w/scale, , gamma, beta, alpha) -> b/in",
            "DynamicQuantizeConv(b/in, w/int8, w/scale, , gamma, beta, alpha) -> y",
        ]
    );
    assert_eq!(graph.node.len(), 2);
    let names: Vec<_> = graph.initializer.iter().map(TensorProto::name).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    for operator in &graph.node {
        assert_eq!(attribute(operator, "activation").unwrap().s(), b"snake");
        assert_eq!(attribute(operator, "epsilon").unwrap().f(), 1e-5);
    }
    let imports = model.opset_import.iter().filter(|set| set.domain() == DOMAIN);
    assert_eq!(imports.map(OperatorSetIdProto::version).collect::<Vec<_>>(), [VERSION]);
}

#[test]
fn activations_are_of_16_bits_where_that_is_asked_for() {
    let scheme = FusedInt8 { finer_activations: Some(regex::Regex::new("second").unwrap()), ..int8("none") };
    let graph = fused(two_chains(), &scheme).graph.unwrap();
    let bits = |node: &NodeProto| attribute(node, "bits").map(AttributeProto::i);
    assert_eq!(graph.node.iter().map(bits).collect::<Vec<_>>(), [None, Some(16)]);
}

#[test]
fn weights_lie_in_groups_of_four_rows_and_four_channels() {
    let (rows, channels, taps) = (6, 5, 3);
    let layout = Layout { dilation: 2, pads: [4, 0], ..Layout::plain(rows, channels, taps) };
    // Each is a level times the scale of its row, and the largest level is there.
    let level = |row: usize, channel: usize, tap: usize| {
        if (channel, tap) == (0, 0) { 127 } else { (row * 31 + channel * 7 + tap * 3) as i64 % 255 - 127 }
    };
    let mut weights = vec![0.0; rows * channels * taps];
    for (at, weight) in weights.iter_mut().enumerate() {
        let (row, channel, tap) = (at / (channels * taps), at / taps % channels, at % taps);
        *weight = level(row, channel, tap) as f32 * (row + 1) as f32 / 1024.0;
    }
    let graph = GraphProto {
        node: vec![layout.node("conv", &["x", "w", "b"], "y")],
        initializer: vec![
            tensor::from_f32("w", &layout.dims(), &weights),
            tensor::from_f32("b", &[rows], &[0.5; 6]),
        ],
        input: vec![float("x", &[1, 5, 0])],
        output: vec![value("y")],
        ..Default::default()
    };
    let graph = fused(graph, &int8("none")).graph.unwrap();
    assert_eq!(operators(&graph), ["DynamicQuantizeConv(x, w/int8, w/scale, b, , , ) -> y"]);
    let numbers = ["dilation", "pads_begin", "pads_end", "phases"];
    let numbers = numbers.map(|name| attribute(&graph.node[0], name).map(AttributeProto::i));
    assert_eq!(numbers, [Some(2), Some(4), None, None]);
    assert_eq!(attribute(&graph.node[0], "activation").unwrap().s(), b"none");
    let packed = graph.initializer.iter().find(|tensor| tensor.name() == "w/int8").unwrap();
    assert_eq!(packed.dims, [2, 3, 2, 4, 4]);
    let levels = tensor::to_i64(packed).unwrap();
    for (at, &found) in levels.iter().enumerate() {
        let row = at / (3 * 2 * 16) * 4 + at / 4 % 4;
        let (tap, channel) = (at / (2 * 16) % 3, at / 16 % 2 * 4 + at % 4);
        let is_there = row < rows && channel < channels;
        assert_eq!(found, if is_there { level(row, channel, tap) } else { 0 }, "{row}, {channel}, {tap}");
    }
}

#[test]
fn without_a_chain_no_domain_is_declared() {
    let layout = Layout::plain(CHANNELS, CHANNELS, 1);
    let mut graph = two_chains();
    graph.node = vec![layout.node("first", &["x", "w"], "y")];
    let model = fused(graph, &FLOAT);
    assert!(model.opset_import.iter().all(|set| set.domain() != DOMAIN));
}

#[test]
fn floats_stay_floats() {
    let chains =
        ["AdaINActivation(x, gamma, beta, alpha) -> a", "AdaINActivation(b/in, gamma, beta, alpha) -> b"];
    assert_eq!(operators(fused(two_chains(), &FLOAT).graph.as_ref().unwrap()), chains);
    let model = fused(two_chains(), &int8("second"));
    let expected = ["DynamicQuantizeConv(x, w/int8, w/scale, , gamma, beta, alpha) -> b/in", chains[1]];
    assert_eq!(operators(model.graph.as_ref().unwrap()), expected);
}

#[test]
fn a_convolution_that_the_operator_is_not_for_stays() {
    for layout in [
        Layout { stride: 2, ..Layout::plain(2, 2, 1) },
        Layout { groups: 2, per_group: 1, ..Layout::plain(2, 2, 1) },
    ] {
        let mut graph = two_chains();
        graph.node = vec![layout.node("first", &["x", "w"], "y")];
        graph.initializer =
            vec![tensor::from_f32("w", &layout.dims(), &vec![0.5; layout.dims().iter().product()])];
        let model = fused(graph, &int8("none"));
        assert_eq!(operators(model.graph.as_ref().unwrap()), [""; 0], "{layout:?}");
    }
}

#[test]
fn leaky_relu_and_nothing_are_activations() {
    let layout = Layout::plain(CHANNELS, CHANNELS, 1);
    let with = |nodes: Vec<NodeProto>, scheme: &dyn Scheme| {
        let mut graph = two_chains();
        graph.node = [nodes, vec![layout.node("first", &["a", "w"], "y")]].concat();
        fused(graph, scheme).graph.unwrap()
    };
    let relu = |input: &str| {
        let mut relu = node("LeakyRelu", "a", &[input], &["a"]);
        relu.attribute.push(quantizer::graph::float_attribute("alpha", 0.25));
        relu
    };
    // With a norm in front and without one.
    let both = [vec![norm("a", "x"), relu("a/norm")], vec![relu("x")]];
    for (nodes, norm) in both.into_iter().zip(["gamma, beta", ", "]) {
        let graph = with(nodes, &int8("none"));
        assert_eq!(operators(&graph), [format!("DynamicQuantizeConv(x, w/int8, w/scale, , {norm}, ) -> y")]);
        assert_eq!(attribute(&graph.node[0], "activation").unwrap().s(), b"leaky_relu");
        assert_eq!(attribute(&graph.node[0], "slope").unwrap().f(), 0.25);
    }
    let mut alone = norm("a", "x");
    alone.output = vec!["a".into()];
    let graph = with(vec![alone], &FLOAT);
    assert_eq!(attribute(&graph.node[0], "activation").unwrap().s(), b"none");
    assert_eq!(operators(&graph), ["AdaINActivation(x, gamma, beta) -> a"]);

    // Snake without a norm, whose places stay empty.
    let mut bare = snake("a");
    for node in &mut bare {
        for input in node.input.iter_mut().filter(|input| **input == "a/norm") {
            *input = "x".into();
        }
    }
    assert_eq!(operators(&with(bare, &FLOAT)), ["AdaINActivation(x, , , alpha) -> a"]);
}

#[test]
fn what_others_need_is_computed() {
    let left = |change: &dyn Fn(&mut GraphProto)| operators(&changed(change));
    let [a, b] = ["x", "b/in"].map(|x| format!("AdaINActivation({x}, gamma, beta, alpha)"));
    let (a, b) = (format!("{a} -> a"), format!("{b} -> b"));
    let output = |name: &'static str| move |graph: &mut GraphProto| graph.output.push(value(name));
    assert_eq!(left(&output("a")), [a.clone(), b.clone()]);
    let norm_alone = "AdaINActivation(x, gamma, beta) -> a/norm".to_owned();
    // In the middle of Snake: the norm alone.
    assert_eq!(left(&output("a/sine")), [norm_alone.clone(), b.clone()]);
    // The norm: Snake without it, and it.
    assert_eq!(
        left(&output("a/norm")),
        [norm_alone.clone(), "AdaINActivation(a/norm, , , alpha) -> a".to_owned(), b.clone()]
    );
    // Another function.
    let other = |graph: &mut GraphProto| graph.node[2].op_type = Some("Tan".into());
    assert_eq!(left(&other), [norm_alone, b.clone()]);
    // Of an input of unknown rank nothing is known.
    assert_eq!(left(&|graph| graph.input[0] = value("x")), [b]);

    // What stands in front of two convolutions is computed once, for both.
    let mut graph = two_chains();
    let layout = Layout::plain(CHANNELS, CHANNELS, 1);
    graph.node.truncate(6);
    graph.node.extend([layout.node("first", &["a", "w"], "y"), layout.node("second", &["a", "w"], "z")]);
    graph.output.push(value("z"));
    assert_eq!(
        operators(fused(graph, &int8("none")).graph.as_ref().unwrap()),
        [
            a,
            "DynamicQuantizeConv(a, w/int8, w/scale, , , , ) -> y".to_owned(),
            "DynamicQuantizeConv(a, w/int8, w/scale, , , , ) -> z".to_owned(),
        ]
    );
}

/// Two convolutions and sums.
fn sums(nodes: &[(&str, [&str; 2], &str)]) -> Vec<String> {
    let layout = Layout::plain(CHANNELS, CHANNELS, 1);
    let adds = nodes.iter().map(|(name, inputs, output)| node("Add", *name, inputs, &[*output]));
    let mut graph = two_chains();
    graph.node = [layout.node("first", &["x", "w"], "a"), layout.node("second", &["x", "w"], "b")]
        .into_iter()
        .chain(adds)
        .collect();
    let time = 7;
    graph.input = ["x", "z"].map(|name| float(name, &[1, CHANNELS as i64, time])).to_vec();
    graph.input.push(float("row", &[1, CHANNELS as i64, 1]));
    let scheme = FusedInt8 { rewrites: vec![], ..int8("none") };
    let model = fused(graph, &scheme);
    let shown = operators(model.graph.as_ref().unwrap());
    let shown =
        shown.iter().map(|shown| shown.replace("DynamicQuantizeConv(x, w/int8, w/scale, , , , ", "Conv("));
    shown.map(|shown| shown.replace("(, ", "(")).collect()
}

#[test]
fn residuals_become_addends() {
    assert_eq!(sums(&[("one", ["x", "a"], "s"), ("two", ["s", "z"], "y")]), ["Conv(x, z) -> y"]);
    // Two residual streams: the addition of both goes to one of them.
    assert_eq!(
        sums(&[("one", ["a", "x"], "s"), ("two", ["b", "z"], "t"), ("three", ["s", "t"], "y")]),
        ["Conv(z) -> t", "Conv(x, t) -> y"]
    );
}

#[test]
fn a_sum_of_other_shapes_is_computed() {
    for nodes in [
        // One number for all times.
        ("one", ["a", "row"], "y"),
        // A constant.
        ("one", ["a", "alpha"], "y"),
        // Twice itself.
        ("one", ["a", "a"], "y"),
    ] {
        assert_eq!(sums(&[nodes]), ["Conv() -> a"], "{nodes:?}");
    }
}

#[test]
fn phases_are_put_in_turn_by_the_operator() {
    let mut transposed = node("ConvTranspose", "up", &["x", "w"], &["y"]);
    let ints = |name: &str, value: i64| AttributeProto {
        name: Some(name.into()),
        ints: vec![value],
        r#type: Some(AttributeType::Ints.into()),
        ..Default::default()
    };
    transposed.attribute = vec![ints("strides", 3)];
    let graph = GraphProto {
        node: vec![transposed],
        initializer: vec![tensor::from_f32(
            "w",
            &[4, 5, 6],
            &(0..120).map(|it| it as f32).collect::<Vec<_>>(),
        )],
        input: vec![float("x", &[1, 4, 9])],
        output: vec![value("y")],
        ..Default::default()
    };
    let graph = fused(graph, &int8("none")).graph.unwrap();
    assert_eq!(count(&graph, "DynamicQuantizeConv"), 1);
    assert_eq!(count(&graph, "Transpose") + count(&graph, "Reshape"), 0);
    let operator = graph.node.iter().find(|node| node.domain() == DOMAIN).unwrap();
    assert_eq!(attribute(operator, "phases").unwrap().i(), 3);
    // 15 rows of two taps.
    let packed = graph.initializer.iter().find(|tensor| tensor.name() == operator.input[1]).unwrap();
    assert_eq!(packed.dims, [4, 2, 1, 4, 4]);
}

#[test]
fn weights_that_have_no_int8_are_refused_by_name() {
    let mut graph = two_chains();
    graph.initializer[0] = tensor::from_f32("w", &[2, 2, 1], &[0.5, f32::NAN, 0.125, 1.0]);
    let error = schemes::quantize(&mut model(graph), &int8("none")).unwrap_err().to_string();
    assert!(error.contains("`w`") && error.contains("element 1"), "{error}");
}

#[test]
fn a_fused_graph_has_nothing_left_to_fuse() {
    let mut graph = fused(two_chains(), &FLOAT).graph.unwrap();
    let before = graph.clone();
    assert!(fuse(&mut graph).unwrap().is_empty());
    assert_eq!(graph, before);
}

#[test]
fn a_transform_of_a_constant_window_is_one_operator() {
    let transformed = |length: usize, onesided: i64, change: &dyn Fn(&mut GraphProto)| {
        let mut transform = node("STFT", "stft", &["signal", "step", "window", "length"], &["y"]);
        transform.attribute.push(quantizer::graph::integer_attribute("onesided", onesided));
        let mut graph = GraphProto {
            name: Some("g".into()),
            node: vec![transform],
            initializer: vec![
                tensor::from_i64("step", &[], &[5]),
                tensor::from_i64("length", &[], &[length as i64]),
                tensor::from_f32("window", &[length], &vec![0.5; length]),
            ],
            input: vec![float("signal", &[1, 100])],
            output: vec![value("y")],
            ..Default::default()
        };
        change(&mut graph);
        fused(graph, &FusedFloat { rewrites: vec![] }).graph.unwrap()
    };
    let graph = transformed(20, 1, &|_| {});
    assert_eq!(operators(&graph), ["OnesidedSTFT(signal, window) -> y"]);
    assert_eq!(attribute(&graph.node[0], "frame_step").unwrap().i(), 5);
    // Of a power of two, of both sides, of complex numbers, with a window that is computed.
    let stays = |graph: GraphProto| assert_eq!(operators(&graph), [""; 0]);
    stays(transformed(16, 1, &|_| {}));
    stays(transformed(20, 0, &|_| {}));
    stays(transformed(20, 1, &|graph| graph.input[0] = float("signal", &[1, 100, 2])));
    stays(transformed(20, 1, &|graph| graph.input.push(float("window", &[20]))));
}

/// A convolution with these attributes.
fn convolution(taps: usize, attributes: &[(&str, &[i64])]) -> NodeProto {
    let mut convolution = node("Conv", "the/conv", &["x", "w", "b"], &["y"]);
    convolution.attribute = attributes.iter().map(|(name, values)| ints(name, values)).collect();
    convolution.attribute.push(ints("kernel_shape", &[taps as i64]));
    convolution
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Ints.into()),
        ints: values.to_vec(),
        ..Default::default()
    }
}

fn with_convolution(node: NodeProto, dims: [usize; 3]) -> GraphProto {
    let weights: Vec<f32> = (0..dims.iter().product()).map(|it| (it % 7) as f32 - 3.0).collect();
    GraphProto {
        node: vec![node],
        initializer: vec![
            tensor::from_f32("w", &dims, &weights),
            tensor::from_f32("b", &dims[..1], &vec![1.0; dims[0]]),
        ],
        input: vec![float("x", &[1, dims[1] as i64, 50])],
        output: vec![value("y")],
        ..Default::default()
    }
}

#[test]
fn convolutions_that_save_multiplications_are_an_operator() {
    let made = |node: NodeProto, dims| {
        let graph = fused(with_convolution(node, dims), &FusedFloat { rewrites: vec![] }).graph.unwrap();
        graph.node.into_iter().find(|node| node.op_type() == "WinogradConv")
    };
    let node = made(convolution(3, &[("dilations", &[5]), ("pads", &[5, 4])]), [16, 20, 3]).unwrap();
    assert_eq!(
        (node.name(), &node.input, &node.output),
        ("the/conv", &["x", "w", "b"].map(String::from).to_vec(), &vec!["y".to_owned()])
    );
    let attributes: Vec<_> = node.attribute.iter().map(|it| (it.name(), it.i())).collect();
    assert_eq!(attributes, [("dilation", 5), ("pads_begin", 5), ("pads_end", 4)]);
    assert!(made(convolution(7, &[("strides", &[1])]), [16, 16, 7]).is_some());
    // One tap and five save too little.
    for (taps, is_ours) in [(1, false), (2, true), (4, true), (5, false), (6, true), (11, true)] {
        assert_eq!(made(convolution(taps, &[]), [16, 16, taps]).is_some(), is_ours, "{taps} taps");
    }
    assert!(made(convolution(3, &[("strides", &[2])]), [16, 16, 3]).is_none());
    assert!(made(convolution(3, &[]), [16, 15, 3]).is_none(), "too few channels");
    assert!(made(convolution(3, &[]), [15, 16, 3]).is_none(), "too few rows");
    let mut grouped = convolution(3, &[]);
    grouped.attribute.push(quantizer::graph::integer_attribute("group", 2));
    assert!(made(grouped, [16, 16, 3]).is_none());
    let mut padded = convolution(3, &[]);
    padded.attribute.push(quantizer::graph::string_attribute("auto_pad", "SAME_UPPER"));
    assert!(made(padded, [16, 16, 3]).is_none());
}

#[test]
fn phases_of_a_transposed_convolution_are_put_in_turn_by_the_operator() {
    let mut transposed = node("ConvTranspose", "up", &["x", "w", "b"], &["y"]);
    transposed.attribute = [("kernel_shape", &[6][..]), ("strides", &[3]), ("pads", &[1, 2])]
        .map(|(name, it)| ints(name, it))
        .to_vec();
    let mut graph = with_convolution(transposed, [16, 16, 6]);
    graph.initializer[1] = tensor::from_f32("b", &[16], &[1.0; 16]);
    let scheme = FusedFloat { rewrites: vec![quantizer::rewrite::pass("polyphase").unwrap()] };
    let graph = fused(graph, &scheme).graph.unwrap();
    let names: Vec<&str> = graph.node.iter().map(NodeProto::op_type).collect();
    assert_eq!(names, ["WinogradConv", "Slice"]);
    let operator = &graph.node[0];
    assert_eq!(attribute(operator, "phases").unwrap().i(), 3);
    assert_eq!(operator.output[0], graph.node[1].input[0]);
}

#[test]
fn beside_int8_convolutions_stay_the_runtimes() {
    let graph = fused(with_convolution(convolution(3, &[]), [16, 16, 3]), &int8("conv")).graph.unwrap();
    assert_eq!((count(&graph, "Conv"), count(&graph, "WinogradConv")), (1, 0));
}
