//! `cargo xtask fidelity`: how far models are from the base, on held-out sentences.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use kokoro_model::Metadata;
use serde::Serialize;

use super::smoke::chosen;
use crate::artifacts::Artifact;
use crate::base::{self, Base, BaseArgs};
use crate::corpus::CorpusArgs;
use crate::digest::Digest;
use crate::failure::Failure;
use crate::fetch::SourceArgs;
use crate::fidelity::{Fidelity, Ruler, Setting, fidelity_gate, fidelity_table};
use crate::files::read_json;
use crate::gates::{Progress, Report, Subject};
use crate::host::Host;
use crate::providers::ProviderArgs;
use crate::scheme::SchemeName;
use crate::workspace::Workspace;

/// Measures how far models are from the base, on sentences that nothing was fitted to
///
/// What a model predicts (durations, F0, energy) is compared with what the base does; its sound, with the base's
/// predictions forced upon it. What the base says is kept in `artifacts/fidelity/`, so that only the first run has
/// to wait for it. Where the recipe names models that rate speech, how they rate the candidate is shown beside the
/// base's rating. With other execution providers, every model is measured on each, against the base on the CPU.
#[derive(Debug, Args)]
pub struct FidelityArgs {
    /// Artifacts, with their metadata beside them, to hold against the limits of their schemes; without any, and
    /// without a contestant, the chosen one
    #[arg(value_name = "MODEL")]
    pub models: Vec<PathBuf>,

    /// Any other `.onnx` file with the inputs, the output and the inner values of the base: reported, not judged; may
    /// be given more than once
    #[arg(long = "contestant", value_name = "FILE")]
    pub contestants: Vec<PathBuf>,

    /// Only the sentences tagged `quick`
    #[arg(long)]
    pub quick: bool,

    /// Threads of each model, of which as many run at once as the processor has room for; 0 leaves the choice to ONNX
    /// Runtime, and runs one [default: the recipe's]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Print what was measured, sentence by sentence, as JSON on standard output
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

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Output<'a> {
    host: Host,
    onnxruntime: &'a str,
    corpus_sha256: Digest,
    base: &'a str,
    base_sha256: Digest,
    models: &'a [Measured],
}

/// A model and what was measured of it.
#[derive(Debug, Serialize)]
struct Measured {
    name: String,
    sha256: Digest,
    mib: f64,
    /// The verdict; `None` for a contestant.
    report: Option<Report>,
    fidelity: Fidelity,
}

/// A model to measure, and the scheme whose limits it is held against.
struct Entrant {
    subject: Subject,
    scheme: Option<SchemeName>,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Gate`] if an artifact is not within the limits of its scheme; [`Failure::Usage`] for a file without
/// metadata, an artifact of another base, or when no artifact is chosen; [`Failure::Fetch`] when ONNX Runtime, a
/// voice or the base cannot be had; [`Failure::Model`] for a model that cannot be opened.
pub fn run(args: &FidelityArgs, workspace: &Workspace) -> Result<()> {
    let workspace = &workspace.clone().with_corpus(&args.corpus);
    let recipe = workspace.recipe()?;
    let corpus = workspace.corpus(&recipe)?;
    let fetcher = workspace.fetcher_for(&args.base, &args.sources)?;
    let artifacts = artifacts(args, workspace)?;
    // Contestants are measured against the base that the present artifacts have, too.
    let present = if artifacts.is_empty() { workspace.artifacts().chosen()? } else { None };
    let last = artifacts.first().or(present.as_ref());
    let last = last.map(|artifact| artifact.metadata.base.name.to_string());
    let base = base::obtain(&args.base, &recipe, &fetcher, &workspace.console(), last.as_deref())?;
    let entrants = entrants(&artifacts, &args.contestants, &base)?;

    let (runtime, library) = workspace.runtime(&fetcher)?;
    let providers = args.providers.require(&runtime, &fetcher, &workspace.provider_recipe())?;
    let on_each = providers.iter().flat_map(|(name, provider)| {
        entrants.iter().map(|it| Ok(Entrant { subject: it.subject.on(*name, provider)?, scheme: it.scheme }))
    });
    let entrants: Vec<Entrant> = on_each.collect::<Result<_>>()?;
    let dnsmos = workspace.dnsmos(&fetcher, &recipe)?;
    let quick: Vec<&str> = corpus.tagged("quick").map(|sentence| sentence.id.as_str()).collect();
    let mut sentences = workspace.held_out(&fetcher, &recipe, &corpus)?;
    sentences.retain(|sentence| !args.quick || quick.contains(&sentence.id.as_str()));
    let setting = Setting {
        runtime: &runtime,
        runtime_sha256: library.sha256,
        probe: &recipe.probe,
        dnsmos: dnsmos.as_ref(),
        threads: args.threads.unwrap_or(recipe.gates.fidelity.threads),
        progress: Progress::stderr(workspace.environment().redraws()),
    };
    let folders = workspace.artifacts();
    let ruler = Ruler::new(setting, &Subject::of_base(&base)?, sentences, &folders.fidelity())?
        .with_floor(|it| quick.contains(&it.id.as_str()))?;
    let mut measured = Vec::new();
    for Entrant { subject, scheme } in entrants {
        // Free-running speech is for the report, which is of all sentences.
        let free = |id: &str| !args.quick && quick.contains(&id);
        let fidelity = ruler.measure(&subject, |it| free(&it.id), &folders.audio())?;
        let report = scheme.map(|scheme| fidelity_gate(&fidelity, &scheme.thresholds(&recipe).fidelity));
        let (sha256, mib) = (subject.sha256, subject.mib());
        measured.push(Measured { name: subject.name, sha256, mib, report, fidelity });
    }
    if args.json {
        let output = Output {
            host: Host::here(),
            onnxruntime: runtime.version(),
            corpus_sha256: corpus.sha256(),
            base: &base.name,
            base_sha256: base.sha256,
            models: &measured,
        };
        println!("{}", serde_json::to_string_pretty(&output)?);
    } else {
        println!("{}", fidelity_table(measured.iter().map(|it| (it.name.as_str(), &it.fidelity))));
    }
    verdict(&measured)
}

/// The artifacts that are to be judged, with their metadata.
fn artifacts(args: &FidelityArgs, workspace: &Workspace) -> Result<Vec<Artifact>> {
    if args.models.is_empty() && args.contestants.is_empty() {
        return Ok(vec![chosen(workspace)?]);
    }
    let artifact = |path: &PathBuf| {
        let metadata = metadata(path)?;
        Ok(Artifact { metadata, path: path.clone() })
    };
    args.models.iter().map(artifact).collect()
}

fn metadata(path: &Path) -> Result<Metadata> {
    let json = path.with_extension("json");
    if !json.exists() {
        return Err(anyhow!(
            "`{}` has no metadata beside it, so no scheme with limits\nhint: `--contestant {}` measures any model",
            path.display(),
            path.display()
        )
        .context(Failure::Usage));
    }
    read_json(&json)
}

/// The models to measure: artifacts of `base` under the names of their schemes, then contestants.
fn entrants(artifacts: &[Artifact], contestants: &[PathBuf], base: &Base) -> Result<Vec<Entrant>> {
    let mut entrants = Vec::new();
    for artifact in artifacts {
        let Metadata { base: made_from, scheme, .. } = &artifact.metadata;
        if made_from.sha256 != base.sha256.to_string() {
            return Err(anyhow!(
                "`{}` was made from another base, `{}`\nexpected sha256 {}\nfound    sha256 {}\n\
                 hint: name its base with `--base` or `--model`, or measure it with `--contestant`",
                artifact.path.display(),
                made_from.name,
                base.sha256,
                made_from.sha256
            )
            .context(Failure::Usage));
        }
        let scheme = SchemeName::parse(scheme)
            .with_context(|| format!("`{}`: there is no scheme `{scheme}`", artifact.path.display()))
            .context(Failure::Usage)?;
        entrants.push(Entrant { subject: Subject::of_artifact(artifact)?, scheme: Some(scheme) });
    }
    for path in contestants {
        entrants.push(Entrant { subject: Subject::of_file(path)?, scheme: None });
    }
    Ok(entrants)
}

/// Says no with every limit that an artifact misses, and with every sentence that a contestant did not say.
fn verdict(measured: &[Measured]) -> Result<()> {
    let mut lines = Vec::new();
    for Measured { name, report, fidelity, .. } in measured {
        match report {
            Some(report) => lines.extend(report.failures(name)),
            None => lines.extend(fidelity.unspoken.iter().map(|line| format!("`{name}`: {line}"))),
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    Err(anyhow!(lines.join("\n")).context(Failure::Gate))
}
