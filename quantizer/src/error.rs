//! The one error type of the crate: what kind, where in the model, what was expected and found.

use std::fmt;

/// What went wrong, coarse enough for a caller to decide on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are no ONNX model: not protobuf, cut short, or without a graph.
    NotOnnx,
    /// The graph is inconsistent: a cycle, a missing or duplicate name.
    Graph,
    /// A tensor's payload contradicts its type or shape.
    Tensor,
    /// A tensor is stored in another file that may not or cannot be read.
    ExternalData,
    /// The model is sound, but this operation cannot handle it.
    Unsupported,
    /// The model is sound, and there was nothing in it to do.
    Nothing,
}

/// An error that names the node or tensor it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    at: Option<String>,
    message: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, at: None, message: message.into() }
    }

    pub(crate) fn node(kind: ErrorKind, node: &crate::proto::NodeProto, message: impl Into<String>) -> Self {
        Self { kind, at: Some(crate::graph::describe(node)), message: message.into() }
    }

    pub(crate) fn tensor(kind: ErrorKind, name: &str, message: impl Into<String>) -> Self {
        Self { kind, at: Some(format!("tensor `{name}`")), message: message.into() }
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{at}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}

/// Shorthand for the results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
