//! What can go wrong with a fetch, in classes: the class decides whether the same source is asked again,
//! whether the next one is, or whether the search ends.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::digest::Digest;

/// Why one source did not bring the file.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No connection: no such host, refused, or cut before an answer.
    #[error("could not connect: {0}")]
    Connect(String),
    /// The host could not be connected to before, and why was told then.
    #[error("`{0}` was out of reach before in this run")]
    OutOfReach(String),
    /// The other side does not prove who it is, or does not speak TLS.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// The connection was there, and went away before an answer.
    #[error("the connection was closed before an answer: {0}")]
    Closed(String),
    /// Nothing came for this long.
    #[error("no answer for {0:?}")]
    Stall(Duration),
    /// An answer other than success, with the pause that the server asks for.
    #[error("the server answered {status}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// `Retry-After`, when it was given in seconds.
        retry_after: Option<Duration>,
    },
    /// The body ended early.
    #[error("the body was cut short: expected {expected} bytes, found {found}")]
    CutShort {
        /// What the recipe or the answer says.
        expected: u64,
        /// What is there, earlier attempts included.
        found: u64,
    },
    /// More bytes than the recipe allows, declared or sent.
    #[error("too large: expected at most {limit} bytes, found {found}{}", if *.declared { " declared" } else { "" })]
    TooLarge {
        /// What the recipe allows.
        limit: u64,
        /// What came or was announced.
        found: u64,
        /// Whether the size is that of a header, before any body.
        declared: bool,
    },
    /// The answer declares fewer bytes than the file has.
    #[error("wrong size: expected {expected} bytes, found {found} declared")]
    WrongSize {
        /// What the recipe says.
        expected: u64,
        /// What the answer says.
        found: u64,
    },
    /// A redirect that is not followed.
    #[error(transparent)]
    Redirect(#[from] RedirectRefused),
    /// An answer that makes no sense.
    #[error("not a sensible answer: {0}")]
    Protocol(String),
    /// The program is not on this machine.
    #[error("`{program}` was not found\nhint: {hint}")]
    NoTool {
        /// What was looked for.
        program: &'static str,
        /// How to get it.
        hint: &'static str,
    },
    /// The program ran and failed.
    #[error("`{command}` failed: {said}")]
    ToolFailed {
        /// The command line.
        command: String,
        /// The end of what it wrote to standard error.
        said: String,
    },
    /// The program ran out of disk.
    #[error(
        "no space left for what `{program}` downloads into `{}`\n\
         hint: make room, or set `KOKORO_MODEL_CACHE` to a folder on another disk",
        .folder.display()
    )]
    ToolDiskFull {
        /// The program.
        program: String,
        /// The folder that it wrote to.
        folder: PathBuf,
    },
    /// The package is there, but not what should be in it.
    #[error("`{archive}`: {problem}")]
    Archive {
        /// The archive's name.
        archive: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// Other bytes than those that the recipe pins.
    #[error(transparent)]
    WrongDigest(#[from] Box<WrongDigest>),
    /// The disk is full.
    #[error(
        "no space left for `{}`: {needed} bytes needed, {written} written\n\
         hint: make room, or set `KOKORO_MODEL_CACHE` to a folder on another disk; what is there will be resumed",
        .path.display()
    )]
    DiskFull {
        /// The file that did not fit.
        path: PathBuf,
        /// Its full size, or the most that it may have.
        needed: u64,
        /// What is on the disk.
        written: u64,
    },
    /// A file or folder on this machine.
    #[error(transparent)]
    Local(io::Error),
}

/// The bytes that came are not those that the recipe pins.
#[derive(Debug, thiserror::Error)]
#[error(
    "wrong digest of `{name}`\n  expected sha256 {expected}\n  found    sha256 {found}\n\
     hint: the file is kept as `{}`; it was altered on the way or at its source",
    .rejected.display()
)]
pub struct WrongDigest {
    /// The file's name.
    pub name: String,
    /// What the recipe pins.
    pub expected: Digest,
    /// What came.
    pub found: Digest,
    /// Where the bytes are kept.
    pub rejected: PathBuf,
}

/// A redirect that is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedirectRefused {
    /// From HTTPS to plain HTTP.
    #[error("refused a redirect from https to `{0}`")]
    ToPlainHttp(String),
    /// Too long a chain.
    #[error("refused to follow more than {0} redirects")]
    TooMany(usize),
    /// Under `--locked`, to a host that nobody wrote down.
    #[error("refused a redirect from `{asked}` to `{next}`, which `models/redirects.toml` does not have")]
    ToAnotherHost {
        /// The host of the address that was asked for.
        asked: String,
        /// The host of the redirect.
        next: String,
    },
}

impl SourceError {
    /// Whether the same source may well answer the next time.
    pub fn worth_retrying(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Closed(_) | Self::Stall(_) | Self::CutShort { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether no other source may be asked: the bytes are suspect, or this machine is the trouble.
    pub fn ends_the_search(&self) -> bool {
        matches!(
            self,
            Self::WrongDigest(_) | Self::DiskFull { .. } | Self::ToolDiskFull { .. } | Self::Local(_)
        )
    }

    /// The class of a failure to write to `path`, of which `written` bytes of `needed` are on the disk.
    pub(super) fn of_writing(error: io::Error, path: &Path, needed: u64, written: u64) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => {
                Self::DiskFull { path: path.to_owned(), needed, written }
            }
            _ => Self::Local(error),
        }
    }
}

/// Why a file is not there in the end.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Every source was asked in vain.
    #[error("`{name}` cannot be had from any source{}", list(.reasons))]
    Unavailable {
        /// The file's name.
        name: String,
        /// Each source and what it said, in the order asked.
        reasons: Vec<Reason>,
    },
    /// `--offline`, and the file is not in the cache.
    #[error(
        "offline, and not in the cache `{}`: {}\nhint: run `cargo xtask fetch` once without `--offline`",
        .cache.display(),
        quoted(.missing)
    )]
    Offline {
        /// The files' names.
        missing: Vec<String>,
        /// The folder that was looked in.
        cache: PathBuf,
    },
    /// Programs are missing without which files cannot be had.
    #[error("{}", lacks(.lacking, .unreachable))]
    Lacking {
        /// The programs.
        lacking: Vec<Lacking>,
        /// Why the hosts that have the same files are no help, a line each.
        unreachable: Vec<String>,
    },
    /// A failure that no other source can mend.
    #[error("{from}: {error}")]
    Source {
        /// The source.
        from: String,
        /// What it said.
        error: SourceError,
    },
}

/// A program that is not on this machine, and what cannot be had without it.
#[derive(Debug)]
pub struct Lacking {
    /// The program.
    pub program: &'static str,
    /// How to get it.
    pub hint: &'static str,
    /// The names of what only it could bring.
    pub names: Vec<String>,
}

/// A source, and why it did not bring the file.
#[derive(Debug)]
pub struct Reason {
    /// The source.
    pub from: String,
    /// What it said.
    pub error: SourceError,
}

/// One line for each source, further lines of its message set in, and what may help at the end.
fn list(reasons: &[Reason]) -> String {
    use fmt::Write as _;
    let mut text = String::new();
    for Reason { from, error } in reasons {
        let _ = write!(text, "\n  {from}: {}", error.to_string().replace('\n', "\n    "));
    }
    text + "\nhint: behind a firewall, set `HTTPS_PROXY`, or name a copy of the cache folder with `--mirror URL`"
}

/// A line for each program and for each host, and how to get the programs.
fn lacks(lacking: &[Lacking], unreachable: &[String]) -> String {
    let programs = lacking.iter().map(|Lacking { program, names, .. }| {
        format!("`{program}` was not found, and this cannot be had without it: {}", quoted(names))
    });
    let hosts = unreachable.iter().map(|line| format!("  {line}"));
    let hints = lacking.iter().map(|it| format!("hint: {}", it.hint));
    programs.chain(hosts).chain(hints).collect::<Vec<_>>().join("\n")
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Whether `error` only says that no source could be reached or had the file, so that something else may
/// stand in for it. A wrong digest or a full disk says more than that.
pub fn is_unavailable(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<FetchError>(),
        Some(FetchError::Unavailable { .. } | FetchError::Offline { .. })
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> Vec<(SourceError, bool, bool)> {
        let status = |status| SourceError::Status { status, retry_after: None };
        let digest = Digest::of(b"");
        let wrong =
            WrongDigest { name: "f".into(), expected: digest, found: digest, rejected: PathBuf::from("f") };
        let full = SourceError::DiskFull { path: PathBuf::from("f"), needed: 2, written: 1 };
        vec![
            (SourceError::Connect(String::new()), true, false),
            (SourceError::OutOfReach(String::new()), false, false),
            (SourceError::Closed(String::new()), true, false),
            (SourceError::Stall(Duration::ZERO), true, false),
            (SourceError::CutShort { expected: 2, found: 1 }, true, false),
            (status(408), true, false),
            (status(429), true, false),
            (status(500), true, false),
            (status(503), true, false),
            (status(400), false, false),
            (status(403), false, false),
            (status(404), false, false),
            (status(416), false, false),
            (SourceError::Tls(String::new()), false, false),
            (SourceError::TooLarge { limit: 1, found: 2, declared: true }, false, false),
            (SourceError::WrongSize { expected: 2, found: 1 }, false, false),
            (SourceError::Redirect(RedirectRefused::TooMany(10)), false, false),
            (SourceError::Protocol(String::new()), false, false),
            (SourceError::NoTool { program: "pip", hint: "" }, false, false),
            (SourceError::ToolFailed { command: String::new(), said: String::new() }, false, false),
            (SourceError::Archive { archive: String::new(), problem: String::new() }, false, false),
            (SourceError::WrongDigest(Box::new(wrong)), false, true),
            (full, false, true),
            (SourceError::ToolDiskFull { program: "pip".into(), folder: PathBuf::from("f") }, false, true),
            (SourceError::Local(io::Error::other("")), false, true),
        ]
    }

    #[test]
    fn the_class_decides_what_comes_next() {
        let wrong: Vec<_> = classes()
            .into_iter()
            .filter(|(error, retry, end)| error.worth_retrying() != *retry || error.ends_the_search() != *end)
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_full_disk_is_told_from_other_trouble() {
        for (kind, full) in [
            (io::ErrorKind::StorageFull, true),
            (io::ErrorKind::QuotaExceeded, true),
            (io::ErrorKind::FileTooLarge, true),
            (io::ErrorKind::PermissionDenied, false),
        ] {
            let error = SourceError::of_writing(kind.into(), Path::new("f"), 2, 1);
            assert_eq!(matches!(error, SourceError::DiskFull { .. }), full, "{kind:?}");
        }
    }
}
