//! Nodes that the provider leaves, and why.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use quantizer::proto::NodeProto;
use serde::Serialize;

/// What kind of thing keeps a node from being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The provider has nothing for the operator.
    Operator,
    /// It has, but not in this format.
    Format,
    /// It has, but not for a version of the operator as old as the model's.
    OperatorSet,
    /// Neither the runtime nor the model knows the shape of a value, not even how many dimensions it has.
    UnknownShape,
    /// A dimension is dynamic where it has to be known.
    DynamicDimension,
    /// A value has too many dimensions, or too few.
    Rank,
    /// A shape does not fit for another reason.
    Shape,
    /// A dimension of a convolution is longer than CoreML allows.
    LongDimension,
    /// The element type of an input or output.
    ElementType,
    /// A parameter that has to be constant is computed.
    NotConstant,
    /// A parameter is constant and has a value that is not taken.
    Parameter,
    /// An attribute has a value that is not taken.
    Attribute,
    /// What the node is fed by, what it feeds, or how many inputs and outputs it has.
    Neighbours,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Operator => "operator",
            Self::Format => "format",
            Self::OperatorSet => "operator set",
            Self::UnknownShape => "unknown shape",
            Self::DynamicDimension => "dynamic dimension",
            Self::Rank => "rank",
            Self::Shape => "shape",
            Self::LongDimension => "long dimension",
            Self::ElementType => "element type",
            Self::NotConstant => "not constant",
            Self::Parameter => "parameter",
            Self::Attribute => "attribute",
            Self::Neighbours => "neighbours",
        })
    }
}

/// Why a node is left: the first reason that the provider comes upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The kind.
    pub reason: Reason,
    /// What was expected and what was found, without names of nodes and values, so that like reasons are counted together.
    pub detail: String,
}

impl Left {
    /// With this reason.
    pub(super) fn because(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// A node that is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftNode {
    /// Its operator, with the domain if that is not ONNX's own.
    pub operator: String,
    /// Its first output, which names it within the graph; the names of nodes need not be unique.
    pub output: String,
    /// Why it is left.
    pub left: Left,
}

impl LeftNode {
    pub(super) fn new(node: &NodeProto, left: Left) -> Self {
        let output = quantizer::graph::outputs(node).next().unwrap_or_default().to_owned();
        Self { operator: operator(node), output, left }
    }
}

/// The operator of a node, with the domain if that is not ONNX's own.
pub(super) fn operator(node: &NodeProto) -> String {
    match node.domain() {
        "" | "ai.onnx" => node.op_type().to_owned(),
        domain => format!("{domain}.{}", node.op_type()),
    }
}

/// Nodes of one operator that are left for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group<'a> {
    /// The operator.
    pub operator: &'a str,
    /// The kind of the reason.
    pub reason: Reason,
    /// What was expected and what was found; empty where the kind says all.
    pub detail: &'a str,
    /// How many nodes.
    pub nodes: usize,
    /// The first output of each.
    pub outputs: Vec<&'a str>,
}

/// The nodes by operator and reason, the largest group first.
pub(super) fn groups(left: &[LeftNode]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(&str, Reason, &str), Vec<&str>> = BTreeMap::new();
    for LeftNode { operator, output, left } in left {
        groups.entry((operator, left.reason, &left.detail)).or_default().push(output);
    }
    let group = |((operator, reason, detail), outputs): (_, Vec<_>)| Group {
        operator,
        reason,
        detail,
        nodes: outputs.len(),
        outputs,
    };
    let mut groups: Vec<_> = groups.into_iter().map(group).collect();
    groups.sort_by_key(|group| Reverse(group.nodes));
    groups
}
