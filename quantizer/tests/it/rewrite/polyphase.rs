use quantizer::check;
use quantizer::graph::{integer_attribute, node};
use quantizer::proto::tensor_proto::DataType;
use quantizer::proto::{AttributeProto, GraphProto};
use quantizer::rewrite::{polyphase, polyphase_where};
use quantizer::tensor::{self, from_f32};

use super::evaluate::{Value, distance, evaluate};
use super::support::{float, shown, value, with_ints};

/// `channels` in `groups`, each of which makes `per_group` outputs.
#[derive(Clone, Copy, Debug)]
struct Case {
    channels: usize,
    groups: usize,
    per_group: usize,
    kernel: usize,
    stride: i64,
    pads: [i64; 2],
    output_padding: i64,
}

fn graph(case: Case) -> GraphProto {
    let Case { channels, groups, per_group, kernel, stride, pads, output_padding } = case;
    let values = |count: usize| -> Vec<f32> { (0..count).map(|at| (at * 5 % 17) as f32 - 8.0).collect() };
    let mut transposed = node("ConvTranspose", "up", &["x", "w", "c"], &["y"]);
    transposed.attribute.push(integer_attribute("group", groups as i64));
    let transposed = with_ints(transposed, "strides", &[stride]);
    let transposed = with_ints(transposed, "pads", &pads);
    let transposed = with_ints(transposed, "output_padding", &[output_padding]);
    let outputs = groups * per_group;
    GraphProto {
        node: vec![with_ints(transposed, "kernel_shape", &[kernel as i64])],
        initializer: vec![
            from_f32("w", &[channels, per_group, kernel], &values(channels * per_group * kernel)),
            from_f32("c", &[outputs], &values(outputs)),
        ],
        input: vec![float("x", &[1, channels as i64, 0])],
        output: vec![value("y")],
        ..Default::default()
    }
}

const CASE: Case =
    Case { channels: 2, groups: 1, per_group: 3, kernel: 4, stride: 2, pads: [1, 1], output_padding: 0 };

#[test]
fn the_phases_are_what_the_transposed_convolution_gives() {
    let cases = [
        CASE,
        // The shapes of the upsampling, pooling and synthesis of Kokoro, with fewer channels.
        Case { kernel: 20, stride: 10, pads: [5, 5], ..CASE },
        Case { kernel: 12, stride: 6, pads: [3, 3], ..CASE },
        Case { channels: 3, groups: 3, per_group: 1, kernel: 3, pads: [1, 1], output_padding: 1, ..CASE },
        Case { per_group: 1, kernel: 20, stride: 5, pads: [0, 0], ..CASE },
        // A kernel that is no multiple of the stride, one shorter than it, uneven pads, groups of several channels.
        Case { kernel: 7, stride: 3, pads: [2, 0], ..CASE },
        Case { kernel: 2, stride: 3, pads: [0, 1], output_padding: 1, ..CASE },
        Case { kernel: 5, stride: 2, pads: [0, 4], ..CASE },
        Case { channels: 4, groups: 2, per_group: 3, kernel: 5, stride: 2, pads: [1, 2], output_padding: 1 },
    ];
    for case in cases {
        for length in [2, 3, 8] {
            let mut graph = graph(case);
            let x = [("x", Value::some(&[1, case.channels, length]))];
            let before = evaluate(&graph, &x);
            assert_eq!(polyphase(&mut graph).unwrap(), 1, "{case:?}");
            check::validate(&graph).unwrap();
            assert!(distance(&before, &evaluate(&graph, &x)) < 1e-9, "{case:?}, {length}");
            let rewritten = graph.clone();
            assert_eq!(polyphase(&mut graph).unwrap(), 0);
            assert_eq!(graph, rewritten);
        }
    }
}

#[test]
fn one_channel_by_hand() {
    // y[n] = Σ x[i]·w[n − 2i]: even positions take w0 and w2, odd ones take w1 and a tap that the kernel lacks.
    let mut graph = graph(Case { channels: 1, per_group: 1, kernel: 3, pads: [0, 1], ..CASE });
    graph.initializer = vec![from_f32("w", &[1, 1, 3], &[2.0, 3.0, 5.0]), from_f32("c", &[1], &[7.0])];
    polyphase(&mut graph).unwrap();
    let conv = [("y/phases.weight", vec![5.0, 2.0, 0.0, 3.0]), ("y/phases.bias", vec![7.0, 7.0])];
    for (name, expected) in conv {
        let stored = graph.initializer.iter().find(|tensor| tensor.name() == name).unwrap();
        assert_eq!(tensor::to_f32(stored).unwrap(), expected);
    }
    let x = Value { dims: vec![1, 1, 2], data: vec![1.0, 10.0] };
    assert_eq!(evaluate(&graph, &[("x", x)])[0].data, [9.0, 10.0, 32.0, 37.0]);
    assert_eq!(
        shown(&graph),
        [
            "y/phases = Conv(x, y/phases.weight, y/phases.bias)",
            "y/phases.split = Reshape(y/phases, y/phases.apart)",
            "y/phases.between = Transpose(y/phases.split)",
            "y/phases.all = Reshape(y/phases.between, y/phases.joined)",
            "y = Slice(y/phases.all, y/phases.first, y/phases.last, y/phases.axis)",
        ]
    );
}

#[test]
fn only_wanted_nodes_are_rewritten_and_float16_stays_float16() {
    let mut graph = graph(CASE);
    assert_eq!(polyphase_where(&mut graph, |node| node.name() != "up").unwrap(), 0);
    let values = tensor::to_f32(&graph.initializer[0]).unwrap();
    graph.initializer[0] = tensor::from_f16("w", &[2, 3, 4], &values);
    assert_eq!(polyphase_where(&mut graph, |node| node.name() == "up").unwrap(), 1);
    let weights = graph.initializer.iter().find(|tensor| tensor.name() == "y/phases.weight").unwrap();
    assert_eq!((tensor::element_type(weights), weights.dims.as_slice()), (DataType::Float16, &[6, 2, 2][..]));
}

#[test]
fn what_is_no_such_convolution_stays() {
    let with = |name: &str, ints: &[i64]| {
        let mut graph = graph(CASE);
        graph.node[0] = with_ints(graph.node[0].clone(), name, ints);
        graph
    };
    let mut automatic = graph(CASE);
    automatic.node[0].attribute.push(AttributeProto {
        name: Some("auto_pad".into()),
        s: Some("SAME_UPPER".into()),
        ..Default::default()
    });
    let mut foreign = graph(CASE);
    foreign.node[0].domain = Some("custom".into());
    let replaceable = |name: &str| {
        let mut graph = graph(CASE);
        graph.input.push(value(name));
        graph
    };
    let mut image = graph(CASE);
    image.initializer[0].dims = vec![2, 3, 2, 2];
    let mut bias = graph(CASE);
    bias.initializer[1] = from_f32("c", &[2], &[0.0; 2]);
    let mut bare = graph(CASE);
    bare.node[0].output.clear();
    let cases = [
        ("no output", bare),
        ("stride 1", with("strides", &[1])),
        ("a stride far beyond the kernel", with("strides", &[9])),
        ("two strides", with("strides", &[2, 2])),
        ("dilation", with("dilations", &[2])),
        ("a shape of the output", with("output_shape", &[9])),
        ("negative pads", with("pads", &[-1, 1])),
        ("output padding that no kernel reaches", with("output_padding", &[2])),
        ("another kernel", with("kernel_shape", &[3])),
        ("automatic pads", automatic),
        ("another domain", foreign),
        ("weights that the caller may replace", replaceable("w")),
        ("a bias that the caller may replace", replaceable("c")),
        ("two spatial dimensions", image),
        ("a bias of another size", bias),
    ];
    for (what, before) in cases {
        let mut after = before.clone();
        assert_eq!(polyphase(&mut after).unwrap(), 0, "{what}");
        assert_eq!(after, before, "{what}");
    }
}
