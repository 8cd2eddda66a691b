//! The same bytes with any number of threads.

use std::collections::BTreeMap;

use quantizer::calibration::{Channel, Ranges, Selection};
use quantizer::graph::node;
use quantizer::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use quantizer::restore::restore;
use quantizer::schemes::{self, LinearInt8, StaticInt8, WeightsInt8};
use quantizer::tensor::{from_f16, from_f32};
use quantizer::{model, tensor};

fn value(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.into()), ..Default::default() }
}

/// Many weights of unlike size, so that threads finish them in another order than they began.
fn model_of_many_weights() -> ModelProto {
    let mut graph = GraphProto { input: vec![value("x")], ..Default::default() };
    for index in 0..48usize {
        let (name, output) = (format!("w{index}"), format!("y{index}"));
        let (rows, columns) = (1 + index * 7 % 40, 64 + index * 29 % 400);
        let values: Vec<f32> =
            (0..rows * columns).map(|at| ((at * 37 + index * 11) as f32 * 0.731).sin() * 0.1).collect();
        let (op, dims) = match index % 4 {
            0 => ("MatMul", vec![rows, columns]),
            1 => ("Gemm", vec![rows, columns]),
            2 => ("Conv", vec![rows, columns, 1]),
            _ => ("Gather", vec![rows, columns]),
        };
        let weight =
            if index % 5 == 0 { from_f16(&name, &dims, &values) } else { from_f32(&name, &dims, &values) };
        let inputs = if op == "Gather" { [name.as_str(), "x"] } else { ["x", name.as_str()] };
        graph.node.push(node(op, format!("n{index}"), &inputs, &[&output]));
        graph.initializer.push(weight);
        graph.output.push(value(&output));
    }
    ModelProto { ir_version: Some(9), graph: Some(graph), ..Default::default() }
}

/// The dynamic quantization of many weights, as the tools write it.
fn quantized_model() -> ModelProto {
    let mut graph = GraphProto { input: vec![value("x")], ..Default::default() };
    graph.node.push(node("DynamicQuantizeLinear", "dynamic", &["x"], &["xq", "xs", "xz"]));
    for index in 0..48usize {
        let of = |part: &str| format!("{part}{index}");
        let (rows, columns) = (1 + index * 7 % 40, 64 + index * 29 % 400);
        let levels: Vec<i8> = (0..rows * columns).map(|at| (at * 31 + index) as u8 as i8).collect();
        let scales: Vec<f32> = (0..columns).map(|at| 0.01 + at as f32 * 0.003).collect();
        let (weight, scale, y) = (of("w") + "_quantized", of("w") + "_scale", of("y"));
        let (integers, floats, both) = (of("integers"), of("floats"), of("both"));
        let chain: [NodeProto; 4] = [
            node("MatMulInteger", of("n") + "_quant", &["xq", &weight, "xz"], &[&integers]),
            node("Cast", "", &[&integers], &[&floats]),
            node("Mul", "", &["xs", &scale], &[&both]),
            node("Mul", "", &[&floats, &both], &[&y]),
        ];
        graph.node.extend(chain);
        graph.initializer.push(tensor::from_i8(&weight, &[rows, columns], &levels));
        graph.initializer.push(from_f32(&scale, &[columns], &scales));
        graph.output.push(value(&y));
    }
    ModelProto { ir_version: Some(9), graph: Some(graph), ..Default::default() }
}

fn assert_the_same(what: &str, make: impl Fn() -> ModelProto + Sync) {
    let bytes: BTreeMap<usize, Vec<u8>> = [1, 2, 8]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let model = pool.install(&make);
            let mut bytes = Vec::new();
            model::encode(&model, &mut bytes).unwrap();
            (threads, bytes)
        })
        .collect();
    assert!(bytes[&1].len() > 100_000, "{what}: {} bytes are no test", bytes[&1].len());
    for threads in [2, 8] {
        assert!(bytes[&threads] == bytes[&1], "{what}: {threads} threads give other bytes than one");
    }
}

fn integers(model: &ModelProto) -> usize {
    let is_int8 = |tensor: &&TensorProto| tensor::to_i64(tensor).is_ok();
    model.graph.as_ref().unwrap().initializer.iter().filter(is_int8).count()
}

#[test]
fn linear_int8_does_not_depend_on_threads() {
    assert_the_same("linear-int8", || {
        let mut model = model_of_many_weights();
        schemes::quantize(&mut model, &LinearInt8 { exclude: None }).unwrap();
        assert_eq!(integers(&model), 2 * 24, "weights and zero points");
        model
    });
}

#[test]
fn weights_int8_does_not_depend_on_threads() {
    assert_the_same("weights-int8", || {
        let mut model = model_of_many_weights();
        schemes::quantize(&mut model, &WeightsInt8 { min_elements: 1, exclude: None, finer: vec![] })
            .unwrap();
        assert_eq!(integers(&model), 48);
        model
    });
}

/// Convolutions in a row of unlike kernels, with ranges of unlike channels.
fn convolutions() -> (ModelProto, Ranges) {
    const CHANNELS: usize = 48;
    let mut graph = GraphProto { input: vec![value("x")], output: vec![value("v24")], ..Default::default() };
    let channel = |at: usize| Channel {
        low: -0.1 * (1 + at % 7) as f32,
        high: 0.3 * (1 + at % 5) as f32,
        mean: 0.01 * at as f32,
        mean_square: 0.02 + 0.001 * (at * at) as f32,
    };
    let mut ranges = Ranges::default();
    for index in 0..=24usize {
        let (from, to) =
            (if index == 0 { "x".into() } else { format!("v{}", index - 1) }, format!("v{index}"));
        let (weight, bias, kernel) = (format!("w{index}"), format!("b{index}"), 1 + index * 7 % 5);
        let values: Vec<f32> = (0..CHANNELS * CHANNELS * kernel)
            .map(|at| ((at * 37 + index * 11) as f32 * 0.731).sin() * 0.1)
            .collect();
        graph.initializer.push(from_f32(&weight, &[CHANNELS, CHANNELS, kernel], &values));
        graph.initializer.push(from_f32(&bias, &[CHANNELS], &values[..CHANNELS]));
        graph.node.push(node("Conv", format!("n{index}"), &[&from, &weight, &bias], &[&to]));
        ranges.values.insert(from, (index..index + CHANNELS).map(channel).collect());
        ranges.values.insert(to, (index + 1..index + 1 + CHANNELS).map(channel).collect());
    }
    (ModelProto { ir_version: Some(9), graph: Some(graph), ..Default::default() }, ranges)
}

#[test]
fn static_int8_does_not_depend_on_threads() {
    assert_the_same("static-int8", || {
        let (mut model, ranges) = convolutions();
        let scheme = StaticInt8 {
            rewrites: vec![],
            convolutions: Selection::default(),
            ranges,
            edges: vec![],
            weight_levels: 127,
            lookup_levels: Some(1024),
            weights: WeightsInt8 { min_elements: 1, exclude: None, finer: vec![] },
        };
        assert_eq!(schemes::quantize(&mut model, &scheme).unwrap().convolutions, 25);
        model
    });
}

#[test]
fn restore_does_not_depend_on_threads() {
    assert_the_same("restore", || {
        let mut model = quantized_model();
        assert_eq!(restore(model.graph.as_mut().unwrap()).unwrap().matmuls, 48);
        assert_eq!(integers(&model), 0);
        model
    });
}
