//! Holds `proto/onnx.proto` to the standard, to the bytes of real models, and to hostile bytes.

use std::env;
use std::path::PathBuf;

use bytes::Bytes;
use prost::Message;
use protox::prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use protox::prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FieldOptions,
};
use quantizer::model;
use quantizer::proto::attribute_proto::AttributeType;
use quantizer::proto::type_proto::{Sequence, Value};
use quantizer::proto::{ModelProto, TypeProto};

/// Real files by writer, each with another part of the schema in use.
const MODELS: [(&str, &str); 4] = [
    ("kokoro-v1.0.int8.onnx", "onnxruntime.quantization on a pytorch export: integer and float `raw_data`"),
    ("silero_vad.onnx", "spox: 50 graphs nested in attributes, no initializers, `int64_data`"),
    ("silero_vad_half.onnx", "pytorch 2.3.1: nested graphs and initializers"),
    ("model_v8.onnx", "keras2onnx 1.7.0: packed `float_data`, fields present with their default values"),
];
const SMALL_MODEL: &str = "model_v8.onnx";

/// The bytes of a file that `cargo xtask test` puts in place: those of `models/test-models.toml`, and the
/// published INT8 model of `models/kokoro-v1.0.toml`.
fn read_model(name: &str) -> Bytes {
    let folder = env::var_os("KOKORO_TEST_MODELS").map(PathBuf::from).expect(
        "`KOKORO_TEST_MODELS` is not set, and this test needs real models\n\
         hint: run `cargo xtask test`, which fetches them and sets it",
    );
    let path = folder.join(name);
    let bytes = fs_err::read(path).unwrap_or_else(|error| {
        panic!("{error}\nhint: run `cargo xtask test`, which fills the folder of `KOKORO_TEST_MODELS`")
    });
    bytes.into()
}

#[test]
fn real_models_survive_decode_and_encode_byte_for_byte() {
    let mut failures = Vec::new();
    for (name, what) in MODELS {
        let original = read_model(name);
        let decoded = model::decode(original.clone()).unwrap_or_else(|error| panic!("`{name}`: {error}"));
        let mut written = Vec::with_capacity(original.len());
        model::encode(&decoded, &mut written).expect("a `Vec` takes every write");
        if original != written {
            let same = original.iter().zip(&written).take_while(|(a, b)| a == b).count();
            failures.push(format!(
                "`{name}` ({what}): {} bytes became {}, equal up to byte {same}",
                original.len(),
                written.len()
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn tensor_payloads_are_slices_of_the_file() {
    let file = read_model("silero_vad_half.onnx");
    let decoded = model::decode(file.clone()).unwrap();
    let graph = decoded.graph.unwrap();
    let payloads: Vec<&Bytes> =
        graph.initializer.iter().filter_map(|tensor| tensor.raw_data.as_ref()).collect();
    assert_eq!(payloads.len(), 15);
    for payload in payloads {
        assert!(
            file.as_ptr_range().contains(&payload.as_ptr()),
            "a payload of {} bytes is a copy",
            payload.len()
        );
    }
}

#[test]
fn the_schema_is_that_of_the_standard() {
    let set = protox::compile(["../proto/onnx.proto"], ["../proto"]).unwrap();
    let [file] = set.file.as_slice() else { panic!("the schema imports other files") };
    let package = file.package();
    let mut blocks: Vec<_> = file.enum_type.iter().map(|item| enum_block(item, package)).collect();
    for message in &file.message_type {
        message_blocks(message, package, &mut blocks);
    }
    blocks.sort();
    let syntax = if file.syntax().is_empty() { "proto2" } else { file.syntax() };
    let ours: Vec<String> = [format!("syntax {syntax}")]
        .into_iter()
        .chain(blocks.into_iter().flat_map(|(_, lines)| lines))
        .collect();
    let standard: Vec<&str> = include_str!("../fixtures/onnx-schema.txt").lines().collect();

    // Lines are compared under the name of their type, since `1 optional string name` occurs often.
    let (ours, standard) = (qualify(ours.iter().map(String::as_str)), qualify(standard.into_iter()));
    let missing: Vec<_> = standard.iter().filter(|line| !ours.contains(line)).collect();
    let extra: Vec<_> = ours.iter().filter(|line| !standard.contains(line)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing: {missing:#?}\nnot in the standard: {extra:#?}");
    assert_eq!(ours, standard);
    assert!(standard.len() > 240, "the committed table was cut to {} lines", standard.len());
}

fn qualify<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scope = "";
    let mut qualified = Vec::new();
    for line in lines {
        if !line.starts_with(' ') {
            scope = line;
        }
        qualified.push(format!("{scope}:{line}"));
    }
    qualified
}

// The table's format is that of `fixtures/onnx_schema.py`.

fn enum_block(item: &EnumDescriptorProto, scope: &str) -> (String, Vec<String>) {
    let name = format!("{scope}.{}", item.name());
    let mut values: Vec<_> = item.value.iter().collect();
    values.sort_by_key(|value| value.number());
    let lines = values.iter().map(|value| format!("  {} {}", value.number(), value.name()));
    let lines = [format!("enum {name}")].into_iter().chain(lines).collect();
    (name, lines)
}

fn message_blocks(message: &DescriptorProto, scope: &str, blocks: &mut Vec<(String, Vec<String>)>) {
    let name = format!("{scope}.{}", message.name());
    let mut fields: Vec<_> = message.field.iter().collect();
    fields.sort_by_key(|field| field.number());
    // The end of a message's reserved range is exclusive in the descriptor.
    let mut ranges: Vec<_> =
        message.reserved_range.iter().map(|range| (range.start(), range.end() - 1)).collect();
    ranges.sort_unstable();
    let mut names: Vec<_> = message.reserved_name.iter().collect();
    names.sort();

    let mut lines = vec![format!("message {name}")];
    lines.extend(fields.iter().map(|field| field_line(field, message)));
    lines.extend(ranges.iter().map(|&(first, last)| {
        if first == last { format!("  reserved {first}") } else { format!("  reserved {first} to {last}") }
    }));
    lines.extend(names.iter().map(|name| format!("  reserved {name}")));
    for item in &message.enum_type {
        blocks.push(enum_block(item, &name));
    }
    for nested in &message.nested_type {
        message_blocks(nested, &name, blocks);
    }
    blocks.push((name, lines));
}

fn field_line(field: &FieldDescriptorProto, message: &DescriptorProto) -> String {
    let label = match field.label() {
        Label::Optional => "optional",
        Label::Repeated => "repeated",
        Label::Required => "required",
    };
    let kind = match field.r#type() {
        Type::Message | Type::Enum => field.type_name().trim_start_matches('.').to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    let mut line = format!("  {} {label} {kind} {}", field.number(), field.name());
    if field.options.as_ref().is_some_and(FieldOptions::packed) {
        line += " packed";
    }
    if let Some(index) = field.oneof_index {
        line.push_str(" oneof ");
        line.push_str(message.oneof_decl[index as usize].name());
    }
    line
}

/// Decodes bytes that may be anything; what decodes must encode to something that decodes to the same bytes.
fn decodes_without_panic(bytes: Vec<u8>) -> bool {
    let Ok(model) = ModelProto::decode(Bytes::from(bytes)) else { return false };
    let once = model.encode_to_vec();
    let twice = ModelProto::decode(once.as_slice()).expect("what prost encoded").encode_to_vec();
    assert!(once == twice, "encoding is not a fixed point");
    true
}

#[test]
fn damaged_models_are_errors_and_never_panics() {
    let whole = read_model(SMALL_MODEL).to_vec();
    // A fixed seed, so that a failure comes back; SplitMix64 (Steele, Lea and Flood, 2014).
    let mut state = 0x6b6f_6b6f_726f_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    };
    // The nodes are the first 4 KiB; nearly all of the rest is tensor payloads, which take any byte. Half the
    // damage goes to the nodes.
    let structure = 4 * 1024;
    let (mut decoded, mut refused) = (0, 0);
    for round in 0..400 {
        let reach = if round % 2 == 0 { structure.min(whole.len()) } else { whole.len() };
        let mut damaged = whole.clone();
        if round % 4 < 2 {
            damaged.truncate(random(reach));
        }
        for _ in 0..=random(4) {
            let within = reach.min(damaged.len());
            if within > 0 {
                damaged[random(within)] ^= 1 << random(8);
            }
        }
        if decodes_without_panic(damaged) { decoded += 1 } else { refused += 1 }
    }
    assert!(
        decoded > 20 && refused > 100,
        "the damage tests too little: {decoded} decoded, {refused} refused"
    );
}

/// Wraps an empty message `levels` times in the length-delimited fields of `path`, innermost first in `path`,
/// and the whole in `outermost`. It is built back to front, so that time stays linear.
fn nested(levels: usize, path: &[u8], outermost: &[u8]) -> Vec<u8> {
    let mut reversed: Vec<u8> = Vec::new();
    for &field in path.iter().cycle().take(levels * path.len()).chain(outermost) {
        let mut header = vec![field << 3 | 2];
        prost::encode_length_delimiter(reversed.len(), &mut header).unwrap();
        reversed.extend(header.iter().rev());
    }
    reversed.reverse();
    reversed
}

#[test]
fn bottomless_nesting_is_an_error_and_not_a_stack_overflow() {
    // `AttributeProto.g`, `NodeProto.attribute`, `GraphProto.node`, within `ModelProto.graph`.
    let graphs = |levels| nested(levels, &[6, 5, 1], &[7]);
    // `Sequence.elem_type`, `TypeProto.sequence_type`, within `ValueInfoProto.type`, `GraphProto.input`.
    let types = |levels| nested(levels, &[1, 4], &[2, 11, 7]);
    // Groups of a field that the schema does not know, which a decoder has to skip.
    let groups = |levels: usize| [[0xa3, 0x06].repeat(levels), [0xa4, 0x06].repeat(levels)].concat();

    assert!(ModelProto::decode(graphs(30).as_slice()).is_ok(), "30 graphs deep is a legal model");
    assert!(ModelProto::decode(types(40).as_slice()).is_ok(), "40 types deep is a legal model");
    assert!(ModelProto::decode(groups(40).as_slice()).is_ok(), "40 groups deep can be skipped");
    for levels in [200, 100_000] {
        for (what, bytes) in
            [("graphs", graphs(levels)), ("types", types(levels)), ("groups", groups(levels))]
        {
            let error = ModelProto::decode(bytes.as_slice()).expect_err(what).to_string();
            assert!(error.contains("recursion limit"), "{levels} {what}: {error}");
        }
    }
}

#[test]
fn nesting_reaches_the_messages_it_names() {
    let model = ModelProto::decode(nested(1, &[6, 5, 1], &[7]).as_slice()).unwrap();
    let attribute = &model.graph.as_ref().unwrap().node[0].attribute[0];
    assert!(attribute.g.is_some() && attribute.r#type() == AttributeType::Undefined);

    let model = ModelProto::decode(nested(1, &[1, 4], &[2, 11, 7]).as_slice()).unwrap();
    let kind = model.graph.unwrap().input[0].r#type.clone().unwrap().value;
    let element = Some(Box::new(TypeProto::default()));
    assert_eq!(kind, Some(Value::SequenceType(Box::new(Sequence { elem_type: element }))));
}
