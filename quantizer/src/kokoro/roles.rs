//! Which module of Kokoro a node belongs to, found by what it needs and what needs it.
//!
//! Modules are called as the classes of the reference implementation call them: `bert`, `predictor`,
//! `text_encoder`, `decoder`, `generator` and theirs; what is behind durations and makes F0 and
//! energy is `prosody`, and what spreads tokens over frames `alignment`.

mod generator;

use std::collections::BTreeMap;

use super::convolution::Convolution;
use super::parts::{Parts, has_weights};
use super::reach::{Nodes, behind, in_front};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{is, outputs};
use crate::proto::NodeProto;
use crate::rewrite::Facts;

/// The path of every node: its module, and for one that convolves the name of its layer.
pub(super) fn roles(facts: &Facts<'_>, parts: &Parts) -> Result<Vec<String>> {
    let mut roles = Roles::new(facts, parts)?;
    roles.predictions();
    roles.decoder()?;
    roles.generator()?;
    roles.helpers();
    Ok(roles.found.into_iter().map(Option::unwrap_or_default).collect())
}

struct Roles<'f, 'a> {
    facts: &'f Facts<'a>,
    nodes: &'a [NodeProto],
    parts: &'f Parts,
    found: Vec<Option<String>>,
    /// What takes the style other than by durations, F0 or energy.
    styled: Nodes,
    /// What takes the style itself, as a scale or a shift of its norm.
    conditioned: Nodes,
    aligned: Nodes,
    /// What takes the text, and not only its length.
    read: Nodes,
    pitched: Nodes,
    voiced: Nodes,
    /// What the decoder makes of the text, F0 and energy together.
    trunk: Nodes,
}

impl<'f, 'a> Roles<'f, 'a> {
    fn new(facts: &'f Facts<'a>, parts: &'f Parts) -> Result<Self> {
        let view = facts.view;
        let Parts { style, durations, f0, energy, .. } = parts;
        let [style, durations, f0, energy] = [style, durations, f0, energy].map(String::as_str);
        let (pitched, voiced) = (behind(view, &[f0], &[]), behind(view, &[energy], &[]));
        let both = |node: &NodeProto| {
            let made = |nodes: &Nodes| {
                node.input.iter().any(|it| view.producer_index(it).is_some_and(|index| nodes[index]))
            };
            is(node, "Concat") && made(&pitched) && made(&voiced)
        };
        let first = view.graph.node.iter().find(|node| both(node)).and_then(|node| outputs(node).next());
        let first = first.ok_or_else(|| unlike("a Concat of text, F0 and energy in front of the decoder"))?;
        let styled = behind(view, &[style], &[durations, f0, energy]);
        let aligned = behind(view, &[durations], &[]);
        let read = behind(view, &[&parts.tokens], &[]);
        let is_style = |name: &String| {
            name == style || view.producer_index(name).is_some_and(|at| styled[at] && !read[at])
        };
        let conditioned = view.graph.node.iter().zip(&aligned);
        let conditioned = conditioned.map(|(node, aligned)| *aligned && node.input.iter().any(is_style));
        Ok(Self {
            conditioned: conditioned.collect(),
            styled,
            aligned,
            read,
            trunk: behind(view, &[first], &[]),
            found: vec![None; view.graph.node.len()],
            nodes: &view.graph.node,
            pitched,
            voiced,
            facts,
            parts,
        })
    }

    fn put(&mut self, index: usize, role: impl Into<String>) {
        self.found[index].get_or_insert(role.into());
    }

    fn all(&self) -> std::ops::Range<usize> {
        0..self.nodes.len()
    }

    fn convolves(&self, index: usize) -> Option<Convolution> {
        Convolution::of(&self.nodes[index], self.facts)
    }

    /// Up to F0 and energy.
    fn predictions(&mut self) {
        let view = self.facts.view;
        let timing = in_front(view, &[&self.parts.durations], &[]);
        let is_lstm = |index: &usize| is(&self.nodes[*index], "LSTM");
        let last = self.all().filter(|&index| timing[index]).rfind(is_lstm);
        let before = last.map_or(vec![false; self.nodes.len()], |last| {
            let inputs: Vec<&str> = self.nodes[last].input.iter().map(String::as_str).collect();
            in_front(view, &inputs, &[])
        });
        let behind_last =
            last.map(|last| behind(view, &[&self.nodes[last].output[0]], &[&self.parts.durations]));
        let pitch = in_front(view, &[&self.parts.f0], &[]);
        let energy = in_front(view, &[&self.parts.energy], &[]);
        let (mut cnn, mut rest) = (0, Vec::new());
        for index in self.all() {
            let is_weighted = has_weights(&self.nodes[index], self.facts);
            let role = match (timing[index], self.aligned[index]) {
                (true, _) if !self.styled[index] => "bert".into(),
                (true, _) if before[index] => "predictor/text_encoder".into(),
                (true, _) if Some(index) == last => "predictor/lstm".into(),
                (true, _) if is_weighted || behind_last.as_ref().is_some_and(|it| it[index]) => {
                    "predictor/duration_proj".into()
                }
                (true, _) => "predictor".into(),
                (false, false) if !self.styled[index] && self.read[index] => {
                    if self.convolves(index).is_some() {
                        cnn += 1;
                        format!("text_encoder/cnn.{}", cnn - 1)
                    } else {
                        "text_encoder".into()
                    }
                }
                (false, true) if !self.styled[index] && (pitch[index] || energy[index]) => "alignment".into(),
                (false, true) if pitch[index] && energy[index] => "prosody/shared".into(),
                (false, true) if pitch[index] || energy[index] => {
                    rest.push(index);
                    continue;
                }
                _ => continue,
            };
            self.put(index, role);
        }
        for (name, nodes, value) in [("F0", pitch, &self.parts.f0), ("N", energy, &self.parts.energy)] {
            let own: Vec<usize> = rest.iter().copied().filter(|&index| nodes[index]).collect();
            let projection = view.producer_index(value);
            for &index in own.iter().filter(|&&index| Some(index) == projection) {
                self.put(index, format!("prosody/{name}_proj"));
            }
            let depth = self.depth(&own, |_, it| it.is_grouped().then_some(0).or(it.is_wide().then_some(1)));
            // Two convolutions to a block; what is behind the last one is of its block.
            let last = depth.values().max().map_or(0, |deepest| deepest.saturating_sub(1) / 2);
            let blocks: Vec<usize> = own.iter().map(|index| (depth[index] / 2).min(last)).collect();
            self.blocks(&own, &blocks, |block| format!("prosody/{name}.{block}"));
        }
    }

    /// From F0 and energy to the generator.
    fn decoder(&mut self) -> Result<()> {
        let view = self.facts.view;
        let first = self.ups()?[0];
        let inputs: Vec<&str> = self.nodes[first].input.iter().map(String::as_str).collect();
        let before = in_front(view, &inputs, &[]);
        let joins = |node: &NodeProto, this: &Self| {
            let made = |nodes: &Nodes, name: &str| view.producer_index(name).is_some_and(|at| nodes[at]);
            let beside = |name: &&String| made(&this.pitched, name) && !made(&this.trunk, name);
            is(node, "Concat") && node.input.iter().any(|name| beside(&name))
        };
        let own: Vec<usize> = self.all().filter(|&index| self.trunk[index] && before[index]).collect();
        // The Concat that begins the trunk is not behind itself; each further one begins a block.
        let mut begun: BTreeMap<&str, usize> = BTreeMap::new();
        let mut blocks = Vec::new();
        for &index in &own {
            let node = &self.nodes[index];
            let above = node.input.iter().filter_map(|name| begun.get(name.as_str())).max().copied();
            let block = above.unwrap_or(0) + usize::from(joins(node, self));
            begun.extend(outputs(node).map(|output| (output, block)));
            blocks.push(block);
        }
        self.blocks(&own, &blocks, |block| match block {
            0 => "decoder/encode".to_owned(),
            _ => format!("decoder/decode.{}", block - 1),
        });
        for index in self.all().filter(|&index| before[index]) {
            let role = match (self.pitched[index], self.voiced[index], self.aligned[index]) {
                (true, true, _) => "decoder",
                (true, false, _) => "decoder/F0_conv",
                (false, true, _) => "decoder/N_conv",
                (false, false, true) if self.convolves(index).is_some() => "decoder/asr_res",
                (false, false, true) => "alignment",
                _ => continue,
            };
            self.put(index, role);
        }
        Ok(())
    }

    /// Names the nodes of blocks: of two convolutions that reach over time, with one beside them that
    /// does not and a pool in front.
    fn blocks(&mut self, own: &[usize], blocks: &[usize], role: impl Fn(usize) -> String) {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for (&index, &block) in own.iter().zip(blocks) {
            let layer = match self.convolves(index) {
                None => String::new(),
                Some(it) if it.is_grouped() => "/pool".to_owned(),
                Some(it) if !it.is_wide() => "/conv1x1".to_owned(),
                Some(_) => {
                    let count = counts.entry(block).or_default();
                    *count += 1;
                    format!("/conv{count}")
                }
            };
            self.put(index, format!("{}{layer}", role(block)));
        }
    }

    /// How many of the nodes that `counts` are above each of `own`.
    fn depth(
        &self,
        own: &[usize],
        counts: impl Fn(usize, &Convolution) -> Option<usize>,
    ) -> BTreeMap<usize, usize> {
        let mut below: BTreeMap<&str, usize> = BTreeMap::new();
        let mut depth = BTreeMap::new();
        for &index in own {
            let node = &self.nodes[index];
            let above = node.input.iter().filter_map(|name| below.get(name.as_str())).max();
            let above = above.copied().unwrap_or(0);
            let own = self.convolves(index).and_then(|it| counts(index, &it)).unwrap_or(0);
            below.extend(outputs(node).map(|output| (output, above + own)));
            depth.insert(index, above);
        }
        depth
    }

    /// What is left, such as the scales of norms, belongs to whoever uses it first.
    fn helpers(&mut self) {
        for index in self.all().rev() {
            if self.found[index].is_none() {
                let users = outputs(&self.nodes[index]).flat_map(|output| self.facts.view.consumers(output));
                let mut users = users.filter_map(|user| self.facts.view.producer_index(user.output.first()?));
                let role = users.find_map(|user| self.found[user].clone());
                self.found[index] = role.map(|role| module(&role).to_owned());
            }
        }
    }
}

/// The module that a layer is of.
fn module(role: &str) -> &str {
    let layers = ["conv", "pool"];
    match role.rsplit_once('/') {
        Some((module, layer)) if layers.iter().any(|it| layer.starts_with(it)) && module.contains('/') => {
            module
        }
        _ => role,
    }
}

fn unlike(looked_for: &str) -> Error {
    let message = format!("not a Kokoro: found durations, F0 and energy, but not {looked_for}");
    Error::new(ErrorKind::Unsupported, message)
}
