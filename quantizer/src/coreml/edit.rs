//! Putting several nodes, with the constants that they need, in the place of one.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::graph::{View, attribute, is, node};
use crate::proto::attribute_proto::AttributeType;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, tensor_proto::DataType};
use crate::rewrite::Facts;
use crate::{dead, order, tensor};

/// What the names of all constants begin with that the passes make.
pub(crate) const PREFIX: &str = "coreml/";

/// Calls `find` for each node; where it writes nodes into the draft and returns something, these take the node's place.
/// They read only what stands in front of that node. Returns how many nodes were replaced.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn replace(
    graph: &mut GraphProto,
    find: impl Fn(&NodeProto, &mut Draft<'_, '_>) -> Option<()>,
) -> Result<usize> {
    order::sort(graph)?;
    let mut made: BTreeMap<usize, Vec<NodeProto>> = BTreeMap::new();
    let mut constants = BTreeMap::new();
    {
        let view = View::new(graph);
        let facts = Facts::new(&view);
        for (index, node) in view.graph.node.iter().enumerate() {
            let mut draft = Draft { facts: &facts, of: node, nodes: vec![], constants: BTreeMap::new() };
            if find(node, &mut draft).is_some() {
                made.insert(index, draft.nodes);
                constants.append(&mut draft.constants);
            }
        }
        constants.retain(|name, _| view.initializer(name).is_none());
    }
    let count = made.len();
    if count == 0 {
        return Ok(0);
    }
    graph.initializer.extend(constants.into_values());
    for (index, node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        match made.remove(&index) {
            Some(nodes) => graph.node.extend(nodes),
            None => graph.node.push(node),
        }
    }
    dead::remove(graph);
    Ok(count)
}

/// The nodes that take the place of one.
pub struct Draft<'a, 'f> {
    /// What is known of the graph as it was.
    pub facts: &'f Facts<'a>,
    of: &'f NodeProto,
    nodes: Vec<NodeProto>,
    constants: BTreeMap<String, TensorProto>,
}

impl Draft<'_, '_> {
    /// A node whose value has a name of its own, which is returned.
    pub fn make(&mut self, op: &str, inputs: &[&str]) -> String {
        let output = self.facts.free_name(&format!("{}/{op}.{}", self.of.output[0], self.nodes.len()));
        self.nodes.push(node(op, &output, inputs, &[&output]));
        output
    }

    /// The node that makes what the replaced node made.
    pub fn finish(&mut self, op: &str, inputs: &[&str]) {
        self.finish_with(node(op, "", inputs, &[]));
    }

    /// As [`Self::finish`], with the attributes of `last`, of which name and outputs are set.
    pub fn finish_with(&mut self, last: NodeProto) {
        self.nodes.push(NodeProto { name: self.of.name.clone(), output: self.of.output.clone(), ..last });
    }

    /// A node as it is, with what the replaced node made among its outputs.
    pub fn push(&mut self, node: NodeProto) {
        self.nodes.push(node);
    }

    /// Gives the node that was made last an attribute.
    pub fn with(&mut self, attribute: AttributeProto) {
        self.nodes.last_mut().expect("a node was made").attribute.push(attribute);
    }

    /// A scalar.
    pub fn float(&mut self, value: f32) -> String {
        self.constant(&format!("float/{value:?}"), |name| tensor::from_f32(name, &[], &[value]))
    }

    /// A list of integers.
    pub fn integers(&mut self, values: &[i64]) -> String {
        let text: Vec<String> = values.iter().map(ToString::to_string).collect();
        let wanted = format!("integers/{}", text.join("_"));
        self.constant(&wanted, |name| tensor::from_i64(name, &[values.len()], values))
    }

    /// A tensor that stands in the graph as `wanted`, made by `make` of the name that it gets.
    pub fn constant(&mut self, wanted: &str, make: impl FnOnce(&str) -> TensorProto) -> String {
        let name = format!("{PREFIX}{wanted}");
        self.constants.entry(name.clone()).or_insert_with(|| make(&name));
        name
    }

    /// A tensor under a name of its own.
    pub fn tensor(&mut self, wanted: &str, make: impl FnOnce(&str) -> TensorProto) -> String {
        let name = self.facts.free_name(wanted);
        self.constants.insert(name.clone(), make(&name));
        name
    }

    /// 1 where `value` is above 0, else 0.
    pub fn is_positive(&mut self, value: &str) -> String {
        let scaled = self.enlarged(value);
        let [zero, one] = [0.0, 1.0].map(|bound| self.float(bound));
        self.make("Clip", &[&scaled, &zero, &one])
    }

    /// 1 or −1 as the sign of a float, and 0 for 0.
    pub fn sign(&mut self, value: &str) -> String {
        let scaled = self.enlarged(value);
        let [least, most] = [-1.0, 1.0].map(|bound| self.float(bound));
        self.make("Clip", &[&scaled, &least, &most])
    }

    /// A float that is 0 where `value` is, and beyond 1 or −1 where it is anything else, however small: `value` times 2²⁰⁰.
    /// As that is no float, it is done in two steps, with bounds in between, for OpenVINO merges two products in a row into one by an infinity.
    pub fn enlarged(&mut self, value: &str) -> String {
        let [large, least, most] = [2f32.powi(100), -1.0, 1.0].map(|number| self.float(number));
        let once = self.make("Mul", &[value, &large]);
        let bounded = self.make("Clip", &[&once, &least, &most]);
        self.make("Mul", &[&bounded, &large])
    }

    /// `Σ cᵢ xⁱ` by Horner's rule.
    pub fn polynomial(&mut self, x: &str, coefficients: &[f32]) -> String {
        let [lower @ .., highest] = coefficients else { unreachable!("a polynomial has coefficients") };
        let mut sum = self.float(*highest);
        for &coefficient in lower.iter().rev() {
            let product = self.make("Mul", &[x, &sum]);
            let coefficient = self.float(coefficient);
            sum = self.make("Add", &[&product, &coefficient]);
        }
        sum
    }
}

/// A list of integers as an attribute.
pub fn integers_attribute(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        ints: values.to_vec(),
        r#type: Some(AttributeType::Ints.into()),
        ..Default::default()
    }
}

/// The attribute `name` of one integer for each spatial dimension, or `default` for each of `count`.
pub fn integers_or(node: &NodeProto, name: &str, default: i64, count: usize) -> Vec<i64> {
    attribute(node, name).map_or(vec![default; count], |found| found.ints.clone())
}

/// The text attribute `name`, or the operator's default for it.
pub fn text<'a>(node: &'a NodeProto, name: &str, default: &'static str) -> &'a str {
    attribute(node, name).map_or(default, |found| std::str::from_utf8(found.s()).unwrap_or_default())
}

/// An axis that may count from the end, as a position.
pub fn position(axis: i64, rank: usize) -> Option<usize> {
    let from_start = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
    usize::try_from(from_start).ok().filter(|&axis| axis < rank)
}

/// How many dimensions the provider takes at the most, of any operator.
pub const MOST_DIMENSIONS: usize = 5;

/// Whether the provider may take what reads a value, by the number of its dimensions as far as that is known.
pub fn is_within_dimensions(value: &str, facts: &Facts<'_>) -> bool {
    facts.dims(value).is_none_or(|dims| dims.len() <= MOST_DIMENSIONS)
}

/// Whether a value provably holds float32: by what is declared, or since an operator made it that does nothing else, of
/// floats.
pub fn is_float(value: &str, facts: &Facts<'_>) -> bool {
    is_float_within(value, facts, DEPTH)
}

/// How many nodes the walk back goes through at the most.
const DEPTH: usize = 16;

/// Operators whose output is of the type of the first input.
const TYPED_AS_INPUT: [&str; 24] = [
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Sqrt",
    "Sin",
    "Cos",
    "Atan",
    "Exp",
    "Tanh",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Reshape",
    "Gather",
    "Resize",
    "Conv",
    "ConvTranspose",
    "STFT",
    "MatMul",
    "Concat",
    "Clip",
    "Floor",
    "Round",
];

fn is_float_within(value: &str, facts: &Facts<'_>, depth: usize) -> bool {
    if let Some(element) = facts.element(value) {
        return element == DataType::Float;
    }
    if let Some(stored) = facts.tensor(value) {
        return tensor::element_type(stored) == DataType::Float;
    }
    let producer = facts.view.producer(value);
    let Some(producer) = producer.filter(|node| depth > 0 && TYPED_AS_INPUT.iter().any(|op| is(node, op)))
    else {
        return false;
    };
    // Of two inputs of one type either may be the one of which it is known.
    let alike = match producer.op_type() {
        "Add" | "Sub" | "Mul" | "Div" | "Conv" | "ConvTranspose" | "MatMul" | "Concat" => 2,
        _ => 1,
    };
    producer.input.iter().take(alike).any(|input| is_float_within(input, facts, depth - 1))
}
