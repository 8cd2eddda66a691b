//! `fused-int8` and `fused-float`: models for the engine of `kokoro-model`, which has operators of its own.

use std::collections::BTreeMap;

use regex::Regex;

use super::{Scheme, Summary, WeightsInt8};
use crate::calibration::Selection;
use crate::error::Result;
use crate::fuse::{self, ActivationBits};
use crate::proto::{GraphProto, NodeProto};
use crate::rewrite::{self, Pass};

/// Convolutions in INT8 whose activations are quantized as they come, with a scale for each position in time, and all other weights
/// stored as INT8; what stands between the convolutions is [fused](crate::fuse). Nothing is calibrated.
pub struct FusedInt8 {
    /// The exact rewrites that run first, in this order.
    pub rewrites: Vec<&'static Pass>,
    /// Which convolutions compute in INT8, by their names after the rewrites.
    pub convolutions: Selection,
    /// Which of these read activations of 16 bits.
    pub finer_activations: Option<Regex>,
    /// How the other weights are stored.
    pub weights: WeightsInt8,
}

impl Scheme for FusedInt8 {
    fn name(&self) -> &'static str {
        "fused-int8"
    }

    fn apply(&self, graph: &mut GraphProto) -> Result<Summary> {
        rewrite::apply(graph, self.rewrites.iter().copied())?;
        fuse::fuse(graph)?;
        let is_finer = |node: &NodeProto| {
            self.finer_activations.as_ref().is_some_and(|finer| finer.is_match(node.name()))
        };
        let convolutions = fuse::quantize(graph, |node| {
            let bits = if is_finer(node) { ActivationBits::Sixteen } else { ActivationBits::Eight };
            self.convolutions.selects(node).then_some(bits)
        })?;
        let mut summary = self.weights.apply(graph)?;
        // Notes on the shapes of inner values, many of which are gone: 150 kB of Kokoro that no runtime needs.
        graph.value_info.clear();
        summary.add(Summary {
            quantized: convolutions,
            operators: BTreeMap::from([("Conv".to_owned(), convolutions)]),
            convolutions,
            ..Summary::default()
        });
        Ok(summary)
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
        fuse::fuse(graph)?;
        fuse::convolutions(graph)?;
        graph.value_info.clear();
        Ok(Summary::default())
    }
}
