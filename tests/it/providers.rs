//! Execution providers that cannot be had: an error that says why, and the CPU still speaks for itself.
#![cfg(feature = "ort")]

use std::error::Error as _;

use crate::common;
use kokoro_model::{
    CoreMlFormat, CoreMlUnits, ErrorKind, Provider, Runtime, Synthesizer, SynthesizerOptions,
};

fn coreml() -> Provider {
    Provider::CoreMl { format: CoreMlFormat::MlProgram, units: CoreMlUnits::All }
}

#[test]
fn the_cpu_is_there_and_the_default() {
    let runtime = common::runtime();
    assert_eq!(Provider::default(), Provider::Cpu);
    Provider::Cpu.check(&runtime).unwrap();
    assert_eq!(Provider::Cpu.name(), "CPUExecutionProvider");
}

#[test]
#[cfg_attr(target_os = "macos", ignore = "a Mac has CoreML")]
fn coreml_says_why_there_is_none_and_how_to_get_it() {
    let runtime = common::runtime();
    let options = SynthesizerOptions::default().provider(coreml());
    let of_a_model = Synthesizer::from_bytes(&runtime, b"not read", &options).unwrap_err();
    for error in [coreml().check(&runtime).unwrap_err(), of_a_model] {
        let ErrorKind::ProviderUnavailable { provider, reason, hint } = error.kind() else {
            panic!("{error}")
        };
        assert_eq!(provider, "CoreMLExecutionProvider");
        assert!(reason.contains("this build of ONNX Runtime") && hint.contains("Mac"), "{error}");
    }
}

/// In a runtime that has it built in, it computes; any other says where there is one.
#[test]
fn openvino_is_built_in_or_says_how_to_get_it() {
    let runtime = common::runtime();
    assert!(Provider::Cpu.is_built_in(&runtime));
    if Provider::OpenVino.is_built_in(&runtime) {
        Provider::OpenVino.check(&runtime).unwrap();
        return;
    }
    let options = SynthesizerOptions::default().threads(2).provider(Provider::OpenVino);
    let of_a_model = Synthesizer::from_bytes(&runtime, b"not read", &options).unwrap_err();
    for error in [Provider::OpenVino.check(&runtime).unwrap_err(), of_a_model] {
        let ErrorKind::ProviderUnavailable { provider, reason, hint } = error.kind() else {
            panic!("{error}")
        };
        assert_eq!(provider, "OpenVINOExecutionProvider");
        assert!(
            reason.contains("this build of ONNX Runtime") && hint.contains("onnxruntime-openvino"),
            "{error}"
        );
    }
}

#[test]
fn a_file_that_is_no_plugin_is_refused_and_leaves_the_runtime_as_it_was() {
    let runtime = common::runtime();
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.so");
    let text = folder.path().join("text.so");
    fs_err::write(&text, "this is no library").unwrap();
    // A library, but of another kind: it has no `CreateEpFactories`.
    let library = common::library();
    for path in [missing, text, library] {
        let error = runtime.register_plugin(&path).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotAPlugin { .. }), "{error}");
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(error.to_string().contains(&file), "{error}");
        assert!(error.source().is_some(), "what the system or the runtime said: {error}");
    }
    Provider::Cpu.check(&runtime).unwrap();
}

/// With a plugin at hand: it has a device that computes, or says why it has none, and the same when it is asked again.
#[test]
fn a_plugin_has_a_device_or_says_why_not() {
    let Some(path) = std::env::var_os("KOKORO_TEST_PLUGIN") else {
        println!("skipped: `KOKORO_TEST_PLUGIN` names no plugin library");
        return;
    };
    let runtime: Runtime = common::runtime();
    let [first, second] = [0, 1].map(|_| runtime.register_plugin(&path));
    match (first, second) {
        (Ok(plugin), Ok(again)) => {
            assert_eq!(plugin, again);
            assert!(
                !plugin.device().is_empty() && plugin.name().ends_with("ExecutionProvider"),
                "{plugin:?}"
            );
            if let Err(error) = Provider::Plugin(plugin).check(&runtime) {
                assert!(matches!(error.kind(), ErrorKind::ProviderUnavailable { .. }), "{error}");
            }
        }
        (Err(error), Err(again)) => {
            let ErrorKind::ProviderUnavailable { reason, .. } = error.kind() else { panic!("{error}") };
            assert!(reason.contains("offers no device") && reason.contains("CPU"), "{error}");
            assert_eq!(error.kind(), again.kind());
        }
        (first, second) => panic!("{first:?}, then {second:?}"),
    }
}
