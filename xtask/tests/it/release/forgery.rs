//! A release that somebody changed and sealed again: every digest is right, and what it says is not.

use serde_json::{Value, json};
use xtask::digest::Digest;
use xtask::lock::Lock;
use xtask::release::{Against, verify};

use super::fixture::{Fixture, STEM, Unpacked, refusals};
use crate::support::models;

/// Changes a JSON file of a release as text that keeps the order of its keys.
fn edit(unpacked: &Unpacked, name: &str, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&unpacked.read(name)).unwrap();
    change(&mut value);
    unpacked.write(name, serde_json::to_vec_pretty(&value).unwrap());
}

/// Makes `chosen.json` fit the metadata that is there.
fn choose_again(unpacked: &Unpacked) {
    let sha256 = Digest::of(&unpacked.read(&format!("{STEM}.json"))).to_string();
    edit(unpacked, "chosen.json", |chosen| chosen["metadata_sha256"] = sha256.into());
}

/// Puts a value at a place in a document, which need not be there; `null` takes what is there away.
fn put(document: &mut Value, place: &str, value: Value) {
    let (parent, key) = place.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Array(all) if value.is_null() => drop(all.remove(key.parse().unwrap())),
        Value::Array(all) => all[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
}

/// A digest of nothing that there is.
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A file, a place in it, what is put there, and what is said then.
type Case = (&'static str, &'static str, Value, &'static str);

fn of_gates() -> Vec<Case> {
    let gates = "gates.json";
    vec![
        ("chosen.json", "/sha256", json!(ZEROS), "`chosen.json`: sha256: expected "),
        ("chosen.json", "/file", json!("other.onnx"), "`other.onnx`: is there: `chosen.json` names it"),
        ("chosen.json", "/file", json!("../other.onnx"), "`../other.onnx`: is there"),
        ("chosen.json", "/more", json!(1), "unknown field `more`"),
        ("chosen.json", "/providers/cpu/sha256", json!(ZEROS), "the artifact for cpu: expected"),
        ("chosen.json", "/providers/cpu/metadata_sha256", json!(ZEROS), "the metadata for cpu: expected"),
        ("chosen.json", "/providers/cpu/evidence", json!("hoped"), "unknown variant `hoped`"),
        (gates, "/artifact/sha256", json!(ZEROS), "the digest of the model: expected"),
        (gates, "/base/sha256", json!(ZEROS), "the digest of the base: expected"),
        (gates, "/recipe", json!(ZEROS), "the digest of the recipe: expected"),
        (gates, "/operators/Mul", json!(99), "`Mul`: expected "),
        (gates, "/operators/Conv", json!(1), "`Conv`: expected 0 nodes, found 1"),
        (gates, "/smoke/pass", json!(false), "the smoke gate passed: "),
        (gates, "/provider/checks", json!([]), "the provider gate passed: "),
        (gates, "/smoke/checks/3/value", json!(1.0), "the smoke gate passed: "),
        (gates, "/fidelity/gate", json!("smoke"), "the fidelity gate passed: "),
        (gates, "/bench_passed", json!(false), "the bench gate passed: "),
        (gates, "/unofficial", json!("for fun"), "expected official, found unofficial, `for fun`"),
        (gates, "/version", json!(2), "its version: expected 1, found 2"),
        (gates, "/more", json!(1), "unknown field `more`"),
    ]
}

fn of_bill_and_provenance() -> Vec<Case> {
    let (bom, provenance) = ("bom.cdx.json", "provenance.intoto.json");
    let model = "the digest of `clear.weights-int8.onnx`: expected";
    let prepared = "the digest of `clear.weights-int8.prepared`: expected";
    let metadata = "the digest of `clear.weights-int8.json`: expected";
    let dependency = "/predicate/buildDefinition/resolvedDependencies/1";
    let [digest, name] = [
        "/predicate/buildDefinition/resolvedDependencies/1/digest/sha256",
        "/predicate/buildDefinition/resolvedDependencies/1/name",
    ];
    vec![
        (bom, "/metadata/component/hashes/0/content", json!(ZEROS), model),
        (bom, "/components/0/hashes/0/content", json!(ZEROS), prepared),
        (bom, "/components/1", Value::Null, metadata),
        (
            bom,
            "/metadata/component/pedigree/ancestors/0/hashes/0/content",
            json!(ZEROS),
            "the digest of the base: expected",
        ),
        (
            bom,
            "/metadata/component/licenses/0/expression",
            json!("MIT"),
            "the licence: expected LicenseRef-not-stated, found MIT",
        ),
        (bom, "/metadata/component/properties", json!([]), "counts the operators of the model: `"),
        (bom, "/metadata/component/type", json!("file"), "the kind of the model"),
        (bom, "/specVersion", json!("1.5"), "its format: expected CycloneDX 1.6, found CycloneDX 1.5"),
        (provenance, "/subject/0/digest/sha256", json!(ZEROS), model),
        (provenance, "/subject/2", Value::Null, "how many files it is about: expected 3, found 2"),
        (provenance, digest, json!(ZEROS), "`recipe`: expected"),
        (provenance, name, json!("x"), "`x` is not in the lock"),
        (provenance, dependency, Value::Null, "`recipe`: expected"),
        (provenance, "/predicate/buildDefinition/internalParameters/tool", json!("9"), "the tool: expected"),
    ]
}

#[test]
fn documents_that_are_not_of_the_model_are_found_out() {
    let fixture = Fixture::official();
    let unpacked = fixture.unpacked(None);
    for (file, place, value, message) in of_gates().into_iter().chain(of_bill_and_provenance()) {
        let before = unpacked.read(file);
        edit(&unpacked, file, |document| put(document, place, value));
        assert!(unpacked.read(file) != before, "{file}, {place}: nothing was changed");
        unpacked.seal();
        let said = refusals(&unpacked.verdict());
        assert!(said.contains(message), "{file}, {place}: {said}");
        assert!(!said.contains("in `SHA256SUMS`"), "not sealed: {said}");
        unpacked.write(file, before);
        unpacked.seal();
    }
    assert_eq!(refusals(&unpacked.verdict()), "");
}

#[test]
fn metadata_that_is_not_of_the_model_is_found_out() {
    let model = "`clear.weights-int8.onnx`";
    let cases: [(&str, Value, String); 14] = [
        ("/sha256", json!(ZEROS), format!("{model}: sha256 of the metadata: expected 0000")),
        ("/bytes", json!(1), format!("{model}: size: expected 1")),
        ("/onnx_opset/0/version", json!(1), format!("`onnx_opset` is that of {model}")),
        ("/onnx_ir", json!(3), format!("`onnx_ir` is that of {model}: expected 9, found 3")),
        ("/inputs/0/name", json!("text"), format!("`inputs` is that of {model}")),
        ("/outputs/0/element_type", json!("int8"), format!("`outputs` is that of {model}")),
        ("/vocabulary_size", json!(179), "expected 178, found 179".to_owned()),
        ("/precisions/0/tensors", json!(99), format!("`precisions` is that of {model}")),
        ("/sample_rate", json!(8000), "`sample_rate`: expected 24000, found 8000".to_owned()),
        ("/name", json!("other.onnx"), format!("`name`: expected {model}, found `other.onnx`")),
        ("/scheme", json!("int4"), "`name`: expected `clear.int4.onnx`".to_owned()),
        (
            "/prepared/sha256",
            json!(ZEROS),
            "`clear.weights-int8.prepared`: sha256 of the metadata".to_owned(),
        ),
        ("/licence", json!(""), "`licence` is empty".to_owned()),
        ("/more", json!(1), "unknown field `more`".to_owned()),
    ];
    let fixture = Fixture::official();
    let unpacked = fixture.unpacked(None);
    let json = format!("{STEM}.json");
    let (metadata, chosen) = (unpacked.read(&json), unpacked.read("chosen.json"));
    for (what, value, message) in cases {
        edit(&unpacked, &json, |document| put(document, what, value));
        let alone =
            refusals(&verify(&unpacked.path().join(format!("{STEM}.onnx")), Against::default()).unwrap());
        assert!(alone.contains(&message), "{what}, alone: {alone}");
        choose_again(&unpacked);
        unpacked.seal();
        let said = refusals(&unpacked.verdict());
        assert!(said.contains(&message), "{what}: {said}");
        unpacked.write(&json, &metadata);
        unpacked.write("chosen.json", &chosen);
    }
    let alone = verify(&unpacked.path().join(format!("{STEM}.onnx")), Against::default()).unwrap();
    assert_eq!(refusals(&alone), "");
}

#[test]
fn a_mark_that_was_taken_away_is_missed_and_one_too_many_is_seen() {
    let fixture = Fixture::of_kind("restored");
    let unpacked = fixture.unpacked(None);
    let all = unpacked.files();
    let text = |name: &str| String::from_utf8(all[name].clone()).unwrap();
    let restore = || all.iter().for_each(|(name, bytes)| unpacked.write(name, bytes));

    fs_err::remove_file(unpacked.path().join("UNOFFICIAL.txt")).unwrap();
    unpacked.seal();
    assert!(
        refusals(&unpacked.verdict()).contains("`UNOFFICIAL.txt`: is there if the release is unofficial")
    );
    restore();
    unpacked.write("SHA256SUMS", text("SHA256SUMS").split_once('\n').unwrap().1);
    assert!(
        refusals(&unpacked.verdict())
            .contains("`SHA256SUMS`: says whether the release is official: expected unofficial")
    );
    restore();
    for (name, mark) in [
        ("report.html", "<strong>Unofficial. </strong>"),
        (
            "gates.json",
            "\"unofficial\": \"The base was rebuilt from the published INT8 model; it is not the published float model.\"",
        ),
        ("bom.cdx.json", "\"name\": \"kokoro-model:unofficial\""),
        (
            "provenance.intoto.json",
            ",\n        \"unofficial\": \"The base was rebuilt from the published INT8 model; it is not the published float model.\"",
        ),
    ] {
        assert!(text(name).contains(mark), "{name}");
        let without = match name {
            "gates.json" => "\"unofficial\": null",
            "bom.cdx.json" => "\"name\": \"kokoro-model:fine\"",
            _ => "",
        };
        unpacked.write(name, text(name).replacen(mark, without, 1));
        unpacked.seal();
        let said = refusals(&unpacked.verdict());
        assert!(
            said.contains(&format!("`{name}`: says whether the release is official: expected unofficial")),
            "{name}: {said}"
        );
        restore();
    }
    // An honest name in the metadata does not help either: all marks are of the other kind then.
    edit(&unpacked, &format!("{STEM}.json"), |it| it["base"]["kind"] = "official".into());
    choose_again(&unpacked);
    unpacked.seal();
    let said = refusals(&unpacked.verdict());
    for name in [
        "UNOFFICIAL.txt",
        "SHA256SUMS",
        "gates.json",
        "bom.cdx.json",
        "provenance.intoto.json",
        "report.html",
    ] {
        assert!(said.contains(&format!("`{name}`: ")), "{name}: {said}");
    }
}

#[test]
fn another_model_is_found_out_by_the_lock_of_the_checkout() {
    let fixture = Fixture::official();
    let own = fixture.locked();
    let unpacked = fixture.unpacked(None);
    let held = |unpacked: &Unpacked, lock: &Lock| {
        verify(&unpacked.path(), Against { lock: Some(lock), ..Against::default() }).unwrap()
    };
    assert_eq!(refusals(&held(&unpacked, &own)), "");
    let check = "is what the lock of this checkout has";
    // All of the release is consistent, and of another artifact than the checkout's.
    let mut other = own.clone();
    let artifact = other.base.get_mut("clear").unwrap().artifact.get_mut("weights-int8").unwrap();
    artifact.sha256 = Digest::of(b"another model");
    assert!(
        refusals(&held(&unpacked, &other)).contains(&format!("`{STEM}.onnx`: {check}: `sha256`: expected "))
    );
    // Another tool may make another artifact; that is said and is no refusal.
    other.tool = "0.0.0".into();
    let verdict = held(&unpacked, &other);
    assert_eq!(refusals(&verdict), "");
    let finding = verdict.findings.iter().find(|it| it.check == check).unwrap();
    assert_eq!(finding.detail, "it was made by another tool");
}

#[test]
fn a_lock_in_the_release_that_is_of_something_else_is_found_out() {
    let fixture = Fixture::official();
    let unpacked = fixture.unpacked(None);
    let name = "models/kokoro-v1.0.lock.toml";
    let text = String::from_utf8(unpacked.read(name)).unwrap();
    let lock = fixture.locked();
    for (what, before, message) in [
        ("tool", quantizer::VERSION.to_owned(), "`tool`: expected "),
        ("recipe", lock.recipe.to_string(), "`models/kokoro-v1.0.toml`: `recipe` of the lock"),
        ("corpus", lock.corpus.to_string(), "`models/corpus.toml`: `corpus` of the lock"),
        (
            "model",
            lock.base["clear"].artifact["weights-int8"].sha256.to_string(),
            "has the artifact: `sha256`",
        ),
        ("source", lock.sources["af_heart"].to_string(), "`af_heart`: expected"),
    ] {
        let other = if what == "tool" { "0.0.0".to_owned() } else { "0".repeat(64) };
        assert!(text.contains(&before), "{what}");
        unpacked.write(name, text.replacen(&before, &other, 1));
        unpacked.seal();
        let said = refusals(&unpacked.verdict());
        assert!(said.contains(message), "{what}: {said}");
    }
    unpacked.write(name, format!("colour = 1\n{text}"));
    unpacked.seal();
    assert!(refusals(&unpacked.verdict()).contains("unknown field `colour`"));
}

#[test]
fn operators_that_no_model_may_have_are_found_in_the_graph_itself() {
    let fixture = Fixture::official();
    let path = fixture.folder().join(format!("{STEM}.onnx"));
    for (operator, domain, message) in [
        ("ConvInteger", "", "has no ConvInteger: expected 0, found 1"),
        ("Loop", "", "has known operators only: found `Loop`"),
        ("Attack", "org.example", "has known operators only: found `org.example.Attack`"),
    ] {
        let mut model = quantizer::model::decode(fs_err::read(&path).unwrap().into()).unwrap();
        let mut node = quantizer::graph::node(operator, "more", &["audio"], &["nothing"]);
        node.domain = Some(domain.to_owned());
        models::graph(&mut model).node.push(node);
        let bytes = models::encode(&model);
        let changed = fixture.program.path(&format!("{STEM}.onnx"));
        fs_err::write(&changed, &bytes).unwrap();
        let mut metadata: Value =
            serde_json::from_slice(&fs_err::read(path.with_extension("json")).unwrap()).unwrap();
        metadata["sha256"] = Digest::of(&bytes).to_string().into();
        metadata["bytes"] = bytes.len().into();
        metadata["prepared"] = Value::Null;
        fs_err::write(changed.with_extension("json"), metadata.to_string()).unwrap();
        let said = refusals(&verify(&changed, Against::default()).unwrap());
        assert!(said.contains(message), "{operator}: {said}");
    }
}

#[test]
fn a_model_that_does_not_speak_is_refused_though_all_digests_are_right() {
    let fixture = Fixture::official();
    let silent = models::write(&models::silent_as_int8(), &fixture.program.path("clear.onnx"));
    let ended = fixture.program.run(&[
        "quantize",
        "--offline",
        "--artifacts",
        "silent",
        "--scheme",
        "weights-int8",
        "--only",
        "provider",
        "--model",
        &silent.display().to_string(),
    ]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let model = format!("silent/staged/{STEM}.onnx");
    let ended = fixture.program.run(&["verify", "--offline", "--no-smoke", &model]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(ended.output.contains("speaks: not asked for"), "{}", ended.output);
    let ended = fixture.program.run(&["verify", "--offline", "--json", &model]);
    assert_eq!(ended.code, Some(3));
    assert!(ended.errors.contains("`clear.weights-int8.onnx`: speaks: smoke gate"), "{}", ended.errors);
    let verdict: Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!(verdict["verified"], false);
}
