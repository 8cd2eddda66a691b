//! The modules of the build script that bundle the ONNX Runtime library: which one is pinned, what is refused.
#![cfg(feature = "bundle-runtime")]

use std::path::Path;

use crate::build::bundle::{Failure, resolve};
use crate::build::runtime::{Pinned, generate, pinned, platform};
use crate::build::settings::{Source, Target};
use crate::room::{Room, hex};

const LIBRARY: &[u8] = b"the bytes of a library, the bytes of a library, the bytes of a library";

fn library() -> Pinned {
    Pinned { name: "libtest.so".to_owned(), sha256: hex(LIBRARY), bytes: LIBRARY.len() as u64 }
}

fn complete() -> Room {
    let room = Room::new();
    room.write(&format!("cache/{}/libtest.so", hex(LIBRARY)), LIBRARY);
    room
}

#[track_caller]
fn fails_with(pinned: Option<&Pinned>, room: &Room, parts: &[&str]) {
    let failure: Failure = resolve(pinned, &room.settings).unwrap_err();
    let text = failure.to_string();
    for part in parts.iter().chain(&["hint: `cargo xtask fetch onnxruntime`"]) {
        assert!(text.contains(part), "expected `{part}` in:\n{text}");
    }
    assert!(room.left_in_out().is_empty(), "half-written: {text}");
}

#[test]
fn the_library_is_compressed_under_its_digest_once() {
    let room = complete();
    let bundle = resolve(Some(&library()), &room.settings).unwrap().unwrap();
    assert_eq!(bundle.compressed, room.path("out").join(format!("{}.zst", hex(LIBRARY))));
    let compressed = fs_err::read(&bundle.compressed).unwrap();
    assert_eq!(zstd::bulk::decompress(&compressed, 1 << 20).unwrap(), LIBRARY);
    assert_eq!(room.left_in_out(), std::slice::from_ref(&bundle.compressed));

    let first = fs_err::metadata(&bundle.compressed).unwrap().modified().unwrap();
    resolve(Some(&library()), &room.settings).unwrap().unwrap();
    assert_eq!(fs_err::metadata(&bundle.compressed).unwrap().modified().unwrap(), first);

    let source = generate(Some(&library()), Some(&bundle.compressed)).unwrap();
    assert!(source.contains(&hex(LIBRARY)) && source.contains("include_bytes!"), "{source}");
}

#[test]
fn a_missing_library_is_named_with_its_digest_and_its_place() {
    let room = Room::new();
    let place = room.path("cache").join(hex(LIBRARY)).join("libtest.so");
    let place = format!("looked in: `{}`", place.display());
    fails_with(Some(&library()), &room, &["`libtest.so` is missing", &hex(LIBRARY), &place]);
    let mut room = Room::new();
    room.settings.cache = None;
    fails_with(Some(&library()), &room, &["no home folder"]);
}

#[test]
fn other_bytes_are_refused() {
    let room = complete();
    let mut changed = LIBRARY.to_vec();
    changed[3] ^= 1;
    room.write(&format!("cache/{}/libtest.so", hex(LIBRARY)), &changed);
    fails_with(Some(&library()), &room, &[&hex(&changed), &hex(LIBRARY)]);
    room.write(&format!("cache/{}/libtest.so", hex(LIBRARY)), &LIBRARY[1..]);
    fails_with(Some(&library()), &room, &["has 69 bytes, expected 70"]);
}

#[test]
fn a_build_of_nothing_bundles_nothing() {
    let mut room = Room::new();
    room.settings.source = Source::Nothing;
    assert!(resolve(Some(&library()), &room.settings).unwrap().is_none());
    assert!(resolve(None, &room.settings).unwrap().is_none());
    let source = generate(None, None).unwrap();
    assert!(source.contains("= None;") && source.contains("BUNDLE: &[u8] = &[];"), "{source}");
}

#[test]
fn the_recipe_pins_a_library_for_every_platform_it_has() {
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join(crate::build::runtime::PATH);
    for (os, arch, env, name) in [
        ("linux", "x86_64", "gnu", "libonnxruntime.so.1.26.0"),
        ("linux", "aarch64", "gnu", "libonnxruntime.so.1.26.0"),
        ("macos", "aarch64", "", "libonnxruntime.1.26.0.dylib"),
        ("windows", "x86_64", "msvc", "onnxruntime.dll"),
        ("windows", "x86_64", "gnu", "onnxruntime.dll"),
    ] {
        let target = Target { os: os.into(), arch: arch.into(), env: env.into(), ..Target::default() };
        let pinned = pinned(&recipe, &target).unwrap().unwrap();
        assert_eq!(pinned.name, name, "{target:?}");
        assert!(crate::build::digest::is_digest(&pinned.sha256) && pinned.bytes > 1 << 20, "{pinned:?}");
    }
    for (os, arch, env) in [("linux", "x86_64", "musl"), ("linux", "riscv64", "gnu"), ("macos", "x86_64", "")]
    {
        let target = Target { os: os.into(), arch: arch.into(), env: env.into(), ..Target::default() };
        assert_eq!(pinned(&recipe, &target).unwrap(), None, "{target:?}");
        let mut room = Room::new();
        room.settings.target = target;
        fails_with(None, &room, &[&format!("none is pinned for `{}`", platform(&room.settings.target))]);
    }
}
