//! How far a model is from the one that it was made of: both run on the same random inputs in ONNX
//! Runtime.
//!
//! Any model is asked, so all inputs are given and all outputs read as float32, with a Cast behind
//! each input and in front of each output of another type. Dimensions that a model leaves open are
//! tried in several lengths, until it runs.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use kokoro_model::probe::{Graph, Tensor};
use kokoro_model::{Runtime, SynthesizerOptions};
use quantizer::graph::{integer_attribute, node};
use quantizer::interface::{self, Dimension, Port};
use quantizer::names::Names;
use quantizer::proto::{ModelProto, TypeProto, ValueInfoProto, tensor_proto::DataType, type_proto};
use quantizer::{external, model};

use crate::failure::Failure;

/// What is chosen where a model does not say.
#[derive(Debug, Clone, Copy)]
struct Guess {
    /// The length of the first open dimension, if it is one of the first two: how many are given at
    /// once.
    first: usize,
    /// The length of the other open dimensions.
    other: usize,
    /// An integer that is given alone, if it is not drawn: many are sample rates.
    scalar: Option<f32>,
}

/// Guesses are tried in this order until one runs.
const LENGTHS: [(usize, usize); 7] = [(1, 8), (1, 32), (1, 1), (2, 16), (1, 224), (4, 64), (1, 512)];
const SCALARS: [Option<f32>; 2] = [None, Some(16_000.0)];

/// How many times random inputs are drawn, each from another seed.
const DRAWS: u64 = 3;

/// One output of both models.
#[derive(Debug, Clone, PartialEq)]
pub struct Distance {
    /// The name of the output.
    pub output: String,
    /// The root of the mean square of what the base says.
    pub loudness: f64,
    /// The largest difference.
    pub largest: f64,
    /// Signal to noise in dB: infinite for what is equal.
    pub snr_db: f64,
}

/// What was compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearness {
    /// The shapes of the inputs.
    pub inputs: Vec<String>,
    /// Each output, the worst of all draws.
    pub outputs: Vec<Distance>,
    /// Outputs that are no tensors of numbers.
    pub unread: Vec<String>,
}

/// Runs `base` and `candidate`.
///
/// # Errors
/// [`Failure::Gate`] where the candidate does not load or run, says something of another shape, or
/// something infinite where the base does not; [`Failure::Usage`] where the base itself cannot be
/// run on inputs that are made up.
pub fn compare(runtime: &Runtime, base: &ModelProto, candidate: &ModelProto) -> Result<Nearness> {
    let scratch = tempfile::tempdir().context("no folder for the models to compare")?;
    let mut base = Opened::new(base.clone(), "base", runtime, scratch.path())
        .context("the model itself cannot be run here")
        .context(Failure::Usage)?;
    let mut candidate = Opened::new(candidate.clone(), "candidate", runtime, scratch.path())
        .context("what was to be written does not load")
        .context(Failure::Gate)?;

    let mut last = anyhow!("it has no lengths to try");
    for scalar in SCALARS {
        for (first, other) in LENGTHS {
            let guess = Guess { first, other, scalar };
            match base.run(&base.inputs(guess, 0)?) {
                Ok(_) => return draws(&mut base, &mut candidate, guess),
                Err(error) => last = error,
            }
        }
    }
    let message = "the model itself does not run on inputs that are made up, so there is nothing to compare";
    Err(last.context(message).context(Failure::Usage))
}

fn draws(base: &mut Opened, candidate: &mut Opened, guess: Guess) -> Result<Nearness> {
    let mut worst: BTreeMap<String, Distance> = BTreeMap::new();
    let mut shapes = Vec::new();
    for seed in 0..DRAWS {
        let inputs = base.inputs(guess, seed)?;
        shapes = inputs.iter().map(|(name, tensor)| format!("{name} {:?}", tensor.shape)).collect();
        // What runs for one draw of numbers may not for another one, where they are indices.
        let Ok(expected) = base.run(&inputs) else { continue };
        let found =
            candidate.run(&inputs).context("what was to be written does not run").context(Failure::Gate)?;
        for (name, expected) in expected {
            let found =
                found.get(&name).with_context(|| format!("no output `{name}`")).context(Failure::Gate)?;
            let distance = distance(&name, &expected, found)?;
            let known = worst.entry(name).or_insert_with(|| distance.clone());
            if distance.snr_db < known.snr_db {
                *known = distance;
            }
        }
    }
    let unread = std::mem::take(&mut base.unread);
    Ok(Nearness { inputs: shapes, outputs: worst.into_values().collect(), unread })
}

fn distance(name: &str, expected: &Tensor, found: &Tensor) -> Result<Distance> {
    if expected.shape != found.shape {
        let message =
            format!("output `{name}`: expected the shape {:?}, found {:?}", expected.shape, found.shape);
        return Err(anyhow!(message).context(Failure::Gate));
    }
    let (mut power, mut noise, mut largest) = (0.0f64, 0.0f64, 0.0f64);
    for (&a, &b) in expected.values.iter().zip(&found.values) {
        if a.is_finite() && !b.is_finite() {
            return Err(anyhow!("output `{name}`: expected {a}, found {b}").context(Failure::Gate));
        }
        if !a.is_finite() {
            continue;
        }
        let off = f64::from(a) - f64::from(b);
        power += f64::from(a) * f64::from(a);
        noise += off * off;
        largest = largest.max(off.abs());
    }
    let count = expected.values.len().max(1) as f64;
    let snr_db = if noise == 0.0 { f64::INFINITY } else { 10.0 * (power / noise).log10() };
    Ok(Distance { output: name.to_owned(), loudness: (power / count).sqrt(), largest, snr_db })
}

impl Guess {
    fn shape(&self, port: &Port) -> Vec<usize> {
        let mut open = 0;
        let lengths = port.shape.iter().enumerate().map(|(axis, dimension)| {
            if let Dimension::Fixed(length @ 1..) = dimension {
                return *length as usize;
            }
            open += 1;
            if open == 1 && axis < 2 { self.first } else { self.other }
        });
        lengths.collect()
    }
}

/// A model that takes and gives float32.
struct Opened {
    graph: Graph,
    ports: Vec<Port>,
    /// Outputs that are left out.
    unread: Vec<String>,
}

impl Opened {
    /// Opens `model`.
    fn new(mut model: ModelProto, name: &str, runtime: &Runtime, folder: &Path) -> Result<Self> {
        let ports = model.graph.as_ref().map(interface::inputs).unwrap_or_default();
        let unread = as_floats(&mut model);
        let path = folder.join(format!("{name}.onnx"));
        write(model, &path)?;
        let graph = Graph::from_file(runtime, name, &path, &SynthesizerOptions::default())?;
        Ok(Self { graph, ports, unread })
    }

    fn inputs(&self, guess: Guess, seed: u64) -> Result<Vec<(String, Tensor)>> {
        let mut random = Random(seed);
        let tensor = |port: &Port| {
            let shape = guess.shape(port);
            let count = shape.iter().try_fold(1usize, |count, &length| count.checked_mul(length));
            let count = count.filter(|&count| count < 1 << 31).context("an input is too large")?;
            let is_scalar = count == 1 && !port.element_type.contains("float");
            let values = (0..count).map(|_| match guess.scalar.filter(|_| is_scalar) {
                Some(scalar) => scalar,
                None => random.value(&port.element_type),
            });
            Ok((port.name.clone(), Tensor { values: values.collect(), shape }))
        };
        self.ports.iter().map(tensor).collect()
    }

    fn run(&mut self, inputs: &[(String, Tensor)]) -> Result<BTreeMap<String, Tensor>> {
        let inputs: Vec<(&str, &Tensor)> =
            inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        Ok(self.graph.run(&inputs)?)
    }
}

/// Writes a model, with its payloads in a file beside it where it is too large for one. Returns the
/// bytes of both.
///
/// # Errors
/// The disk's.
pub fn write(mut model: ModelProto, path: &Path) -> Result<u64> {
    let mut beside = 0;
    if prost::Message::encoded_len(&model) > external::MOST {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned() + ".data";
        let outside = external::outsource(&mut model, &name, 1024);
        crate::files::write_atomically(&path.with_file_name(&name), |file| {
            buffered(file, |to| outside.write(to))
        })?;
        beside = outside.bytes();
    }
    crate::files::write_atomically(path, |file| buffered(file, |to| model::encode(&model, to)))?;
    Ok(fs_err::metadata(path)?.len() + beside)
}

fn buffered(
    file: &mut fs_err::File,
    write: impl FnOnce(&mut std::io::BufWriter<&mut fs_err::File>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut to = std::io::BufWriter::with_capacity(1 << 20, file);
    write(&mut to)?;
    std::io::Write::flush(&mut to)
}

/// Puts a Cast behind each input and in front of each output that is not float32. Inputs and
/// outputs keep their names; outputs that are no numbers are left out and returned.
fn as_floats(model: &mut ModelProto) -> Vec<String> {
    let Some(graph) = &mut model.graph else { return Vec::new() };
    let mut names = Names::of(graph);
    let mut renamed: BTreeMap<String, String> = BTreeMap::new();
    let mut casts = Vec::new();
    let defaults: Vec<String> = graph.initializer.iter().map(|tensor| tensor.name().to_owned()).collect();
    let is_number = |element: DataType| !matches!(element, DataType::String | DataType::Undefined);
    let cast = |from: &str, to: &str, element: DataType, name: String| {
        let mut cast = node("Cast", name, &[from], &[to]);
        cast.attribute.push(integer_attribute("to", i64::from(i32::from(element))));
        cast
    };
    for input in &mut graph.input {
        let element = element(input);
        if element == DataType::Float || !is_number(element) || defaults.contains(&input.name().to_owned()) {
            continue;
        }
        let inner = names.value(&format!("{}_given", input.name()));
        casts.push(cast(input.name(), &inner, element, names.node(&format!("{inner}_Cast"))));
        renamed.insert(input.name().to_owned(), inner);
        set_element(input);
    }
    rename_uses(&mut graph.node, &renamed);
    let mut unread = Vec::new();
    let mut given = Vec::new();
    graph.output.retain_mut(|output| {
        let element = element(output);
        if !is_number(element) {
            unread.push(output.name().to_owned());
            return false;
        }
        if element != DataType::Float {
            let told = output.name().to_owned();
            let inner = names.value(&format!("{told}_said"));
            casts.push(cast(&inner, &told, DataType::Float, names.node(&format!("{inner}_Cast"))));
            given.push((told, inner));
            set_element(output);
        }
        true
    });
    let given: BTreeMap<String, String> = given.into_iter().collect();
    let casts_begin = graph.node.len();
    graph.node.append(&mut casts);
    for node in &mut graph.node[..casts_begin] {
        for output in node.output.iter_mut().filter(|output| given.contains_key(*output)) {
            output.clone_from(&given[output]);
        }
    }
    // What gives an output has another name inside now; an output that is an input or a constant
    // has no maker.
    for tensor in graph.initializer.iter_mut().filter(|tensor| given.contains_key(tensor.name())) {
        tensor.name = Some(given[tensor.name()].clone());
    }
    rename_uses(&mut graph.node[..casts_begin], &given);
    graph.value_info.retain(|info| !given.contains_key(info.name()) && !renamed.contains_key(info.name()));
    // A graph that cannot be sorted is one that the runtime refuses with its reasons.
    let _ = quantizer::order::sort(graph);
    unread
}

fn rename_uses(nodes: &mut [quantizer::proto::NodeProto], renamed: &BTreeMap<String, String>) {
    for node in nodes {
        for input in &mut node.input {
            if let Some(new) = renamed.get(input) {
                input.clone_from(new);
            }
        }
        for inner in quantizer::graph::nested_mut(node) {
            let own = quantizer::graph::own_names(inner);
            let mut outer = renamed.clone();
            outer.retain(|name, _| !own.contains(name.as_str()));
            for output in &mut inner.output {
                if let Some(new) = outer.get(output.name()) {
                    output.name = Some(new.clone());
                }
            }
            rename_uses(&mut inner.node, &outer);
        }
    }
}

fn element(info: &ValueInfoProto) -> DataType {
    match info.r#type.as_ref().and_then(|it| it.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => {
            DataType::try_from(tensor.elem_type()).unwrap_or_default()
        }
        _ => DataType::Undefined,
    }
}

fn set_element(info: &mut ValueInfoProto) {
    if let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) = &mut info.r#type {
        tensor.elem_type = Some(DataType::Float.into());
    }
}

/// `SplitMix64` (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Floats from −1 to 1, and integers of 0 and 1, which are indices in range and lengths that
    /// can be.
    fn value(&mut self, element: &str) -> f32 {
        if element.contains("float") {
            return (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        }
        (self.next() >> 63) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        let tensor = |values: &[f32]| Tensor { shape: vec![values.len()], values: values.to_vec() };
        let found =
            distance("y", &tensor(&[3.0, 4.0, f32::INFINITY]), &tensor(&[3.0, 4.5, f32::INFINITY])).unwrap();
        assert_eq!(found.largest, 0.5);
        assert!((found.snr_db - 20.0).abs() < 1e-9, "25 / 0.25 is 20 dB: {}", found.snr_db);
        assert_eq!(distance("y", &tensor(&[1.0]), &tensor(&[1.0])).unwrap().snr_db, f64::INFINITY);
        assert!(distance("y", &tensor(&[1.0]), &tensor(&[f32::NAN])).is_err());
        assert!(distance("y", &tensor(&[1.0]), &tensor(&[1.0, 2.0])).is_err());
    }
}
