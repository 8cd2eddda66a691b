//! The same bytes, whatever the folder, the number of threads, the language, the time zone, the mask of permissions, the
//! home and the clock: the program as the user runs it, on a small model, by each scheme.
//!
//! Profiles and processors take builds of their own; how those are compared is in `docs/BUILDING.md`.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::models;
use crate::support::program::{Program, users_cache};
use xtask::digest::Digest;
use xtask::scheme::SchemeName;

const PLAN: [&str; 2] = ["small.plan.toml", "small.ranges.safetensors"];

/// What one run has that another has not.
#[derive(Debug)]
struct Surroundings {
    wrapper: Vec<&'static str>,
    variables: Vec<(&'static str, &'static str)>,
}

/// The digest of each file that a run in these surroundings makes of the model, by name.
fn made(surroundings: &Surroundings, plan: &Path) -> Vec<(PathBuf, Digest)> {
    let program = Program::with_cache(users_cache());
    models::write(&models::convolved(), &program.path("convolved.onnx"));
    for name in PLAN {
        fs_err::copy(plan.join(name), program.path(name)).unwrap();
    }
    let arguments = ["quantize", "--offline", "--artifacts", "artifacts", "--model", "convolved.onnx"];
    let schemes = SchemeName::ALL.map(|scheme| ["--scheme", scheme.as_str()]).concat();
    let arguments = [&arguments[..], &["--plan", PLAN[0], "--only", "provider"], &schemes].concat();
    let ended = program.run_wrapped(&surroundings.wrapper, &arguments, &surroundings.variables);
    assert_eq!(ended.code, Some(0), "{surroundings:?}: {}", ended.errors);
    let staged = program.path("artifacts/staged");
    let files = SchemeName::ALL.map(|scheme| {
        ["onnx", "prepared", "json"].map(|extension| {
            let name = PathBuf::from(format!("convolved.{}.{extension}", scheme.as_str()));
            let digest = Digest::of_file(&staged.join(&name)).unwrap();
            (name, digest)
        })
    });
    files.concat()
}

#[test]
fn surroundings_decide_nothing() {
    let planner = Program::with_cache(users_cache());
    models::write(&models::convolved(), &planner.path("convolved.onnx"));
    let tune = ["tune", "--offline", "--model", "convolved.onnx", "--output", PLAN[0]];
    let ended = planner.run(&[&tune[..], &["--artifacts", "artifacts"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let plan = planner.path("");

    let in_shell = |script: &'static str| vec!["/bin/sh", "-c", script, "sh"];
    let usual = Surroundings { wrapper: vec!["/usr/bin/env"], variables: vec![] };
    let expected = made(&usual, &plan);
    let mut others = vec![
        Surroundings { wrapper: vec!["/usr/bin/env"], variables: vec![("RAYON_NUM_THREADS", "1")] },
        Surroundings { wrapper: vec!["/usr/bin/env"], variables: vec![("RAYON_NUM_THREADS", "7")] },
        Surroundings {
            wrapper: in_shell("umask 077; exec \"$@\""),
            variables: vec![("LC_ALL", "tr_TR.UTF-8"), ("LANG", "de_DE.UTF-8"), ("HOME", "/nonexistent")],
        },
        Surroundings {
            wrapper: in_shell("umask 000; exec \"$@\""),
            variables: vec![("TZ", "Pacific/Kiritimati"), ("SOURCE_DATE_EPOCH", "1"), ("LC_ALL", "C")],
        },
    ];
    if Command::new("faketime").arg("--version").output().is_ok() {
        let wrapper = vec!["faketime", "2001-09-09 01:46:40"];
        others.push(Surroundings { wrapper, variables: vec![("TZ", "UTC")] });
    } else {
        println!("skipped: no `faketime` to change the clock with; the quantizer has none to look at");
    }
    for surroundings in others {
        assert_eq!(made(&surroundings, &plan), expected, "{surroundings:?}");
    }
}

/// Without any of these nothing but its arguments can reach the quantizer. Its build script may read files.
#[test]
fn the_quantizer_knows_no_clock_no_environment_and_no_files() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../quantizer/src");
    let (mut folders, mut read) = (vec![sources], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs_err::read_to_string(&path).unwrap();
            for word in
                ["std::time", "std::env", "std::fs", "std::net", "std::process", "std::thread", "fs_err"]
            {
                assert!(!text.contains(word), "`{}` names `{word}`", path.display());
            }
            read += 1;
        }
    }
    assert!(read > 30, "only {read} files were looked at");
}
