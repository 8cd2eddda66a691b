//! Compiles `proto/onnx.proto` into `$OUT_DIR/onnx.rs`, without a `protoc` on the machine, and takes the
//! digest of this crate's sources, so that a change of the code is a change of the tool's version.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use protox::prost_reflect::prost_types::field_descriptor_proto::Type;
use protox::prost_reflect::prost_types::{DescriptorProto, FileDescriptorSet};
use sha2::{Digest, Sha256};

/// The workspace's folder of the schema, and the copy of it that a package has, which holds nothing from outside.
const FOLDERS: [&str; 2] = ["../proto", "proto"];
const FILE: &str = "onnx.proto";

fn main() -> Result<(), Box<dyn Error>> {
    let there = |folder: &&&str| Path::new(folder).join(FILE).is_file();
    let folder =
        FOLDERS.iter().find(there).ok_or("expected `onnx.proto` in `../proto` or `proto`, found none")?;
    let schema = Path::new(folder).join(FILE);
    println!("cargo::rerun-if-changed={}", schema.display());
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=build.rs");

    let descriptors = protox::compile([&schema], [folder])?;
    let out = std::env::var_os("OUT_DIR").ok_or("cargo sets `OUT_DIR`")?;
    fs_err::write(Path::new(&out).join("wire_schema.rs"), wire_schema(&descriptors))?;
    prost_build::Config::new()
        // Tensor payloads become slices of the one buffer that the model was decoded from.
        .bytes(["."])
        .compile_fds(descriptors)?;

    let mut sources = vec![schema];
    collect(Path::new("src"), &mut sources)?;
    sources.sort();
    let mut digest = Sha256::new();
    for source in sources {
        digest.update(fs_err::read(source)?);
    }
    let digest = digest.finalize();
    let short = digest[..6].iter().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
    println!("cargo::rustc-env=QUANTIZER_SOURCES={short:012x}");
    Ok(())
}

/// What `src/wire.rs` walks bytes by: of each message its fields, by number, with what is in them.
fn wire_schema(descriptors: &FileDescriptorSet) -> String {
    fn flatten<'a>(message: &'a DescriptorProto, scope: &str, into: &mut Vec<(String, &'a DescriptorProto)>) {
        let name = format!("{scope}.{}", message.name());
        message.nested_type.iter().for_each(|nested| flatten(nested, &name, into));
        into.push((name, message));
    }
    let mut messages = Vec::new();
    for file in &descriptors.file {
        let package = format!(".{}", file.package());
        file.message_type.iter().for_each(|message| flatten(message, &package, &mut messages));
    }
    let place = |name: &str| messages.iter().position(|(known, _)| known == name).expect("a known message");
    let mut text = String::from("&[\n");
    for (name, message) in &messages {
        let name = name.rsplit_once("onnx.").map_or(name.as_str(), |(_, own)| own);
        let _ = writeln!(text, "    Message {{ name: {name:?}, fields: &[");
        for field in &message.field {
            let content = match field.r#type() {
                Type::String => "Content::Text".to_owned(),
                Type::Message => format!("Content::Message({})", place(field.type_name())),
                _ => "Content::Other".to_owned(),
            };
            let _ = writeln!(text, "        ({}, {:?}, {content}),", field.number(), field.name());
        }
        text.push_str("    ] },\n");
    }
    text + "]"
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
