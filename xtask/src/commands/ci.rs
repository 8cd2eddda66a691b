//! `cargo xtask ci`: what CI runs, on your machine.

use anyhow::{Context as _, Result, anyhow};
use clap::Args;

use super::test::{self, TestArgs};
use crate::failure::Failure;
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
/// [`Failure::Gate`] when one of the steps says no.
pub fn run(args: &CiArgs, workspace: &Workspace) -> Result<()> {
    step(workspace, &["fmt", "--all", "--check"])?;
    step(workspace, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    test::run(&args.test, workspace)
}

fn step(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let shown = format!("cargo {}", arguments.join(" "));
    eprintln!("running `{shown}`");
    let status = duct::cmd(&workspace.environment().cargo, arguments)
        .dir(workspace.root())
        // Lints need no model.
        .env("KOKORO_MODEL_ARTIFACT", "none")
        .unchecked()
        .run()
        .with_context(|| format!("cannot run `{shown}`"))?
        .status;
    if status.success() { Ok(()) } else { Err(anyhow!("`{shown}` said no").context(Failure::Gate)) }
}
