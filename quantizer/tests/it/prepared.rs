//! Taking an optimized model apart: what is whose, and what lies where.

use quantizer::graph::node;
use quantizer::prepared::{Form, Part, take_apart};
use quantizer::proto::tensor_proto::{DataLocation, DataType};
use quantizer::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TypeProto, ValueInfoProto, type_proto,
};
use quantizer::schemes::{Scheme as _, WeightsInt8, pattern};
use quantizer::{ErrorKind, dead, fold, tensor};

fn value(name: &str) -> ValueInfoProto {
    let float = type_proto::Tensor { elem_type: Some(DataType::Float.into()), shape: None };
    let value = Some(type_proto::Value::TensorType(float));
    let r#type = Some(TypeProto { value, ..Default::default() });
    ValueInfoProto { name: Some(name.into()), r#type, ..Default::default() }
}

fn values(name: &str, dims: &[usize]) -> TensorProto {
    let count = dims.iter().product::<usize>();
    tensor::from_f32(name, dims, &(0..count).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<_>>())
}

fn model(graph: GraphProto) -> ModelProto {
    let set = |domain: &str| OperatorSetIdProto { domain: Some(domain.into()), version: Some(20) };
    ModelProto {
        ir_version: Some(9),
        opset_import: vec![set(""), set("never.used")],
        graph: Some(graph),
        ..Default::default()
    }
}

/// `x → /a/MatMul(w) → /b/Conv(k) → /b/Add(table) → y`, where the table is a product of two vectors.
fn original() -> ModelProto {
    let mut graph = GraphProto {
        node: vec![
            node("Mul", "outer", &["column", "row"], &["table"]),
            node("MatMul", "/a/MatMul", &["x", "w"], &["between"]),
            node("Conv", "/b/Conv", &["between", "k", "bias"], &["convolved"]),
            node("Add", "/b/Add", &["convolved", "table"], &["y"]),
        ],
        input: vec![value("x")],
        output: vec![value("y")],
        initializer: vec![
            values("column", &[64, 1]),
            values("row", &[1, 64]),
            values("w", &[32, 64]),
            values("k", &[64, 64, 1]),
            values("bias", &[64]),
        ],
        ..Default::default()
    };
    WeightsInt8 { min_elements: 1000, exclude: None, finer: vec![] }.apply(&mut graph).unwrap();
    model(graph)
}

/// What a runtime would make of it: weights and table computed.
fn optimized(original: &ModelProto) -> ModelProto {
    let mut graph = original.graph.clone().unwrap();
    fold::fold_weights(&mut graph).unwrap();
    graph.node.retain(|node: &NodeProto| node.name() != "outer");
    graph.initializer.push(values("table", &[64, 64]));
    dead::remove(&mut graph);
    model(graph)
}

fn names(values: &[ValueInfoProto]) -> Vec<&str> {
    values.iter().map(ValueInfoProto::name).collect()
}

fn nodes<'a>(part: &'a Part<'_>) -> Vec<&'a str> {
    part.model.graph.as_ref().unwrap().node.iter().map(NodeProto::name).collect()
}

#[test]
fn each_node_is_in_one_part_and_what_it_needs_is_declared() {
    let original = original();
    let optimized = optimized(&original);
    let parts = take_apart(&original, &optimized, Some(&pattern("^/a/").unwrap())).unwrap();
    let [constants, first, second] = &parts[..] else { panic!("{} parts", parts.len()) };

    assert_eq!((nodes(constants), &constants.inputs[..]), (vec!["outer"], &[][..]));
    assert_eq!(constants.outputs, ["table"]);
    let graph = constants.model.graph.as_ref().unwrap();
    assert_eq!((graph.initializer.len(), names(&graph.output)), (2, vec!["table"]));

    assert_eq!(
        (nodes(first), &first.inputs[..], &first.outputs[..]),
        (vec!["/a/MatMul"], &["x".into()][..], &["between".into()][..])
    );
    assert_eq!(nodes(second), ["/b/Conv", "/b/Add"]);
    assert_eq!(
        (&second.inputs[..], &second.outputs[..]),
        (&["between".into(), "table".into()][..], &["y".into()][..])
    );
    // The convolution takes its weights as an input, and has its bias, which is small, in the graph.
    let graph = second.model.graph.as_ref().unwrap();
    assert_eq!(names(&graph.input), ["between", "k", "table"]);
    assert_eq!(graph.initializer.iter().map(TensorProto::name).collect::<Vec<_>>(), ["bias"]);
    for part in &parts {
        let domains: Vec<_> = part.model.opset_import.iter().map(OperatorSetIdProto::domain).collect();
        assert_eq!(domains, [""], "what no node needs is not imported");
    }
}

#[test]
fn weights_are_found_in_the_model_that_stores_them() {
    let original = original();
    let optimized = optimized(&original);
    let parts = take_apart(&original, &optimized, None).unwrap();
    let [_, whole] = &parts[..] else { panic!("{} parts", parts.len()) };
    let of = |name: &str| whole.weights.iter().find(|weight| weight.name == name).unwrap();
    for (name, is_input, dims) in [("w", false, vec![32, 64]), ("k", true, vec![64, 64, 1])] {
        let weight = of(name);
        assert_eq!((weight.is_input, &weight.dims), (is_input, &dims), "{name}");
        let Form::Stored(found) = &weight.form else { panic!("{name} is not stored") };
        assert_eq!(found.levels.name(), format!("{name}_int8"));
        assert_eq!(found.scale.name(), format!("{name}_scale"));
        assert_eq!(found.finer, None);
    }
    // The runtime is given the one that it packs: it is declared, and holds nothing.
    let graph = whole.model.graph.as_ref().unwrap();
    let declared = graph.initializer.iter().find(|tensor| tensor.name() == "w").unwrap();
    assert_eq!(declared.data_location(), DataLocation::External);
    assert_eq!((declared.raw_data.as_ref(), declared.external_data[2].value()), (None, "8192"));
}

#[test]
fn a_constant_that_only_the_optimized_model_has_is_named() {
    let original = original();
    let mut optimized = optimized(&original);
    optimized.graph.as_mut().unwrap().initializer.push(values("of nowhere", &[2000]));
    let error = take_apart(&original, &optimized, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("of nowhere"), "{error}");
}

#[test]
fn a_constant_that_needs_an_input_is_named() {
    let mut original = original();
    let graph = original.graph.as_mut().unwrap();
    let optimized = optimized(&model(graph.clone()));
    for node in graph.node.iter_mut().filter(|node| node.name() == "outer") {
        "x".clone_into(&mut node.input[0]);
    }
    let error = take_apart(&original, &optimized, None).unwrap_err();
    assert!(error.to_string().contains("found one that needs this input"), "{error}");
}
