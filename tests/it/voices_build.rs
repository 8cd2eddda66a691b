//! The modules of the build script that are of voices: which names there can be, and what is refused and packed.
#![cfg(feature = "voices")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::build::packing::{Failure, compress, pack};
use crate::build::recipe::{PATH, Voices, read};
use crate::build::settings::{Settings, Source};
use crate::build::voices::generate;
use crate::room::hex;

const BYTES: usize = 510 * 256 * 4;

/// A cache with two voices of flat styles.
struct Room {
    folder: TempDir,
    settings: Settings,
    voices: Voices,
}

impl Room {
    fn new() -> Self {
        let crate::room::Room { folder, settings } = crate::room::Room::new();
        let voices = Voices { bytes: BYTES as u64, sha256: BTreeMap::new() };
        let mut room = Self { folder, settings, voices };
        for (name, value) in [("af_a", 0.5_f32), ("bm_b", -0.25)] {
            let bytes = value.to_le_bytes().repeat(510 * 256);
            room.voices.sha256.insert(name.to_owned(), hex(&bytes));
            fs_err::create_dir_all(room.path(name).parent().unwrap()).unwrap();
            fs_err::write(room.path(name), bytes).unwrap();
        }
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("cache").join(&self.voices.sha256[name]).join(format!("{name}.bin"))
    }

    #[track_caller]
    fn fails_with(&self, parts: &[&str]) -> Failure {
        let failure = pack(&self.settings, &self.voices).unwrap_err();
        let text = failure.to_string();
        let always = ["no voices to embed: ", "`cargo xtask fetch bm_b`", &self.voices.sha256["bm_b"]];
        for part in parts.iter().chain(&always) {
            assert!(text.contains(part), "expected `{part}` in:\n{text}");
        }
        failure
    }
}

#[test]
fn verified_voices_are_packed_one_after_the_other() {
    let mut room = Room::new();
    let packed = pack(&room.settings, &room.voices).unwrap();
    assert_eq!(packed.watched, [room.path("af_a"), room.path("bm_b")]);
    let first = compress(&fs_err::read(room.path("af_a")).unwrap()).unwrap();
    assert_eq!(packed.ends, [first.len(), packed.bytes.len()]);
    assert!(packed.bytes.starts_with(&first));
    assert!(packed.source().contains(&format!("[{}, {}]", packed.ends[0], packed.ends[1])));

    room.settings.rustc = Some(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    assert_eq!(
        pack(&room.settings, &room.voices).unwrap().bytes,
        packed.bytes,
        "the helper finds the same digests"
    );
}

#[test]
fn nothing_asked_for_is_nothing_packed() {
    let mut room = Room::new();
    fs_err::remove_file(room.path("bm_b")).unwrap();
    room.settings.source = Source::Nothing;
    let packed = pack(&room.settings, &room.voices).unwrap();
    assert!(packed.bytes.is_empty() && packed.watched.is_empty());
    assert!(packed.source().contains("static ENDS: &[usize] = &[];"));
}

#[test]
fn a_missing_voice_is_named_with_its_place() {
    let mut room = Room::new();
    fs_err::remove_file(room.path("bm_b")).unwrap();
    let place = room.path("bm_b");
    room.fails_with(&[&format!("looked in: `{}`", place.display())]);
    room.settings.cache = None;
    room.voices.sha256.remove("af_a");
    let failure = room.fails_with(&["`bm_b` is missing", "no cache"]);
    assert_eq!(failure.looked_in, None);
}

#[test]
fn changed_bytes_are_refused() {
    let room = Room::new();
    let changed = 0.125_f32.to_le_bytes().repeat(510 * 256);
    fs_err::write(room.path("bm_b"), &changed).unwrap();
    room.fails_with(&["bm_b.bin", &hex(&changed)]);
    fs_err::write(room.path("bm_b"), &changed[4..]).unwrap();
    room.fails_with(&["has 522236 bytes, expected 522240"]);
}

#[test]
fn what_is_no_style_is_refused() {
    for value in [f32::NAN, f32::INFINITY, 128.0] {
        let error = compress(&value.to_le_bytes().repeat(510 * 256)).unwrap_err();
        assert!(error.contains("value 0 is"), "{error}");
    }
    assert!(compress(&[0; 8]).unwrap_err().contains("8 bytes"));
}

#[test]
fn a_voice_has_a_variant_by_its_name() {
    let voices = |name: &str| Voices { bytes: 0, sha256: BTreeMap::from([(name.to_owned(), String::new())]) };
    let source = generate(&voices("bm_george")).unwrap();
    for part in ["    BmGeorge,\n", "(\"bm_george\", Language::BritishEnglish, Gender::Male)", "[Self; 1]"] {
        assert!(source.contains(part), "expected `{part}` in:\n{source}");
    }
    for name in ["george", "xm_george", "bx_george", "b_george", "bmm_george", "bm_", "bm_George", "bm_a b"] {
        let error = generate(&voices(name)).unwrap_err();
        assert!(error.contains(&format!("`voices.sha256.{name}`")), "{error}");
    }
}

#[test]
fn the_recipe_has_its_voices_and_a_file_without_is_named() {
    let recipe = read(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(PATH)).unwrap();
    assert_eq!((recipe.voices.bytes, recipe.voices.sha256.len()), (BYTES as u64, 54));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("recipe.toml");
    fs_err::write(&path, "name = \"a\"").unwrap();
    let error = read(&path).unwrap_err();
    assert!(error.contains("recipe.toml") && error.contains("missing field `voices`"), "{error}");
}
