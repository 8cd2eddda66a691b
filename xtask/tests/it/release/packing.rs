//! What `package` writes, where, and what it refuses.

use std::path::Path;
use std::process::Command;

use kokoro_model::Chosen;
use serde_json::Value;
use xtask::digest::Digest;
use xtask::failure::exit_code;
use xtask::files::read_json;
use xtask::release::package;

use super::fixture::{Fixture, STEM, refusals, tar_of, unpack};

/// Packs by the program itself, in an environment that this test makes up.
#[cfg(unix)]
fn pack(fixture: &Fixture, umask: &str, variables: &[(&str, &str)]) -> Digest {
    let script = "umask \"$1\"; shift; exec \"$@\"";
    let output = Command::new("/bin/sh")
        .args(["-c", script, "sh", umask, env!("CARGO_BIN_EXE_xtask"), "package", "--allow-unofficial"])
        .args(["--artifacts", "artifacts", "--lock", "test.lock.toml", "--json"])
        .current_dir(fixture.folder().parent().unwrap())
        .env_clear()
        .env("CI", "true")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let path = fixture.folder().join(format!("{STEM}.unofficial.tar.zst"));
    let digest = Digest::of_file(&path).unwrap();
    assert_eq!(said["sha256"], digest.to_string());
    assert_eq!(said["bytes"], fs_err::metadata(&path).unwrap().len());
    digest
}

fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            names.extend(names_in(&entry.path(), &name));
        }
        names.push(name);
    }
    names.sort();
    names
}

fn names_in(folder: &Path, prefix: &str) -> Vec<String> {
    names(folder).into_iter().map(|name| format!("{prefix}/{name}")).collect()
}

#[cfg(unix)]
#[test]
fn the_same_artifacts_give_the_same_archive_anywhere_and_nothing_else_is_written() {
    let (first, second) = (Fixture::local(), Fixture::local());
    // Files that are read in another order and are of another time.
    for name in ["chosen.json", &format!("{STEM}.onnx"), "audio/clear-held-01.wav"] {
        let path = second.folder().join(name);
        let bytes = fs_err::read(&path).unwrap();
        fs_err::remove_file(&path).unwrap();
        fs_err::write(&path, bytes).unwrap();
        let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
        file.file().set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let before = names(first.folder().parent().unwrap());
    let one = pack(&first, "022", &[("RAYON_NUM_THREADS", "1"), ("TZ", "UTC"), ("LC_ALL", "C")]);
    let mut after = names(first.folder().parent().unwrap());
    after.retain(|name| !before.contains(name));
    assert_eq!(after, [format!("artifacts/{STEM}.unofficial.tar.zst")]);

    let others =
        [("RAYON_NUM_THREADS", "7"), ("TZ", "Asia/Kolkata"), ("LC_ALL", "de_DE.UTF-8"), ("HOME", "/nowhere")];
    assert_eq!(one, pack(&second, "077", &others));
    assert_eq!(one, pack(&second, "000", &[]), "packed again over what was there");
    let epoch = [("SOURCE_DATE_EPOCH", "1700000000")];
    let dated = pack(&first, "022", &epoch);
    assert_ne!(one, dated, "the time of the files stands in the archive");
    assert_eq!(dated, pack(&second, "022", &epoch));
}

#[test]
fn files_are_sorted_and_belong_to_nobody() {
    let fixture = Fixture::local();
    let archive = fixture.package(None);
    let bytes = tar_of(&archive.path);
    let mut reader = tar::Archive::new(&bytes[..]);
    let mut paths = Vec::new();
    for entry in reader.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        let fields =
            (header.uid().unwrap(), header.gid().unwrap(), header.mode().unwrap(), header.mtime().unwrap());
        assert_eq!(fields, (0, 0, 0o644, 315_532_800));
        assert!(header.as_ustar().is_some() && header.entry_type().is_file());
        paths.push(entry.path().unwrap().to_str().unwrap().to_owned());
    }
    assert!(paths.is_sorted());
    assert_eq!(paths.len(), archive.files);
    let top = format!("{STEM}.unofficial");
    for name in [
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "NOTICE",
        "SHA256SUMS",
        "UNOFFICIAL.txt",
        "audio/clear-held-01.wav",
        "audio/weights-int8-held-01.wav",
        "bom.cdx.json",
        "chosen.json",
        "clear.weights-int8.json",
        "clear.weights-int8.onnx",
        "clear.weights-int8.prepared",
        "gates.json",
        "metadata.schema.json",
        "models/corpus.toml",
        "models/kokoro-v1.0.lock.toml",
        "models/kokoro-v1.0.toml",
        "models/onnxruntime.toml",
        "provenance.intoto.json",
        "report.html",
    ] {
        assert!(paths.contains(&format!("{top}/{name}")), "no `{name}` in {paths:#?}");
    }
}

#[test]
fn an_official_release_is_verified_and_has_no_mark() {
    let fixture = Fixture::official();
    let lock = fixture.lock().display().to_string();
    let place = ["--artifacts", "artifacts", "--lock", &lock];
    let packed = fixture.program.run(&[&["package", "--output", "out"], &place[..]].concat());
    assert_eq!(packed.code, Some(0), "{}", packed.errors);
    assert!(packed.output.starts_with(&format!("out/{STEM}.tar.zst\nsha256: ")), "{}", packed.output);
    let archive = fixture.program.path("out").join(format!("{STEM}.tar.zst"));

    let verified =
        fixture.program.run(&["verify", "--offline", "--lock", &lock, &archive.display().to_string()]);
    assert_eq!(verified.code, Some(0), "{}\n{}", verified.output, verified.errors);
    for line in [
        "yes `clear.weights-int8.onnx`: sha256 in `SHA256SUMS`\n",
        "yes `clear.weights-int8.onnx`: speaks: 9 checks",
        "yes `clear.weights-int8.onnx`: is what the lock of this checkout has\n",
        "-   `SHA256SUMS.minisig`: is signed: there is no signature\n",
        "\nverified: ",
    ] {
        assert!(verified.output.contains(line), "no `{line}` in {}", verified.output);
    }
    assert!(fixture.program.left_nothing_temporary());

    let unpacked = unpack(&archive);
    assert_eq!(unpacked.name(), STEM);
    for (name, bytes) in unpacked.files() {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(!text.contains("unofficial. ") && !text.contains("kokoro-model:unofficial"), "{name}");
    }
    // What a build takes is there: `chosen.json` with the files that it names beside it.
    let chosen: Chosen = read_json(&unpacked.path().join("chosen.json")).unwrap();
    assert_eq!(Digest::of(&unpacked.read(&chosen.file)).to_string(), chosen.sha256);
    assert_eq!(Digest::of(&unpacked.read(&chosen.metadata)).to_string(), chosen.metadata_sha256);
    assert_eq!(refusals(&unpacked.verdict()), "");
}

#[test]
fn what_is_not_official_is_refused_or_marked_everywhere() {
    for (kind, why) in
        [("local", "a file of whoever packaged this"), ("restored", "rebuilt from the published INT8")]
    {
        let fixture = Fixture::of_kind(kind);
        let nominee = fixture.nominee().unwrap();
        let output = fixture.program.path("output");
        let error = package(&nominee, &fixture.workspace(), None, false, &output).unwrap_err();
        assert_eq!(exit_code(&error), 1);
        let message = format!("{error:#}");
        assert!(message.contains(why) && message.contains("hint: `--allow-unofficial`"), "{message}");
        assert!(!output.exists());

        let unpacked = fixture.unpacked(None);
        assert_eq!(unpacked.name(), format!("{STEM}.unofficial"));
        for name in [
            "SHA256SUMS",
            "UNOFFICIAL.txt",
            "bom.cdx.json",
            "gates.json",
            "provenance.intoto.json",
            "report.html",
        ] {
            let text = String::from_utf8(unpacked.read(name)).unwrap();
            assert!(text.to_lowercase().contains("unofficial") && text.contains(why), "{kind}: `{name}`");
        }
        let verdict = unpacked.verdict();
        assert_eq!(refusals(&verdict), "");
        assert!(verdict.unofficial.unwrap().contains(why));
    }
}

#[test]
fn nothing_timed_and_nothing_of_the_machine_goes_along() {
    let fixture = Fixture::official();
    let results: Value = read_json(&fixture.folder().join("quantization_comparison_results.json")).unwrap();
    let cpu = results["host"]["cpu"].as_str().unwrap().to_owned();
    let median = results["candidates"]["weights-int8"]["benchmark"]["providers"]["cpu"]["p50_ms"].to_string();
    let before = fixture.unpacked(None);
    let folder = fixture.folder().display().to_string();
    for (name, bytes) in before.files() {
        let text = String::from_utf8_lossy(&bytes);
        for secret in [&folder, &median, env!("CARGO_MANIFEST_DIR")] {
            assert!(!text.contains(secret), "`{name}` has `{secret}`");
        }
        assert!(cpu == "unknown" || !text.contains(&cpu), "`{name}` has `{cpu}`");
    }
    // Other timings on another machine change nothing.
    fixture.edit("quantization_comparison_results.json", |results| {
        results["host"]["cpu"] = "another".into();
        results["host"]["cores"] = 99.into();
        results["runtime"]["origin"] = "elsewhere".into();
        results["benchmark"]["rounds"] = 99.into();
        results["contestants"] =
            serde_json::json!({ "other": { "available": false, "reason": "no network" } });
        results["candidates"]["weights-int8"]["speed_ratio"]["median"] = 9.0.into();
        results["candidates"]["weights-int8"]["gates"]["bench"]["checks"][0]["value"] = 9.0.into();
    });
    assert!(before.files() == fixture.unpacked(None).files());
}
