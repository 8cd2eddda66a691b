//! `cargo xtask smoke`: has a model speak, and judges the sound.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;

use crate::artifacts::Artifact;
use crate::failure::Failure;
use crate::fetch::SourceArgs;
use crate::gates::{Progress, Subject, checks_table, smoke_gate, utterances};
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

    /// Print what was heard as JSON on standard output
    #[arg(long)]
    pub json: bool,

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
    let smoke = smoke_gate(&runtime, &subject, &recipe.gates.smoke, &sentences, &audio, progress)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&smoke)?);
    } else {
        println!("{}", checks_table([(subject.name.as_str(), &smoke.report)]));
        println!("audio: {}", audio.display());
    }
    smoke.report.into_result(&subject.name)
}

/// The artifact that a build would embed.
pub(super) fn chosen(workspace: &Workspace) -> Result<Artifact> {
    let artifact = workspace.artifacts().chosen()?.ok_or_else(|| {
        anyhow!("no artifact is chosen\nhint: run `cargo xtask quantize`, or name an `.onnx` file")
    });
    artifact.context(Failure::Usage)
}
