//! Holds `restore` to the dynamic quantization of two tools (`fixtures/restore.py`) and to the published INT8 Kokoro.

use std::collections::BTreeSet;
use std::env;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Write};
use std::path::PathBuf;

use quantizer::graph::{View, is, node};
use quantizer::proto::{
    GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto::DataType,
};
use quantizer::restore::{Restored, restore};
use quantizer::{ErrorKind, census, check, model, tensor};

fn read(form: &str) -> ModelProto {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/restore/{form}.onnx"));
    model::decode(fs_err::read(path).unwrap().into()).unwrap()
}

fn graph(form: &str) -> GraphProto {
    read(form).graph.unwrap()
}

fn by_name<'a>(graph: &'a GraphProto, name: &str) -> &'a NodeProto {
    graph.node.iter().find(|node| node.name() == name).unwrap_or_else(|| panic!("no node `{name}`"))
}

fn by_name_mut<'a>(graph: &'a mut GraphProto, name: &str) -> &'a mut NodeProto {
    graph.node.iter_mut().find(|node| node.name() == name).unwrap_or_else(|| panic!("no node `{name}`"))
}

fn initializer<'a>(graph: &'a GraphProto, name: &str) -> &'a TensorProto {
    View::new(graph).initializer(name).unwrap_or_else(|| panic!("no initializer `{name}`"))
}

const INTEGER_OPERATORS: [&str; 6] = [
    "MatMulInteger",
    "ConvInteger",
    "com.microsoft.DynamicQuantizeLSTM",
    "DynamicQuantizeLinear",
    "DequantizeLinear",
    "Floor",
];

/// The weights of the fixture: their name, and whether an LSTM holds them transposed.
const WEIGHTS: [(&str, bool); 8] = [
    ("embedding.weight", false),
    ("conv_bias.weight", false),
    ("conv.weight", false),
    ("style.weight", false),
    ("query.weight", false),
    ("key.weight", false),
    ("lstm.W", true),
    ("lstm.R", true),
];

#[test]
fn the_float_graph_comes_back() {
    let (original, mut restored) = (graph("float"), graph("neural_compressor"));
    let counts = restore(&mut restored).unwrap();
    assert_eq!(counts, Restored { matmuls: 3, convolutions: 2, lstms: 1, gathers: 1 });
    check::validate(&restored).unwrap();

    // The tool takes the Gemm apart before it quantizes, and nothing else.
    assert_eq!(restored.node.len(), original.node.len() + 1);
    for node in &original.node {
        if is(node, "Gemm") {
            continue;
        }
        let back = by_name(&restored, node.name());
        assert_eq!((back.op_type(), back.domain()), (node.op_type(), ""), "{}", node.name());
        assert_eq!(back.input, node.input, "{}", node.name());
        assert_eq!(back.output, node.output, "{}", node.name());
        let sorted = |node: &NodeProto| {
            let mut attributes = node.attribute.clone();
            attributes.sort_by(|a, b| a.name().cmp(b.name()));
            attributes
        };
        assert_eq!(sorted(back), sorted(node), "{}", node.name());
    }
    let (product, sum) = (by_name(&restored, "/style_MatMul"), by_name(&restored, "/style_Add"));
    assert_eq!(
        (product.op_type(), &product.input[..]),
        ("MatMul", &["style".into(), "style.weight".into()][..])
    );
    assert_eq!(sum.input, [product.output[0].as_str(), "style.bias"]);
    assert_eq!(sum.output, ["/style_output"]);
}

#[test]
fn no_trace_of_quantization_is_left() {
    for form in ["neural_compressor", "onnxruntime"] {
        let mut restored = graph(form);
        let operators = census::operators(&restored);
        let present = INTEGER_OPERATORS.iter().filter(|op| operators.contains_key(**op)).count();
        assert!(present >= 5, "{form}: {operators:?}");
        restore(&mut restored).unwrap();
        let operators = census::operators(&restored);
        assert!(INTEGER_OPERATORS.iter().all(|op| !operators.contains_key(*op)), "{form}: {operators:?}");
        let types: BTreeSet<_> =
            restored.initializer.iter().map(tensor::element_type).map(i32::from).collect();
        assert_eq!(types, BTreeSet::from([DataType::Float.into(), DataType::Int64.into()]), "{form}");
    }
}

/// `(q − zero) · scale`, element by element and with explicit indices; `[outer, channels]` scales of an LSTM are
/// per direction or per gate row.
fn dequantized(quantized: &GraphProto, name: &str, transposed: bool) -> (Vec<i64>, Vec<f32>, Vec<f32>) {
    let part = |suffix: &str| initializer(quantized, &format!("{name}_{suffix}"));
    let stored = part("quantized");
    let levels = tensor::to_i64(stored).unwrap();
    let scales = tensor::to_f32(part("scale")).unwrap();
    let zeros = tensor::to_i64(part("zero_point")).unwrap();
    assert_eq!(scales.len(), zeros.len(), "{name}");
    let value = |at: usize, channel: usize| (levels[at] - zeros[channel]) as f32 * scales[channel];
    let step = |channel: usize| scales[channel];
    let dims: Vec<usize> = stored.dims.iter().map(|&dim| dim as usize).collect();
    let (mut values, mut steps) = (Vec::new(), Vec::new());
    if transposed {
        let [directions, inputs, gates] = dims[..] else { panic!("{name}: {dims:?}") };
        for direction in 0..directions {
            for gate in 0..gates {
                let channel = if scales.len() == directions { direction } else { direction * gates + gate };
                for input in 0..inputs {
                    values.push(value(direction * inputs * gates + input * gates + gate, channel));
                    steps.push(step(channel));
                }
            }
        }
        return (vec![dims[0] as i64, dims[2] as i64, dims[1] as i64], values, steps);
    }
    for at in 0..levels.len() {
        let channel = if scales.len() == 1 { 0 } else { at % dims[dims.len() - 1] };
        values.push(value(at, channel));
        steps.push(step(channel));
    }
    (stored.dims.clone(), values, steps)
}

#[test]
fn weights_are_level_minus_zero_times_scale() {
    let original = graph("float");
    for form in ["neural_compressor", "onnxruntime"] {
        let quantized = graph(form);
        let mut restored = quantized.clone();
        restore(&mut restored).unwrap();
        for (name, transposed) in WEIGHTS {
            let (dims, expected, steps) = dequantized(&quantized, name, transposed);
            let weight = initializer(&restored, name);
            assert_eq!(weight.dims, dims, "{form}: {name}");
            let values = tensor::to_f32(weight).unwrap();
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&values), bits(&expected), "{form}: {name}");

            // The tools turn the Gemm's weight; all others must lie within one step of where they came from.
            let source = initializer(&original, name);
            let mut truth = tensor::to_f32(source).unwrap();
            if name == "style.weight" {
                let (outputs, inputs) = (source.dims[0] as usize, source.dims[1] as usize);
                truth = (0..inputs * outputs).map(|at| truth[at % outputs * inputs + at / outputs]).collect();
            } else {
                assert_eq!(weight.dims, source.dims, "{form}: {name}");
            }
            for ((value, truth), step) in values.iter().zip(&truth).zip(&steps) {
                assert!((value - truth).abs() <= *step, "{form}: {name}: {value} for {truth}, step {step}");
            }
        }
    }
}

#[test]
fn what_was_never_quantized_is_untouched() {
    let quantized = graph("neural_compressor");
    let mut restored = quantized.clone();
    restore(&mut restored).unwrap();
    for name in ["/to_channels", "/relu", "/from_steps", "/join", "/styled", "/turned", "/scores", "/sigmoid"]
    {
        assert_eq!(by_name(&restored, name), by_name(&quantized, name));
    }
    for name in ["conv_bias.bias", "lstm.B", "style.bias", "joined"] {
        assert_eq!(initializer(&restored, name), initializer(&quantized, name));
    }
    assert_eq!((&restored.input, &restored.output), (&quantized.input, &quantized.output));

    // A graph without quantization is a graph that stays, but for what nothing uses.
    let original = graph("float");
    let mut same = original.clone();
    assert_eq!(restore(&mut same).unwrap(), Restored::default());
    assert_eq!((same.node, same.initializer), (original.node, original.initializer));
}

#[test]
fn a_float_bias_stays_the_add_that_the_tool_wrote() {
    let mut restored = graph("onnxruntime");
    restore(&mut restored).unwrap();
    check::validate(&restored).unwrap();
    let (convolution, add) =
        (by_name(&restored, "/conv_bias"), by_name(&restored, "/conv_bias_output_bias_add"));
    assert_eq!(convolution.input, ["/to_channels_output", "conv_bias.weight"]);
    assert_eq!(add.input[0], convolution.output[0]);
    assert_eq!(add.output, ["/conv_bias_output"]);
}

#[test]
fn the_bytes_are_the_same_twice() {
    let bytes = || {
        let mut model = read("neural_compressor");
        restore(model.graph.as_mut().unwrap()).unwrap();
        let mut bytes = Vec::new();
        model::encode(&model, &mut bytes).unwrap();
        bytes
    };
    assert_eq!(bytes(), bytes());
}

/// Takes an initializer out of the graph and makes it an input, so that it is a value but no constant.
fn ask_the_caller_for(graph: &mut GraphProto, name: &str) {
    assert!(View::new(graph).initializer(name).is_some(), "`{name}`");
    graph.initializer.retain(|tensor| tensor.name() != name);
    graph.input.push(ValueInfoProto { name: Some(name.into()), ..Default::default() });
}

fn use_again(graph: &mut GraphProto, value: &str) {
    graph.node.push(node("Neg", "second user", &[value], &["again"]));
    graph.output.push(ValueInfoProto { name: Some("again".into()), ..Default::default() });
}

type Change = fn(&mut GraphProto);

/// How a graph can differ from what the tools write, and what the message must then say.
const FOREIGN: [(&str, Change, &[&str]); 18] = [
    (
        "an integer product with two users",
        |graph| use_again(graph, "/query_output_output_quantized"),
        &["node `/query_quant` (MatMulInteger)", "one user"],
    ),
    (
        "an integer product that the graph returns",
        |graph| {
            let name = Some("/query_output_output_quantized".into());
            graph.output.push(ValueInfoProto { name, ..Default::default() });
        },
        &["node `/query_quant` (MatMulInteger)", "one user"],
    ),
    (
        "a cast product with two users",
        |graph| use_again(graph, "/query_output_output_quantized_cast_output"),
        &["node `/query_output_output_quantized_cast` (Cast)", "one user"],
    ),
    (
        "no Cast",
        |graph| {
            graph.node.retain(|node| node.name() != "/query_output_output_quantized_cast");
            by_name_mut(graph, "/query_quant_output_scale_mul").input[0] =
                "/query_output_output_quantized".into();
        },
        &["node `/query_quant_output_scale_mul` (Mul)", "Cast"],
    ),
    (
        "no Mul",
        |graph| by_name_mut(graph, "/query_quant_output_scale_mul").op_type = Some("Div".into()),
        &["node `/query_quant_output_scale_mul` (Div)", "Mul"],
    ),
    (
        "a scale that is not constant",
        |graph| ask_the_caller_for(graph, "query.weight_scale"),
        &["node `/query_quant_scales_mul` (Mul)", "constant weight scale"],
    ),
    (
        "the scale of another activation",
        |graph| by_name_mut(graph, "/query_quant_scales_mul").input[0] = "style_scale".into(),
        &["node `/query_quant_scales_mul` (Mul)", "`/styled_output_scale`"],
    ),
    (
        "the zero point of another activation",
        |graph| by_name_mut(graph, "/query_quant").input[2] = "style_zero_point".into(),
        &["node `/query_quant` (MatMulInteger)", "`/styled_output_zero_point`"],
    ),
    (
        "a zero point that is not constant",
        |graph| ask_the_caller_for(graph, "query.weight_zero_point"),
        &["node `/query_quant` (MatMulInteger)", "constant zero point `query.weight_zero_point`"],
    ),
    (
        "a weight that is not constant",
        |graph| ask_the_caller_for(graph, "conv.weight_quantized"),
        &["node `/conv_quant` (ConvInteger)", "constant at input 1, found `conv.weight_quantized`"],
    ),
    (
        "an activation that was quantized otherwise",
        |graph| by_name_mut(graph, "style_QuantizeLinear").op_type = Some("QuantizeLinear".into()),
        &["node `/style_MatMul_quant` (MatMulInteger)", "DynamicQuantizeLinear before input 0"],
    ),
    (
        "an integer bias from elsewhere",
        |graph| by_name_mut(graph, "conv_bias.bias_quantizedreshape").op_type = Some("Flatten".into()),
        &["node `conv_bias.bias_quantizedbias_add` (Add)", "a bias through Reshape"],
    ),
    (
        "a bias that is not constant",
        |graph| ask_the_caller_for(graph, "conv_bias.bias"),
        &["node `conv_bias.bias_tmp_qaunt` (Div)", "constant at input 0, found `conv_bias.bias`"],
    ),
    (
        "an LSTM without a constant scale",
        |graph| ask_the_caller_for(graph, "lstm.R_scale"),
        &["node `/lstm_quant` (com.microsoft.DynamicQuantizeLSTM)", "`lstm.R_scale`"],
    ),
    (
        "an LSTM cut short",
        |graph| by_name_mut(graph, "/lstm_quant").input.truncate(2),
        &["node `/lstm_quant` (com.microsoft.DynamicQuantizeLSTM)", "constant at input 8"],
    ),
    (
        "a look-up without a constant scale",
        |graph| ask_the_caller_for(graph, "embedding.weight_scale"),
        &["node `/embedding_quant_DequantizeLinear` (DequantizeLinear)", "`embedding.weight_scale`"],
    ),
    (
        "one weight with two scales",
        |graph| by_name_mut(graph, "/key_quant").input[1] = "query.weight_quantized".into(),
        &[
            "node `/key_quant` (MatMulInteger)",
            "one scale, zero point and layout",
            "`query.weight_quantized`",
        ],
    ),
    (
        "a float weight beside the integer one",
        |graph| {
            graph.initializer.push(tensor::from_f32("key.weight", &[1], &[0.0]));
            use_again(graph, "key.weight");
        },
        &["node `/key_quant` (MatMulInteger)", "no value called `key.weight`"],
    ),
];

#[test]
fn patterns_that_no_tool_writes_are_named() {
    let mut failures = Vec::new();
    for (what, change, expected) in FOREIGN {
        let mut graph = graph("neural_compressor");
        change(&mut graph);
        check::validate(&graph).unwrap_or_else(|error| panic!("{what}: the test's own graph: {error}"));
        match restore(&mut graph) {
            Ok(counts) => failures.push(format!("{what}: {counts:?}")),
            Err(error) => {
                let message = error.to_string();
                let says = expected.iter().all(|part| message.contains(part));
                if !says || error.kind() != ErrorKind::Unsupported {
                    failures.push(format!("{what}: {:?}: {message}", error.kind()));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn nodes_without_inputs_or_outputs_are_errors() {
    for (index, node) in graph("neural_compressor").node.iter().enumerate() {
        for change in [|node: &mut NodeProto| node.input.clear(), |node: &mut NodeProto| node.output.clear()]
        {
            let mut graph = graph("neural_compressor");
            change(&mut graph.node[index]);
            // Either answer is right, as long as it is one.
            if let Err(error) = restore(&mut graph) {
                assert!(!error.to_string().is_empty(), "{}", node.name());
            }
        }
    }
}

/// A sink that keeps only a hash: the restored Kokoro has 325 MB.
#[derive(Default)]
struct Hash(DefaultHasher, usize);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        self.1 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_published_kokoro_comes_back() {
    let folder = env::var_os("KOKORO_TEST_MODELS").map(PathBuf::from).expect(
        "`KOKORO_TEST_MODELS` is not set, and this test needs real models\n\
         hint: run `cargo xtask test`, which fetches them and sets it",
    );
    let path = folder.join("kokoro-v1.0.int8.onnx");
    let bytes = fs_err::read(path).unwrap_or_else(|error| {
        panic!("{error}\nhint: run `cargo xtask test`, which fills the folder of `KOKORO_TEST_MODELS`")
    });
    let quantized = model::decode(bytes.into()).unwrap();
    let hash = |threads: usize| {
        let mut model = quantized.clone();
        let graph = model.graph.as_mut().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let counts = pool.install(|| restore(graph)).unwrap();
        assert_eq!(counts, Restored { matmuls: 148, convolutions: 87, lstms: 6, gathers: 4 });
        check::validate(graph).unwrap();
        assert_eq!(graph.node.len(), 2366);
        let operators = census::operators(graph);
        assert!(INTEGER_OPERATORS[..5].iter().all(|op| !operators.contains_key(*op)), "{operators:?}");
        let mut hash = Hash::default();
        model::encode(&model, &mut hash).unwrap();
        (hash.0.finish(), hash.1)
    };
    let (one, four) = (hash(1), hash(4));
    assert_eq!(one, four, "hash and length with 1 and with 4 threads");
    assert!((325_000_000..326_000_000).contains(&one.1), "{} bytes", one.1);
}
