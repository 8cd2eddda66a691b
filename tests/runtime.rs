//! Libraries that are missing, broken or too old. Each is refused, and a good one can still be loaded after.
//!
//! One test, because a process loads one runtime: what is refused before and after must stand in order.
#![cfg(all(feature = "ort", unix))]

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use kokoro_model::{ErrorKind, Runtime};

mod common;

/// A shared library made of C source.
fn compile(folder: &Path, name: &str, source: &str) -> PathBuf {
    let (library, file) = (folder.join(name), folder.join(name).with_extension("c"));
    fs_err::write(&file, source).unwrap();
    let status = Command::new("cc").arg("-shared").arg("-fPIC").arg("-o").arg(&library).arg(&file).status();
    assert!(status.expect("this test needs a C compiler named `cc`").success());
    fs_err::canonicalize(library).unwrap()
}

/// The entry point of ONNX Runtime with a version of our choice and no API behind it.
fn runtime_of_version(version: &str) -> String {
    format!(
        "static const void *api(unsigned version) {{ (void)version; return 0; }}\n\
         static const char *version(void) {{ return \"{version}\"; }}\n\
         static const struct {{ const void *(*api)(unsigned); const char *(*version)(void); }} base = {{ api, version }};\n\
         const void *OrtGetApiBase(void) {{ return &base; }}\n"
    )
}

fn kind(path: &Path) -> ErrorKind {
    Runtime::from_path(path).unwrap_err().kind().clone()
}

#[test]
fn only_a_fitting_runtime_is_loaded_and_only_one() {
    let folder = tempfile::tempdir().unwrap();

    let path = folder.path().join("missing.so");
    assert_eq!(kind(&path), ErrorKind::RuntimeMissing { path });
    let path = fs_err::canonicalize(folder.path()).unwrap();
    assert_eq!(kind(&path), ErrorKind::RuntimeMissing { path });

    let path = fs_err::canonicalize(folder.path()).unwrap().join("text.so");
    fs_err::write(&path, "this is no library").unwrap();
    let error = Runtime::from_path(&path).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::NotARuntime { path });
    assert!(error.source().unwrap().to_string().contains("text.so"), "the loader's own reason: {error:?}");

    let path = compile(folder.path(), "other.so", "int other(void) { return 1; }\n");
    let error = Runtime::from_path(&path).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::NotARuntime { path });
    assert!(error.source().unwrap().to_string().contains("OrtGetApiBase"), "{error:?}");

    let old = compile(folder.path(), "old.so", &runtime_of_version("1.10.0"));
    let error = Runtime::from_path(&old).unwrap_err();
    let needed = Runtime::NEEDED_MINOR;
    assert_eq!(error.kind(), &ErrorKind::RuntimeTooOld { path: old.clone(), found: 10, needed });
    let text = error.to_string();
    assert!(text.contains("1.10") && text.contains(&format!("1.{needed}")), "{text}");

    let path = compile(folder.path(), "next.so", &runtime_of_version("2.0.0"));
    assert_eq!(kind(&path), ErrorKind::NotARuntime { path }, "another major version is another API");

    let library = fs_err::canonicalize(common::library()).unwrap();
    let runtime = Runtime::from_path(&library).unwrap();
    assert_eq!(runtime.path(), library);
    let version: Vec<u32> = runtime.version().split('.').map(|part| part.parse().unwrap()).collect();
    assert!(version[0] == 1 && version[1] >= needed, "{version:?}");
    assert!(runtime.build_info().contains("Build"), "{}", runtime.build_info());

    let link = folder.path().join("link.so");
    std::os::unix::fs::symlink(&library, &link).unwrap();
    assert_eq!(Runtime::from_path(&link).unwrap().path(), library, "another name of the same file");
    assert_eq!(kind(&old), ErrorKind::RuntimeAlreadyLoaded { loaded: library, requested: old });
}
