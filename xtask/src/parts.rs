//! Which part of a model its bytes belong to and which block a node, by the paths that nodes are named by.
//!
//! In an imported model they are the modules of Kokoro, `generator/resblocks.0/convs1.2/Conv`; one that was not imported, such
//! as a contestant, has its exporter's, `/decoder/decoder/generator/conv_post/Conv`.

use std::collections::{BTreeMap, BTreeSet};

use quantizer::census::{Stored, element_name};
use quantizer::graph::{View, outputs};
use quantizer::proto::GraphProto;
use quantizer::tensor;

/// Initializers by part and element type.
pub type Parts = BTreeMap<String, BTreeMap<String, Stored>>;

/// What no path leads to.
const OTHER: &str = "other";

/// The initializers of `graph` by the part of the model, such as `encoder.bert`, and element type.
pub fn parts(graph: &GraphProto) -> Parts {
    let view = View::new(graph);
    let mut parts = Parts::new();
    for initializer in &graph.initializer {
        let name = initializer.name();
        let part = part_of_user(&view, name).unwrap_or_else(|| OTHER.to_owned());
        let precision = element_name(tensor::element_type(initializer));
        let stored = parts.entry(part).or_default().entry(precision).or_default();
        stored.tensors += 1;
        stored.bytes += tensor::stored_bytes(initializer);
    }
    parts
}

/// The block that a node belongs to, its name up to the last folder but one: `/a/resblocks.0` of
/// `/a/resblocks.0/convs1.2/Conv`.
pub fn block(name: &str) -> &str {
    folder(folder(name))
}

/// The folder of a path that has slashes, empty where it has none: `/a/b` of `/a/b/Conv`.
fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The part of the first node with a path behind `value`. A quantizer may have put nodes between the two that are
/// named by the number, too.
fn part_of_user(view: &View<'_>, value: &str) -> Option<String> {
    let mut seen = BTreeSet::from([value]);
    let mut next: Vec<&str> = view.consumers(value).flat_map(outputs).collect();
    if let Some(found) = view.consumers(value).find_map(|node| part(node.name())) {
        return Some(found);
    }
    while let Some(value) = next.pop() {
        if !seen.insert(value) {
            continue;
        }
        for node in view.consumers(value) {
            if let Some(found) = part(node.name()) {
                return Some(found);
            }
            next.extend(outputs(node));
        }
    }
    None
}

/// The first two different steps of a path, without the number of a layer; the last step names a node.
fn part(path: &str) -> Option<String> {
    let mut steps: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    steps.pop();
    // A module that holds one of its own name, as `decoder/decoder`, adds nothing.
    steps.dedup();
    let module = |step: &&str| step.split('.').next().unwrap_or_default().to_owned();
    let part: Vec<String> = steps.iter().take(2).map(module).collect();
    (!part.is_empty() && !part.iter().any(String::is_empty)).then(|| part.join("."))
}

#[cfg(test)]
mod tests {
    use quantizer::graph::node;
    use quantizer::tensor::{from_f32, from_i8};

    use super::*;

    #[test]
    fn paths_lead_to_parts() {
        for (path, expected) in [
            ("generator/resblocks.5/convs1.1/Conv", Some("generator.resblocks")),
            ("bert/MatMul_3", Some("bert")),
            ("/decoder/decoder/generator/conv_post/Conv", Some("decoder.generator")),
            ("/encoder/shared/LSTM", Some("encoder.shared")),
            ("/encoder/Constant", Some("encoder")),
            ("onnx::MatMul_6559_3", None),
            ("table", None),
            ("", None),
        ] {
            assert_eq!(part(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_weight_without_a_path_belongs_to_whoever_uses_it() {
        let graph = GraphProto {
            node: vec![
                node("Cast", "onnx::MatMul_1_Cast", &["onnx::MatMul_1_int8"], &["wide"]),
                node("Mul", "onnx::MatMul_1_Mul", &["wide", "onnx::MatMul_1_scale"], &["weight"]),
                node("MatMul", "predictor/lstm/MatMul", &["x", "weight"], &["y"]),
            ],
            initializer: vec![
                from_i8("onnx::MatMul_1_int8", &[2], &[1, 2]),
                from_f32("onnx::MatMul_1_scale", &[1], &[0.5]),
                from_f32("unused", &[1], &[0.0]),
            ],
            ..Default::default()
        };
        let parts = parts(&graph);
        assert_eq!(parts["predictor.lstm"]["int8"], Stored { tensors: 1, bytes: 2 });
        assert_eq!(parts["predictor.lstm"]["float32"], Stored { tensors: 1, bytes: 4 });
        assert_eq!(parts["other"]["float32"], Stored { tensors: 1, bytes: 4 });
    }
}
