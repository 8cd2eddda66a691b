//! A Kokoro is known by what it computes: a small one of every module, and the real one under names that say nothing.

use std::collections::{BTreeMap, HashMap};

use quantizer::graph::{integer_attribute, node, outputs};
use quantizer::kokoro::{self, DURATIONS, ENERGY, Export, F0};
use quantizer::proto::tensor_proto::DataType;
use quantizer::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto, type_proto,
};
use quantizer::tensor::{from_f16, from_f32, from_i64};
use quantizer::{ErrorKind, check, model};

/// An input or output; a length of 0 is open.
fn value(name: &str, element: DataType, shape: &[i64]) -> ValueInfoProto {
    use tensor_shape_proto::dimension::Value;
    let dim = |&length: &i64| tensor_shape_proto::Dimension {
        value: Some(if length == 0 { Value::DimParam("n".into()) } else { Value::DimValue(length) }),
        ..Default::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(element.into()),
        shape: Some(TensorShapeProto { dim: shape.iter().map(dim).collect() }),
    };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.into()), r#type: Some(kind), ..Default::default() }
}

/// A graph that is written node by node.
#[derive(Default)]
struct Graph(GraphProto);

impl Graph {
    fn weight(&mut self, name: &str, shape: &[usize]) {
        let count = shape.iter().product();
        // No two alike, since equal ones are stored once.
        let first = self.0.initializer.len() as f32;
        let values: Vec<f32> = (0..count).map(|at| first + at as f32 / 1024.0).collect();
        self.0.initializer.push(from_f32(name, shape, &values));
    }

    fn op(&mut self, op: &str, inputs: &[&str], output: &str) {
        self.0.node.push(node(op, format!("node of {output}"), inputs, &[output]));
    }

    /// A convolution of `shape`.
    fn conv(&mut self, x: &str, shape: &[usize], output: &str) {
        let weight = format!("{output}.weight");
        self.weight(&weight, shape);
        self.op("Conv", &[x, &weight], output);
    }

    fn transposed(&mut self, x: &str, shape: &[usize], group: i64, output: &str) {
        self.conv(x, shape, output);
        let node = self.0.node.last_mut().unwrap();
        node.op_type = Some("ConvTranspose".into());
        node.attribute.push(integer_attribute("group", group));
    }

    fn matmul(&mut self, x: &str, shape: &[usize], output: &str) {
        let weight = format!("{output}.weight");
        self.weight(&weight, shape);
        self.op("MatMul", &[x, &weight], output);
    }

    fn lstm(&mut self, x: &str, output: &str) {
        let names = ["w", "r"].map(|name| format!("{output}.{name}"));
        for name in &names {
            self.weight(name, &[2, 8, 2]);
        }
        self.op("LSTM", &[x, &names[0], &names[1]], output);
    }

    /// Two convolutions, each behind a norm that takes the style.
    fn block(&mut self, x: &str, kernel: usize, output: &str) {
        let [one, two, mid] = ["a", "b", "mid"].map(|it| format!("{output}.{it}"));
        self.op("Mul", &[x, "scales"], &one);
        self.conv(&one, &[2, 2, kernel], &mid);
        self.op("Mul", &[&mid, "scales"], &two);
        self.conv(&two, &[2, 2, kernel], output);
    }
}

/// Every module of Kokoro, each with as little in it as there can be.
fn small() -> ModelProto {
    let mut g = Graph::default();
    g.weight("letters", &[7, 2]);
    g.weight("sounds", &[7, 2]);
    g.matmul("style", &[256, 2], "scales");
    g.op("Gather", &["letters", "tokens"], "embedded");
    g.matmul("embedded", &[2, 2], "understood");
    g.op("Add", &["understood", "scales"], "conditioned");
    g.lstm("conditioned", "encoded");
    g.op("Add", &["encoded", "scales"], "read");
    g.lstm("read", "timed");
    g.matmul("timed", &[2, 5], "logits");
    for (op, inputs, output) in [
        ("Sigmoid", &["logits"][..], "shares"),
        ("ReduceSum", &["shares", "axes"], "lengths"),
        ("Div", &["lengths", "speed"], "spoken"),
        ("Round", &["spoken"], "rounded"),
        ("Clip", &["rounded", "one"], "frames"),
        ("CumSum", &["frames", "axis"], "ends"),
        ("Greater", &["ends", "zero"], "aligned"),
        ("Gather", &["sounds", "tokens"], "text"),
    ] {
        g.op(op, inputs, output);
    }
    g.conv("text", &[2, 2, 5], "heard");
    g.lstm("heard", "written");
    g.op("MatMul", &["written", "aligned"], "asr");
    g.op("MatMul", &["read", "aligned"], "spread");
    g.lstm("spread", "shared");
    for (name, curve) in [("pitch", "pitches"), ("loud", "loudness")] {
        g.block("shared", 3, name);
        g.conv(name, &[1, 2, 1], &format!("{name}.proj"));
        g.op("Squeeze", &[&format!("{name}.proj"), "axes"], &format!("{name}.flat"));
        g.op("Unsqueeze", &[&format!("{name}.flat"), "axes"], curve);
        g.conv(curve, &[1, 1, 3], &format!("{name}.half"));
    }
    g.op("Concat", &["asr", "pitch.half", "loud.half"], "joined");
    g.block("joined", 3, "begun");
    g.conv("asr", &[2, 2, 1], "asr.less");
    g.op("Concat", &["begun", "asr.less", "pitch.half", "loud.half"], "again");
    g.transposed("again", &[4, 1, 3], 4, "pooled");
    g.block("pooled", 3, "decoded");
    g.conv("again", &[2, 4, 1], "beside");
    g.op("Add", &["decoded", "beside"], "body");
    // The harmonic source: what is left of a phase behind the whole turns.
    g.op("Floor", &["pitches"], "turns");
    g.op("Sub", &["pitches", "turns"], "part");
    g.op("CumSum", &["part", "axis"], "phase");
    g.op("Sin", &["phase"], "wave");
    g.op("RandomNormalLike", &["wave"], "breath");
    g.op("Add", &["wave", "breath"], "source");
    g.conv("source", &[2, 1, 4], "spectrum");
    g.conv("spectrum", &[2, 2, 12], "noise");
    g.block("noise", 7, "noises");
    g.transposed("body", &[2, 2, 4], 1, "raised");
    g.op("Add", &["raised", "noises"], "mixed");
    g.block("mixed", 3, "near");
    g.block("mixed", 7, "far");
    g.op("Add", &["near", "far"], "summed");
    g.conv("summed", &[2, 2, 7], "post");
    g.op("Exp", &["post"], "magnitudes");
    g.transposed("magnitudes", &[2, 1, 4], 1, "wav");
    let Graph(mut graph) = g;
    graph.initializer.extend([
        from_i64("axes", &[1], &[1]),
        from_i64("axis", &[], &[1]),
        from_f32("one", &[], &[1.0]),
        from_f32("zero", &[], &[0.0]),
    ]);
    graph.input = vec![
        value("tokens", DataType::Int64, &[1, 0]),
        value("style", DataType::Float, &[1, 256]),
        value("speed", DataType::Float, &[1]),
    ];
    graph.output = vec![value("wav", DataType::Float, &[0])];
    ModelProto {
        ir_version: Some(9),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        ..Default::default()
    }
}

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model::graph_mut(model).unwrap()
}

/// What nodes with weights are called, by what they made before.
fn imported(mut model: ModelProto) -> (ModelProto, Export) {
    let export = kokoro::import(&mut model).unwrap();
    check::model(&model).unwrap();
    (model, export)
}

/// The operators of a graph, by the module that each is in, in order.
fn layers(model: &ModelProto) -> Vec<&str> {
    let nodes = &model::graph(model).unwrap().node;
    let known = ["Conv", "ConvTranspose", "LSTM", "MatMul"];
    nodes.iter().filter(|node| known.contains(&node.op_type())).map(NodeProto::name).collect()
}

const LAYERS: [&str; 36] = [
    "predictor/text_encoder/MatMul",
    "bert/MatMul",
    "predictor/text_encoder/LSTM",
    "predictor/lstm/LSTM",
    "predictor/duration_proj/MatMul",
    "text_encoder/cnn.0/Conv",
    "text_encoder/LSTM",
    "alignment/MatMul",
    "prosody/shared/MatMul",
    "prosody/shared/LSTM",
    "prosody/F0.0/conv1/Conv",
    "prosody/F0.0/conv2/Conv",
    "prosody/F0_proj/Conv",
    "decoder/F0_conv/Conv",
    "prosody/N.0/conv1/Conv",
    "prosody/N.0/conv2/Conv",
    "prosody/N_proj/Conv",
    "decoder/N_conv/Conv",
    "decoder/encode/conv1/Conv",
    "decoder/encode/conv2/Conv",
    "decoder/asr_res/Conv",
    "decoder/decode.0/pool/ConvTranspose",
    "decoder/decode.0/conv1/Conv",
    "decoder/decode.0/conv2/Conv",
    "decoder/decode.0/conv1x1/Conv",
    "generator/source/Conv",
    "generator/noise_convs.0/Conv",
    "generator/noise_res.0/convs1.0/Conv",
    "generator/noise_res.0/convs2.0/Conv",
    "generator/ups.0/ConvTranspose",
    "generator/resblocks.0/convs1.0/Conv",
    "generator/resblocks.0/convs2.0/Conv",
    "generator/resblocks.1/convs1.0/Conv",
    "generator/resblocks.1/convs2.0/Conv",
    "generator/conv_post/Conv",
    "generator/istft/ConvTranspose",
];

#[test]
fn every_module_is_found_by_what_it_computes() {
    let (model, export) = imported(small());
    let parts = &export.parts;
    assert_eq!(
        (&*parts.tokens, &*parts.style, &*parts.speed, &*parts.audio),
        ("tokens", "style", "speed", "wav")
    );
    assert_eq!((&*parts.durations, &*parts.f0, &*parts.energy), ("frames", "pitch.proj", "loud.proj"));
    assert_eq!((export.opset, export.random, export.widened), (17, 1, 0));
    assert_eq!(layers(&model), LAYERS);
    let made: Vec<&str> = model::graph(&model).unwrap().node.iter().flat_map(outputs).collect();
    for known in [DURATIONS.value, F0.value, ENERGY.value, "audio", "decoder/F0_conv/Conv/output"] {
        assert!(made.contains(&known), "{known}");
    }
    // What has the form already keeps it.
    let (again, _) = imported(model.clone());
    assert_eq!(again, model);
}

/// The same under names that say nothing.
fn renamed(mut model: ModelProto) -> ModelProto {
    let graph = graph(&mut model);
    let mut names: HashMap<String, String> = HashMap::new();
    let mut called = |name: &mut String| {
        if !name.is_empty() {
            let count = names.len();
            let new = names.entry(name.clone()).or_insert_with(|| format!("v{count}"));
            name.clone_from(new);
        }
    };
    let infos = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    infos.for_each(|info| called(info.name.as_mut().unwrap()));
    graph.initializer.iter_mut().for_each(|tensor| called(tensor.name.as_mut().unwrap()));
    for node in &mut graph.node {
        node.name = None;
        node.input.iter_mut().chain(&mut node.output).for_each(&mut called);
    }
    model
}

#[test]
fn names_say_nothing() {
    let (model, export) = imported(renamed(small()));
    assert_eq!(layers(&model), layers(&imported(small()).0));
    assert_eq!(export.parts.tokens, "v0");
    let interface = quantizer::interface::inputs(model::graph(&model).unwrap());
    assert_eq!(interface.iter().map(|port| &*port.name).collect::<Vec<_>>(), ["tokens", "style", "speed"]);
}

#[test]
fn interfaces_of_other_types_become_those_of_every_kokoro() {
    let mut other = small();
    let graph_of_other = graph(&mut other);
    graph_of_other.input[0] = value("tokens", DataType::Int32, &[1, 0]);
    graph_of_other.input[2] = value("speed", DataType::Int32, &[]);
    let divide = graph_of_other.node.iter_mut().find(|node| node.op_type() == "Div").unwrap();
    divide.input[1] = "rate".into();
    let mut cast = node("Cast", "cast", &["speed"], &["rate"]);
    cast.attribute.push(integer_attribute("to", DataType::Float as i64));
    graph_of_other.node.push(cast);
    let (model, _) = imported(other);
    let inputs = quantizer::interface::inputs(model::graph(&model).unwrap());
    let types: BTreeMap<&str, (&str, usize)> =
        inputs.iter().map(|it| (&*it.name, (&*it.element_type, it.shape.len()))).collect();
    assert_eq!(types["tokens"], ("int64", 2));
    assert_eq!(types["speed"], ("float32", 1));

    let mut counted = small();
    graph(&mut counted).input[2] = value("speed", DataType::Int64, &[1]);
    let error = kokoro::import(&mut counted).unwrap_err();
    assert!(error.to_string().starts_with("tensor `speed`: expected a speed that is float"), "{error}");
}

#[test]
fn half_precision_is_taken_as_single_and_constants_as_initializers() {
    let mut half = small();
    let graph_of_half = graph(&mut half);
    let at = graph_of_half.initializer.iter().position(|it| it.name() == "heard.weight").unwrap();
    graph_of_half.initializer[at] = from_f16("heard.weight", &[2, 2, 5], &[0.5; 20]);
    let one = graph_of_half.initializer.iter().position(|it| it.name() == "one").unwrap();
    graph_of_half.initializer.remove(one);
    let mut constant = node("Constant", "constant", &[], &["one"]);
    constant.attribute.push(quantizer::graph::float_attribute("value_float", 1.0));
    graph_of_half.node.insert(0, constant);
    let (model, export) = imported(half);
    assert_eq!(export.widened, 1);
    let graph = model::graph(&model).unwrap();
    assert!(graph.initializer.iter().all(|it| it.data_type() != i32::from(DataType::Float16)));
    assert!(graph.node.iter().all(|node| node.op_type() != "Constant"));
    assert!(graph.initializer.iter().any(|it| it.name() == "one"));
}

#[test]
fn noise_is_held_still_at_its_mean() {
    let (mut model, _) = imported(small());
    assert_eq!(kokoro::still(graph(&mut model)), 1);
    assert_eq!(kokoro::still(graph(&mut model)), 0);
    check::model(&model).unwrap();
    let filled = graph(&mut model).node.iter().find(|node| node.op_type() == "ConstantOfShape").unwrap();
    assert_eq!(filled.output, ["breath"]);
}

#[test]
fn what_is_missing_is_said() {
    for (op, expected) in [
        ("Round", "expected durations, found none; looked for a Round"),
        ("CumSum", "expected F0, found none; looked for a CumSum"),
        ("Concat", "expected energy, found none"),
    ] {
        let mut model = small();
        for node in &mut graph(&mut model).node {
            if node.op_type() == op {
                node.op_type = Some("Identity".into());
                node.input.truncate(1);
            }
        }
        let error = kokoro::import(&mut model).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().starts_with("not a Kokoro: "), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let mut more = small();
    graph(&mut more).input.push(value("seed", DataType::Float, &[1]));
    let error = kokoro::import(&mut more).unwrap_err();
    assert!(error.to_string().contains("found `seed` beside them"), "{error}");
}

#[test]
fn the_real_one_is_known_without_its_names() {
    let folder = std::env::var_os("KOKORO_TEST_MODELS").map(std::path::PathBuf::from).expect(
        "`KOKORO_TEST_MODELS` is not set, and this test needs real models\n\
         hint: run `cargo xtask test`, which sets it",
    );
    let bytes = fs_err::read(folder.join("kokoro-v1.0.int8.onnx")).unwrap();
    let mut model = model::decode(bytes.into()).unwrap();
    // The published INT8 model is known too.
    kokoro::name_predictions(&mut model.clone()).unwrap();
    quantizer::restore::restore(graph(&mut model)).unwrap();
    let (named, export) = imported(model.clone());
    assert_eq!(export.parts.durations, "/encoder/Clip_output_0");
    assert_eq!(export.parts.f0, "/encoder/F0_proj/Conv_output_0");
    assert_eq!(export.parts.energy, "/encoder/N_proj/Conv_output_0");
    // The path of a layer is the one that its exporter left, but for the folders in front.
    let theirs = model::graph(&model).unwrap();
    let ours = model::graph(&named).unwrap();
    for (theirs, ours) in theirs.node.iter().zip(&ours.node).filter(|(node, _)| node.op_type() == "Conv") {
        if let Some((_, path)) = theirs.name().split_once("/generator/") {
            assert_eq!(ours.name(), format!("generator/{path}"));
        }
    }
    let (nameless, _) = imported(renamed(model));
    assert_eq!(layers(&nameless), layers(&named));
}
