//! Schemes: each turns one float model into one INT8 candidate.

mod coreml_int8;
mod fused;
mod linear_int8;
mod static_int8;
pub(crate) mod storage;
mod weights_int8;

pub use coreml_int8::CoremlInt8;
pub use fused::{FusedFloat, FusedInt8};
pub use linear_int8::LinearInt8;
pub use static_int8::{EDGES, StaticInt8};
pub use storage::{Bits, Found};
pub use weights_int8::WeightsInt8;

use regex::Regex;

use crate::error::{Error, ErrorKind, Result};
use crate::proto::{GraphProto, ModelProto};
use crate::{check, dead, fold, fuse, model, order};

/// What a scheme did, for summaries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Weight tensors stored as INT8.
    pub quantized: usize,
    /// Weight tensors that were left as they are, by name.
    pub kept: Vec<String>,
    /// Weights that were computed from constants and are initializers now.
    pub folded: usize,
    /// Convolutions that compute in INT8.
    pub convolutions: usize,
}

/// A way to quantize.
pub trait Scheme {
    /// The name used in recipes and file names.
    fn name(&self) -> &'static str;

    /// Rewrites a validated graph whose weights are folded.
    ///
    /// # Errors
    /// Those of the tensors it reads.
    fn apply(&self, graph: &mut GraphProto) -> Result<Summary>;
}

/// Quantizes `model` with `scheme`: folds weights, applies the scheme, removes what is dead, sorts, validates.
///
/// # Errors
/// Those of [`check::validate`], [`fold::fold_weights`] and the scheme.
pub fn quantize(model: &mut ModelProto, scheme: &dyn Scheme) -> Result<Summary> {
    let graph = model::graph_mut(model)?;
    check::validate(graph)?;
    let folded = fold::fold_weights(graph)?;
    let summary = scheme.apply(graph)?;
    dead::remove(graph);
    order::sort(graph)?;
    check::validate(graph)?;
    fuse::declare(model);
    Ok(Summary { folded, ..summary })
}

/// Compiles an exclusion pattern; matching ignores case.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a pattern that is no regular expression.
pub fn pattern(text: &str) -> Result<Regex> {
    Regex::new(&format!("(?i:{text})")).map_err(|error| {
        Error::new(ErrorKind::Unsupported, format!("expected a regular expression, found `{text}`: {error}"))
    })
}
