//! Both ends of a sentence, computed apart from what lies between.
//!
//! In Kokoro's decoder the first and the last frames, those of the silent tokens around a sentence, hold activations
//! several times as large as all others. A range that covers them leaves few levels for the sentence, and one that does
//! not clips them, which is worse: they are a good part of a channel's variance, so that the norm behind scales the
//! whole sentence wrongly.
//!
//! So a convolution with [`Edges`](crate::calibration::Edges) is there twice. Once for all of time, with the ranges of
//! what lies between. And once for *windows*, the first and the last positions that it needs for its edges, one behind
//! the other in the batch, on the same integers as weights: with input and output scales that are all so many times as
//! large, only the bias is another. What it gives at the edges takes the place of what the first one gives there:
//! `ScatterElements` writes it into the float, without copying the rest. Where a table takes the place of that float,
//! [`super::lookup`] asks for the sums that the edges add to those of the bytes.
//!
//! A window is as long as the value where that is shorter. Then its end is that of the value, and is padded alike.

mod levels;
mod twin;

pub use twin::EDGES;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::convolution::Convolution;
use super::lookup::Function;
use super::nodes::{Constants, Nodes};
use crate::graph::{View, is, outputs};
use crate::proto::GraphProto;
use crate::rewrite::Facts;

/// How a convolution computes its edges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ends {
    /// How many positions of the output an end has.
    pub positions: usize,
    /// How many times as large as between the ends scales are there.
    pub times: f32,
    /// How far from an output's position the inputs are that count for it.
    pub reach: usize,
}

/// The windows of a value [N, C, T]: its first and its last positions, float [2 · N, C, at least `width`], or [2 · N, C, T]
/// if there are no more.
#[derive(Clone, Debug)]
pub struct Windows {
    prefix: String,
    pub width: usize,
    /// The largest of those of the convolutions that read it.
    times: f32,
}

impl Windows {
    /// The value itself.
    pub fn value(&self) -> String {
        format!("{}/windows", self.prefix)
    }

    /// The value in 8 bits.
    fn levels(&self) -> String {
        format!("{}/levels", self.prefix)
    }
}

/// What a convolution gives at its edges, in 8 bits.
#[derive(Clone, Debug)]
struct Product {
    prefix: String,
    ends: Ends,
    /// A value that is as long.
    root: String,
    /// The name of the zero points, uint8 [O], of the convolution for all of time.
    zeros: String,
}

impl Product {
    /// The windows in 8 bits.
    fn windows(&self) -> String {
        format!("{}/product", self.prefix)
    }
}

/// Everything that is computed for edges.
#[derive(Default)]
pub struct Edged {
    /// By the value that they are windows of.
    windows: BTreeMap<String, Windows>,
    /// By the value in 8 bits whose edges they are.
    products: BTreeMap<String, Product>,
    /// For outputs of the convolutions, a value that is as long.
    roots: BTreeMap<String, String>,
    /// What there is already for all that are as long as a root, by name.
    shared: BTreeSet<String>,
    constants: Constants,
}

impl Edged {
    /// What the `convolutions`, in the order of a sorted graph, need to compute their edges.
    ///
    /// Where one of them reads a function of the norm of what another one gives, the windows of that one are wider by as
    /// much as this one needs.
    pub fn new<'a>(convolutions: &[Convolution<'a>], facts: &Facts<'a>) -> Self {
        let mut edged = Self { roots: roots(convolutions, facts), ..Self::default() };
        let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
        for convolution in convolutions.iter().rev() {
            let Some(Ends { positions, times, reach }) = convolution.ends else { continue };
            let wanted_here = wanted.get(convolution.output).copied().unwrap_or(0);
            let width = positions.max(wanted_here) + reach;
            let prefix = format!("edges/{}", edged.windows.len());
            let windows = edged.windows.entry(convolution.input.to_owned());
            let windows = windows.or_insert(Windows { prefix, width, times });
            windows.width = windows.width.max(width);
            windows.times = windows.times.max(times);
            let norm = Function::read(convolution.input, convolution.inputs(), facts)
                .and_then(|function| facts.view.producer(function.argument));
            if let Some(norm) = norm {
                let wanted = wanted.entry(&norm.input[0]).or_insert(0);
                *wanted = width.max(*wanted);
            }
        }
        edged
    }

    /// How many times as large as elsewhere the scales of a convolution's input and output are at the edges.
    pub fn times(&self, convolution: &Convolution<'_>) -> [f32; 2] {
        let windows = self.windows.get(convolution.input).map_or(1.0, |windows| windows.times);
        [windows, convolution.ends.map_or(1.0, |ends| ends.times)]
    }

    /// The windows of `value`, if a convolution asks for them.
    pub fn windows(&self, value: &str) -> Option<&Windows> {
        self.windows.get(value)
    }

    /// Whether the edges of a value in 8 bits are computed apart.
    pub fn has_edges(&self, value: &str) -> bool {
        self.products.contains_key(value)
    }

    /// Cuts those windows that nothing made out of their values, and adds the constants.
    pub fn finish(mut self, graph: &mut GraphProto) {
        let view = View::new(graph);
        let is_missing = |name: &str| view.producer(name).is_none() && view.consumers(name).next().is_some();
        let mut missing = std::mem::take(&mut self.windows);
        missing.retain(|_, windows| is_missing(&windows.value()));
        for (value, windows) in missing {
            let mut nodes = Nodes::new(&windows.prefix);
            self.cut(&value, windows.width, &mut nodes, "windows");
            graph.node.extend(nodes.nodes);
        }
        graph.initializer.extend(self.constants.tensors.into_values());
    }

    /// Windows of `value`, cut out of it.
    pub fn cut(&mut self, value: &str, width: usize, nodes: &mut Nodes, what: &str) -> String {
        let [first, last] = self.ends(value, value, width, nodes, what);
        nodes.concat(&[&first, &last], 0, what)
    }

    /// The first `count` positions of `first` and the last of `last`, or all of them if there are no more.
    fn ends(&mut self, first: &str, last: &str, count: usize, nodes: &mut Nodes, what: &str) -> [String; 2] {
        let count = count as i64;
        let [time, zero, end] = [2, 0, i64::MAX].map(|value| self.constants.integer(value));
        let [after, before] = [count, -count].map(|value| self.constants.integer(value));
        [
            nodes.add("Slice", &[first, &zero, &after, &time], &format!("{what}.first")),
            nodes.add("Slice", &[last, &before, &end, &time], &format!("{what}.last")),
        ]
    }
}

/// For the output of each convolution with edges, the value that it has its length from. In a block of residual
/// convolutions that is what enters it, so that what depends on nothing but the length is there once.
fn roots<'a>(convolutions: &[Convolution<'a>], facts: &Facts<'a>) -> BTreeMap<String, String> {
    let with_edges = convolutions.iter().filter(|convolution| convolution.ends.is_some());
    let with_edges: HashMap<&str, &'a str> = with_edges.map(|it| (it.output, it.input)).collect();
    let mut roots: HashMap<&str, &'a str> = HashMap::new();
    for node in &facts.view.graph.node {
        for output in outputs(node) {
            let own = |value: &'a str| Some(roots.get(value).copied().unwrap_or(value));
            let found = match (with_edges.get(output), node.input.as_slice()) {
                (Some(input), _) => own(input),
                (None, [x, ..])
                    if ["InstanceNormalization", "LeakyRelu", "Sin"].iter().any(|op| is(node, op)) =>
                {
                    own(x)
                }
                (None, [a, b]) if ["Add", "Sub", "Mul", "Div"].iter().any(|op| is(node, op)) => {
                    let is_short = |value: &str| {
                        facts.tensor(value).is_some_and(|it| it.dims.last().is_none_or(|&last| last == 1))
                    };
                    match (is_short(a), is_short(b)) {
                        (false, false) => own(a).filter(|&root| own(b) == Some(root)),
                        (true, _) => own(b),
                        (_, true) => own(a),
                    }
                }
                _ => None,
            };
            if let Some(found) = found {
                roots.insert(output, found);
            }
        }
    }
    with_edges
        .into_keys()
        .map(|output| (output.to_owned(), roots.get(output).copied().unwrap_or(output).to_owned()))
        .collect()
}
