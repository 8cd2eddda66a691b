//! `cargo xtask tune`: the plan that `static-int8` is made by.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::Args;

use crate::base::{self, Base, BaseArgs};
use crate::failure::Failure;
use crate::fetch::SourceArgs;
use crate::plan;
use crate::planning::Planner;
use crate::workspace::Workspace;

/// Calibrates activation ranges over the calibration sentences and writes the plan of `static-int8`
///
/// Runs the base twice over all sentences: once for the range of each channel, once for how much of it is better
/// clipped. Every convolution that the recipe does not exclude is in the plan; which of them had better stay float is
/// not searched for, it is written down in the plan by hand. Two files are written, the plan and the ranges beside it;
/// both belong into the repository, and `quantize` then takes no float inference.
#[derive(Debug, Args)]
pub struct TuneArgs {
    /// Write the plan to this file, which ends with `.plan.toml` [default: the recipe's, in `models/`]
    #[arg(long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// Threads of the runtime; 0 is the runtime's own choice
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
/// [`Failure::Usage`] for a model of the user's own without `--output`, [`Failure::Fetch`] when ONNX Runtime, a voice
/// or the base cannot be had, [`Failure::Model`] for a base that cannot be calibrated.
pub fn run(args: &TuneArgs, workspace: &Workspace) -> Result<()> {
    let start = Instant::now();
    let recipe = workspace.recipe()?;
    let path = match &args.output {
        Some(path) => path.clone(),
        None if args.base.model.is_some() => return Err(anyhow!(FOREIGN).context(Failure::Usage)),
        None => workspace.plan(&recipe),
    };
    if !path.as_os_str().to_string_lossy().ends_with(plan::EXTENSION) {
        let message = format!(
            "`--output`: expected a name that ends with `{}`, found `{}`",
            plan::EXTENSION,
            path.display()
        );
        return Err(anyhow!(message).context(Failure::Usage));
    }
    let fetcher = workspace.fetcher(&args.sources)?;
    let last = workspace.artifacts().chosen()?.map(|artifact| artifact.metadata.base.name);
    let base = base::obtain(&args.base, &recipe, &fetcher, &workspace.console(), last.as_deref())?;
    let planner = Planner::new(workspace, &recipe, &fetcher, args.threads)?;
    let made = planner.make(&base, None)?.write(&path)?;
    println!(
        "{}\n{} convolutions, {} values measured over {} sentences in {:.0} s\nplan sha256: {}",
        written(&path, &base),
        made.convolutions.len(),
        made.ranges.values.len(),
        made.calibration.sentences,
        start.elapsed().as_secs_f64(),
        made.sha256
    );
    Ok(())
}

const FOREIGN: &str = "the committed plan is of a base of the recipe, not of a model of your own\nhint: `--output \
                       <name>.plan.toml` writes one of its own; `quantize --model` makes one by itself";

fn written(path: &Path, base: &Base) -> String {
    format!("wrote `{}`, of base `{}`, and its ranges", path.display(), base.name)
}
