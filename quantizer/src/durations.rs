//! Durations as an output: how many frames a speech model gives each of its tokens, from which a
//! caller tells when a word is said.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{declaration, integer_attribute, node, outputs, tensor_attribute};
use crate::names::Names;
use crate::proto::{
    GraphProto, ModelProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::dimension, type_proto,
};
use crate::{model, opset, tensor};

/// What the output is called: by the second name where a value within the model has the first.
pub const NAMES: [&str; 2] = ["durations", "duration"];

/// The name of its dimension, which no other has: the runtime takes lengths of one name for equal.
const LENGTH: &str = "durations_length";

/// Makes an inner value, which holds a whole number of frames for each token in any float type and
/// any shape, the output `durations`: int64 of one dimension, behind the outputs there are. A model
/// that has such an output already is left as it is.
///
/// # Errors
/// [`ErrorKind::Graph`] where no node makes the value, or other values have both [`NAMES`];
/// [`ErrorKind::Unsupported`] for a model before operator set 6.
pub fn declare(model: &mut ModelProto, value: &str) -> Result<()> {
    let version = opset::version(&model.opset_import).unwrap_or_default();
    let graph = model::graph_mut(model)?;
    if graph.output.iter().any(are_durations) {
        return Ok(());
    }
    let Some(maker) = graph.node.iter().find(|node| outputs(node).any(|output| output == value)) else {
        let message = "expected durations that a node of the graph makes, found no value of that name";
        return Err(Error::tensor(ErrorKind::Graph, value, message));
    };
    // Before, `to` of a Cast was text; and what rounds to whole frames came with set 11.
    if version < 6 {
        let message = format!("expected a model of operator set 6 or later, found {version}");
        return Err(Error::tensor(ErrorKind::Unsupported, value, message));
    }
    let mut names = Names::of(graph);
    let Some(name) = NAMES.into_iter().find(|name| names.value(name) == *name) else {
        let message = "expected no value of that name, for it is to be an output: rename it";
        return Err(Error::tensor(ErrorKind::Graph, NAMES[0], message));
    };
    // Named as the maker is, so that whoever parts a graph by names finds them together.
    let beside = if maker.name().is_empty() { value } else { maker.name() }.to_owned();
    let mut beside_it = |what: &str| {
        let wanted = format!("{beside}_{what}");
        (names.node(&wanted), names.value(&wanted))
    };
    let ((shape, line), (reshape, flat), (cast, _)) =
        (beside_it("shape"), beside_it("flat"), beside_it("frames"));
    let mut constant = node("Constant", shape, &[], &[&line]);
    constant.attribute.push(tensor_attribute("value", tensor::from_i64("", &[1], &[-1])));
    let mut frames = node("Cast", cast, &[&flat], &[name]);
    frames.attribute.push(integer_attribute("to", i64::from(i32::from(DataType::Int64))));
    graph.node.extend([constant, node("Reshape", reshape, &[value, &line], &[&flat]), frames]);
    graph.output.push(info(name));
    Ok(())
}

/// The name of the output of durations, if the graph has one.
pub fn find(graph: &GraphProto) -> Option<&str> {
    graph.output.iter().find(|output| are_durations(output)).map(ValueInfoProto::name)
}

/// Whether an output is known as durations: a number for each token, alone or behind a batch of one.
fn are_durations(output: &ValueInfoProto) -> bool {
    let Some(type_proto::Value::TensorType(tensor)) = output.r#type.as_ref().and_then(|it| it.value.as_ref())
    else {
        return false;
    };
    let rank = tensor.shape.as_ref().map_or(1, |shape| shape.dim.len());
    NAMES.contains(&output.name())
        && matches!(rank, 1 | 2)
        && matches!(tensor.elem_type(), it if [DataType::Int64, DataType::Int32, DataType::Float].map(i32::from).contains(&it))
}

fn info(name: &str) -> ValueInfoProto {
    declaration(name, DataType::Int64, vec![Some(dimension::Value::DimParam(LENGTH.into()))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;
    use crate::graph::is;
    use crate::interface::{self, Dimension};
    use crate::proto::OperatorSetIdProto;

    fn output(name: &str, element: DataType) -> ValueInfoProto {
        let mut output = info(name);
        if let Some(type_proto::Value::TensorType(tensor)) = &mut output.r#type.as_mut().unwrap().value {
            tensor.elem_type = Some(element.into());
        }
        output
    }

    /// `x → Round → Clip → audio`, whose Clip is called as it is in Kokoro.
    fn model(set: i64) -> ModelProto {
        let graph = GraphProto {
            node: vec![
                node("Round", "/encoder/Round", &["x"], &["/encoder/Round_output_0"]),
                node("Clip", "/encoder/Clip", &["/encoder/Round_output_0"], &["/encoder/Clip_output_0"]),
                node("Neg", "/decoder/Neg", &["/encoder/Clip_output_0"], &["audio"]),
            ],
            input: vec![output("x", DataType::Float)],
            output: vec![output("audio", DataType::Float)],
            ..Default::default()
        };
        ModelProto {
            ir_version: Some(8),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(set) }],
            graph: Some(graph),
            ..Default::default()
        }
    }

    const VALUE: &str = "/encoder/Clip_output_0";

    #[test]
    fn the_value_becomes_whole_numbers_in_one_dimension() {
        let mut model = model(20);
        declare(&mut model, VALUE).unwrap();
        let graph = model.graph.as_ref().unwrap();
        check::validate(graph).unwrap();
        let ports = interface::outputs(graph);
        assert_eq!(ports.len(), 2);
        assert_eq!((ports[1].name.as_str(), ports[1].element_type.as_str()), ("durations", "int64"));
        assert_eq!(ports[1].shape, [Dimension::Named(LENGTH.into())]);
        assert_eq!(graph.node[..3], self::model(20).graph.unwrap().node);
        let [constant, reshape, cast] = &graph.node[3..] else { panic!("three nodes: {:?}", graph.node) };
        assert_eq!(tensor::to_i64(constant.attribute[0].t.as_ref().unwrap()).unwrap(), [-1]);
        assert!(is(reshape, "Reshape") && reshape.input == [VALUE, constant.output[0].as_str()]);
        assert!(is(cast, "Cast") && cast.input == reshape.output && cast.output == ["durations"]);
        assert!(graph.node[3..].iter().all(|node| node.name().starts_with("/encoder/Clip_")));
        assert_eq!(find(graph), Some("durations"));
        let once = model.clone();
        declare(&mut model, VALUE).unwrap();
        assert_eq!(model, once, "what has durations is left as it is");
    }

    #[test]
    fn an_output_of_the_kind_is_kept() {
        for (name, element) in [("durations", DataType::Float), ("duration", DataType::Int32)] {
            let mut model = model(20);
            let graph = model.graph.as_mut().unwrap();
            graph.node.push(node("Neg", "", &["x"], &[name]));
            graph.output.push(output(name, element));
            let before = model.clone();
            declare(&mut model, "nowhere").unwrap();
            assert_eq!(model, before);
        }
    }

    #[test]
    fn no_name_of_the_model_is_taken() {
        let mut model = model(20);
        let graph = model.graph.as_mut().unwrap();
        graph.node[1].output[0] = "durations".into();
        graph.node[2].input[0] = "durations".into();
        graph.node.push(node("Neg", "/encoder/Clip_frames", &["x"], &["/encoder/Clip_flat"]));
        declare(&mut model, "durations").unwrap();
        let graph = model.graph.as_ref().unwrap();
        check::validate(graph).unwrap();
        assert_eq!(find(graph), Some("duration"));
        let names: std::collections::HashSet<_> =
            graph.node.iter().map(crate::proto::NodeProto::name).collect();
        assert_eq!(names.len(), graph.node.len());
    }

    #[test]
    fn what_cannot_be_is_named() {
        let error = declare(&mut model(20), "nowhere").unwrap_err();
        assert!(error.to_string().starts_with("tensor `nowhere`: expected durations"), "{error}");
        let error = declare(&mut model(5), VALUE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let mut taken = model(20);
        let graph = taken.graph.as_mut().unwrap();
        graph.node.extend(NAMES.map(|name| node("Neg", name, &["x"], &[name])));
        let error = declare(&mut taken, VALUE).unwrap_err();
        assert!(error.to_string().starts_with("tensor `durations`: expected no value"), "{error}");
    }
}
