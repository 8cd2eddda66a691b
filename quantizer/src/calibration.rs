//! Calibration: what values a model's activations take, measured inside of its graph.
//!
//! A run of a graph that [`expose_statistics`] extended returns a few numbers per channel, never activations. From those
//! of several sentences come [`Ranges`]; a second run, of a graph that [`expose_errors`] extended, says how much of
//! each range is better clipped. The ranges are part of a plan, so that quantizing needs no runtime.

mod expose;
mod ranges;

pub use expose::{STATISTICS, expose_errors, expose_statistics};
pub use ranges::{Channel, Errors, Ranges, Statistics};

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use regex::Regex;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{View, is};
use crate::proto::{GraphProto, ModelProto, NodeProto};
use crate::rewrite::{self, Applied, Pass};
use crate::{check, fold, model, opset, order, tensor};

/// A value to measure: float, of shape [N, `channels`, T].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The name of the value.
    pub value: String,
    /// The size of its axis 1.
    pub channels: usize,
    /// So many positions at both ends of time are left out, where the value is longer than these.
    pub edges: usize,
}

/// Convolutions whose input and output are far larger at both ends of time than between.
#[derive(Clone, Debug)]
pub struct Edges {
    /// A pattern of node names.
    pub pattern: Regex,
    /// How many positions of the output an end has.
    pub positions: usize,
    /// How many times as far as between the ends the ranges reach there.
    pub times: f32,
}

impl Edges {
    /// The first of `entries` that means `node`.
    pub fn of<'a>(entries: &'a [Self], node: &NodeProto) -> Option<&'a Self> {
        entries.iter().find(|edges| edges.pattern.is_match(node.name()))
    }
}

/// Which convolutions compute in INT8.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Patterns of node names; none means all.
    pub include: Option<Regex>,
    /// Patterns of node names that stay float all the same.
    pub exclude: Option<Regex>,
}

impl Selection {
    /// Whether `node` is a convolution that is meant.
    pub fn selects(&self, node: &NodeProto) -> bool {
        let matches = |pattern: &Regex| pattern.is_match(node.name());
        is(node, "Conv")
            && self.include.as_ref().is_none_or(matches)
            && !self.exclude.as_ref().is_some_and(matches)
    }
}

/// Folds weights and applies `rewrites`, so that values have the names which a scheme with these rewrites meets.
///
/// # Errors
/// Those of [`check::validate`], [`fold::fold_weights`] and the rewrites.
pub fn prepare<'a>(
    model: &mut ModelProto,
    rewrites: impl IntoIterator<Item = &'a Pass>,
) -> Result<Vec<Applied>> {
    check::validate(model::graph_mut(model)?)?;
    opset::raise(model, opset::HIGHEST)?;
    let graph = model::graph_mut(model)?;
    fold::fold_weights(graph)?;
    let applied = rewrite::apply(graph, rewrites)?;
    order::sort(graph)?;
    Ok(applied)
}

/// The inputs and the outputs of the selected convolutions, each once, in graph order. Where a convolution has `edges`,
/// only what lies between them is to be measured.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a selected convolution whose weights are no constant [out, in / group, kernel].
pub fn points(graph: &GraphProto, selection: &Selection, edges: &[Edges]) -> Result<Vec<Point>> {
    let view = View::new(graph);
    let mut points: Vec<Point> = Vec::new();
    let mut seen = HashMap::new();
    for node in graph.node.iter().filter(|node| selection.selects(node)) {
        let weight = node.input.get(1).and_then(|name| view.initializer(name));
        let dims = weight.map(tensor::shape).unwrap_or_default();
        let &[outputs, per_group, _] = dims.as_slice() else {
            let message = "expected constant weights of 3 dimensions, for one convolution over time";
            return Err(Error::node(ErrorKind::Unsupported, node, message));
        };
        let groups = usize::try_from(crate::graph::integer(node, "group", 1)).unwrap_or(0);
        let edges = Edges::of(edges, node).map_or(0, |edges| edges.positions);
        let ends = [(node.input.first(), per_group * groups), (node.output.first(), outputs)];
        for (value, channels) in ends {
            let value = value.filter(|name| !name.is_empty()).ok_or_else(|| {
                Error::node(ErrorKind::Graph, node, "expected an input and an output, found neither or one")
            })?;
            match seen.entry(value) {
                Entry::Vacant(vacant) => {
                    vacant.insert(points.len());
                    points.push(Point { value: value.clone(), channels, edges });
                }
                // What one of the convolutions does not compute exactly is to be covered.
                Entry::Occupied(known) => {
                    let known = &mut points[*known.get()].edges;
                    *known = edges.min(*known);
                }
            }
        }
    }
    Ok(points)
}
