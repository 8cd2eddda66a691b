use super::*;
use crate::gates::Bound;
use crate::lock::{LockedArtifact, LockedBase, LockedRuntime};

fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

fn lock() -> Lock {
    let runtime =
        LockedRuntime { version: "1.26.0".into(), recipe: digest("runtime"), library: BTreeMap::new() };
    Lock {
        version: crate::lock::VERSION,
        tool: "0.1.0+tool".into(),
        recipe: digest("recipe"),
        plan: digest("plan"),
        corpus: digest("corpus"),
        proto: digest("proto"),
        proof: None,
        onnxruntime: runtime,
        sources: BTreeMap::new(),
        base: BTreeMap::new(),
    }
}

/// A full run in which every gate let both candidates pass.
fn results() -> Results {
    let mut results = crate::results::tests::results();
    let coreml: CoremlResult = serde_json::from_value(serde_json::json!({
        "predicted": true,
        "ml_program": {"nodes": 10, "taken": 8, "partitions": 2},
        "neural_network": {"nodes": 10, "taken": 7, "partitions": 3},
        "decoder": null,
    }))
    .unwrap();
    results.coreml.insert(results.base.name.clone(), coreml.clone());
    for (scheme, candidate) in &mut results.candidates {
        candidate.sha256 = digest(scheme);
        let passes =
            |gate| Some(Report::new(gate, vec![Check::at_most("a", 0.25, 1.0, "dB").with_detail("b")]));
        candidate.gates.smoke = passes(Gate::Smoke);
        candidate.gates.fidelity = passes(Gate::Fidelity);
        candidate.fidelity = Some(Fidelity::new(Vec::new(), &[], Vec::new()));
        results.coreml.insert(scheme.clone(), coreml.clone());
    }
    results.candidates.get_mut("linear-int8").unwrap().gates.provider = Some(size(70.0));
    results
}

fn size(mib: f64) -> Report {
    Report::new(Gate::Provider, vec![Check::at_most("size", mib, 80.0, "MiB")])
}

/// A change, and what is said of it.
type Change<T> = (&'static str, fn(&mut T));

fn part(scheme: &str) -> Part {
    let sha256 = digest(scheme);
    let locked = LockedArtifact { sha256, bytes: 7, prepared: digest("prepared"), metadata: digest("json") };
    Part::of(&results(), scheme, &lock(), locked).unwrap()
}

#[test]
fn a_part_has_every_check_with_its_margin() {
    let proved = part("weights-int8").proved;
    assert_eq!(proved.gates.keys().copied().collect::<Vec<_>>(), Gate::REQUIRED);
    let size = &proved.gates[&Gate::Provider][0];
    assert_eq!((size.value, size.threshold, size.margin), (79.0, 80.0, 1.0));
    let ratio = &proved.gates[&Gate::Bench][0];
    assert_eq!(ratio.bound, Bound::AtLeast);
    assert!((ratio.margin - (0.99 - 0.97)).abs() < 1e-12);
    // What is read of it again is what the gate said.
    let said = results().candidates["weights-int8"].gates.fidelity.clone();
    assert_eq!(proved.report(Gate::Fidelity), said);
    assert_eq!((proved.measured_on.onnxruntime.as_str(), proved.fidelity_threads), ("1.26.0", 1));
}

#[test]
fn what_was_not_measured_in_full_or_did_not_pass_proves_nothing() {
    let changes: [fn(&mut Results); 4] = [
        |it| it.full = false,
        |it| it.candidates.get_mut("weights-int8").unwrap().gates.smoke = None,
        |it| it.candidates.get_mut("weights-int8").unwrap().gates.provider = Some(size(80.5)),
        |it| {
            let measured_on = part("linear-int8").proved.measured_on;
            it.candidates.get_mut("weights-int8").unwrap().proved = Some(measured_on);
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut results = results();
        change(&mut results);
        assert!(Proved::of(&results, "weights-int8").is_none(), "change {number}");
    }
    assert!(Proved::of(&results(), "weights-int8").is_some());
}

#[test]
fn parts_of_two_machines_are_one_proof_whatever_their_order() {
    let parts = || vec![part("weights-int8"), part("linear-int8")];
    let joined = |parts: Vec<Part>| {
        let mut lock = lock();
        let mut proof = Proof::of(&lock);
        join(parts, &mut proof, &mut lock).map(|()| (proof, lock))
    };
    let (proof, lock) = joined(parts()).unwrap();
    assert_eq!(joined(parts().into_iter().rev().collect()).unwrap(), (proof.clone(), lock.clone()));
    let base = &lock.base["kokoro-v1.0"];
    assert_eq!(base.artifact.keys().collect::<Vec<_>>(), ["linear-int8", "weights-int8"]);
    for (scheme, artifact) in &base.artifact {
        assert_eq!(proof.find("kokoro-v1.0", base.sha256, scheme).unwrap().sha256, artifact.sha256);
    }
    assert!(proof.find("kokoro-v1.0", digest("another"), "linear-int8").is_none());

    let changes: [Change<Part>; 5] = [
        ("`tool`: expected 0.1.0+tool, found 0.2.0", |it| it.tool = "0.2.0".into()),
        ("`recipe_sha256`", |it| it.recipe_sha256 = digest("other")),
        ("`corpus_sha256`", |it| it.corpus_sha256 = digest("other")),
        ("`proved.sha256`", |it| it.locked.sha256 = digest("other")),
        ("`base.sha256`", |it| it.base.sha256 = digest("other")),
    ];
    for (text, change) in changes {
        let mut parts = parts();
        change(&mut parts[1]);
        let error = joined(parts).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 1);
        let message = format!("{error:#}");
        assert!(message.contains("the proof of `linear-int8`") && message.contains(text), "{message}");
    }
}

#[test]
fn a_proof_that_does_not_fit_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kokoro-v1.0.proof.json");
    let mut lock = lock();
    assert_eq!(Proof::read(&path, &lock).unwrap(), None, "a lock without artifacts needs no proof");

    let mut proof = Proof::of(&lock);
    join([part("weights-int8")], &mut proof, &mut lock).unwrap();
    lock.proof = Some(proof.write(&path).unwrap());
    assert_eq!(Proof::read(&path, &lock).unwrap(), Some(proof.clone()));

    let refused = |lock: &Lock, texts: &[&str]| {
        let error = Proof::read(&path, lock).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 1);
        let message = format!("{error:#}");
        for text in ["kokoro-v1.0.proof.json` is not the proof of the lock", "hint: "].iter().chain(texts) {
            assert!(message.contains(text), "no `{text}` in: {message}");
        }
    };
    // By hand, of a single figure.
    let text = fs_err::read_to_string(&path).unwrap();
    let edited = text.replacen("0.25", "0.24", 1);
    assert_ne!(edited, text);
    fs_err::write(&path, edited).unwrap();
    refused(&lock, &["expected sha256 "]);
    fs_err::remove_file(&path).unwrap();
    refused(&lock, &["found no file"]);

    // With its digest in the lock, but of something else.
    let changes: [Change<Proof>; 5] = [
        ("`recipe_sha256`: expected ", |it| it.recipe_sha256 = digest("other")),
        ("`corpus_sha256`: expected ", |it| it.corpus_sha256 = digest("other")),
        ("`tool`: expected ", |it| it.tool = "another".into()),
        ("it has no `weights-int8` of `kokoro-v1.0`", |it| it.base.clear()),
        ("`base.kokoro-v1.0.artifact.weights-int8.sha256`: expected ", |it| {
            let base = it.base.get_mut("kokoro-v1.0").unwrap();
            base.artifact.get_mut("weights-int8").unwrap().sha256 = digest("other");
        }),
    ];
    for (text, change) in changes {
        let mut other = proof.clone();
        change(&mut other);
        let lock = Lock { proof: Some(other.write(&path).unwrap()), ..lock.clone() };
        refused(&lock, &[text]);
    }
    // A lock that has one artifact more than was proved.
    lock.proof = Some(proof.write(&path).unwrap());
    let more = LockedBase { sha256: digest("b"), artifact: lock.base["kokoro-v1.0"].artifact.clone() };
    lock.base.insert("another".into(), more);
    refused(&lock, &["it has no `weights-int8` of `another`"]);
}
