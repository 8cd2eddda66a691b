//! A crate of its own that depends on this one as a user's does: it builds offline, runs on a machine that has
//! nothing, and says what the engine says here.
#![cfg(all(feature = "bundle-runtime", feature = "embed", feature = "voices", unix))]

use std::path::{Path, PathBuf};
use std::process::Command;

use kokoro_model::{METADATA, MODEL, Synthesizer, SynthesizerOptions, Voice, tokenize};

mod common;

/// "Hello world." in the phonemes of American English.
const HELLO: &str = "həlˈO wˈɜɹld.";

/// Nobody listens there, so whoever tries to reach the network is told at once.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Builds the crate in that folder of `tests/` and returns its program. What it is built of stays in `target/users`, for
/// the next time, and for the others that are built as a user would build them.
fn build(name: &str, variables: &[(&str, &Path)]) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = package.join("target/users");
    let crate_folder = package.join("tests").join(name);
    // With the lock of the workspace, which cargo cuts down to what is needed, the versions are those that are on this
    // machine already. It is made anew each time: a dependency may have changed.
    fs_err::copy(package.join("Cargo.lock"), crate_folder.join("Cargo.lock")).unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .arg("build")
        .arg("--manifest-path")
        .arg(crate_folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    cargo.env("CARGO_NET_OFFLINE", "true").env("http_proxy", NOWHERE).env("https_proxy", NOWHERE);
    cargo.envs(variables.iter().copied());
    // Those of this test; some build scripts would run again.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            cargo.env_remove(name);
        }
    }
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// A command that runs `program` where there is no network, if this machine allows that; else where proxies lead
/// nowhere.
fn without_network(program: &Path) -> Command {
    let isolated = ["--net", "--map-root-user"];
    let allowed =
        Command::new("unshare").args(isolated).arg("true").output().is_ok_and(|it| it.status.success());
    if allowed {
        let mut command = Command::new("unshare");
        command.args(isolated).arg(program);
        return command;
    }
    println!("`unshare --net` is not allowed here: the program runs with proxies that lead nowhere");
    let mut command = Command::new(program);
    command.env("http_proxy", NOWHERE).env("https_proxy", NOWHERE);
    command
}

#[test]
fn a_user_s_program_speaks_from_one_file_and_says_the_same() {
    let program = build("downstream", &[]);
    let room = tempfile::tempdir().unwrap();
    let (home, wav) = (room.path().join("home"), room.path().join("hello.wav"));
    fs_err::create_dir(&home).unwrap();
    // The program alone: no library beside it, no cache, none of cargo's variables.
    let copy = room.path().join("program");
    fs_err::copy(&program, &copy).unwrap();
    let run = || {
        let mut command = without_network(&copy);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", &home).env("ORT_DISABLE_TELEMETRY", "1").arg(HELLO).arg(&wav);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
    };
    let library = run();
    assert!(
        library.starts_with(fs_err::canonicalize(&home).unwrap()),
        "`{}` is not unpacked",
        library.display()
    );
    let unpacked = fs_err::metadata(&library).unwrap().modified().unwrap();

    // The same library in this process: another version may round elsewhere.
    let runtime = kokoro_model::Runtime::from_path(&library).unwrap();
    let options = SynthesizerOptions::for_artifact(&METADATA).threads(1);
    let mut synthesizer = Synthesizer::from_bytes(&runtime, MODEL, &options).unwrap();
    let tokens = tokenize(HELLO).unwrap();
    let styles = Voice::AfHeart.styles().unwrap();
    let expected = room.path().join("expected.wav");
    let audio = synthesizer.speak_tokens(&tokens, styles.style(tokens.len()), 1.0).unwrap();
    audio.write_wav(&expected).unwrap();
    assert!(audio.samples.len() > 12_000, "{} samples are no sentence", audio.samples.len());
    assert!(fs_err::read(&wav).unwrap() == fs_err::read(&expected).unwrap(), "the sound differs");

    assert_eq!(run(), library, "the second time");
    assert_eq!(fs_err::metadata(&library).unwrap().modified().unwrap(), unpacked, "it was unpacked again");
    if cfg!(target_os = "linux") {
        linked_with_it_says_the_same(&library, &expected);
    }
}

/// Links a program with `library` when it is built, where the other one loads it when it runs.
fn linked_with_it_says_the_same(library: &Path, expected: &Path) {
    // The same folder each time: what was built is built again for another one.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("linked");
    fs_err::create_dir_all(&folder).unwrap();
    // What the linker looks for, and what the library says that it is called.
    for name in ["libonnxruntime.so", "libonnxruntime.so.1"] {
        fs_err::copy(library, folder.join(name)).unwrap();
    }
    let program = build("linked", &[("ORT_LIB_PATH", &folder), ("ORT_PREFER_DYNAMIC_LINK", Path::new("1"))]);
    let wav = folder.join("hello.wav");
    let mut command = Command::new(&program);
    command.env_clear().env("LD_LIBRARY_PATH", &folder).env("ORT_DISABLE_TELEMETRY", "1");
    let output = command.arg(HELLO).arg(&wav).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(Path::new(said.trim_end()), program, "the runtime is not in the program");
    assert!(fs_err::read(&wav).unwrap() == fs_err::read(expected).unwrap(), "the sound differs");
}
