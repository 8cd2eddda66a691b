//! What the tests of the program share.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// "Hello world." in the phonemes of American English.
pub const HELLO: &str = "həlˈO wˈɜɹld.";

/// A folder with an empty home in it, that is removed at the end.
pub struct Room {
    folder: tempfile::TempDir,
}

impl Room {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("home")).unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, with nothing of this process's environment.
    pub fn say(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kokoro-say"));
        command.env_clear().env("HOME", self.path("home")).stdin(Stdio::null());
        command
    }

    /// Runs the program with this input; it must succeed.
    pub fn say_to(&self, arguments: &[&str], input: &[u8]) -> Output {
        let output = run_with(self.say().args(arguments), input);
        assert!(output.status.success(), "{}", text(&output.stderr));
        output
    }

    /// What is in the folder.
    pub fn names(&self) -> Vec<String> {
        names_in(self.folder.path())
    }

    /// The libraries that were unpacked below the home folder.
    pub fn libraries(&self) -> Vec<PathBuf> {
        let runtime = self.path("home/.cache/kokoro-model/runtime");
        let folders = fs_err::read_dir(runtime).into_iter().flatten().flatten();
        let files = folders.filter_map(|folder| fs_err::read_dir(folder.path()).ok()).flatten().flatten();
        let libraries = files.map(|file| file.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.contains("onnxruntime") && !name.ends_with(".part")
        });
        libraries.collect()
    }
}

/// Runs a command that must succeed.
pub fn succeeded(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    output
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The names in a folder, in order.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs a command with this input to its end.
pub fn run_with(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}
