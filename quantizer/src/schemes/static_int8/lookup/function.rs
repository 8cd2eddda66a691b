//! Functions that a graph applies to each element of a value.

use crate::graph::{attribute, is};
use crate::proto::NodeProto;
use crate::rewrite::Facts;
use crate::tensor;

/// The most nodes that are followed; a chain that is longer is none of those that are looked for.
const MOST_NODES: usize = 16;

/// A function of one value, of which each result depends on the element at the same place and on constants of its
/// channel.
#[derive(Debug)]
pub struct Function<'a> {
    /// What it is a function of.
    pub argument: &'a str,
    /// The nodes that compute it, each behind those that it needs.
    pub nodes: Vec<&'a NodeProto>,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    operation: Operation,
    operands: Vec<Operand>,
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Add,
    Sub,
    Mul,
    Div,
    Sin,
    /// With the slope below 0.
    LeakyRelu(f64),
}

#[derive(Clone, Debug)]
enum Operand {
    Argument,
    /// The result of an earlier step.
    Step(usize),
    /// One for each channel, or one for all.
    Constant(Vec<f64>),
}

impl<'a> Function<'a> {
    /// The function that makes `value`, of `channels` channels, from the output of an `InstanceNormalization`.
    ///
    /// `None` where it comes from elsewhere, from two of them, or through anything but arithmetic with constants, the
    /// sine and `LeakyRelu`; and where a value in between is also used outside.
    pub fn read(value: &'a str, channels: usize, facts: &Facts<'a>) -> Option<Self> {
        let mut reader =
            Reader { facts, channels, argument: None, followed: 0, nodes: vec![], steps: vec![] };
        reader.operand(value)?;
        let Reader { argument, nodes, steps, .. } = reader;
        let argument = argument.filter(|_| !nodes.is_empty())?;
        let is_inside = |user: &NodeProto| nodes.iter().any(|node| std::ptr::eq(*node, user));
        let is_private = |value: &str| !facts.is_output(value) && facts.view.consumers(value).all(is_inside);
        let inner = nodes.iter().map(|node| node.output[0].as_str()).filter(|&made| made != value);
        inner.chain([argument]).all(is_private).then_some(Self { argument, nodes, steps })
    }

    /// The result for one element of `channel`.
    pub fn at(&self, channel: usize, argument: f64) -> f64 {
        let mut results: Vec<f64> = Vec::with_capacity(self.steps.len());
        for Step { operation, operands } in &self.steps {
            let operand = |position: usize| match &operands[position] {
                Operand::Argument => argument,
                Operand::Step(step) => results[*step],
                Operand::Constant(values) => values[if values.len() == 1 { 0 } else { channel }],
            };
            results.push(match operation {
                Operation::Add => operand(0) + operand(1),
                Operation::Sub => operand(0) - operand(1),
                Operation::Mul => operand(0) * operand(1),
                Operation::Div => operand(0) / operand(1),
                // Of the platform's sine, the last bits differ from one to the next.
                Operation::Sin => libm::sin(operand(0)),
                Operation::LeakyRelu(slope) => operand(0).max(0.0) + slope * operand(0).min(0.0),
            });
        }
        results.last().copied().unwrap_or(argument)
    }

    /// The arguments at which a `channel` becomes `low` and `high`; `None` unless the function rises from one to the
    /// other.
    pub fn preimage(&self, channel: usize, low: f64, high: f64) -> Option<(f64, f64)> {
        const LARGEST: f64 = (1_u64 << 40) as f64;
        const BISECTIONS: usize = 60;
        const SAMPLES: u32 = 512;
        let mut reach = 1.0;
        while !(self.at(channel, -reach) <= low && self.at(channel, reach) >= high) {
            reach *= 2.0;
            if reach > LARGEST {
                return None;
            }
        }
        let argument = |wanted: f64| {
            let (mut below, mut above) = (-reach, reach);
            for _ in 0..BISECTIONS {
                let middle = below.midpoint(above);
                if self.at(channel, middle) < wanted {
                    below = middle;
                } else {
                    above = middle;
                }
            }
            above
        };
        let (first, last) = (argument(low), argument(high));
        let sample =
            |step: u32| self.at(channel, first + (last - first) * f64::from(step) / f64::from(SAMPLES));
        // Snake rests where the sine does, and rounding may let it seem to fall there.
        let slack = (high - low) * 1e-9;
        let rises = (0..SAMPLES).all(|step| sample(step) <= sample(step + 1) + slack);
        (rises && first < last).then_some((first, last))
    }
}

struct Reader<'a, 'f> {
    facts: &'f Facts<'a>,
    channels: usize,
    argument: Option<&'a str>,
    /// How many nodes were gone into. `nodes` has only those that were come back from, so it bounds no depth.
    followed: usize,
    nodes: Vec<&'a NodeProto>,
    steps: Vec<Step>,
}

impl<'a> Reader<'a, '_> {
    fn operand(&mut self, value: &'a str) -> Option<Operand> {
        if self.argument == Some(value) {
            return Some(Operand::Argument);
        }
        if let Some(step) = self.nodes.iter().position(|node| node.output[0] == value) {
            return Some(Operand::Step(step));
        }
        if let Some(values) = self.constant(value) {
            return Some(Operand::Constant(values));
        }
        let node = self.facts.view.producer(value).filter(|node| node.output.len() == 1)?;
        if is(node, "InstanceNormalization") {
            return self.argument.replace(value).is_none().then_some(Operand::Argument);
        }
        let (operation, arity) = operation(node)?;
        if node.input.len() != arity || self.followed == MOST_NODES {
            return None;
        }
        self.followed += 1;
        let operands = node.input.iter().map(|input| self.operand(input)).collect::<Option<_>>()?;
        self.nodes.push(node);
        self.steps.push(Step { operation, operands });
        Some(Operand::Step(self.steps.len() - 1))
    }

    /// The elements of a float constant that is the same at all times.
    fn constant(&self, value: &str) -> Option<Vec<f64>> {
        let tensor = self.facts.tensor(value)?;
        let values: Vec<f64> = tensor::to_f32(tensor).ok()?.into_iter().map(f64::from).collect();
        let is_per_channel = match tensor::shape(tensor).as_slice() {
            [1, channels, 1] | [channels, 1] => *channels == self.channels,
            _ => false,
        };
        (values.len() == 1 || is_per_channel).then_some(values)
    }
}

/// What a node computes, and of how many operands.
fn operation(node: &NodeProto) -> Option<(Operation, usize)> {
    let slope = || attribute(node, "alpha").map_or(0.01, crate::proto::AttributeProto::f);
    let known = [
        ("Add", Operation::Add, 2),
        ("Sub", Operation::Sub, 2),
        ("Mul", Operation::Mul, 2),
        ("Div", Operation::Div, 2),
        ("Sin", Operation::Sin, 1),
        ("LeakyRelu", Operation::LeakyRelu(f64::from(slope())), 1),
    ];
    known.into_iter().find(|(op, ..)| is(node, op)).map(|(_, operation, arity)| (operation, arity))
}
