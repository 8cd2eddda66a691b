//! `linear-int8`: constant `MatMul` and Gemm weights as INT8, their activations quantized at run time.

mod product;

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use regex::Regex;

use super::{Reason, Scheme, Summary};
use crate::dead;
use crate::error::Result;
use crate::fold::weight_uses;
use crate::graph::{View, attribute, integer, is, nested_mut, own_names};
use crate::int8::{self, Channels};
use crate::names::Names;
use crate::proto::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};
use crate::tensor;
use product::Product;

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

/// `DynamicQuantizeLinear` came with opset 11.
const OPSET: i64 = 11;

/// The weights that are stored as INT8, by name and orientation: a weight that several nodes share
/// is quantized once.
type Stored = BTreeMap<(String, bool), Weight>;

/// A weight as it is stored: names of its levels, scales and zero points, and the type that it had.
#[derive(Clone, Debug)]
struct Weight {
    levels: String,
    scale: String,
    zero_point: String,
    element: DataType,
}

impl Scheme for LinearInt8 {
    fn name(&self) -> &'static str {
        "linear-int8"
    }

    fn apply(&self, graph: &mut GraphProto) -> Result<Summary> {
        let mut summary = Summary::default();
        let mut names = Names::of(graph);
        self.within(graph, &Stored::new(), &mut names, &mut summary)?;
        Ok(summary)
    }

    fn is_for_functions(&self) -> bool {
        true
    }
}

impl LinearInt8 {
    /// Stores the weights that `graph` has itself, whoever uses them, and replaces the products by
    /// nodes of `graph` and of the graphs within. `outside` are weights that graphs around it
    /// store.
    fn within(
        &self,
        graph: &mut GraphProto,
        outside: &Stored,
        names: &mut Names,
        summary: &mut Summary,
    ) -> Result<()> {
        let view = View::new(graph);
        let mut wanted: BTreeMap<(&str, bool), (&NodeProto, &TensorProto)> = BTreeMap::new();
        for used in weight_uses(graph).into_iter().filter(|used| is_linear(used.node)) {
            let Some(weight) = view.initializer(used.name) else { continue };
            if !tensor::is_float(tensor::element_type(weight)) {
                continue;
            }
            match self.objection(used.node).or_else(|| objection_to(weight, &view)) {
                Some(reason) => summary.leave(weight, used.node, reason),
                None => {
                    wanted.entry((used.name, is_transposed(used.node))).or_insert((used.node, weight));
                }
            }
        }
        let quantized = wanted
            .into_par_iter()
            .map(|((_, transposed), (node, weight))| {
                Ok((transposed, node, weight, quantize(weight, transposed)?))
            })
            .collect::<Result<Vec<_>>>()?;

        let own = own_names(graph);
        let mut stored = outside.clone();
        stored.retain(|(name, _), _| !own.contains(name.as_str()));
        let mut tensors = Vec::new();
        for (transposed, node, weight, quantized) in quantized {
            match quantized {
                Ok(mut three) => {
                    names.settle(&mut [], &mut three, "");
                    let [levels, scale, zero_point] = three.each_ref().map(|tensor| tensor.name().to_owned());
                    let element = tensor::element_type(weight);
                    stored.insert(
                        (weight.name().to_owned(), transposed),
                        Weight { levels, scale, zero_point, element },
                    );
                    tensors.extend(three);
                    summary.stored(node.op_type(), OPSET);
                }
                Err(reason) => summary.leave(weight, node, reason),
            }
        }
        self.replace(graph, &stored, names);
        graph.initializer.extend(tensors);
        for inner in graph.node.iter_mut().flat_map(nested_mut) {
            self.within(inner, &stored, names, summary)?;
            dead::remove(inner);
        }
        Ok(())
    }

    /// Puts integer products in place of the nodes of `graph` whose weights are stored.
    fn replace(&self, graph: &mut GraphProto, stored: &Stored, names: &mut Names) {
        let mut activations = HashMap::new();
        let mut nodes = Vec::with_capacity(graph.node.len());
        for old in std::mem::take(&mut graph.node) {
            let weight = old.input.get(1).filter(|_| is_linear(&old) && self.objection(&old).is_none());
            match weight.and_then(|name| stored.get(&(name.clone(), is_transposed(&old)))) {
                Some(weight) => Product { old: &old, weight }.emit(names, &mut activations, &mut nodes),
                None => nodes.push(old),
            }
        }
        graph.node = nodes;
    }

    /// Why the product that `node` is cannot be one of integers, whatever its weight is.
    fn objection(&self, node: &NodeProto) -> Option<Reason> {
        let named = |names: &[String]| names.first().is_some_and(|name| !name.is_empty());
        let plain = is(node, "MatMul")
            || (integer(node, "transA", 0) == 0 && one(node, "alpha") && one(node, "beta"));
        let fixed = node.attribute.iter().all(|attribute| attribute.ref_attr_name().is_empty());
        if !named(&node.input) || !named(&node.output) {
            Some(Reason::Shape)
        } else if !plain || !fixed {
            Some(Reason::Attributes)
        } else if self.exclude.as_ref().is_some_and(|pattern| pattern.is_match(node.name())) {
            Some(Reason::Excluded)
        } else {
            None
        }
    }
}

fn is_linear(node: &NodeProto) -> bool {
    is(node, "MatMul") || is(node, "Gemm")
}

fn is_transposed(node: &NodeProto) -> bool {
    integer(node, "transB", 0) == 1
}

/// Why a weight cannot be stored, whoever uses it.
fn objection_to(weight: &TensorProto, view: &View<'_>) -> Option<Reason> {
    if view.is_input(weight.name()) {
        Some(Reason::Input)
    } else if weight.dims.len() != 2 || weight.dims.contains(&0) {
        Some(Reason::Shape)
    } else {
        None
    }
}

/// Whether a Gemm's factor is left out or 1.
fn one(node: &NodeProto, name: &str) -> bool {
    attribute(node, name).is_none_or(|factor| factor.f() == 1.0)
}

fn stored_name(weight: &str, transposed: bool) -> String {
    if transposed { format!("{weight}_transposed") } else { weight.to_string() }
}

/// The int8 weight `[inputs, outputs]`, one scale and one zero point per output; or why it cannot
/// be held so.
fn quantize(weight: &TensorProto, transposed: bool) -> Result<Result<[TensorProto; 3], Reason>> {
    let name = stored_name(weight.name(), transposed);
    let mut dims = tensor::shape(weight);
    let mut values = tensor::to_nearest_f32(weight)?;
    int8::check_numbers(weight.name(), &values)?;
    if let Err(loss) = int8::check_range(&values, tensor::largest(tensor::element_type(weight))) {
        return Ok(Err(loss.into()));
    }
    if transposed {
        let (outputs, inputs) = (dims[0], dims[1]);
        let rows = &values;
        values = (0..inputs).flat_map(|i| (0..outputs).map(move |o| rows[o * inputs + i])).collect();
        dims.swap(0, 1);
    }
    let view = Channels::new(&dims, 1..2);
    let scales = int8::absmax_scales(&values, view);
    let levels = int8::quantize(&values, view, &scales);
    if let Err(loss) = int8::check_levels(&values, &levels) {
        return Ok(Err(loss.into()));
    }
    let outputs = [view.channels];
    let levels = TensorProto {
        doc_string: weight.doc_string.clone(),
        metadata_props: weight.metadata_props.clone(),
        ..tensor::from_i8(&format!("{name}_quantized"), &dims, &levels)
    };
    Ok(Ok([
        levels,
        tensor::from_f32(&format!("{name}_scale"), &outputs, &scales),
        tensor::from_i8(&format!("{name}_zero_point"), &outputs, &vec![0; view.channels]),
    ]))
}
