//! What can go wrong, as one type.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

use crate::vocabulary::UnknownPhoneme;

/// An error of this crate: a [kind](ErrorKind) that holds the values found, and what caused it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// What went wrong, with the values that were found.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    #[cfg(feature = "ort")]
    pub(crate) fn with_source(kind: ErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()) }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<UnknownPhoneme> for Error {
    fn from(unknown: UnknownPhoneme) -> Self {
        Self { kind: ErrorKind::UnknownPhoneme, source: Some(Box::new(unknown)) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(formatter)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// The kinds of [`Error`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no file where the runtime was said to be.
    #[error("no ONNX Runtime library at `{}`\nhint: give the path of `libonnxruntime.so`, `libonnxruntime.dylib` or `onnxruntime.dll`", path.display())]
    RuntimeMissing {
        /// The path given.
        path: PathBuf,
    },
    /// The file could not be loaded as a library, or does not export the API of ONNX Runtime.
    #[error("`{}` is not an ONNX Runtime library that this machine can load", path.display())]
    NotARuntime {
        /// The path given.
        path: PathBuf,
    },
    /// The library is ONNX Runtime, but older than the API this crate uses.
    #[error("`{}` is ONNX Runtime 1.{found}, expected 1.{needed} or newer", path.display())]
    RuntimeTooOld {
        /// The path given.
        path: PathBuf,
        /// The minor version of the library.
        found: u32,
        /// The least minor version that will do.
        needed: u32,
    },
    /// A process can hold one runtime, and it holds another.
    #[error("cannot load ONNX Runtime from `{}`: this process already runs `{}`", requested.display(), loaded.display())]
    RuntimeAlreadyLoaded {
        /// The path of the library in use.
        loaded: PathBuf,
        /// The path given now.
        requested: PathBuf,
    },
    /// The library was loaded, but would not start.
    #[error("ONNX Runtime from `{}` would not start", path.display())]
    RuntimeFailed {
        /// The path given.
        path: PathBuf,
    },
    /// The crate was built with `KOKORO_MODEL_ARTIFACT=none` or for documentation.
    #[error(
        "no model is embedded in this binary: it was built with `KOKORO_MODEL_ARTIFACT=none` or for documentation\nhint: build again without the variable, after `cargo xtask quantize`"
    )]
    NothingEmbedded,
    /// The model file could not be read.
    #[error("cannot read the model `{}`", path.display())]
    ModelUnreadable {
        /// The path given.
        path: PathBuf,
    },
    /// A session option was refused.
    #[error("ONNX Runtime refused the session option `{option}`")]
    SessionOption {
        /// The option as `key=value`.
        option: String,
    },
    /// The runtime could not make a session of the model.
    #[error("ONNX Runtime cannot load the model `{model}` ({bytes} bytes)")]
    ModelRejected {
        /// Its file, or what stands for it.
        model: String,
        /// Its size in bytes.
        bytes: u64,
    },
    /// The graph is not that of a Kokoro model.
    #[error("the model `{model}` is not a Kokoro model: expected {expected}, found {found}")]
    ModelInterface {
        /// Its file, or what stands for it.
        model: String,
        /// The inputs or outputs expected.
        expected: String,
        /// The inputs or outputs found.
        found: String,
    },
    /// There is nothing to say.
    #[error("no tokens, expected 1 to 510")]
    NoTokens,
    /// The sentence is longer than the context of the model.
    #[error("{found} tokens, expected 1 to 510\nhint: split the text at the end of a sentence or a clause")]
    TooManyTokens {
        /// How many ids were given.
        found: usize,
    },
    /// An id has no row in the embedding of the model.
    #[error("token {position} is `{id}`, expected an id in 0..{vocabulary_size}")]
    TokenOutOfVocabulary {
        /// Its index among the ids given.
        position: usize,
        /// The id.
        id: i64,
        /// The number of rows of the embedding.
        vocabulary_size: u32,
    },
    /// The style has a wrong number of values.
    #[error("a style of {found} values, expected 256")]
    StyleLength {
        /// How many values were given.
        found: usize,
    },
    /// The style has a value that is not a number, or infinite.
    #[error("value {index} of the style is `{value}`, expected a finite number")]
    StyleNotFinite {
        /// Its index.
        index: usize,
        /// The value.
        value: f32,
    },
    /// The speed is not a number, or out of range.
    #[error("speed `{found}`, expected a number from 0.1 to 10")]
    Speed {
        /// The value given.
        found: f32,
    },
    /// The file of a voice has a wrong size.
    #[error("a voice of {found} bytes, expected 522240 ([510, 1, 256] float32)")]
    VoiceSize {
        /// Its size in bytes.
        found: usize,
    },
    /// The phonemes hold a symbol the model does not know; the source is the [`UnknownPhoneme`].
    #[error("the phonemes cannot be turned into tokens")]
    UnknownPhoneme,
    /// The runtime failed while it ran the model.
    #[error("ONNX Runtime failed while running the model on {tokens} tokens")]
    Inference {
        /// How many ids were given, without the padding.
        tokens: usize,
    },
    /// The runtime failed while it ran a model that is no Kokoro.
    #[error("ONNX Runtime failed while running the model `{model}`")]
    Graph {
        /// What stands for it.
        model: String,
    },
    /// The model gave no samples.
    #[error("the model gave no audio for {tokens} tokens")]
    NoAudio {
        /// How many ids were given, without the padding.
        tokens: usize,
    },
    /// A sample is not a number, or infinite, so it cannot be written.
    #[error("sample {index} is `{value}`, expected a finite number")]
    SampleNotFinite {
        /// Its index.
        index: usize,
        /// The value.
        value: f32,
    },
    /// The audio could not be written.
    #[error("cannot write `{}`", path.display())]
    WriteAudio {
        /// The path given.
        path: PathBuf,
    },
    /// The profile could not be finished.
    #[error("ONNX Runtime could not finish the profile")]
    Profile,
}
