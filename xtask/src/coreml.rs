//! What ONNX Runtime's CoreML provider would take of a model, predicted on any machine.
//!
//! The provider decides node by node from the graph alone: operator, element types, shapes, which inputs are
//! constants, attributes. So the same decision can be made where there is no CoreML. [`rules`] states what the provider
//! asks, [`partition`] groups what it takes, and [`listed`] counts what the operator lists alone say, which is what the
//! check that ONNX Runtime's Python package ships looks at. All of it is pure.
//!
//! Whether a partition then compiles on a Mac, and what it is worth there, no prediction says.

mod check;
mod folded;
mod left;
pub mod listed;
mod partition;
mod resize;
pub mod rules;
mod special;
mod subject;
mod table;

use std::collections::HashSet;

use anyhow::{Context as _, Result, anyhow, bail};
use quantizer::proto::{GraphProto, ModelProto};
use quantizer::{graph, model, order};
use serde::{Serialize, Serializer};

pub use check::LONGEST;
pub use folded::fold;
pub use left::{Group, Left, LeftNode, Reason};
pub use partition::partition;
pub use table::show;

use crate::failure::Failure;
use crate::recipe::ProbeRecipe;
use subject::{Subject, Values};

/// The two formats in which the provider can hand a partition over, its option `ModelFormat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `MLProgram`: typed operations, from CoreML 5 on.
    MlProgram,
    /// `NeuralNetwork`: layers, the older format and the provider's default.
    NeuralNetwork,
}

impl Format {
    /// Both, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::MlProgram, Self::NeuralNetwork];

    /// The name that the provider's option has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MlProgram => "MLProgram",
            Self::NeuralNetwork => "NeuralNetwork",
        }
    }
}

/// How the provider is set up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Options {
    /// Its option `RequireStaticInputShapes`: no node with a dynamic dimension in an input is taken.
    pub require_static_input_shapes: bool,
}

/// What the provider would do with a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prediction {
    /// Always `true`: nothing here was measured.
    pub predicted: bool,
    /// The version of ONNX Runtime whose rules these are.
    pub rules: &'static str,
    /// How the provider is set up.
    pub options: Options,
    /// Nodes of the main graph. Those inside of `If`, `Loop` and `Scan` the provider leaves alone unless it is told otherwise.
    pub nodes: usize,
    /// The values whose readers, direct or not, are counted apart as well, in [`Coverage::behind`].
    pub from: Vec<String>,
    /// Where shapes get lost: nodes of whose inputs the shapes are known, and of an output not even the number of dimensions.
    pub shapes_lost_at: Vec<LostAt>,
    /// One for each format, in the order of [`Format::ALL`].
    pub formats: Vec<Coverage>,
}

/// What the provider would do with a graph in one format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The format.
    pub format: Format,
    /// Nodes taken, in all partitions together.
    pub taken: usize,
    /// Nodes of each partition, in the order in which they run.
    pub partitions: Vec<usize>,
    /// Of the nodes that need one of [`Prediction::from`]; none if that is empty.
    pub behind: Option<Behind>,
    /// What the operator lists alone say, to compare with the check of the Python package. No prediction of what is taken.
    pub listed: Listed,
    /// The nodes left, grouped by operator and reason, the largest group first.
    #[serde(serialize_with = "groups")]
    pub left: Vec<LeftNode>,
}

/// What the provider would take of a part of the graph, in partitions of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Behind {
    /// Nodes of the part.
    pub nodes: usize,
    /// Those of them that are taken.
    pub taken: usize,
    /// Nodes of the part in each partition that has any, in the order in which they run.
    pub partitions: Vec<usize>,
}

/// A node behind which a shape is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostAt {
    /// Its operator, with the domain if that is not ONNX's own.
    pub operator: String,
    /// The output without a shape.
    pub output: String,
}

/// What the operator lists say of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Nodes whose operator is listed.
    pub taken: usize,
    /// Nodes of each partition that these would form.
    pub partitions: Vec<usize>,
}

impl Coverage {
    /// The nodes left, by operator and reason, the largest group first.
    pub fn groups(&self) -> Vec<Group<'_>> {
        left::groups(&self.left)
    }
}

fn groups<S: Serializer>(left: &[LeftNode], serializer: S) -> Result<S::Ok, S::Error> {
    left::groups(left).serialize(serializer)
}

/// Predicts what the provider would take of `model`, which has to be the graph that the provider sees: constants are folded
/// and shapes inferred, as [`fold`] has ONNX Runtime do it. A value without a shape in the graph has none for the
/// provider. What is taken of the nodes that need a value of `from`, directly or not, is counted apart as well.
///
/// # Errors
/// [`Failure::Model`] for a model without a graph, or one with a cycle; [`Failure::Usage`] for a value of `from` that no node
/// makes.
pub fn predict(model: &ModelProto, options: Options, from: &[String]) -> Result<Prediction> {
    let graph = model::graph(model).context(Failure::Model)?;
    let values = Values::of(model).context(Failure::Model)?;
    let is_behind = behind(graph, from)?;
    let coverage = |format| {
        let verdicts: Vec<_> = graph
            .node
            .iter()
            .map(|node| rules::verdict(&Subject { node, values: &values, format, options }))
            .collect();
        let partitions = |taken: &[bool]| partition(graph, taken).context(Failure::Model);
        let sizes = |partitions: Vec<Vec<usize>>| partitions.iter().map(Vec::len).collect();
        let taken: Vec<bool> = verdicts.iter().map(Result::is_ok).collect();
        let listed: Vec<bool> = graph.node.iter().map(|node| listed::is_listed(node, format)).collect();
        let partitioned = partitions(&taken)?;
        let behind = (!from.is_empty()).then(|| Behind {
            nodes: count(&is_behind),
            taken: taken.iter().zip(&is_behind).filter(|&(&taken, &behind)| taken && behind).count(),
            partitions: partitioned
                .iter()
                .map(|group| group.iter().filter(|&&index| is_behind[index]).count())
                .filter(|&count| count > 0)
                .collect(),
        });
        let left = graph.node.iter().zip(verdicts).filter_map(|(node, verdict)| {
            let left = verdict.err()?;
            Some(LeftNode::new(node, left))
        });
        Ok(Coverage {
            format,
            taken: count(&taken),
            partitions: sizes(partitioned),
            behind,
            listed: Listed { taken: count(&listed), partitions: sizes(partitions(&listed)?) },
            left: left.collect(),
        })
    };
    Ok(Prediction {
        predicted: true,
        rules: rules::SOURCE,
        options,
        nodes: graph.node.len(),
        from: from.to_vec(),
        shapes_lost_at: shapes_lost_at(graph, &values),
        formats: Format::ALL.into_iter().map(coverage).collect::<Result<_>>()?,
    })
}

/// The values that the decoder begins with, pitch and energy; none in a model that does not make both.
///
/// # Errors
/// [`Failure::Model`] for a model without a graph.
pub fn decoder(probe: &ProbeRecipe, model: &ModelProto) -> Result<Vec<String>> {
    let graph = model::graph(model).context(Failure::Model)?;
    let is_made = |name: &String| graph.node.iter().any(|node| node.output.contains(name));
    let values = vec![probe.f0.clone(), probe.energy.clone()];
    Ok(if values.iter().all(is_made) { values } else { Vec::new() })
}

/// Which nodes need one of the values, directly or not.
fn behind(graph: &GraphProto, from: &[String]) -> Result<Vec<bool>> {
    let made: HashSet<&str> = graph.node.iter().flat_map(graph::outputs).collect();
    if let Some(name) = from.iter().find(|name| !made.contains(name.as_str())) {
        bail!(anyhow!("no node of the folded graph makes `{name}`").context(Failure::Usage));
    }
    let mut reached: HashSet<&str> = from.iter().map(String::as_str).collect();
    let mut is_behind = vec![false; graph.node.len()];
    for index in order::order(graph).context(Failure::Model)? {
        let node = &graph.node[index];
        if graph::used_names(node).iter().any(|name| reached.contains(name)) {
            is_behind[index] = true;
            reached.extend(graph::outputs(node));
        }
    }
    Ok(is_behind)
}

fn shapes_lost_at(graph: &GraphProto, values: &Values<'_>) -> Vec<LostAt> {
    let is_lost = |name: &&String| !name.is_empty() && values.shape(name).is_none();
    let losing = graph.node.iter().filter(|node| !node.input.iter().any(|name| is_lost(&name)));
    let lost = losing.filter_map(|node| {
        let output = node.output.iter().find(is_lost)?.clone();
        Some(LostAt { operator: left::operator(node), output })
    });
    lost.collect()
}

fn count(flags: &[bool]) -> usize {
    flags.iter().filter(|&&flag| flag).count()
}
