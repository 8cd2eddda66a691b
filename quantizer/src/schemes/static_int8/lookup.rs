//! What stands between a norm and a convolution in INT8, looked up in a table.
//!
//! In front of most convolutions of a Kokoro decoder, the norm's result goes through Snake, `r + sin²(αr)/α` (Ziyin et
//! al. 2020), and is quantized to 8 bits. ONNX Runtime computes the sine in one thread, and each of the six operators
//! goes through memory. But a function of one number that ends in 8 bits is a table: one row for each channel, indexed
//! by levels of the argument, and `GatherElements` finds its entries in all threads.
//!
//! - Where the norm's input is what another `QLinearConv` put out, it has 256 levels to begin with, and so has the
//!   argument of the function once mean and variance of these are known. The table is made anew in each run, and
//!   nothing is lost.
//! - Where it is a float, norm, scale and bias are made to give the index at once: `(r − low)/step`, rounded and kept
//!   within the table. Outside of it the quantization would saturate as well. The table never changes; the runtime
//!   folds all of it but the last operator when it loads.
//!
//! In front of a convolution that stays float the entries are floats. Such a table is finer and wider, since nothing is
//! quantized there and nothing should saturate.

mod arguments;
mod function;

use std::collections::{BTreeMap, HashSet};

use super::edges::Edged;
use super::nodes::Nodes;
use crate::calibration::{Edges, Ranges};
use crate::error::Result;
use crate::graph::{View, integer, integer_attribute, is, node};
use crate::proto::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};
use crate::rewrite::Facts;
use crate::{dead, order, tensor};
use arguments::Arguments;
pub use function::Function;

/// How much finer a table of floats is than one of levels, and over how much more than the calibrated range it reaches. Twice
/// as fine again would be 0.015 dB closer, and these tables take most of the time that all need when a model is loaded.
const FINER: u16 = 2;
const WIDER: f64 = 3.0;

/// How many times both are where ranges leave edges out.
const WITH_EDGES: u16 = 2;

/// Puts tables into `graph`: for each `QuantizeLinear` to uint8 along axis 1 behind a function of an
/// `InstanceNormalization`, and for each such function with a sine in front of a `Conv`, if `ranges` knows its values.
/// `levels` is how many those of uint8 have whose argument is a float, and `left_out` are the edges that ranges do not cover. Returns how many
/// were put in.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn look_up(
    graph: &mut GraphProto,
    levels: u16,
    ranges: &Ranges,
    left_out: &[Edges],
    edged: &mut Edged,
) -> Result<usize> {
    order::sort(graph)?;
    let mut made: BTreeMap<usize, Vec<NodeProto>> = BTreeMap::new();
    let mut tensors = Shared::new();
    {
        let view = View::new(graph);
        let facts = Facts::new(&view);
        for node in &view.graph.node {
            let chain = Chain::of_quantize(node, levels, &facts);
            let mut chain = chain.or_else(|| {
                let more = if Edges::of(left_out, node).is_some() { WITH_EDGES } else { 1 };
                Chain::of_conv(node, levels, more, ranges, &facts)
            });
            if let Some(chain) = &mut chain {
                chain.find_edges(edged);
            }
            let table = chain.and_then(|chain| Some((view.producer_index(chain.result())?, chain)));
            if let Some((place, nodes)) =
                table.and_then(|(place, it)| Some((place, it.table(&mut tensors, edged)?)))
            {
                made.insert(place, nodes);
            }
        }
    }
    let count = made.len();
    if count == 0 {
        return Ok(0);
    }
    for (index, node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        match made.remove(&index) {
            Some(nodes) => graph.node.extend(nodes),
            None => graph.node.push(node),
        }
    }
    graph.initializer.extend(tensors.all);
    dead::remove(graph);
    Ok(count)
}

/// The tensors that tables need, and how many tables there are.
struct Shared {
    all: Vec<TensorProto>,
    names: HashSet<String>,
    tables: usize,
}

/// The axis of time, for reductions; the shape of a row for each channel; that of a table but for the batch; what is
/// added to round; the least index, which is the least variance, too.
const TIME: &str = "lookup/time";
const ROWS: &str = "lookup/rows";
const ONES: &str = "lookup/ones";
const HALF: &str = "lookup/half";
const FIRST: &str = "lookup/first";

impl Shared {
    fn new() -> Self {
        let all = vec![
            tensor::from_i64(TIME, &[1], &[2]),
            tensor::from_i64(ROWS, &[3], &[1, -1, 1]),
            tensor::from_i64(ONES, &[2], &[1, 1]),
            tensor::from_f32(HALF, &[], &[0.5]),
            tensor::from_f32(FIRST, &[], &[0.0]),
        ];
        Self { all, names: HashSet::new(), tables: 0 }
    }

    /// The numbers from 0, below `count`, along the axis of time.
    fn ramp(&mut self, count: u16) -> String {
        let name = format!("lookup/ramp.{count}");
        if self.names.insert(name.clone()) {
            let values: Vec<f32> = (0..count).map(f32::from).collect();
            self.all.push(tensor::from_f32(&name, &[1, 1, values.len()], &values));
        }
        name
    }

    /// The last index of a table of `count` entries.
    fn last(&mut self, count: u16) -> String {
        let name = format!("lookup/last.{count}");
        if self.names.insert(name.clone()) {
            self.all.push(tensor::from_f32(&name, &[], &[f32::from(count) - 1.0]));
        }
        name
    }

    fn add(&mut self, tensor: TensorProto) {
        self.all.push(tensor);
    }
}

/// A norm, a function, and perhaps a quantization.
struct Chain<'a> {
    norm: &'a NodeProto,
    function: Function<'a>,
    /// Where there is none, the result stays a float.
    quantize: Option<&'a NodeProto>,
    /// For each channel, the least and the largest result that a table must tell from others.
    ends: Vec<(f64, f64)>,
    /// How many entries a table has whose argument is a float.
    entries: u16,
    /// The uint8 value that the norm's input stands for, with the scale of each channel.
    levels: Option<(&'a str, Vec<f32>)>,
    /// The windows of the function's result, by name and width, if they are asked for.
    windows: Option<(String, usize)>,
}

impl<'a> Chain<'a> {
    /// What ends in the quantization `node`.
    fn of_quantize(node: &'a NodeProto, entries: u16, facts: &Facts<'a>) -> Option<Self> {
        let [value, scale, zero] = node.input.as_slice() else { return None };
        if !is(node, "QuantizeLinear") || integer(node, "axis", 1) != 1 {
            return None;
        }
        let (scales, zeros) = per_channel(scale, zero, facts)?;
        let ends = scales.iter().zip(zeros).map(|(&scale, zero)| {
            let end = |level: i64| (level - zero) as f64 * f64::from(scale);
            (end(0), end(255))
        });
        Self::of(value, Some(node), ends.collect(), entries, facts)
    }

    /// What ends in the input of the float convolution `node`, over so many times `more` than usual.
    fn of_conv(
        node: &'a NodeProto,
        entries: u16,
        more: u16,
        ranges: &Ranges,
        facts: &Facts<'a>,
    ) -> Option<Self> {
        let value = node.input.first().filter(|_| is(node, "Conv"))?;
        let ends = ranges.values.get(value)?.iter().map(|channel| {
            let (low, high) = (f64::from(channel.low), f64::from(channel.high));
            // A channel that was always 0 has no range, and any will do.
            let reach = if high > low { 0.0 } else { 1.0 };
            let wider = WIDER * f64::from(more);
            (low * wider - reach, high * wider + reach)
        });
        let chain = Self::of(value, None, ends.collect(), entries.saturating_mul(FINER * more), facts)?;
        chain.function.nodes.iter().any(|node| is(node, "Sin")).then_some(chain)
    }

    fn of(
        value: &'a str,
        quantize: Option<&'a NodeProto>,
        ends: Vec<(f64, f64)>,
        entries: u16,
        facts: &Facts<'a>,
    ) -> Option<Self> {
        facts.view.only_consumer(value)?;
        let function = Function::read(value, ends.len(), facts)?;
        let norm = facts.view.producer(function.argument)?;
        if facts.dims(function.argument)?.len() != 3 || norm.input.len() != 3 {
            return None;
        }
        let float = facts.view.producer(&norm.input[0]);
        // What edges are put into is the float of the bytes all the same.
        let float = float
            .filter(|node| is(node, "ScatterElements"))
            .map_or(float, |node| node.input.first().and_then(|body| facts.view.producer(body)));
        let levels = float.and_then(|node| quantized(node, facts));
        Some(Self { norm, function, quantize, ends, entries, levels, windows: None })
    }

    /// Where bytes come with edges that are computed apart, these edges must go on to windows of the function; else the
    /// argument is a float, which has them.
    fn find_edges(&mut self, edged: &Edged) {
        let windows = self.quantize.and_then(|quantize| edged.windows(&quantize.input[0]));
        self.windows = windows.map(|windows| (windows.value(), windows.width));
        self.levels.take_if(|(value, _)| edged.has_edges(value) != self.windows.is_some());
    }

    /// The nodes of the function, and the quantization.
    fn nodes(&self) -> impl Iterator<Item = &'a NodeProto> + '_ {
        self.function.nodes.iter().copied().chain(self.quantize)
    }

    /// The value that the table gives.
    fn result(&self) -> &'a str {
        self.nodes().last().map_or("", |node| &node.output[0])
    }

    /// What takes the place of the last node.
    fn table(&self, tensors: &mut Shared, edged: &mut Edged) -> Option<Vec<NodeProto>> {
        let mut nodes = Nodes::new(format!("lookup/{}", tensors.tables));
        let Arguments { index, entries: arguments, windows } = match &self.levels {
            Some((value, scales)) => self.of_levels(value, scales, &mut nodes, tensors, edged)?,
            None => self.of_float(&mut nodes, tensors, edged)?,
        };
        tensors.tables += 1;
        // The function of the argument that each entry stands for.
        let tabled = repeated(self.nodes(), self.function.argument, arguments, "function", &mut nodes);
        let result = self.result();
        let mut table = tabled;
        if self.levels.is_none() {
            // The operator asks for as many tables as the batch has elements.
            let batch = nodes.dimension(&index, 0, "batch");
            let dims = nodes.concat(&[&batch, ONES], 0, "dims");
            table = nodes.add("Expand", &[&table, &dims], "tables");
        }
        let mut gather =
            node("GatherElements", format!("{result}/GatherElements"), &[&table, &index], &[result]);
        gather.attribute.push(integer_attribute("axis", 2));
        nodes.nodes.push(gather);
        if let (Some(arguments), Some((name, _))) = (windows, &self.windows) {
            self.windows(&arguments, name, &mut nodes);
        }
        Some(nodes.nodes)
    }

    /// The function, without the quantization, of the arguments in the windows, as the value `name`.
    fn windows(&self, arguments: &str, name: &str, nodes: &mut Nodes) {
        let function = self.function.nodes.iter().copied();
        repeated(function, self.function.argument, arguments.into(), "window", nodes);
        if let Some(last) = nodes.nodes.last_mut() {
            last.output = vec![name.to_owned()];
        }
    }
}

/// Adds copies of `nodes` that take `other` in place of `argument`, and returns what the last one gives.
fn repeated<'a>(
    originals: impl Iterator<Item = &'a NodeProto>,
    argument: &'a str,
    other: String,
    what: &str,
    nodes: &mut Nodes,
) -> String {
    let mut made = BTreeMap::from([(argument, other.clone())]);
    let mut last = other;
    for (position, old) in originals.enumerate() {
        last = nodes.name(&format!("{what}.{position}"));
        let mut node = old.clone();
        for input in &mut node.input {
            if let Some(name) = made.get(input.as_str()) {
                input.clone_from(name);
            }
        }
        node.name = Some(last.clone());
        node.output = vec![last.clone()];
        nodes.nodes.push(node);
        made.insert(&old.output[0], last.clone());
    }
    last
}

/// The scales and zero points of a quantization to uint8 along the channels.
fn per_channel(scale: &str, zero: &str, facts: &Facts<'_>) -> Option<(Vec<f32>, Vec<i64>)> {
    let (scale, zero) = (facts.tensor(scale)?, facts.tensor(zero)?);
    let scales = tensor::to_f32(scale).ok()?;
    let zeros = tensor::to_i64(zero).ok().filter(|_| tensor::element_type(zero) == DataType::Uint8)?;
    (scale.dims.len() == 1 && scales.len() == zeros.len()).then_some((scales, zeros))
}

/// The uint8 value that `node` dequantizes along axis 1, and the scales.
fn quantized<'a>(node: &'a NodeProto, facts: &Facts<'a>) -> Option<(&'a str, Vec<f32>)> {
    let [value, scale, zero] = node.input.as_slice() else { return None };
    let is_along_channels = is(node, "DequantizeLinear") && integer(node, "axis", 1) == 1;
    let (scales, _) = is_along_channels.then(|| per_channel(scale, zero, facts))??;
    Some((value, scales))
}
