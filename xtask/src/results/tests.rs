use serde_json::{Value, json};

use super::*;
use crate::gates::{Check, Gate, SentenceTime, Sound, Summary};

fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

fn benchmark(name: &str, avg_ms: f64, speed_ratio: Option<Interval>) -> Benchmark {
    let summary = Summary {
        avg_ms,
        p50_ms: 900.5,
        p95_ms: 1100.25,
        min_ms: 850.0,
        max_ms: 1200.0,
        throughput_qps: 1.1,
    };
    let sentences = vec![SentenceTime {
        id: "held-1".into(),
        audio_s: 4.0,
        p50_ms: 900.5,
        rtf: 0.225,
        times_ms: vec![900.5],
    }];
    Benchmark { name: name.into(), load_ms: 500.0, runs: 7, summary, rtf: 0.22, sentences, speed_ratio }
}

fn candidate(mib: f64, ratio: f64) -> CandidateResult {
    let interval = Interval { count: 7, median: ratio, low: 0.95, high: 1.05, confidence: 0.984_375 };
    let measured = benchmark("weights-int8", 910.0, Some(interval));
    CandidateResult {
        file: "kokoro-v1.0.weights-int8.onnx".into(),
        sha256: digest("candidate"),
        bytes: (mib * f64::from(1 << 20)) as u64,
        mib,
        size_reduction_percent: 74.5,
        operators: changes(&[("Conv".into(), 87)].into(), &[("Cast".into(), 4), ("Conv".into(), 87)].into()),
        precisions: [("int8".into(), PrecisionResult { tensors: 3, bytes: 81 })].into(),
        parts: BTreeMap::new(),
        gates: GateResults {
            provider: Some(Report::new(Gate::Provider, vec![Check::at_most("size", mib, 80.0, "MiB")])),
            smoke: None,
            fidelity: None,
            bench: Some(Report::new(Gate::Bench, vec![Check::at_least("speed_ratio", ratio, 0.97, "")])),
            spoken: vec![Spoken {
                id: "held-1".into(),
                voice: "af_heart".into(),
                speed: 0.7,
                phonemes: 40,
                seconds: 3.5,
                sound: Sound::of(&[0.5, -0.5]),
            }],
        },
        fidelity: None,
        benchmark: Some(ProviderBenchmarks::new(&measured)),
        speed_ratio: Some(interval),
        proved: None,
    }
}

fn unavailable(reason: &str) -> Contestant {
    Contestant::Unavailable(Unavailable { available: false, reason: reason.into() })
}

/// Two candidates, of which neither was put through all gates.
pub(crate) fn results() -> Results {
    Results {
        original_model_mb: 310.5,
        quant_model_mb: None,
        size_reduction_percent: None,
        original_benchmark: Some(ProviderBenchmarks::new(&benchmark("kokoro-v1.0", 1957.2, None))),
        quant_benchmark: None,
        chosen: None,
        chosen_for: BTreeMap::new(),
        base: BaseResult {
            name: "kokoro-v1.0".into(),
            sha256: digest("base"),
            bytes: 325_532_387,
            kind: BaseKind::Official,
            operators: [("Conv".into(), 87)].into(),
            precisions: [("float".into(), PrecisionResult { tensors: 3, bytes: 324 })].into(),
            parts: BTreeMap::new(),
        },
        candidates: [
            ("weights-int8".into(), candidate(79.0, 0.99)),
            ("linear-int8".into(), candidate(275.5, 1.02)),
        ]
        .into(),
        providers: BTreeMap::new(),
        coreml: BTreeMap::new(),
        contestants: [("published-int8".into(), unavailable("offline"))].into(),
        sentences: vec![SentenceText {
            id: "held-1".into(),
            language: Language::Fr,
            voice: "ff_siwis".into(),
            speed: 1.0,
            text: "Une phrase.".into(),
        }],
        benchmark: Some(BenchmarkSetting { threads: 2, warm_up: 1, rounds: 7 }),
        full: true,
        fidelity_threads: Some(1),
        host: Host::here(),
        runtime: RuntimeResult {
            version: "1.26.0".into(),
            sha256: digest("library"),
            origin: "cache".into(),
        },
        corpus_sha256: digest("corpus"),
        recipe_sha256: digest("recipe"),
    }
}

#[test]
fn what_is_written_is_read_back_and_nothing_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let mut first = results();
    first.write(&path).unwrap();
    assert_eq!(Results::read(&path).unwrap(), first);
    first.choose(Some("weights-int8"));
    first.write(&path).unwrap();
    assert_eq!(Results::read(&path).unwrap(), first);
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1, "a partial file was left behind");

    let unknown = fs_err::read_to_string(&path).unwrap().replace("\"chosen\"", "\"chosen_one\"");
    fs_err::write(&path, unknown).unwrap();
    assert!(Results::read(&path).is_err());
}

#[test]
fn what_other_gates_said_of_the_same_files_stays() {
    let mut earlier = results();
    earlier.candidates.get_mut("linear-int8").unwrap().sha256 = digest("another");
    // A run of the smoke gate alone.
    let only_smoke = || {
        let mut run = results();
        (run.original_benchmark, run.benchmark) = (None, None);
        run.contestants.clear();
        run.sentences[0].id = "held-2".into();
        for candidate in run.candidates.values_mut() {
            let smoke = Report::new(Gate::Smoke, vec![Check::at_least("rms", 0.1, 0.005, "")]);
            candidate.gates = GateResults { smoke: Some(smoke), ..GateResults::default() };
            (candidate.benchmark, candidate.speed_ratio) = (None, None);
        }
        run
    };
    let kept = |earlier: &Results, run: &[Gate]| {
        let mut results = only_smoke();
        results.keep(earlier.clone(), run);
        results
    };

    let found = kept(&earlier, &[Gate::Smoke]);
    let (same, another) = (&found.candidates["weights-int8"], &found.candidates["linear-int8"]);
    let known = &earlier.candidates["weights-int8"];
    assert_eq!(
        same.gates,
        GateResults {
            smoke: only_smoke().candidates["weights-int8"].gates.smoke.clone(),
            spoken: vec![],
            ..known.gates.clone()
        }
    );
    assert_eq!((&same.benchmark, same.speed_ratio), (&known.benchmark, known.speed_ratio));
    assert_eq!(*another, only_smoke().candidates["linear-int8"], "of another file");
    assert_eq!((&found.benchmark, &found.contestants), (&earlier.benchmark, &earlier.contestants));
    assert_eq!(found.original_benchmark, earlier.original_benchmark);
    assert_eq!(found.sentences[0].id, "held-2", "what the smoke gate recorded");

    // The bench gate was asked for and had nothing that runs: times of another run do not take its place.
    let found = kept(&earlier, &[Gate::Smoke, Gate::Bench]);
    assert_eq!((&found.benchmark, &found.candidates["weights-int8"].benchmark), (&None, &None));
    assert!(found.candidates["weights-int8"].gates.provider.is_some());
    assert_eq!(kept(&earlier, &[Gate::Provider]).sentences, earlier.sentences);

    let changes: [fn(&mut Results); 5] = [
        |it| it.base.sha256 = digest("other"),
        |it| it.recipe_sha256 = digest("other"),
        |it| it.corpus_sha256 = digest("other"),
        |it| it.runtime.sha256 = digest("other"),
        |it| it.host.cores += 1,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut other = earlier.clone();
        change(&mut other);
        assert_eq!(kept(&other, &[Gate::Smoke]), only_smoke(), "change {number}");
    }
}

#[test]
fn the_order_is_stable_and_the_reference_names_come_first() {
    let text = serde_json::to_string_pretty(&results()).unwrap();
    assert_eq!(text, serde_json::to_string_pretty(&results()).unwrap());
    let keys: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  \""))
        .filter_map(|line| line.split('"').next())
        .collect();
    assert_eq!(
        keys,
        [
            "original_model_mb",
            "quant_model_mb",
            "size_reduction_percent",
            "original_benchmark",
            "quant_benchmark",
            "chosen",
            "base",
            "candidates",
            "contestants",
            "sentences",
            "benchmark",
            "full",
            "fidelity_threads",
            "host",
            "runtime",
            "corpus_sha256",
            "recipe_sha256"
        ]
    );
}

#[test]
fn the_reference_names_say_what_they_said() {
    let mut results = results();
    results.choose(Some("weights-int8"));
    let json = serde_json::to_value(&results).unwrap();
    assert_eq!(json["original_model_mb"], 310.5);
    assert_eq!(json["quant_model_mb"], 79.0);
    assert_eq!(json["size_reduction_percent"], 74.5);
    let cpu = &json["quant_benchmark"]["providers"]["cpu"];
    assert_eq!(
        *cpu,
        json!({
            "available": true, "avg_ms": 910.0, "p50_ms": 900.5, "p95_ms": 1100.25, "min_ms": 850.0,
            "max_ms": 1200.0, "throughput_qps": 1.1, "rtf": 0.22, "runs": 7, "load_ms": 500.0,
            "sentences": [{"id": "held-1", "audio_s": 4.0, "p50_ms": 900.5, "rtf": 0.225, "times_ms": [900.5]}],
        })
    );
    assert_eq!(json["original_benchmark"]["providers"]["cpu"]["avg_ms"], 1957.2);
    for provider in ["coreml", "mps", "openvino", "webgpu"] {
        let other = &json["quant_benchmark"]["providers"][provider];
        assert_eq!(other["available"], false, "{provider}");
        assert!(other["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{provider}");
    }
    let candidate = &json["candidates"]["weights-int8"];
    assert_eq!(candidate["operators"]["Cast"], json!({"before": 0, "after": 4}));
    assert_eq!(
        candidate["gates"]["bench"]["checks"][0],
        json!({
            "name": "speed_ratio", "value": 0.99, "threshold": 0.97, "bound": "at-least", "unit": "",
            "pass": true, "detail": null,
        })
    );
    assert_eq!(candidate["gates"]["smoke"], Value::Null);
    assert_eq!(candidate["speed_ratio"]["median"], 0.99);
}

#[test]
fn without_a_choice_the_reference_fields_are_empty() {
    let mut results = results();
    results.choose(Some("linear-int8"));
    assert_eq!(results.quant_model_mb, Some(275.5));
    for nothing in [Some("static-int8"), None] {
        results.choose(nothing);
        let empty = (&results.quant_model_mb, &results.quant_benchmark, &results.chosen);
        assert_eq!(empty, (&None, &None, &None), "{nothing:?}");
    }
}

/// A model on another provider that says something else than the base.
fn corrupted(times: &ProviderBenchmarks) -> ProviderModel {
    let ProviderBenchmark::Measured(times) = times.providers[&ExecutionProvider::Cpu].clone() else {
        panic!()
    };
    let check = Check::at_most("snr_db.mean", 3.0, 1.0, "dB");
    let fidelity = Some(Report::new(Gate::Fidelity, vec![check]));
    ProviderModel {
        sha256: digest("candidate"),
        gates: GateResults { fidelity, ..GateResults::default() },
        fidelity: None,
        benchmark: Some(times),
        speed_ratio: None,
        over_cpu: None,
    }
}

#[test]
fn providers_are_written_where_they_were_asked_for_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let mut results = results();
    results.choose(Some("weights-int8"));
    results.write(&path).unwrap();
    assert!(!fs_err::read_to_string(&path).unwrap().contains("\n  \"providers\""));

    let cpu = results.candidates["weights-int8"].benchmark.clone().unwrap();
    let models = [("weights-int8".to_owned(), corrupted(&cpu))].into();
    let gates = ProviderGates { available: true, setting: "a device".into(), models };
    results.add_provider(ExecutionProvider::WebGpu, ProviderResult::Available(gates));
    let why = Unavailable::new("no device");
    results.add_provider(ExecutionProvider::OpenVino, ProviderResult::Unavailable(why));
    results.choose(Some("weights-int8"));
    results.write(&path).unwrap();
    assert_eq!(Results::read(&path).unwrap(), results);

    let json = serde_json::to_value(&results).unwrap();
    assert_eq!(json["providers"]["openvino"], json!({"available": false, "reason": "no device"}));
    let gate = &json["providers"]["webgpu"]["models"]["weights-int8"]["gates"]["fidelity"];
    assert_eq!(gate["pass"], false);
    let speeds = &json["quant_benchmark"]["providers"];
    assert_eq!((&speeds["webgpu"]["avg_ms"], &speeds["cpu"]["avg_ms"]), (&json!(910.0), &json!(910.0)));
    assert_eq!(speeds["openvino"]["reason"], "no device");
    assert_eq!(json["original_benchmark"]["providers"]["webgpu"]["available"], false);
    assert_eq!(
        results.provider_failures(),
        [
            "fidelity gate, `weights-int8@webgpu`: `snr_db.mean` is 3 dB, expected at most 1 dB, missed by 2 dB (200 %)"
        ]
    );
    assert!(results.clone().without_timings().providers.is_empty());

    // A run of single gates that asks for no provider leaves what is known of the same files.
    let mut run = self::results();
    run.keep(results.clone(), &[Gate::Smoke]);
    assert_eq!(run.providers, results.providers);
    let mut run = self::results();
    run.candidates.get_mut("weights-int8").unwrap().sha256 = digest("another");
    run.candidates.get_mut("linear-int8").unwrap().sha256 = digest("another");
    run.keep(results.clone(), &[Gate::Smoke]);
    assert_eq!(run.providers.keys().collect::<Vec<_>>(), [&ExecutionProvider::OpenVino]);
}
