//! No telemetry: builds of ONNX Runtime since about 1.29 look for `ORT_DISABLE_TELEMETRY` while they are loaded.

use std::process::Command;

use anyhow::{Context as _, Result};

const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// Starts this program again with the variable set, unless it is set to anything already.
///
/// A process can change its own environment only by unsafe code, since threads may be reading it; that of a program to
/// be started it can choose freely. On Unix the new program takes the place of this one, under the same process id,
/// and some milliseconds later. Call it before standard input is read.
///
/// # Errors
/// This program cannot be started again; the hint tells how to do without.
pub fn switch_off() -> Result<()> {
    if std::env::var_os(VARIABLE).is_some() {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "kokoro-say".into());
    // Linux tells the path by a link below `/proc`, which a bare root folder does not have.
    let program = std::env::current_exe().unwrap_or_else(|_| name.into());
    let mut command = Command::new(&program);
    command.args(arguments).env(VARIABLE, "1");
    replace(command).with_context(|| {
        format!(
            "cannot start `{}` again with `{VARIABLE}=1`\nhint: set it before starting",
            program.display()
        )
    })
}

/// Puts the other program in the place of this one; it returns only if that fails.
#[cfg(unix)]
fn replace(mut command: Command) -> std::io::Result<()> {
    use std::os::unix::process::CommandExt as _;

    Err(command.exec())
}

/// Waits for the other program and ends as it does.
#[cfg(not(unix))]
fn replace(mut command: Command) -> std::io::Result<()> {
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(5));
}
