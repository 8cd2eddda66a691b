//! `cargo xtask ci`: what CI runs, on your machine.

use anyhow::Result;
use clap::Args;

use super::test::{self, TestArgs};
use crate::cargo::cargo;
use crate::workspace::Workspace;

/// Runs formatting, lints and all tests, as CI does
#[derive(Debug, Args)]
pub struct CiArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub test: TestArgs,
}

/// Runs the command.
///
/// # Errors
/// [`crate::failure::Failure::Gate`] when one of the steps says no.
pub fn run(args: &CiArgs, workspace: &Workspace) -> Result<()> {
    cargo(workspace, &["fmt", "--all", "--check"], &[])?;
    // Lints need no model.
    let no_model = [("KOKORO_MODEL_ARTIFACT", "none")];
    cargo(workspace, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &no_model)?;
    test::run(&args.test, workspace)
}
