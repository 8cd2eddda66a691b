//! The main job on other execution providers, with a small model.

use std::path::PathBuf;

use crate::support::checkout::Checkout;
use kokoro_model::Provider;
use xtask::commands::quantize::QuantizeArgs;
use xtask::failure::exit_code;
use xtask::gates::ExecutionProvider;
use xtask::providers::ProviderArgs;
use xtask::results::{ProviderBenchmark, ProviderResult, Results};
use xtask::scheme::SchemeName;

/// A checkout that has made `weights-int8`, and the arguments that make it again on these providers.
fn made(providers: ProviderArgs) -> (Checkout, QuantizeArgs) {
    let checkout = Checkout::having_made(&[SchemeName::WeightsInt8], 1);
    let mut args =
        QuantizeArgs { runs: Some(1), providers, ..Checkout::arguments(&[SchemeName::WeightsInt8]) };
    args.base.base = None;
    args.base.model = Some(checkout.path("clear.onnx"));
    (checkout, args)
}

fn results(checkout: &Checkout) -> Results {
    Results::read(&checkout.artifacts().results()).unwrap()
}

#[test]
#[cfg_attr(target_os = "macos", ignore = "a Mac has CoreML")]
fn what_cannot_be_had_is_told_and_changes_nothing_else() {
    use ExecutionProvider::{CoreMl, Cpu, Mps, OpenVino};
    let providers = ProviderArgs { providers: vec![Cpu, Mps, CoreMl, OpenVino], ..ProviderArgs::default() };
    let (checkout, mut args) = made(providers);
    let before = results(&checkout);
    assert!(before.providers.is_empty());
    args.sources.offline = true;
    checkout.quantize(&args).unwrap();
    let after = results(&checkout);
    assert_eq!((&after.chosen, &after.base), (&before.chosen, &before.base));
    assert_eq!(after.providers.keys().copied().collect::<Vec<_>>(), [CoreMl, Mps, OpenVino]);
    for (provider, part) in [(CoreMl, "Mac"), (Mps, "no release"), (OpenVino, "onnxruntime-ep-openvino")] {
        let ProviderResult::Unavailable(why) = &after.providers[&provider] else { panic!("{provider}") };
        assert!(why.reason.contains(part) && !why.reason.contains('\n'), "{}", why.reason);
        let benchmarks = after.candidates["weights-int8"].benchmark.as_ref().unwrap();
        assert_eq!(benchmarks.providers[&provider], ProviderBenchmark::Unavailable(why.clone()));
    }
    let page = fs_err::read_to_string(checkout.artifacts().report()).unwrap();
    assert!(page.contains("no release of ONNX Runtime has an MPS provider"));

    args.providers.providers = vec![OpenVino];
    args.providers.libraries = vec![(OpenVino, checkout.path("clear.onnx"))];
    let error = checkout.quantize(&args).unwrap_err();
    assert_eq!(exit_code(&error), 2, "{error:#}");
    assert!(format!("{error:#}").contains("is not a plugin library"), "{error:#}");
}

/// With an ONNX Runtime that has OpenVINO built in, that is the one that is measured, and no plugin is looked for.
#[test]
fn the_built_in_openvino_is_preferred() {
    use ExecutionProvider::OpenVino;
    let (checkout, mut args) = made(ProviderArgs { providers: vec![OpenVino], ..ProviderArgs::default() });
    let workspace = checkout.workspace();
    let fetcher = workspace.fetcher(&args.sources).unwrap();
    let (runtime, _) = workspace.runtime(&fetcher).unwrap();
    if !Provider::OpenVino.is_built_in(&runtime) {
        println!("skipped: `KOKORO_TEST_ONNXRUNTIME` names no ONNX Runtime with OpenVINO built in");
        return;
    }
    let outcome = checkout.quantize(&args);
    let results = results(&checkout);
    let ProviderResult::Available(gates) = &results.providers[&OpenVino] else {
        panic!("{:?}", results.providers[&OpenVino])
    };
    assert_eq!(
        gates.setting,
        "OpenVINOExecutionProvider, built in, CPU, FP32, the shape of the STFT declared"
    );
    assert_eq!(gates.models.keys().collect::<Vec<_>>(), [&results.base.name, "weights-int8"]);
    assert_eq!(outcome.is_err(), !results.provider_failures().is_empty());

    // A library that the user names goes before it.
    args.providers.libraries = vec![(OpenVino, checkout.path("clear.onnx"))];
    let error = checkout.quantize(&args).unwrap_err();
    assert!(format!("{error:#}").contains("is not a plugin library"), "{error:#}");
}

/// With a plugin of WebGPU and a device for it, software will do.
#[test]
fn the_gates_are_run_on_a_plugin() {
    let Some(library) = std::env::var_os("KOKORO_TEST_PLUGIN").map(PathBuf::from) else {
        println!("skipped: `KOKORO_TEST_PLUGIN` names no plugin library");
        return;
    };
    let provider = ExecutionProvider::WebGpu;
    let libraries = vec![(provider, library)];
    let (checkout, args) =
        made(ProviderArgs { providers: vec![provider], libraries, ..ProviderArgs::default() });
    let outcome = checkout.quantize(&args);
    let results = results(&checkout);
    let ProviderResult::Available(gates) = &results.providers[&provider] else {
        panic!("{:?}", results.providers[&provider])
    };
    assert_eq!(gates.models.keys().collect::<Vec<_>>(), [&results.base.name, "weights-int8"]);
    for (name, model) in &gates.models {
        assert!(model.gates.provider.is_none() && model.gates.smoke.is_some(), "{name}");
        let speaks = model.gates.smoke.as_ref().is_some_and(|report| report.pass);
        assert_eq!(model.gates.fidelity.is_some(), speaks, "{name}");
        assert_eq!(model.over_cpu.is_some(), speaks, "{name}");
        println!("{name}: {:?}", model.failures(name));
    }
    // A refusal there ends the run with a no, and leaves the choice to the CPU's gates.
    assert_eq!(outcome.is_err(), !results.provider_failures().is_empty());
    assert_eq!(results.chosen.as_deref(), Some("weights-int8"));
}
