//! Schemes: each turns one float model into one INT8 candidate.

mod coreml_int8;
mod fused;
mod left;
mod linear_int8;
mod static_int8;
pub(crate) mod storage;
mod weights_int8;

pub use coreml_int8::CoremlInt8;
pub use fused::{FusedFloat, FusedInt8};
pub use left::{LARGE, Left, Reason};
pub use linear_int8::LinearInt8;
pub use static_int8::{EDGES, StaticInt8};
pub use storage::{Bits, Found};
pub use weights_int8::WeightsInt8;

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{node, tensor_attribute};
use crate::proto::{FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::{check, dead, fold, fuse, model, opset, order, tensor};

/// What a scheme did, for summaries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Weight tensors stored as INT8.
    pub quantized: usize,
    /// Weight tensors stored as INT8, by the operator that uses each first.
    pub operators: BTreeMap<String, usize>,
    /// Weights that the scheme looked at and left, whatever their size, and large float tensors
    /// that it did not look at.
    pub left: Vec<Left>,
    /// Weights that were computed from constants and are initializers now.
    pub folded: usize,
    /// Convolutions that compute in INT8.
    pub convolutions: usize,
    /// The least operator set that has what was written.
    pub opset: i64,
}

impl Summary {
    /// What to say where nothing was quantized.
    pub fn nothing(&self, scheme: &str) -> String {
        let mut reasons: BTreeMap<Reason, usize> = BTreeMap::new();
        for left in &self.left {
            *reasons.entry(left.reason).or_default() += 1;
        }
        let reasons: Vec<String> =
            reasons.into_iter().map(|(reason, count)| format!("{count}: {reason}")).collect();
        let left = if reasons.is_empty() {
            format!("the model has no float weights of at least {LARGE} elements")
        } else {
            format!("what it left, with the reasons: {}", reasons.join("; "))
        };
        format!("expected weights that {scheme} stores, found none; {left}")
    }

    fn stored(&mut self, operator: &str, opset: i64) {
        self.quantized += 1;
        *self.operators.entry(operator.to_owned()).or_default() += 1;
        self.opset = self.opset.max(opset);
    }

    fn leave(&mut self, weight: &TensorProto, node: &NodeProto, reason: Reason) {
        let elements = tensor::element_count(weight).unwrap_or(0);
        let (name, operator) = (weight.name().to_owned(), left::operator(node));
        self.left.push(Left { name, operators: vec![operator], elements, reason });
    }

    fn add(&mut self, other: Self) {
        self.quantized += other.quantized;
        for (operator, count) in other.operators {
            *self.operators.entry(operator).or_default() += count;
        }
        self.left.extend(other.left);
        self.folded += other.folded;
        self.convolutions += other.convolutions;
        self.opset = self.opset.max(other.opset);
    }
}

/// A way to quantize.
pub trait Scheme {
    /// The name used in recipes and file names.
    fn name(&self) -> &'static str;

    /// Rewrites a validated graph whose weights are folded.
    ///
    /// # Errors
    /// Those of the tensors it reads.
    fn apply(&self, graph: &mut GraphProto) -> Result<Summary>;

    /// Whether the scheme is applied to the bodies of the model's functions as well.
    fn is_for_functions(&self) -> bool {
        false
    }

    /// The least operator set that has what the scheme writes, where its [`Summary`] does not tell.
    fn opset(&self) -> i64 {
        0
    }
}

/// Quantizes `model` with `scheme`: folds weights, applies the scheme, removes what is dead, sorts, validates.
///
/// A model of an older operator set than the scheme needs is [raised](opset) where that is exact. A
/// model in which the scheme finds nothing is no error here: the [`Summary`] says so.
///
/// # Errors
/// Those of [`check::model`], [`fold::fold_weights`] and the scheme; [`ErrorKind::Unsupported`] for
/// a model whose operator set cannot be raised.
pub fn quantize(model: &mut ModelProto, scheme: &dyn Scheme) -> Result<Summary> {
    check::model(model)?;
    opset::make_initializers_constant(model)?;
    let functions: BTreeSet<String> =
        model.functions.iter().map(|it| format!("{}.{}", it.domain(), it.name())).collect();
    let graph = model::graph_mut(model)?;
    let replaceable: BTreeSet<String> = replaceable(graph).map(ToOwned::to_owned).collect();
    let folded = fold::fold_weights(graph)?;
    let mut summary = apply(graph, scheme, &functions)?;
    summary.folded = folded;
    if let Some(name) = replaceable_now(graph, &replaceable) {
        let message = "expected no input of the name that a new constant has, found this one";
        return Err(Error::tensor(ErrorKind::Unsupported, &name, message));
    }
    if scheme.is_for_functions() {
        for function in &mut model.functions {
            summary.add(apply_to_function(function, scheme, &functions)?);
        }
    }
    if summary.quantized > 0 {
        opset::raise(model, summary.opset.max(scheme.opset()))?;
    }
    let graph = model::graph_mut(model)?;
    dead::remove(graph);
    order::sort(graph)?;
    check::model(model)?;
    fuse::declare(model);
    Ok(summary)
}

/// The inputs that have a default.
fn replaceable(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let inputs: BTreeSet<&str> = graph.input.iter().map(ValueInfoProto::name).collect();
    graph.initializer.iter().map(TensorProto::name).filter(move |name| inputs.contains(name))
}

fn replaceable_now(graph: &GraphProto, before: &BTreeSet<String>) -> Option<String> {
    replaceable(graph).find(|name| !before.contains(*name)).map(ToOwned::to_owned)
}

/// Applies `scheme` to a graph, and tells of large tensors that were left without a look.
fn apply(graph: &mut GraphProto, scheme: &dyn Scheme, functions: &BTreeSet<String>) -> Result<Summary> {
    let before: BTreeMap<String, usize> = left::large_floats(graph)
        .into_iter()
        .map(|(name, tensor)| (name.to_owned(), tensor::element_count(tensor).unwrap_or(0)))
        .collect();
    let mut summary = scheme.apply(graph)?;
    let told: BTreeSet<&str> = summary.left.iter().map(|left| left.name.as_str()).collect();
    let (after, users) = (left::large_floats(graph), left::users(graph));
    let unseen =
        before.iter().filter(|(name, _)| after.contains_key(name.as_str()) && !told.contains(name.as_str()));
    let unseen = unseen.filter_map(|(name, &elements)| {
        // What nothing uses any more is about to be removed.
        users.get(name.as_str()).map(|users| left::unseen(name, elements, users, functions))
    });
    let unseen: Vec<Left> = unseen.collect();
    summary.left.extend(unseen);
    Ok(summary)
}

/// Applies `scheme` to the body of a function, whose weights are Constants.
fn apply_to_function(
    function: &mut FunctionProto,
    scheme: &dyn Scheme,
    functions: &BTreeSet<String>,
) -> Result<Summary> {
    let value = |name: &String| ValueInfoProto { name: Some(name.clone()), ..Default::default() };
    let mut body = GraphProto {
        node: function.node.clone(),
        input: function.input.iter().map(value).collect(),
        output: function.output.iter().map(value).collect(),
        value_info: function.value_info.clone(),
        ..Default::default()
    };
    let folded = fold::fold_weights(&mut body)?;
    let mut summary = apply(&mut body, scheme, functions)?;
    if summary.quantized == 0 {
        return Ok(summary);
    }
    summary.folded = folded;
    dead::remove(&mut body);
    order::sort(&mut body)?;
    let constants = body.initializer.into_iter().map(|tensor| {
        let name = tensor.name().to_owned();
        let value = tensor_attribute("value", tensor);
        NodeProto { attribute: vec![value], ..node("Constant", format!("{name}_Constant"), &[], &[&name]) }
    });
    function.node = constants.chain(body.node).collect();
    function.value_info = body.value_info;
    Ok(summary)
}

/// Compiles an exclusion pattern; matching ignores case.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a pattern that is no regular expression.
pub fn pattern(text: &str) -> Result<Regex> {
    Regex::new(&format!("(?i:{text})")).map_err(|error| {
        Error::new(ErrorKind::Unsupported, format!("expected a regular expression, found `{text}`: {error}"))
    })
}
