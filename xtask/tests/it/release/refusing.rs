//! What is not fit to be released, and how that is said.

use serde_json::{Value, json};
use xtask::digest::Digest;
use xtask::environment::Environment;
use xtask::failure::exit_code;
use xtask::gates::ExecutionProvider;
use xtask::lock::Lock;
use xtask::release::{Nominee, package};
use xtask::workspace::Workspace;

use super::fixture::{Fixture, STEM};

const RESULTS: &str = "quantization_comparison_results.json";

/// A digest of nothing that there is.
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// That the artifact is refused with this exit code and message.
#[track_caller]
fn refused(fixture: &Fixture, code: u8, text: &str) {
    let error = fixture.nominee().unwrap_err();
    let message = format!("{error:#}");
    assert_eq!(exit_code(&error), code, "{message}");
    assert!(message.contains(text), "no `{text}` in: {message}");
}

#[test]
fn a_digest_that_is_not_right_is_named() {
    for extension in ["onnx", "prepared", "json"] {
        let fixture = Fixture::official();
        let path = fixture.folder().join(format!("{STEM}.{extension}"));
        let mut bytes = fs_err::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs_err::write(path, bytes).unwrap();
        refused(&fixture, 3, &format!("{STEM}.{extension}`: sha256: expected "));
    }
}

#[test]
fn what_is_missing_is_said_to_be() {
    let fixture = Fixture::official();
    fs_err::write(fixture.lock(), "colour = 1").unwrap();
    refused(&fixture, 2, "unknown field `colour`");
    fs_err::remove_file(fixture.lock()).unwrap();
    refused(&fixture, 2, "hint: `cargo xtask quantize --update-lock`");
    fs_err::remove_file(fixture.folder().join(RESULTS)).unwrap();
    refused(&fixture, 2, "hint: `cargo xtask quantize --update-lock`");
    fixture.lock_of(&Fixture::official().locked());
    refused(&fixture, 2, "there are no results of this version");
    fs_err::remove_file(fixture.folder().join("chosen.json")).unwrap();
    refused(&fixture, 2, "no artifact is chosen");

    let fixture = Fixture::local();
    let of = |provider| Nominee::read(&fixture.workspace(), Some(&fixture.lock()), provider);
    fixture.edit("chosen.json", |chosen| {
        chosen["providers"]["coreml"] = chosen["providers"]["cpu"].clone();
        chosen["providers"]["coreml"]["evidence"] = "predicted".into();
        // What is chosen for the CPU may be missing then.
        chosen["file"] = "other.onnx".into();
        chosen["sha256"] = ZEROS.into();
        chosen["metadata_sha256"] = ZEROS.into();
    });
    assert_eq!(of(ExecutionProvider::CoreMl).unwrap().artifact.metadata.scheme, "weights-int8");
    assert_eq!(exit_code(&fixture.nominee().unwrap_err()), 3);
    let error = of(ExecutionProvider::WebGpu).unwrap_err();
    assert_eq!(exit_code(&error), 2);
    assert!(format!("{error:#}").contains("names no artifact for `webgpu`"), "{error:#}");
}

#[test]
fn results_must_be_of_the_artifact_and_every_gate_must_have_said_yes() {
    let gates = "/candidates/weights-int8/gates";
    for (place, value, code, text) in [
        ("/candidates/weights-int8/sha256", json!(ZEROS), 1, "is not of `clear.weights-int8.onnx`"),
        ("/base/sha256", json!(ZEROS), 3, "the digest of the base: expected "),
        ("/recipe_sha256", json!(ZEROS), 3, "the digest of the recipe: expected "),
        (&format!("{gates}/bench"), Value::Null, 1, "the bench gate was not run"),
        (&format!("{gates}/smoke/checks/0/pass"), json!(false), 1, "`accepted_bad_input`"),
        ("/corpus_sha256", json!(ZEROS), 3, "`corpus`: expected "),
        ("/runtime/sha256", json!(ZEROS), 3, "the gates ran on a library"),
    ] {
        let fixture = Fixture::official();
        fixture.edit(RESULTS, |results| {
            *results.pointer_mut(place).unwrap() = value;
            let smoke = results.pointer_mut(&format!("{gates}/smoke")).unwrap();
            smoke["pass"] = smoke["checks"][0]["pass"].clone();
        });
        refused(&fixture, code, text);
    }
}

#[test]
fn the_lock_must_have_the_artifact() {
    type Change = fn(&mut Lock);
    let changes: [(&str, Change); 9] = [
        ("has no base `clear`", |lock| lock.base.clear()),
        ("has no artifact `weights-int8`", |lock| lock.base.get_mut("clear").unwrap().artifact.clear()),
        ("`base.sha256`: expected e3b0c442", |lock| {
            lock.base.get_mut("clear").unwrap().sha256 = Digest::of(b"");
        }),
        ("`artifact.prepared`: expected e3b0c442", |lock| {
            let base = lock.base.get_mut("clear").unwrap();
            base.artifact.get_mut("weights-int8").unwrap().prepared = Digest::of(b"");
        }),
        ("`artifact.bytes`: expected 1,", |lock| {
            let base = lock.base.get_mut("clear").unwrap();
            base.artifact.get_mut("weights-int8").unwrap().bytes = 1;
        }),
        ("`tool`: expected 0.0.0,", |lock| lock.tool = "0.0.0".to_owned()),
        ("`recipe`: expected e3b0c442", |lock| lock.recipe = Digest::of(b"")),
        ("`plan`: expected e3b0c442", |lock| lock.plan = Digest::of(b"")),
        ("`proto`: expected e3b0c442", |lock| lock.proto = Digest::of(b"")),
    ];
    let fixture = Fixture::official();
    let good = fixture.locked();
    for (text, change) in changes {
        let mut lock = good.clone();
        change(&mut lock);
        fixture.lock_of(&lock);
        refused(&fixture, 3, text);
    }
    fixture.lock_of(&good);
    fixture.nominee().unwrap();
    // A base of one's own is in no lock.
    let own = Fixture::local();
    let mut lock = own.locked();
    lock.base.clear();
    own.lock_of(&lock);
    own.nominee().unwrap();
}

#[test]
fn a_time_that_is_none_is_refused() {
    let fixture = Fixture::official();
    for value in ["tomorrow", "-1", "99999999999"] {
        let environment = Environment { source_date_epoch: Some(value.into()), ..Environment::default() };
        let workspace = Workspace::of_this_build(environment).with_artifacts(&fixture.folder());
        let nominee = Nominee::read(&workspace, Some(&fixture.lock()), ExecutionProvider::Cpu).unwrap();
        let error = package(&nominee, &workspace, None, false, &fixture.program.path("output")).unwrap_err();
        assert_eq!(exit_code(&error), 2);
        assert!(format!("{error:#}").contains(&format!("found `{value}`")), "{error:#}");
    }
}

#[test]
fn a_file_that_changes_while_it_is_packed_is_noticed() {
    let fixture = Fixture::official();
    let nominee = fixture.nominee().unwrap();
    let model = fixture.folder().join(format!("{STEM}.onnx"));
    let mut bytes = fs_err::read(&model).unwrap();
    bytes[1000] ^= 1;
    fs_err::write(&model, &bytes).unwrap();
    let output = fixture.program.path("output");
    let error = package(&nominee, &fixture.workspace(), None, false, &output).unwrap_err();
    assert!(format!("{error:#}").contains("changed while it was packed"), "{error:#}");
    assert_eq!(fs_err::read_dir(output).unwrap().count(), 0, "something half-written is left");
}
