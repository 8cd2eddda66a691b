//! What every Kokoro has, found by what it computes: its inputs and outputs, and what it predicts.

use super::reach::{Nodes, behind};
use crate::error::{Error, ErrorKind, Result};
use crate::fold::weight_inputs;
use crate::graph::{View, is, outputs, used_names};
use crate::proto::{NodeProto, ValueInfoProto};
use crate::rewrite::Facts;

/// The values of a Kokoro that have a meaning, by the names that they have in its graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The input of token ids, which a table of embeddings is looked up by.
    pub tokens: String,
    /// The input that the norms take their scales of.
    pub style: String,
    /// The input that durations are divided by.
    pub speed: String,
    /// The samples.
    pub audio: String,
    /// Frames of each token, what is left of the sum of sigmoids once it is rounded: float, \[1, tokens\].
    pub durations: String,
    /// F0 in Hz, what the phase of the source is summed up of: \[1, 1, 2 · frames\].
    pub f0: String,
    /// Energy, what the decoder takes beside F0: \[1, 1, 2 · frames\].
    pub energy: String,
}

fn missing(role: &str, looked_for: &str) -> Error {
    let message = format!("not a Kokoro: expected {role}, found none; looked for {looked_for}");
    Error::new(ErrorKind::Unsupported, message)
}

impl Parts {
    /// Finds them. Nodes have to stand behind what makes their inputs.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for what is no Kokoro, with what was not found.
    pub fn find(facts: &Facts<'_>) -> Result<Self> {
        let view = facts.view;
        let durations = durations(facts)?;
        let tokens = tokens(facts)?;
        let (style, speed) = style_and_speed(facts, tokens, durations)?;
        let styled = behind(view, &[style], &[durations]);
        let source = source(view, durations)?;
        let f0 = f0(facts, &styled, source)?;
        let energy = energy(view, style, &styled, durations, f0)?;
        let sounding = behind(view, &[f0], &[]);
        let is_sound = |name: &&str| view.producer_index(name).is_some_and(|index| sounding[index]);
        let audio = view.graph.output.iter().map(ValueInfoProto::name).find(is_sound);
        let audio = audio.ok_or_else(|| missing("an output of samples", "one that F0 is needed for"))?;
        let owned = str::to_owned;
        Ok(Self {
            tokens: owned(tokens),
            style: owned(style),
            speed: owned(speed),
            audio: owned(audio),
            durations: owned(durations),
            f0: owned(f0),
            energy: owned(energy),
        })
    }

    /// What they are and how each was found, for people.
    pub fn explain(&self) -> [(&'static str, &str, &'static str); 7] {
        [
            ("tokens", &self.tokens, "the input that a table of embeddings is looked up by"),
            ("style", &self.style, "the input that matrices are applied to"),
            ("speed", &self.speed, "the input that durations are divided by"),
            ("durations", &self.durations, "the sum of sigmoids once it is rounded"),
            ("f0", &self.f0, "what the phase of the source is summed up of"),
            ("energy", &self.energy, "what stands beside F0 in front of the decoder"),
            ("audio", &self.audio, "the output that needs F0"),
        ]
    }
}

/// The rounded sum of sigmoids, and what bounds it.
fn durations<'a>(facts: &Facts<'a>) -> Result<&'a str> {
    let view = facts.view;
    let sums = |node: &&NodeProto| {
        let sigmoids = view.graph.node.iter().filter(|it| is(it, "Sigmoid"));
        let sigmoids: Vec<&str> = sigmoids.flat_map(outputs).collect();
        // Of the few nodes called so, the one that is behind a sum.
        let mut value = node.input[0].as_str();
        for _ in 0..8 {
            let Some(maker) = view.producer(value) else { return false };
            if is(maker, "ReduceSum") {
                return maker.input.first().is_some_and(|sum| sigmoids.contains(&sum.as_str()));
            }
            let Some(next) = maker.input.iter().find(|it| facts.tensor(it).is_none() && !view.is_input(it))
            else {
                return false;
            };
            value = next;
        }
        false
    };
    let rounded = view.graph.node.iter().filter(|node| is(node, "Round")).find(sums);
    let rounded = rounded.and_then(|node| outputs(node).next());
    let mut value = rounded
        .ok_or_else(|| missing("durations", "a Round of a ReduceSum of a Sigmoid, divided by the speed"))?;
    let bounds = |node: &&NodeProto| ["Clip", "Max", "Min"].iter().any(|op| is(node, op));
    while let Some(bounded) = view.consumers(value).find(bounds).and_then(|node| outputs(node).next()) {
        value = bounded;
    }
    Ok(value)
}

fn tokens<'a>(facts: &Facts<'a>) -> Result<&'a str> {
    let looked_up = facts.view.graph.input.iter().map(ValueInfoProto::name).find(|name| {
        let indexes = |node: &NodeProto, value: &str| {
            is(node, "Gather") && node.input.get(1).is_some_and(|it| it == value)
        };
        let mut users = facts.view.consumers(name);
        users.any(|node| {
            let cast = outputs(node).next().filter(|_| is(node, "Cast"));
            let by_cast = cast.is_some_and(|it| facts.view.consumers(it).any(|user| indexes(user, it)));
            indexes(node, name) || by_cast
        })
    });
    looked_up.ok_or_else(|| missing("an input of token ids", "one that a Gather takes as its indices"))
}

/// Of two inputs, what weights are applied to is the style.
fn style_and_speed<'a>(facts: &Facts<'a>, tokens: &str, durations: &str) -> Result<(&'a str, &'a str)> {
    let view = facts.view;
    let names = view.graph.input.iter().map(ValueInfoProto::name);
    let others: Vec<&str> =
        names.filter(|name| *name != tokens && view.initializer(name).is_none()).collect();
    let is_weighted = |input: &&&str| {
        let reached = behind(view, &[input], &[durations]);
        let mut nodes = view.graph.node.iter().zip(&reached).filter(|(_, reached)| **reached);
        nodes.any(|(node, _)| has_weights(node, facts))
    };
    let style = others.iter().find(is_weighted).copied();
    let style =
        style.ok_or_else(|| missing("an input of the style", "one that stored matrices are applied to"))?;
    let maker = view.producer_index(durations);
    let divides =
        |input: &&&str| **input != style && maker.is_some_and(|index| behind(view, &[input], &[])[index]);
    let speed = others.iter().find(divides).copied();
    let speed = speed.ok_or_else(|| missing("an input of the speed", "one that durations are divided by"))?;
    if let Some(other) = others.iter().find(|name| ![style, speed].contains(name)) {
        let message = format!(
            "not a Kokoro: expected the inputs `{tokens}`, `{style}` and `{speed}` alone, found `{other}` beside them"
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok((style, speed))
}

/// Whether `node` has stored weights, as floats or in a quantizer's form.
pub(super) fn has_weights(node: &NodeProto, facts: &Facts<'_>) -> bool {
    let known = weight_inputs(node).iter().filter(|_| !is(node, "Gather"));
    let mut known = known.filter_map(|&input| node.input.get(input));
    let is_stored = |name: &String| facts.dims(name).is_some_and(|dims| !dims.is_empty());
    let is_product =
        ["ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "DynamicQuantizeMatMul"];
    known.any(is_stored) || is_product.contains(&node.op_type())
}

/// Where the phase of the source is summed up: behind durations, and no other sum behind it.
fn source<'a>(view: &View<'a>, durations: &str) -> Result<&'a NodeProto> {
    let reached = behind(view, &[durations], &[]);
    let nodes = view.graph.node.iter().zip(&reached);
    let mut sums = nodes.filter(|(node, reached)| **reached && is(node, "CumSum")).map(|(node, _)| node);
    sums.next_back()
        .ok_or_else(|| missing("F0", "a CumSum, which sums up the phase of a source, behind durations"))
}

/// Up from the sum over the phase, to the projection that the whole source depends on.
fn f0<'a>(facts: &Facts<'a>, styled: &Nodes, source: &'a NodeProto) -> Result<&'a str> {
    let view = facts.view;
    let is_styled = |name: &str| view.producer_index(name).is_some_and(|index| styled[index]);
    let mut value = source.input[0].as_str();
    loop {
        let failed = || missing("F0", "the projection that the phase of the source is summed up of");
        let node = view.producer(value).ok_or_else(failed)?;
        if has_weights(node, facts) {
            break;
        }
        // An exporter may squeeze a dimension within a branch.
        value = used_names(node).into_iter().find(|name| is_styled(name)).ok_or_else(failed)?;
    }
    // A bias that is added by itself, and what makes floats of a product of integers.
    let is_constant = |name: &String| facts.tensor(name).is_some();
    let is_integer = view.producer(value).is_some_and(|node| node.op_type().ends_with("Integer"));
    while let Some(next) = view.only_consumer(value)
        && ((is_integer && ["Cast", "Mul", "Add"].iter().any(|op| is(next, op)))
            || (is(next, "Add") && next.input.iter().any(is_constant)))
    {
        value = &next.output[0];
    }
    Ok(value)
}

/// What stands beside F0 where the decoder takes both: as many nodes up as F0 is, of the same
/// operators.
fn energy<'a>(view: &View<'a>, style: &str, styled: &Nodes, durations: &str, f0: &str) -> Result<&'a str> {
    let pitched = behind(view, &[f0], &[]);
    let without = behind(view, &[style], &[durations, f0]);
    let at = |nodes: &Nodes, name: &str| view.producer_index(name).is_some_and(|index| nodes[index]);
    let failed = || missing("energy", "what a Concat in front of the decoder has beside F0");
    let found = view.graph.node.iter().filter(|node| is(node, "Concat")).find_map(|node| {
        let mut inputs = node.input.iter().map(String::as_str);
        let pitch = inputs.clone().find(|name| at(&pitched, name) && !at(&without, name))?;
        let energy = inputs.find(|name| at(&without, name) && !at(&pitched, name))?;
        Some((pitch, energy))
    });
    let (mut pitch, mut energy) = found.ok_or_else(failed)?;
    while pitch != f0 {
        let (one, other) = (view.producer(pitch), view.producer(energy));
        let (one, other) = one.zip(other).ok_or_else(failed)?;
        let up = |node: &'a NodeProto, nodes: &Nodes| {
            used_names(node).into_iter().find(|name| at(nodes, name) || *name == f0)
        };
        if one.op_type() != other.op_type() {
            return Err(failed());
        }
        // What makes F0 is not behind it.
        pitch = up(one, &pitched).ok_or_else(failed)?;
        energy = up(other, styled).ok_or_else(failed)?;
    }
    Ok(energy)
}
