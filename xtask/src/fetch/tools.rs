//! The programs that speak to package registries: pip and npm, run as child processes.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use super::error::SourceError;

/// How the programs are found.
#[derive(Debug)]
pub(super) struct Tools {
    /// In place of `PATH`.
    search_path: Option<OsString>,
    /// The way to call pip that works, if there is one.
    pip: OnceLock<Option<&'static [&'static str]>>,
    /// How many programs run now.
    running: Mutex<usize>,
    /// Tells that one has ended.
    ended: Condvar,
}

/// How many programs run at once: each is a Python or a Node.js, and most of their time is the network's.
const MOST_RUNNING: usize = 4;

/// For which Python and machine a wheel is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tags<'a> {
    /// The version of Python.
    pub(super) python: &'a str,
    /// Its ABI.
    pub(super) abi: &'a str,
    /// The tag of the platform.
    pub(super) tag: &'a str,
}

/// The ways to call pip, best first: as a module it belongs to the Python that the user calls.
const PIP: [&[&str]; 4] = [&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]];

/// npm is a script, and Windows wants such named with its extension.
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// How to get pip.
pub(super) const PIP_HINT: &str = "install Python with pip (`python3 -m ensurepip`, or your system's `python3-pip`), and see \
                                   that it is on `PATH`";

/// How to get npm.
pub(super) const NPM_HINT: &str = "install Node.js, which brings npm, and see that it is on `PATH`";

impl Tools {
    pub(super) fn new(search_path: Option<OsString>) -> Self {
        Self { search_path, pip: OnceLock::new(), running: Mutex::new(0), ended: Condvar::new() }
    }

    /// Whether pip can be called; `folder` is any that is there.
    pub(super) fn has_pip(&self, folder: &Path) -> bool {
        self.pip(folder).is_ok()
    }

    /// Whether npm can be called; `folder` is any that is there.
    pub(super) fn has_npm(&self, folder: &Path) -> bool {
        self.run(NPM, &["--version".as_ref()], folder).is_ok()
    }

    /// Downloads one wheel into `folder`: for the Python that runs pip, or the one that the `tags` name.
    pub(super) fn pip_download(
        &self,
        package: &str,
        version: &str,
        tags: Option<Tags<'_>>,
        folder: &Path,
    ) -> Result<PathBuf, SourceError> {
        let pip = self.pip(folder)?;
        let requirement = format!("{package}=={version}");
        let mut arguments: Vec<&OsStr> = pip[1..].iter().map(OsStr::new).collect();
        arguments.extend(["download", "--no-deps", "--only-binary=:all:", "--no-input"].map(OsStr::new));
        arguments.extend(["--disable-pip-version-check", "--progress-bar", "off"].map(OsStr::new));
        if let Some(Tags { python, abi, tag }) = tags {
            arguments.extend(["--implementation", "cp", "--python-version", python].map(OsStr::new));
            arguments.extend(["--abi", abi, "--platform", tag].map(OsStr::new));
        }
        arguments.extend([OsStr::new("--dest"), folder.as_os_str(), OsStr::new(&requirement)]);
        self.run(pip[0], &arguments, folder)?;
        only_file(folder, "whl", &requirement)
    }

    /// Downloads the tarball of one npm package into `folder`.
    pub(super) fn npm_pack(
        &self,
        package: &str,
        version: &str,
        folder: &Path,
    ) -> Result<PathBuf, SourceError> {
        let requirement = format!("{package}@{version}");
        let arguments = ["pack", "--silent", "--ignore-scripts", &requirement].map(OsStr::new);
        self.run(NPM, &arguments, folder).map_err(|error| match error {
            SourceError::Local(error) if error.kind() == io::ErrorKind::NotFound => {
                SourceError::NoTool { program: "npm", hint: NPM_HINT }
            }
            error => error,
        })?;
        only_file(folder, "tgz", &requirement)
    }

    /// The first way to call pip that works.
    fn pip(&self, folder: &Path) -> Result<&'static [&'static str], SourceError> {
        // Several wheels may be asked for at once, and one search is enough for all.
        let works = |pip: &&'static [&'static str]| {
            let mut arguments: Vec<&OsStr> = pip[1..].iter().map(OsStr::new).collect();
            arguments.push(OsStr::new("--version"));
            // A Python without the module fails here just as one that is not there at all.
            self.run(pip[0], &arguments, folder).is_ok()
        };
        let pip = *self.pip.get_or_init(|| PIP.into_iter().find(works));
        pip.ok_or(SourceError::NoTool { program: "pip", hint: PIP_HINT })
    }

    /// Waits until fewer than [`MOST_RUNNING`] programs run.
    fn turn(&self) -> Turn<'_> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while *running >= MOST_RUNNING {
            running = self.ended.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        *running += 1;
        Turn(self)
    }

    fn run(&self, program: &str, arguments: &[&OsStr], folder: &Path) -> Result<(), SourceError> {
        let mut command = duct::cmd(program, arguments)
            .dir(folder)
            // What pip unpacks on its way belongs on the cache's disk and goes away with the folder.
            .env("TMPDIR", folder)
            .stdin_null()
            .stdout_null()
            .stderr_capture()
            .unchecked();
        if let Some(path) = &self.search_path {
            command = command.env("PATH", path);
        }
        let _turn = self.turn();
        let output = command.run().map_err(SourceError::Local)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        if ["No space left on device", "ENOSPC", "Errno 28"].iter().any(|text| said.contains(text)) {
            return Err(SourceError::ToolDiskFull { program: program.to_owned(), folder: folder.to_owned() });
        }
        let shown = arguments.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join(" ");
        Err(SourceError::ToolFailed { command: format!("{program} {shown}"), said: last_lines(&said) })
    }
}

/// The right to run a program.
struct Turn<'a>(&'a Tools);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_one();
    }
}

/// The end of what a program wrote, where the reason is.
fn last_lines(said: &str) -> String {
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.len() {
        0 => "it said nothing".to_owned(),
        count => lines[count.saturating_sub(3)..].join("\n"),
    }
}

/// The one file with `extension` in `folder`.
fn only_file(folder: &Path, extension: &str, requirement: &str) -> Result<PathBuf, SourceError> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(SourceError::Local)? {
        let path = entry.map_err(SourceError::Local)?.path();
        if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    match <[PathBuf; 1]>::try_from(found) {
        Ok([path]) => Ok(path),
        Err(found) => Err(SourceError::Archive {
            archive: requirement.to_owned(),
            problem: format!("expected one `.{extension}` file, found {}", found.len()),
        }),
    }
}
