//! `fused-int8` and `fused-float`: models for the engine of `kokoro-model`, which has operators of its own.

use super::{Scheme, StaticInt8, Summary};
use crate::error::Result;
use crate::fuse;
use crate::proto::GraphProto;
use crate::rewrite::{self, Pass};

/// `static-int8` without tables: what stands between its convolutions is [fused](crate::fuse).
///
/// [`StaticInt8::lookup_levels`] plays no part.
pub struct FusedInt8(pub StaticInt8);

impl Scheme for FusedInt8 {
    fn name(&self) -> &'static str {
        "fused-int8"
    }

    fn apply(&self, graph: &mut GraphProto) -> Result<Summary> {
        self.0.apply_with(graph, |graph, edged| fuse::fuse(graph, &edged.for_operators()).map(drop))
    }
}

/// The float model, rewritten and [fused](crate::fuse), with its weights as they are.
pub struct FusedFloat {
    /// The exact rewrites that run first, in this order.
    pub rewrites: Vec<&'static Pass>,
}

impl Scheme for FusedFloat {
    fn name(&self) -> &'static str {
        "fused-float"
    }

    fn apply(&self, graph: &mut GraphProto) -> Result<Summary> {
        rewrite::apply(graph, self.rewrites.iter().copied())?;
        fuse::fuse(graph, &fuse::Ends::default())?;
        fuse::convolutions(graph)?;
        graph.value_info.clear();
        Ok(Summary::default())
    }
}
