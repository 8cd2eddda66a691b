//! The script of the composite action, run as a runner would run it, against files and a server on this machine.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::body;
use crate::support::server::{Reply, Server};
use xtask::digest::Digest;

/// A runner's folders and files, and how the script ended there.
struct Runner {
    folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    output: String,
    errors: String,
}

impl Runner {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("temp")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bring(&self, archive: &str, sha256: &str, folder: &str) -> Ended {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/actions/model/bring.sh");
        let mut command = Command::new("bash");
        command.arg(script).current_dir(self.folder.path());
        for proxy in ["http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
            command.env_remove(proxy);
        }
        let ended = command
            .env("ARCHIVE", archive)
            .env("SHA256", sha256)
            .env("FOLDER", folder)
            .env("RUNNER_TEMP", self.path("temp"))
            .env("GITHUB_ENV", self.path("env"))
            .env("GITHUB_OUTPUT", self.path("output"))
            .output()
            .unwrap();
        Ended {
            code: ended.status.code(),
            output: String::from_utf8(ended.stdout).unwrap(),
            errors: String::from_utf8(ended.stderr).unwrap(),
        }
    }

    /// What the steps that follow would find in their environment.
    fn environment(&self) -> String {
        fs_err::read_to_string(self.path("env")).unwrap_or_default()
    }

    /// Whether the script said no with this message, and left nothing behind.
    #[track_caller]
    fn refuses(&self, ended: &Ended, code: i32, message: &str) {
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.errors.contains(message), "no `{message}` in {}", ended.errors);
        assert_eq!(self.environment(), "", "a step that failed changed the environment");
        assert_eq!(fs_err::read_dir(self.path("temp")).unwrap().count(), 0, "something is left");
    }
}

/// An archive with these files, in a folder as `package` puts them into.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tarball = tar::Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tarball.append_data(&mut header, format!("kokoro-v1.0.static-int8/{name}"), *bytes).unwrap();
    }
    tarball.into_inner().unwrap().finish().unwrap()
}

fn good() -> (Vec<u8>, String) {
    let archive =
        archive(&[("chosen.json", b"{}"), ("model.onnx", &body(100_000)), ("audio/a.wav", b"RIFF")]);
    let digest = Digest::of(&archive).to_string();
    (archive, digest)
}

/// Whether the machine has what the script needs; where it must have, that it does.
fn is_equipped() -> bool {
    let missing: Vec<_> = ["curl", "tar", "zstd", "sha256sum"]
        .into_iter()
        .filter(|program| Command::new(program).arg("--version").output().is_err())
        .collect();
    assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "CI has no {missing:?}");
    if !missing.is_empty() {
        println!("skipped: there is no {missing:?}");
    }
    missing.is_empty()
}

#[test]
fn an_archive_is_unpacked_and_named_to_the_build() {
    if !is_equipped() {
        return;
    }
    let (bytes, digest) = good();
    let server = {
        let bytes = bytes.clone();
        Server::start(move |_, _| Reply::whole(&bytes))
    };
    let runner = Runner::new();
    fs_err::write(runner.path("my archive.tar.zst"), &bytes).unwrap();
    for (at, from) in ["my archive.tar.zst".to_owned(), server.http()].into_iter().enumerate() {
        let folder = format!("a folder/model {at}");
        let ended = runner.bring(&from, &digest, &folder);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        // Absolute, for the build runs elsewhere.
        let chosen = runner.path(&folder).join("chosen.json");
        let chosen = fs_err::canonicalize(chosen).unwrap();
        assert_eq!(ended.output.trim(), chosen.display().to_string());
        assert!(runner.environment().ends_with(&format!("KOKORO_MODEL_ARTIFACT={}\n", chosen.display())));
        let output = fs_err::read_to_string(runner.path("output")).unwrap();
        assert!(output.ends_with(&format!("chosen={}\n", chosen.display())), "{output}");
        assert_eq!(fs_err::read(chosen.with_file_name("model.onnx")).unwrap(), body(100_000));
        assert_eq!(fs_err::read(chosen.with_file_name("audio/a.wav")).unwrap(), b"RIFF");
    }
    assert_eq!(fs_err::read_dir(runner.path("a folder")).unwrap().count(), 2, "work in progress is left");

    let ended = runner.bring("my archive.tar.zst", &digest, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(runner.path("temp/kokoro-model/chosen.json").exists());
    let again = runner.bring("my archive.tar.zst", &digest, "");
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.errors.contains("is there already"), "{again:?}");
}

#[test]
fn other_bytes_are_never_opened() {
    if !is_equipped() {
        return;
    }
    let (bytes, digest) = good();
    let half = bytes.len() / 2;
    let mut flipped = bytes.clone();
    flipped[half] ^= 1;
    let truncated = bytes[..half].to_vec();
    for (what, reply) in [
        ("flipped", Reply::whole(&flipped)),
        ("truncated", Reply::whole(&truncated)),
        ("empty", Reply::whole(b"")),
    ] {
        let server = Server::start(move |_, _| reply.clone());
        let runner = Runner::new();
        let ended = runner.bring(&server.http(), &digest, "");
        runner.refuses(&ended, 3, &format!("expected sha256 {digest}\n  found    sha256 "));
        assert!(!ended.errors.contains("unpacked"), "{what}: {ended:?}");
    }
}

#[test]
fn what_cannot_be_had_is_named() {
    if !is_equipped() {
        return;
    }
    let (bytes, digest) = good();
    let cut = Server::start({
        let bytes = bytes.clone();
        move |_, _| Reply::cut(&bytes, 10)
    });
    let missing = Server::start(|_, _| Reply::status(404));
    for address in [cut.http(), missing.http(), "http://127.0.0.1:1/archive".to_owned()] {
        let runner = Runner::new();
        let ended = runner.bring(&address, &digest, "");
        runner.refuses(&ended, 3, &format!("`{address}` cannot be downloaded"));
    }
    let runner = Runner::new();
    runner.refuses(&runner.bring("none.tar.zst", &digest, ""), 3, "`none.tar.zst` cannot be read");
    // Asked for https, the script does not follow to plain http, nor take a server without TLS.
    let plain = Server::start(move |_, _| Reply::whole(&bytes));
    let address = plain.http().replace("http://", "https://");
    runner.refuses(&runner.bring(&address, &digest, ""), 3, "cannot be downloaded");
}

#[test]
fn inputs_that_cannot_be_meant_are_refused() {
    if !is_equipped() {
        return;
    }
    let (bytes, digest) = good();
    let runner = Runner::new();
    fs_err::write(runner.path("archive"), &bytes).unwrap();
    for wrong in ["abc", &digest.to_uppercase(), &format!("sha256:{digest}"), &format!("{digest}\n")] {
        runner.refuses(&runner.bring("archive", wrong, ""), 2, "expected 64 lower-case hex digits");
    }
    assert_ne!(runner.bring("archive", "", "").code, Some(0));
    let injected = format!("{}/model\nLD_PRELOAD=evil.so", runner.path("temp").display());
    runner.refuses(&runner.bring("archive", &digest, &injected), 2, "a line feed");
}

#[test]
fn a_file_that_is_no_archive_of_a_model_is_refused() {
    if !is_equipped() {
        return;
    }
    let without = archive(&[("model.onnx", b"model")]);
    for (bytes, message) in
        [(&b"no archive at all"[..], "cannot be unpacked"), (&*without, "no `chosen.json`")]
    {
        let runner = Runner::new();
        fs_err::write(runner.path("archive"), bytes).unwrap();
        let ended = runner.bring("archive", &Digest::of(bytes).to_string(), "");
        runner.refuses(&ended, 3, message);
    }
}
