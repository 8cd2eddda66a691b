//! `cargo xtask inspect`: what is in a model file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use quantizer::proto::{GraphProto, ModelProto};
use quantizer::{census, interface, model, rewrite};
use serde::Serialize;

use crate::base::decode;
use crate::coreml::{self, Prediction};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::fetch::SourceArgs;
use crate::files::write_atomically;
use crate::workspace::Workspace;

/// Shows what is in a model: interface, operators, precisions, vocabulary, and what exact rewrites would find
///
/// With `--provider coreml`, what ONNX Runtime's CoreML provider would take of it: nodes and partitions in both of its
/// formats, and for each node that is left to the CPU the reason. That is predicted, on any machine, from the graph as
/// ONNX Runtime has it once constants are folded; `docs/PROVIDERS.md` says how to read it and what it was held against.
/// Few large partitions are good, since what is computed goes from the one provider to the other at each seam.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// An `.onnx` file; without one, the chosen artifact
    #[arg(value_name = "MODEL")]
    pub model: Option<PathBuf>,

    /// Predict what this execution provider would take, in place of showing what is in the model
    #[arg(long, value_name = "NAME")]
    pub provider: Option<Predictable>,

    /// Predict for a session with the provider's option `RequireStaticInputShapes`: a node with a dynamic dimension in any
    /// input is left
    #[arg(long, requires = "provider")]
    pub static_shapes: bool,

    /// Count apart what would be taken of the nodes that need this value, directly or not; may be given more than once. Without
    /// it, of those behind the F0 and the energy that the recipe's `probe` names: the decoder
    #[arg(long, value_name = "VALUE", requires = "provider")]
    pub from: Vec<String>,

    /// Write the folded graph of which it is predicted to this `.onnx` file
    #[arg(long, value_name = "PATH", requires = "provider")]
    pub folded: Option<PathBuf>,

    /// Print as JSON on standard output; of a prediction, every node that is left is named
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub sources: SourceArgs,
}

/// An execution provider of which it can be predicted what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Predictable {
    /// Apple's CoreML, as ML Program and as `NeuralNetwork`
    #[value(name = "coreml")]
    CoreMl,
}

#[derive(Serialize)]
struct Inspection {
    file: String,
    bytes: usize,
    sha256: Digest,
    onnx_ir: i64,
    opsets: Vec<String>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    vocabulary_size: Option<u32>,
    nodes: usize,
    operators: std::collections::BTreeMap<String, usize>,
    precisions: std::collections::BTreeMap<String, Stored>,
    rewrites: Vec<Rewritten>,
    /// What makes it a Kokoro, or why it is none.
    kokoro: Kokoro,
}

/// What a float Kokoro consists of, found by what it computes.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Kokoro {
    Is {
        /// Inputs, predictions and samples: what each is called in the file, and how it was found.
        parts: Vec<Part>,
        /// Nodes that draw random numbers.
        random_nodes: usize,
        /// Tensors in half precision.
        half_precision_tensors: usize,
        /// Nodes of each module that patterns of a recipe can speak of.
        modules: std::collections::BTreeMap<String, usize>,
    },
    IsNot(String),
}

#[derive(Serialize)]
struct Part {
    role: &'static str,
    value: String,
    found_as: &'static str,
}

impl Kokoro {
    fn of(model: &ModelProto) -> Self {
        match quantizer::kokoro::import(&mut model.clone()) {
            Ok(export) => Self::Is {
                parts: export
                    .parts
                    .explain()
                    .into_iter()
                    .map(|(role, value, found_as)| Part { role, value: value.to_owned(), found_as })
                    .collect(),
                random_nodes: export.random,
                half_precision_tensors: export.widened,
                modules: export.modules.into_iter().collect(),
            },
            Err(error) => Self::IsNot(error.to_string()),
        }
    }
}

#[derive(Serialize)]
struct Stored {
    tensors: usize,
    bytes: usize,
}

/// What a pass of [`rewrite::PASSES`] does to the model, behind those listed before it.
#[derive(Serialize)]
struct Rewritten {
    pass: &'static str,
    what: &'static str,
    changes_bits: bool,
    rewrites: usize,
    nodes_before: usize,
    nodes_after: usize,
}

/// What would be taken of the model.
#[derive(Serialize)]
struct Predicted {
    file: String,
    sha256: Digest,
    /// The version of the runtime that folded the graph.
    onnxruntime: String,
    /// Nodes of the file; of the folded graph the prediction says how many.
    nodes_in_file: usize,
    coreml: Prediction,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Usage`] when there is no such file, [`Failure::Model`] when it is no sound model; for a prediction,
/// [`Failure::Fetch`] when ONNX Runtime cannot be had; the disk's.
pub fn run(args: &InspectArgs, workspace: &Workspace) -> Result<()> {
    let path = match &args.model {
        Some(path) => path.clone(),
        None => workspace.artifacts().chosen()?.context(NO_ARTIFACT).context(Failure::Usage)?.path,
    };
    match args.provider {
        None => {
            let inspection = inspect(&path)?;
            if args.json {
                println!("{}", serde_json::to_string_pretty(&inspection)?);
            } else {
                show(&inspection);
            }
        }
        Some(Predictable::CoreMl) => {
            let predicted = predict(&path, args, workspace)?;
            if args.json {
                println!("{}", serde_json::to_string_pretty(&predicted)?);
            } else {
                show_predicted(&predicted);
            }
        }
    }
    Ok(())
}

const NO_ARTIFACT: &str = "no artifact is chosen yet\nhint: run `cargo xtask quantize`, or name a model file";

/// A sound model with its name and bytes.
fn read(path: &Path) -> Result<(String, bytes::Bytes, ModelProto)> {
    let bytes = bytes::Bytes::from(fs_err::read(path).context(Failure::Usage)?);
    let file = path.display().to_string();
    let model = decode(&file, &bytes)?;
    let graph = model::graph(&model).context(Failure::Model)?;
    quantizer::check::validate(graph).with_context(|| format!("`{file}`")).context(Failure::Model)?;
    Ok((file, bytes, model))
}

fn predict(path: &Path, args: &InspectArgs, workspace: &Workspace) -> Result<Predicted> {
    let (file, bytes, model) = read(path)?;
    let (runtime, _) = workspace.runtime(&workspace.fetcher(&args.sources)?)?;
    let nodes_in_file = model::graph(&model).context(Failure::Model)?.node.len();
    let folded = coreml::fold(&runtime, model).with_context(|| format!("`{file}`"))?;
    if let Some(path) = &args.folded {
        write_atomically(path, |file| model::encode(&folded, file))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let options = coreml::Options { require_static_input_shapes: args.static_shapes };
    let from = if args.from.is_empty() {
        coreml::decoder(&workspace.recipe()?.probe, &folded)?
    } else {
        args.from.clone()
    };
    let coreml = coreml::predict(&folded, options, &from)?;
    let onnxruntime = runtime.version().to_owned();
    Ok(Predicted { file, sha256: Digest::of(&bytes), onnxruntime, nodes_in_file, coreml })
}

fn show_predicted(predicted: &Predicted) {
    let Predicted { file, sha256, onnxruntime, nodes_in_file, coreml } = predicted;
    println!("{file}");
    println!("{:>14}  {sha256}", "sha256");
    println!("{:>14}  {nodes_in_file}, {} as ONNX Runtime {onnxruntime} folds them", "nodes", coreml.nodes);
    print!("\n{}", coreml::show(coreml));
}

fn inspect(path: &Path) -> Result<Inspection> {
    let (file, bytes, model) = read(path)?;
    let graph = model::graph(&model).context(Failure::Model)?;
    let opset = |set: &quantizer::proto::OperatorSetIdProto| match set.domain() {
        "" => format!("ai.onnx {}", set.version()),
        domain => format!("{domain} {}", set.version()),
    };
    let stored = |stored: census::Stored| Stored { tensors: stored.tensors, bytes: stored.bytes };
    Ok(Inspection {
        bytes: bytes.len(),
        sha256: Digest::of(&bytes),
        onnx_ir: model.ir_version(),
        opsets: model.opset_import.iter().map(opset).collect(),
        inputs: interface::inputs(graph).iter().map(port).collect(),
        outputs: interface::outputs(graph).iter().map(port).collect(),
        // Only speech models have one, and any ONNX model can be inspected.
        vocabulary_size: crate::describe::vocabulary_size(&model).ok(),
        nodes: graph.node.len(),
        operators: census::operators(graph),
        precisions: census::precisions(graph)
            .into_iter()
            .map(|(name, count)| (name, stored(count)))
            .collect(),
        rewrites: rewrites(graph).with_context(|| format!("`{file}`")).context(Failure::Model)?,
        kokoro: Kokoro::of(&model),
        file,
    })
}

/// What all passes would do to the graph, which stays as it is: tensors are shared, so the copy is small.
fn rewrites(graph: &GraphProto) -> quantizer::error::Result<Vec<Rewritten>> {
    let report = rewrite::apply(&mut graph.clone(), &rewrite::PASSES)?;
    let of = |(pass, applied): (&rewrite::Pass, rewrite::Applied)| Rewritten {
        pass: pass.name,
        what: pass.what,
        changes_bits: pass.changes_bits,
        rewrites: applied.rewrites,
        nodes_before: applied.nodes_before,
        nodes_after: applied.nodes_after,
    };
    Ok(rewrite::PASSES.iter().zip(report).map(of).collect())
}

fn port(port: &interface::Port) -> String {
    let dimension = |dimension: &interface::Dimension| match dimension {
        interface::Dimension::Fixed(size) => size.to_string(),
        interface::Dimension::Named(name) if name.is_empty() => "?".into(),
        interface::Dimension::Named(name) => name.clone(),
    };
    let shape: Vec<String> = port.shape.iter().map(dimension).collect();
    format!("{} {} [{}]", port.name, port.element_type, shape.join(", "))
}

fn show(inspection: &Inspection) {
    println!("{}", inspection.file);
    println!("{:>14}  {} bytes", "size", inspection.bytes);
    println!("{:>14}  {}", "sha256", inspection.sha256);
    println!("{:>14}  {} ({})", "IR", inspection.onnx_ir, inspection.opsets.join(", "));
    for input in &inspection.inputs {
        println!("{:>14}  {input}", "input");
    }
    for output in &inspection.outputs {
        println!("{:>14}  {output}", "output");
    }
    if let Some(size) = inspection.vocabulary_size {
        println!("{:>14}  {size} token ids", "vocabulary");
    }
    for (precision, stored) in &inspection.precisions {
        println!("{precision:>14}  {} tensors, {} bytes", stored.tensors, stored.bytes);
    }
    println!("{:>14}  {}", "nodes", inspection.nodes);
    let mut operators: Vec<_> = inspection.operators.iter().collect();
    operators.sort_by_key(|&(name, &count)| (std::cmp::Reverse(count), name));
    for (operator, count) in operators {
        println!("{count:>14}  {operator}");
    }
    println!("{:>14}  exact rewrites, each behind those before it", "");
    for Rewritten { pass, what, rewrites, nodes_before, nodes_after, .. } in &inspection.rewrites {
        println!("{rewrites:>14}  {pass}: {nodes_before} → {nodes_after} nodes; {what}");
    }
    match &inspection.kokoro {
        Kokoro::Is { parts, random_nodes, half_precision_tensors, modules } => {
            println!("{:>14}  a Kokoro, by what its values compute", "");
            for Part { role, value, found_as } in parts {
                println!("{role:>14}  `{value}`: {found_as}");
            }
            println!("{random_nodes:>14}  nodes draw random numbers");
            println!("{half_precision_tensors:>14}  tensors in half precision");
            println!("{:>14}  modules, which patterns of a recipe speak of, with their nodes", "");
            for (module, nodes) in modules {
                println!("{nodes:>14}  {module}");
            }
        }
        Kokoro::IsNot(reason) => println!("{:>14}  {reason}", ""),
    }
}
