//! Where what was made again first differs from what is there, in words: a tensor, a node, a key.

use kokoro_model::prepared::Prepared;
use prost::bytes::Bytes;
use quantizer::proto::tensor_proto::DataType;
use quantizer::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use quantizer::{model, tensor};
use serde_json::Value;

/// The first difference between two `.onnx` files, of which the first is what is expected.
pub fn of_models(expected: &Bytes, found: &Bytes) -> String {
    match [expected, found].map(|bytes| model::decode(bytes.clone())) {
        [Ok(expected), Ok(found)] => {
            between_models(&expected, &found).unwrap_or("the models are the same, written differently".into())
        }
        [_, Err(error)] | [Err(error), _] => error.to_string(),
    }
}

/// The first difference between two `.prepared` files.
pub fn of_prepared(expected: &[u8], found: &[u8]) -> String {
    let (expected, found) = match [expected, found].map(Prepared::read) {
        [Ok(expected), Ok(found)] => (expected, found),
        [_, Err(error)] | [Err(error), _] => return error.to_string(),
    };
    if expected.parts.len() != found.parts.len() {
        return format!("expected {} parts, found {}", expected.parts.len(), found.parts.len());
    }
    for (at, (expected, found)) in expected.parts.iter().zip(&found.parts).enumerate() {
        if expected.graph != found.graph {
            let [expected, found] = [expected, found].map(|part| Bytes::copy_from_slice(part.graph));
            return format!("part {at}: {}", of_models(&expected, &found));
        }
        let differs = expected.weights.iter().zip(&found.weights).find(|(expected, found)| expected != found);
        if let Some((weight, _)) = differs {
            return format!("part {at}: weight `{}` lies elsewhere, or is stored otherwise", weight.name);
        }
    }
    "the names of inputs, outputs or weights".to_owned()
}

/// The first key of two JSON objects whose values differ.
pub fn of_metadata(expected: &[u8], found: &[u8]) -> String {
    let read = |bytes| serde_json::from_slice::<serde_json::Map<String, Value>>(bytes);
    let (expected, found) = match [expected, found].map(read) {
        [Ok(expected), Ok(found)] => (expected, found),
        [_, Err(error)] | [Err(error), _] => return error.to_string(),
    };
    let none = Value::Null;
    let mut keys = expected.keys().chain(found.keys());
    let differs = keys.find(|key| expected.get(*key) != found.get(*key));
    differs.map_or("the values are the same, written differently".to_owned(), |key| {
        let [expected, found] = [&expected, &found].map(|object| object.get(key).unwrap_or(&none));
        format!("`{key}`: expected {expected}, found {found}")
    })
}

/// Where two models first differ: in a tensor, in a node, or in what is around them.
fn between_models(expected: &ModelProto, found: &ModelProto) -> Option<String> {
    if expected == found {
        return None;
    }
    let none = GraphProto::default();
    let [mine, theirs] = [expected, found].map(|model| model.graph.as_ref().unwrap_or(&none));
    let tensors = first(&mine.initializer, &theirs.initializer, "tensor", TensorProto::name, between_tensors);
    let nodes = || first(&mine.node, &theirs.node, "node", label, between_nodes);
    let around = || {
        let differs = [
            ("the inputs", mine.input != theirs.input),
            ("the outputs", mine.output != theirs.output),
            ("the types of values", mine.value_info != theirs.value_info),
            ("the IR version", expected.ir_version != found.ir_version),
            ("the operator sets", expected.opset_import != found.opset_import),
        ];
        let differs = differs.iter().find(|(_, differs)| *differs);
        differs.map_or("what is around nodes and tensors".to_owned(), |(what, _)| (*what).to_owned())
    };
    Some(tensors.or_else(nodes).unwrap_or_else(around))
}

/// Where two lists first differ: in the thing at one place, or in which thing is at it.
fn first<T: PartialEq>(
    expected: &[T],
    found: &[T],
    what: &str,
    name: fn(&T) -> &str,
    between: fn(&T, &T) -> String,
) -> Option<String> {
    let shorter = expected.len().min(found.len());
    let at = (0..shorter).find(|&at| expected[at] != found[at]);
    let at = at.or((expected.len() != found.len()).then_some(shorter))?;
    let of = |list: &[T]| list.get(at).map_or("none".to_owned(), |it| format!("`{}`", name(it)));
    if let (Some(mine), Some(theirs)) = (expected.get(at), found.get(at))
        && name(mine) == name(theirs)
    {
        let others = (at + 1..shorter).filter(|&at| expected[at] != found[at]).count();
        let others = if others == 0 { String::new() } else { format!("; {others} more differ behind it") };
        return Some(format!("{what} {}: {}{others}", of(expected), between(mine, theirs)));
    }
    let sorted = |list: &[T]| {
        let mut names: Vec<String> = list.iter().map(|it| name(it).to_owned()).collect();
        names.sort();
        names
    };
    let order = if sorted(expected) == sorted(found) { "; the same names in another order" } else { "" };
    Some(format!("{what} {at}: expected {}, found {}{order}", of(expected), of(found)))
}

/// How two tensors of one name differ.
fn between_tensors(expected: &TensorProto, found: &TensorProto) -> String {
    let kind = |it: &TensorProto| format!("{:?} {:?}", tensor::element_type(it), it.dims);
    if kind(expected) != kind(found) {
        return format!("expected {}, found {}", kind(expected), kind(found));
    }
    let [mine, theirs] = [expected, found].map(values);
    let differ = |(_, (mine, theirs)): &(usize, (&String, &String))| mine != theirs;
    let mut differing = mine.iter().zip(&theirs).enumerate().filter(differ);
    match differing.next() {
        Some((at, (right, wrong))) => {
            let (kind, count, all) = (kind(expected), 1 + differing.count(), mine.len());
            format!("{kind}, element {at}: expected {right}, found {wrong}; {count} of {all} elements differ")
        }
        None => format!("{}, stored otherwise", kind(expected)),
    }
}

/// The values of a tensor as text: exact, so that two that differ in one bit differ here; the bytes of what is neither
/// float nor integer.
fn values(stored: &TensorProto) -> Vec<String> {
    match tensor::element_type(stored) {
        DataType::Float | DataType::Float16 => {
            let values = tensor::to_f32(stored).unwrap_or_default();
            values.iter().map(|value| format!("{value:?}")).collect()
        }
        _ => match tensor::to_i64(stored) {
            Ok(values) => values.iter().map(ToString::to_string).collect(),
            Err(_) => stored.raw_data().iter().map(|byte| format!("{byte:#04x}")).collect(),
        },
    }
}

/// What messages call a node: its name, or what it makes.
fn label(node: &NodeProto) -> &str {
    if node.name().is_empty() { node.output.first().map_or("", String::as_str) } else { node.name() }
}

/// How two nodes of one name differ.
fn between_nodes(expected: &NodeProto, found: &NodeProto) -> String {
    let list = |names: &[String]| format!("`{}`", names.join("`, `"));
    if expected.op_type() != found.op_type() {
        return format!("expected operator {}, found {}", expected.op_type(), found.op_type());
    }
    for (what, mine, theirs) in
        [("inputs", &expected.input, &found.input), ("outputs", &expected.output, &found.output)]
    {
        if mine != theirs {
            return format!("expected {what} {}, found {}", list(mine), list(theirs));
        }
    }
    let attributes = expected.attribute.iter().zip(&found.attribute).find(|(mine, theirs)| mine != theirs);
    attributes.map_or("its attributes".to_owned(), |(mine, _)| format!("attribute `{}`", mine.name()))
}

#[cfg(test)]
mod tests {
    use quantizer::graph::{integer_attribute, node};
    use quantizer::proto::ValueInfoProto;
    use quantizer::tensor::{from_f32, from_i8};

    use super::*;

    type Change = fn(&mut GraphProto);

    fn model() -> ModelProto {
        let mut gather = node("Gather", "look_up", &["table", "tokens"], &["audio"]);
        gather.attribute.push(integer_attribute("axis", 0));
        let graph = GraphProto {
            node: vec![node("Neg", "first", &["in"], &["tokens"]), gather],
            initializer: vec![from_i8("table", &[2, 2], &[1, 2, 3, 4]), from_f32("scale", &[1], &[0.5])],
            ..Default::default()
        };
        ModelProto { ir_version: Some(9), graph: Some(graph), ..Default::default() }
    }

    #[test]
    fn the_first_difference_is_named() {
        let cases: [(Change, &str); 9] = [
            (
                |it| it.initializer[0] = from_i8("table", &[2, 2], &[1, 2, -3, 5]),
                "tensor `table`: Int8 [2, 2], element 2: expected 3, found -3; 2 of 4 elements differ",
            ),
            (
                |it| it.initializer[1] = from_f32("scale", &[1], &[0.5_f32.next_up()]),
                "tensor `scale`: Float [1], element 0: expected 0.5, found 0.50000006; 1 of 1 elements differ",
            ),
            (|it| it.initializer[0].dims = vec![4], "tensor `table`: expected Int8 [2, 2], found Int8 [4]"),
            (
                |it| it.initializer.swap(0, 1),
                "tensor 0: expected `table`, found `scale`; the same names in another order",
            ),
            (|it| it.initializer.truncate(1), "tensor 1: expected `scale`, found none"),
            (|it| it.node[0].op_type = Some("Abs".into()), "node `first`: expected operator Neg, found Abs"),
            (|it| it.node[0].input[0] = "out".into(), "node `first`: expected inputs `in`, found `out`"),
            (|it| it.node[1].attribute[0] = integer_attribute("axis", 1), "node `look_up`: attribute `axis`"),
            (|it| it.output.push(ValueInfoProto::default()), "the outputs"),
        ];
        for (change, expected) in cases {
            let mut changed = model();
            change(changed.graph.as_mut().unwrap());
            assert_eq!(between_models(&model(), &changed).as_deref(), Some(expected));
        }
        assert_eq!(between_models(&model(), &model()), None);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let whole = prost::Message::encode_to_vec(&model()).into();
        assert!(of_models(&whole, &Bytes::from_static(b"x")).contains("expected an ONNX model"));
        assert!(!of_prepared(b"", b"").is_empty());
        assert_eq!(of_metadata(br#"{"a": 1, "b": 2}"#, br#"{"a": 1, "b": 3}"#), "`b`: expected 2, found 3");
        assert_eq!(of_metadata(br#"{"a": 1}"#, br#"{"a": 1, "b": 3}"#), "`b`: expected null, found 3");
    }
}
