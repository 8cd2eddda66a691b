//! Compiles `proto/onnx.proto` into `$OUT_DIR/onnx.rs`, without a `protoc` on the machine, and takes the
//! digest of this crate's sources, so that a change of the code is a change of the tool's version.

use std::error::Error;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

const SCHEMA: &str = "../proto/onnx.proto";
const FOLDER: &str = "../proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SCHEMA}");
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=build.rs");

    let descriptors = protox::compile([SCHEMA], [FOLDER])?;
    prost_build::Config::new()
        // Tensor payloads become slices of the one buffer that the model was decoded from.
        .bytes(["."])
        .compile_fds(descriptors)?;

    let mut sources = vec![PathBuf::from(SCHEMA)];
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
