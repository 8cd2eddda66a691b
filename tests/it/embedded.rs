//! The model in this binary is the one its metadata tells of. `cargo xtask test` makes the artifact first.
#![cfg(feature = "embed")]

use kokoro_model::{METADATA, MODEL};
use sha2::{Digest, Sha256};

/// In a build without a model none of these tests says anything, so such a build is a failure.
fn model() -> &'static [u8] {
    assert!(
        !MODEL.is_empty(),
        "built without a model\nhint: `cargo xtask test` makes the artifact and tests"
    );
    MODEL
}

#[test]
fn the_bytes_have_the_digest_and_the_size_of_the_metadata() {
    let expected = (0..64).step_by(2).map(|at| u8::from_str_radix(&METADATA.sha256[at..at + 2], 16).unwrap());
    assert!(Sha256::digest(model()).into_iter().eq(expected), "expected `{}`", METADATA.sha256);
    assert_eq!(METADATA.sha256.len(), 64);
    assert_eq!(MODEL.len() as u64, METADATA.bytes);
}

#[test]
fn the_bytes_are_aligned_to_a_page() {
    assert_eq!(model().as_ptr().addr() % 4096, 0);
}

#[test]
fn the_constants_survive_a_way_through_json() {
    model();
    let json = serde_json::to_string(&METADATA).unwrap();
    let read: kokoro_model::Metadata = serde_json::from_str(&json).unwrap();
    // What it was chosen for is no part of the JSON.
    assert_eq!(*read.gated, []);
    assert_eq!(kokoro_model::Metadata { gated: METADATA.gated.clone(), ..read }, METADATA);
}

#[test]
fn the_metadata_is_that_of_a_kokoro_model() {
    model();
    assert_eq!((METADATA.vocabulary_size, METADATA.sample_rate), (178, 24_000));
    let names: Vec<_> = METADATA.inputs.iter().map(|input| input.name.as_ref()).collect();
    assert_eq!(names, ["tokens", "style", "speed"]);
    let names: Vec<_> = METADATA.outputs.iter().map(|output| output.name.as_ref()).collect();
    assert_eq!(names, ["audio", "durations"]);
}
