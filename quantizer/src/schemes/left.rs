//! What a scheme left as it was, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::graph::{nested, outputs};
use crate::int8::Loss;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::tensor;

/// Tensors of at least as many elements are told of where no scheme looked at them.
pub const LARGE: usize = 1024;

/// A float tensor that was left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its name.
    pub name: String,
    /// The operators that use it.
    pub operators: Vec<String>,
    /// How many elements it has.
    pub elements: usize,
    /// Why.
    pub reason: Reason,
}

/// Why a tensor was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Its name or that of a node that uses it matches `exclude`.
    Excluded,
    /// It has fewer elements than the scheme stores.
    Small,
    /// It is the default of an input, which a caller may replace.
    Input,
    /// It has infinities.
    Infinite,
    /// It has values that scales of INT8 would lose.
    Range,
    /// Its shape is not one that the scheme stores for this operator.
    Shape,
    /// Its nodes want its scales along different axes.
    Disputed,
    /// An attribute of the node stands against it: a factor, a transposition, or one that a
    /// function takes from its caller.
    Attributes,
    /// It is the operand on the left.
    LeftOperand,
    /// It goes into a function of the model.
    Function,
    /// The scheme stores nothing for the operators that use it.
    Operator,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Excluded => "excluded",
            Self::Small => "too small",
            Self::Input => "default of an input, which a caller may replace",
            Self::Infinite => "has infinities",
            Self::Range => "has a range that INT8 cannot hold",
            Self::Shape => "has a shape that the scheme does not store",
            Self::Disputed => "its users want scales along different axes",
            Self::Attributes => "the attributes of its node stand against it",
            Self::LeftOperand => "is the operand on the left",
            Self::Function => "goes into a function of the model",
            Self::Operator => "the scheme stores nothing for this operator",
        })
    }
}

impl From<Loss> for Reason {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Infinite => Self::Infinite,
            Loss::Range => Self::Range,
        }
    }
}

/// A name of an operator with its domain, as a census has it.
pub(super) fn operator(node: &NodeProto) -> String {
    match node.domain() {
        "" | "ai.onnx" => node.op_type().to_owned(),
        domain => format!("{domain}.{}", node.op_type()),
    }
}

/// The float tensors of `graph` and of the graphs within that have at least [`LARGE`] elements:
/// initializers and Constants.
pub(super) fn large_floats(graph: &GraphProto) -> BTreeMap<&str, &TensorProto> {
    let mut found = BTreeMap::new();
    let is_large = |tensor: &TensorProto| {
        tensor::is_float(tensor::element_type(tensor))
            && tensor::element_count(tensor).is_ok_and(|count| count >= LARGE)
    };
    found.extend(graph.initializer.iter().filter(|it| is_large(it)).map(|tensor| (tensor.name(), tensor)));
    for node in &graph.node {
        let tensors = node.attribute.iter().filter_map(|attribute| attribute.t.as_ref());
        found.extend(outputs(node).zip(tensors.filter(|it| is_large(it))));
        nested(node).for_each(|inner| found.extend(large_floats(inner)));
    }
    found
}

/// Who uses a value, by the names of values.
pub(super) fn users(graph: &GraphProto) -> BTreeMap<&str, Vec<&NodeProto>> {
    let mut found: BTreeMap<&str, Vec<&NodeProto>> = BTreeMap::new();
    for node in &graph.node {
        for input in node.input.iter().filter(|input| !input.is_empty()) {
            found.entry(input).or_default().push(node);
        }
        for inner in nested(node) {
            for (name, nodes) in users(inner) {
                found.entry(name).or_default().extend(nodes);
            }
        }
    }
    found
}

/// What is told of a large tensor that no scheme looked at. `functions` are the operators that the
/// model brings itself.
pub(super) fn unseen(
    name: &str,
    elements: usize,
    users: &[&NodeProto],
    functions: &BTreeSet<String>,
) -> Left {
    let mut operators: Vec<String> = users.iter().map(|node| operator(node)).collect();
    operators.sort();
    operators.dedup();
    let is_left = |node: &&NodeProto| {
        ["MatMul", "Gemm"].contains(&node.op_type()) && node.input.first().is_some_and(|input| input == name)
    };
    let reason = if operators.iter().any(|operator| functions.contains(operator)) {
        Reason::Function
    } else if users.iter().any(is_left) {
        Reason::LeftOperand
    } else {
        Reason::Operator
    };
    Left { name: name.to_owned(), operators, elements, reason }
}
