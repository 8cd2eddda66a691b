//! Runs `gh` and `oras`: as child processes, each with a limit of time, asking nobody anything.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long is waited.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a program that only asks or tells something.
    pub step: Duration,
    /// For a program that sends or brings the archive.
    pub transfer: Duration,
    /// Between two looks for a release that has just been made: other servers may not know of it yet.
    pub settle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            step: Duration::from_mins(2),
            // 80 MB at 50 kB/s.
            transfer: Duration::from_mins(30),
            settle: Duration::from_secs(2),
        }
    }
}

/// A program with its arguments, before it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    program: &'static str,
    arguments: Vec<String>,
    /// The folder that it is run in, where that matters.
    folder: Option<PathBuf>,
    is_transfer: bool,
}

impl Call {
    pub(super) fn new<const N: usize>(program: &'static str, arguments: [&str; N]) -> Self {
        let arguments = arguments.map(str::to_owned).to_vec();
        Self { program, arguments, folder: None, is_transfer: false }
    }

    pub(super) fn with(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Run in `folder`.
    pub(super) fn within(self, folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), ..self }
    }

    /// It sends or brings the archive, and may take long.
    pub(super) fn transfer(self) -> Self {
        Self { is_transfer: true, ..self }
    }
}

/// As a POSIX shell takes it.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What cannot be quoted has a NUL in it, which no argument of a program can have.
        let quoted = |text: &str| shlex::try_quote(text).map_or_else(|_| text.to_owned(), Cow::into_owned);
        if let Some(folder) = &self.folder {
            write!(f, "cd {} && ", quoted(&folder.display().to_string()))?;
        }
        write!(f, "{}", self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

/// Why a program did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToolError {
    #[error("`{program}` was not found\nhint: {hint}")]
    Missing { program: &'static str, hint: &'static str },
    #[error("`{command}` was ended after {}: {said}", humantime::format_duration(*.limit))]
    TimedOut { command: String, limit: Duration, said: String },
    #[error("`{command}` failed: {said}")]
    Failed { command: String, said: String },
    #[error(transparent)]
    Local(#[from] io::Error),
}

impl ToolError {
    /// Whether the program itself said `text`.
    pub(super) fn said(&self, text: &str) -> bool {
        matches!(self, Self::Failed { said, .. } if said.contains(text))
    }
}

/// How the programs are found and how long they may take.
#[derive(Debug)]
pub(super) struct Tools {
    /// In place of `PATH`.
    pub(super) search_path: Option<OsString>,
    pub(super) patience: Patience,
    /// Where what they say is put down.
    pub(super) folder: PathBuf,
}

impl Tools {
    /// Runs it to its end and returns its standard output.
    pub(super) fn run(&self, call: &Call) -> Result<String, ToolError> {
        // Files and not pipes: a grandchild that outlives a killed child could keep a pipe open, and us waiting.
        let (output, errors) = (self.folder.join("said.out"), self.folder.join("said.err"));
        let mut command = duct::cmd(call.program, &call.arguments)
            .stdin_null()
            .stdout_path(&output)
            .stderr_path(&errors)
            // There is nobody to answer, and plain text is what is read here.
            .env("GH_PROMPT_DISABLED", "1")
            .env("GH_NO_UPDATE_NOTIFIER", "1")
            .env("NO_COLOR", "1")
            .unchecked();
        if let Some(path) = &self.search_path {
            command = command.env("PATH", path);
        }
        if let Some(folder) = &call.folder {
            command = command.dir(folder);
        }
        let child = command.start().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ToolError::Missing { program: call.program, hint: hint(call.program) },
            _ => ToolError::Local(error),
        })?;
        let limit = if call.is_transfer { self.patience.transfer } else { self.patience.step };
        let Some(ended) = child.wait_timeout(limit)? else {
            child.kill()?;
            child.wait()?;
            return Err(ToolError::TimedOut { command: call.to_string(), limit, said: last_lines(&errors)? });
        };
        if ended.status.success() {
            return Ok(String::from_utf8_lossy(&fs_err::read(output)?).into_owned());
        }
        Err(ToolError::Failed { command: call.to_string(), said: last_lines(&errors)? })
    }
}

/// How to get a program.
fn hint(program: &str) -> &'static str {
    match program {
        "gh" => "install the GitHub CLI, and see that `gh` is on `PATH`",
        _ => "install ORAS, and see that `oras` is on `PATH`; or leave out `--oci`",
    }
}

/// The end of what a program wrote, where the reason is; of a usage error what stands before the usage.
fn last_lines(path: &Path) -> io::Result<String> {
    let said = String::from_utf8_lossy(&fs_err::read(path)?).into_owned();
    let said = said.split("\nUsage:").next().unwrap_or_default();
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Ok(match lines.len() {
        0 => "it said nothing".to_owned(),
        count => lines[count.saturating_sub(3)..].join("\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_shown_as_a_shell_takes_it() {
        let call = Call::new("gh", ["release", "create"]).with(["--title", "it's $HOME; rm *"]);
        assert_eq!(call.to_string(), r#"gh release create --title "it's "'$HOME; rm *'"#);
        let words: Vec<_> = shlex::split(&call.to_string()).unwrap();
        assert_eq!(words[1..], call.arguments[..]);
        let call = Call::new("oras", ["push"]).within(Path::new("a folder"));
        assert_eq!(call.to_string(), "cd 'a folder' && oras push");
    }
}
