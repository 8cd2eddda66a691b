//! Norms over time, spelled out in elementwise operators, as `InstanceNormalization`.
//!
//! Adaptive instance normalization (Huang and Belongie 2017) of `x` [N, C, T] is `γ · (x − μ) / √(σ² + ε) + β`, with
//! the mean `μ` and the variance `σ²` taken over T, for each channel of each element of the batch. The operator
//! `InstanceNormalization` computes just that, and its scale and bias may be computed while the graph runs. They have
//! the shape [C], so one pair is for the whole batch: that is exact where `γ` and `β` are [1, C, 1], whatever N is.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Dims, Facts};
use super::shape::{permutation, positions};
use crate::error::Result;
use crate::graph::{View, integer, is, node};
use crate::proto::attribute_proto::AttributeType;
use crate::proto::{AttributeProto, GraphProto, NodeProto};
use crate::{dead, order, tensor};

/// Turns `ReduceMean`, Sub, Mul, `ReduceMean`, Add, Sqrt, Div, Mul, Add into one `InstanceNormalization` for each pair of
/// scale and bias. Returns how many of these were put in.
///
/// What is asked for: `x` of three dimensions and a known number C of channels; both means over the last of them,
/// with `keepdims`; `ε` a stored scalar; scale and bias of [1, C, 1], by declaration or by inference, so that a graph
/// with several styles in a batch is refused; no use of the values in between by anything else; and every use of the
/// normalized value a scale and bias. The same norm seen through one transposition, as optimizers leave it, is found
/// too, and `x` is then transposed.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn instance_norm(graph: &mut GraphProto) -> Result<usize> {
    order::sort(graph)?;
    let mut made: BTreeMap<usize, Vec<NodeProto>> = BTreeMap::new();
    let mut count = 0;
    {
        let view = View::new(graph);
        let facts = Facts::new(&view);
        let flat = facts.free_name("instance-norm/flat");
        for div in view.graph.node.iter().filter(|node| is(node, "Div")) {
            let Some(norm) = Norm::of(div, &facts) else { continue };
            let Some(affines) = affines(div, &norm, &facts) else { continue };
            for (at, nodes) in norm.nodes(&affines, &flat, &facts) {
                count += 1;
                made.insert(at, nodes);
            }
        }
        if count == 0 {
            return Ok(0);
        }
        graph.initializer.push(tensor::from_i64(&flat, &[1], &[-1]));
    }
    let old = std::mem::take(&mut graph.node);
    for (index, node) in old.into_iter().enumerate() {
        match made.remove(&index) {
            Some(nodes) => graph.node.extend(nodes),
            None => graph.node.push(node),
        }
    }
    dead::remove(graph);
    Ok(count)
}

/// `(x − μ) / √(σ² + ε)`, with nothing else using what is in between.
struct Norm<'a> {
    x: &'a str,
    /// How `x` is transposed to [N, C, T].
    permutation: Option<Vec<usize>>,
    channels: i64,
    epsilon: f32,
}

/// One scale and bias of a norm: the position of the Add, and the operands that are not the norm.
struct Affine<'a> {
    add: usize,
    scale: &'a str,
    bias: &'a str,
}

impl<'a> Norm<'a> {
    fn of(div: &'a NodeProto, facts: &Facts<'a>) -> Option<Self> {
        let mut inner = Chain { facts, values: BTreeSet::new(), permutation: None };
        let centred = inner.through(div.input.first()?, "Sub")?;
        let numerator = inner.permutation.take();
        let root = inner.through(div.input.get(1)?, "Sqrt")?;
        let sum = inner.through(&root.input[0], "Add")?;
        let (variance, epsilon) = epsilon(sum, facts)?;
        let variance = inner.through(variance, "ReduceMean")?;
        if inner.permutation != numerator {
            return None;
        }
        let permutation = numerator;
        let squared = inner.square(&variance.input[0])?;
        let [x, mean] = centred.input.as_slice() else { return None };
        // The variance may be about the same mean, or about the same mean computed once more.
        let [again, mean_again] = squared.input.as_slice() else { return None };
        if again != x || facts.dims(x)?.len() != 3 {
            return None;
        }
        let order = permutation.clone().unwrap_or_else(|| vec![0, 1, 2]);
        let time = order[2];
        for mean in [mean, mean_again] {
            let mean = inner.step(mean, "ReduceMean")?;
            if mean.input.first() != Some(x) || !is_over(mean, time, facts) {
                return None;
            }
        }
        if !is_over(variance, time, facts) || !inner.is_private(div) {
            return None;
        }
        let channels = facts.dims(x)?[order[1]]?;
        Some(Self { x, permutation, channels, epsilon })
    }

    /// The nodes that take the place of each Add: what is needed to get at `x`, scale and bias, and the operator.
    fn nodes(&self, affines: &[Affine<'_>], flat: &str, facts: &Facts<'_>) -> Vec<(usize, Vec<NodeProto>)> {
        let one = |affine: &Affine<'_>| {
            let add = &facts.view.graph.node[affine.add];
            let output = &add.output[0];
            let [x, scale, bias] =
                ["x", "scale", "bias"].map(|what| facts.free_name(&format!("{output}/{what}")));
            let mut nodes = vec![
                node("Reshape", &scale, &[affine.scale, flat], &[&scale]),
                node("Reshape", &bias, &[affine.bias, flat], &[&bias]),
            ];
            let mut input = self.x;
            if let Some(permutation) = &self.permutation {
                let mut transpose = node("Transpose", &x, &[self.x], &[&x]);
                transpose.attribute.push(AttributeProto {
                    name: Some("perm".into()),
                    ints: permutation.iter().map(|&axis| axis as i64).collect(),
                    r#type: Some(AttributeType::Ints.into()),
                    ..Default::default()
                });
                nodes.push(transpose);
                input = &x;
            }
            let mut norm = node("InstanceNormalization", add.name(), &[input, &scale, &bias], &[output]);
            norm.attribute.push(AttributeProto {
                name: Some("epsilon".into()),
                f: Some(self.epsilon),
                r#type: Some(AttributeType::Float.into()),
                ..Default::default()
            });
            nodes.push(norm);
            (affine.add, nodes)
        };
        affines.iter().map(one).collect()
    }
}

/// The walk back along a norm, and the values it came by.
struct Chain<'a, 'f> {
    facts: &'f Facts<'a>,
    values: BTreeSet<&'a str>,
    /// Of the one Transpose that was met since this was last taken.
    permutation: Option<Vec<usize>>,
}

impl<'a> Chain<'a, '_> {
    /// The node that makes `value`, if it is an `op`.
    fn step(&mut self, value: &'a str, op: &str) -> Option<&'a NodeProto> {
        let node = self.facts.view.producer(value).filter(|node| is(node, op) && !node.input.is_empty())?;
        self.values.insert(value);
        Some(node)
    }

    /// As [`Self::step`], also where a Transpose of three dimensions stands in between.
    fn through(&mut self, value: &'a str, op: &str) -> Option<&'a NodeProto> {
        let Some(transpose) = self.step(value, "Transpose") else { return self.step(value, op) };
        if self.permutation.replace(permutation(transpose, 3)?).is_some() {
            return None;
        }
        self.step(&transpose.input[0], op)
    }

    /// The difference whose square `value` is.
    fn square(&mut self, value: &'a str) -> Option<&'a NodeProto> {
        let node = self.step(value, "Mul").or_else(|| self.step(value, "Pow"))?;
        let [base, second] = node.input.as_slice() else { return None };
        let is_square = if is(node, "Mul") { base == second } else { self.facts.is_two(second) };
        is_square.then(|| self.step(base, "Sub"))?
    }

    /// Whether nothing but the chain itself, up to `div`, uses the values of the chain.
    fn is_private(&self, div: &NodeProto) -> bool {
        let is_inside = |user: &NodeProto| {
            let made = user.output.first().map_or("", String::as_str);
            std::ptr::eq(user, div) || self.values.contains(made)
        };
        let facts = self.facts;
        self.values.iter().all(|value| !facts.is_output(value) && facts.view.consumers(value).all(is_inside))
    }
}

/// The addend that is a positive stored scalar, and the other.
fn epsilon<'a>(add: &'a NodeProto, facts: &Facts<'_>) -> Option<(&'a str, f32)> {
    let [a, b] = add.input.as_slice() else { return None };
    let pairs = [(a, facts.scalar(b)), (b, facts.scalar(a))];
    pairs.into_iter().find_map(|(other, scalar)| Some((other.as_str(), scalar.filter(|&it| it > 0.0)?)))
}

/// Whether a `ReduceMean` of three dimensions goes over that one alone and keeps it.
fn is_over(mean: &NodeProto, dimension: usize, facts: &Facts<'_>) -> bool {
    let reduced = facts.axes(mean).and_then(|axes| positions(&axes, 3));
    integer(mean, "keepdims", 1) != 0 && reduced.is_some_and(|axes| axes == [dimension])
}

/// The scales and biases that the result of `div` goes through; `None` where it is used in any other way.
fn affines<'a>(div: &'a NodeProto, norm: &Norm<'_>, facts: &Facts<'a>) -> Option<Vec<Affine<'a>>> {
    let normalized = div.output.first()?;
    let per_channel: Dims = vec![Some(1), Some(norm.channels), Some(1)];
    let operand = |node: &'a NodeProto, value: &str, op: &str| {
        let [a, b] = node.input.as_slice() else { return None };
        let other = if a == value { b } else { a };
        let fits = is(node, op) && a != b && facts.dims(other)? == per_channel;
        fits.then_some(other.as_str())
    };
    if facts.is_output(normalized) {
        return None;
    }
    let affine = |mul: &'a NodeProto| {
        let scale = operand(mul, normalized, "Mul")?;
        let scaled = mul.output.first()?;
        let add = facts.view.only_consumer(scaled)?;
        let bias = operand(add, scaled, "Add")?;
        Some(Affine { add: facts.view.producer_index(add.output.first()?)?, scale, bias })
    };
    let affines: Option<Vec<_>> = facts.view.consumers(normalized).map(affine).collect();
    affines.filter(|affines| !affines.is_empty())
}
