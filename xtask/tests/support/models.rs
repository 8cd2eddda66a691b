//! Small models: some speak in their way, most are broken.

use std::path::{Path, PathBuf};

use quantizer::graph::{integer_attribute, node};
use quantizer::kokoro;
use quantizer::proto::tensor_proto::DataType;
use quantizer::proto::{
    GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorShapeProto, TypeProto,
    ValueInfoProto, tensor_shape_proto, type_proto,
};
use quantizer::tensor::{from_f32, from_i64};

/// As many as Kokoro has, so that the sentences of the corpus can be spoken.
pub const TOKEN_IDS: usize = 178;

/// Samples for each token: 0.1 s at 24 kHz.
const SAMPLES: usize = 2_400;

/// Where these models predict durations, F0 and energy, which nothing that they compute tells.
const DURATIONS: &str = "predicted/durations";
const F0: &str = "predicted/f0";
const ENERGY: &str = "predicted/energy";

/// Floats of three dimensions, of which nothing is said, not even that two are equal.
pub fn of_any_lengths(name: &str) -> ValueInfoProto {
    let shape = TensorShapeProto { dim: vec![tensor_shape_proto::Dimension::default(); 3] };
    let tensor = type_proto::Tensor { elem_type: Some(DataType::Float.into()), shape: Some(shape) };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.into()), r#type: Some(kind), ..Default::default() }
}

/// An input or output; a dimension of 0 is open.
pub fn value(name: &str, element: DataType, shape: &[i64]) -> ValueInfoProto {
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

/// A model with Kokoro's inputs, output and predictions that says the same `amplitude` of noise for each token: noise,
/// because it has something in every band, so that what INT8 adds is small beside it everywhere.
///
/// It predicts one frame for each token, an F0 of 100 Hz and an energy of 0.5, and what is said is looked up, divided
/// by the F0 and multiplied by 100 and by the energy. Each row of its table has one element more than is heard.
pub fn noise(amplitude: f32, token_ids: usize) -> ModelProto {
    let mut state = 1_u32;
    let sample = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        2.0 * amplitude * (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
    };
    let row: Vec<f32> = (0..SAMPLES).map(sample).chain([0.0]).collect();
    let mut count = node("Cast", "count", &["tokens"], &["counted"]);
    count.attribute.push(integer_attribute("to", DataType::Float as i64));
    let mut twice = node("Concat", "twice", &[DURATIONS, DURATIONS], &["frames"]);
    twice.attribute.push(integer_attribute("axis", 1));
    let whole = |name: &str, input: &str, output: &str| {
        let mut whole = node("ReduceMax", name, &[input], &[output]);
        whole.attribute.push(integer_attribute("keepdims", 0));
        whole
    };
    let graph = GraphProto {
        name: Some("noise".into()),
        node: vec![
            count,
            node("Clip", "predict_durations", &["counted", "one", "one"], &[DURATIONS]),
            twice,
            node("Unsqueeze", "curve", &["frames", "axis"], &["ones"]),
            node("Mul", "predict_f0", &["ones", "hundred"], &[F0]),
            node("Mul", "predict_energy", &["ones", "half"], &[ENERGY]),
            whole("pitch", F0, "f0"),
            whole("level", ENERGY, "energy"),
            node("Gather", "look_up", &["table", "tokens"], &["looked_up"]),
            node("Slice", "hear", &["looked_up", "from", "to", "axes"], &["heard"]),
            node("Reshape", "join", &["heard", "flat"], &["joined"]),
            node("Div", "lower", &["joined", "f0"], &["low"]),
            node("Mul", "raise", &["low", "hundred"], &["high"]),
            node("Mul", "scale", &["high", "energy"], &["audio"]),
        ],
        initializer: vec![
            from_f32("table", &[token_ids, SAMPLES + 1], &row.repeat(token_ids)),
            from_f32("one", &[], &[1.0]),
            from_f32("half", &[], &[0.5]),
            from_f32("hundred", &[], &[100.0]),
            from_i64("axis", &[1], &[1]),
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
    let named = kokoro::NAMED.into_iter().zip([DURATIONS, F0, ENERGY]);
    let named =
        named.map(|(key, value)| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) });
    ModelProto {
        ir_version: Some(9),
        metadata_props: named.collect(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(20) }],
        ..Default::default()
    }
}

/// A clear sound.
pub fn clear() -> ModelProto {
    noise(0.1, TOKEN_IDS)
}

/// A clear sound through a convolution that changes little of it: 8 channels of 300 samples for each token.
pub fn convolved() -> ModelProto {
    const CHANNELS: usize = 8;
    let weight = |at: usize| if at.is_multiple_of(CHANNELS + 1) { 1.0 } else { 0.01 };
    let weights: Vec<f32> = (0..CHANNELS * CHANNELS).map(weight).collect();
    let mut model = clear();
    let graph = graph(&mut model);
    let join = graph.node.iter().position(|it| it.name() == "join").unwrap();
    graph.node.splice(
        join..=join,
        [
            node("Reshape", "split", &["heard", "channels"], &["channelled"]),
            node("Conv", "/mix/Conv", &["channelled", "mix"], &["mixed"]),
            node("Reshape", "join", &["mixed", "flat"], &["joined"]),
        ],
    );
    graph.initializer.push(from_i64("channels", &[3], &[1, CHANNELS as i64, -1]));
    graph.initializer.push(from_f32("mix", &[CHANNELS, CHANNELS, 1], &weights));
    model
}

/// The same through a second convolution, which changes nothing.
pub fn convolved_twice() -> ModelProto {
    const CHANNELS: usize = 8;
    let mut model = convolved();
    let graph = graph(&mut model);
    let join = graph.node.iter().position(|it| it.name() == "join").unwrap();
    graph.node[join].input[0] = "kept".into();
    graph.node.insert(join, node("Conv", "/keep/Conv", &["mixed", "same"], &["kept"]));
    let same: Vec<f32> =
        (0..CHANNELS * CHANNELS).map(|at| f32::from(u8::from(at.is_multiple_of(CHANNELS + 1)))).collect();
    graph.initializer.push(from_f32("same", &[CHANNELS, CHANNELS, 1], &same));
    model
}

/// A clear sound as it is, and silence as INT8: elements that nobody hears take the scale of each row. There are as many of them as of
/// others, since weights of which most would be lost are left as they are.
pub fn silent_as_int8() -> ModelProto {
    let mut model = clear();
    let graph = graph(&mut model);
    let table = graph.initializer.iter_mut().find(|it| it.name() == "table").unwrap();
    let heard = quantizer::tensor::to_f32(table).unwrap();
    let rows = heard.chunks_exact(SAMPLES + 1).flat_map(|row| [&row[..SAMPLES], &[1000.0; SAMPLES]].concat());
    *table = from_f32("table", &[TOKEN_IDS, 2 * SAMPLES], &rows.collect::<Vec<_>>());
    model
}

/// A sound model that has nothing to do with speech.
pub fn no_speech() -> ModelProto {
    let mut model = clear();
    model.metadata_props.clear();
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

/// Changes one byte of the table, its least one.
pub fn change_one_weight(model: &mut ModelProto) {
    let tensors = &mut graph(model).initializer;
    let table = tensors.iter_mut().find(|it| it.name() == "table").unwrap();
    let mut raw = table.raw_data().to_vec();
    raw[4 * SAMPLES / 2] ^= 1;
    table.raw_data = Some(raw.into());
}
