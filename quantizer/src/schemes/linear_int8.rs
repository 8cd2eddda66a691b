//! `linear-int8`: constant `MatMul` and Gemm weights as INT8, their activations quantized at run time.

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;
use regex::Regex;

use super::{Scheme, Summary};
use crate::error::Result;
use crate::graph::{View, attribute, integer, integer_attribute, is, node};
use crate::int8::{self, Channels};
use crate::proto::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};
use crate::tensor;

/// The settings of the reference result: weights per output channel, symmetric, by largest magnitude;
/// activations by `DynamicQuantizeLinear` (asymmetric uint8 per tensor); convolutions untouched, so that no
/// `ConvInteger` appears.
///
/// The int8 values and scales are those of `onnxruntime.quantization.quantize_dynamic` with
/// `per_channel=True`, `reduce_range=False`, `weight_type=QInt8` and `WeightSymmetric`, to the bit.
pub struct LinearInt8 {
    /// Nodes whose name matches stay float.
    pub exclude: Option<Regex>,
}

impl Scheme for LinearInt8 {
    fn name(&self) -> &'static str {
        "linear-int8"
    }

    fn apply(&self, graph: &mut GraphProto) -> Result<Summary> {
        let mut summary = Summary::default();
        let view = View::new(graph);
        // Weights by name and orientation: a weight that several nodes share is quantized once.
        let mut wanted: BTreeMap<(&str, bool), &TensorProto> = BTreeMap::new();
        let mut products: Vec<Option<Product<'_>>> = Vec::with_capacity(graph.node.len());
        for node in &graph.node {
            let product = self.product(node, &view, &mut summary);
            if let Some(product) = &product {
                wanted.insert((product.weight.name(), product.transposed), product.weight);
            }
            products.push(product);
        }
        let jobs: Vec<_> = wanted.into_iter().collect();
        summary.quantized = jobs.len();
        let weights = jobs
            .into_par_iter()
            .map(|((_, transposed), weight)| quantize(weight, transposed))
            .collect::<Result<Vec<_>>>()?;

        let mut quantized_activations = HashSet::new();
        let mut nodes = Vec::with_capacity(graph.node.len());
        for (node, product) in graph.node.iter().zip(&products) {
            match product {
                None => nodes.push(node.clone()),
                Some(product) => product.emit(node, &mut quantized_activations, &mut nodes),
            }
        }
        graph.node = nodes;
        graph.initializer.extend(weights.into_iter().flatten());
        Ok(summary)
    }
}

impl LinearInt8 {
    /// The node as a product this scheme quantizes, or `None`.
    fn product<'a>(
        &self,
        node: &'a NodeProto,
        view: &View<'a>,
        summary: &mut Summary,
    ) -> Option<Product<'a>> {
        if !is(node, "MatMul") && !is(node, "Gemm") {
            return None;
        }
        let weight = view.initializer(node.input.get(1)?)?;
        let named = |names: &[String]| names.first().is_some_and(|name| !name.is_empty());
        let element = tensor::element_type(weight);
        let sound = weight.dims.len() == 2
            && !weight.dims.contains(&0)
            && matches!(element, DataType::Float | DataType::Float16)
            && !view.is_input(weight.name())
            && named(&node.input)
            && named(&node.output);
        let plain = is(node, "MatMul")
            || (integer(node, "transA", 0) == 0 && one(node, "alpha") && one(node, "beta"));
        if !sound || !plain || self.exclude.as_ref().is_some_and(|pattern| pattern.is_match(node.name())) {
            summary.kept.push(weight.name().into());
            return None;
        }
        let bias = node.input.get(2).filter(|name| is(node, "Gemm") && !name.is_empty()).map(String::as_str);
        Some(Product { weight, element, transposed: integer(node, "transB", 0) == 1, bias })
    }
}

/// Whether a Gemm's factor is left out or 1.
fn one(node: &NodeProto, name: &str) -> bool {
    attribute(node, name).is_none_or(|factor| factor.f() == 1.0)
}

/// `x · W`, and `+ bias` for a Gemm that has one.
struct Product<'a> {
    weight: &'a TensorProto,
    element: DataType,
    transposed: bool,
    bias: Option<&'a str>,
}

impl Product<'_> {
    /// `DynamicQuantizeLinear` (once per activation) → `MatMulInteger` → `Cast` → `Mul` by both scales.
    fn emit(&self, old: &NodeProto, quantized: &mut HashSet<String>, nodes: &mut Vec<NodeProto>) {
        let name = old.name();
        let (x, y) = (old.input[0].as_str(), old.output[0].as_str());
        let weight = stored_name(self.weight.name(), self.transposed);
        let cast = |name: String, from: &str, to: &str, element: DataType| {
            let mut cast = node("Cast", name, &[from], &[to]);
            cast.attribute.push(integer_attribute("to", i64::from(i32::from(element))));
            cast
        };
        if quantized.insert(x.into()) {
            let mut source = x.to_string();
            if self.element == DataType::Float16 {
                // DynamicQuantizeLinear takes float32 only.
                source = format!("{x}_float");
                nodes.push(cast(format!("{x}_Cast"), x, &source, DataType::Float));
            }
            nodes.push(node(
                "DynamicQuantizeLinear",
                format!("{x}_QuantizeLinear"),
                &[&source],
                &[&format!("{x}_quantized"), &format!("{x}_scale"), &format!("{x}_zero_point")],
            ));
        }
        let (integers, floats) = (format!("{y}_integers"), format!("{y}_floats"));
        let scales = format!("{y}_scales");
        nodes.push(node(
            "MatMulInteger",
            format!("{name}_quant"),
            &[
                &format!("{x}_quantized"),
                &format!("{weight}_quantized"),
                &format!("{x}_zero_point"),
                &format!("{weight}_zero_point"),
            ],
            &[&integers],
        ));
        nodes.push(cast(format!("{name}_quant_cast"), &integers, &floats, DataType::Float));
        let factors = [&*format!("{x}_scale"), &format!("{weight}_scale")];
        nodes.push(node("Mul", format!("{name}_quant_scales"), &factors, &[&scales]));
        // What is still to come after the product decides what the product may be called.
        let after_product = if self.element == DataType::Float16 || self.bias.is_some() {
            format!("{y}_product")
        } else {
            y.to_string()
        };
        nodes.push(node("Mul", format!("{name}_quant_scaled"), &[&floats, &scales], &[&after_product]));
        let mut value = after_product;
        if self.element == DataType::Float16 {
            let narrow = if self.bias.is_some() { format!("{y}_product_half") } else { y.to_string() };
            nodes.push(cast(format!("{name}_quant_narrow"), &value, &narrow, DataType::Float16));
            value = narrow;
        }
        if let Some(bias) = self.bias {
            nodes.push(node("Add", format!("{name}_bias"), &[&value, bias], &[y]));
        }
    }
}

fn stored_name(weight: &str, transposed: bool) -> String {
    if transposed { format!("{weight}_transposed") } else { weight.to_string() }
}

/// The int8 weight `[inputs, outputs]`, one scale and one zero point per output.
fn quantize(weight: &TensorProto, transposed: bool) -> Result<[TensorProto; 3]> {
    let name = stored_name(weight.name(), transposed);
    let mut dims = tensor::shape(weight);
    let mut values = tensor::to_f32(weight)?;
    int8::check_finite(weight.name(), &values)?;
    if transposed {
        let (outputs, inputs) = (dims[0], dims[1]);
        let rows = &values;
        values = (0..inputs).flat_map(|i| (0..outputs).map(move |o| rows[o * inputs + i])).collect();
        dims.swap(0, 1);
    }
    let view = Channels::new(&dims, 1..2);
    let scales = int8::absmax_scales(&values, view);
    let levels = int8::quantize(&values, view, &scales);
    let outputs = [view.channels];
    Ok([
        tensor::from_i8(&format!("{name}_quantized"), &dims, &levels),
        tensor::from_f32(&format!("{name}_scale"), &outputs, &scales),
        tensor::from_i8(&format!("{name}_zero_point"), &outputs, &vec![0; view.channels]),
    ])
}
