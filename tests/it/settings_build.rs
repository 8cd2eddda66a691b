//! The modules of the build script: what the variables of a build ask for, and the assembly that embeds.
#![cfg(feature = "embed")]

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::build::embed::{Format, assembly};
use crate::build::settings::{COREML, Settings, Source, Target, cache};

fn settings(variables: &[(&str, &str)]) -> Settings {
    let mut all = HashMap::from([("CARGO_MANIFEST_DIR", "/package"), ("OUT_DIR", "/out")]);
    all.extend(variables.iter().copied());
    Settings::read(|name| all.get(name).map(OsString::from))
}

#[test]
fn the_variables_decide_the_source() {
    let package = Source::Package(Path::new("/package").join("artifacts").join("chosen.json"));
    for (variables, source) in [
        (vec![], package.clone()),
        (vec![("KOKORO_MODEL_ARTIFACT", "")], package),
        (vec![("KOKORO_MODEL_ARTIFACT", "none")], Source::Nothing),
        (vec![("KOKORO_MODEL_ARTIFACT", "sha256:abc")], Source::Pinned("abc".to_owned())),
        (vec![("DOCS_RS", "1")], Source::Nothing),
        (vec![("DOCS_RS", "1"), ("KOKORO_MODEL_ARTIFACT", "sha256:abc")], Source::Nothing),
        (vec![("KOKORO_MODEL_ARTIFACT", "/a/b.onnx")], Source::Given("/a/b.onnx".into())),
        (vec![("KOKORO_MODEL_ARTIFACT", "a/b.onnx")], Source::Given("/package/a/b.onnx".into())),
    ] {
        assert_eq!(settings(&variables).source, source, "{variables:?}");
    }
}

#[test]
fn the_feature_asks_for_another_artifact_on_apple_systems_only() {
    let feature = ("CARGO_FEATURE_COREML", "1");
    for (variables, expected) in [
        (vec![], None),
        (vec![feature], None),
        (vec![feature, ("CARGO_CFG_TARGET_VENDOR", "unknown")], None),
        (vec![("CARGO_CFG_TARGET_VENDOR", "apple")], None),
        (vec![feature, ("CARGO_CFG_TARGET_VENDOR", "apple")], Some(COREML)),
    ] {
        assert_eq!(settings(&variables).provider, expected, "{variables:?}");
    }
}

#[test]
fn a_linker_is_passed_on_only_for_this_machine() {
    let here = [("RUSTC_LINKER", "mold"), ("HOST", "x"), ("TARGET", "x")];
    assert_eq!(settings(&here).linker, Some("mold".into()));
    let there = [("RUSTC_LINKER", "mold"), ("HOST", "x"), ("TARGET", "y")];
    assert_eq!(settings(&there).linker, None);
}

#[test]
fn the_cache_is_where_the_user_keeps_caches() {
    type Variables = &'static [(&'static str, &'static str)];
    let cases: [(Variables, bool, Option<&str>); 8] = [
        (&[("KOKORO_MODEL_CACHE", "/c"), ("HOME", "/h")], false, Some("/c")),
        (&[("HOME", "/h")], false, Some("/h/.cache/kokoro-model")),
        (&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")], false, Some("/x/kokoro-model")),
        (&[("HOME", "/h"), ("XDG_CACHE_HOME", "x")], false, Some("/h/.cache/kokoro-model")),
        (&[], false, None),
        (&[("LOCALAPPDATA", "/l"), ("USERPROFILE", "/u")], true, Some("/l/kokoro-model")),
        (&[("USERPROFILE", "/u")], true, Some("/u/AppData/Local/kokoro-model")),
        (&[("HOME", "/h")], true, None),
    ];
    for (variables, windows, expected) in cases {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        let found = cache(|name| variables.get(name).map(OsString::from), windows);
        assert_eq!(found, expected.map(PathBuf::from), "{variables:?}");
    }
}

#[test]
fn every_target_has_a_way_to_embed() {
    for (arch, family, vendor, format) in [
        ("x86_64", "unix", "unknown", Some(Format::Elf)),
        ("aarch64", "unix", "apple", Some(Format::MachO)),
        ("x86_64", "windows", "pc", Some(Format::Coff)),
        ("x86", "windows", "pc", None),
        ("wasm32", "wasm", "unknown", None),
        ("sparc64", "unix", "unknown", None),
    ] {
        let target =
            Target { arch: arch.into(), family: family.into(), vendor: vendor.into(), ..Target::default() };
        assert_eq!(Format::of(&target), format, "{target:?}");
    }
}

#[test]
fn the_assembly_covers_every_byte_once_and_escapes_the_path() {
    for (bytes, pieces) in [((9 << 20) + 5, 16), (9 << 20, 1), (1, 1), (4095, 1), (4097, 2)] {
        let text = assembly(Format::Elf, "symbol", r#"C:\a "b".onnx"#, bytes);
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with(".incbin")).collect();
        // A file of whole pages is read as a whole for each piece: more than one could take gigabytes.
        assert_eq!(lines.len(), pieces, "{bytes} bytes");
        let mut end = 0;
        for line in lines {
            let (path, numbers) = line[".incbin ".len()..].rsplit_once("\", ").unwrap();
            assert_eq!(path, r#""C:\\a \"b\".onnx"#);
            let (start, length) = numbers.split_once(", ").unwrap();
            assert_eq!(start.parse::<u64>().unwrap(), end, "the pieces follow each other");
            assert_eq!(end % 4096, 0, "an aligned start, so no padding");
            end += length.parse::<u64>().unwrap();
        }
        assert_eq!(end, bytes);
        assert!(text.ends_with(".text\n"), "the section of what follows");
    }
    let text = assembly(Format::MachO, "symbol", "a.onnx", 1);
    assert!(text.contains("\n_symbol:\n") && text.contains(".private_extern _symbol\n"), "{text}");
}
