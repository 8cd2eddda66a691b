//! Preparing on the pinned ONNX Runtime: what a prepared artifact says, and what is refused.

use crate::support::models;
use crate::support::program::{recipe, runtime};
use bytes::Bytes;
use kokoro_model::prepared::Prepared;
use kokoro_model::{BaseKind, ErrorKind, Metadata, Style, Synthesizer, SynthesizerOptions};
use tempfile::TempDir;
use xtask::base::{Base, BaseId};
use xtask::describe;
use xtask::digest::Digest;
use xtask::prepare::prepare;
use xtask::recipe::Recipe;
use xtask::scheme::SchemeName;

/// A small model by `weights-int8`: its bytes and what is known of them.
fn artifact(recipe: &Recipe) -> (Bytes, Metadata) {
    let bytes: Bytes = models::encode(&models::convolved()).into();
    let id = BaseId { name: "convolved".into(), kind: BaseKind::Local, sha256: Digest::of(&bytes) };
    let base = Base { id, file_bytes: bytes.len() as u64, bytes, export: None };
    let scheme = SchemeName::WeightsInt8;
    let mut model = base.decode().unwrap();
    quantizer::schemes::quantize(&mut model, &*scheme.build(recipe, None).unwrap()).unwrap();
    let metadata = describe::metadata(&model, &base, scheme, recipe, None).unwrap();
    let bytes: Bytes = models::encode(&model).into();
    let metadata = describe::with_file(metadata, Digest::of(&bytes), bytes.len() as u64);
    (bytes, metadata)
}

#[test]
fn it_says_the_same_in_however_many_parts() {
    let (runtime, mut recipe, folder) = (runtime(), recipe(), TempDir::new().unwrap());
    let (bytes, metadata) = artifact(&recipe);
    let options = SynthesizerOptions::for_artifact(&metadata);
    let style = Style::new([0.0; 256]).unwrap();
    let mut whole = Synthesizer::from_bytes(&runtime, &bytes, &options).unwrap();
    for (first, parts) in [(None, 1), (Some("^nothing is called so$"), 1), (Some("^(pitch|level|hear)$"), 2)]
    {
        recipe.prepare.first = first.map(ToOwned::to_owned);
        let scratch = folder.path().join("scratch");
        let prepared = prepare(&runtime, &bytes, &metadata, &recipe, &scratch).unwrap();
        assert!(!scratch.exists(), "what the runtime wrote is removed");
        let contents = Prepared::read(&prepared).unwrap();
        assert_eq!(contents.parts.len(), parts, "{first:?}");
        // The table that is looked up is the one large weight.
        let weights: Vec<_> = contents.parts.iter().flat_map(|part| &part.weights).collect();
        assert_eq!(weights.iter().map(|weight| &*weight.name).collect::<Vec<_>>(), ["table"]);
        assert!(weights[0].is_input && prepared.len() < bytes.len() / 2);

        let mut speaker = Synthesizer::from_prepared(&runtime, &bytes, &prepared, &options).unwrap();
        for ids in [&[1_i64, 2, 3][..], &[5; 40], &[1, 2, 3]] {
            let [expected, found] =
                [&mut whole, &mut speaker].map(|it| it.speak_tokens(ids, &style, 1.0).unwrap().samples);
            assert_eq!(expected, found, "{first:?}");
        }
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let (runtime, recipe, folder) = (runtime(), recipe(), TempDir::new().unwrap());
    let (bytes, metadata) = artifact(&recipe);
    let options = SynthesizerOptions::for_artifact(&metadata);
    let prepared = prepare(&runtime, &bytes, &metadata, &recipe, &folder.path().join("scratch")).unwrap();
    let short = prepared.len() / 2;
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let [weight, graph] = [flipped(&bytes, bytes.len() / 2), flipped(&prepared, short)];
    for (model, prepared) in [
        (&bytes[1..], &prepared[..]),
        (&bytes, &prepared[..short]),
        (&bytes, b"none"),
        (&bytes, b""),
        (&weight, &prepared),
        (&bytes, &graph),
    ] {
        let error = Synthesizer::from_prepared(&runtime, model, prepared, &options).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::PreparedDamaged { .. }), "{error}");
    }
}

#[test]
fn a_pattern_that_is_none_is_a_matter_of_the_recipe() {
    let (runtime, mut recipe, folder) = (runtime(), recipe(), TempDir::new().unwrap());
    let (bytes, metadata) = artifact(&recipe);
    recipe.prepare.first = Some("(".into());
    let error = prepare(&runtime, &bytes, &metadata, &recipe, &folder.path().join("scratch")).unwrap_err();
    assert!(format!("{error:#}").contains("`prepare.first`"), "{error:#}");
}
