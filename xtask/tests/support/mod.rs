//! What the tests share: a server that misbehaves, releases that are small or wrong, a cache of one's own, programs that pretend to be pip and npm,
//! small models, and the commands as the user runs them.
#![allow(dead_code, reason = "each test program uses a part")]

pub mod checkout;
pub mod disk;
pub mod models;
pub mod program;
pub mod release;
pub mod server;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use xtask::digest::Digest;
use xtask::fetch::{Cache, Console, Entry, FetchError, FetchOptions, Fetcher, Size, SourceError, Timing};
use xtask::recipe::{Source, SourceFile};

/// No test waits longer than it must to see that a fetch does wait.
pub const TIMING: Timing = Timing {
    connect: Duration::from_secs(2),
    stall: Duration::from_millis(300),
    attempts: 3,
    first_pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(5),
};

/// A port that nothing listens on.
pub const NOWHERE: &str = "https://127.0.0.1:1/file";

/// A cache of one's own and what was said.
pub struct Bench {
    folder: tempfile::TempDir,
    said: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), said: Arc::default() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn cache(&self) -> Cache {
        Cache::new(self.folder.path().join("cache"))
    }

    /// Everything said so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// Online, without pip and npm; `change` makes it what the test needs.
    pub fn fetcher(&self, change: impl FnOnce(&mut FetchOptions)) -> Fetcher {
        let said = Arc::clone(&self.said);
        let mut options = FetchOptions {
            offline: false,
            mirror: None,
            redirects: None,
            onnxruntime: None,
            search_path: Some(self.folder.path().join("no-programs").into_os_string()),
            certificates: None,
            timing: TIMING,
            console: Console::lines(move |line| said.lock().unwrap().push(line.to_owned())),
        };
        change(&mut options);
        Fetcher::new(self.cache(), options).unwrap()
    }

    /// Asks `mirror` first.
    pub fn mirrored(&self, mirror: &str) -> Fetcher {
        self.fetcher(|options| options.mirror = Some(mirror.to_owned()))
    }

    pub fn entry(&self, file: &SourceFile) -> Entry {
        self.cache().entry(&file.name, file.sha256, Size::Exactly(file.bytes))
    }

    /// Puts a program called `name` on a search path of its own, and returns that path. A shell script.
    pub fn program(&self, name: &str, script: &str) -> PathBuf {
        let folder = self.folder.path().join("programs");
        write_script(&folder.join(name), script);
        folder
    }
}

/// Writes a shell script that can be run as a program.
pub fn write_script(path: &Path, script: &str) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    let text = format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n");
    #[cfg(unix)]
    {
        // By a process of its own: what this one has open for writing, a program that another test starts meanwhile has,
        // too, for a moment, and a script that somebody could write to does not run.
        let mut shell = std::process::Command::new("/bin/sh")
            .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
            .arg(path)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success(), "cannot write `{}`", path.display());
    }
    #[cfg(not(unix))]
    fs_err::write(path, text).unwrap();
}

/// `length` bytes that do not repeat soon.
pub fn body(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// The recipe of a file with these bytes, which nobody has.
pub fn file(bytes: &[u8]) -> SourceFile {
    SourceFile {
        name: "model.onnx".to_owned(),
        bytes: bytes.len() as u64,
        sha256: Digest::of(bytes),
        licence: "MIT".to_owned(),
        attribution: "nobody".to_owned(),
        sources: vec![Source::Https(NOWHERE.to_owned())],
    }
}

/// What the sources said, in the order asked.
pub fn reasons(error: &anyhow::Error) -> Vec<&SourceError> {
    match error.downcast_ref::<FetchError>() {
        Some(FetchError::Unavailable { reasons, .. }) => reasons.iter().map(|it| &it.error).collect(),
        Some(FetchError::Source { error, .. }) => vec![error],
        _ => panic!("not a failure of sources: {error:#}"),
    }
}

/// The whole message, as the user sees it.
pub fn message(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

/// Whether nothing lies in `folder`, or in any folder below it, but files with these extensions.
pub fn only_extensions(folder: &Path, allowed: &[&str]) -> bool {
    fs_err::read_dir(folder).unwrap().all(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return only_extensions(&path, allowed);
        }
        path.extension().is_some_and(|it| allowed.iter().any(|allowed| it == *allowed))
    })
}
