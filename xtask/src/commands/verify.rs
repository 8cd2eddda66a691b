//! `cargo xtask verify`: whether a release is what it says, and whether the artifacts are what their sources make.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use kokoro_model::Runtime;

use crate::failure::Failure;
use crate::fetch::{Fetcher, SourceArgs};
use crate::gates::{Extent, Progress, Report, Subject, Utterance, smoke_gate, utterances};
use crate::lock::Lock;
use crate::rebuild;
use crate::recipe::{Recipe, SmokeRecipe};
use crate::release::{self, Against, Outcome, Smoke, Verdict};
use crate::workspace::{MODEL, Workspace};

/// How many of the sentences of the smoke gate a release has to say: the shortest.
const SENTENCES: usize = 2;

/// Makes the artifacts of the lock again and compares, or checks a downloaded release without trusting it
///
/// Without a PATH: from the sources, in a scratch folder, leaving nothing behind but fetched files in the cache. A line
/// for each file: yes or no, its digest, and where the one in `artifacts/` differs first, if it does. Exit code 1 if one
/// says no.
///
/// With a PATH: every file against `SHA256SUMS`, that file against its signature, the metadata against the bytes of the model,
/// gates, bill of materials, provenance and lock against both, and the artifact against the lock of this checkout;
/// then the model speaks. Each check is a line: yes, no, or not checked. Exit code 3 if one says no.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// An archive, the folder that one was unpacked to, or an `.onnx` file with its metadata beside it
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,

    /// Without a path: only the artifacts of this base of the lock
    #[arg(long, value_name = "NAME", conflicts_with = "path")]
    pub base: Option<String>,

    /// The public key of minisign that must have signed the release; without it, no signature is checked
    #[arg(long, value_name = "FILE", requires = "path")]
    pub key: Option<PathBuf>,

    /// Hold the artifact against this lock in place of the committed one
    #[arg(long, value_name = "FILE", requires = "path")]
    pub lock: Option<PathBuf>,

    /// Do not have the model speak, which takes ONNX Runtime and a voice
    #[arg(long, requires = "path")]
    pub no_smoke: bool,

    /// Print every check, or every file, as JSON on standard output
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub sources: SourceArgs,
}

/// Runs the command.
///
/// # Errors
/// Those of [`rebuild::run`]. With a path, [`Failure::Fetch`] when a check says no, and when ONNX Runtime or a voice cannot be had; [`Failure::Usage`] for a path
/// where nothing is, and a key that is none.
pub fn run(args: &VerifyArgs, workspace: &Workspace) -> Result<()> {
    let Some(path) = &args.path else {
        let fetcher = workspace.fetcher(&args.sources)?;
        return rebuild::run(workspace, &fetcher, args.base.as_deref(), args.json);
    };
    let lock = own_lock(args.lock.as_deref(), workspace)?;
    let speaker = if args.no_smoke { None } else { Some(Speaker::new(args, workspace)?) };
    let smoke = speaker.as_ref().map(|speaker| move |subject: &Subject| speaker.hear(subject));
    let smoke = smoke.as_ref().map(|smoke| smoke as Smoke<'_>);
    let against = Against { key: args.key.as_deref(), lock: lock.as_ref(), smoke };
    workspace.console().say(&format!("verifying `{}`", path.display()));
    let verdict = release::verify(path, against)?;
    show(&verdict, args.json)?;
    verdict.into_result()
}

/// The lock of this checkout, where there is one; one that was named must be there.
fn own_lock(named: Option<&Path>, workspace: &Workspace) -> Result<Option<Lock>> {
    if let Some(path) = named {
        return Lock::read(path).context(Failure::Usage).map(Some);
    }
    let path = workspace.models().join(format!("{MODEL}.lock.toml"));
    path.exists().then(|| Lock::read(&path)).transpose()
}

fn show(verdict: &Verdict, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(verdict)?);
        return Ok(());
    }
    for finding in &verdict.findings {
        let outcome = match finding.outcome {
            Outcome::Yes => "yes",
            Outcome::No => "NO",
            Outcome::Unchecked => "-",
        };
        println!("{outcome:<4}{}", finding.told());
    }
    if let Some(why) = verdict.unofficial {
        println!("unofficial: {}", why.trim_end_matches('.'));
    }
    let count = |outcome| verdict.findings.iter().filter(|it| it.outcome == outcome).count();
    let (yes, no, open) = (count(Outcome::Yes), count(Outcome::No), count(Outcome::Unchecked));
    let verified = if verdict.verified { "verified" } else { "not verified" };
    println!("{verified}: {yes} checks said yes, {no} no, {open} not checked");
    Ok(())
}

/// Everything that a model needs to speak.
struct Speaker {
    runtime: Runtime,
    recipe: SmokeRecipe,
    sentences: Vec<Utterance>,
    progress: Progress,
}

impl Speaker {
    fn new(args: &VerifyArgs, workspace: &Workspace) -> Result<Self> {
        let fetcher = workspace.fetcher(&args.sources)?;
        let recipe = workspace.recipe()?;
        let (runtime, _) = workspace.runtime(&fetcher)?;
        Ok(Self {
            sentences: sentences(workspace, &fetcher, &recipe)?,
            // At the pace of the sentences only: the gate has heard the others.
            recipe: SmokeRecipe { speeds: Vec::new(), ..recipe.gates.smoke },
            runtime,
            progress: Progress::stderr(workspace.environment().redraws()),
        })
    }

    /// The smoke gate, whose recordings nobody keeps.
    fn hear(&self, subject: &Subject) -> Result<Report> {
        let scratch = tempfile::tempdir().context("no folder for recordings")?;
        let (recipe, audio) = (&self.recipe, scratch.path());
        let smoke =
            smoke_gate(&self.runtime, subject, recipe, &self.sentences, Extent::Full, audio, self.progress)?;
        Ok(smoke.report)
    }
}

fn sentences(workspace: &Workspace, fetcher: &Fetcher, recipe: &Recipe) -> Result<Vec<Utterance>> {
    let corpus = workspace.corpus(recipe)?;
    let mut sentences: Vec<_> = corpus.tagged("smoke").collect();
    sentences.sort_by_key(|sentence| sentence.tokens.len());
    sentences.truncate(SENTENCES);
    utterances(sentences, |voice| workspace.voice(fetcher, recipe, voice))
}
