//! Whole models that are wrong, through the functions a command calls: each is an error that names the node or the
//! tensor, or is handled; none is a panic, an overflow of the stack or a flood of memory.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use prost::Message;
use quantizer::graph::{integer_attribute, node};
use quantizer::proto::tensor_proto::{DataLocation, DataType};
use quantizer::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, ValueInfoProto,
};
use quantizer::schemes::{self, LinearInt8, Scheme, WeightsInt8};
use quantizer::tensor::{from_f16, from_f32, from_i64};
use quantizer::{Error, ErrorKind, check, external, model};

fn value(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.into()), ..Default::default() }
}

fn with(mut node: NodeProto, attributes: impl IntoIterator<Item = AttributeProto>) -> NodeProto {
    node.attribute.extend(attributes);
    node
}

fn ramp(count: usize) -> Vec<f32> {
    (0..count).map(|at| at as f32 * 0.01 - 0.2).collect()
}

/// Every operator whose weight a scheme knows, a weight that is folded, and a sub-graph that captures values.
fn sound() -> ModelProto {
    let branch = GraphProto {
        node: vec![node("Add", "inner", &["looked_up", "offset"], &["inside"])],
        output: vec![value("inside")],
        ..Default::default()
    };
    let branch = |name: &str| AttributeProto {
        name: Some(name.into()),
        g: Some(branch.clone()),
        r#type: Some(5),
        ..Default::default()
    };
    let graph = GraphProto {
        name: Some("sound".into()),
        node: vec![
            node("Gather", "look_up", &["table", "tokens"], &["looked_up"]),
            with(
                node("If", "choose", &["flag"], &["chosen"]),
                [branch("then_branch"), branch("else_branch")],
            ),
            node("MatMul", "product", &["chosen", "w"], &["p"]),
            with(
                node("Gemm", "dense", &["p", "dense_w", "dense_b"], &["d"]),
                [integer_attribute("transB", 1)],
            ),
            node("Mul", "square", &["v", "v"], &["vv"]),
            node("ReduceSum", "norm", &["vv", "axes"], &["sum"]),
            node("Sqrt", "root", &["sum"], &["length"]),
            node("Div", "unit", &["v", "length"], &["direction"]),
            node("Mul", "scaled", &["direction", "g"], &["unshaped"]),
            node("Reshape", "shaped", &["unshaped", "shape"], &["kernel"]),
            node("Conv", "convolve", &["d", "kernel"], &["c"]),
            node("ConvTranspose", "widen", &["c", "wide"], &["t"]),
            node("LSTM", "recur", &["t", "lstm_w", "lstm_r"], &["y"]),
        ],
        initializer: vec![
            from_f32("table", &[5, 4], &ramp(20)),
            from_f32("offset", &[4], &ramp(4)),
            from_f32("w", &[4, 6], &ramp(24)),
            from_f32("dense_w", &[3, 6], &ramp(18)),
            from_f32("dense_b", &[3], &ramp(3)),
            from_f32("v", &[2, 3], &ramp(6)),
            from_i64("axes", &[1], &[1]),
            from_f32("g", &[2, 1], &[1.0, 2.0]),
            from_i64("shape", &[3], &[2, 3, -1]),
            from_f16("wide", &[2, 3, 2], &ramp(12)),
            from_f32("lstm_w", &[1, 8, 3], &ramp(24)),
            from_f32("lstm_r", &[1, 8, 2], &ramp(16)),
        ],
        input: vec![value("tokens"), value("flag")],
        output: vec![value("y")],
        ..Default::default()
    };
    ModelProto {
        ir_version: Some(9),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(20) }],
        ..Default::default()
    }
}

fn schemes() -> [Box<dyn Scheme>; 2] {
    [
        Box::new(LinearInt8 { exclude: None }),
        Box::new(WeightsInt8 { min_elements: 1, exclude: None, finer: vec![] }),
    ]
}

/// What a command does with a file: read it, bring in external data, quantize, check; once for each scheme.
fn run(bytes: &[u8]) -> Result<(), Error> {
    let mut load = |_: &str| -> io::Result<Bytes> { Err(io::ErrorKind::NotFound.into()) };
    let mut model = model::decode(Bytes::copy_from_slice(bytes))?;
    external::inline(model::graph_mut(&mut model)?, &mut load)?;
    for scheme in schemes() {
        let mut model = model.clone();
        schemes::quantize(&mut model, scheme.as_ref())?;
        check::validate(model::graph(&model)?)?;
        let mut bytes = Vec::new();
        model::encode(&model, &mut bytes).expect("a `Vec` takes every write");
        model::decode(bytes.into()).expect("what was written can be read");
    }
    Ok(())
}

/// As [`run`], with a panic as a message.
fn outcome(bytes: &[u8]) -> Result<Result<(), Error>, String> {
    catch_unwind(AssertUnwindSafe(|| run(bytes))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_string()
    })
}

fn find<'a>(graph: &'a mut GraphProto, name: &str) -> &'a mut NodeProto {
    graph.node.iter_mut().find(|node| node.name() == name).expect("a node of the sound model")
}

fn tensor<'a>(graph: &'a mut GraphProto, name: &str) -> &'a mut TensorProto {
    graph.initializer.iter_mut().find(|tensor| tensor.name() == name).expect("a tensor of the sound model")
}

fn put(graph: &mut GraphProto, tensor: TensorProto) {
    graph.initializer.retain(|old| old.name() != tensor.name());
    graph.initializer.push(tensor);
}

fn outside(graph: &mut GraphProto, location: &str) {
    let weight = tensor(graph, "w");
    weight.raw_data = None;
    weight.data_location = Some(DataLocation::External.into());
    weight.external_data =
        vec![StringStringEntryProto { key: Some("location".into()), value: Some(location.into()) }];
}

type Change = fn(&mut GraphProto);

/// A change to the sound graph, and the kind and text of the error; `None` where the change is allowed.
type Case = (&'static str, Change, Option<(ErrorKind, &'static str)>);

const NAMES: [Case; 15] = [
    ("a cycle", |g| find(g, "look_up").input[1] = "y".into(), Some((ErrorKind::Graph, "found a cycle of"))),
    (
        "a node that feeds itself",
        |g| find(g, "product").input[0] = "p".into(),
        Some((ErrorKind::Graph, "cycle of 1: node `product` (MatMul)")),
    ),
    (
        "a missing initializer",
        |g| g.initializer.retain(|tensor| tensor.name() != "w"),
        Some((ErrorKind::Graph, "node `product` (MatMul): input `w` is made by no node")),
    ),
    (
        "a value that a sub-graph captures and nobody makes",
        |g| g.initializer.retain(|tensor| tensor.name() != "offset"),
        Some((ErrorKind::Graph, "node `choose` (If): input `offset` is made by no node")),
    ),
    (
        "two initializers of one name",
        |g| g.initializer.push(from_f32("w", &[1], &[0.0])),
        Some((ErrorKind::Graph, "tensor `w`: two initializers have this name")),
    ),
    (
        "two makers of one value",
        |g| g.node.push(node("Neg", "again", &["d"], &["p"])),
        Some((ErrorKind::Graph, "node `again` (Neg): output `p` is also made by node `product` (MatMul)")),
    ),
    (
        "one node that makes a value twice",
        |g| find(g, "recur").output = vec!["y".into(), "y".into()],
        Some((ErrorKind::Graph, "node `recur` (LSTM): output `y` is also made by")),
    ),
    (
        "a node and an initializer of one name",
        |g| g.node.push(node("Neg", "clash", &["d"], &["w"])),
        Some((ErrorKind::Graph, "node `clash` (Neg): output `w` is also the name of an initializer")),
    ),
    (
        "a node and an input of one name",
        |g| g.node.push(node("Neg", "clash", &["d"], &["tokens"])),
        Some((ErrorKind::Graph, "node `clash` (Neg): output `tokens` is also the name of a graph input")),
    ),
    (
        "two inputs of one name",
        |g| g.input.push(value("flag")),
        Some((ErrorKind::Graph, "tensor `flag`: two inputs of the graph have this name")),
    ),
    (
        "an output that nobody makes",
        |g| g.output.push(value("z")),
        Some((ErrorKind::Graph, "tensor `z`: no node makes this output")),
    ),
    ("two nodes called the same", |g| find(g, "widen").name = Some("convolve".into()), None),
    ("nodes without names", |g| g.node.iter_mut().for_each(|node| node.name = None), None),
    ("a weight that the caller may replace", |g| g.input.push(value("w")), None),
    (
        "a name that the scheme would give, which it then does not",
        |g| {
            g.initializer.extend([from_f32("w_scale", &[1], &[1.0]), from_f32("w_int8", &[1], &[1.0])]);
            g.node.push(node("Add", "user", &["w_scale", "w_int8"], &["used"]));
            g.output.push(value("used"));
        },
        None,
    ),
];

const NODES: [Case; 18] = [
    ("a MatMul without a weight", |g| find(g, "product").input.truncate(1), None),
    ("a MatMul without an activation", |g| find(g, "product").input[0] = String::new(), None),
    ("a Gemm without inputs", |g| find(g, "dense").input.clear(), None),
    ("a Conv whose weight is left out", |g| find(g, "convolve").input[1] = String::new(), None),
    ("an LSTM without R", |g| find(g, "recur").input.truncate(2), None),
    (
        "a MatMul without outputs",
        |g| find(g, "product").output.clear(),
        Some((ErrorKind::Graph, "node `dense` (Gemm): input `p` is made by no node")),
    ),
    ("a dead MatMul without outputs", |g| g.node.push(node("MatMul", "mute", &["d", "w"], &[])), None),
    ("a Gemm whose output has no name", |g| g.node.push(node("Gemm", "mute", &["d", "w"], &[""])), None),
    ("an operator that nobody knows", |g| find(g, "choose").op_type = Some("Quux".into()), None),
    ("a node without an operator", |g| find(g, "widen").op_type = None, None),
    ("a Gemm with a scalar weight", |g| put(g, from_f32("dense_w", &[], &[1.0])), None),
    ("a MatMul with a vector", |g| put(g, from_f32("w", &[4], &ramp(4))), None),
    ("a ConvTranspose whose weight has one axis", |g| put(g, from_f16("wide", &[6], &ramp(6))), None),
    ("a Gather in a table without axes", |g| put(g, from_f32("table", &[], &[1.0])), None),
    ("an LSTM whose W has two axes", |g| put(g, from_f32("lstm_w", &[8, 3], &ramp(24))), None),
    (
        "a weight in a type that has no INT8",
        |g| tensor(g, "dense_b").data_type = Some(DataType::Int32.into()),
        None,
    ),
    ("weights of no element", |g| put(g, from_f32("w", &[0, 6], &[])), None),
    ("an empty graph", |g| *g = GraphProto::default(), None),
];

const TENSORS: [Case; 20] = [
    (
        "NaN in a weight",
        |g| put(g, from_f32("w", &[4, 1], &[0.0, 1.0, f32::NAN, 2.0])),
        Some((ErrorKind::Tensor, "tensor `w`: expected finite weights, found NaN at element 2")),
    ),
    (
        "infinity in a weight of an LSTM, which stays float",
        |g| put(g, from_f32("lstm_r", &[1, 1, 2], &[0.0, f32::NEG_INFINITY])),
        None,
    ),
    ("the largest weights there are", |g| put(g, from_f32("w", &[2, 1], &[f32::MAX, f32::MIN])), None),
    (
        "a payload one byte short",
        |g| {
            let payload = tensor(g, "w").raw_data.take().expect("raw");
            tensor(g, "w").raw_data = Some(payload.slice(1..));
        },
        Some((ErrorKind::Tensor, "tensor `w`: expected 96 bytes for Float [4, 6], found 95")),
    ),
    (
        "a weight without a payload",
        |g| tensor(g, "w").raw_data = None,
        Some((ErrorKind::Tensor, "tensor `w`: expected 24 elements in `float_data`, found 0")),
    ),
    (
        "a negative dimension",
        |g| tensor(g, "w").dims = vec![-4, -6],
        Some((ErrorKind::Tensor, "tensor `w`: the shape [-4, -6]")),
    ),
    (
        "dimensions whose product overflows to the size of the payload",
        |g| tensor(g, "w").dims = vec![1 << 62, 4, 6],
        Some((ErrorKind::Tensor, "tensor `w`: the shape")),
    ),
    (
        "dimensions that ask for a terabyte",
        |g| tensor(g, "w").dims = vec![1 << 19, 1 << 19],
        Some((ErrorKind::Tensor, "tensor `w`: expected 1099511627776 bytes")),
    ),
    (
        "no elements, in a shape that overflows without its zero",
        |g| put(g, TensorProto { dims: vec![i64::MAX, 2, 0], ..from_f32("w", &[0], &[]) }),
        Some((ErrorKind::Tensor, "tensor `w`: the shape")),
    ),
    (
        "no elements, and a trillion channels",
        |g| put(g, TensorProto { dims: vec![0, 1 << 40], ..from_f32("w", &[0], &[]) }),
        None,
    ),
    (
        "an element type that does not exist",
        |g| tensor(g, "w").data_type = Some(999),
        Some((ErrorKind::Tensor, "tensor `w`: expected an element type, found the number 999")),
    ),
    (
        "external data above the model's folder",
        |g| outside(g, "../weights.bin"),
        Some((ErrorKind::ExternalData, "tensor `w`: expected a location inside the model's folder")),
    ),
    (
        "external data by an absolute path",
        |g| outside(g, "/etc/passwd"),
        Some((ErrorKind::ExternalData, "tensor `w`: expected a location inside the model's folder")),
    ),
    (
        "external data that is not there",
        |g| outside(g, "weights.bin"),
        Some((ErrorKind::ExternalData, "tensor `w`: cannot read `weights.bin`")),
    ),
    (
        "external data in a tensor of a sub-graph",
        |g| {
            let mut inner =
                GraphProto { initializer: vec![from_f32("w", &[24], &ramp(24))], ..Default::default() };
            outside(&mut inner, "a/../../b");
            find(g, "choose").attribute[0].g.as_mut().expect("a branch").initializer = inner.initializer;
        },
        Some((ErrorKind::ExternalData, "tensor `w`: expected a location inside the model's folder")),
    ),
    (
        "factors that do not broadcast",
        |g| put(g, from_f32("g", &[5], &ramp(5))),
        Some((ErrorKind::Tensor, "node `scaled` (Mul): shapes [2, 3] and [5] do not broadcast")),
    ),
    (
        "an axis that is not there",
        |g| put(g, from_i64("axes", &[1], &[7])),
        Some((ErrorKind::Tensor, "node `norm` (ReduceSum): expected an axis of [2, 3], found 7")),
    ),
    (
        "a shape of another size",
        |g| put(g, from_i64("shape", &[2], &[5, -1])),
        Some((ErrorKind::Tensor, "node `shaped` (Reshape): expected 6 elements")),
    ),
    (
        "a shape whose product overflows",
        |g| put(g, from_i64("shape", &[3], &[i64::MAX, i64::MAX, -1])),
        Some((ErrorKind::Tensor, "node `shaped` (Reshape): expected 6 elements")),
    ),
    (
        "a shape with two free axes",
        |g| put(g, from_i64("shape", &[3], &[-1, -1, 2])),
        Some((ErrorKind::Tensor, "node `shaped` (Reshape): expected a shape for [2, 3]")),
    ),
];

fn check_cases(cases: &[Case]) {
    let mut failures = Vec::new();
    for (what, change, expected) in cases {
        let mut model = sound();
        change(model.graph.as_mut().unwrap());
        match (outcome(&model.encode_to_vec()), expected) {
            (Ok(Ok(())), None) => {}
            (Ok(Err(error)), Some((kind, text)))
                if error.kind() == *kind && error.to_string().contains(text) => {}
            (Ok(found), _) => failures.push(format!("{what}: expected {expected:?}, found {found:?}")),
            (Err(panic), _) => failures.push(format!("{what}: panicked: {panic}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_sound_model_is_quantized() {
    run(&sound().encode_to_vec()).unwrap();
    let counts = schemes().map(|scheme| schemes::quantize(&mut sound(), scheme.as_ref()).unwrap());
    assert!(counts.iter().all(|summary| summary.left.is_empty()), "{counts:?}");
    assert_eq!(counts.map(|summary| (summary.quantized, summary.folded)), [(2, 1), (7, 1)]);
}

#[test]
fn names_that_clash_or_lead_nowhere() {
    check_cases(&NAMES);
}

#[test]
fn nodes_that_are_incomplete() {
    check_cases(&NODES);
}

#[test]
fn tensors_that_contradict_themselves() {
    check_cases(&TENSORS);
}

#[test]
fn bytes_that_are_no_model() {
    let no_graph = ModelProto { ir_version: Some(9), ..Default::default() }.encode_to_vec();
    let no_version = ModelProto { ir_version: None, ..sound() }.encode_to_vec();
    // Field 7 (the graph) and field 2 (the producer) with 2 GiB − 1 bytes announced, and a length beyond 64 bits.
    let huge_graph = vec![0x08, 0x09, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x07, 0x0a];
    let huge_name = vec![0x08, 0x09, 0x12, 0xff, 0xff, 0xff, 0xff, 0x07, 0x61];
    let endless = [vec![0x08, 0x09, 0x3a], vec![0xff; 11]].concat();
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("a web page", b"<!DOCTYPE html><html><body>404</body></html>".to_vec()),
        ("an archive", b"PK\x03\x04\x14\x00\x00\x00\x08\x00".to_vec()),
        ("zeros", vec![0; 4096]),
        ("no graph", no_graph),
        ("no IR version", no_version),
        ("a graph of 2 GiB that is not there", huge_graph),
        ("a name of 2 GiB that is not there", huge_name),
        ("a length that does not end", endless),
    ] {
        let error = outcome(&bytes).unwrap_or_else(|panic| panic!("{what}: {panic}")).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::NotOnnx, "{what}: {error}");
        assert!(error.to_string().contains(&format!("{} bytes", bytes.len())), "{what}: {error}");
    }
}

#[test]
fn a_model_cut_short_anywhere_is_an_error() {
    let whole = sound().encode_to_vec();
    let tail = ModelProto { opset_import: sound().opset_import, ..Default::default() }.encode_to_vec();
    for length in 0..whole.len() - tail.len() {
        let error = outcome(&whole[..length]).unwrap().expect_err("a part of the graph is missing");
        assert_eq!(error.kind(), ErrorKind::NotOnnx, "at {length}: {error}");
    }
}

/// Chains as long as these overflow the stack of whoever follows them by calling itself.
#[test]
fn chains_of_any_length_are_followed() {
    const LENGTH: usize = 100_000;
    for op in ["Identity", "Softplus"] {
        let mut graph = GraphProto {
            initializer: vec![from_f32("v0", &[4, 2], &ramp(8))],
            input: vec![value("x")],
            output: vec![value("y")],
            ..Default::default()
        };
        for at in 0..LENGTH {
            graph.node.push(node(op, "", &[&format!("v{at}")], &[&format!("v{}", at + 1)]));
        }
        graph.node.push(node("MatMul", "product", &["x", &format!("v{LENGTH}")], &["y"]));
        // Back to front, so that the order has to be found as well.
        graph.node.reverse();
        let mut model = ModelProto { graph: Some(graph), ..sound() };
        let scheme = WeightsInt8 { min_elements: 1, exclude: None, finer: vec![] };
        let summary = schemes::quantize(&mut model, &scheme).unwrap();
        let folds = op == "Identity";
        assert_eq!((summary.folded, summary.quantized), (folds.into(), folds.into()), "{op}");
        assert_eq!(model.graph.unwrap().node.len(), if folds { 3 } else { LENGTH + 1 }, "{op}");
    }
}

/// An outer product is as large as its factors multiplied: here 2³⁸ elements from a file of 4 MB.
#[test]
fn small_files_cannot_ask_for_large_products() {
    const LENGTH: usize = 1 << 19;
    let values = vec![0.5; LENGTH];
    let graph = GraphProto {
        node: vec![
            node("Mul", "outer", &["column", "row"], &["w"]),
            node("MatMul", "product", &["x", "w"], &["y"]),
        ],
        initializer: vec![from_f32("column", &[LENGTH, 1], &values), from_f32("row", &[1, LENGTH], &values)],
        input: vec![value("x")],
        output: vec![value("y")],
        ..Default::default()
    };
    run(&ModelProto { graph: Some(graph), ..sound() }.encode_to_vec()).unwrap();
}

#[test]
fn damaged_bytes_are_errors_and_never_panics() {
    let whole = sound().encode_to_vec();
    // A fixed seed, so that a failure comes back; SplitMix64 (Steele, Lea and Flood, 2014).
    let mut state = 0x6b6f_6b6f_726f_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    };
    let (mut quantized, mut undecoded, mut refused) = (0, 0, 0);
    for round in 0..6000 {
        let mut damaged = whole.clone();
        for _ in 0..=random(3) {
            let at = random(damaged.len());
            match random(4) {
                0 => damaged[at] = random(256) as u8,
                1 => damaged[at] = [0, 1, 0x7f, 0x80, 0xff][random(5)],
                _ => damaged[at] ^= 1 << random(8),
            }
        }
        match outcome(&damaged) {
            Ok(Ok(())) => quantized += 1,
            Ok(Err(_)) if model::decode(Bytes::copy_from_slice(&damaged)).is_err() => undecoded += 1,
            Ok(Err(error)) => {
                refused += 1;
                let message = error.to_string();
                assert!(
                    ["node `", "tensor `", "cycle"].iter().any(|part| message.contains(part)),
                    "round {round}: `{message}` names neither a node nor a tensor"
                );
            }
            Err(panic) => panic!("round {round}: {panic}\n{damaged:02x?}"),
        }
    }
    assert!(
        quantized > 500 && undecoded > 500 && refused > 500,
        "the damage tests too little: {quantized} quantized, {undecoded} undecoded, {refused} refused"
    );
}
