//! `cargo xtask report`: the page that shows what the last run found.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;

use crate::artifacts::Artifacts;
use crate::failure::Failure;
use crate::report;
use crate::results::Results;
use crate::workspace::Workspace;

/// Builds the report again: one page with everything that the last run found
///
/// `quantize` writes it at its end. The page is made of `quantization_comparison_results.json` and of
/// the WAV files in `audio/`; nothing is measured. It is one file that opens from the disk.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Write the page here [default: `report.html` in the artifacts folder]
    #[arg(long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// Read results and audio from this folder in place of `artifacts/`
    #[arg(long, value_name = "FOLDER")]
    pub artifacts: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Usage`] when there are no results, or they are of another version; a WAV file that cannot be read; the
/// disk's.
pub fn run(args: &ReportArgs, workspace: &Workspace) -> Result<()> {
    let artifacts = args.artifacts.clone().map_or_else(|| workspace.artifacts(), Artifacts::new);
    let path = args.output.clone().unwrap_or_else(|| artifacts.report());
    let results = read(&artifacts)?;
    report::write(&results, &artifacts, &path)?;
    println!("{}", path.display());
    Ok(())
}

fn read(artifacts: &Artifacts) -> Result<Results> {
    let path = artifacts.results();
    if !path.exists() {
        return Err(anyhow!(
            "there are no results to show: `{}` is missing\nhint: `cargo xtask quantize` makes them",
            path.display()
        )
        .context(Failure::Usage));
    }
    Results::read(&path)
        .context("the results are of another version\nhint: `cargo xtask quantize` makes them again")
        .context(Failure::Usage)
}
