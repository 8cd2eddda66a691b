//! `cargo xtask tune`: the plan that `static-int8` is made by.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;

use crate::base::{self, Base, BaseArgs};
use crate::failure::Failure;
use crate::fetch::{Fetcher, SourceArgs};
use crate::fidelity::fidelity_table;
use crate::files::write_json;
use crate::gates::{Progress, benchmark_table, utterances};
use crate::plan::{self, Plan};
use crate::planning::Planner;
use crate::recipe::Recipe;
use crate::tune::{Pareto, Tuned, Tuning, Verdict, Wish, judge, tune};
use crate::workspace::Workspace;

/// Searches which convolutions compute in INT8, and writes the plan of `static-int8`
///
/// Calibrates first: runs the base twice over the calibration sentences, for the range of each channel and for how much
/// of it is better clipped. Then profiles tell what each convolution saves in INT8, and a few calibration sentences, said
/// with the base's prosody forced, what it costs in sound; and plans are tried until the budget is over. The fastest one
/// within the recipe's limits, less its margin, is judged on held-out sentences at the end. All that is measured is kept
/// in `artifacts/tune/`: ended and started again, the search goes on.
///
/// Two files are written, the plan and the ranges beside it; both belong into the repository, and `quantize` then takes
/// no float inference.
#[derive(Debug, Args)]
pub struct TuneArgs {
    /// How long to try plans, such as `40m`; calibration, profiles and the last judging come on top [default: the recipe's]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub budget: Option<Duration>,

    /// Search for the closest plan that is so many times as fast as the base, in place of the fastest within the limits
    #[arg(long, value_name = "RATIO", value_parser = speed)]
    pub speed: Option<f64>,

    /// Calibrate only: every convolution that the recipe does not exclude computes in INT8
    #[arg(long, visible_alias = "calibrate-only", conflicts_with_all = ["budget", "speed", "json"])]
    pub no_search: bool,

    /// Forget what was measured before
    #[arg(long)]
    pub fresh: bool,

    /// Write the plan to this file, which ends with `.plan.toml` [default: the recipe's, in `models/`]
    #[arg(long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// Keep measurements in this folder in place of `artifacts/`
    #[arg(long, value_name = "FOLDER")]
    pub artifacts: Option<PathBuf>,

    /// Threads of the runtime while it calibrates; 0 is the runtime's own choice
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,

    /// Print the plans that were found, and what the chosen one is, as JSON on standard output
    #[arg(long)]
    pub json: bool,

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
/// or the base cannot be had, [`Failure::Model`] for a base that cannot be calibrated or quantized.
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
    let planner = Planner::new(workspace, &recipe, &fetcher, args.threads)?;
    if args.no_search {
        let made = planner.make(&base, None)?.write(&path)?;
        println!("{}", summary(&path, &base, &made, start));
        return Ok(());
    }
    let calibrated = planner.calibrated(&base, args.fresh)?;
    if calibrated.convolutions.is_empty() {
        console.say("there is no convolution to search");
        println!("{}", summary(&path, &base, &calibrated.write(&path)?, start));
        return Ok(());
    }
    let made = search(args, workspace, &recipe, &fetcher, &base, &calibrated, &path)?;
    if !args.json {
        println!("{}", summary(&path, &base, &made, start));
    }
    Ok(())
}

/// Searches, writes the plan, judges it, and shows what was found; returns the plan.
fn search(
    args: &TuneArgs,
    workspace: &Workspace,
    recipe: &Recipe,
    fetcher: &Fetcher,
    base: &Base,
    calibrated: &Plan,
    path: &Path,
) -> Result<Plan> {
    let corpus = workspace.corpus(recipe)?;
    let heard = workspace.calibration(fetcher, recipe, &corpus)?;
    let (runtime, library) = workspace.runtime(fetcher)?;
    let artifacts = workspace.artifacts();
    let tuning = Tuning {
        recipe,
        base,
        plan: calibrated,
        utterances: &heard,
        runtime: &runtime,
        runtime_sha256: library.sha256,
        artifacts: &artifacts,
        progress: Progress::stderr(workspace.environment().redraws()),
    };
    let minutes = recipe.scheme.static_int8.tune.minutes;
    let budget = args.budget.unwrap_or(Duration::from_secs(60 * minutes));
    let wish = Wish { budget, speed: args.speed, fresh: args.fresh };
    let Tuned { convolutions, meets, mut pareto, tried } = tune(&tuning, &wish)?;
    let made = Plan { convolutions, ..calibrated.clone() }.write(path)?;
    // Whatever judging comes to, what was found is kept.
    let table = Pareto::path(&artifacts, &base.name);
    write_json(&table, &pareto)?;

    let held_out = workspace.held_out(fetcher, recipe, &corpus)?;
    let bench = utterances(corpus.tagged("bench"), |voice| workspace.voice(fetcher, recipe, voice))?;
    let verdict = judge(&tuning, &made, held_out, &bench)?;
    pareto.judged = Some(verdict.judged.clone());
    write_json(&table, &pareto)?;
    if !meets {
        let wanted = args.speed.map_or("within the limits".to_owned(), |speed| format!("{speed} × as fast"));
        workspace.console().say(&format!("no plan is {wanted}; the nearest to it is taken"));
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&pareto)?);
    } else {
        show(&verdict, &pareto);
        println!("{tried} plans tried; kept in `{}`", artifacts.tune().display());
    }
    Ok(made)
}

/// The chosen plan on held-out sentences, then all of them.
fn show(Verdict { judged, fidelity, report, comparison }: &Verdict, pareto: &Pareto) {
    println!("{}\n", fidelity_table([("static-int8", fidelity)]));
    println!("{}\n", benchmark_table(comparison));
    println!("{}\n", pareto.table());
    for line in report.failures("static-int8") {
        println!("{line}");
    }
    let ratio = judged.speed;
    println!(
        "on {} held-out sentences: LSD {:.2} dB, worst {:.2} dB (`{}`); {:.3} × as fast ({:.3}–{:.3}); {:.2} MiB",
        judged.sentences,
        judged.lsd_mean,
        judged.lsd_worst,
        judged.lsd_worst_id,
        ratio.median,
        ratio.low,
        ratio.high,
        judged.mib
    );
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

fn speed(text: &str) -> Result<f64> {
    let speed: f64 = text.parse().context("expected a number")?;
    anyhow::ensure!(speed.is_finite() && speed > 0.0, "expected more than 0");
    Ok(speed)
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
