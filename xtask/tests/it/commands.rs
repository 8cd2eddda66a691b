//! The commands as the user runs them: exit codes, messages, and what is on the disk afterwards.

use std::path::Path;

use crate::support::disk::SmallDisk;
use crate::support::models;
use crate::support::program::{Ended, Program, run_in_time, users_cache};
use kokoro_model::{Chosen, Evidence};
use quantizer::graph::node;
use quantizer::proto::tensor_proto::DataLocation;
use quantizer::proto::{ModelProto, StringStringEntryProto};
use xtask::artifacts::Artifacts;
use xtask::commands::clean::{self, CleanArgs};
use xtask::digest::Digest;
use xtask::environment::Environment;
use xtask::files::read_json;
use xtask::results::Results;
use xtask::workspace::Workspace;

const NAME: &str = "silent.weights-int8.onnx";

/// A program that finds ONNX Runtime and the voices.
fn equipped() -> Program {
    Program::with_cache(users_cache())
}

/// Quantizes `model` into the program's own `artifacts`, by one scheme.
fn quantize(program: &Program, model: &Path, more: &[&str]) -> Ended {
    let model = model.display().to_string();
    let mut arguments = vec![
        "quantize",
        "--offline",
        "--artifacts",
        "artifacts",
        "--scheme",
        "weights-int8",
        "--model",
        &model,
    ];
    arguments.extend(more);
    program.run(&arguments)
}

#[track_caller]
fn expect(ended: &Ended, code: i32, texts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.errors);
    for text in texts {
        assert!(ended.errors.contains(text), "no `{text}` in: {}", ended.errors);
    }
    // A person reads it: no trace of how it was made, and no full stop behind a single line.
    let last = ended.errors.lines().last().unwrap_or_default();
    assert!(!last.ends_with('.') && !ended.errors.contains("panicked"), "{}", ended.errors);
}

/// The names in the program's own `artifacts`.
fn written(program: &Program) -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(program.path("artifacts")) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_help_of_each_command_names_its_options() {
    let program = Program::with_empty_cache();
    let sources = ["--offline", "--mirror <URL>", "--onnxruntime <PATH>", "ORT_DYLIB_PATH"];
    let base = ["--base <NAME>", "--model <PATH>", "--locked"];
    let quantize = [
        "--scheme <SCHEME>",
        "weights-int8",
        "linear-int8",
        "static-int8",
        "--only <GATE>",
        "provider",
        "smoke",
    ];
    let quantize_too = [
        "--force",
        "--plan <PATH>",
        "--update-lock",
        "--threads <N>",
        "--runs <N>",
        "--artifacts <FOLDER>",
        "--json",
    ];
    for (command, options) in [
        ("fetch", [&["[NAME]...", "--all", "--json", "KOKORO_MODEL_CACHE"], &sources[..]].concat()),
        ("inspect", vec!["[MODEL]", "--json"]),
        ("quantize", [&quantize[..], &quantize_too, &base, &sources].concat()),
        (
            "tune",
            [&["--output <PATH>", "--threads <N>", "Calibrates the base"], &base[..], &sources].concat(),
        ),
        ("smoke", [&["[MODEL]", "--json"], &sources[..]].concat()),
        ("bench", [&["[MODEL]...", "--threads <N>", "--runs <N>", "--json"], &sources[..]].concat()),
        ("report", vec!["--output <PATH>", "--artifacts <FOLDER>"]),
        (
            "package",
            vec![
                "--output <FOLDER>",
                "--key <FILE>",
                "--allow-unofficial",
                "--artifacts <FOLDER>",
                "--lock <FILE>",
                "--json",
                "MINISIGN_PASSWORD",
                "SOURCE_DATE_EPOCH",
            ],
        ),
        (
            "verify",
            [
                &["[PATH]", "--base <NAME>", "--key <FILE>", "--lock <FILE>", "--no-smoke", "--json"],
                &sources[..],
            ]
            .concat(),
        ),
        ("test", [&["[ARGUMENT]..."], &sources[..]].concat()),
        ("ci", [&["[ARGUMENT]..."], &sources[..]].concat()),
        ("clean", vec!["--cache"]),
    ] {
        let help = program.run(&[command, "--help"]);
        assert_eq!((help.code, help.errors.as_str()), (Some(0), ""), "{command}");
        assert!(help.output.contains(&format!("Usage: cargo xtask {command}")), "{}", help.output);
        for option in options {
            assert!(help.output.contains(option), "`{command} --help` has no `{option}`: {}", help.output);
        }
    }
    let help = program.run(&["--help"]);
    for text in ["quantize", "Exit codes: 0 done, 1 a gate said no, 2 usage"] {
        assert!(help.output.contains(text), "no `{text}` in: {}", help.output);
    }
}

#[test]
fn what_cannot_be_asked_for_is_a_matter_of_usage() {
    let program = Program::with_empty_cache();
    let missing = program.path("missing.onnx").display().to_string();
    for (arguments, texts) in [
        (&["quantize", "--quick"][..], &["--quick"][..]),
        (&["quantise"], &["quantise", "quantize"]),
        (&["quantize", "--scheme", "int4"], &["int4", "linear-int8", "weights-int8", "static-int8"]),
        (&["quantize", "--only", "taste"], &["taste", "provider", "smoke", "bench"]),
        (&["quantize", "--base", "kokoro-v1.0", "--model", "x"], &["--base", "--model"]),
        (
            &["quantize", "--artifacts", "a", "--base", "v2"],
            &["`v2`", "`kokoro-v1.0`", "`kokoro-v1.0-restored`"],
        ),
        (&["quantize", "--artifacts", "a", "--model", &missing], &[&missing]),
        (&["tune", "--model", &missing], &["`--output"]),
        (&["tune", "--model", &missing, "--output", "x.toml"], &["`.plan.toml`", "`x.toml`"]),
        (&["inspect", &missing], &[&missing]),
        (&["package", "--artifacts", "a"], &["no artifact is chosen", "a/chosen.json", "hint: "]),
        (&["package", "--artifacts", "a", "--key", &missing], &[&missing]),
        (&["verify", "--no-smoke", &missing], &[&missing]),
        (&["verify", "--no-smoke", "--lock", &missing, "."], &[&missing]),
        (&["smoke", &missing], &[&missing]),
        (&["bench", &missing], &[&missing]),
        (
            &["report", "--artifacts", "a"],
            &["a/quantization_comparison_results.json", "hint: `cargo xtask quantize`"],
        ),
        (&["fetch", "tf_heart"], &["`tf_heart`", "hint: "]),
        (&["fetch", "--mirror", "/srv/cache"], &["`--mirror`", "/srv/cache"]),
    ] {
        let ended = program.run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.errors);
        for text in texts {
            assert!(ended.errors.contains(text), "{arguments:?}: no `{text}` in: {}", ended.errors);
        }
    }
    assert!(!program.cache().exists(), "something was fetched");
    let left: Vec<_> =
        fs_err::read_dir(program.path("a")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, [".lock"]);
}

#[test]
fn what_is_pinned_is_looked_for_by_name_and_missed_by_package() {
    let program = Program::with_empty_cache();
    let mut cases = vec![("af_heart", "af_heart")];
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        cases.push(("webgpu", "onnxruntime-ep-webgpu-"));
        cases.push(("onnxruntime-openvino", "onnxruntime-openvino-"));
    }
    for (name, missed) in cases {
        let ended = program.run(&["fetch", "--offline", name]);
        expect(&ended, 3, &[missed, "offline"]);
    }
}

fn changed(change: impl FnOnce(&mut ModelProto)) -> Vec<u8> {
    let mut model = models::clear();
    change(&mut model);
    models::encode(&model)
}

/// Bytes that are no sound model of speech, by what is wrong with them, and what the message must say.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
    let whole = models::encode(&models::clear());
    let cut = whole[..whole.len() / 2].to_vec();
    // The key of field 7, the graph, and a length of 2 GiB − 1 with nothing behind it.
    let huge = vec![0x08, 0x09, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x07];
    let cyclic = changed(|model| {
        let nodes = &mut models::graph(model).node;
        nodes.iter_mut().find(|it| it.name() == "look_up").unwrap().input[1] = "audio".into();
    });
    let missing = changed(|model| models::graph(model).initializer.retain(|it| it.name() != "flat"));
    let twice = changed(|model| {
        let graph = models::graph(model);
        graph.initializer.push(graph.initializer[0].clone());
    });
    let two_makers =
        changed(|model| models::graph(model).node.push(node("Neg", "again", &["heard"], &["joined"])));
    let outside = changed(|model| {
        let table = &mut models::graph(model).initializer[0];
        let location =
            StringStringEntryProto { key: Some("location".into()), value: Some("../weights.bin".into()) };
        table.raw_data = None;
        table.data_location = Some(DataLocation::External.into());
        table.external_data = vec![location];
    });
    let not_a_number = models::encode(&models::noise(f32::NAN, models::TOKEN_IDS));
    let no_model: &[&str] = &["`broken.onnx` cannot be read", "expected an ONNX model, found"];
    vec![
        ("cut short", cut, no_model),
        ("garbage", b"<!DOCTYPE html><html></html>".to_vec(), no_model),
        ("empty", Vec::new(), no_model),
        ("a length of 2 GiB", huge, no_model),
        ("a cycle", cyclic, &["`broken.onnx` is not a sound model", "cycle", "node `look_up` (Gather)"]),
        (
            "a missing initializer",
            missing,
            &["`broken.onnx`", "node `join` (Reshape): input `flat` is made by no node"],
        ),
        ("one name twice", twice, &["`broken.onnx`", "tensor `table`: two initializers have this name"]),
        (
            "two makers",
            two_makers,
            &["`broken.onnx`", "node `again` (Neg): output `joined` is also made by node `join`"],
        ),
        ("a path out of the folder", outside, &["`broken.onnx`", "tensor `table`", "found `../weights.bin`"]),
        (
            "weights that are no numbers",
            not_a_number,
            &["`broken`", "tensor `table`: expected finite weights, found NaN"],
        ),
        (
            "no speech",
            models::encode(&models::no_speech()),
            &["`broken.onnx`: not a Kokoro: expected durations, found none; looked for a Round"],
        ),
    ]
}

#[test]
fn a_broken_model_is_told_apart_and_leaves_nothing_behind() {
    let program = Program::with_empty_cache();
    // What an external path must not lead to is there, so that only the path can be what is refused.
    fs_err::create_dir(program.path("models")).unwrap();
    fs_err::write(program.path("weights.bin"), vec![0; 4 << 20]).unwrap();
    for (what, bytes, texts) in broken() {
        println!("{what}");
        let path = program.path("broken.onnx");
        fs_err::write(&path, &bytes).unwrap();
        let ended = quantize(&program, Path::new("broken.onnx"), &[]);
        expect(&ended, 4, &[&["error: the model is not what it should be: "], texts].concat());
        assert!(written(&program).iter().all(|it| it == ".lock"), "{what}: {:?}", written(&program));
    }
    assert!(!program.cache().exists(), "something was fetched for a model that cannot be used");
}

#[test]
fn inspect_tells_a_model_from_garbage() {
    let program = Program::with_empty_cache();
    fs_err::write(program.path("broken.onnx"), b"garbage").unwrap();
    let ended = program.run(&["inspect", "broken.onnx"]);
    expect(&ended, 4, &["`broken.onnx` cannot be read", "expected an ONNX model, found 7 bytes"]);
    assert_eq!(ended.output, "");

    let path = models::write(&models::no_speech(), &program.path("image.onnx"));
    let ended = program.run(&["inspect", "--json", &path.display().to_string()]);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    for text in ["image float32 [n, 4]", "class float32 [n, 2]", "MatMul"] {
        assert!(ended.output.contains(text), "no `{text}` in: {}", ended.output);
    }
}

#[test]
fn a_runtime_that_is_none_is_refused_before_anything_is_made() {
    let program = equipped();
    let model = models::write(&models::clear(), &program.path("clear.onnx"));
    fs_err::write(program.path("libnothing.so"), b"no library").unwrap();
    let missing = quantize(&program, &model, &["--onnxruntime", "libmissing.so"]);
    expect(&missing, 2, &["`--onnxruntime`", "libmissing.so"]);
    let none = quantize(&program, &model, &["--onnxruntime", "libnothing.so"]);
    expect(&none, 3, &["could not fetch or verify", "libnothing.so"]);
    assert_eq!(written(&program), [".lock"]);
}

/// `chosen.json` and the two files that it names, with the digest of each.
fn chosen(folder: &Path) -> Vec<(String, Digest)> {
    let chosen: Chosen = read_json(&folder.join("chosen.json")).unwrap();
    let names = ["chosen.json".to_owned(), chosen.file, chosen.metadata];
    names.map(|name| (name.clone(), Digest::of_file(&folder.join(name)).unwrap())).to_vec()
}

#[test]
fn a_good_model_is_chosen_once_and_a_bad_one_does_not_replace_it() {
    let program = equipped();
    let folder = program.path("artifacts");
    let clear = models::write(&models::clear(), &program.path("clear.onnx"));
    // Many rounds, for single ones say nothing.
    let first = run_in_time(|| quantize(&program, &clear, &["--runs", "20"]));
    expect(
        &first,
        0,
        &["quantizing `clear` by weights-int8", "made `clear.weights-int8.onnx`", "smoke", "bench"],
    );
    for text in ["chosen: weights-int8", "report: `artifacts/report.html`"] {
        assert!(first.output.contains(text), "{}", first.output);
    }
    let said: Chosen = read_json(&folder.join("chosen.json")).unwrap();
    // CoreML would take more of this candidate than of its base, in as many partitions.
    assert_eq!(said.providers.keys().collect::<Vec<_>>(), ["coreml", "cpu"]);
    let (for_coreml, for_cpu) = (&said.providers["coreml"], &said.providers["cpu"]);
    assert_eq!((&for_coreml.sha256, for_coreml.evidence), (&said.sha256, Evidence::Predicted));
    assert_eq!((&for_cpu.sha256, for_cpu.evidence), (&said.sha256, Evidence::Measured));
    let good = chosen(&folder);
    assert_eq!(good[1].0, "clear.weights-int8.onnx");
    // Nobody but its maker knows under which terms it may be passed on.
    let metadata: serde_json::Value = read_json(&folder.join(&good[2].0)).unwrap();
    assert_eq!(metadata["licence"], "LicenseRef-not-stated");
    assert!(
        metadata["attribution"].as_str().unwrap().starts_with("`clear`, a model of whoever quantized it")
    );

    let second = quantize(&program, &clear, &[]);
    let up_to_date = "everything is up to date: nothing to fetch, quantize or judge; `--force` does it again";
    assert_eq!(second.code, Some(0));
    let no_lock = "notice: the lock has no models of your own: what is made of one is compared with nothing";
    let lines: Vec<&str> = second.errors.lines().collect();
    assert!(lines[0].starts_with("quantize: fetch, make weights-int8, judge"), "{}", second.errors);
    assert!(lines[1].starts_with(no_lock), "{}", second.errors);
    // What else differs from the lock while somebody works on it, is told in between.
    assert_eq!(lines[lines.len() - 2..], ["`clear.weights-int8.onnx` is up to date", up_to_date]);
    assert!(second.output.contains("chosen: weights-int8"), "{}", second.output);
    assert_eq!(chosen(&folder), good);

    let silent = models::write(&models::silent_as_int8(), &program.path("silent.onnx"));
    let refused = quantize(&program, &silent, &["--runs", "1"]);
    let expected = [
        "error: a gate said no: smoke gate, `weights-int8`: `rms` is 0, expected at least 0.005, missed by 0.005 (100 %)",
        "`clear.weights-int8.onnx` stays chosen",
        "refused: `artifacts/refused/silent.weights-int8.onnx`",
    ];
    expect(&refused, 1, &expected);
    assert_eq!(chosen(&folder), good);
    assert!(folder.join("refused").join(NAME).exists());
    assert!(!folder.join(NAME).exists() && !folder.join("staged").join(NAME).exists());
    assert!(program.left_nothing_temporary());
}

#[test]
fn gates_judge_by_sentences_and_voices_of_one_s_own() {
    let program = equipped();
    let clear = models::write(&models::clear(), &program.path("clear.onnx"));
    // One style for each number of phonemes, float32 [510, 1, 256].
    let styles: Vec<u8> = std::iter::repeat_n(0.05_f32.to_le_bytes(), 510 * 256).flatten().collect();
    fs_err::write(program.path("mine.bin"), styles).unwrap();
    let sentence = |language: &str, voice: &str, text: &str, phonemes: &str| {
        format!(
            "[[sentence]]\nlanguage = \"{language}\"\nvoice = \"{voice}\"\ntext = \"{text}\"\nphonemes = \"{phonemes}\"\n"
        )
    };
    let own =
        sentence("en-us", "af_heart", "Hello.", "həlˈO.") + &sentence("es", "mine.bin", "Hola.", "ˈola.");
    fs_err::write(program.path("own.toml"), &own).unwrap();
    let run = || quantize(&program, &clear, &["--corpus", "own.toml", "--only", "smoke"]);
    expect(&run(), 0, &[]);
    let results: Results =
        read_json(&program.path("artifacts/quantization_comparison_results.json")).unwrap();
    assert_eq!(results.corpus_sha256, Digest::of(own.as_bytes()));
    let spoken = &results.candidates["weights-int8"].gates.spoken;
    let voices = ["own-01", "own-02"].map(|id| spoken.iter().find(|it| it.id == id).map(|it| &*it.voice));
    assert_eq!(voices, [Some("af_heart"), Some("mine.bin")]);

    fs_err::write(program.path("mine.bin"), b"no styles").unwrap();
    expect(&run(), 2, &["`mine.bin`"]);
    fs_err::write(program.path("own.toml"), own.replace("mine", "yours")).unwrap();
    expect(&run(), 2, &["`own.toml` is not a valid corpus", "sentence `own-02`", "`yours.bin`"]);
}

#[test]
fn the_chosen_artifact_stays_in_its_place_when_a_gate_refuses_it_later() {
    let program = equipped();
    let artifacts = Artifacts::new(program.path("artifacts"));
    let silent = models::write(&models::silent_as_int8(), &program.path("silent.onnx"));
    expect(&quantize(&program, &silent, &["--only", "provider"]), 0, &[]);
    // Chosen at a time when the smoke gate would have let it pass.
    let candidate = artifacts.find_staged("silent", "weights-int8").unwrap().unwrap();
    artifacts.choose(&artifacts.promote(candidate).unwrap(), [].into()).unwrap();
    let before = chosen(artifacts.folder());
    let refused = quantize(&program, &silent, &["--only", "smoke"]);
    expect(
        &refused,
        1,
        &["refused, but left in its place", "`silent.weights-int8.onnx` stays chosen", "`rms` is 0"],
    );
    assert_eq!(chosen(artifacts.folder()), before);
}

#[test]
fn a_second_run_waits_for_the_first() {
    let program = equipped();
    let model = models::write(&models::clear(), &program.path("clear.onnx")).display().to_string();
    let first =
        Artifacts::new(program.path("artifacts")).lock(|| unreachable!("nobody else is here")).unwrap();
    let arguments =
        ["quantize", "--offline", "--artifacts", "artifacts", "--model", &model, "--only", "provider"];
    let mut second = program.start(&arguments);
    second.until_it_says("waiting for another run that works in `artifacts`");
    assert_eq!(written(&program), [".lock"]);
    drop(first);
    second.until_it_says("made `clear.weights-int8.onnx`");
    assert_eq!(second.wait(), Some(0));
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing_behind() {
    let program = equipped();
    // 2.4 MB as INT8, where there is room for one.
    let model = models::write(&models::noise(0.1, 1000), &program.path("large.onnx"));
    let folder = program.path("artifacts");
    fs_err::create_dir(&folder).unwrap();
    let disk = SmallDisk::mount(&folder);
    let part = folder.join("staged/large.weights-int8.onnx.part");
    if disk.is_none() {
        if !Path::new("/dev/full").exists() {
            println!("skipped: neither may tmpfs be mounted nor is there a /dev/full");
            return;
        }
        fs_err::create_dir(folder.join("staged")).unwrap();
        #[cfg(unix)]
        fs_err::os::unix::fs::symlink("/dev/full", &part).unwrap();
    }
    let ended = quantize(&program, &model, &[]);
    expect(
        &ended,
        5,
        &["cannot write `artifacts/staged/large.weights-int8.onnx`", "No space left on device"],
    );
    assert_eq!(written(&program), [".lock", "staged"]);
    assert_eq!(fs_err::read_dir(folder.join("staged")).unwrap().count(), 0, "something half-written is left");
}

#[test]
fn clean_removes_what_was_made_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (artifacts, cache) = (folder.path().join("artifacts"), folder.path().join("cache"));
    let fetched = cache.join(Digest::of(b"fetched").to_string());
    for made in [artifacts.join("staged"), artifacts.join("audio"), cache.join("locks"), fetched.clone()] {
        fs_err::create_dir_all(&made).unwrap();
        fs_err::write(made.join("file"), b"").unwrap();
    }
    for file in ["README.md", "chosen.json", "a.onnx"] {
        fs_err::write(artifacts.join(file), b"").unwrap();
    }
    fs_err::write(cache.join("notes.txt"), b"the user's").unwrap();
    let environment = Environment { cache: Some(cache.clone()), ..Environment::default() };
    let workspace = Workspace::of_this_build(environment).with_artifacts(&artifacts);
    let names = |folder: &Path| {
        let mut names: Vec<_> = fs_err::read_dir(folder).unwrap().map(|it| it.unwrap().file_name()).collect();
        names.sort();
        names
    };

    clean::run(&CleanArgs { cache: false }, &workspace).unwrap();
    assert_eq!(names(&artifacts), [".lock", "README.md"]);
    assert!(fetched.join("file").exists());
    clean::run(&CleanArgs { cache: true }, &workspace).unwrap();
    assert_eq!(names(&cache), ["notes.txt"]);
}
