//! Kinds of models that public bug reports tell of, each a small file of `fixtures/cases/`, and
//! kinds beside them, in `fixtures/kinds/` and in code: what is written is sound and near, or
//! nothing is written. `xtask/tests/it/onnx_quantize.rs` runs the same files in ONNX Runtime.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;
use prost::Message;
use quantizer::graph::{integer_attribute, is, nested, node, outputs};
use quantizer::proto::tensor_proto::DataType;
use quantizer::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, ValueInfoProto,
};
use quantizer::schemes::{Left, LinearInt8, Reason, Scheme, Summary, WeightsInt8};
use quantizer::tensor::{element_type, from_f32, from_f64, from_float, to_f32};
use quantizer::{Error, ErrorKind, census, check, fold, model};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn folder() -> PathBuf {
    fixtures().join("cases")
}

fn read(case: &str) -> Bytes {
    fs_err::read(folder().join(format!("{case}.onnx"))).unwrap().into()
}

fn linear() -> LinearInt8 {
    LinearInt8 { exclude: None }
}

fn weights() -> WeightsInt8 {
    WeightsInt8 { min_elements: 1024, exclude: None, finer: vec![] }
}

fn quantize(bytes: Bytes, scheme: &dyn Scheme) -> Result<(ModelProto, Summary), Error> {
    let (model, summary) =
        quantizer::quantize(bytes, &mut |name| fs_err::read(folder().join(name)).map(Into::into), scheme)?;
    check::model(&model).unwrap();
    let graph = model.graph.as_ref().unwrap();
    // What no runtime would load: two nodes of one name, and in an opset that lacks them,
    // operators.
    unique(graph, &BTreeSet::new());
    let operators = census::operators(graph);
    let opset = quantizer::opset::version(&model.opset_import).unwrap();
    assert!(opset >= 11 || !operators.contains_key("DynamicQuantizeLinear"), "opset {opset}: {operators:?}");
    assert!(opset >= 7 || !operators.contains_key("Mul"), "opset {opset}: {operators:?}");
    Ok((model, summary))
}

/// Branches that exclude each other may have values of one name, but none that graphs around them
/// have.
fn unique<'a>(graph: &'a GraphProto, outside: &BTreeSet<&'a str>) {
    let (mut names, mut values) = (BTreeSet::new(), outside.clone());
    graph
        .initializer
        .iter()
        .for_each(|tensor| assert!(values.insert(tensor.name()), "`{}` twice", tensor.name()));
    for node in &graph.node {
        assert!(node.name().is_empty() || names.insert(node.name()), "two nodes called `{}`", node.name());
        outputs(node).for_each(|value| assert!(values.insert(value), "two values called `{value}`"));
    }
    graph.node.iter().flat_map(nested).for_each(|inner| unique(inner, &values));
}

fn graph(model: &ModelProto) -> &GraphProto {
    model.graph.as_ref().unwrap()
}

fn value(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.into()), ..Default::default() }
}

fn set(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: Some(domain.into()), version: Some(version) }
}

fn model_of(graph: GraphProto, opset: i64) -> ModelProto {
    ModelProto {
        ir_version: Some(9),
        graph: Some(graph),
        opset_import: vec![set("", opset)],
        ..Default::default()
    }
}

fn encoded(model: &ModelProto) -> Bytes {
    model.encode_to_vec().into()
}

fn wave(count: usize) -> Vec<f32> {
    (0..count).map(|at| (at as f32 * 0.731).sin() * 0.1).collect()
}

/// The weight called `name` as a runtime folds it.
fn folded(model: &ModelProto, name: &str) -> Vec<f32> {
    let mut graph = graph(model).clone();
    graph.node.push(node("MatMul", "", &["x", name], &["asked"]));
    graph.output.push(value("asked"));
    fold::fold_weights(&mut graph).unwrap();
    to_f32(graph.initializer.iter().find(|tensor| tensor.name() == name).unwrap()).unwrap()
}

fn reasons(summary: &Summary) -> Vec<(&str, Reason)> {
    summary.left.iter().map(|Left { name, reason, .. }| (name.as_str(), *reason)).collect()
}

#[test]
fn nodes_without_names_get_names_of_their_own() {
    let (written, summary) = quantize(read("unnamed_nodes_big"), &linear()).unwrap();
    assert_eq!((summary.quantized, summary.operators["MatMul"], summary.operators["Gemm"]), (3, 2, 1));
    assert!(
        graph(&written).node.iter().filter(|node| is(node, "MatMulInteger")).all(|it| !it.name().is_empty())
    );
}

#[test]
fn the_operator_set_is_raised_where_that_is_exact() {
    for (case, scheme, opset) in [
        ("opset7_matmul", &linear() as &dyn Scheme, 11),
        ("opset10_matmul", &linear(), 11),
        ("opset7_matmul", &weights(), 7),
        ("opset10_matmul", &weights(), 10),
        ("opset6_conv_ir4", &weights(), 7),
        ("opset9_conv_ir3", &weights(), 9),
    ] {
        let (written, summary) = quantize(read(case), scheme).unwrap();
        assert!(summary.quantized > 0, "{case}");
        assert_eq!(quantizer::opset::version(&written.opset_import), Some(opset), "{case}");
    }
}

#[test]
fn what_changed_its_meaning_since_is_refused_by_name() {
    let with = |op: NodeProto, opset| {
        let graph = GraphProto {
            node: vec![op, node("MatMul", "product", &["h", "w"], &["y"])],
            initializer: vec![from_f32("w", &[32, 32], &wave(1024))],
            input: vec![value("x"), value("s")],
            output: vec![value("y")],
            ..Default::default()
        };
        quantize(encoded(&model_of(graph, opset)), &linear())
    };
    let attributed = |op: &str, inputs: &[&str], attributes: &[AttributeProto]| NodeProto {
        attribute: attributes.to_vec(),
        ..node(op, "old", inputs, &["h"])
    };
    let ints = |name: &str, ints: &[i64]| AttributeProto {
        name: Some(name.into()),
        ints: ints.to_vec(),
        ..Default::default()
    };
    let along = [integer_attribute("broadcast", 1), integer_attribute("axis", 0)];
    for (op, opset, reason) in [
        (attributed("Add", &["x", "s"], &along), 6, "broadcasting along `axis`"),
        (attributed("PRelu", &["x", "s"], &[]), 6, "`PRelu` means something else since opset 7"),
        (attributed("Resize", &["x", "s"], &[]), 10, "`Resize` means something else since opset 11"),
        (
            attributed("BatchNormalization", &["x", "s"], &[integer_attribute("spatial", 0)]),
            8,
            "`spatial` is 0",
        ),
        (attributed("Dropout", &["x"], &[]), 6, "`is_test` is 0"),
    ] {
        let error = with(op, opset).expect_err(reason);
        let text = error.to_string();
        assert!(error.kind() == ErrorKind::Unsupported && text.contains("node `old`"), "{text}");
        assert!(text.contains(reason) && text.contains(&format!("opset {opset}")), "{text}");
    }
    let ok = |op: NodeProto, opset| graph(&with(op, opset).unwrap().0).clone();
    let first = |graph: &GraphProto| graph.node.iter().find(|node| node.name() == "old").unwrap().clone();
    let added = first(&ok(attributed("Add", &["x", "s"], &along[..1]), 6));
    assert!(added.attribute.is_empty(), "of one that broadcasts as all do now, nothing is left to say");
    let bounds = [("min", 0.0), ("max", 6.0)].map(|(name, at)| quantizer::graph::float_attribute(name, at));
    let clipped = ok(attributed("Clip", &["x"], &bounds), 10);
    assert_eq!(first(&clipped).input, ["x", "h_min", "h_max"]);
    assert_eq!(to_f32(clipped.initializer.iter().find(|it| it.name() == "h_max").unwrap()).unwrap(), [6.0]);
    let sliced = first(&ok(attributed("Slice", &["x"], &[ints("starts", &[0]), ints("ends", &[9])]), 9));
    assert_eq!(
        (sliced.input.as_slice(), sliced.attribute.len()),
        (&["x", "h_starts", "h_ends"].map(String::from)[..], 0)
    );
    let padded = first(&ok(attributed("Pad", &["x"], &[ints("pads", &[0, 1])]), 10));
    assert_eq!(padded.input, ["x", "h_pads"]);
    let scales = AttributeProto { name: Some("scales".into()), floats: vec![1.0, 2.0], ..Default::default() };
    let resized = first(&ok(attributed("Upsample", &["x"], &[scales]), 7));
    assert_eq!(
        (resized.op_type(), resized.input.as_slice()),
        ("Resize", &["x", "h_roi", "h_scales"].map(String::from)[..])
    );
}

#[test]
fn an_optional_input_stays_optional() {
    for scheme in [&linear() as &dyn Scheme, &weights()] {
        let (written, _) = quantize(read("unused_default"), scheme).unwrap();
        let ports: Vec<String> =
            quantizer::interface::inputs(graph(&written)).into_iter().map(|it| it.name).collect();
        assert_eq!(ports, ["x"], "`k` has a default");
        assert_eq!(graph(&written).input.len(), 2);
    }
}

#[test]
fn an_initializer_of_an_old_file_is_a_constant() {
    let (written, summary) = quantize(read("opset9_conv_ir3"), &weights()).unwrap();
    assert_eq!((summary.quantized, written.ir_version()), (1, 4));
    assert_eq!(graph(&written).input.iter().map(ValueInfoProto::name).collect::<Vec<_>>(), ["x"]);
    let before = ModelProto::decode(read("opset9_conv_ir3")).unwrap();
    let old = ModelProto { ir_version: Some(2), ..before };
    let error = quantize(encoded(&old), &weights()).unwrap_err();
    assert!(error.to_string().contains("IR version 3 or later, found 2"), "{error}");
}

#[test]
fn the_name_of_an_input_is_never_taken() {
    for scheme in [&linear() as &dyn Scheme, &weights()] {
        let (written, _) = quantize(read("scale_taken_by_input"), scheme).unwrap();
        let graph = graph(&written);
        assert!(graph.initializer.iter().all(|tensor| tensor.name() != "fc_scale"));
        assert!(graph.initializer.iter().any(|tensor| tensor.name() == "fc_scale_2"));
        let user = graph.node.iter().find(|node| node.input.contains(&"fc_scale".to_owned())).unwrap();
        assert_eq!(user.op_type(), "Mul");
    }
}

#[test]
fn what_int8_would_lose_stays_float_and_is_told() {
    let (written, summary) = quantize(read("mask_inf"), &weights()).unwrap();
    assert_eq!((summary.quantized, reasons(&summary)), (1, vec![("mask", Reason::Infinite)]));
    let before = ModelProto::decode(read("mask_inf")).unwrap();
    let mask = |model: &ModelProto| {
        graph(model).initializer.iter().find(|tensor| tensor.name() == "mask").unwrap().clone()
    };
    assert_eq!(mask(&written), mask(&before));

    // A mask as others write it, and a row of small values beside a huge one.
    let mut far = wave(1024);
    far[0] = 1e9;
    let lowest: Vec<f32> = (0..1024).map(|at| if at % 2 == 0 { f32::MIN } else { 0.0 }).collect();
    for values in [far, lowest] {
        let graph = GraphProto {
            node: vec![node("Gather", "", &["table", "i"], &["t"]), node("MatMul", "", &["t", "w"], &["y"])],
            initializer: vec![from_f32("table", &[1, 1024], &values), from_f32("w", &[1024, 1], &wave(1024))],
            input: vec![value("i")],
            output: vec![value("y")],
            ..Default::default()
        };
        let (_, summary) = quantize(encoded(&model_of(graph, 17)), &weights()).unwrap();
        assert_eq!((summary.quantized, reasons(&summary)), (1, vec![("table", Reason::Range)]));
    }
}

#[test]
fn scales_that_float16_cannot_hold_are_float32() {
    let before = ModelProto::decode(read("f16_matmul_tiny")).unwrap();
    let (written, summary) = quantize(read("f16_matmul_tiny"), &weights()).unwrap();
    assert_eq!(summary.quantized, 1);
    let scale = graph(&written).initializer.iter().find(|tensor| tensor.name() == "w_scale").unwrap();
    assert_eq!(element_type(scale), DataType::Float);
    let (ours, theirs) = (folded(&written, "w"), to_f32(&graph(&before).initializer[0]).unwrap());
    let largest = theirs.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    let worst = ours.iter().zip(&theirs).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(largest > 0.0 && worst < 0.02 * largest, "{worst} of {largest}");
}

#[test]
fn weights_in_bodies_are_quantized() {
    for (case, count) in [("if_inner", 2), ("loop", 1)] {
        for scheme in [&linear() as &dyn Scheme, &weights()] {
            let (written, summary) = quantize(read(case), scheme).unwrap();
            assert_eq!((summary.quantized, summary.left.len()), (count, 0), "{case} by {}", scheme.name());
            let length = written.encoded_len();
            assert!(length < 8_000, "{case} by {}: {length} bytes", scheme.name());
        }
    }
}

#[test]
fn external_data_comes_in() {
    for case in ["external", "external_bias_only"] {
        for scheme in [&linear() as &dyn Scheme, &weights()] {
            let (written, summary) = quantize(read(case), scheme).unwrap();
            assert_eq!(summary.quantized, 1, "{case}");
            assert!(!graph(&written).initializer.iter().any(quantizer::tensor::is_external), "{case}");
        }
    }
    let gone =
        quantizer::quantize(read("external"), &mut |_| Err(std::io::ErrorKind::NotFound.into()), &weights());
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::ExternalData);
}

#[test]
fn legal_protobuf_of_any_writer_is_read() {
    for case in ["wire_unpacked_floats", "wire_latin1_doc"] {
        let (written, summary) = quantize(read(case), &weights()).unwrap();
        assert_eq!(summary.quantized, 1, "{case}");
        let mut bytes = Vec::new();
        model::encode(&written, &mut bytes).unwrap();
        model::decode(bytes.clone().into()).unwrap();
        if case == "wire_latin1_doc" {
            // `Größe` in Latin-1, as it stood in the file.
            let latin: &[u8] = b"Gr\xf6\xdfe";
            let holds = |bytes: &[u8]| bytes.windows(latin.len()).filter(|it| *it == latin).count();
            assert!(holds(&bytes) > 0);
            assert_eq!(holds(&bytes), holds(&read(case)));
        }
    }
}

#[test]
fn nothing_to_do_is_an_error_that_says_what_was_left() {
    let of = |graph| quantize(encoded(&model_of(graph, 17)), &weights()).unwrap_err();
    let graph = GraphProto {
        node: vec![node("MatMul", "", &["w", "x"], &["y"])],
        initializer: vec![from_f32("w", &[32, 32], &wave(1024))],
        input: vec![value("x")],
        output: vec![value("y")],
        ..Default::default()
    };
    let error = of(graph.clone());
    assert_eq!(error.kind(), ErrorKind::Nothing);
    assert!(error.to_string().contains("1: is the operand on the left"), "{error}");
    let error = of(GraphProto { initializer: vec![from_f32("w", &[1, 1], &[1.0])], ..graph });
    assert!(error.to_string().contains("no float weights of at least 1024 elements"), "{error}");
}

/// What is stored of each file of `fixtures/kinds/` by linear-int8 and by weights-int8, and why the
/// rest is left.
#[test]
fn each_kind_of_file_is_stored_as_far_as_it_can_be() {
    use Reason::{Attributes, Function, LeftOperand, Operator, Small};
    /// How many are stored, and what is left.
    type Stored<'a> = (usize, &'a [(&'a str, Reason)]);
    let kinds: [(&str, Stored<'_>, Stored<'_>); 11] = [
        ("constants", (1, &[("kernel", Operator)]), (2, &[])),
        ("double", (2, &[]), (2, &[])),
        ("factors", (1, &[("w", Attributes), ("u", LeftOperand)]), (2, &[("u", LeftOperand)])),
        ("function", (1, &[("w", Function)]), (1, &[("w", Function)])),
        ("half", (2, &[]), (2, &[])),
        ("names", (1, &[]), (1, &[])),
        ("old_attributes", (1, &[]), (1, &[])),
        ("recurrent", (0, &[("rr", Operator), ("wg", Operator), ("wr", Operator)]), (3, &[("rg", Small)])),
        ("scan", (2, &[]), (2, &[])),
        ("tied", (1, &[("table", Operator)]), (2, &[])),
        ("transposed_convolutions", (0, &[("v", Operator), ("w", Operator)]), (2, &[])),
    ];
    for (kind, by_linear, by_weights) in kinds {
        let bytes: Bytes = fs_err::read(fixtures().join(format!("kinds/{kind}.onnx"))).unwrap().into();
        for (scheme, (count, left)) in [(&linear() as &dyn Scheme, by_linear), (&weights(), by_weights)] {
            if count == 0 {
                let error = quantize(bytes.clone(), scheme).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Nothing, "{kind}: {error}");
                let told = format!("{}: {}", left.len(), left[0].1);
                assert!(error.to_string().contains(&told), "no `{told}` in: {error}");
                continue;
            }
            let (written, summary) = quantize(bytes.clone(), scheme).unwrap();
            assert_eq!((summary.quantized, reasons(&summary).as_slice()), (count, left), "{kind}");
            let opset = quantizer::opset::version(&written.opset_import).unwrap();
            let expected = match (kind, scheme.name()) {
                ("old_attributes", "linear-int8") => 11,
                ("old_attributes", _) => 9,
                _ => 17,
            };
            assert_eq!(opset, expected, "{kind}");
        }
    }
}

/// Kinds of our own, each with what is to come of it.
mod more {
    use super::*;

    fn with_weight(nodes: Vec<NodeProto>, tensors: Vec<TensorProto>) -> GraphProto {
        GraphProto {
            node: nodes,
            initializer: tensors,
            input: vec![value("x")],
            output: vec![value("y")],
            ..Default::default()
        }
    }

    #[test]
    fn recurrent_units_of_all_kinds() {
        for (op, gates) in [("LSTM", 4), ("GRU", 3), ("RNN", 1)] {
            let shape = [1, gates * 16, 64 / gates * gates];
            let count = shape.iter().product();
            let graph = with_weight(
                vec![node(op, "recur", &["x", "w", "r"], &["y"])],
                vec![
                    from_f32("w", &shape, &wave(count)),
                    from_f32("r", &[1, gates * 16, 64], &wave(gates * 1024)),
                ],
            );
            let (_, summary) = quantize(encoded(&model_of(graph, 17)), &weights()).unwrap();
            assert_eq!(summary.operators.get(op), Some(&2), "{op}: {:?}", summary.left);
        }
    }

    #[test]
    fn wide_and_short_floats() {
        let wide: Vec<f64> = wave(1024).into_iter().map(f64::from).collect();
        for weight in
            [from_f64("w", &[32, 32], &wide), from_float("w", DataType::Bfloat16, &[32, 32], &wave(1024))]
        {
            let element = element_type(&weight);
            let graph = with_weight(vec![node("MatMul", "", &["x", "w"], &["y"])], vec![weight]);
            for (scheme, casts) in [(&linear() as &dyn Scheme, 3), (&weights(), 2)] {
                let (written, summary) = quantize(encoded(&model_of(graph.clone(), 17)), scheme).unwrap();
                assert_eq!(summary.quantized, 1);
                // What comes out is of the type that came in.
                let last = super::graph(&written).node.iter().rfind(|node| is(node, "Cast")).unwrap();
                assert_eq!(quantizer::graph::integer(last, "to", 0), i64::from(i32::from(element)));
                assert_eq!(census::operators(super::graph(&written))["Cast"], casts, "{element:?}");
            }
        }
        let huge = vec![1e300; 1024];
        let graph =
            with_weight(vec![node("MatMul", "", &["x", "w"], &["y"])], vec![from_f64("w", &[32, 32], &huge)]);
        assert_eq!(
            quantize(encoded(&model_of(graph, 17)), &weights()).unwrap_err().kind(),
            ErrorKind::Nothing
        );
    }

    #[test]
    fn weights_that_are_constants_in_any_form() {
        let tensor = AttributeProto {
            name: Some("value".into()),
            t: Some(TensorProto { name: None, ..from_f32("", &[32, 32], &wave(1024)) }),
            ..Default::default()
        };
        let floats =
            AttributeProto { name: Some("value_floats".into()), floats: wave(1024), ..Default::default() };
        let shape =
            AttributeProto { name: Some("value_ints".into()), ints: vec![32, 32], ..Default::default() };
        let constant = |attribute: &AttributeProto, output: &str| NodeProto {
            attribute: vec![attribute.clone()],
            ..node("Constant", "", &[], &[output])
        };
        let graph = with_weight(
            vec![
                constant(&tensor, "a"),
                constant(&floats, "flat"),
                constant(&shape, "shape"),
                node("Reshape", "", &["flat", "shape"], &["b"]),
                node("Sub", "", &["b", "a"], &["zero"]),
                node("Add", "", &["zero", "a"], &["c"]),
                node("MatMul", "", &["x", "a"], &["h"]),
                node("MatMul", "", &["h", "c"], &["y"]),
            ],
            vec![],
        );
        for scheme in [&linear() as &dyn Scheme, &weights()] {
            let (_, summary) = quantize(encoded(&model_of(graph.clone(), 17)), scheme).unwrap();
            assert_eq!((summary.quantized, summary.folded), (2, 2), "{}", scheme.name());
        }
    }

    /// A function with a weight of its own, and one that is given a weight.
    #[test]
    fn functions_are_quantized_within_and_told_of() {
        let constant = AttributeProto {
            name: Some("value".into()),
            t: Some(from_f32("", &[32, 32], &wave(1024))),
            ..Default::default()
        };
        let own = FunctionProto {
            name: Some("Dense".into()),
            domain: Some("local".into()),
            input: vec!["a".into(), "v".into()],
            output: vec!["c".into()],
            node: vec![
                NodeProto { attribute: vec![constant], ..node("Constant", "", &[], &["w"]) },
                node("MatMul", "", &["a", "w"], &["b"]),
                node("MatMul", "", &["b", "v"], &["c"]),
            ],
            opset_import: vec![set("", 17)],
            ..Default::default()
        };
        let call = NodeProto { domain: Some("local".into()), ..node("Dense", "", &["x", "w"], &["y"]) };
        let mut model = model_of(with_weight(vec![call], vec![from_f32("w", &[32, 32], &wave(1024))]), 17);
        model.functions.push(own);
        model.opset_import.push(set("local", 1));
        for scheme in [&linear() as &dyn Scheme, &weights()] {
            let (written, summary) = quantize(encoded(&model), scheme).unwrap();
            assert_eq!((summary.quantized, reasons(&summary)), (1, vec![("w", Reason::Function)]));
            let constants = written.functions[0].node.iter().filter(|node| is(node, "Constant")).count();
            assert!(constants >= 2, "{constants}");
        }
    }

    #[test]
    fn a_weight_that_bodies_capture_is_stored_where_it_is() {
        let branch = |name: &str, op: NodeProto| AttributeProto {
            name: Some(name.into()),
            g: Some(GraphProto { node: vec![op], output: vec![value("z")], ..Default::default() }),
            ..Default::default()
        };
        let choose = NodeProto {
            attribute: vec![
                branch("then_branch", node("MatMul", "", &["x", "w"], &["z"])),
                branch("else_branch", node("Neg", "", &["x"], &["z"])),
            ],
            ..node("If", "", &["c"], &["h"])
        };
        let mut graph = with_weight(
            vec![choose, node("MatMul", "", &["h", "w"], &["y"])],
            vec![from_f32("w", &[32, 32], &wave(1024))],
        );
        graph.input.push(value("c"));
        for scheme in [&linear() as &dyn Scheme, &weights()] {
            let (written, summary) = quantize(encoded(&model_of(graph.clone(), 17)), scheme).unwrap();
            assert_eq!(summary.quantized, 1);
            let stored =
                super::graph(&written).initializer.iter().filter(|it| element_type(it) == DataType::Int8);
            assert!(stored.map(|tensor| tensor.raw_data().len()).sum::<usize>() < 1100);
            assert!(super::graph(&written).initializer.iter().all(|it| it.name() != "w"));
        }
    }

    #[test]
    fn documentation_stays_with_what_takes_the_place() {
        let about = |text: &str| StringStringEntryProto { key: Some("k".into()), value: Some(text.into()) };
        let weight = TensorProto {
            doc_string: Some("a weight".into()),
            metadata_props: vec![about("tensor")],
            ..from_f32("w", &[32, 32], &wave(1024))
        };
        let product = NodeProto {
            doc_string: Some("a product".into()),
            metadata_props: vec![about("node")],
            ..node("MatMul", "", &["x", "w"], &["y"])
        };
        let model = model_of(with_weight(vec![product], vec![weight]), 17);
        for (scheme, op) in [(&linear() as &dyn Scheme, "MatMulInteger"), (&weights(), "MatMul")] {
            let (written, _) = quantize(encoded(&model), scheme).unwrap();
            let node = super::graph(&written).node.iter().find(|node| is(node, op)).unwrap();
            assert_eq!(
                (node.doc_string(), node.metadata_props.as_slice()),
                ("a product", &[about("node")][..])
            );
            let levels =
                super::graph(&written).initializer.iter().find(|it| it.dims.len() == 2 && it.dims[1] == 32);
            let levels = levels.unwrap();
            assert_eq!(
                (levels.doc_string(), levels.metadata_props.as_slice()),
                ("a weight", &[about("tensor")][..])
            );
        }
    }

    #[test]
    fn sparse_initializers_are_values_too() {
        let sparse = quantizer::proto::SparseTensorProto {
            values: Some(from_f32("s", &[1], &[1.0])),
            indices: Some(quantizer::tensor::from_i64("", &[1], &[3])),
            dims: vec![32],
        };
        let mut graph = with_weight(
            vec![node("MatMul", "", &["x", "w"], &["h"]), node("Add", "", &["h", "s"], &["y"])],
            vec![from_f32("w", &[32, 32], &wave(1024))],
        );
        graph.sparse_initializer.push(sparse.clone());
        let (written, _) = quantize(encoded(&model_of(graph, 17)), &weights()).unwrap();
        assert_eq!(super::graph(&written).sparse_initializer, [sparse]);
    }

    /// A model that another tool has quantized in part has all the names that a scheme would give.
    #[test]
    fn a_model_that_is_quantized_in_part() {
        let mut taken = vec![from_f32("w", &[32, 32], &wave(1024))];
        let mut nodes = vec![node("MatMul", "p", &["x", "w"], &["h"])];
        let mut last = "h".to_owned();
        for what in [
            "w_quantized",
            "w_scale",
            "w_zero_point",
            "w_int8",
            "w_cast",
            "x_quantized",
            "x_scale",
            "h_floats",
        ] {
            taken.push(from_f32(what, &[1], &[1.0]));
            let next = format!("after_{what}");
            nodes.push(node("Add", format!("{what}_Mul"), &[&last, what], &[&next]));
            last = next;
        }
        nodes.push(node("Identity", "p_quant", &[&last], &["y"]));
        for scheme in [&linear() as &dyn Scheme, &weights()] {
            let (written, summary) =
                quantize(encoded(&model_of(with_weight(nodes.clone(), taken.clone()), 17)), scheme).unwrap();
            assert_eq!(summary.quantized, 1);
            for tensor in &taken[1..] {
                assert!(super::graph(&written).initializer.contains(tensor), "`{}` changed", tensor.name());
            }
        }
    }

    #[test]
    fn one_weight_that_is_also_an_output_or_a_float_elsewhere() {
        let mut graph = with_weight(
            vec![node("MatMul", "", &["x", "w"], &["h"]), node("Add", "", &["h", "w"], &["y"])],
            vec![from_f32("w", &[32, 32], &wave(1024))],
        );
        graph.output.push(value("w"));
        for scheme in [&linear() as &dyn Scheme, &weights()] {
            let (written, _) = quantize(encoded(&model_of(graph.clone(), 17)), scheme).unwrap();
            let off =
                folded(&written, "w").iter().zip(wave(1024)).fold(0f32, |off, (a, b)| off.max((a - b).abs()));
            assert!(off < 0.001, "{off}");
        }
    }
}
