//! `cargo xtask tune`: the plan that `static-int8` is made by.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::Args;

use crate::base::{self, Base, BaseArgs};
use crate::failure::Failure;
use crate::fetch::SourceArgs;
use crate::plan::{self, Plan};
use crate::planning::Planner;
use crate::recipe::Recipe;
use crate::workspace::Workspace;

/// Calibrates the base for `static-int8`, and writes its plan
///
/// Runs the base twice over the calibration sentences, for the range of each channel and for how much of it is better
/// clipped. The plan has the rewrites and the convolutions of the committed one, if the base has all of these; else every
/// convolution that the recipe does not exclude computes in INT8. So an edited `static` is kept, and who wants to start
/// from all removes the committed plan first.
///
/// Two files are written, the plan and the ranges beside it; both belong into the repository, and `quantize` then takes
/// no float inference.
#[derive(Debug, Args)]
pub struct TuneArgs {
    /// Write the plan to this file, which ends with `.plan.toml` [default: the recipe's, in `models/`]
    #[arg(long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// Where no base is asked for, take that of the artifacts in this folder in place of `artifacts/`
    #[arg(long, value_name = "FOLDER")]
    pub artifacts: Option<PathBuf>,

    /// Threads of the runtime while it calibrates; 0 is the runtime's own choice
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub base: BaseArgs,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub sources: SourceArgs,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Usage`] for a model of the user's own without `--output` and for a committed plan that cannot be read,
/// [`Failure::Fetch`] when ONNX Runtime, a voice or the base cannot be had, [`Failure::Model`] for a base that cannot be
/// calibrated.
pub fn run(args: &TuneArgs, workspace: &Workspace) -> Result<()> {
    let start = Instant::now();
    let elsewhere = args.artifacts.as_ref().map(|folder| workspace.clone().with_artifacts(folder));
    let workspace = elsewhere.as_ref().unwrap_or(workspace);
    let recipe = workspace.recipe()?;
    let path = output(args, workspace, &recipe)?;
    let artifacts = workspace.artifacts();
    let folder = artifacts.folder().display();
    let console = workspace.console();
    let _lock = artifacts.lock(|| console.say(&format!("waiting for another run in `{folder}`")))?;
    let fetcher = workspace.fetcher_for(&args.base, &args.sources)?;
    let last = artifacts.chosen()?.map(|artifact| artifact.metadata.base.name);
    let base = base::obtain(&args.base, &recipe, &fetcher, &console, last.as_deref())?;
    let made = Planner::new(workspace, &recipe, &fetcher, args.threads)?.again(&base)?.write(&path)?;
    println!("{}", summary(&path, &base, &made, start));
    Ok(())
}

/// Where the plan goes.
fn output(args: &TuneArgs, workspace: &Workspace, recipe: &Recipe) -> Result<PathBuf> {
    let path = match &args.output {
        Some(path) => path.clone(),
        None if args.base.model.is_some() => return Err(anyhow!(FOREIGN).context(Failure::Usage)),
        None => workspace.plan(recipe),
    };
    if !path.as_os_str().to_string_lossy().ends_with(plan::EXTENSION) {
        let message = format!(
            "`--output`: expected a name that ends with `{}`, found `{}`",
            plan::EXTENSION,
            path.display()
        );
        return Err(anyhow!(message).context(Failure::Usage));
    }
    Ok(path)
}

const FOREIGN: &str = "the committed plan is of a base of the recipe, not of a model of your own\nhint: `--output \
                       <name>.plan.toml` writes one of its own; `quantize --model` makes one by itself";

fn summary(path: &Path, base: &Base, plan: &Plan, start: Instant) -> String {
    format!(
        "wrote `{}`, of base `{}`, and its ranges\n{} convolutions, {} values measured over {} sentences in {:.0} s\n\
         plan sha256: {}",
        path.display(),
        base.name,
        plan.convolutions.len(),
        plan.ranges.values.len(),
        plan.calibration.sentences,
        start.elapsed().as_secs_f64(),
        plan.sha256
    )
}
