//! Nodes that a scheme adds, and the constants that they share.

use std::collections::BTreeMap;

use crate::graph::{integer_attribute, node};
use crate::proto::{NodeProto, TensorProto, tensor_proto::DataType};
use crate::tensor;

/// The nodes of one addition. Their names are short, since there are many.
pub struct Nodes {
    pub nodes: Vec<NodeProto>,
    pub prefix: String,
}

impl Nodes {
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { nodes: vec![], prefix: prefix.into() }
    }

    pub fn name(&self, what: &str) -> String {
        format!("{}/{what}", self.prefix)
    }

    pub fn add(&mut self, op: &str, inputs: &[&str], what: &str) -> String {
        let name = self.name(what);
        self.nodes.push(node(op, &name, inputs, &[&name]));
        name
    }

    /// Adds an integer attribute to the last node.
    pub fn with(&mut self, attribute: &str, value: i64) {
        if let Some(node) = self.nodes.last_mut() {
            node.attribute.push(integer_attribute(attribute, value));
        }
    }

    pub fn cast(&mut self, value: &str, to: DataType, what: &str) -> String {
        let name = self.add("Cast", &[value], what);
        self.with("to", i64::from(i32::from(to)));
        name
    }

    pub fn concat(&mut self, values: &[&str], axis: i64, what: &str) -> String {
        let name = self.add("Concat", values, what);
        self.with("axis", axis);
        name
    }

    /// The dimension `axis` of a value, int64 [1].
    pub fn dimension(&mut self, value: &str, axis: i64, what: &str) -> String {
        let name = self.add("Shape", &[value], what);
        self.with("start", axis);
        self.with("end", axis + 1);
        name
    }
}

/// Constants by name. One that is asked for again is the same.
#[derive(Default)]
pub struct Constants {
    pub tensors: BTreeMap<String, TensorProto>,
}

impl Constants {
    /// A list of one integer.
    pub fn integer(&mut self, value: i64) -> String {
        self.tensor(format!("edges/{value}"), |name| tensor::from_i64(name, &[1], &[value]))
    }

    /// A float without dimensions.
    pub fn float(&mut self, value: f32) -> String {
        self.tensor(format!("edges/{value:?}f"), |name| tensor::from_f32(name, &[], &[value]))
    }

    /// The integers from `first` on, int64 [1, 1, `count`].
    pub fn row(&mut self, first: i64, count: usize) -> String {
        let values: Vec<i64> = (first..).take(count).collect();
        self.tensor(format!("edges/{first}.{count}"), |name| tensor::from_i64(name, &[1, 1, count], &values))
    }

    /// The shape of a row for each channel.
    pub fn rows(&mut self) -> String {
        self.tensor("edges/rows".into(), |name| tensor::from_i64(name, &[3], &[1, -1, 1]))
    }

    fn tensor(&mut self, name: String, make: impl FnOnce(&str) -> TensorProto) -> String {
        self.tensors.entry(name.clone()).or_insert_with(|| make(&name));
        name
    }
}
