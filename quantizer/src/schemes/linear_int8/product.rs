//! The nodes of one product of integers.

use std::collections::HashMap;

use super::Weight;
use crate::graph::{integer_attribute, is, node};
use crate::names::Names;
use crate::proto::{NodeProto, tensor_proto::DataType};

/// `x · W`, and `+ bias` for a Gemm that has one.
pub(super) struct Product<'a> {
    /// The node that computes it in float.
    pub(super) old: &'a NodeProto,
    pub(super) weight: &'a Weight,
}

/// An activation in levels, with its scale and its zero point.
#[derive(Clone)]
pub(super) struct Activation {
    levels: String,
    scale: String,
    zero_point: String,
}

impl Product<'_> {
    /// `DynamicQuantizeLinear` (once per activation) → `MatMulInteger` → `Cast` → `Mul` by both
    /// scales.
    pub(super) fn emit(
        &self,
        names: &mut Names,
        quantized: &mut HashMap<String, Activation>,
        nodes: &mut Vec<NodeProto>,
    ) {
        let Self { old, weight } = self;
        let (x, y) = (old.input[0].as_str(), old.output[0].as_str());
        let is_float32 = weight.element == DataType::Float;
        let bias = old.input.get(2).filter(|name| is(old, "Gemm") && !name.is_empty()).map(String::as_str);
        let mut values = Values { y, names };
        let activation = if let Some(known) = quantized.get(x) {
            known.clone()
        } else {
            let made = values.quantize(x, weight.element, nodes);
            quantized.insert(x.into(), made.clone());
            made
        };
        // A node without a name is called as its output is.
        let name = if old.name().is_empty() { y } else { old.name() };
        let integers = values.value("integers");
        let inputs = [&activation.levels, &weight.levels, &activation.zero_point, &weight.zero_point];
        let product =
            values.node("MatMulInteger", &format!("{name}_quant"), &inputs.map(String::as_str), &integers);
        nodes.push(NodeProto {
            doc_string: old.doc_string.clone(),
            metadata_props: old.metadata_props.clone(),
            ..product
        });
        let floats = values.value("floats");
        nodes.push(values.cast(&format!("{name}_quant_cast"), &integers, &floats, DataType::Float));
        let scales = values.value("scales");
        let factors = [activation.scale.as_str(), weight.scale.as_str()];
        nodes.push(values.node("Mul", &format!("{name}_quant_scales"), &factors, &scales));
        // What is still to come after the product decides what the product may be called.
        let is_last = is_float32 && bias.is_none();
        let mut value = if is_last { y.to_owned() } else { values.value("product") };
        nodes.push(values.node("Mul", &format!("{name}_quant_scaled"), &[&floats, &scales], &value));
        if !is_float32 {
            let narrow = if bias.is_some() { values.value("product_half") } else { y.to_owned() };
            nodes.push(values.cast(&format!("{name}_quant_narrow"), &value, &narrow, weight.element));
            value = narrow;
        }
        if let Some(bias) = bias {
            nodes.push(values.node("Add", &format!("{name}_bias"), &[&value, bias], y));
        }
    }
}

/// Values between `x` and `y`, and nodes, under names that are not taken.
struct Values<'a> {
    y: &'a str,
    names: &'a mut Names,
}

impl Values<'_> {
    fn value(&mut self, what: &str) -> String {
        self.names.value(&format!("{}_{what}", self.y))
    }

    fn node(&mut self, op: &str, name: &str, inputs: &[&str], output: &str) -> NodeProto {
        node(op, self.names.node(name), inputs, &[output])
    }

    fn cast(&mut self, name: &str, from: &str, to: &str, element: DataType) -> NodeProto {
        let mut cast = self.node("Cast", name, &[from], to);
        cast.attribute.push(integer_attribute("to", i64::from(i32::from(element))));
        cast
    }

    /// The levels of the activation `x`.
    fn quantize(&mut self, x: &str, element: DataType, nodes: &mut Vec<NodeProto>) -> Activation {
        let mut source = x.to_owned();
        if element != DataType::Float {
            // DynamicQuantizeLinear takes float32 only.
            source = self.names.value(&format!("{x}_float"));
            nodes.push(self.cast(&format!("{x}_Cast"), x, &source, DataType::Float));
        }
        let [levels, scale, zero_point] =
            ["quantized", "scale", "zero_point"].map(|what| self.names.value(&format!("{x}_{what}")));
        let mut quantize =
            self.node("DynamicQuantizeLinear", &format!("{x}_QuantizeLinear"), &[&source], &levels);
        quantize.output.extend([scale.clone(), zero_point.clone()]);
        nodes.push(quantize);
        Activation { levels, scale, zero_point }
    }
}
