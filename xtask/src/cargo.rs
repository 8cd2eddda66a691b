//! Runs cargo from a program that cargo runs.

use anyhow::{Context as _, Result, anyhow};

use crate::failure::Failure;
use crate::workspace::Workspace;

/// Runs `cargo` with `arguments` in the checkout, with `variables` set.
///
/// # Errors
/// [`Failure::Gate`] when it says no.
pub fn cargo(workspace: &Workspace, arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let shown = format!("cargo {}", arguments.join(" "));
    eprintln!("running `{shown}`");
    let environment = workspace.environment();
    let mut command = duct::cmd(&environment.cargo, arguments).dir(workspace.root()).unchecked();
    // Some build scripts are run again when these change, and would be for every package of this one.
    for name in &environment.of_package {
        command = command.env_remove(name);
    }
    for (name, value) in variables {
        command = command.env(name, value);
    }
    let status = command.run().with_context(|| format!("cannot run `{shown}`"))?.status;
    if status.success() { Ok(()) } else { Err(anyhow!("`{shown}` said no").context(Failure::Gate)) }
}
