//! One node, from one operator set to a later one.

use crate::graph::{attribute, integer, integer_attribute, nested, string_attribute};
use crate::names::Names;
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto::DataType,
    type_proto,
};
use crate::tensor;

/// From where to where, and what is needed on the way.
pub(super) struct Step {
    pub(super) from: i64,
    pub(super) to: i64,
    /// Whether every number that is no integer is a float32, so that a value of that type may be
    /// put beside any.
    pub(super) only_float32: bool,
    /// Where there can be new tensors: not in functions.
    pub(super) names: Option<Names>,
    pub(super) tensors: Vec<TensorProto>,
}

/// Operators that have attributes for broadcasting before opset 7.
const BROADCAST: [&str; 11] =
    ["Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less"];

/// Operators whose axes are an attribute before opset 18; those of `ReduceSum` are before 13.
const REDUCTIONS: [&str; 9] = [
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
];

impl Step {
    /// Rewrites `node` to say the same in the later set; the error says why that cannot be.
    pub(super) fn take(&mut self, node: &mut NodeProto) -> Result<(), String> {
        if self.crosses(6) {
            drop_attribute(node, "consumed_inputs");
        }
        match node.op_type() {
            op if BROADCAST.contains(&op) && self.crosses(7) => {
                if integer(node, "broadcast", 0) == 1 && attribute(node, "axis").is_some() {
                    return Err("broadcasting along `axis` is another one since opset 7".into());
                }
                drop_attribute(node, "broadcast");
                drop_attribute(node, "axis");
            }
            "Gemm" if self.crosses(7) => drop_attribute(node, "broadcast"),
            "BatchNormalization" => {
                if self.crosses(7) {
                    expect(node, "is_test", 1, 0)?;
                }
                if self.crosses(9) {
                    expect(node, "spatial", 1, 1)?;
                }
                if self.crosses(14) && node.output.iter().filter(|output| !output.is_empty()).count() > 1 {
                    return Err(
                        "what it returns beside its result is asked for otherwise since opset 14".into()
                    );
                }
            }
            "Dropout" => {
                if self.crosses(7) {
                    expect(node, "is_test", 1, 0)?;
                }
                if self.crosses(12) {
                    // Of a model that is not trained nothing is dropped.
                    drop_attribute(node, "ratio");
                }
            }
            "LSTM" | "RNN" if self.crosses(7) => drop_attribute(node, "output_sequence"),
            "GRU" if self.crosses(7) && self.from >= 3 => drop_attribute(node, "output_sequence"),
            "Cast" if self.crosses(6) && attribute(node, "to").is_none_or(|to| to.i.is_none()) => {
                return Err("`to` is a text before opset 6".into());
            }
            "Concat" if self.crosses(4) && attribute(node, "axis").is_none() => {
                node.attribute.push(integer_attribute("axis", 1));
            }
            "Reshape" if self.crosses(5) => self.integers_to_input(node, "shape")?,
            "Split" => self.split(node)?,
            "ReduceSum" | "Squeeze" | "Unsqueeze" if self.crosses(13) => {
                self.integers_to_input(node, "axes")?
            }
            "Softmax" | "LogSoftmax" | "Hardmax" if self.crosses(13) => {
                // Before, the axes from this one on were taken for one.
                if integer(node, "axis", 1) != -1 {
                    return Err(format!("`{}` goes along one axis since opset 13", node.op_type()));
                }
            }
            "RoiAlign" if self.crosses(16) => {
                node.attribute.push(string_attribute("coordinate_transformation_mode", "output_half_pixel"));
            }
            op if REDUCTIONS.contains(&op) && self.crosses(18) => self.integers_to_input(node, "axes")?,
            "Slice" if self.crosses(10) => {
                for name in ["starts", "ends", "axes"] {
                    self.integers_to_input(node, name)?;
                }
            }
            "TopK" if self.crosses(10) => {
                let k = integer(node, "k", 0);
                let k = self.tensor(node, "k", |name| tensor::from_i64(name, &[1], &[k]))?;
                drop_attribute(node, "k");
                node.input.push(k);
            }
            "Pad" => self.pad(node)?,
            "Clip" if self.crosses(11) => self.clip(node)?,
            "Upsample" if self.crosses(11) => self.upsample(node)?,
            "Scatter" if self.crosses(11) => node.op_type = Some("ScatterElements".into()),
            op => self.refuse(op)?,
        }
        Ok(())
    }

    /// Whether the operator has another version at `version`, between the two sets.
    fn crosses(&self, version: i64) -> bool {
        self.from < version && version <= self.to
    }

    /// Refuses the operators whose meaning changed where nothing is written for them.
    fn refuse(&self, op: &str) -> Result<(), String> {
        let changed = match op {
            "GlobalLpPool" | "LpPool" => 2,
            "GRU" => 3,
            "Clip" | "Selu" | "Tile" => 6,
            "PRelu" | "Upsample" => 7,
            "Scan" => 9,
            "Resize" => 11,
            _ => return Ok(()),
        };
        if self.crosses(changed) {
            return Err(format!("`{op}` means something else since opset {changed}"));
        }
        Ok(())
    }

    /// A constant beside `node`, as a value to give to it.
    fn tensor(
        &mut self,
        node: &NodeProto,
        what: &str,
        make: impl FnOnce(&str) -> TensorProto,
    ) -> Result<String, String> {
        let names =
            self.names.as_mut().ok_or("a function has no room for the constant that it takes since then")?;
        let output = node.output.first().map_or("", String::as_str);
        let name = names.value(&format!("{output}_{what}"));
        self.tensors.push(make(&name));
        Ok(name)
    }

    /// Moves a list of integers from an attribute to the next input.
    fn integers_to_input(&mut self, node: &mut NodeProto, name: &str) -> Result<(), String> {
        let Some(values) = attribute(node, name).map(|attribute| attribute.ints.clone()) else {
            return Ok(());
        };
        let input = self.tensor(node, name, |name| tensor::from_i64(name, &[values.len()], &values))?;
        drop_attribute(node, name);
        node.input.push(input);
        Ok(())
    }

    /// A float beside values whose type the graph does not say.
    fn float_to_input(&mut self, node: &mut NodeProto, name: &str, value: f32) -> Result<(), String> {
        if !self.only_float32 {
            return Err(format!("`{name}` is an input since then, whose type the graph does not tell"));
        }
        let input = self.tensor(node, name, |name| tensor::from_f32(name, &[], &[value]))?;
        node.input.push(input);
        Ok(())
    }

    fn split(&mut self, node: &mut NodeProto) -> Result<(), String> {
        if self.crosses(2) && (node.input.len() > 1 || attribute(node, "axis").is_none()) {
            return Err("its axis and parts are given otherwise since opset 2".into());
        }
        if self.crosses(13) {
            self.integers_to_input(node, "split")?;
        }
        // Without sizes it has to be told that the parts are alike.
        if self.crosses(18) && node.input.get(1).is_none_or(String::is_empty) {
            node.attribute.push(integer_attribute("num_outputs", node.output.len() as i64));
        }
        Ok(())
    }

    fn pad(&mut self, node: &mut NodeProto) -> Result<(), String> {
        if self.crosses(2) {
            for attribute in node.attribute.iter_mut().filter(|attribute| attribute.name() == "paddings") {
                attribute.name = Some("pads".into());
            }
        }
        if self.crosses(11) {
            let value = attribute(node, "value").map_or(0.0, AttributeProto::f);
            drop_attribute(node, "value");
            self.integers_to_input(node, "pads")?;
            if value != 0.0 {
                self.float_to_input(node, "value", value)?;
            }
        }
        Ok(())
    }

    fn clip(&mut self, node: &mut NodeProto) -> Result<(), String> {
        self.refuse("Clip")?;
        for name in ["min", "max"] {
            match attribute(node, name).map(AttributeProto::f) {
                Some(bound) => self.float_to_input(node, name, bound)?,
                None => node.input.push(String::new()),
            }
            drop_attribute(node, name);
        }
        while node.input.last().is_some_and(String::is_empty) {
            node.input.pop();
        }
        Ok(())
    }

    /// Resize does the same with these attributes.
    fn upsample(&mut self, node: &mut NodeProto) -> Result<(), String> {
        self.refuse("Upsample")?;
        let roi = self.tensor(node, "roi", |name| tensor::from_f32(name, &[0], &[]))?;
        if let Some(scales) = attribute(node, "scales").map(|attribute| attribute.floats.clone()) {
            let scales =
                self.tensor(node, "scales", |name| tensor::from_f32(name, &[scales.len()], &scales))?;
            node.input.push(scales);
            drop_attribute(node, "scales");
        }
        node.input.insert(1.min(node.input.len()), roi);
        node.op_type = Some("Resize".into());
        node.attribute.extend([
            string_attribute("coordinate_transformation_mode", "asymmetric"),
            string_attribute("nearest_mode", "floor"),
        ]);
        Ok(())
    }
}

fn drop_attribute(node: &mut NodeProto, name: &str) {
    node.attribute.retain(|attribute| attribute.name() != name);
}

/// Drops an attribute that later sets do not have and that has to be `expected` for them to mean
/// the same.
fn expect(node: &mut NodeProto, name: &str, expected: i64, default: i64) -> Result<(), String> {
    let found = integer(node, name, default);
    if found != expected {
        return Err(format!("`{name}` is {found}, which later sets do not have"));
    }
    drop_attribute(node, name);
    Ok(())
}

/// Whether no tensor and no declared value of the model is a float of another width than 32 bits.
pub(super) fn has_only_float32(model: &ModelProto) -> bool {
    fn nodes(nodes: &[NodeProto]) -> bool {
        nodes.iter().all(|node| {
            let tensors =
                node.attribute.iter().flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors));
            let cast = DataType::try_from(integer(node, "to", 0) as i32).unwrap_or_default();
            tensors.map(tensor::element_type).all(fine) && fine(cast) && nested(node).all(graph)
        })
    }
    fn graph(graph: &GraphProto) -> bool {
        let infos = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
        graph.initializer.iter().map(tensor::element_type).all(fine)
            && infos.map(element).all(fine)
            && nodes(&graph.node)
    }
    fn fine(element: DataType) -> bool {
        element == DataType::Float || !tensor::is_float(element)
    }
    fn element(info: &ValueInfoProto) -> DataType {
        match info.r#type.as_ref().and_then(|it| it.value.as_ref()) {
            Some(type_proto::Value::TensorType(tensor)) => {
                DataType::try_from(tensor.elem_type()).unwrap_or_default()
            }
            _ => DataType::Undefined,
        }
    }
    model.graph.as_ref().is_none_or(graph) && model.functions.iter().all(|function| nodes(&function.node))
}
