//! Exact rewrites: the same function of real numbers, from other operators or in another order.
//!
//! A [`Pass`] is one rewrite with a name, so that a plan can ask for it and a report can say what it did. Each is pure,
//! leaves a graph in which it finds nothing as it is, and finds nothing in what it wrote itself. Values that survive
//! keep their names.
//!
//! A pass goes by what it can prove from constants and shapes; where it cannot, the graph stays. It trusts the shapes
//! that the graph declares, in inputs as in `value_info`, and it looks at the nodes of the graph itself, not at those
//! of sub-graphs.

mod duplicates;
mod facts;
mod instance_norm;
mod polyphase;
mod reassociate;
mod redirect;
mod redundant;
mod shape;
mod square;

pub use duplicates::{common_subexpressions, common_tensors};
pub(crate) use facts::{Dims, Facts};
pub use instance_norm::instance_norm;
pub use polyphase::{polyphase, polyphase_where};
pub use reassociate::reassociate;
pub use redundant::redundant;
pub use square::square;

use crate::dead;
use crate::error::Result;
use crate::proto::GraphProto;

/// One exact rewrite.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// What plans and reports call it.
    pub name: &'static str,
    /// What it does, in one line.
    pub what: &'static str,
    /// Whether the results may differ in their last bits.
    pub changes_bits: bool,
    /// Rewrites the graph and returns how many times it found what it looks for.
    pub run: fn(&mut GraphProto) -> Result<usize>,
}

pub(crate) const COMMON_SUBEXPRESSIONS: Pass = Pass {
    name: "common-subexpressions",
    what: "merges nodes that compute the same from the same, and tensors of equal contents",
    changes_bits: false,
    run: common_subexpressions,
};
pub(crate) const REDUNDANT: Pass = Pass {
    name: "redundant",
    what: "removes casts, reshapes and transpositions that do nothing or undo each other",
    changes_bits: false,
    run: redundant,
};
pub(crate) const SQUARE: Pass =
    Pass { name: "square", what: "turns Pow(x, 2) into Mul(x, x)", changes_bits: false, run: square };

/// All passes, in the order in which they go best: each finds more after those in front of it.
pub const PASSES: [Pass; 5] = [
    COMMON_SUBEXPRESSIONS,
    REDUNDANT,
    Pass {
        name: "instance-norm",
        what: "turns norms over time with their scale and bias into InstanceNormalization",
        changes_bits: true,
        run: instance_norm,
    },
    SQUARE,
    Pass {
        name: "polyphase",
        what: "turns transposed convolutions into convolutions with one output channel for each phase",
        changes_bits: true,
        run: polyphase,
    },
];

/// The pass of that name.
pub fn pass(name: &str) -> Option<&'static Pass> {
    PASSES.iter().find(|pass| pass.name == name)
}

/// What a pass did to a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The name of the pass.
    pub name: &'static str,
    /// How many times it found what it looks for.
    pub rewrites: usize,
    /// How many nodes the graph had.
    pub nodes_before: usize,
    /// How many it has now, without those that nothing needs any more.
    pub nodes_after: usize,
}

/// Applies passes in the order given, and removes what nothing needs any more.
///
/// # Errors
/// Those of the passes; the graph may then be half rewritten.
pub fn apply<'a>(graph: &mut GraphProto, passes: impl IntoIterator<Item = &'a Pass>) -> Result<Vec<Applied>> {
    let apply = |pass: &Pass| {
        let nodes_before = graph.node.len();
        let rewrites = (pass.run)(graph)?;
        if rewrites > 0 {
            dead::remove(graph);
        }
        Ok(Applied { name: pass.name, rewrites, nodes_before, nodes_after: graph.node.len() })
    };
    passes.into_iter().map(apply).collect()
}
