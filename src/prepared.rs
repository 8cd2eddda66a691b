//! A model prepared for a quick start: its graph as ONNX Runtime itself would optimize it, in parts that are loaded side by
//! side, and where in the artifact each weight lies.
//!
//! An artifact is a model for every runtime, so all that its weights need to become floats stands in its graph, and a
//! runtime computes that in one thread whenever it loads it, then optimizes the graph. Neither depends on anything but
//! the artifact, so `cargo xtask quantize` does both once. What it writes, `<artifact>.prepared`, holds no weights: the
//! engine takes them out of the artifact and makes floats of them itself. What is heard is the same to the bit, but where speech
//! is slowed down: its silence before and behind is not, which a model as its file is cannot be told.

mod sessions;
mod shared;
mod weights;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::error::ErrorKind;

pub(crate) use sessions::Prepared as PreparedModel;

/// The contents of a `.prepared` file: in the format of `postcard`, and behind that its CRC-32 in four bytes,
/// little-endian.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared<'a> {
    /// The size of the artifact whose weights are meant, in bytes.
    pub artifact_bytes: u64,
    /// Its CRC-32, which the engine computes whenever it loads. It tells damage, not intent: whoever can change a model in a
    /// binary can change any digest there as well.
    pub artifact_crc32: u32,
    /// The name of the input of token ids, int64 `[1, n]`.
    #[serde(borrow)]
    pub tokens: Cow<'a, str>,
    /// The name of the input of a style, float32 `[1, 256]`.
    #[serde(borrow)]
    pub style: Cow<'a, str>,
    /// The name of the input of the speed, float32 `[1]`.
    #[serde(borrow)]
    pub speed: Cow<'a, str>,
    /// The name of the output of samples.
    #[serde(borrow)]
    pub audio: Cow<'a, str>,
    /// The parts, in the order in which they are run.
    #[serde(borrow)]
    pub parts: Vec<Part<'a>>,
}

/// A graph that is loaded by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part<'a> {
    /// An ONNX model whose weights are declared as external data, or as inputs.
    #[serde(borrow)]
    pub graph: &'a [u8],
    /// The inputs of the model, and values of parts before, that it takes. One that takes nothing is run once, when it
    /// is loaded: it computes constants.
    #[serde(borrow)]
    pub inputs: Vec<Cow<'a, str>>,
    /// The values it makes.
    #[serde(borrow)]
    pub outputs: Vec<Cow<'a, str>>,
    /// The weights it uses.
    #[serde(borrow)]
    pub weights: Vec<Weight<'a>>,
}

/// A weight of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight<'a> {
    /// Its name in the graph.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The lengths of its dimensions.
    pub shape: Vec<u32>,
    /// Whether it is an input, given at each run; else the runtime has it from the beginning, and packs it for the
    /// operator that takes it.
    pub is_input: bool,
    /// How it is stored in the artifact.
    pub stored: Stored,
}

/// Where bytes lie in an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first byte.
    pub start: u64,
    /// How many there are.
    pub bytes: u64,
}

/// How a weight is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stored {
    /// As it is, little-endian.
    Plain {
        /// Its values.
        values: Span,
        /// Their type.
        element: Element,
    },
    /// As levels `L = 2ᵏ·h + l` that stand for the float32 `L · scale`.
    Levels {
        /// `h`, an int8 for each element.
        levels: Span,
        /// A float32 for each channel.
        scales: Span,
        /// How many elements of one channel lie beside each other; behind the last channel comes the first again.
        inner: u32,
        /// `l`, where the weight has more than eight bits.
        finer: Option<Finer>,
    },
}

/// The lower bits of levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finer {
    /// The bits of all elements, one after another, low bits of a byte first.
    pub packed: Span,
    /// How many bits each element has: 1, 2 or 4.
    pub bits: u32,
}

/// The type of values that are stored as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Element {
    /// IEEE 754 binary32.
    Float32,
    /// Signed bytes.
    Int8,
    /// Unsigned bytes.
    Uint8,
    /// Two's complement of four bytes.
    Int32,
    /// Two's complement of eight bytes.
    Int64,
}

impl<'a> Prepared<'a> {
    /// Reads the contents of a `.prepared` file.
    ///
    /// # Errors
    /// [`ErrorKind::PreparedDamaged`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, ErrorKind> {
        let (contents, checksum) = bytes.split_last_chunk().ok_or_else(|| damaged("it is empty"))?;
        check_sum("`.prepared` file", contents, u32::from_le_bytes(*checksum))?;
        postcard::from_bytes(contents).map_err(|error| damaged(error.to_string()))
    }

    /// The contents of the file.
    ///
    /// # Errors
    /// [`ErrorKind::PreparedDamaged`] for what the format cannot hold.
    #[cfg(feature = "probe")]
    pub fn to_bytes(&self) -> Result<Vec<u8>, ErrorKind> {
        let mut bytes = postcard::to_stdvec(self).map_err(|error| damaged(error.to_string()))?;
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        Ok(bytes)
    }
}

fn check_sum(what: &str, bytes: &[u8], expected: u32) -> Result<(), ErrorKind> {
    let found = crc32fast::hash(bytes);
    let different = || damaged(format!("expected a {what} of CRC-32 {expected:08x}, found {found:08x}"));
    if found == expected { Ok(()) } else { Err(different()) }
}

fn damaged(reason: impl Into<String>) -> ErrorKind {
    ErrorKind::PreparedDamaged { reason: reason.into() }
}
