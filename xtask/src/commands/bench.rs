//! `cargo xtask bench`: how fast models are beside each other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use kokoro_model::BaseKind;
use serde::Serialize;

use super::smoke::chosen;
use crate::base::{self, BaseArgs};
use crate::corpus::CorpusArgs;
use crate::failure::Failure;
use crate::fetch::{Fetcher, SourceArgs};
use crate::gates::{Comparison, Progress, Rounds, Subject, Timing, benchmark_table, compare, utterances};
use crate::host::Host;
use crate::providers::ProviderArgs;
use crate::recipe::Recipe;
use crate::workspace::Workspace;

/// Measures how fast models speak, one call of each after another
///
/// The first model is the one that the others are relative to. Real sentences, a warm-up round, and an order
/// that changes from call to call, so that whatever slows the machine slows all of them. With several execution providers
/// every model is timed on each, and the first model on the first provider is the one that the others are relative to.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// `.onnx` files, the first one being the base; without any, the base and the chosen artifact
    #[arg(value_name = "MODEL")]
    pub models: Vec<PathBuf>,

    /// Threads of each model; 0 leaves the choice to ONNX Runtime [default: the recipe's]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Rounds: each model says each sentence once in a round [default: the recipe's]
    #[arg(long, value_name = "N")]
    pub runs: Option<usize>,

    /// Print what was measured as JSON on standard output
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub corpus: CorpusArgs,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub providers: ProviderArgs,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub sources: SourceArgs,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Output<'a> {
    host: Host,
    onnxruntime: &'a str,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Usage`] for two models of one name or when no artifact is chosen; [`Failure::Fetch`] when ONNX
/// Runtime, a voice or the base cannot be had; [`Failure::Model`] for a model that does not load or speak.
pub fn run(args: &BenchArgs, workspace: &Workspace) -> Result<()> {
    let workspace = &workspace.clone().with_corpus(&args.corpus);
    let recipe = workspace.recipe()?;
    let corpus = workspace.corpus(&recipe)?;
    let fetcher = workspace.fetcher(&args.sources)?;
    let subjects = if args.models.is_empty() {
        of_chosen(workspace, &recipe, &fetcher)?
    } else {
        args.models.iter().map(|path| Subject::of_file(path)).collect::<Result<Vec<_>>>()?
    };
    let sentences = utterances(corpus.tagged("bench"), |voice| workspace.voice(&fetcher, &recipe, voice))?;
    let (runtime, _) = workspace.runtime(&fetcher)?;
    let providers = args.providers.require(&runtime, &fetcher, &workspace.provider_recipe())?;
    let subjects: Vec<Subject> = providers
        .iter()
        .flat_map(|(name, provider)| subjects.iter().map(|it| it.on(*name, provider)))
        .collect::<Result<_>>()?;
    let subjects: Vec<&Subject> = subjects.iter().collect();

    let rounds = Rounds {
        least: args.runs.unwrap_or(recipe.gates.bench.runs),
        threads: args.threads.unwrap_or(recipe.gates.bench.threads),
        ..Rounds::of(&recipe.gates.bench, true)
    };
    let progress = Progress::stderr(workspace.environment().redraws());
    // Nothing is judged, so no round is added.
    let timing = Timing { sentences: &sentences, rounds, least: &BTreeMap::new(), once: &[] };
    let comparison = compare(&runtime, &subjects, timing, progress)?;
    if args.json {
        let output = Output { host: Host::here(), onnxruntime: runtime.version(), comparison: &comparison };
        println!("{}", serde_json::to_string_pretty(&output)?);
    } else {
        println!("{}", benchmark_table(&comparison));
    }
    Ok(())
}

/// The chosen artifact behind the base that it was made from.
fn of_chosen(workspace: &Workspace, recipe: &Recipe, fetcher: &Fetcher) -> Result<Vec<Subject>> {
    let artifact = chosen(workspace)?;
    let made_from = &artifact.metadata.base;
    if made_from.kind == BaseKind::Local {
        return Err(anyhow!(
            "the chosen artifact was made from a model of your own, `{}`\nhint: name both files, the base first",
            made_from.name
        )
        .context(Failure::Usage));
    }
    let args = BaseArgs { base: Some(made_from.name.to_string()), ..BaseArgs::default() };
    let base = base::obtain(&args, recipe, fetcher, &workspace.console(), None)?;
    if base.sha256.to_string() != made_from.sha256 {
        return Err(anyhow!(
            "the chosen artifact was made from another `{}`\nexpected sha256 {}\nfound    sha256 {}\n\
             hint: run `cargo xtask quantize` again",
            made_from.name,
            made_from.sha256,
            base.sha256
        )
        .context(Failure::Usage));
    }
    Ok(vec![Subject::of_base(&base)?, Subject::of_artifact(&artifact)?])
}
