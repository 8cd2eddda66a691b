//! From a base to a plan and from a plan to an artifact, as the user does it, with models that have one convolution or two.

use std::path::PathBuf;

#[cfg(unix)]
use crate::support::checkout::{BASE, Checkout};
use crate::support::models;
use crate::support::program::{Ended, Program, users_cache};
use kokoro_model::Metadata;
use xtask::digest::Digest;
use xtask::environment::Environment;
use xtask::fetch::SourceArgs;
use xtask::files::read_json;
use xtask::plan::Plan;
use xtask::recipe::Recipe;
#[cfg(unix)]
use xtask::{
    base::BaseArgs,
    commands::tune::{self, TuneArgs},
    failure::exit_code,
};

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
    let tune = ["tune", "--offline", "--model", "convolved.onnx", "--output", "small.plan.toml"];
    let ended = program.run(&[&tune[..], &["--artifacts", "artifacts"]].concat());
    let measured = ["calibrating, ranges: 26 of 26", "calibrating, clipping: 26 of 26"];
    expect(&ended, 0, &[&measured[..], &["all that the recipe does not exclude"]].concat());
    assert!(ended.output.contains("1 convolutions, 2 values measured over 26 sentences"), "{}", ended.output);
    let path = program.path("small.plan.toml");
    let plan = Plan::load(&path).unwrap();
    assert_eq!(plan.convolutions, ["/mix/Conv"]);
    // Uniform noise up to 0.2, of which hardly any is worth clipping.
    for channel in plan.ranges.of("/mix/Conv/input", 8).unwrap() {
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
    lacking.ranges.values.remove("/mix/Conv/output");
    lacking.write(&path).unwrap();
    expect(
        &quantize(&program, &by_plan),
        4,
        &["tensor `/mix/Conv/output`: expected calibrated ranges, found none"],
    );
    let mut fewer = plan;
    fewer.ranges.values.get_mut("/mix/Conv/input").unwrap().pop();
    fewer.write(&path).unwrap();
    expect(
        &quantize(&program, &by_plan),
        4,
        &["tensor `/mix/Conv/input`: expected ranges of 8 channels, found 7"],
    );
}

#[cfg(unix)]
#[test]
fn convolutions_of_the_committed_plan_are_kept_where_the_base_has_them() {
    let checkout = Checkout::new(&models::convolved_twice());
    let path = checkout.path("models/kokoro-v1.0.plan.toml");
    let args = TuneArgs {
        base: BaseArgs { base: Some(BASE.into()), ..BaseArgs::default() },
        sources: SourceArgs { offline: true, ..SourceArgs::default() },
        output: None,
        artifacts: None,
        threads: 1,
    };
    let tuned = || tune::run(&args, &checkout.workspace());

    // Kokoro's own are not in this base.
    tuned().unwrap();
    let all = Plan::load(&path).unwrap();
    assert_eq!(all.convolutions, ["/keep/Conv", "/mix/Conv"]);

    checkout.edit("models/kokoro-v1.0.plan.toml", |plan| plan.replace("    \"/keep/Conv\",\n", ""));
    tuned().unwrap();
    let kept = Plan::load(&path).unwrap();
    assert_eq!(kept.convolutions, ["/mix/Conv"]);
    // What went is measured all the same, so that it can be put back.
    assert_eq!(kept.ranges, all.ranges);

    // What was edited by hand is not thrown away because it cannot be read.
    fs_err::write(checkout.path("models/kokoro-v1.0.ranges.safetensors"), b"").unwrap();
    let error = tuned().unwrap_err();
    assert_eq!(exit_code(&error), 2);
    assert!(format!("{error:#}").contains("kokoro-v1.0.plan.toml` is not a valid plan"), "{error:#}");
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
