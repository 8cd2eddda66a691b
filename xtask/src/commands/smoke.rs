//! `cargo xtask smoke`: has a model speak, and judges the sound.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;

use crate::artifacts::Artifact;
use crate::corpus::CorpusArgs;
use crate::failure::Failure;
use crate::fetch::SourceArgs;
use crate::gates::{Extent, Progress, Subject, checks_table, smoke_gate, utterances};
use crate::providers::ProviderArgs;
use crate::workspace::Workspace;

/// Has a model speak sentences of the corpus, and judges the sound
///
/// Several voices and speeds, from one phoneme to the longest input, and bad input in between. The sentences
/// are kept as WAV files in `artifacts/audio/`.
#[derive(Debug, Args)]
pub struct SmokeArgs {
    /// An `.onnx` file; without any, the chosen artifact
    #[arg(value_name = "MODEL")]
    pub model: Option<PathBuf>,

    /// Print what was heard as JSON on standard output; of several providers, by their names
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

/// Runs the command.
///
/// # Errors
/// [`Failure::Gate`] if the model does not speak well; [`Failure::Usage`] when no artifact is chosen;
/// [`Failure::Fetch`] when ONNX Runtime or a voice cannot be had.
pub fn run(args: &SmokeArgs, workspace: &Workspace) -> Result<()> {
    let workspace = &workspace.clone().with_corpus(&args.corpus);
    let recipe = workspace.recipe()?;
    let corpus = workspace.corpus(&recipe)?;
    let subject = match &args.model {
        Some(path) => Subject::of_file(path)?,
        None => Subject::of_artifact(&chosen(workspace)?)?,
    };
    let fetcher = workspace.fetcher(&args.sources)?;
    let sentences = utterances(corpus.tagged("smoke"), |voice| workspace.voice(&fetcher, &recipe, voice))?;
    let (runtime, _) = workspace.runtime(&fetcher)?;

    let progress = Progress::stderr(workspace.environment().redraws());
    let audio = workspace.artifacts().audio();
    let mut heard = Vec::new();
    for (name, provider) in args.providers.require(&runtime, &fetcher, &workspace.provider_recipe())? {
        let subject = subject.on(name, &provider)?;
        let smoke =
            smoke_gate(&runtime, &subject, &recipe.gates.smoke, &sentences, Extent::Full, &audio, progress)?;
        heard.push((name, subject.name, smoke));
    }
    if let (true, [(_, _, smoke)]) = (args.json, &heard[..]) {
        println!("{}", serde_json::to_string_pretty(smoke)?);
    } else if args.json {
        let by_name: BTreeMap<_, _> = heard.iter().map(|(name, _, smoke)| (name, smoke)).collect();
        println!("{}", serde_json::to_string_pretty(&by_name)?);
    } else {
        println!(
            "{}",
            checks_table(heard.iter().map(|(_, subject, smoke)| (subject.as_str(), &smoke.report)))
        );
        println!("audio: {}", audio.display());
    }
    let failures: Vec<_> =
        heard.iter().flat_map(|(_, subject, smoke)| smoke.report.failures(subject)).collect();
    if failures.is_empty() {
        return Ok(());
    }
    Err(anyhow!(failures.join("\n")).context(Failure::Gate))
}

/// The artifact that a build would embed.
pub(super) fn chosen(workspace: &Workspace) -> Result<Artifact> {
    let artifact = workspace.artifacts().chosen()?.ok_or_else(|| {
        anyhow!("no artifact is chosen\nhint: run `cargo xtask quantize`, or name an `.onnx` file")
    });
    artifact.context(Failure::Usage)
}
