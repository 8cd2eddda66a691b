//! How the operators become known to a process.

use super::*;

#[test]
fn a_model_with_operators_of_a_later_version_names_this_crate() {
    let runtime = common::runtime();
    let expected = ErrorKind::OperatorsMissing { model: "later".into(), version: env!("CARGO_PKG_VERSION") };
    let unheard = start().node("ai.kokoro:Unheard", &["x"], "out", &[]).output("out").model(2);
    let error =
        probe::Graph::from_bytes(&runtime, "later", &unheard, &SynthesizerOptions::default()).unwrap_err();
    assert_eq!(error.kind(), &expected);
    assert!(error.source().unwrap().to_string().contains("ai.kokoro:Unheard"), "the runtime says which");
    // What the metadata of an artifact says, is refused before the runtime sees the model.
    let model = fused(start(), "none", false).model(3);
    for (version, is_known) in [(1, true), (2, true), (3, false)] {
        let options = SynthesizerOptions::for_artifact(&metadata(version));
        let loaded = probe::Graph::from_bytes(&runtime, "later", &model, &options);
        assert_eq!(loaded.err().map(|error| error.kind().clone()), (!is_known).then(|| expected.clone()));
    }
}

/// The metadata of an artifact that needs `version` of the domain.
fn metadata(version: i64) -> Metadata {
    let digest = "0".repeat(64);
    let metadata = serde_json::json!({
        "name": "later.onnx", "scheme": "fused-int8", "sha256": digest, "bytes": 1,
        "base": { "name": "base", "sha256": digest, "bytes": 1, "kind": "local" },
        "recipe_sha256": digest, "plan_sha256": null, "tool_version": "0", "onnx_ir": 9,
        "onnx_opset": [{ "domain": "", "version": 20 }, { "domain": "ai.kokoro", "version": version }],
        "inputs": [], "outputs": [], "vocabulary_size": 178, "sample_rate": 24_000, "precisions": [],
        "session_options": [], "licence": "MIT", "attribution": "", "prepared": null,
    });
    serde_json::from_value(metadata).unwrap()
}

#[test]
fn instructions_that_this_processor_lacks_are_refused() {
    let runtime = common::runtime();
    for set in InstructionSet::ALL.into_iter().filter(|set| !set.is_available()) {
        let options = SynthesizerOptions::default().instruction_set(set);
        let error = probe::Graph::from_bytes(&runtime, "operators", &start().model(2), &options).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("no kernels `{set}` for this processor, expected `portable`")),
            "{message}"
        );
    }
}

/// A process of its own, in which the test `name` finds `CHILD` set; a process loads one runtime.
fn child(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .env("KOKORO_ONNXRUNTIME", common::library());
    command
}

/// The variable that says that this process is one of [`child`].
const CHILD: &str = "KOKORO_TEST_CHILD";

#[test]
fn the_first_sessions_of_a_process_may_be_made_all_at_once() {
    const SESSIONS: usize = 16;
    if std::env::var_os(CHILD).is_some() {
        let runtime = Runtime::load().unwrap();
        let model = fused(start(), "snake", true).model(2);
        let barrier = Barrier::new(SESSIONS);
        let options = SynthesizerOptions::default().threads(1);
        std::thread::scope(|scope| {
            for _ in 0..SESSIONS {
                scope.spawn(|| {
                    barrier.wait();
                    probe::Graph::from_bytes(&runtime, "one of many", &model, &options).unwrap();
                });
            }
        });
        println!("all were made");
        return;
    }
    // Threads that do not meet prove nothing, so there is more than one try.
    for attempt in 0..8 {
        let output =
            child("registration::the_first_sessions_of_a_process_may_be_made_all_at_once").output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success() && said[0].contains("all were made"), "{attempt}: {said:?}");
    }
}

#[test]
fn the_environment_names_the_kernels() {
    if std::env::var_os(CHILD).is_some() {
        match Runtime::load() {
            Ok(runtime) => println!("{runtime:?}"),
            Err(error) => println!("{error}"),
        }
        return;
    }
    let best = InstructionSet::ALL.into_iter().rfind(|set| set.is_available()).unwrap();
    for (name, expected) in [
        ("portable", "Kernels(Portable)".to_owned()),
        ("", format!("Kernels({best:?})")),
        ("sse", "no kernels `sse` for this processor, expected `portable`".to_owned()),
    ] {
        let output = child("registration::the_environment_names_the_kernels")
            .env("KOKORO_MODEL_KERNELS", name)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(&expected), "`{name}`: {said}");
    }
}
