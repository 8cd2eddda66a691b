//! The digest of a large file, fast although build scripts are not optimized.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::settings::Settings;
use super::sha256;

/// SHA-256, by a helper that is compiled once. The helper takes 0.2 s to compile and digests 300 MB per second; without
/// it the answer is the same, at 15 MB per second.
#[derive(Debug)]
pub struct Hasher {
    helper: Option<PathBuf>,
}

impl Hasher {
    /// Compiles the helper, if there is a compiler.
    pub fn new(settings: &Settings) -> Self {
        Self { helper: settings.rustc.as_deref().and_then(|rustc| compile(rustc, settings)) }
    }

    /// The digest of a file, in 64 lower-case hexadecimal digits.
    pub fn of_file(&self, path: &Path) -> io::Result<String> {
        if let Some(digest) = self.helper.as_deref().and_then(|helper| ask(helper, path)) {
            return Ok(digest);
        }
        sha256::hex_digest(fs_err::File::open(path)?)
    }

    /// The digest of bytes, in 64 lower-case hexadecimal digits.
    pub fn of_bytes(&self, bytes: &[u8]) -> io::Result<String> {
        if let Some(digest) = self.helper.as_deref().and_then(|helper| ask_about(helper, bytes)) {
            return Ok(digest);
        }
        sha256::hex_digest(bytes)
    }
}

/// SHA-256 of one file; see [`Hasher::of_file`].
pub fn of_file(path: &Path, settings: &Settings) -> io::Result<String> {
    Hasher::new(settings).of_file(path)
}

/// Compiles `hasher.rs` for the machine that builds. A failure is no error, only slow: there may be no linker
/// where rustc looks for one.
fn compile(rustc: &OsStr, settings: &Settings) -> Option<PathBuf> {
    let helper = settings.out.join(format!("hasher{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(rustc);
    command.args(["--edition=2024", "--crate-type=bin", "--crate-name=hasher"]);
    command.args(["-Copt-level=3", "-Cpanic=abort", "-Ccodegen-units=1", "-Cdebuginfo=0"]);
    if let Some(linker) = &settings.linker {
        let mut option = OsString::from("-Clinker=");
        option.push(linker);
        command.arg(option);
    }
    command.arg("-o").arg(&helper).arg(settings.package.join("build").join("hasher.rs"));
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    status.success().then_some(helper)
}

/// What the helper answers, if it is a digest.
pub fn ask(helper: &Path, path: &Path) -> Option<String> {
    let file: std::fs::File = fs_err::File::open(path).ok()?.into();
    answer(&Command::new(helper).stdin(file).stderr(Stdio::null()).output().ok()?)
}

/// As [`ask`], about bytes in memory.
fn ask_about(helper: &Path, bytes: &[u8]) -> Option<String> {
    let mut command = Command::new(helper);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    // The helper reads to the end before it writes, so neither waits for the other; the pipe closes with the value.
    let written = child.stdin.take()?.write_all(bytes);
    let output = child.wait_with_output().ok()?;
    written.ok()?;
    answer(&output)
}

fn answer(output: &Output) -> Option<String> {
    let digest = std::str::from_utf8(&output.stdout).ok()?.trim_end().to_owned();
    (output.status.success() && is_digest(&digest)).then_some(digest)
}

/// Whether a text is a digest as this project writes it.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
