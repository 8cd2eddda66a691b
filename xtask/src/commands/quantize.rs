//! `cargo xtask quantize`: the main job, from nothing to a gated artifact.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use kokoro_model::{BaseKind, Evidence};

use crate::artifacts::{Artifact, Artifacts};
use crate::base::{self, Base, BaseArgs};
use crate::choice::{Choice, choices};
use crate::corpus::CorpusArgs;
use crate::failure::Failure;
use crate::fetch::{Fetcher, SourceArgs, Wanted};
use crate::files::check_writable;
use crate::gates::{ExecutionProvider, Gate};
use crate::judge::{Candidate, Judge, Judged, Question, Scope};
use crate::lock::{Guard, LockedArtifact, Mode};
use crate::make::{MadeOf, Maker};
use crate::planning::Planner;
use crate::preflight;
use crate::promotion::{Verdict, promote};
use crate::proof::Part;
use crate::providers::ProviderArgs;
use crate::recipe::{Recipe, RuntimeRecipe};
use crate::report;
use crate::results::Results;
use crate::scheme::SchemeName;
use crate::workspace::Workspace;

/// Makes the INT8 artifacts of the recipe, judges them, and chooses the one that `kokoro-model` embeds
///
/// Fetches the float model, or rebuilds it where it is out of reach; quantizes its weights by each scheme; runs
/// the gates on every candidate; and writes artifacts, metadata, results, a report and audio into `artifacts/`. What is up
/// to date is not made again. A candidate that a gate refuses is kept in `artifacts/refused/`, what was chosen
/// before stays chosen, and the exit code is 1.
///
/// What is read and what is made is compared with the lock, `models/kokoro-v1.0.lock.toml`, inputs before anything is
/// fetched and artifacts before any gate; what differs ends the run with 1, too. What has the digests of the lock is not
/// listened to again: its fidelity is proved by `models/kokoro-v1.0.proof.json`. What has no proof is judged on the
/// quick sentences. `--full` makes every scheme of the lock and measures everything here.
#[derive(Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct QuantizeArgs {
    /// Make only this scheme; may be given more than once [default: the recipe's `make`; with `--full`, all of the lock]
    ///
    /// The choice is then among these.
    #[arg(long = "scheme", value_enum, value_name = "SCHEME")]
    pub schemes: Vec<SchemeName>,

    /// Measure everything here: all schemes of the lock, all held-out sentences, and what others quantized
    ///
    /// The committed proof is not asked. What every gate let pass leaves a part of a new one in `artifacts/proof/`, which
    /// `cargo xtask prove --join` puts together.
    #[arg(long)]
    pub full: bool,

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

    /// Rounds of the bench gate: each model says each sentence once in a round [default: the recipe's, and more where a
    /// ratio is undecided]
    #[arg(long, value_name = "N")]
    pub runs: Option<usize>,

    /// Make `static-int8` by this plan in place of the recipe's, a file that ends with `.plan.toml`
    ///
    /// Such an artifact is not compared with the lock.
    #[arg(long, value_name = "PATH", conflicts_with = "locked")]
    pub plan: Option<PathBuf>,

    /// Write the lock and its proof anew, if every gate lets every candidate pass; measures as with `--full`
    ///
    /// With `--scheme`, the lock's other artifacts stay, unless the inputs are others.
    #[arg(long, conflicts_with_all = ["locked", "model", "plan", "only", "corpus"])]
    pub update_lock: bool,

    /// Write into this folder in place of `artifacts/`, from which builds embed
    #[arg(long, value_name = "FOLDER")]
    pub artifacts: Option<PathBuf>,

    /// Print the results as JSON on standard output, in place of the table
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
    pub base: BaseArgs,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub sources: SourceArgs,
}

impl QuantizeArgs {
    fn schemes(&self, recipe: &Recipe) -> Vec<SchemeName> {
        let mut schemes = self.schemes.clone();
        if schemes.is_empty() {
            let names: Vec<&str> = match self.scope() {
                Scope::Quick => recipe.make.iter().map(String::as_str).collect(),
                Scope::Full => recipe.locked_schemes().collect(),
            };
            schemes = names.into_iter().filter_map(SchemeName::parse).collect();
            schemes.retain(|scheme| scheme.can_be_judged_here());
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

    fn scope(&self) -> Scope {
        if self.full || self.update_lock { Scope::Full } else { Scope::Quick }
    }

    /// What can be told to be wrong before anything is fetched or made.
    fn check(&self, recipe: &Recipe) -> Result<()> {
        if self.runs == Some(0) {
            return Err(anyhow!("`--runs`: expected at least 1, found 0").context(Failure::Usage));
        }
        match &self.base.model {
            Some(path) => base::check_local(path, recipe),
            None => Ok(()),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Gate`] when a gate refuses a candidate, or the lock has something else; [`Failure::Fetch`], [`Failure::Model`] and
/// [`Failure::Usage`] of the steps before.
pub fn run(args: &QuantizeArgs, workspace: &Workspace) -> Result<()> {
    let mut workspace = workspace.clone().with_corpus(&args.corpus);
    if let Some(folder) = &args.artifacts {
        workspace = workspace.with_artifacts(folder);
    }
    let workspace = &workspace;
    let console = workspace.console();
    let artifacts = workspace.artifacts();
    let recipe = workspace.recipe()?;
    let schemes = args.schemes(&recipe);
    console.say(&opening(args, &schemes));
    if args.schemes.is_empty() && !SchemeName::LinearInt8.can_be_judged_here() {
        console.say(
            "notice: linear-int8 is left out: without VNNI, this processor's products of u8 and s8 saturate, and what it \
             predicts is wrong; `--scheme linear-int8` makes and judges it",
        );
    }
    args.check(&recipe)?;
    let folder = artifacts.folder().display();
    let waiting = || console.say(&format!("waiting for another run that works in `{folder}`"));
    check_writable(artifacts.folder(), "`--artifacts` names another folder")?;
    let _lock = artifacts.lock(waiting)?;
    let fetcher = workspace.fetcher_for(&args.base, &args.sources)?;
    let mut guard = Guard::new(workspace, &recipe, args.mode())?;
    let schemes = if args.schemes.is_empty() {
        guard.offered(schemes, args.base.base.as_deref().unwrap_or(&recipe.name))
    } else {
        schemes
    };
    guard.inputs(&args.base, &recipe, &schemes, &fetcher)?;

    // What is made of a base to judge by is not what the next run wants.
    let to_judge_by = &recipe.base.offgrid.name;
    let last = artifacts.chosen()?.map(|artifact| artifact.metadata.base.name);
    let last = last.filter(|name| name != to_judge_by);
    let tools = Tools { workspace, recipe: &recipe, fetcher: &fetcher, guard: &guard };
    let ends_here = |candidates: &[(SchemeName, Artifact)]| {
        let Some(results) = up_to_date(args, candidates, &artifacts, workspace, &recipe)? else {
            return Ok(false);
        };
        console.say("everything is up to date: nothing to fetch, quantize or judge; `--force` does it again");
        guard.write(guard.parts(&results, &locked(candidates)?))?;
        show(args, &results, &artifacts)?;
        anyhow::Ok(true)
    };
    // Without a look at the base, where that is known by its name.
    if let Some(candidates) = present(args, &schemes, tools, last.as_deref())?
        && ends_here(&candidates)?
    {
        return Ok(());
    }
    let base = obtain(args, workspace, &recipe, &fetcher, last.as_deref())?;
    if base.kind == BaseKind::Local {
        preflight::look(&base, &workspace.runtime(&fetcher)?.0, &console)?;
    }
    let candidates = candidates(args, &schemes, &base, tools)?;
    let made: Vec<_> = candidates.iter().map(|(scheme, artifact)| (*scheme, artifact)).collect();
    guard.compare(&base, &made)?;
    if ends_here(&candidates)? {
        return Ok(());
    }
    let locked = locked(&candidates)?;

    if args.only.is_empty() {
        // What speaks from one binary embeds every voice, also those that no sentence of the corpus is said by.
        fetcher.voices(&recipe, recipe.voice_names())?;
    }
    let judged = judge(args, workspace, &recipe, &fetcher, &base, &candidates, &guard)?;
    let (results, lines) = conclude(args, judged, candidates, &recipe, workspace)?;
    let parts = guard.parts(&results, &locked);
    if base.kind != BaseKind::Local && args.corpus.corpus.is_none() {
        keep(&parts, &artifacts)?;
    }
    if !lines.is_empty() {
        return Err(anyhow!("{}", lines.join("\n")).context(Failure::Gate));
    }
    guard.write(parts)
}

/// The first line on the screen: what is coming, and for how long.
fn opening(args: &QuantizeArgs, schemes: &[SchemeName]) -> String {
    let names: Vec<_> = schemes.iter().map(|scheme| scheme.as_str()).collect();
    let judging = match args.scope() {
        Scope::Quick => "a minute or two on two cores",
        Scope::Full => "all that a proof needs: about half an hour on two cores",
    };
    format!("quantize: fetch, make {}, judge; {judging}", names.join(", "))
}

/// The base, and meanwhile what the cache lacks of all that the run will need. That it can be had is seen first.
fn obtain(
    args: &QuantizeArgs,
    workspace: &Workspace,
    recipe: &Recipe,
    fetcher: &Fetcher,
    last: Option<&str>,
) -> Result<Base> {
    let console = workspace.console();
    let obtain = || base::obtain(&args.base, recipe, fetcher, &console, last);
    let runtime = RuntimeRecipe::load(&workspace.runtime_recipe())?;
    let mut wanted = vec![Wanted::Runtime(&runtime)];
    if args.only.is_empty() {
        wanted.push(Wanted::Voices(recipe));
    }
    // What is proved is not listened to.
    if args.only.is_empty() && args.scope() == Scope::Full {
        wanted.extend(recipe.judges()?.into_iter().map(Wanted::File));
    }
    if args.base.model.is_some() {
        // Nothing is fetched for the sake of a model that turns out to be none.
        let base = obtain()?;
        return if args.sources.offline { Ok(base) } else { fetcher.preflight(&wanted).map(|()| base) };
    }
    let base = base::wanted(&args.base, recipe, fetcher, last)?;
    fetcher.preflight(&[&wanted[..], base.as_slice()].concat())?;
    fetcher.prefetch(&wanted, obtain)
}

/// What candidates are found and made with.
#[derive(Clone, Copy)]
struct Tools<'a> {
    workspace: &'a Workspace,
    recipe: &'a Recipe,
    fetcher: &'a Fetcher,
    guard: &'a Guard,
}

/// The candidates, if all of them are up to date; told without the base, whose bytes are four times as many as those of an
/// artifact.
fn present(
    args: &QuantizeArgs,
    schemes: &[SchemeName],
    tools: Tools<'_>,
    last: Option<&str>,
) -> Result<Option<Vec<(SchemeName, Artifact)>>> {
    let Tools { workspace, recipe, fetcher, guard } = tools;
    let Some(base) = base::pinned(&args.base, recipe, last).filter(|_| !args.force) else { return Ok(None) };
    let mut plan = None;
    if schemes.iter().any(|scheme| scheme.takes_a_plan()) {
        let planner = Planner::new(workspace, recipe, fetcher, args.threads.unwrap_or(0))?;
        plan = planner.find(&base, args.plan.as_deref(), args.mode() != Mode::Compare)?;
        if plan.is_none() {
            return Ok(None);
        }
    }
    let made_of = MadeOf { base: &base, recipe, plan: plan.as_ref() };
    let found = made_of.find(schemes, guard, workspace, fetcher)?;
    Ok(schemes.iter().zip(found).map(|(scheme, found)| Some((*scheme, found?))).collect())
}

/// The candidates of `base`: those that are up to date as they are on the disk, all others made now.
fn candidates(
    args: &QuantizeArgs,
    schemes: &[SchemeName],
    base: &Base,
    tools: Tools<'_>,
) -> Result<Vec<(SchemeName, Artifact)>> {
    let Tools { workspace, recipe, fetcher, guard } = tools;
    let (console, artifacts) = (workspace.console(), workspace.artifacts());
    let plan = if schemes.iter().any(|scheme| scheme.takes_a_plan()) {
        let planner = Planner::new(workspace, recipe, fetcher, args.threads.unwrap_or(0))?;
        Some(planner.obtain(base, args.plan.as_deref(), args.mode() != Mode::Compare)?)
    } else {
        None
    };
    let maker = Maker { base, recipe, plan: plan.as_ref(), workspace, fetcher, artifacts: &artifacts };
    let mut candidates = BTreeMap::new();
    if !args.force {
        let found = maker.made_of().find(schemes, guard, workspace, fetcher)?;
        for (scheme, artifact) in schemes.iter().zip(found).filter_map(|(scheme, it)| Some((*scheme, it?))) {
            console.say(&format!("`{}` is up to date", artifact.metadata.name));
            candidates.insert(scheme, artifact);
        }
    }
    let missing: Vec<_> = schemes.iter().copied().filter(|scheme| !candidates.contains_key(scheme)).collect();
    candidates.extend(maker.all(&missing)?.into_iter().map(|made| (made.scheme, made.artifact)));
    Ok(candidates.into_iter().collect())
}

/// What a lock says of the candidates.
fn locked(candidates: &[(SchemeName, Artifact)]) -> Result<Vec<(SchemeName, LockedArtifact)>> {
    candidates.iter().map(|(scheme, it)| Ok((*scheme, LockedArtifact::of(it)?))).collect()
}

/// The results of the last run, if they are of these candidates and all of them passed all gates.
fn up_to_date(
    args: &QuantizeArgs,
    candidates: &[(SchemeName, Artifact)],
    artifacts: &Artifacts,
    workspace: &Workspace,
    recipe: &Recipe,
) -> Result<Option<Results>> {
    let full = args.scope() == Scope::Full;
    let asks_for_a_measurement = args.force
        || !args.only.is_empty()
        || args.threads.is_some()
        || args.runs.is_some()
        || args.providers.asks_for_others();
    let Ok(results) = Results::read(&artifacts.results()) else { return Ok(None) };
    if asks_for_a_measurement
        || (full && !results.full)
        || results.recipe_sha256 != recipe.sha256
        || results.corpus_sha256 != workspace.corpus(recipe)?.sha256()
    {
        return Ok(None);
    }
    for (scheme, artifact) in candidates {
        if artifact.path.parent() != Some(artifacts.folder()) {
            // It still waits for its gates.
            return Ok(None);
        }
        let sha256 = artifact.sha256()?;
        let known = results.candidates.get(scheme.as_str());
        if !known.is_some_and(|known| known.sha256 == sha256 && known.gates.all_passed()) {
            return Ok(None);
        }
    }
    let Some(standing) = artifacts.standing()? else { return Ok(None) };
    let schemes: Vec<_> = candidates.iter().map(|(scheme, _)| *scheme).collect();
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
    candidates: &[(SchemeName, Artifact)],
    guard: &Guard,
) -> Result<Judged> {
    let mut recipe = recipe.clone();
    recipe.gates.bench.threads = args.threads.unwrap_or(recipe.gates.bench.threads);
    if let Some(runs) = args.runs {
        recipe.gates.bench = recipe.gates.bench.with_runs(runs);
    }
    let scope = args.scope();
    // Of sentences of the user's own no proof says anything.
    let asks_the_proof = scope == Scope::Quick && args.corpus.corpus.is_none();
    let proved = |scheme, artifact| {
        if asks_the_proof { guard.proved(base, scheme, artifact) } else { Ok(None) }
    };
    let candidates = candidates.iter().map(|(scheme, artifact)| {
        Ok(Candidate { scheme: *scheme, artifact, proved: proved(*scheme, artifact)? })
    });
    let candidates: Vec<_> = candidates.collect::<Result<_>>()?;
    let question = Question {
        only: &args.only,
        scope,
        proof: guard.proof(base).filter(|_| asks_the_proof),
        // On another execution provider nothing is proved.
        all_proved: !args.providers.asks_for_others()
            && candidates.iter().all(|candidate| candidate.proved.is_some()),
    };
    let judge = Judge::new(workspace, &recipe, fetcher, base, question)?;
    let judge = judge.on(&args.providers, workspace, fetcher)?;
    judge.all(candidates.into_iter())
}

/// Puts each candidate where it belongs, writes results and report, and returns them with what gates that said no said.
fn conclude(
    args: &QuantizeArgs,
    Judged { mut results, failures }: Judged,
    candidates: Vec<(SchemeName, Artifact)>,
    recipe: &Recipe,
    workspace: &Workspace,
) -> Result<(Results, Vec<String>)> {
    let (artifacts, console) = (workspace.artifacts(), workspace.console());
    let refused: Vec<SchemeName> = failures.iter().map(|failure| failure.scheme).collect();
    let elsewhere = results.provider_failures();
    let whole = args.only.is_empty();
    if !whole && let Ok(earlier) = Results::read(&artifacts.results()) {
        results.keep(earlier, &args.only);
    }
    let verdict = Verdict { results: &results, refused: &refused, whole };
    let chose = promote(candidates, verdict, recipe, &artifacts, &console)?;
    if let Some(standing) = artifacts.standing()? {
        if !chose {
            console.say(&format!("`{}` stays chosen", standing.file));
        }
        results.tell(&standing);
    }
    results.write(&artifacts.results())?;
    report::write(&results, &artifacts, &artifacts.report())?;
    show(args, &results, &artifacts)?;
    // A refusal on another provider is that provider's: what the CPU's gates let pass is chosen all the same.
    let lines = failures.into_iter().flat_map(|failure| failure.lines).chain(elsewhere).collect();
    Ok((results, lines))
}

/// Leaves the parts of a proof in the artifacts folder, for `prove --join`.
fn keep(parts: &[Part], artifacts: &Artifacts) -> Result<()> {
    for part in parts {
        part.write(&artifacts.proof(&part.base.name, &part.scheme))?;
    }
    Ok(())
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
    for (measured_on, schemes) in results.proved() {
        println!("proved, not measured again: {}, on {measured_on}", schemes.join(", "));
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
