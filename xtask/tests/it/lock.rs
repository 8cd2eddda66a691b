//! The lock: what `quantize` compares with it, when it writes it, and what making again says of a fault.
#![cfg(unix)]

use std::collections::HashMap;

use crate::support::checkout::{BASE, Checkout};
use crate::support::models;
use crate::support::program::{Program, users_cache};
use bytes::Bytes;
use quantizer::proto::ModelProto;
use quantizer::proto::tensor_proto::DataType;
use quantizer::tensor;
use xtask::base::BaseArgs;
use xtask::commands::quantize::QuantizeArgs;
use xtask::digest::Digest;
use xtask::environment::Environment;
use xtask::failure::exit_code;
use xtask::files::write_json;
use xtask::lock::Lock;
use xtask::proof::Proof;
use xtask::rebuild::RebuiltFile;
use xtask::scheme::SchemeName;
use xtask::workspace::Workspace;

const WEIGHTS: [SchemeName; 1] = [SchemeName::WeightsInt8];
const MODEL: &str = "artifacts/kokoro-v1.0.weights-int8.onnx";

/// CI says so if somebody changes an input and leaves the lock as it was.
#[test]
fn the_committed_lock_is_of_these_inputs() {
    let workspace = Workspace::of_this_build(Environment::default());
    let recipe = workspace.recipe().unwrap();
    let lock = Lock::read(&workspace.lock()).unwrap();
    let differences = lock.differences(&Lock::of(&workspace, &recipe).unwrap());
    let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{}\nhint: `cargo xtask quantize --update-lock` if it is meant",
        lines.join("\n")
    );
    let restored = &lock.base[&recipe.base.restored.name];
    assert_eq!(restored.sha256, recipe.base.restored.sha256);
    let proof = Proof::read(&workspace.proof(), &lock).unwrap().expect("a lock with artifacts has a proof");
    let proved = &proof.base[&recipe.base.restored.name].artifact;
    assert_eq!(restored.artifact.keys().collect::<Vec<_>>(), proved.keys().collect::<Vec<_>>());
    // What quantizes at run time can be proved with VNNI only.
    let with_vnni = proved.values().any(|it| !it.measured_on.host.saturates());
    for scheme in recipe.locked_schemes() {
        let can_lack = !with_vnni && SchemeName::parse(scheme).unwrap().quantizes_at_run_time();
        assert!(can_lack || proved.contains_key(scheme), "the lock lacks `{scheme}`");
    }
}

impl Checkout {
    fn lock(&self) -> Lock {
        Lock::read(&self.workspace().lock()).unwrap()
    }

    /// Writes another lock, as somebody would who edits it, and has taken the proof out.
    fn change_lock(&self, change: impl FnOnce(&mut Lock)) {
        let mut lock = self.lock();
        lock.proof = None;
        change(&mut lock);
        lock.write(&self.workspace().lock()).unwrap();
    }

    /// The error and the exit code.
    #[track_caller]
    fn refused(&self, args: &QuantizeArgs, code: u8, texts: &[&str]) {
        let error = self.quantize(args).unwrap_err();
        let message = format!("{error:#}");
        assert_eq!(exit_code(&error), code, "{message}");
        for text in texts {
            assert!(message.contains(text), "no `{text}` in: {message}");
        }
    }
}

fn updating(args: QuantizeArgs) -> QuantizeArgs {
    QuantizeArgs { update_lock: true, ..args }
}

fn locked(args: QuantizeArgs) -> QuantizeArgs {
    QuantizeArgs { base: BaseArgs { locked: true, ..args.base }, ..args }
}

#[test]
fn a_lock_is_written_after_the_gates_and_compared_before_them() {
    let checkout = Checkout::new(&models::clear());
    let plain = || Checkout::arguments(&WEIGHTS);
    checkout.refused(
        &locked(plain()),
        2,
        &["there is no lock", "hint: `cargo xtask quantize --update-lock`"],
    );
    assert!(!checkout.path(MODEL).exists());

    checkout.quantize(&updating(plain())).unwrap();
    let written = checkout.lock();
    let artifact = &written.base[BASE].artifact["weights-int8"];
    let digest = |name: &str| Digest::of_file(&checkout.path(name)).unwrap();
    assert_eq!(artifact.sha256, digest(MODEL));
    assert_eq!(artifact.prepared, digest("artifacts/kokoro-v1.0.weights-int8.prepared"));
    assert_eq!(artifact.metadata, digest("artifacts/kokoro-v1.0.weights-int8.json"));
    assert_eq!((written.base.len(), written.base[BASE].artifact.len()), (1, 1));
    checkout.quantize(&locked(plain())).unwrap();
    assert!(checkout.rebuild().same);

    // Another scheme comes to it; what the lock does not have is told of, or refused.
    let linear = || Checkout::arguments(&[SchemeName::LinearInt8]);
    checkout.refused(&locked(linear()), 2, &["the lock has no linear-int8 of base `kokoro-v1.0`"]);
    checkout.quantize(&linear()).unwrap();
    assert_eq!(checkout.lock(), written);
    checkout.quantize(&updating(linear())).unwrap();
    assert_eq!(checkout.lock().base[BASE].artifact["weights-int8"], *artifact);
    assert_eq!(checkout.lock().base[BASE].artifact.len(), 2);

    // What the lock has otherwise is made again, and if it is still not the same, no gate is asked.
    let results = checkout.artifacts().results();
    let before = (digest("artifacts/chosen.json"), Digest::of_file(&results).unwrap());
    let other = Digest::of(b"other");
    checkout.change_lock(|lock| {
        lock.base.get_mut(BASE).unwrap().artifact.get_mut("weights-int8").unwrap().sha256 = other;
    });
    let texts = [
        "a gate said no: this is not what the lock has",
        "`kokoro-v1.0.weights-int8.onnx`\n    lock  ",
        &other.to_string(),
        &artifact.sha256.to_string(),
        "hint: `cargo xtask quantize --update-lock` writes it anew, if that is meant",
    ];
    checkout.refused(&plain(), 1, &texts);
    assert_eq!((digest("artifacts/chosen.json"), Digest::of_file(&results).unwrap()), before);
    checkout.quantize(&updating(plain())).unwrap();
    assert_eq!(checkout.lock().base[BASE].artifact["weights-int8"], *artifact);
}

#[test]
fn an_input_that_differs_ends_the_run_before_anything_is_fetched() {
    let checkout = Checkout::new(&models::clear());
    let workspace = checkout.workspace();
    let recipe = workspace.recipe().unwrap();
    Lock::of(&workspace, &recipe).unwrap().write(&workspace.lock()).unwrap();
    let checkout = checkout.without_cache();
    let plain = || Checkout::arguments(&[]);
    // With all as the lock has it, the next step is to fetch.
    checkout.refused(&plain(), 3, &["offline, and not in the cache"]);

    let before = checkout.lock();
    for (file, what) in [
        ("models/kokoro-v1.0.toml", "  the recipe\n"),
        ("models/corpus.toml", "  the corpus of sentences\n"),
        ("models/onnxruntime.toml", "  the recipe of ONNX Runtime\n"),
        ("models/kokoro-v1.0.plan.toml", "  the plan\n"),
        ("proto/onnx.proto", "  `proto/onnx.proto`\n"),
    ] {
        let text = fs_err::read_to_string(checkout.path(file)).unwrap();
        let comment = if file.ends_with("proto") { "// Another.\n" } else { "# Another.\n" };
        checkout.edit(file, |text| text + comment);
        checkout.refused(&plain(), 1, &[what, "hint: `cargo xtask quantize --update-lock`"]);
        checkout.refused(&locked(plain()), 1, &[what]);
        // A lock of these inputs would lack what is not made now.
        let texts = ["`weights-int8` would be missing", "hint: leave out `--scheme`"];
        checkout.refused(&updating(Checkout::arguments(&[SchemeName::LinearInt8])), 2, &texts);
        checkout.refused(&updating(plain()), 3, &["offline, and not in the cache"]);
        checkout.edit(file, |_| text);
    }
    assert_eq!(checkout.lock(), before);
    assert!(!checkout.path("artifacts/staged").exists());

    // Ranges that are not those of the plan are no input that can be locked.
    fs_err::write(checkout.path("models/kokoro-v1.0.ranges.safetensors"), b"").unwrap();
    checkout.refused(&updating(plain()), 2, &["`ranges.sha256`"]);
}

#[test]
fn a_candidate_that_a_gate_refuses_is_never_locked() {
    let checkout = Checkout::new(&models::silent_as_int8());
    checkout.refused(&updating(Checkout::arguments(&WEIGHTS)), 1, &["`rms` is 0"]);
    assert!(!checkout.workspace().lock().exists());
    assert!(checkout.path("artifacts/refused/kokoro-v1.0.weights-int8.onnx").exists());
}

#[test]
fn a_library_that_is_not_pinned_is_never_locked() {
    let checkout = Checkout::new(&models::clear());
    let library = checkout.path("libother.so");
    fs_err::write(&library, b"another").unwrap();
    let mut args = Checkout::arguments(&WEIGHTS);
    args.sources.onnxruntime = Some(library);
    for args in [updating as fn(QuantizeArgs) -> QuantizeArgs, locked].map(|mode| {
        let again = Checkout::arguments(&WEIGHTS);
        mode(QuantizeArgs { sources: args.sources.clone(), ..again })
    }) {
        let digest = Digest::of(b"another").to_string();
        checkout.refused(&args, 2, &["libother.so` is not the pinned ONNX Runtime", &digest]);
    }
}

#[test]
fn a_plan_that_is_not_the_committed_one_is_never_locked() {
    let checkout = Checkout::new(&models::convolved());
    let args = Checkout::arguments(&[SchemeName::StaticInt8]);
    let texts = ["kokoro-v1.0.plan.toml`: the plan's ranges are of base", "hint: `cargo xtask tune`"];
    checkout.refused(&updating(args), 2, &texts);
    assert!(!checkout.workspace().lock().exists());
}

/// The file that ends with `extension`.
fn of(files: Vec<RebuiltFile>, extension: &str) -> RebuiltFile {
    files.into_iter().find(|file| file.file.ends_with(extension)).unwrap()
}

/// Puts a changed model among the artifacts, in which `change` returns what the difference must be called.
fn put(checkout: &Checkout, change: impl FnOnce(&mut ModelProto) -> String) -> String {
    let path = checkout.path(MODEL);
    let mut model = quantizer::model::decode(fs_err::read(&path).unwrap().into()).unwrap();
    let what = change(&mut model);
    fs_err::write(&path, models::encode(&model)).unwrap();
    what
}

#[test]
fn a_fault_is_caught_by_making_again() {
    let checkout = Checkout::new(&models::clear());
    checkout.quantize(&updating(Checkout::arguments(&WEIGHTS))).unwrap();
    let good = fs_err::read(checkout.path(MODEL)).unwrap();
    let sha256 = Digest::of(&good);

    // One weight, by its least bit.
    let flipped = put(&checkout, |model| {
        let tensors = &mut models::graph(model).initializer;
        let weights = tensors.iter_mut().find(|it| tensor::element_type(it) == DataType::Int8).unwrap();
        let mut raw = weights.raw_data().to_vec();
        let (was, is) = (raw[1234].cast_signed(), (raw[1234] ^ 1).cast_signed());
        raw[1234] ^= 1;
        weights.raw_data = Some(raw.into());
        format!(
            "tensor `{}`: Int8 {:?}, element 1234: expected {was}, found {is}; 1 of ",
            weights.name(),
            weights.dims
        )
    });
    let rebuilt = checkout.rebuild();
    assert!(!rebuilt.same);
    let model = of(rebuilt.files, ".onnx");
    assert!(!model.same && model.rebuilt == sha256 && model.locked == sha256);
    assert_eq!(model.artifact, Some(Digest::of_file(&checkout.path(MODEL)).unwrap()));
    assert!(model.difference.as_ref().unwrap().starts_with(&flipped), "{:?}", model.difference);

    // A walk over a hash map: the same tensors, in the order of their hashes, which no two runs share.
    fs_err::write(checkout.path(MODEL), &good).unwrap();
    let walked = put(&checkout, |model| {
        let tensors = &mut models::graph(model).initializer;
        let names = |tensors: &[_]| {
            tensors.iter().map(|it: &quantizer::proto::TensorProto| it.name().to_owned()).collect::<Vec<_>>()
        };
        let before = names(tensors);
        while names(tensors) == before {
            let map: HashMap<String, _> = tensors.drain(..).map(|it| (it.name().to_owned(), it)).collect();
            tensors.extend(map.into_values());
        }
        let after = names(tensors);
        let at = (0..before.len()).find(|&at| before[at] != after[at]).unwrap();
        format!(
            "tensor {at}: expected `{}`, found `{}`; the same names in another order",
            before[at], after[at]
        )
    });
    // It is caught where nobody had a better one, too: the lock has its digest, and what is made again has another.
    let found = Digest::of_file(&checkout.path(MODEL)).unwrap();
    checkout.change_lock(|lock| {
        lock.base.get_mut(BASE).unwrap().artifact.get_mut("weights-int8").unwrap().sha256 = found;
    });
    let model = of(checkout.rebuild().files, ".onnx");
    assert!(!model.same);
    assert_eq!((model.rebuilt, model.locked, model.artifact), (sha256, found, Some(found)));
    assert_eq!(model.difference, Some(walked));

    // The other two files are compared as well.
    let prepared = checkout.path(MODEL).with_extension("prepared");
    let mut bytes = fs_err::read(&prepared).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(&prepared, bytes).unwrap();
    let metadata = checkout.path(MODEL).with_extension("json");
    let mut value: serde_json::Value = xtask::files::read_json(&metadata).unwrap();
    value["bytes"] = 1.into();
    write_json(&metadata, &value).unwrap();
    let rebuilt = checkout.rebuild();
    assert!(rebuilt.files.iter().all(|file| !file.same && file.difference.is_some()), "{:?}", rebuilt.files);
    let said = of(rebuilt.files, ".json").difference.unwrap();
    assert!(said.starts_with("`bytes`: expected ") && said.ends_with(", found 1"), "{said}");

    // A weight of the base is a matter of its own digest.
    let base = checkout.workspace().recipe().unwrap().files[0].sha256;
    let cached = checkout.path("cache").join(base.to_string()).join("kokoro-v1.0.onnx");
    let mut bytes = fs_err::read(&cached).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert!(quantizer::model::decode(Bytes::from(bytes.clone())).is_ok(), "it is to be a model still");
    fs_err::write(&cached, bytes).unwrap();
    checkout.refused(&Checkout::arguments(&WEIGHTS), 3, &["`kokoro-v1.0.onnx`"]);
}

#[test]
fn what_contradicts_a_lock_is_a_matter_of_usage() {
    let program = Program::with_cache(users_cache());
    models::write(&models::clear(), &program.path("clear.onnx"));
    for (arguments, texts) in [
        (&["--locked", "--mirror", "http://127.0.0.1:1"][..], ["--locked", "--mirror"]),
        (&["--locked", "--model", "clear.onnx"], ["--locked", "--model"]),
        (&["--locked", "--plan", "a.plan.toml"], ["--locked", "--plan"]),
        (&["--locked", "--update-lock"], ["--locked", "--update-lock"]),
        (&["--update-lock", "--model", "clear.onnx"], ["--update-lock", "--model"]),
        (&["--update-lock", "--plan", "a.plan.toml"], ["--update-lock", "--plan"]),
        (&["--update-lock", "--only", "provider"], ["--update-lock", "--only"]),
    ] {
        let ended = program.run(&[&["quantize", "--artifacts", "artifacts"], arguments].concat());
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.errors);
        for text in texts {
            assert!(ended.errors.contains(text), "{arguments:?}: no `{text}` in: {}", ended.errors);
        }
    }
}
