//! Norm and activation, from one convolution to the next.

use std::collections::HashSet;

use super::{Made, operator};
use crate::graph::{attribute, float_attribute, is, string_attribute};
use crate::proto::NodeProto;
use crate::rewrite::Facts;
use crate::tensor;

/// What the operators call the activation of a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Activation<'a> {
    None,
    LeakyRelu { slope: f32 },
    Snake { alpha: &'a str },
}

/// A chain, from its end to its start.
#[derive(Debug)]
struct Chain<'a> {
    x: &'a str,
    /// Scale and bias of the norm, and the number that keeps it from dividing by 0.
    norm: Option<(&'a str, &'a str, f32)>,
    activation: Activation<'a>,
}

/// Every chain, in place of its last node.
///
/// Longer chains go first: what ends in an activation, then norms that are left.
pub(super) fn find(facts: &Facts<'_>) -> Made {
    let nodes = &facts.view.graph.node;
    let mut made = Made::new();
    let mut inner: HashSet<&str> = HashSet::new();
    let kinds: [fn(&NodeProto) -> bool; 2] =
        [|node| is(node, "Add") || is(node, "LeakyRelu"), |node| is(node, "InstanceNormalization")];
    for is_end in kinds {
        for (index, node) in nodes.iter().enumerate().filter(|(_, node)| is_end(node)) {
            let Some(result) = node.output.first().filter(|result| !inner.contains(result.as_str())) else {
                continue;
            };
            let mut reader = Reader { facts, inner: vec![] };
            if let Some(chain) = reader.chain(result) {
                inner.extend(reader.inner);
                made.insert(index, chain.node(result));
            }
        }
    }
    made
}

impl Chain<'_> {
    fn node(&self, result: &str) -> NodeProto {
        let (name, alpha, slope) = match self.activation {
            Activation::None => ("none", None, None),
            Activation::LeakyRelu { slope } => ("leaky_relu", None, Some(slope)),
            Activation::Snake { alpha } => ("snake", Some(alpha), None),
        };
        let (scale, bias) = (self.norm.map(|(scale, ..)| scale), self.norm.map(|(_, bias, _)| bias));
        let mut node = operator("AdaINActivation", &[Some(self.x), scale, bias, alpha], result);
        node.attribute.push(string_attribute("activation", name));
        node.attribute.extend(self.norm.map(|(.., epsilon)| float_attribute("epsilon", epsilon)));
        node.attribute.extend(slope.map(|slope| float_attribute("slope", slope)));
        node
    }
}

/// Follows a chain against the direction of the data.
struct Reader<'a, 'f> {
    facts: &'f Facts<'a>,
    /// The values that nothing outside of the chain needs.
    inner: Vec<&'a str>,
}

impl<'a> Reader<'a, '_> {
    /// The chain that ends with `value`; `None` where an operator would save nothing.
    fn chain(&mut self, value: &'a str) -> Option<Chain<'a>> {
        let (activation, argument) = self.activation(value);
        let (norm, x) = self.norm(argument, value, activation);
        let is_worth_it = norm.is_some() || matches!(activation, Activation::Snake { .. });
        (is_worth_it && self.facts.dims(x)?.len() == 3).then_some(Chain { x, norm, activation })
    }

    /// `value`, if nothing but `users` needs it.
    fn private(&mut self, value: &'a str, users: &[&NodeProto]) -> Option<&'a str> {
        let is_user = |node: &NodeProto| users.iter().any(|user| std::ptr::eq(*user, node));
        let is_private = !self.facts.is_output(value) && self.facts.view.consumers(value).all(is_user);
        is_private.then(|| {
            self.inner.push(value);
            value
        })
    }

    /// The activation that makes `value`, and of what.
    fn activation(&mut self, value: &'a str) -> (Activation<'a>, &'a str) {
        let Some(node) = self.facts.view.producer(value) else { return (Activation::None, value) };
        if is(node, "LeakyRelu") {
            let slope = attribute(node, "alpha").map_or(0.01, crate::proto::AttributeProto::f);
            return (Activation::LeakyRelu { slope }, &node.input[0]);
        }
        match self.snake(node) {
            Some((alpha, argument)) => (Activation::Snake { alpha }, argument),
            None => (Activation::None, value),
        }
    }

    /// `alpha` and `r`, where `node` is the sum of `r + sin(alpha · r)² · (1 / alpha)`.
    fn snake(&mut self, node: &'a NodeProto) -> Option<(&'a str, &'a str)> {
        let [left, right] = node.input.as_slice() else { return None };
        if !is(node, "Add") {
            return None;
        }
        [(left, right), (right, left)].into_iter().find_map(|(argument, part)| {
            let before = self.inner.len();
            let alpha = self.sine_squared(part, argument, node);
            if alpha.is_none() {
                self.inner.truncate(before);
            }
            Some((alpha?, argument.as_str()))
        })
    }

    /// `alpha`, where `part` is `sin(alpha · argument)² · (1 / alpha)` for `user` alone.
    fn sine_squared(&mut self, part: &'a str, argument: &str, user: &NodeProto) -> Option<&'a str> {
        let part = self.made_by("Mul", part, user)?;
        let (inverse, square) = self.constant_factor(part)?;
        let square = self.made_by("Mul", square, part)?;
        let [sine, same] = square.input.as_slice() else { return None };
        let sine = self.made_by("Sin", sine, square).filter(|_| sine == same)?;
        let angle = self.made_by("Mul", &sine.input[0], sine)?;
        let (alpha, turned) = self.constant_factor(angle)?;
        let values = |name: &str| tensor::to_f32(self.facts.tensor(name)?).ok();
        let (alphas, inverses) = (values(alpha)?, values(inverse)?);
        // The operator divides; the last bit of a product with the inverse may differ from that.
        let is_inverse = |(alpha, inverse): (&f32, &f32)| (alpha * inverse - 1.0).abs() <= 2.0 * f32::EPSILON;
        let are_inverse = alphas.len() == inverses.len() && alphas.iter().zip(&inverses).all(is_inverse);
        (turned == argument && are_inverse).then_some(alpha)
    }

    /// The `op` that makes `value` for `user` alone.
    fn made_by(&mut self, op: &str, value: &'a str, user: &NodeProto) -> Option<&'a NodeProto> {
        let node = self.facts.view.producer(value).filter(|node| is(node, op))?;
        self.private(value, &[user])?;
        Some(node)
    }

    /// The float constant of a product, one number for each channel, and the other factor.
    fn constant_factor(&self, product: &'a NodeProto) -> Option<(&'a str, &'a str)> {
        let [left, right] = product.input.as_slice() else { return None };
        let is_constant = |name: &str| {
            let dims = self.facts.tensor(name).map(tensor::shape);
            dims.is_some_and(|dims| matches!(dims.as_slice(), [1, _, 1] | [_, 1]))
        };
        [(left, right), (right, left)]
            .into_iter()
            .find_map(|(factor, other)| is_constant(factor).then_some((factor.as_str(), other.as_str())))
    }

    /// The norm that makes `argument`, and of what; `argument` itself where none does, or where others need its result.
    fn norm(
        &mut self,
        argument: &'a str,
        value: &'a str,
        activation: Activation<'a>,
    ) -> (Option<(&'a str, &'a str, f32)>, &'a str) {
        let Some(node) = self.facts.view.producer(argument) else { return (None, argument) };
        let [x, scale, bias] = node.input.as_slice() else { return (None, argument) };
        if !is(node, "InstanceNormalization") {
            return (None, argument);
        }
        let end = self.facts.view.producer(value);
        let users: Vec<&NodeProto> = match activation {
            // Snake's argument is also what the sine is of.
            Activation::Snake { .. } => {
                let angle = self.facts.view.consumers(argument).find(|node| is(node, "Mul"));
                end.into_iter().chain(angle).collect()
            }
            Activation::LeakyRelu { .. } => end.into_iter().collect(),
            Activation::None => vec![],
        };
        if activation != Activation::None && self.private(argument, &users).is_none() {
            return (None, argument);
        }
        let epsilon = attribute(node, "epsilon").map_or(1e-5, crate::proto::AttributeProto::f);
        (Some((scale, bias, epsilon)), x)
    }
}
