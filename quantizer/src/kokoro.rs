//! Any export of Kokoro, brought into one form.
//!
//! The same model comes under many names: exporters call values and nodes as they like, inputs too,
//! take the speed as an integer, or compute in half precision. What a value is follows from what it
//! computes, so everything is found by that: [`Parts`] are the values that have a meaning, and every
//! node is named by the module of the reference implementation that it is of. What is said of
//! Kokoro's modules in a recipe so holds for any export.
//!
//! The architecture: Kokoro-82M (hexgrad 2025), after `StyleTTS` 2 (Li et al. 2023,
//! arXiv:2306.07691) with the vocoder `iSTFTNet` (Kaneko et al. 2022, arXiv:2203.02395).

mod constants;
mod parts;
mod reach;
mod roles;
mod widen;

pub use parts::Parts;

use std::collections::{HashMap, HashSet};

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{View, integer_attribute, is, nested_mut, node, own_names};
use crate::names::Names;
use crate::probe::Point;
use crate::proto::{
    GraphProto, ModelProto, NodeProto, TypeProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto,
    type_proto,
};
use crate::rewrite::{self, Facts};
use crate::{check, dead, fold, model, opset, order, tensor};

/// The names that the inputs and the samples of an imported model have.
pub const TOKENS: &str = "tokens";
/// The style, float32 \[1, 256\].
pub const STYLE: &str = "style";
/// The speed, float32 \[1\].
pub const SPEED: &str = "speed";
/// The samples, float32.
pub const AUDIO: &str = "audio";

/// The predictions of an imported model: inner values that a probe can open.
pub const DURATIONS: Point<'static> = Point { value: "kokoro/durations", element: DataType::Float, rank: 2 };
/// F0 in Hz.
pub const F0: Point<'static> = Point { value: "kokoro/f0", element: DataType::Float, rank: 3 };
/// Energy.
pub const ENERGY: Point<'static> = Point { value: "kokoro/energy", element: DataType::Float, rank: 3 };

/// The entries of `metadata_props` by which a model may name its predictions itself, for one that
/// computes them in a way of its own. Its inputs and samples then have the names of an imported one.
pub const NAMED: [&str; 3] = ["kokoro.durations", "kokoro.f0", "kokoro.energy"];

/// Operators that draw numbers, so that a model never says the same twice.
const RANDOM: [&str; 5] =
    ["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli"];

/// What an export was before it was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// What its values were called.
    pub parts: Parts,
    /// The version of the ONNX operator set.
    pub opset: i64,
    /// Nodes that draw random numbers.
    pub random: usize,
    /// Tensors that were in half precision.
    pub widened: usize,
    /// Weights that are computed from constants.
    pub folded: usize,
    /// Nodes of each module; none where the model [names](NAMED) its predictions.
    pub modules: Vec<(String, usize)>,
}

/// Brings a float Kokoro into the form that recipes and probes speak of: float32 throughout, weights
/// as initializers, inputs, samples and predictions called as the constants here say, the speed a
/// float, nodes called by their modules. What it says stays what it was.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for what is no Kokoro, with what was not found; those of
/// [`check::model`] and [`fold::fold_weights`].
pub fn import(model: &mut ModelProto) -> Result<Export> {
    check::model(model)?;
    opset::make_initializers_constant(model)?;
    let version = opset::version(&model.opset_import).unwrap_or(0);
    let named = named(model);
    let widened = widen::widen(model)?;
    let graph = model::graph_mut(model)?;
    order::sort(graph)?;
    constants::hoist(graph);
    let folded = fold::fold_weights(graph)?;
    if rewrite::common_tensors(graph) > 0 {
        dead::remove(graph);
    }
    let (parts, modules) = if let Some(parts) = named {
        (parts, Vec::new())
    } else {
        let parts = find(graph)?;
        let roles = {
            let view = View::new(graph);
            roles::roles(&Facts::new(&view), &parts)?
        };
        name_nodes(graph, &roles);
        (parts, count(&roles))
    };
    let random = graph.node.iter().filter(|node| RANDOM.iter().any(|op| is(node, op))).count();
    name_values(graph, &parts)?;
    take_speed_as_float(graph, &parts)?;
    declare_interface(graph)?;
    check::model(model)?;
    Ok(Export { parts, opset: version, random, widened, folded, modules })
}

/// Finds the parts of any Kokoro, of a quantized one too, and calls its predictions as those of an
/// imported one are called. Nothing else is changed.
///
/// # Errors
/// As [`import`].
pub fn name_predictions(model: &mut ModelProto) -> Result<()> {
    let named = named(model);
    let graph = model::graph_mut(model)?;
    order::sort(graph)?;
    let parts = named.map_or_else(|| find(graph), Ok)?;
    let names = predictions(&parts);
    rename_values(graph, &names)
}

/// Takes what draws random numbers for the mean of what it draws, so that two models can be compared
/// by what they say. Returns how many nodes there were.
pub fn still(graph: &mut GraphProto) -> usize {
    let mut taken = Names::of(graph);
    let mut count = 0;
    let mut made: Vec<NodeProto> = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        if !RANDOM.iter().any(|op| is(&node, op)) {
            made.push(node);
            continue;
        }
        count += 1;
        made.extend(quiet(&node, &mut taken));
    }
    graph.node = made;
    count
}

/// The mean of what a node draws, with the shape that it has.
fn quiet(random: &NodeProto, taken: &mut Names) -> Vec<NodeProto> {
    let output = random.output.first().map_or("", String::as_str);
    let given = |name: &str| random.attribute.iter().find(|it| it.name() == name);
    let number = |name: &str, default: f32| given(name).map_or(default, |it| it.f());
    let mean = if random.op_type().starts_with("RandomUniform") {
        f32::midpoint(number("low", 0.0), number("high", 1.0))
    } else {
        number("mean", 0.0)
    };
    let value = || {
        let mut attribute = crate::graph::float_attribute("value", 0.0);
        attribute.f = None;
        attribute.t = Some(tensor::from_f32("value", &[1], &[mean]));
        attribute.r#type = Some(crate::proto::attribute_proto::AttributeType::Tensor.into());
        attribute
    };
    let shape = taken.value(&format!("{output}/shape"));
    let first = if let Some(fixed) = given("shape") {
        let dims: Vec<i64> = fixed.ints.clone();
        let mut constant = node("Constant", taken.node(&shape), &[], &[&shape]);
        let mut attribute = value();
        attribute.t = Some(tensor::from_i64("value", &[dims.len()], &dims));
        constant.attribute.push(attribute);
        constant
    } else {
        let like = random.input.first().map_or("", String::as_str);
        node("Shape", taken.node(&shape), &[like], &[&shape])
    };
    let mut filled = node("ConstantOfShape", random.name(), &[&shape], &[output]);
    filled.attribute.push(value());
    vec![first, filled]
}

/// What a model says of itself.
fn named(model: &ModelProto) -> Option<Parts> {
    let entry = |key: &str| {
        let found = model.metadata_props.iter().find(|entry| entry.key() == key)?;
        Some(found.value().to_owned())
    };
    let [durations, f0, energy] = NAMED.map(entry);
    let [tokens, style, speed, audio] = [TOKENS, STYLE, SPEED, AUDIO].map(str::to_owned);
    Some(Parts { tokens, style, speed, audio, durations: durations?, f0: f0?, energy: energy? })
}

fn find(graph: &GraphProto) -> Result<Parts> {
    let view = View::new(graph);
    Parts::find(&Facts::new(&view))
}

fn predictions(parts: &Parts) -> [(&str, &'static str); 3] {
    [(&parts.durations, DURATIONS.value), (&parts.f0, F0.value), (&parts.energy, ENERGY.value)]
}

/// Calls every node by its module and operator.
fn name_nodes(graph: &mut GraphProto, roles: &[String]) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (node, role) in graph.node.iter_mut().zip(roles) {
        let folder = if role.is_empty() { "other" } else { role };
        let name = format!("{folder}/{}", node.op_type());
        let count = counts.entry(name.clone()).or_default();
        node.name = Some(if *count == 0 { name } else { format!("{name}_{count}") });
        *count += 1;
    }
}

fn count(roles: &[String]) -> Vec<(String, usize)> {
    let mut modules: Vec<(String, usize)> = Vec::new();
    for role in roles.iter().filter(|role| !role.is_empty()) {
        let module: Vec<&str> = role.split('/').take(2).collect();
        let module = module.join("/");
        match modules.iter_mut().find(|(known, _)| *known == module) {
            Some((_, count)) => *count += 1,
            None => modules.push((module, 1)),
        }
    }
    modules.sort();
    modules
}

fn name_values(graph: &mut GraphProto, parts: &Parts) -> Result<()> {
    let interface =
        [(&*parts.tokens, TOKENS), (&parts.style, STYLE), (&parts.speed, SPEED), (&parts.audio, AUDIO)];
    let names: Vec<(&str, &str)> = interface.into_iter().chain(predictions(parts)).collect();
    rename_values(graph, &names)?;
    let layers = layers(graph);
    let names: Vec<(&str, &str)> = layers.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
    rename_values(graph, &names)
}

/// What convolutions take and make, by names that follow from theirs, so that what was measured of
/// one export of a model is said of every other.
fn layers(graph: &GraphProto) -> Vec<(String, String)> {
    let view = View::new(graph);
    let is_kept = |name: &str| {
        let outputs = graph.output.iter().map(|output| output.name());
        outputs.chain([DURATIONS.value, F0.value, ENERGY.value]).any(|kept| kept == name)
    };
    let convolutions = graph.node.iter().filter(|node| is(node, "Conv") || is(node, "ConvTranspose"));
    let convolutions: Vec<&NodeProto> = convolutions.collect();
    let made = |node: &&NodeProto| (node.output[0].clone(), format!("{}/output", node.name()));
    let taken = |node: &&NodeProto| (node.input[0].clone(), format!("{}/input", node.name()));
    let mut seen = HashSet::new();
    let all = convolutions.iter().map(made).chain(convolutions.iter().map(taken));
    all.filter(|(old, _)| view.producer(old).is_some() && !is_kept(old) && seen.insert(old.clone())).collect()
}

/// Renames values wherever they are used. Others that have one of the new names make room.
fn rename_values(graph: &mut GraphProto, names: &[(&str, &str)]) -> Result<()> {
    let old: HashSet<&str> = names.iter().map(|(old, _)| *old).collect();
    let mut renamed: HashMap<String, String> = HashMap::new();
    let mut taken = Names::of(graph);
    let own: HashSet<String> = own_names(graph).into_iter().map(ToOwned::to_owned).collect();
    for (old_name, new) in names {
        if old_name == new {
            continue;
        }
        if own.contains(*new) && !old.contains(new) {
            renamed.insert((*new).to_owned(), taken.value(new));
        }
        renamed.insert((*old_name).to_owned(), (*new).to_owned());
    }
    let infos = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    for info in infos {
        if let Some(new) = info.name.as_ref().and_then(|name| renamed.get(name)) {
            info.name = Some(new.clone());
        }
    }
    for tensor in &mut graph.initializer {
        if let Some(new) = tensor.name.as_ref().and_then(|name| renamed.get(name)) {
            tensor.name = Some(new.clone());
        }
    }
    rename_used(&mut graph.node, &renamed);
    Ok(())
}

fn rename_used(nodes: &mut [NodeProto], renamed: &HashMap<String, String>) {
    for node in nodes {
        for name in node.input.iter_mut().chain(&mut node.output) {
            if let Some(new) = renamed.get(name) {
                name.clone_from(new);
            }
        }
        for inner in nested_mut(node) {
            // Values of its own hide those outside, which a name of an inner graph must not have anyway.
            for output in &mut inner.output {
                if let Some(new) = output.name.as_ref().and_then(|name| renamed.get(name)) {
                    output.name = Some(new.clone());
                }
            }
            rename_used(&mut inner.node, renamed);
        }
    }
}

/// A speed that is an integer is cast to float before it divides: without the cast it can be any.
fn take_speed_as_float(graph: &mut GraphProto, parts: &Parts) -> Result<()> {
    let Some(input) = graph.input.iter().find(|input| input.name() == SPEED) else { return Ok(()) };
    let Some(type_proto::Value::TensorType(declared)) =
        input.r#type.as_ref().and_then(|it| it.value.as_ref())
    else {
        return Ok(());
    };
    let is_float = declared.elem_type() == i32::from(DataType::Float);
    let rank = declared.shape.as_ref().map(|shape| shape.dim.len());
    if !is_float {
        let casts = |node: &NodeProto| {
            is(node, "Cast") && crate::graph::integer(node, "to", 0) == i64::from(i32::from(DataType::Float))
        };
        let uses = View::new(graph).consumers(SPEED).all(casts);
        if !uses {
            let message = "expected a speed that is float or cast to it, found another use of an integer";
            return Err(Error::tensor(ErrorKind::Unsupported, &parts.speed, message));
        }
    }
    // One number for all uses, of the rank that the model's own nodes take.
    if rank == Some(0) {
        let mut taken = Names::of(graph);
        let scalar = taken.value("kokoro/speed");
        let renamed = HashMap::from([(SPEED.to_owned(), scalar.clone())]);
        rename_used(&mut graph.node, &renamed);
        let shape = taken.value("kokoro/scalar");
        graph.initializer.push(tensor::from_i64(&shape, &[0], &[]));
        graph.node.insert(0, node("Reshape", taken.node("predictor/speed"), &[SPEED, &shape], &[&scalar]));
    }
    Ok(())
}

/// Declares the three inputs and the samples as every Kokoro of ours has them.
fn declare_interface(graph: &mut GraphProto) -> Result<()> {
    use tensor_shape_proto::dimension::Value;
    let open = |name: &str| Value::DimParam(name.to_owned());
    let inputs = [
        (TOKENS, DataType::Int64, vec![Value::DimValue(1), open("tokens")]),
        (STYLE, DataType::Float, vec![Value::DimValue(1), Value::DimValue(256)]),
        (SPEED, DataType::Float, vec![Value::DimValue(1)]),
    ];
    for (name, element, dims) in inputs {
        let Some(info) = graph.input.iter_mut().find(|input| input.name() == name) else { continue };
        let before = element_of(info);
        if before == Some(element) && rank_of(info) == Some(dims.len()) {
            continue;
        }
        *info = declared(name, element, dims);
        if name == TOKENS && before == Some(DataType::Int32) {
            cast_input(graph, TOKENS, DataType::Int32);
        }
    }
    let Some(audio) = graph.output.iter_mut().find(|output| output.name() == AUDIO) else { return Ok(()) };
    match element_of(audio) {
        None | Some(DataType::Float) => Ok(()),
        Some(found) => Err(Error::tensor(
            ErrorKind::Unsupported,
            AUDIO,
            format!("expected float32 samples, found {}", crate::census::element_name(found)),
        )),
    }
}

fn element_of(info: &ValueInfoProto) -> Option<DataType> {
    match info.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => DataType::try_from(tensor.elem_type()).ok(),
        _ => None,
    }
}

fn rank_of(info: &ValueInfoProto) -> Option<usize> {
    match info.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => tensor.shape.as_ref().map(|shape| shape.dim.len()),
        _ => None,
    }
}

fn declared(
    name: &str,
    element: DataType,
    dims: Vec<tensor_shape_proto::dimension::Value>,
) -> ValueInfoProto {
    let dim = dims
        .into_iter()
        .map(|value| tensor_shape_proto::Dimension { value: Some(value), ..Default::default() })
        .collect();
    let tensor = type_proto::Tensor {
        elem_type: Some(element.into()),
        shape: Some(crate::proto::TensorShapeProto { dim }),
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() }),
        ..Default::default()
    }
}

/// Puts a Cast to `element` behind the input `name`.
fn cast_input(graph: &mut GraphProto, name: &str, element: DataType) {
    let mut taken = Names::of(graph);
    let cast = taken.value(&format!("kokoro/{name}"));
    rename_used(&mut graph.node, &HashMap::from([(name.to_owned(), cast.clone())]));
    let mut made = node("Cast", taken.node(&format!("bert/{name}")), &[name], &[&cast]);
    made.attribute.push(integer_attribute("to", i64::from(i32::from(element))));
    graph.node.insert(0, made);
}
