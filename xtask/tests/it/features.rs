//! No crate is compiled twice for want of a feature: what is built from nothing builds each with the same ones.
//!
//! On Linux, where CI builds from nothing; elsewhere other crates are below, which may have others.
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// What `.ci/run` selects, in its order: lints, the program, its tests, and those of all else.
const SELECTIONS: [&[&str]; 4] = [
    &["--workspace"],
    &["--package", "xtask", "--edges", "normal,build"],
    &["--package", "xtask"],
    &["--workspace", "--exclude", "xtask", "--all-features"],
];

/// The features of each crate, by its name and version.
fn features(selection: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        // The first to ask for all crates there are, some of which cargo has to download yet.
        .args(["tree", "--locked", "--prefix", "none", "--no-dedupe", "--format", "{p}|{f}"])
        .args(selection)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut features = BTreeMap::<_, BTreeSet<_>>::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let Some((package, of_it)) = line.split_once('|') else { continue };
        // Behind name and version stand the folder of a package of ours, and what is a macro.
        let name = package.split(" (").next().unwrap_or(package);
        features.entry(name.to_owned()).or_default().insert(of_it.to_owned());
    }
    features
}

#[test]
fn every_selection_has_each_crate_with_the_same_features() {
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    for selection in SELECTIONS {
        for (package, features) in features(selection) {
            all.entry(package).or_default().extend(features);
        }
    }
    assert!(all.len() > 200, "{} crates are not all", all.len());
    // It makes the model without one, and is tested with all that it can do.
    all.retain(|package, features| features.len() > 1 && !package.starts_with("kokoro-model "));
    assert!(all.is_empty(), "{all:#?}\nhint: `unified/Cargo.toml` gives both the features of either");
}
