//! Compiles `proto/onnx.proto` into `$OUT_DIR/onnx.rs`, without a `protoc` on the machine, and takes the
//! digest of this crate's sources, so that a change of the code is a change of the tool's version.

use std::error::Error;
use std::path::{Path, PathBuf};

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
