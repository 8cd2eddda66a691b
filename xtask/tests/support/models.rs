//! Small models: some speak in their way, most are broken.

use std::path::{Path, PathBuf};

use quantizer::graph::node;
use quantizer::proto::tensor_proto::DataType;
use quantizer::proto::{
    GraphProto, ModelProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto, type_proto,
};
use quantizer::tensor::{from_f32, from_i64};

/// As many as Kokoro has, so that the sentences of the corpus can be spoken.
pub const TOKEN_IDS: usize = 178;

/// Samples for each token: 0.1 s at 24 kHz, 20 periods of a tone of 200 Hz.
const SAMPLES: usize = 2_400;

/// An input or output; a dimension of 0 is open.
fn value(name: &str, element: DataType, shape: &[i64]) -> ValueInfoProto {
    let dimension = |&size: &i64| tensor_shape_proto::Dimension {
        value: Some(match size {
            0 => tensor_shape_proto::dimension::Value::DimParam("n".into()),
            _ => tensor_shape_proto::dimension::Value::DimValue(size),
        }),
        ..Default::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(element.into()),
        shape: Some(TensorShapeProto { dim: shape.iter().map(dimension).collect() }),
    };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() }),
        ..Default::default()
    }
}

/// A model with Kokoro's inputs and output that says `amplitude` of a tone for each token.
///
/// Each row of its table has one element more than is heard, `unheard`.
pub fn tone(amplitude: f32, unheard: f32, token_ids: usize) -> ModelProto {
    let sample = |at: usize| amplitude * (at as f32 * 200.0 / 24_000.0 * std::f32::consts::TAU).sin();
    let row: Vec<f32> = (0..SAMPLES).map(sample).chain([unheard]).collect();
    let graph = GraphProto {
        name: Some("tone".into()),
        node: vec![
            node("Gather", "look_up", &["table", "tokens"], &["looked_up"]),
            node("Slice", "hear", &["looked_up", "from", "to", "axes"], &["heard"]),
            node("Reshape", "join", &["heard", "flat"], &["audio"]),
        ],
        initializer: vec![
            from_f32("table", &[token_ids, SAMPLES + 1], &row.repeat(token_ids)),
            from_i64("from", &[1], &[0]),
            from_i64("to", &[1], &[SAMPLES as i64]),
            from_i64("axes", &[1], &[2]),
            from_i64("flat", &[1], &[-1]),
        ],
        input: vec![
            value("tokens", DataType::Int64, &[1, 0]),
            value("style", DataType::Float, &[1, 256]),
            value("speed", DataType::Float, &[1]),
        ],
        output: vec![value("audio", DataType::Float, &[0])],
        ..Default::default()
    };
    ModelProto {
        ir_version: Some(9),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(20) }],
        ..Default::default()
    }
}

/// A clear tone.
pub fn clear() -> ModelProto {
    tone(0.1, 0.0, TOKEN_IDS)
}

/// A clear tone as it is, and silence as INT8: an element that nobody hears takes the scale of each row.
pub fn silent_as_int8() -> ModelProto {
    tone(0.1, 1000.0, TOKEN_IDS)
}

/// A sound model that has nothing to do with speech.
pub fn no_speech() -> ModelProto {
    let mut model = clear();
    let graph = graph(&mut model);
    graph.node = vec![node("MatMul", "multiply", &["image", "weight"], &["class"])];
    graph.initializer = vec![from_f32("weight", &[4, 2], &[0.5; 8])];
    graph.input = vec![value("image", DataType::Float, &[0, 4])];
    graph.output = vec![value("class", DataType::Float, &[0, 2])];
    model
}

pub fn graph(model: &mut ModelProto) -> &mut GraphProto {
    quantizer::model::graph_mut(model).unwrap()
}

pub fn encode(model: &ModelProto) -> Vec<u8> {
    let mut bytes = Vec::new();
    quantizer::model::encode(model, &mut bytes).unwrap();
    bytes
}

/// Writes a model and returns its path.
pub fn write(model: &ModelProto, path: &Path) -> PathBuf {
    fs_err::write(path, encode(model)).unwrap();
    path.to_path_buf()
}
