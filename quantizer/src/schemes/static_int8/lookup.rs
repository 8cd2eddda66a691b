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

mod function;

use std::collections::{BTreeMap, HashSet};

use crate::calibration::Ranges;
use crate::error::Result;
use crate::graph::{View, attribute, integer, integer_attribute, is, node};
use crate::proto::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};
use crate::rewrite::Facts;
use crate::{dead, order, tensor};
use function::Function;

/// How much finer a table of floats is than one of levels, and over how much more than the calibrated range it reaches. Twice
/// as fine again would be 0.015 dB closer, and these tables take most of the time that all need when a model is loaded.
const FINER: u16 = 2;
const WIDER: f64 = 3.0;

/// Puts tables into `graph`: for each `QuantizeLinear` to uint8 along axis 1 behind a function of an
/// `InstanceNormalization`, and for each such function with a sine in front of a `Conv`, if `ranges` knows its values.
/// `levels` is how many those of uint8 have whose argument is a float. Returns how many were put in.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn look_up(graph: &mut GraphProto, levels: u16, ranges: &Ranges) -> Result<usize> {
    order::sort(graph)?;
    let mut made: BTreeMap<usize, Vec<NodeProto>> = BTreeMap::new();
    let mut tensors = Shared::new();
    {
        let view = View::new(graph);
        let facts = Facts::new(&view);
        for node in &view.graph.node {
            let chain = Chain::of_quantize(node, levels, &facts);
            let chain = chain.or_else(|| Chain::of_conv(node, levels, ranges, &facts));
            let table = chain.and_then(|chain| Some((view.producer_index(chain.result())?, chain)));
            if let Some((place, nodes)) = table.and_then(|(place, it)| Some((place, it.table(&mut tensors)?)))
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

    /// What ends in the input of the float convolution `node`.
    fn of_conv(node: &'a NodeProto, entries: u16, ranges: &Ranges, facts: &Facts<'a>) -> Option<Self> {
        let value = node.input.first().filter(|_| is(node, "Conv"))?;
        let ends = ranges.values.get(value)?.iter().map(|channel| {
            let (low, high) = (f64::from(channel.low), f64::from(channel.high));
            // A channel that was always 0 has no range, and any will do.
            let reach = if high > low { 0.0 } else { 1.0 };
            (low * WIDER - reach, high * WIDER + reach)
        });
        let chain = Self::of(value, None, ends.collect(), entries.saturating_mul(FINER), facts)?;
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
        let levels = facts.view.producer(&norm.input[0]).and_then(|node| quantized(node, facts));
        Some(Self { norm, function, quantize, ends, entries, levels })
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
    fn table(&self, tensors: &mut Shared) -> Option<Vec<NodeProto>> {
        let mut nodes = Nodes { nodes: vec![], prefix: format!("lookup/{}", tensors.tables) };
        let (index, arguments) = match &self.levels {
            Some((value, scales)) => self.of_levels(value, scales, &mut nodes, tensors),
            None => self.of_float(&mut nodes, tensors)?,
        };
        tensors.tables += 1;
        // The function of the argument that each entry stands for.
        let mut tabled = BTreeMap::from([(self.function.argument, arguments)]);
        for (position, old) in self.nodes().enumerate() {
            let name = nodes.name(&format!("function.{position}"));
            let mut node = old.clone();
            for input in &mut node.input {
                if let Some(name) = tabled.get(input.as_str()) {
                    input.clone_from(name);
                }
            }
            node.name = Some(name.clone());
            node.output = vec![name.clone()];
            nodes.nodes.push(node);
            tabled.insert(&old.output[0], name);
        }
        let result = self.result();
        let mut table = tabled[result].clone();
        if self.levels.is_none() {
            // The operator asks for as many tables as the batch has elements.
            let batch = nodes.add("Shape", &[&index], "batch");
            if let Some(shape) = nodes.nodes.last_mut() {
                shape.attribute.extend([integer_attribute("start", 0), integer_attribute("end", 1)]);
            }
            let dims = nodes.add("Concat", &[&batch, ONES], "dims");
            if let Some(concat) = nodes.nodes.last_mut() {
                concat.attribute.push(integer_attribute("axis", 0));
            }
            table = nodes.add("Expand", &[&table, &dims], "tables");
        }
        let mut gather =
            node("GatherElements", format!("{result}/GatherElements"), &[&table, &index], &[result]);
        gather.attribute.push(integer_attribute("axis", 2));
        nodes.nodes.push(gather);
        Some(nodes.nodes)
    }

    /// Index and arguments where the norm's input has 256 levels.
    ///
    /// With the mean `m` and the variance `v` of the levels `X`, whose unit `t` only counts against `ε`, the norm of
    /// level `i` with scale and bias is `γ · (i − m)/√(v + ε/t²) + β`.
    fn of_levels(
        &self,
        value: &str,
        scales: &[f32],
        nodes: &mut Nodes,
        tensors: &mut Shared,
    ) -> (String, String) {
        let epsilon =
            f64::from(attribute(self.norm, "epsilon").map_or(1e-5, crate::proto::AttributeProto::f));
        // Beyond what a float32 holds nothing else counts beside it.
        let smallest =
            |&scale: &f32| (epsilon / f64::from(scale).powi(2)).min(f64::from(f32::MAX) / 2.0) as f32;
        let epsilons: Vec<f32> = scales.iter().map(smallest).collect();
        let [x, scale, bias] = [value, &self.norm.input[1], &self.norm.input[2]];
        let ramp = tensors.ramp(256);
        let epsilon = nodes.name("epsilon");
        tensors.add(tensor::from_f32(&epsilon, &[1, epsilons.len(), 1], &epsilons));

        let index = nodes.cast(x, DataType::Int32, "index");
        let float = nodes.cast(x, DataType::Float, "levels");
        let mean = nodes.add("ReduceMean", &[&float, TIME], "mean");
        let square = nodes.add("Mul", &[&float, &float], "square");
        let mean_square = nodes.add("ReduceMean", &[&square, TIME], "mean_square");
        let square_mean = nodes.add("Mul", &[&mean, &mean], "square_mean");
        let difference = nodes.add("Sub", &[&mean_square, &square_mean], "difference");
        // Rounding may leave a constant channel below 0.
        let variance = nodes.add("Max", &[&difference, FIRST], "variance");
        let sum = nodes.add("Add", &[&variance, &epsilon], "sum");
        let deviation = nodes.add("Sqrt", &[&sum], "deviation");
        let scale = nodes.add("Reshape", &[scale, ROWS], "scale");
        let bias = nodes.add("Reshape", &[bias, ROWS], "bias");
        let slope = nodes.add("Div", &[&scale, &deviation], "slope");
        let shift = nodes.add("Mul", &[&mean, &slope], "shift");
        let start = nodes.add("Sub", &[&bias, &shift], "start");
        let rise = nodes.add("Mul", &[&ramp, &slope], "rise");
        (index, nodes.add("Add", &[&rise, &start], "arguments"))
    }

    /// Index and arguments where the norm's input is a float. `None` where the function does not rise over the range of
    /// the quantization.
    fn of_float(&self, nodes: &mut Nodes, tensors: &mut Shared) -> Option<(String, String)> {
        let rows = self.ends.iter().enumerate().map(|(channel, &(low, high))| {
            let (first, last) = self.function.preimage(channel, low, high)?;
            let step = (last - first) / (f64::from(self.entries) - 1.0);
            Some([step, first].map(|number| number as f32))
        });
        let rows: Vec<[f32; 2]> = rows.collect::<Option<_>>()?;
        if !rows.iter().flatten().all(|number| number.is_finite()) {
            return None;
        }
        let mut constant = |what: &str, row: usize| {
            let name = nodes.name(what);
            let values: Vec<f32> = rows.iter().map(|numbers| numbers[row]).collect();
            tensors.add(tensor::from_f32(&name, &[values.len()], &values));
            name
        };
        let (step, first) = (constant("step", 0), constant("first", 1));
        let (ramp, end) = (tensors.ramp(self.entries), tensors.last(self.entries));

        // Cast cuts off, so a half is added for it to round.
        let inverse = nodes.add("Reciprocal", &[&step], "inverse");
        let start = nodes.add("Mul", &[&first, &inverse], "start");
        let offset = nodes.add("Sub", &[HALF, &start], "offset");
        let scale = nodes.add("Mul", &[&self.norm.input[1], &inverse], "scale");
        let product = nodes.add("Mul", &[&self.norm.input[2], &inverse], "product");
        let bias = nodes.add("Add", &[&product, &offset], "bias");
        let position = nodes.add("InstanceNormalization", &[&self.norm.input[0], &scale, &bias], "position");
        if let Some(norm) = nodes.nodes.last_mut() {
            norm.attribute.clone_from(&self.norm.attribute);
        }
        let kept = nodes.add("Clip", &[&position, FIRST, &end], "kept");
        let index = nodes.cast(&kept, DataType::Int32, "index");
        let [step, first] = [(&step, "steps"), (&first, "firsts")]
            .map(|(value, what)| nodes.add("Reshape", &[value, ROWS], what));
        let rise = nodes.add("Mul", &[&ramp, &step], "rise");
        Some((index, nodes.add("Add", &[&rise, &first], "arguments")))
    }
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

/// The nodes of one table. Their names are short, since there are many.
struct Nodes {
    nodes: Vec<NodeProto>,
    prefix: String,
}

impl Nodes {
    fn name(&self, what: &str) -> String {
        format!("{}/{what}", self.prefix)
    }

    fn add(&mut self, op: &str, inputs: &[&str], what: &str) -> String {
        let name = self.name(what);
        self.nodes.push(node(op, &name, inputs, &[&name]));
        name
    }

    fn cast(&mut self, value: &str, to: DataType, what: &str) -> String {
        let name = self.add("Cast", &[value], what);
        if let Some(cast) = self.nodes.last_mut() {
            cast.attribute.push(integer_attribute("to", i64::from(i32::from(to))));
        }
        name
    }
}
