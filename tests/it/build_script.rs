//! The modules of the build script: which artifact is found, what is refused, and what is said of it.
//! `settings_build.rs` tests what a build asks for and how it embeds, `voices_build.rs` the modules of the voices, `bundle_build.rs`
//! those of the bundled library.
#![cfg(feature = "embed")]

use std::collections::BTreeMap;

use crate::build::artifact::{Failure, resolve};
use crate::build::embed::generate;
use crate::build::metadata::{Chosen, ChosenFor, Evidence, Gated, Metadata};
use crate::build::settings::{COREML, Source};
use crate::room::{Room, hex};

const MODEL: &[u8] = b"the bytes of a model";
const PREPARED: &[u8] = b"its graph in parts";

fn metadata_json() -> serde_json::Value {
    serde_json::json!({
        "name": "a.onnx", "scheme": "weights-int8", "sha256": hex(MODEL), "bytes": MODEL.len(),
        "base": {"name": "kokoro-v1.0", "sha256": "0".repeat(64), "bytes": 325_532_387, "kind": "restored"},
        "recipe_sha256": "1".repeat(64), "plan_sha256": null, "tool_version": "0.1.0",
        "onnx_opset": [{"domain": "", "version": 20}], "onnx_ir": 9,
        "inputs": [{"name": "tokens", "element_type": "int64", "shape": [1, "sequence_length"]}],
        "outputs": [{"name": "audio", "element_type": "float32", "shape": ["audio_length"]}],
        "vocabulary_size": 178, "sample_rate": 24_000,
        "precisions": [{"precision": "int8", "tensors": 3, "bytes": 5}],
        "session_options": [{"key": "session.disable_quant_qdq", "value": "1"}],
        "licence": "Apache-2.0", "attribution": "a \"quoted\" \\ name",
        "prepared": {"sha256": hex(PREPARED), "bytes": PREPARED.len(), "onnxruntime": "1.26"}
    })
}

impl Room {
    /// A room whose artifact is complete.
    fn complete() -> Self {
        let room = Self::new();
        room.write("artifacts/a.onnx", MODEL);
        room.write("artifacts/a.prepared", PREPARED);
        room.write_metadata(&metadata_json());
        room
    }

    /// Writes the metadata, and a `chosen.json` that fits it.
    fn write_metadata(&self, metadata: &serde_json::Value) {
        let metadata = metadata.to_string();
        self.write("artifacts/a.json", metadata.as_bytes());
        self.write_chosen(&Chosen {
            file: "a.onnx".to_owned(),
            sha256: hex(MODEL),
            metadata: "a.json".to_owned(),
            metadata_sha256: hex(metadata.as_bytes()),
            providers: BTreeMap::new(),
        });
    }

    /// Chooses the artifact for `cpu` as measured and for `webgpu`, and another one, `b.onnx`, for `coreml` as predicted.
    fn choose_for_providers(&self) {
        let other = b"another model";
        let mut metadata = metadata_json();
        metadata["name"] = "b.onnx".into();
        metadata["sha256"] = hex(other).into();
        metadata["bytes"] = other.len().into();
        metadata["prepared"] = serde_json::Value::Null;
        let metadata = metadata.to_string();
        self.write("artifacts/b.onnx", other);
        self.write("artifacts/b.json", metadata.as_bytes());
        let mut chosen = self.chosen();
        let own = ChosenFor {
            file: chosen.file.clone(),
            sha256: chosen.sha256.clone(),
            metadata: chosen.metadata.clone(),
            metadata_sha256: chosen.metadata_sha256.clone(),
            evidence: Evidence::Measured,
        };
        let other = ChosenFor {
            file: "b.onnx".to_owned(),
            sha256: hex(other),
            metadata: "b.json".to_owned(),
            metadata_sha256: hex(metadata.as_bytes()),
            evidence: Evidence::Predicted,
        };
        let entries = [("cpu", own.clone()), ("webgpu", own), ("coreml", other)];
        chosen.providers = entries.map(|(name, entry)| (name.to_owned(), entry)).into();
        self.write_chosen(&chosen);
    }

    fn write_chosen(&self, chosen: &Chosen) {
        self.write("artifacts/chosen.json", &serde_json::to_vec(chosen).unwrap());
    }

    fn chosen(&self) -> Chosen {
        serde_json::from_slice(&fs_err::read(self.path("artifacts/chosen.json")).unwrap()).unwrap()
    }

    /// The failure, after a look that nothing was left in `OUT_DIR`.
    fn failure(&self) -> Failure {
        let failure = resolve(&self.settings).unwrap_err();
        assert!(self.left_in_out().is_empty(), "half-written: {failure}");
        let text = failure.to_string();
        assert!(text.contains("`cargo xtask quantize`"), "{text}");
        failure
    }

    #[track_caller]
    fn fails_with(&self, parts: &[&str]) {
        let text = self.failure().to_string();
        for part in parts {
            assert!(text.contains(part), "expected `{part}` in:\n{text}");
        }
    }
}

#[test]
fn the_chosen_artifact_is_copied_under_its_digest() {
    let room = Room::complete();
    let artifact = resolve(&room.settings).unwrap().unwrap();
    assert_eq!(artifact.copy, room.path("out").join(format!("{}.onnx", hex(MODEL))));
    assert_eq!(fs_err::read(&artifact.copy).unwrap(), MODEL);
    assert_eq!(serde_json::to_value(&artifact.metadata).unwrap(), metadata_json());
    let names = ["artifacts/chosen.json", "artifacts/a.json", "artifacts/a.onnx", "artifacts/a.prepared"];
    let watched = names.map(|name| room.path(name));
    assert_eq!(artifact.watched, watched);
}

#[test]
fn the_metadata_says_for_which_providers_it_was_chosen() {
    let room = Room::complete();
    let of = |room: &Room| resolve(&room.settings).unwrap().unwrap();
    assert_eq!(*of(&room).metadata.gated, []);
    room.choose_for_providers();
    let artifact = of(&room);
    assert_eq!(artifact.metadata.sha256, hex(MODEL));
    let gated = |provider: &'static str, evidence| Gated { provider: provider.into(), evidence };
    let expected = [gated("cpu", Evidence::Measured), gated("webgpu", Evidence::Measured)];
    assert_eq!(*artifact.metadata.gated, expected);
    assert_eq!(
        serde_json::to_value(&artifact.metadata).unwrap(),
        metadata_json(),
        "it is no part of the file"
    );
    let source = generate(Some(&artifact), &room.settings.target).unwrap();
    let part = r#"gated: ::std::borrow::Cow::Borrowed(&[crate::metadata::Gated { provider: ::std::borrow::Cow::Borrowed("cpu"), evidence: crate::metadata::Evidence::Measured }"#;
    assert!(source.contains(part), "{source}");

    let mut claimed = metadata_json();
    claimed["gated"] = serde_json::json!([]);
    room.write_metadata(&claimed);
    let failure = resolve(&room.settings).unwrap_err().to_string();
    assert!(failure.contains("unknown field `gated`"), "{failure}");
}

#[test]
fn a_provider_has_an_artifact_of_its_own() {
    let mut room = Room::complete();
    room.settings.provider = Some(COREML);
    room.fails_with(&["feature `coreml`", "artifacts/chosen.json", "found one for no execution provider"]);
    room.choose_for_providers();
    let artifact = resolve(&room.settings).unwrap().unwrap();
    assert_eq!(artifact.metadata.name, "b.onnx");
    assert_eq!(fs_err::read(&artifact.copy).unwrap(), b"another model");
    let expected = Gated { provider: "coreml".into(), evidence: Evidence::Predicted };
    assert_eq!(*artifact.metadata.gated, [expected]);

    room.settings.provider = Some("openvino");
    fs_err::remove_dir_all(room.path("out")).unwrap();
    fs_err::create_dir(room.path("out")).unwrap();
    room.fails_with(&["feature `openvino`", "found one for `coreml`, `cpu`, `webgpu`"]);
}

#[test]
fn a_new_model_replaces_the_copy_of_the_old_one() {
    let room = Room::complete();
    room.write("out/old.onnx", b"old");
    room.write("out/old.prepared", b"old");
    resolve(&room.settings).unwrap();
    assert_eq!(room.left_in_out().len(), 2);
}

#[test]
fn the_prepared_file_is_checked_and_embedded_with_the_model() {
    let room = Room::complete();
    let artifact = resolve(&room.settings).unwrap().unwrap();
    let copy = artifact.prepared.clone().unwrap();
    assert_eq!(fs_err::read(&copy).unwrap(), PREPARED);
    let source = generate(Some(&artifact), &room.settings.target).unwrap();
    let path = copy.to_str().unwrap();
    assert!(source.contains(&format!("pub static PREPARED: &[u8] = include_bytes!({path:?});")), "{source}");
    assert!(source.contains(&hex(PREPARED)), "{source}");
}

#[test]
fn without_a_prepared_file_the_model_is_embedded_alone() {
    let room = Room::complete();
    let mut metadata = metadata_json();
    metadata["prepared"] = serde_json::Value::Null;
    room.write_metadata(&metadata);
    let artifact = resolve(&room.settings).unwrap().unwrap();
    assert_eq!(artifact.prepared, None);
    let source = generate(Some(&artifact), &room.settings.target).unwrap();
    assert!(
        source.contains("pub static PREPARED: &[u8] = &[];") && source.contains("prepared: None,"),
        "{source}"
    );
}

#[test]
fn a_prepared_file_that_is_missing_or_another_is_refused() {
    let room = Room::complete();
    room.write("artifacts/a.prepared", b"another graph");
    room.fails_with(&["artifacts/a.prepared", &hex(PREPARED), &hex(b"another graph")]);
    fs_err::remove_file(room.path("artifacts/a.prepared")).unwrap();
    let cached = room.path("cache").join(hex(PREPARED)).join("a.prepared");
    room.fails_with(&["`a.prepared` is missing", &format!("looked in: `{}`", cached.display())]);
    let mut metadata = metadata_json();
    metadata["prepared"]["sha256"] = "f00".into();
    room.write_metadata(&metadata);
    room.fails_with(&["`prepared.sha256` = `f00`, expected 64 lower-case hexadecimal digits"]);
}

#[test]
fn a_model_that_is_not_in_artifacts_comes_from_the_cache() {
    let room = Room::complete();
    fs_err::remove_file(room.path("artifacts/a.onnx")).unwrap();
    room.write(&format!("cache/{}/a.onnx", hex(MODEL)), MODEL);
    let artifact = resolve(&room.settings).unwrap().unwrap();
    assert_eq!(fs_err::read(&artifact.copy).unwrap(), MODEL);
}

#[test]
fn an_onnx_file_with_its_metadata_can_be_given() {
    let mut room = Room::complete();
    fs_err::remove_file(room.path("artifacts/chosen.json")).unwrap();
    room.settings.source = Source::Given(room.path("artifacts/a.onnx"));
    assert_eq!(resolve(&room.settings).unwrap().unwrap().metadata.name, "a.onnx");
    room.write("artifacts/a.onnx", b"the bytes of b model");
    room.fails_with(&["artifacts/a.onnx", &hex(MODEL), &hex(b"the bytes of b model")]);
    fs_err::remove_file(room.path("artifacts/a.json")).unwrap();
    room.fails_with(&["artifacts/a.json"]);
}

/// A room whose artifact lies in the cache alone, and is asked for by the digest of its metadata.
fn pinned() -> (Room, String) {
    let mut room = Room::new();
    let metadata = metadata_json().to_string();
    let pin = hex(metadata.as_bytes());
    room.write(&format!("cache/{}/a.onnx", hex(MODEL)), MODEL);
    room.write(&format!("cache/{}/a.prepared", hex(PREPARED)), PREPARED);
    room.write(&format!("cache/{pin}/a.json"), metadata.as_bytes());
    room.settings.source = Source::Pinned(pin.clone());
    (room, pin)
}

#[test]
fn the_digest_of_metadata_is_enough() {
    let (room, pin) = pinned();
    let artifact = resolve(&room.settings).unwrap().unwrap();
    assert_eq!(fs_err::read(&artifact.copy).unwrap(), MODEL);
    assert_eq!(fs_err::read(artifact.prepared.unwrap()).unwrap(), PREPARED);
    let (model, prepared) = (hex(MODEL), hex(PREPARED));
    let names = [format!("{pin}/a.json"), format!("{model}/a.onnx"), format!("{prepared}/a.prepared")];
    assert_eq!(artifact.watched, names.map(|name| room.path("cache").join(name)));
}

#[test]
fn a_pin_takes_nothing_else() {
    let (mut room, pin) = pinned();
    let metadata = room.path("cache").join(&pin).join("a.json");
    room.write(&format!("cache/{}/a.onnx", hex(MODEL)), b"the bytes of b model");
    room.fails_with(&["a.onnx", &hex(MODEL), &hex(b"the bytes of b model")]);
    fs_err::remove_dir_all(room.path("cache").join(hex(MODEL))).unwrap();
    let place = room.path("cache").join(hex(MODEL)).join("a.onnx");
    room.fails_with(&["`a.onnx` is missing", &hex(MODEL), &format!("looked in: `{}`", place.display())]);

    fs_err::write(&metadata, b"{}").unwrap();
    room.fails_with(&[&pin, &hex(b"{}")]);
    fs_err::remove_file(&metadata).unwrap();
    let place = room.path("cache").join(&pin);
    room.fails_with(&["no metadata with this digest", &format!("looked in: `{}`", place.display())]);
    room.fails_with(&[&format!("digest: `{pin}`"), "`cargo xtask fetch --artifact URL`"]);

    room.settings.source = Source::Pinned("../../etc".to_owned());
    room.fails_with(&["`sha256:../../etc`, expected 64 lower-case hexadecimal digits"]);
    room.settings.source = Source::Pinned(pin);
    room.settings.cache = None;
    room.fails_with(&["no home folder, and so no cache"]);
}

#[test]
fn nothing_asked_for_is_nothing_embedded() {
    let mut room = Room::new();
    room.settings.source = Source::Nothing;
    assert!(resolve(&room.settings).unwrap().is_none());
    let source = generate(None, &room.settings.target).unwrap();
    assert!(source.contains("pub static MODEL: &[u8] = &[];") && source.contains("vocabulary_size: 0,"));
}

#[test]
fn without_a_choice_the_message_names_the_place() {
    let room = Room::new();
    let place = room.path("artifacts/chosen.json");
    room.fails_with(&[&format!("looked in: `{}`", place.display())]);
}

#[test]
fn a_folder_or_an_archive_is_no_choice() {
    let mut room = Room::complete();
    for name in ["artifacts", "artifacts/a.tar.zst"] {
        room.settings.source = Source::Given(room.path(name));
        let found = format!("found `{}`", room.path(name).display());
        room.fails_with(&["expected a `chosen.json` or an `.onnx` file", &found, "fetch --artifact"]);
    }
}

#[test]
fn a_missing_model_is_named_with_its_digest_and_every_place() {
    let room = Room::complete();
    fs_err::remove_file(room.path("artifacts/a.onnx")).unwrap();
    let cached = room.path("cache").join(hex(MODEL)).join("a.onnx");
    let beside = room.path("artifacts/a.onnx");
    room.fails_with(&[
        "`a.onnx` is missing",
        &format!("digest: `{}`", hex(MODEL)),
        &format!("looked in: `{}`", beside.display()),
        &format!("looked in: `{}`", cached.display()),
    ]);
}

#[test]
fn changed_bytes_are_refused_with_both_digests() {
    let room = Room::complete();
    let tampered = b"the bytes of a modem";
    assert_eq!(tampered.len(), MODEL.len());
    room.write("artifacts/a.onnx", tampered);
    room.fails_with(&[&hex(MODEL), &hex(tampered), "artifacts/a.onnx"]);
}

#[test]
fn a_truncated_model_is_refused_by_its_size() {
    let room = Room::complete();
    room.write("artifacts/a.onnx", &MODEL[..7]);
    room.fails_with(&["has 7 bytes, expected 20 by its metadata"]);
}

#[test]
fn changed_metadata_is_refused_with_both_digests() {
    let room = Room::complete();
    let expected = room.chosen().metadata_sha256;
    room.write("artifacts/a.json", b"{}");
    room.fails_with(&["artifacts/a.json", &expected, &hex(b"{}")]);
}

#[test]
fn unknown_and_missing_keys_are_named() {
    let room = Room::complete();
    let mut metadata = metadata_json();
    metadata["colour"] = "blue".into();
    room.write_metadata(&metadata);
    room.fails_with(&["artifacts/a.json", "unknown field `colour`"]);

    let mut metadata = metadata_json();
    metadata["base"]["colour"] = "blue".into();
    room.write_metadata(&metadata);
    room.fails_with(&["unknown field `colour`"]);

    let mut metadata = metadata_json();
    metadata.as_object_mut().unwrap().remove("vocabulary_size");
    room.write_metadata(&metadata);
    room.fails_with(&["missing field `vocabulary_size`"]);

    let mut metadata = metadata_json();
    metadata["base"]["kind"] = "found".into();
    room.write_metadata(&metadata);
    room.fails_with(&["unknown variant `found`", "`official`"]);

    room.write("artifacts/chosen.json", br#"{"file": "a.onnx", "digest": ""}"#);
    room.fails_with(&["artifacts/chosen.json", "unknown field `digest`"]);
}

#[test]
fn metadata_of_another_artifact_is_refused() {
    let room = Room::complete();
    let mut metadata = metadata_json();
    metadata["sha256"] = "2".repeat(64).into();
    room.write_metadata(&metadata);
    room.fails_with(&[&hex(MODEL), &"2".repeat(64)]);
}

#[test]
fn a_choice_cannot_lead_out_of_its_folder() {
    let room = Room::complete();
    room.write("a.onnx", MODEL);
    for file in ["../a.onnx", "/a.onnx", "..", "", "b/../a.onnx"] {
        room.write_chosen(&Chosen { file: file.to_owned(), ..room.chosen() });
        room.fails_with(&[&format!("names `{file}`, expected a plain file name")]);
    }
}

#[test]
fn what_is_no_digest_is_refused() {
    let room = Room::complete();
    for sha256 in ["", "abc", &hex(MODEL).to_uppercase(), &format!("../{}", &hex(MODEL)[3..])] {
        let chosen = room.chosen();
        room.write_chosen(&Chosen { sha256: sha256.to_owned(), ..chosen.clone() });
        room.fails_with(&[&format!("`sha256` = `{sha256}`")]);
        room.write_chosen(&Chosen { metadata_sha256: sha256.to_owned(), ..chosen.clone() });
        room.fails_with(&[&format!("`metadata_sha256` = `{sha256}`")]);
        room.write_chosen(&chosen);
    }
}

#[test]
fn the_digest_is_that_of_sha2_at_every_length_around_the_blocks() {
    let bytes: Vec<u8> = (0..600_000_u32).map(|index| (index.wrapping_mul(index) >> 7) as u8).collect();
    for length in (0..200).chain([(1 << 18) - 1, 1 << 18, (1 << 18) + 1, 600_000]) {
        let found = crate::build::sha256::hex_digest(&bytes[..length]).unwrap();
        assert_eq!(found, hex(&bytes[..length]), "{length} bytes");
    }
}

#[test]
fn the_compiled_helper_gives_the_same_digest() {
    let mut room = Room::new();
    let file = room.path("file");
    let bytes = vec![7; 1_000_003];
    fs_err::write(&file, &bytes).unwrap();
    room.settings.rustc = Some(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    assert_eq!(crate::build::digest::of_file(&file, &room.settings).unwrap(), hex(&bytes));
    let helper = room.path("out").join(format!("hasher{}", std::env::consts::EXE_SUFFIX));
    assert_eq!(crate::build::digest::ask(&helper, &file), Some(hex(&bytes)), "the helper itself answers");
}

#[test]
fn a_compiler_that_fails_leaves_the_digest_right() {
    let mut room = Room::new();
    let file = room.path("file");
    fs_err::write(&file, MODEL).unwrap();
    room.settings.rustc = Some(room.path("no-rustc").into());
    assert_eq!(crate::build::digest::of_file(&file, &room.settings).unwrap(), hex(MODEL));
}

#[test]
fn the_metadata_type_reads_what_it_writes() {
    let metadata: Metadata = serde_json::from_value(metadata_json()).unwrap();
    assert_eq!(serde_json::to_value(&metadata).unwrap(), metadata_json());
}
