//! Which chains become operators of `kokoro-model`, and how these are called.

use quantizer::fuse::{DOMAIN, Ends, VERSION, fuse};
use quantizer::graph::{attribute, node};
use quantizer::proto::attribute_proto::AttributeType;
use quantizer::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use quantizer::schemes::{self, FusedFloat, FusedInt8, Scheme};
use quantizer::tensor;

use super::lookup::{CHANNELS, norm, snake, two_chains, with_tables};
use super::support::{Layout, float, model, value};

fn fused(graph: GraphProto, scheme: &dyn Scheme) -> ModelProto {
    let mut model = model(graph);
    schemes::quantize(&mut model, scheme).unwrap();
    model
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
    fused(graph, &FusedInt8(with_tables())).graph.unwrap()
}

#[test]
fn a_chain_from_a_float_and_one_from_levels_are_an_operator_each() {
    let model = fused(two_chains(), &FusedInt8(with_tables()));
    let graph = model.graph.as_ref().unwrap();
    assert_eq!(
        operators(graph),
        [
            "AdaINActivationQuantize(x, a_quantized_scale, a_quantized_zero_point, gamma, beta, alpha) -> a_quantized",
            "QLinearAdaINActivation(b/in_quantized_output, b/in_scale, b/in_zero_point, b_quantized_scale, \
             b_quantized_zero_point, gamma, beta, alpha) -> b_quantized",
        ]
    );
    for gone in ["Sin", "Mul", "InstanceNormalization", "QuantizeLinear", "GatherElements"] {
        assert_eq!(count(graph, gone), 0, "{gone}");
    }
    for operator in graph.node.iter().filter(|node| node.domain() == DOMAIN) {
        assert_eq!(attribute(operator, "activation").unwrap().s(), b"snake");
        assert_eq!(attribute(operator, "epsilon").unwrap().f(), 1e-5);
    }
    let imports = model.opset_import.iter().filter(|set| set.domain() == DOMAIN);
    assert_eq!(imports.map(OperatorSetIdProto::version).collect::<Vec<_>>(), [VERSION]);
}

#[test]
fn without_a_chain_no_domain_is_declared() {
    let layout = Layout::plain(CHANNELS, CHANNELS, 1);
    let mut graph = two_chains();
    graph.node = vec![layout.node("first", &["x", "w"], "y")];
    let model = fused(graph, &FusedFloat { rewrites: vec![] });
    assert!(model.opset_import.iter().all(|set| set.domain() != DOMAIN));
}

#[test]
fn floats_stay_floats() {
    let model = fused(two_chains(), &FusedFloat { rewrites: vec![] });
    assert_eq!(
        operators(model.graph.as_ref().unwrap()),
        ["AdaINActivation(x, gamma, beta, alpha) -> a", "AdaINActivation(b/in, gamma, beta, alpha) -> b"]
    );
    // Between a convolution in INT8 and one in float.
    let mut scheme = with_tables();
    scheme.convolutions.exclude = Some(regex::Regex::new("second").unwrap());
    let model = fused(two_chains(), &FusedInt8(scheme));
    let last = operators(model.graph.as_ref().unwrap()).pop();
    let expected = "DequantizeAdaINActivation(b/in_quantized_output, b/in_scale, b/in_zero_point, gamma, beta, alpha) -> b";
    assert_eq!(last.as_deref(), Some(expected));
}

#[test]
fn leaky_relu_and_nothing_are_activations() {
    let layout = Layout::plain(CHANNELS, CHANNELS, 1);
    let with = |nodes: Vec<NodeProto>| {
        changed(|graph| graph.node = [nodes.clone(), vec![layout.node("first", &["a", "w"], "y")]].concat())
    };
    let mut relu = node("LeakyRelu", "a", &["a/norm"], &["a"]);
    relu.attribute.push(quantizer::graph::float_attribute("alpha", 0.25));
    let graph = with(vec![norm("a", "x"), relu]);
    let operator = &graph.node[0];
    assert_eq!(attribute(operator, "activation").unwrap().s(), b"leaky_relu");
    assert_eq!(attribute(operator, "slope").unwrap().f(), 0.25);
    assert_eq!(operator.input.len(), 5, "no `alpha`: {:?}", operator.input);

    let mut alone = norm("a", "x");
    alone.output = vec!["a".into()];
    let graph = with(vec![alone]);
    assert_eq!(attribute(&graph.node[0], "activation").unwrap().s(), b"none");
    assert_eq!(graph.node[0].op_type(), "AdaINActivationQuantize");

    // Snake without a norm, whose places stay empty.
    let mut bare = snake("a");
    for node in &mut bare {
        for input in node.input.iter_mut().filter(|input| **input == "a/norm") {
            *input = "x".into();
        }
    }
    let expected =
        "AdaINActivationQuantize(x, a_quantized_scale, a_quantized_zero_point, , , alpha) -> a_quantized";
    assert_eq!(operators(&with(bare)), [expected]);
}

#[test]
fn what_others_need_is_computed() {
    let left = |change: &dyn Fn(&mut GraphProto)| {
        operators(&changed(change))
            .iter()
            .map(|shown| shown.split('(').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let both = ["AdaINActivationQuantize", "QLinearAdaINActivation"];
    assert_eq!(left(&|_| {}), both);
    // The end of Snake: a float for the one, and the quantization stays.
    let output = |name: &'static str| move |graph: &mut GraphProto| graph.output.push(value(name));
    assert_eq!(left(&output("a")), ["AdaINActivation", both[1]]);
    // In the middle of Snake: the norm alone.
    assert_eq!(left(&output("a/sine")), ["AdaINActivation", both[1]]);
    // The norm: Snake without it, and it.
    assert_eq!(left(&output("a/norm")), ["AdaINActivation", both[0], both[1]]);
    // What levels stand for goes on to be computed for the other reader.
    assert_eq!(left(&output("b/in")), both);
    // A factor that the caller may bring is none of a channel.
    assert_eq!(
        left(&|graph| graph.input.push(value("alpha"))),
        ["AdaINActivation", "DequantizeAdaINActivation"]
    );
    // Another function.
    let other = |graph: &mut GraphProto| graph.node[2].op_type = Some("Tan".into());
    assert_eq!(left(&other), ["AdaINActivation", both[1]]);
    // One with another factor in front of the sine than behind it.
    let other = |graph: &mut GraphProto| {
        for tensor in graph.initializer.iter_mut().filter(|tensor| tensor.name() == "inverse_alpha") {
            *tensor = tensor::from_f32("inverse_alpha", &[1, CHANNELS, 1], &[1.0 / 1.5, 2.001]);
        }
    };
    assert_eq!(left(&other), ["AdaINActivation", "DequantizeAdaINActivation"]);
    // Of an input of unknown rank nothing is known.
    assert_eq!(left(&|graph| graph.input[0] = value("x")), [both[1]]);
}

/// `x + conv(x) + z`, the convolution in INT8.
fn residual(nodes: &[(&str, [&str; 2], &str)]) -> GraphProto {
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
    graph
}

fn sums(nodes: &[(&str, [&str; 2], &str)]) -> Vec<String> {
    let mut scheme = with_tables();
    let range = scheme.ranges.values["a"].clone();
    scheme.ranges.values.insert("x".into(), range);
    operators(fused(residual(nodes), &FusedInt8(scheme)).graph.as_ref().unwrap())
}

#[test]
fn a_sum_with_levels_is_one_operator() {
    let [a, b] = ["a", "b"].map(|name| format!("{name}_quantized_output, {name}_scale, {name}_zero_point"));
    assert_eq!(
        sums(&[("one", ["x", "a"], "s"), ("two", ["s", "z"], "y")]),
        [format!("DequantizeAdd({a}, , x, z) -> y")]
    );
    // Two residual streams: the addition of both goes to one of them.
    assert_eq!(
        sums(&[("one", ["a", "x"], "s"), ("two", ["b", "z"], "t"), ("three", ["s", "t"], "y")]),
        [format!("DequantizeAdd({b}, , z) -> t"), format!("DequantizeAdd({a}, , x, t) -> y")]
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
        assert_eq!(sums(&[nodes]), [""; 0], "{nodes:?}");
    }
}

#[test]
fn a_fused_graph_has_nothing_left_to_fuse() {
    let mut graph = fused(two_chains(), &FusedInt8(with_tables())).graph.unwrap();
    let before = graph.clone();
    assert!(fuse(&mut graph, &Ends::default()).unwrap().is_empty());
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
    let mut scheme = with_tables();
    scheme.convolutions.exclude = Some(regex::Regex::new("conv").unwrap());
    let graph = fused(with_convolution(convolution(3, &[]), [16, 16, 3]), &FusedInt8(scheme)).graph.unwrap();
    assert_eq!((count(&graph, "Conv"), count(&graph, "WinogradConv")), (1, 0));
}
