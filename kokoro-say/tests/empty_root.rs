//! The executable alone in an empty root folder: with the system's C and C++ libraries it needs, and nothing else.
#![cfg(target_os = "linux")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

mod common;

use common::{HELLO, Room, text};

/// The libraries that the loader finds for a file, with the loader itself, as absolute paths.
fn needed(file: &Path) -> Vec<PathBuf> {
    let output = common::succeeded(Command::new("ldd").arg(file));
    let lines = text(&output.stdout);
    let paths = lines.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(PathBuf::from).collect()
}

/// Copies a file to the same path below `root`.
fn transplant(file: &Path, root: &Path) {
    let copy = root.join(file.strip_prefix("/").unwrap());
    fs_err::create_dir_all(copy.parent().unwrap()).unwrap();
    fs_err::copy(file, copy).unwrap();
}

#[test]
fn it_speaks_from_an_empty_root() {
    let room = Room::new();
    let empty = room.path("root");
    fs_err::create_dir(&empty).unwrap();
    let tried = Command::new("chroot").arg("/").arg("true").output();
    if !tried.is_ok_and(|output| output.status.success()) {
        println!("skipped: `chroot` is not allowed here");
        return;
    }
    let program = Path::new(env!("CARGO_BIN_EXE_kokoro-say"));
    // The program's own run unpacks the library, so that the libraries which that one needs are known too.
    common::succeeded(room.say().args(["--phonemes", HELLO]));
    let libraries = room.libraries();
    assert_eq!(libraries.len(), 1);
    for library in needed(program).iter().chain(&needed(&libraries[0])) {
        transplant(library, &empty);
    }
    fs_err::copy(program, empty.join("kokoro-say")).unwrap();
    let says = |variables: &[(&str, &str)]| {
        let mut chroot = Command::new("chroot");
        chroot.arg(&empty).args(["/kokoro-say", "--phonemes", HELLO, "-o", "/hello.wav"]);
        chroot.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let output = chroot.envs(variables.iter().copied()).output().unwrap();
        (output.status.code(), text(&output.stderr))
    };

    // No home, no folder for temporary files, and no `/proc` to load from memory by: each is named.
    let (code, said) = says(&[]);
    assert_eq!(code, Some(3), "{said}");
    for part in ["looked in: the cache", "looked in: memory", "looked in: `/tmp`", "hint: "] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    assert!(!empty.join("hello.wav").exists());

    // ONNX Runtime remarks that there is no `/proc/cpuinfo`.
    let (code, said) = says(&[("HOME", "/home")]);
    assert_eq!(code, Some(0), "{said}");
    let spoken = fs_err::read(empty.join("hello.wav")).unwrap();
    assert!(hound::WavReader::new(spoken.as_slice()).unwrap().duration() > 12_000);
    let folder = empty.join("home/.cache/kokoro-model/runtime");
    assert_eq!(fs_err::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);

    fs_err::remove_file(empty.join("hello.wav")).unwrap();
    fs_err::create_dir(empty.join("tmp")).unwrap();
    let (code, said) = says(&[]);
    assert_eq!(code, Some(0), "from a temporary folder: {said}");
    assert!(fs_err::read(empty.join("hello.wav")).unwrap() == spoken);
    assert_eq!(fs_err::read_dir(empty.join("tmp")).unwrap().count(), 0);
}
