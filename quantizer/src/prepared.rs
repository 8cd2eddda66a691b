//! A model taken apart for a quick start: the graph as a runtime optimized it, in parts that can be loaded side by side,
//! without the weights that lie in the model already.
//!
//! Everything a runtime does when it loads a model it does again each time, in one thread: it computes what follows from
//! constants, and optimizes. Here that is done once. Of what the runtime computed, weights that the model stores are
//! taken out, since their levels can be read from the model; other constants, such as look-up tables, are computed by a
//! part of their own, which costs less than to keep them.

use std::collections::{BTreeMap, HashSet};

use regex::Regex;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{View, integer, is, outputs, used_names};
use crate::proto::{
    GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, TypeProto, ValueInfoProto,
    tensor_proto::{DataLocation, DataType},
    type_proto,
};
use crate::schemes::storage::{self, Found};
use crate::{fuse, model, order, tensor};

/// Constants of fewer bytes stay in the graph.
const SMALLEST: usize = 4096;

/// The operators that take a weight as it is. Others pack it for themselves when they are made, which is only done with
/// what is constant.
const UNPACKED: [&str; 4] = ["Conv", "ConvTranspose", "Gather", "GatherElements"];

/// A part of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<'a> {
    /// Its graph, in which weights are inputs or external data that is nowhere.
    pub model: ModelProto,
    /// The inputs of the model and values of parts before that it takes. Without any it computes constants.
    pub inputs: Vec<String>,
    /// What it makes: values for parts behind, and outputs of the model.
    pub outputs: Vec<String>,
    /// The weights that it uses.
    pub weights: Vec<Weight<'a>>,
}

/// A weight that lies in the model that was prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight<'a> {
    /// Its name in the part.
    pub name: String,
    /// Its shape.
    pub dims: Vec<i64>,
    /// Whether the part takes it as an input.
    pub is_input: bool,
    /// Where it lies.
    pub form: Form<'a>,
}

/// How a weight lies in the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Form<'a> {
    /// As it is used.
    Plain(&'a TensorProto),
    /// As levels and scales.
    Stored(Found<'a>),
}

/// Takes `optimized`, which a runtime made of `original` by computing constants and fusing nodes, apart. Nodes whose
/// names `first` matches, and all they need, become a part in front of the others, if there are any.
///
/// # Errors
/// [`ErrorKind::Graph`] for a graph with a cycle, [`ErrorKind::Unsupported`] for a constant that only the optimized model
/// has, or a value between parts whose type is not known.
pub fn take_apart<'a>(
    original: &'a ModelProto,
    optimized: &ModelProto,
    first: Option<&Regex>,
) -> Result<Vec<Part<'a>>> {
    let (from, graph) = (model::graph(original)?, model::graph(optimized)?);
    let (known, view) = (View::new(from), View::new(graph));
    let mut forms: BTreeMap<&str, Form<'a>> = BTreeMap::new();
    let mut computed: Vec<&TensorProto> = Vec::new();
    for constant in graph.initializer.iter().filter(|tensor| tensor::stored_bytes(tensor) >= SMALLEST) {
        let name = constant.name();
        if let Some(found) = storage::find(&known, name) {
            forms.insert(name, Form::Stored(found));
        } else if let Some(plain) = known.initializer(name).filter(|plain| is_same(plain, constant)) {
            forms.insert(name, Form::Plain(plain));
        } else if known.producer(name).is_some() {
            computed.push(constant);
        } else {
            let message = "expected a constant of the model, found one that only its optimized form has";
            return Err(Error::tensor(ErrorKind::Unsupported, name, message));
        }
    }

    let mut parts = Vec::new();
    if !computed.is_empty() {
        parts.push(constants(original, &known, &computed)?);
    }
    let is_first =
        needed(&view, graph.node.iter().filter(|node| first.is_some_and(|it| it.is_match(node.name()))));
    let (first, second): (Vec<usize>, Vec<usize>) =
        (0..graph.node.len()).partition(|index| is_first.contains(index));
    let computed: HashSet<&str> = computed.iter().map(|tensor| tensor.name()).collect();
    let cut = Cut { optimized, graph, view: &view, forms: &forms, computed: &computed };
    for nodes in [first, second].into_iter().filter(|nodes| !nodes.is_empty()) {
        parts.push(cut.part(&nodes)?);
    }
    Ok(parts)
}

/// The positions of `nodes` and of all nodes that they need.
fn needed<'a>(view: &View<'a>, nodes: impl Iterator<Item = &'a NodeProto>) -> HashSet<usize> {
    let mut wanted: Vec<&str> = nodes.flat_map(outputs).collect();
    let mut found = HashSet::new();
    while let Some(value) = wanted.pop() {
        if let Some(index) = view.producer_index(value)
            && found.insert(index)
        {
            wanted.extend(used_names(&view.graph.node[index]));
        }
    }
    found
}

fn is_same(a: &TensorProto, b: &TensorProto) -> bool {
    a.data_type() == b.data_type() && a.dims == b.dims && a.raw_data.is_some() && a.raw_data == b.raw_data
}

/// The part that computes what the runtime computed of `model`'s constants.
fn constants<'a>(model: &'a ModelProto, view: &View<'a>, computed: &[&TensorProto]) -> Result<Part<'a>> {
    let makers = computed.iter().filter_map(|tensor| view.producer(tensor.name()));
    let indices = needed(view, makers);
    let node: Vec<NodeProto> = view
        .graph
        .node
        .iter()
        .enumerate()
        .filter(|(index, _)| indices.contains(index))
        .map(|(_, node)| node.clone())
        .collect();
    let used: HashSet<&str> = node.iter().flat_map(used_names).collect();
    let made: HashSet<&str> = node.iter().flat_map(outputs).collect();
    let initializer =
        view.graph.initializer.iter().filter(|tensor| used.contains(tensor.name())).cloned().collect();
    if let Some(&value) = used.iter().find(|it| view.is_input(it) && !made.contains(*it)) {
        let message = "expected constants to follow from constants, found one that needs this input";
        return Err(Error::tensor(ErrorKind::Unsupported, value, message));
    }
    let output = computed.iter().map(|tensor| value(tensor.name(), tensor.data_type())).collect();
    let graph = GraphProto { initializer, output, name: view.graph.name.clone(), ..Default::default() };
    let outputs = computed.iter().map(|tensor| tensor.name().to_owned()).collect();
    let model = whole(model, GraphProto { node, ..graph })?;
    Ok(Part { model, inputs: Vec::new(), outputs, weights: Vec::new() })
}

/// What a graph is cut by.
struct Cut<'a, 'b> {
    optimized: &'b ModelProto,
    graph: &'b GraphProto,
    view: &'b View<'b>,
    forms: &'b BTreeMap<&'b str, Form<'a>>,
    computed: &'b HashSet<&'b str>,
}

impl<'a> Cut<'a, '_> {
    /// The part with the nodes at these positions.
    fn part(&self, nodes: &[usize]) -> Result<Part<'a>> {
        let own: HashSet<usize> = nodes.iter().copied().collect();
        let node: Vec<NodeProto> = nodes.iter().map(|&index| self.graph.node[index].clone()).collect();
        let (mut inputs, mut weights) = (Vec::new(), Vec::new());
        let (mut input, mut initializer) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for name in node.iter().flat_map(used_names).filter(|name| seen.insert(name.to_owned())) {
            if let Some(constant) = self.view.initializer(name) {
                if self.computed.contains(name) {
                    inputs.push(name.to_owned());
                    input.push(value(name, constant.data_type()));
                } else if let Some(form) = self.forms.get(name) {
                    let takes_it_plain = |node: &NodeProto| {
                        fuse::is_convolution(node) || UNPACKED.iter().any(|op| is(node, op))
                    };
                    let is_input = self.view.consumers(name).all(takes_it_plain);
                    if is_input {
                        input.push(value(name, constant.data_type()));
                    } else {
                        initializer.push(nowhere(constant));
                    }
                    let (name, dims) = (name.to_owned(), constant.dims.clone());
                    weights.push(Weight { name, dims, is_input, form: form.clone() });
                } else {
                    initializer.push(constant.clone());
                }
            } else if !self.view.producer_index(name).is_some_and(|index| own.contains(&index)) {
                inputs.push(name.to_owned());
                input.push(value(name, self.element(name)?.into()));
            }
        }
        let is_wanted = |name: &str| {
            let is_output = self.graph.output.iter().any(|output| output.name() == name);
            let users = self.view.consumers(name);
            is_output
                || users
                    .filter_map(|user| self.view.producer_index(outputs(user).next()?))
                    .any(|it| !own.contains(&it))
        };
        let made: Vec<&str> = node.iter().flat_map(outputs).filter(|name| is_wanted(name)).collect();
        let output =
            made.iter().map(|name| Ok(value(name, self.element(name)?.into()))).collect::<Result<_>>()?;
        let made = made.into_iter().map(ToOwned::to_owned).collect();
        let name = self.graph.name.clone();
        let graph = GraphProto { name, input, output, initializer, ..Default::default() };
        let model = whole(self.optimized, GraphProto { node: node.clone(), ..graph })?;
        Ok(Part { model, inputs, outputs: made, weights })
    }

    /// The element type of a value: as it is declared, or as the node that makes it has it.
    fn element(&self, name: &str) -> Result<DataType> {
        let mut at = name;
        // A chain of nodes that keep the type of their first input ends where a type is known, or in a cycle.
        for _ in 0..=self.graph.node.len() {
            let infos = self.graph.input.iter().chain(&self.graph.output).chain(&self.graph.value_info);
            let declared = infos.into_iter().find(|info| info.name() == at).and_then(declared);
            if let Some(element) = declared.or_else(|| self.view.initializer(at).map(tensor::element_type)) {
                return Ok(element);
            }
            let Some(node) = self.view.producer(at) else { break };
            let typed = |from: i64| DataType::try_from(from as i32).unwrap_or_default();
            at = match node.op_type() {
                "Cast" => return Ok(typed(integer(node, "to", 0))),
                "Shape" | "Size" | "NonZero" | "ArgMax" | "ArgMin" => return Ok(DataType::Int64),
                "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Not" => {
                    return Ok(DataType::Bool);
                }
                // The type of its zero point; without one it makes bytes.
                "QuantizeLinear" => match node.input.get(2) {
                    Some(zero) if !zero.is_empty() => zero,
                    _ => return Ok(DataType::Uint8),
                },
                "QLinearConv" | "QLinearMatMul" => &node.input[7],
                // The type of its scale; of its branches.
                "DequantizeLinear" | "Where" => &node.input[1],
                _ => match node.input.first() {
                    Some(first) => first,
                    None => break,
                },
            };
        }
        let message = "expected a value whose element type is known, found none declared or made";
        Err(Error::tensor(ErrorKind::Unsupported, name, message))
    }
}

fn declared(info: &ValueInfoProto) -> Option<DataType> {
    match info.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => {
            DataType::try_from(tensor.elem_type()).ok().filter(|&it| it != DataType::Undefined)
        }
        _ => None,
    }
}

/// A declaration without a shape. The runtime plans memory by comparing shapes that it knows, each with all, which takes
/// a quarter of the time it needs to load a graph of thousands of nodes, and finds next to nothing to share.
fn value(name: &str, element: i32) -> ValueInfoProto {
    let tensor = type_proto::Tensor { elem_type: Some(element), shape: None };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto { value, ..Default::default() }),
        ..Default::default()
    }
}

/// The tensor without its payload. The runtime wants a location that exists before it takes another payload in its
/// place, and a folder does.
fn nowhere(constant: &TensorProto) -> TensorProto {
    let entry =
        |key: &str, value: String| StringStringEntryProto { key: Some(key.into()), value: Some(value) };
    TensorProto {
        name: constant.name.clone(),
        data_type: constant.data_type,
        dims: constant.dims.clone(),
        data_location: Some(DataLocation::External.into()),
        external_data: vec![
            entry("location", ".".into()),
            entry("offset", "0".into()),
            entry("length", tensor::stored_bytes(constant).to_string()),
        ],
        ..Default::default()
    }
}

/// A model of `graph`, ordered, with the operator sets that it needs of those of `like`.
fn whole(like: &ModelProto, mut graph: GraphProto) -> Result<ModelProto> {
    order::sort(&mut graph)?;
    let used: HashSet<&str> = graph.node.iter().map(NodeProto::domain).collect();
    let needed = |domain: &str| matches!(domain, "" | "ai.onnx") || used.contains(domain);
    Ok(ModelProto {
        ir_version: like.ir_version,
        opset_import: like.opset_import.iter().filter(|set| needed(set.domain())).cloned().collect(),
        graph: Some(graph),
        ..Default::default()
    })
}
