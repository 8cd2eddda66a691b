//! Convolutions, as a search by structure sees them.

use crate::graph::{integer, is};
use crate::proto::NodeProto;
use crate::rewrite::Facts;

/// What is known of a convolution by its weights.
pub(super) struct Convolution {
    pub(super) is_transposed: bool,
    group: i64,
    /// Channels that it takes.
    pub(super) inputs: usize,
    pub(super) kernel: usize,
}

impl Convolution {
    pub(super) fn of(node: &NodeProto, facts: &Facts<'_>) -> Option<Self> {
        let is_transposed = is(node, "ConvTranspose");
        if !is_transposed && !is(node, "Conv") {
            return None;
        }
        let dims = facts.dims(node.input.get(1)?)?;
        let [out, inputs, .., kernel] = dims[..] else { return None };
        let inputs = if is_transposed { out } else { inputs };
        let size = |dim: Option<i64>| dim.and_then(|dim| usize::try_from(dim).ok());
        Some(Self {
            is_transposed,
            group: integer(node, "group", 1),
            inputs: size(inputs)?,
            kernel: size(kernel)?,
        })
    }

    pub(super) fn is_grouped(&self) -> bool {
        self.group > 1
    }

    pub(super) fn is_wide(&self) -> bool {
        self.kernel > 1
    }
}
