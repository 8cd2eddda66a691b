//! Quantizes the weights of ONNX models, as a pure library.
//!
//! The way through this crate is the way the data goes: [`model::decode`] reads the bytes into the
//! typed messages of [`proto`], [`check::validate`] refuses graphs that no runtime could order,
//! [`restore`], [`fold`] and [`rewrite`] are exact rewrites, [`calibration`] measures activations
//! inside of a graph, [`schemes`] turn one float model into one INT8 candidate, and
//! [`model::encode`] writes it; [`quantize`] is all of that in one call, for any model. [`probe`]
//! opens a graph between its parts, so that two models can be compared, and [`kokoro`] knows a
//! Kokoro by what it computes, whoever exported it.
//!
//! Pure means: no network, no ONNX Runtime, no clock, no environment, no file opened by name. The same model
//! and settings give the same bytes on every machine and with any number of threads: arithmetic is IEEE 754
//! in a stated order, and nothing is ever emitted in the order of a hash map.

pub mod calibration;
pub mod census;
pub mod check;
pub mod coreml;
pub mod dead;
pub mod durations;
pub mod error;
pub mod external;
pub mod fold;
pub mod fuse;
pub mod graph;
pub mod int8;
pub mod interface;
pub mod kokoro;
pub mod model;
pub mod names;
pub mod offgrid;
pub mod opset;
pub mod order;
pub mod prepared;
pub mod probe;
pub mod restore;
pub mod rewrite;
pub mod schemes;
pub mod tensor;
mod wire;

/// The messages of `proto/onnx.proto`, compiled by prost; tensor payloads are zero-copy [`bytes::Bytes`].
#[allow(missing_docs, clippy::pedantic)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
}

pub use error::{Error, ErrorKind};

/// Reads a model with its external data, quantizes it, and checks what came out: `bytes` are those
/// of the `.onnx` file, and `load` reads a file beside it, by a name that does not lead out of its
/// folder.
///
/// Nothing refers to other files any more then. A model that is larger than [`external::MOST`] is
/// to be [taken apart](external::outsource) before it is written.
///
/// # Errors
/// Those of [`model::decode`], [`external::inline_all`] and [`schemes::quantize`];
/// [`ErrorKind::Nothing`] for a model in which the scheme found no weight to store, with what it
/// left and why.
pub fn quantize(
    bytes: bytes::Bytes,
    load: external::Load<'_>,
    scheme: &dyn schemes::Scheme,
) -> error::Result<(proto::ModelProto, schemes::Summary)> {
    let mut model = model::decode(bytes)?;
    external::inline_all(&mut model, load)?;
    let summary = schemes::quantize(&mut model, scheme)?;
    if summary.quantized == 0 {
        return Err(Error::new(ErrorKind::Nothing, summary.nothing(scheme.name())));
    }
    Ok((model, summary))
}

/// The version of this crate and, behind the `+`, the first 48 bits of the digest of its sources: the same
/// version gives the same bytes.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+", env!("QUANTIZER_SOURCES"));
