//! The voices in this binary are the published ones, but for an error that is stated. `cargo xtask test` fetches the files.
#![cfg(feature = "voices")]

use std::collections::BTreeMap;

use kokoro_model::{ErrorKind, MAX_PHONEMES, Speaker, Voice, VoiceStyles};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// Half a step of what the build script rounds to. The styles themselves vary by 0.19 (standard deviation).
const LARGEST_ERROR: f64 = 1.0 / 131_072.0;

#[derive(Deserialize)]
struct Recipe {
    voices: Voices,
}

#[derive(Deserialize)]
struct Voices {
    sha256: BTreeMap<String, String>,
}

fn digests() -> BTreeMap<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/kokoro-v1.0.toml");
    toml::from_str::<Recipe>(&fs_err::read_to_string(path).unwrap()).unwrap().voices.sha256
}

/// The published styles of a voice, after a look at their digest.
fn published(name: &str, sha256: &str) -> VoiceStyles {
    let cache = crate::build::settings::cache(|name| std::env::var_os(name), cfg!(windows)).expect("a cache");
    let path = cache.join(sha256).join(format!("{name}.bin"));
    let bytes = fs_err::read(path).expect("hint: `cargo xtask test` fetches the voices and tests");
    let found = Sha256::digest(&bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert_eq!(found, sha256, "{name}");
    VoiceStyles::from_bytes(&bytes).unwrap()
}

#[test]
fn every_voice_of_the_recipe_is_here_and_nearly_exact() {
    let digests = digests();
    assert_eq!(digests.keys().map(String::as_str).collect::<Vec<_>>(), Voice::ALL.map(Voice::name));
    let mut largest = 0.0_f64;
    for (name, sha256) in &digests {
        let embedded = name.parse::<Voice>().unwrap().styles().unwrap();
        let published = published(name, sha256);
        for phonemes in 1..=MAX_PHONEMES {
            let pairs = embedded.style(phonemes).values().iter().zip(published.style(phonemes).values());
            for (embedded, published) in pairs {
                largest = largest.max((f64::from(*embedded) - f64::from(*published)).abs());
            }
        }
    }
    assert!(largest <= LARGEST_ERROR, "an error of {largest}, expected at most {LARGEST_ERROR}");
    assert!(largest > 0.0, "rounding has an error, so two different tables were compared");
}

#[test]
fn a_mix_by_name_is_the_mix_of_its_voices() {
    let speaker: Speaker = "af_heart+am_adam:0.3".parse().unwrap();
    let parts = [(Voice::AfHeart.styles().unwrap(), 0.7), (Voice::AmAdam.styles().unwrap(), 0.3)];
    assert_eq!(speaker.styles().unwrap(), VoiceStyles::mix(&parts).unwrap());
    assert_eq!(Speaker::from(Voice::BmLewis).styles().unwrap(), Voice::BmLewis.styles().unwrap());
    let error = "af_heart+af_hart".parse::<Speaker>().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnknownVoice { near, .. } if near.contains(&"af_heart")));
}
