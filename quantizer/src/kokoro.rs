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
mod convolution;
mod interface;
mod noise;
mod parts;
mod reach;
mod rename;
mod roles;
mod widen;

pub use noise::still;
pub use parts::Parts;

use crate::error::Result;
use crate::graph::View;
use crate::probe::Point;
use crate::proto::{GraphProto, ModelProto, tensor_proto::DataType};
use crate::rewrite::{self, Facts};
use crate::{check, dead, fold, model, opset, order};
use rename::{layers, name_nodes, rename_values};

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
/// as initializers, of an [operator set](opset::HIGHEST) that has all that schemes write, inputs,
/// samples and predictions called as the constants here say, the speed a float, nodes called by their
/// modules. What it says stays what it was.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for what is no Kokoro, with what was not found; those of
/// [`check::model`] and [`fold::fold_weights`].
pub fn import(model: &mut ModelProto) -> Result<Export> {
    check::model(model)?;
    opset::make_initializers_constant(model)?;
    let version = opset::version(&model.opset_import).unwrap_or(0);
    opset::raise(model, opset::HIGHEST)?;
    let told = named(model);
    let widened = widen::widen(model)?;
    let graph = model::graph_mut(model)?;
    order::sort(graph)?;
    constants::hoist(graph);
    let folded = fold::fold_weights(graph)?;
    if rewrite::common_tensors(graph) > 0 {
        dead::remove(graph);
    }
    let (parts, modules) = if let Some(parts) = told {
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
    let random = noise::count(graph);
    name_values(graph, &parts);
    interface::take_speed_as_float(graph, &parts.speed)?;
    interface::declare(graph)?;
    check::model(model)?;
    Ok(Export { parts, opset: version, random, widened, folded, modules })
}

/// Finds the parts of any Kokoro, of a quantized one too, and calls its predictions as those of an
/// imported one are called. Nothing else is changed.
///
/// # Errors
/// As [`import`].
pub fn name_predictions(model: &mut ModelProto) -> Result<()> {
    let told = named(model);
    let graph = model::graph_mut(model)?;
    order::sort(graph)?;
    let parts = told.map_or_else(|| find(graph), Ok)?;
    rename_values(graph, &predictions(&parts));
    Ok(())
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

fn name_values(graph: &mut GraphProto, parts: &Parts) {
    let interface =
        [(&*parts.tokens, TOKENS), (&parts.style, STYLE), (&parts.speed, SPEED), (&parts.audio, AUDIO)];
    let names: Vec<(&str, &str)> = interface.into_iter().chain(predictions(parts)).collect();
    rename_values(graph, &names);
    let layers = layers(graph);
    let names: Vec<(&str, &str)> = layers.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
    rename_values(graph, &names);
}
