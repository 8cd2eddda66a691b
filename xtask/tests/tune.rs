//! From a base to a plan and from a plan to an artifact, as the user does it, with a model that has one convolution.

mod support;

use std::path::PathBuf;

use kokoro_model::Metadata;
use support::models;
use support::program::{Ended, Program, users_cache};
use xtask::digest::Digest;
use xtask::environment::Environment;
use xtask::fetch::SourceArgs;
use xtask::files::read_json;
use xtask::plan::Plan;
use xtask::recipe::Recipe;
use xtask::tune::{Pareto, State};

const ARTIFACT: &str = "artifacts/staged/convolved.static-int8";

/// A program that finds ONNX Runtime and the voices of the corpus, and `convolved.onnx`.
///
/// The user's own cache is used, so only the first run downloads.
fn equipped() -> Program {
    let models = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models");
    let recipe = Recipe::load(&models.join("kokoro-v1.0.toml")).unwrap();
    let environment = Environment { ort_dylib_path: None, ..Environment::read() };
    let fetcher = SourceArgs::default().fetcher(&environment).unwrap();
    fetcher.voices(&recipe, recipe.voice_names()).unwrap();
    let program = Program::with_cache(users_cache());
    models::write(&models::convolved(), &program.path("convolved.onnx"));
    program
}

/// Quantizes the model by `static-int8`, and runs the provider gate.
fn quantize(program: &Program, more: &[&str]) -> Ended {
    let arguments = ["quantize", "--offline", "--artifacts", "artifacts", "--model", "convolved.onnx"];
    program.run(&[&arguments[..], &["--scheme", "static-int8", "--only", "provider"], more].concat())
}

#[track_caller]
fn expect(ended: &Ended, code: i32, texts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.errors);
    for text in texts {
        assert!(ended.errors.contains(text), "no `{text}` in: {}", ended.errors);
    }
}

/// The digest of the artifact's plan, and how many of its nodes are of `operator`.
fn made(program: &Program, operator: &str) -> (String, usize) {
    let path = program.path(ARTIFACT);
    let metadata: Metadata = read_json(&path.with_extension("static-int8.json")).unwrap();
    let bytes = fs_err::read(path.with_extension("static-int8.onnx")).unwrap();
    let model = quantizer::model::decode(bytes.into()).unwrap();
    let graph = quantizer::model::graph(&model).unwrap();
    let count = graph.node.iter().filter(|node| node.op_type() == operator).count();
    (metadata.plan_sha256.unwrap().into_owned(), count)
}

#[test]
fn a_plan_is_made_once_and_quantize_follows_it() {
    let program = equipped();
    let tune =
        ["tune", "--offline", "--model", "convolved.onnx", "--output", "small.plan.toml", "--no-search"];
    let ended = program.run(&[&tune[..], &["--artifacts", "artifacts"]].concat());
    expect(&ended, 0, &["calibrating, ranges: 26 of 26", "calibrating, clipping: 26 of 26"]);
    assert!(ended.output.contains("1 convolutions, 2 values measured over 26 sentences"), "{}", ended.output);
    let path = program.path("small.plan.toml");
    let plan = Plan::load(&path).unwrap();
    assert_eq!(plan.convolutions, ["/mix/Conv"]);
    // Uniform noise up to 0.2, of which hardly any is worth clipping.
    for channel in plan.ranges.of("channelled", 8).unwrap() {
        assert!((0.15..=0.2).contains(&channel.high) && (-0.2..=-0.15).contains(&channel.low), "{channel:?}");
        assert!((channel.mean_square - 0.04 / 3.0).abs() < 0.0015, "{channel:?}");
    }

    let by_plan = ["--plan", "small.plan.toml"];
    expect(&quantize(&program, &by_plan), 0, &["made `convolved.static-int8.onnx`"]);
    let first = Digest::of_file(&path).unwrap().to_string();
    assert_eq!(made(&program, "QLinearConv"), (first.clone(), 1));
    expect(&quantize(&program, &by_plan), 0, &["`convolved.static-int8.onnx` is up to date"]);

    // Another plan is another artifact, whatever else is the same.
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, text.replace("    \"/mix/Conv\",\n", "")).unwrap();
    expect(&quantize(&program, &by_plan), 0, &["made `convolved.static-int8.onnx`"]);
    let (second, convolutions) = made(&program, "QLinearConv");
    assert!(second != first && convolutions == 0, "{second}: {convolutions}");

    fs_err::write(&path, text.replace("/mix/Conv", "/mix/Gemm")).unwrap();
    let texts = ["`static` of the plan", "expected 1 convolutions, found 0"];
    expect(&quantize(&program, &by_plan), 2, &texts);

    let mut lacking = plan.clone();
    lacking.ranges.values.remove("mixed");
    lacking.write(&path).unwrap();
    expect(&quantize(&program, &by_plan), 4, &["tensor `mixed`: expected calibrated ranges, found none"]);
    let mut fewer = plan;
    fewer.ranges.values.get_mut("channelled").unwrap().pop();
    fewer.write(&path).unwrap();
    expect(
        &quantize(&program, &by_plan),
        4,
        &["tensor `channelled`: expected ranges of 8 channels, found 7"],
    );
}

/// Searches the plan of a model of which one convolution of three can be INT8.
fn search(program: &Program, more: &[&str]) -> Ended {
    let arguments = ["tune", "--offline", "--artifacts", "artifacts", "--model", "offset.onnx"];
    program.run(&[&arguments[..], &["--output", "offset.plan.toml"], more].concat())
}

#[test]
fn a_search_leaves_out_what_is_heard_and_goes_on_where_it_was() {
    let program = equipped();
    models::write(&models::offset(), &program.path("offset.onnx"));
    let kept = || {
        let read = |name: &str| fs_err::read_to_string(program.path(name)).unwrap();
        (read("artifacts/tune/offset.json"), Plan::load(&program.path("offset.plan.toml")).unwrap())
    };
    let state = || serde_json::from_str::<State>(&kept().0).unwrap();

    // No time but for the two ends, of which the one that is all INT8 is not within the limits.
    let ended = search(&program, &["--budget", "0s"]);
    expect(&ended, 0, &["calibrating, ranges: 26 of 26", "3 candidates, 0 of them before durations"]);
    assert_eq!(kept().1.convolutions, [""; 0]);
    assert_eq!((state().trials.len(), state().costs.is_some()), (2, true));

    let ended = search(&program, &["--budget", "2m"]);
    expect(&ended, 0, &["calibrated before", "goes on after 2 plans", "sensitivity of each unit: 3 of 3"]);
    let (measured, plan) = kept();
    assert!(plan.convolutions.iter().all(|name| name == "/mix/Conv"), "{:?}", plan.convolutions);
    // The ranges of all candidates, so that the plan can be edited.
    assert!(["channelled", "raised", "lowered"].iter().all(|value| plan.ranges.values.contains_key(*value)));
    let worst = |name: &str| {
        let trial = state().trials.into_iter().find(|it| it.convolutions.iter().eq([name]));
        trial.unwrap().distance.lsd().into_iter().fold(0.0, f64::max)
    };
    assert!(worst("/mix/Conv") < 1.0, "{}", worst("/mix/Conv"));
    assert!(worst("/raise/Conv") > 3.0 && worst("/lower/Conv") > 3.0);
    assert!(ended.output.contains("on 56 held-out sentences: LSD"), "{}", ended.output);

    // All that there is to try was tried: nothing is measured again, and the same plan is found.
    let ended = search(&program, &["--budget", "2m", "--json"]);
    expect(&ended, 0, &["goes on after"]);
    assert!(kept() == (measured, plan), "something was measured again");
    let pareto: Pareto = serde_json::from_str(&ended.output).unwrap();
    let chosen = pareto.chosen().unwrap();
    assert!(chosen.convolutions.iter().eq(&kept().1.convolutions), "{chosen:?}");
    assert!(chosen.lsd_mean <= pareto.limits.lsd_mean.unwrap(), "{chosen:?}");
    assert!(pareto.judged.unwrap().lsd_mean < 1.2);

    // Any speed can be asked for; what is out of reach is said.
    let ended = search(&program, &["--budget", "1m", "--speed", "1000"]);
    expect(&ended, 0, &["no plan is 1000 × as fast; the nearest to it is taken"]);
    let ended = search(&program, &["--budget", "0s", "--fresh"]);
    expect(&ended, 0, &["calibrating, ranges: 26 of 26"]);
    assert!(!ended.errors.contains("goes on after"), "{}", ended.errors);
    assert_eq!(state().trials.len(), 2);
    for wrong in [&["--budget", "soon"], &["--speed", "-1"], &["--no-search", "--json"]] {
        assert_eq!(search(&program, wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn a_base_that_the_committed_plan_is_not_of_is_calibrated_by_itself() {
    let program = equipped();
    let base = Digest::of_file(&program.path("convolved.onnx")).unwrap().to_string();
    let own = program.path("artifacts/plans/convolved.plan.toml");
    expect(
        &quantize(&program, &[]),
        0,
        &[&base, "so that one is calibrated now", "made `convolved.static-int8.onnx`"],
    );
    let plan = Plan::load(&own).unwrap();
    assert_eq!(made(&program, "QLinearConv"), (plan.sha256.to_string(), 1));
    let again = quantize(&program, &[]);
    expect(&again, 0, &["convolved.plan.toml` is taken", "`convolved.static-int8.onnx` is up to date"]);
    assert!(!again.errors.contains("calibrating,"), "{}", again.errors);

    // What was damaged is made again.
    fs_err::write(own.with_file_name("convolved.ranges.safetensors"), b"").unwrap();
    expect(&quantize(&program, &[]), 0, &["calibrating, ranges: 26 of 26", "is up to date"]);
    assert_eq!(Plan::load(&own).unwrap(), plan);
}
