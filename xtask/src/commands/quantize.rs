//! `cargo xtask quantize`: the main job, from nothing to a gated artifact.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use kokoro_model::{Chosen, Evidence};

use crate::artifacts::{Artifact, Artifacts, file_name};
use crate::base::{self, Base, BaseArgs};
use crate::choice::{Choice, choices, preferred};
use crate::failure::Failure;
use crate::fetch::{Console, Fetcher, SourceArgs};
use crate::gates::{ExecutionProvider, Gate};
use crate::judge::{Judge, Judged};
use crate::lock::{Guard, Mode};
use crate::make::MadeOf;
use crate::planning::Planner;
use crate::providers::ProviderArgs;
use crate::recipe::Recipe;
use crate::report;
use crate::results::Results;
use crate::scheme::SchemeName;
use crate::workspace::Workspace;

/// Makes the INT8 artifacts of the recipe, judges them, and chooses the one that `kokoro-model` embeds
///
/// Fetches the float model, or rebuilds it where it is out of reach; quantizes its weights by each scheme; runs
/// the gates on every candidate; and writes artifacts, metadata, results, a report and audio into `artifacts/`. What is up
/// to date is not made again. A candidate that a gate refuses is kept in `artifacts/refused/`, what was chosen
/// before stays chosen, and the exit code is 1. What is read and what is made is compared with the lock,
/// `models/kokoro-v1.0.lock.toml`, inputs before anything is fetched and artifacts before any gate; what differs ends the
/// run with 1, too.
#[derive(Debug, Default, Args)]
pub struct QuantizeArgs {
    /// Make only this scheme; may be given more than once
    ///
    /// The choice is then among these.
    #[arg(long = "scheme", value_enum, value_name = "SCHEME")]
    pub schemes: Vec<SchemeName>,

    /// Run only this gate; may be given more than once. Nothing is chosen then
    ///
    /// What the other gates said of the same files before stays in the results.
    #[arg(long, value_enum, value_name = "GATE")]
    pub only: Vec<Gate>,

    /// Make and judge everything again, also what is up to date
    #[arg(long)]
    pub force: bool,

    /// Threads of the runtime in the gates, and where a base is calibrated; 0 is the runtime's own choice [default: the recipe's]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Rounds of the bench gate: each model says each sentence once in a round [default: the recipe's]
    #[arg(long, value_name = "N")]
    pub runs: Option<usize>,

    /// Make `static-int8` by this plan in place of the recipe's, a file that ends with `.plan.toml`
    ///
    /// Such an artifact is not compared with the lock.
    #[arg(long, value_name = "PATH", conflicts_with = "locked")]
    pub plan: Option<PathBuf>,

    /// Write the lock anew, if every gate lets every candidate pass
    ///
    /// With `--scheme`, the lock's other artifacts stay, unless the inputs are others.
    #[arg(long, conflicts_with_all = ["locked", "model", "plan", "only"])]
    pub update_lock: bool,

    /// Write into this folder in place of `artifacts/`, from which builds embed
    #[arg(long, value_name = "FOLDER")]
    pub artifacts: Option<PathBuf>,

    /// Print the results as JSON on standard output, in place of the table
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub providers: ProviderArgs,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub base: BaseArgs,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub sources: SourceArgs,
}

impl QuantizeArgs {
    fn schemes(&self, recipe: &Recipe) -> Vec<SchemeName> {
        let mut schemes = self.schemes.clone();
        if schemes.is_empty() {
            schemes = ExecutionProvider::ALL.into_iter().flat_map(|it| preferred(recipe, it)).collect();
        }
        schemes.sort();
        schemes.dedup();
        schemes
    }

    fn mode(&self) -> Mode {
        match (self.update_lock, self.base.locked) {
            (true, _) => Mode::Update,
            (_, true) => Mode::Locked,
            _ => Mode::Compare,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Gate`] when a gate refuses a candidate, or the lock has something else; [`Failure::Fetch`], [`Failure::Model`] and
/// [`Failure::Usage`] of the steps before.
pub fn run(args: &QuantizeArgs, workspace: &Workspace) -> Result<()> {
    let elsewhere = args.artifacts.as_ref().map(|folder| workspace.clone().with_artifacts(folder));
    let workspace = elsewhere.as_ref().unwrap_or(workspace);
    let console = workspace.console();
    let artifacts = workspace.artifacts();
    let folder = artifacts.folder().display();
    let waiting = || console.say(&format!("waiting for another run that works in `{folder}`"));
    let _lock = artifacts.lock(waiting)?;
    let recipe = workspace.recipe()?;
    let fetcher = workspace.fetcher_for(&args.base, &args.sources)?;
    let schemes = args.schemes(&recipe);
    let guard = Guard::new(workspace, &recipe, args.mode())?;
    guard.inputs(&args.base, &recipe, &schemes, &fetcher)?;

    let last = artifacts.chosen()?.map(|artifact| artifact.metadata.base.name);
    let base = base::obtain(&args.base, &recipe, &fetcher, &console, last.as_deref())?;
    let mut candidates = Vec::new();
    for scheme in schemes {
        let plan = if scheme.takes_a_plan() {
            let planner = Planner::new(workspace, &recipe, &fetcher, args.threads.unwrap_or(0))?;
            Some(planner.obtain(&base, args.plan.as_deref(), args.mode() != Mode::Compare)?)
        } else {
            None
        };
        let made_of = MadeOf { base: &base, recipe: &recipe, plan: plan.as_ref() };
        let tools = Tools { workspace, fetcher: &fetcher, artifacts: &artifacts, guard: &guard };
        candidates.push(candidate(scheme, made_of, tools, args.force)?);
    }
    let made: Vec<_> = candidates.iter().map(|candidate| (candidate.scheme, &candidate.artifact)).collect();
    guard.compare(&base, &made)?;
    let updated = guard.updated(&base, &made)?;
    if let Some(results) = up_to_date(args, &candidates, &artifacts, workspace, &recipe)? {
        console.say("everything is up to date: nothing to fetch, quantize or judge; `--force` does it again");
        guard.write(&updated)?;
        return show(args, &results, &artifacts);
    }

    if args.only.is_empty() {
        // What speaks from one binary embeds every voice, also those that no sentence of the corpus is said by.
        fetcher.voices(&recipe, recipe.voice_names())?;
    }
    let judged = judge(args, workspace, &recipe, &fetcher, &base, &candidates)?;
    conclude(args, judged, candidates, &recipe, &artifacts, &console)?;
    guard.write(&updated)
}

/// A candidate and its scheme.
struct Candidate {
    scheme: SchemeName,
    artifact: Artifact,
}

/// What candidates are made with.
#[derive(Clone, Copy)]
struct Tools<'a> {
    workspace: &'a Workspace,
    fetcher: &'a Fetcher,
    artifacts: &'a Artifacts,
    guard: &'a Guard,
}

/// The candidate of `scheme` as it is on the disk if it is up to date, else made now.
fn candidate(scheme: SchemeName, made_of: MadeOf<'_>, tools: Tools<'_>, force: bool) -> Result<Candidate> {
    let Tools { workspace, fetcher, artifacts, guard } = tools;
    let base = made_of.base;
    let console = workspace.console();
    let name = file_name(&base.name, scheme.as_str());
    if !force {
        let found = [
            artifacts.find(&base.name, scheme.as_str())?,
            artifacts.find_staged(&base.name, scheme.as_str())?,
        ];
        for artifact in found.into_iter().flatten() {
            // What the lock has otherwise is made again, so that it is no leftover that the lock is compared with.
            if made_of.is_current(&artifact, &workspace.runtime_version(fetcher)?)
                && guard.differences(base, scheme, &artifact)?.is_empty()
            {
                console.say(&format!("`{name}` is up to date"));
                return Ok(Candidate { scheme, artifact });
            }
        }
    }
    console.say(&format!("quantizing `{}` by {}", base.name, scheme.as_str()));
    let start = Instant::now();
    let (artifact, summary) = made_of.make(scheme, workspace, fetcher, artifacts)?;
    console.say(&format!(
        "made `{name}`: {} weights as INT8, {} kept, {:.1} MiB in {:.1} s",
        summary.quantized,
        summary.kept.len(),
        artifact.metadata.bytes as f64 / f64::from(1 << 20),
        start.elapsed().as_secs_f64()
    ));
    Ok(Candidate { scheme, artifact })
}

/// The results of the last run, if they are of these candidates and all of them passed all gates.
fn up_to_date(
    args: &QuantizeArgs,
    candidates: &[Candidate],
    artifacts: &Artifacts,
    workspace: &Workspace,
    recipe: &Recipe,
) -> Result<Option<Results>> {
    let asks_for_a_measurement = args.force
        || !args.only.is_empty()
        || args.threads.is_some()
        || args.runs.is_some()
        || args.providers.asks_for_others();
    let Ok(results) = Results::read(&artifacts.results()) else { return Ok(None) };
    if asks_for_a_measurement
        || results.recipe_sha256 != recipe.sha256
        || results.corpus_sha256 != workspace.corpus(recipe)?.sha256()
    {
        return Ok(None);
    }
    for candidate in candidates {
        if candidate.artifact.path.parent() != Some(artifacts.folder()) {
            // It still waits for its gates.
            return Ok(None);
        }
        let sha256 = candidate.artifact.sha256()?;
        let known = results.candidates.get(candidate.scheme.as_str());
        if !known.is_some_and(|known| known.sha256 == sha256 && known.gates.all_passed()) {
            return Ok(None);
        }
    }
    let Some(standing) = artifacts.standing()? else { return Ok(None) };
    let schemes: Vec<_> = candidates.iter().map(|candidate| candidate.scheme).collect();
    let mut told = results.clone();
    told.tell(&standing);
    Ok((told.chosen_for == choices(recipe, &results, &schemes)).then_some(results))
}

fn judge(
    args: &QuantizeArgs,
    workspace: &Workspace,
    recipe: &Recipe,
    fetcher: &Fetcher,
    base: &Base,
    candidates: &[Candidate],
) -> Result<Judged> {
    let mut recipe = recipe.clone();
    recipe.gates.bench.threads = args.threads.unwrap_or(recipe.gates.bench.threads);
    recipe.gates.bench.runs = args.runs.unwrap_or(recipe.gates.bench.runs);
    let judge = Judge::new(workspace, &recipe, fetcher, base, &args.only)?;
    let judge = judge.on(&args.providers, workspace, fetcher)?;
    judge.all(candidates.iter().map(|candidate| (candidate.scheme, &candidate.artifact)))
}

/// Puts each candidate where it belongs, chooses, writes the results, and says no if a gate did.
fn conclude(
    args: &QuantizeArgs,
    Judged { mut results, failures }: Judged,
    candidates: Vec<Candidate>,
    recipe: &Recipe,
    artifacts: &Artifacts,
    console: &Console,
) -> Result<()> {
    let refused: Vec<SchemeName> = failures.iter().map(|failure| failure.scheme).collect();
    let elsewhere = results.provider_failures();
    let whole = args.only.is_empty();
    if !whole && let Ok(earlier) = Results::read(&artifacts.results()) {
        results.keep(earlier, &args.only);
    }
    let standing = artifacts.standing()?;
    let stands = |artifact: &Artifact| {
        let in_place = artifact.path.parent() == Some(artifacts.folder());
        in_place && standing.as_ref().is_some_and(|chosen| names(chosen, &artifact.metadata.name))
    };
    let mut passed = Vec::new();
    for Candidate { scheme, artifact } in candidates {
        if refused.contains(&scheme) && stands(&artifact) {
            // Builds embed it: a timing on a busy day, or a gate that has become stricter, must not break them.
            console.say(&format!("refused, but left in its place: `{}`", artifact.path.display()));
        } else if refused.contains(&scheme) {
            let artifact = artifacts.refuse(artifact)?;
            console.say(&format!("refused: `{}`", artifact.path.display()));
        } else if whole {
            passed.push((scheme, artifacts.promote(artifact)?));
        }
    }
    let previous = artifacts.standing()?;
    // A refusal of what the recipe prefers is no reason to replace a choice that stands.
    let keeps = |provider: ExecutionProvider| {
        let stands =
            |it: &Chosen| provider == ExecutionProvider::Cpu || it.providers.contains_key(provider.as_str());
        previous.as_ref().is_some_and(stands)
            && preferred(recipe, provider).next().is_some_and(|scheme| refused.contains(&scheme))
    };
    let chose = whole
        && !keeps(ExecutionProvider::Cpu)
        && choose(&passed, previous.as_ref(), keeps, recipe, &results, artifacts)?;
    if let Some(standing) = artifacts.standing()? {
        if !chose {
            console.say(&format!("`{}` stays chosen", standing.file));
        }
        results.tell(&standing);
    }
    results.write(&artifacts.results())?;
    report::write(&results, artifacts, &artifacts.report())?;
    show(args, &results, artifacts)?;
    // A refusal on another provider is that provider's: what the CPU's gates let pass is chosen all the same.
    let lines: Vec<String> =
        failures.into_iter().flat_map(|failure| failure.lines).chain(elsewhere).collect();
    if lines.is_empty() {
        return Ok(());
    }
    Err(anyhow!("{}", lines.join("\n")).context(Failure::Gate))
}

/// Writes `chosen.json`, and returns whether it did: not where nothing that the recipe would have for the CPU `passed`.
fn choose(
    passed: &[(SchemeName, Artifact)],
    previous: Option<&Chosen>,
    keeps: impl Fn(ExecutionProvider) -> bool,
    recipe: &Recipe,
    results: &Results,
    artifacts: &Artifacts,
) -> Result<bool> {
    let among: Vec<_> = passed.iter().map(|(scheme, _)| *scheme).collect();
    let artifact = |choice: &Choice| {
        let found = passed.iter().find(|(scheme, _)| scheme.as_str() == choice.scheme);
        found.map(|(_, artifact)| artifact).context("only what passed is chosen")
    };
    let mut choices = choices(recipe, results, &among);
    let Some(for_cpu) = choices.remove(&ExecutionProvider::Cpu) else { return Ok(false) };
    let mut others = BTreeMap::new();
    for provider in ExecutionProvider::ALL {
        let name = provider.to_string();
        let kept = previous.filter(|_| keeps(provider)).and_then(|it| it.providers.get(&name));
        let chosen = choices.get(&provider);
        let chosen = chosen.map(|choice| artifact(choice)?.chosen(choice.evidence)).transpose()?;
        others.extend(kept.cloned().or(chosen).map(|entry| (name, entry)));
    }
    artifacts.choose(artifact(&for_cpu)?, others)?;
    Ok(true)
}

/// Whether `chosen` names this file, for whatever execution provider.
fn names(chosen: &Chosen, file: &str) -> bool {
    chosen.file == file || chosen.providers.values().any(|entry| entry.file == file)
}

fn show(args: &QuantizeArgs, results: &Results, artifacts: &Artifacts) -> Result<()> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(results)?);
        return Ok(());
    }
    println!("{}", crate::gates::results_table(results));
    if !results.providers.is_empty() {
        println!("{}", crate::gates::providers_table(results));
    }
    println!("report: `{}`", artifacts.report().display());
    match (&results.chosen, artifacts.chosen()?) {
        (Some(scheme), Some(artifact)) => println!(
            "chosen: {scheme}, `{}`\nsha256: {}\nspoken: `{}`",
            artifact.path.display(),
            artifact.metadata.sha256,
            artifacts.audio().display()
        ),
        _ => println!("chosen: none of these"),
    }
    for (provider, Choice { scheme, evidence }) in &results.chosen_for {
        match evidence {
            Evidence::Measured if *provider == ExecutionProvider::Cpu => {}
            Evidence::Measured => println!("for {provider}: {scheme}"),
            Evidence::Predicted => println!("for {provider}: {scheme}, predicted and not measured"),
        }
    }
    Ok(())
}
