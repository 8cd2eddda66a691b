use std::path::Path;

use super::*;
use crate::digest::Digest;
use crate::gates::{Check, Report};
use crate::results::{CoremlResult, GateResults, ProviderGates, ProviderModel, Taken, Unavailable};

use ExecutionProvider::{CoreMl, Cpu, OpenVino, WebGpu};

/// The committed recipe with these preferences for other providers.
fn recipe() -> Recipe {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let mut recipe = Recipe::load(&models.join("kokoro-v1.0.toml")).unwrap();
    let lists = [(CoreMl, [COREML, WEIGHTS]), (OpenVino, [STATIC, WEIGHTS]), (WebGpu, [STATIC, WEIGHTS])];
    let names = |list: [SchemeName; 2]| list.map(|scheme| scheme.as_str().to_owned()).to_vec();
    recipe.choose_for = lists.map(|(provider, list)| (provider, names(list))).into();
    recipe
}

/// A report of each of these gates, of which those in `refusing` say no.
fn gates(gates: &[Gate], refusing: &[Gate]) -> GateResults {
    let of = |gate: Gate| {
        let wrong = f64::from(u8::from(refusing.contains(&gate)));
        gates.contains(&gate).then(|| Report::new(gate, vec![Check::at_most("wrong", wrong, 0.0, "")]))
    };
    GateResults {
        provider: of(Gate::Provider),
        smoke: of(Gate::Smoke),
        fidelity: of(Gate::Fidelity),
        bench: of(Gate::Bench),
        spoken: Vec::new(),
    }
}

/// Results of these candidates, all of which passed on the CPU.
fn results(schemes: &[SchemeName]) -> Results {
    let mut results = crate::results::tests::results();
    let any = results.candidates.remove("weights-int8").unwrap();
    let candidate = |scheme: &SchemeName| {
        let gates = gates(&Gate::REQUIRED, &[]);
        (scheme.as_str().to_owned(), crate::results::CandidateResult { gates, ..any.clone() })
    };
    results.candidates = schemes.iter().map(candidate).collect();
    results
}

fn on(provider: ExecutionProvider, models: &[(&str, GateResults)]) -> (ExecutionProvider, ProviderResult) {
    let model = |(name, gates): &(&str, GateResults)| {
        let model = ProviderModel {
            sha256: Digest::of(b"model"),
            gates: gates.clone(),
            fidelity: None,
            benchmark: None,
            speed_ratio: None,
            over_cpu: None,
        };
        ((*name).to_owned(), model)
    };
    let models = models.iter().map(model).collect();
    (provider, ProviderResult::Available(ProviderGates { available: true, setting: String::new(), models }))
}

fn taken(taken: usize, partitions: usize) -> CoremlResult {
    let ml_program = Taken { nodes: 100, taken, partitions };
    CoremlResult { predicted: true, ml_program, neural_network: ml_program, decoder: None }
}

#[track_caller]
fn expect(results: &Results, among: &[SchemeName], expected: &[(ExecutionProvider, SchemeName, Evidence)]) {
    let found = choices(&recipe(), results, among);
    let expected: BTreeMap<_, _> = expected
        .iter()
        .map(|(provider, scheme, evidence)| {
            (*provider, Choice { scheme: scheme.as_str().to_owned(), evidence: *evidence })
        })
        .collect();
    assert_eq!(found, expected);
}

const FUSED: SchemeName = SchemeName::FusedInt8;
const STATIC: SchemeName = SchemeName::StaticInt8;
const WEIGHTS: SchemeName = SchemeName::WeightsInt8;
const COREML: SchemeName = SchemeName::CoremlInt8;

#[test]
fn the_first_that_passed_is_chosen_for_the_cpu_and_nothing_for_others() {
    let schemes = [FUSED, STATIC, WEIGHTS];
    let mut results = results(&schemes);
    expect(&results, &schemes, &[(Cpu, FUSED, Evidence::Measured)]);
    expect(&results, &schemes[1..], &[(Cpu, STATIC, Evidence::Measured)]);
    results.candidates.get_mut("fused-int8").unwrap().gates = gates(&Gate::REQUIRED, &[Gate::Smoke]);
    results.candidates.get_mut("static-int8").unwrap().gates = gates(&[Gate::Provider], &[]);
    expect(&results, &schemes, &[(Cpu, WEIGHTS, Evidence::Measured)]);
    results.providers.insert(OpenVino, ProviderResult::Unavailable(Unavailable::new("no device")));
    expect(&results, &schemes, &[(Cpu, WEIGHTS, Evidence::Measured)]);
}

#[test]
fn coreml_is_chosen_for_by_prediction_and_told_so() {
    let schemes = [COREML, WEIGHTS];
    let mut results = results(&schemes);
    let base = results.base.name.clone();
    let cpu = (Cpu, WEIGHTS, Evidence::Measured);
    let mut predicted = |of_coreml, of_weights| {
        let of = [
            (base.clone(), taken(50, 7)),
            ("coreml-int8".into(), of_coreml),
            ("weights-int8".into(), of_weights),
        ];
        results.coreml = of.into();
        results.clone()
    };
    expect(&predicted(taken(90, 7), taken(50, 7)), &schemes, &[cpu, (CoreMl, COREML, Evidence::Predicted)]);
    expect(&predicted(taken(90, 8), taken(50, 7)), &schemes, &[cpu, (CoreMl, WEIGHTS, Evidence::Predicted)]);
    expect(&predicted(taken(49, 6), taken(50, 8)), &schemes, &[cpu]);
}

#[test]
fn what_was_measured_on_a_provider_decides_there() {
    let schemes = [FUSED, COREML, STATIC, WEIGHTS];
    let mut results = results(&schemes);
    let base = results.base.name.clone();
    let names = [base.as_str(), "coreml-int8", "weights-int8"];
    results.coreml = names.map(|name| (name.to_owned(), taken(50, 7))).into();
    let good = || gates(&[Gate::Smoke, Gate::Fidelity, Gate::Bench], &[]);
    let corrupt = || gates(&[Gate::Smoke, Gate::Fidelity, Gate::Bench], &[Gate::Fidelity]);
    results.providers = [
        on(CoreMl, &[("coreml-int8", corrupt()), ("weights-int8", good())]),
        on(OpenVino, &[("static-int8", good()), ("weights-int8", good())]),
        // One was not heard as a whole, the other never.
        on(WebGpu, &[("static-int8", gates(&[Gate::Smoke], &[]))]),
    ]
    .into();
    let measured = |provider, scheme| (provider, scheme, Evidence::Measured);
    let expected = [measured(Cpu, FUSED), measured(CoreMl, WEIGHTS), measured(OpenVino, STATIC)];
    expect(&results, &schemes, &expected);
}
