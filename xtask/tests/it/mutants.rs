//! The real model, broken in the ways in which quantized speech breaks. Each mutant must be refused by the limits of
//! `weights-int8`, by the metric that is there to catch it; what is only rounded otherwise must pass.
//!
//! The base and the voices come from the user's cache, or are fetched; a graph takes some seconds a mutant.

use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use kokoro_model::Runtime;
use quantizer::proto::{GraphProto, ModelProto, TensorProto};
use quantizer::{model, rewrite, tensor};
use xtask::base::{self, Base, BaseArgs};
use xtask::digest::Digest;
use xtask::fetch::SourceArgs;
use xtask::fidelity::{Fidelity, Ruler, SentenceFidelity, Setting, Speech, fidelity_gate, fidelity_table};
use xtask::gates::{Progress, Subject, Utterance};
use xtask::recipe::Recipe;
use xtask::scheme::SchemeName;

/// Short ones of the sentences tagged `quick`: two women and a man, of whom one speaks fast.
const SENTENCES: [&str; 3] = ["held-23", "held-43", "held-49"];

/// What all tests share.
struct Fixture {
    base: Base,
    recipe: Recipe,
    ruler: Ruler<'static>,
}

/// One test at a time: two models at once would only slow each other down.
fn fixture() -> MutexGuard<'static, Fixture> {
    static FIXTURE: LazyLock<Mutex<Fixture>> = LazyLock::new(|| {
        let made = make().unwrap_or_else(|error| {
            panic!("no model to mutate: {error:#}\nhint: run `cargo xtask quantize` once, where there is a network")
        });
        Mutex::new(made)
    });
    FIXTURE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn make() -> anyhow::Result<Fixture> {
    let workspace = crate::support::program::workspace();
    let recipe = workspace.recipe()?;
    let fetcher = workspace.fetcher(&SourceArgs::default())?;
    let args = BaseArgs { base: Some(recipe.base.restored.name.clone()), ..BaseArgs::default() };
    let base = base::obtain(&args, &recipe, &fetcher, &workspace.console(), None)?;
    let corpus = workspace.corpus(&recipe)?;
    let mut sentences = workspace.held_out(&fetcher, &recipe, &corpus)?;
    sentences.retain(|sentence| SENTENCES.contains(&sentence.id.as_str()));
    assert_eq!(sentences.len(), SENTENCES.len(), "the corpus has other sentences");
    let (runtime, library) = workspace.runtime(&fetcher)?;
    // A test's fixture lives as long as the process.
    let (runtime, probe): (&'static Runtime, _) =
        (Box::leak(Box::new(runtime)), Box::leak(Box::new(recipe.probe.clone())));
    let setting = Setting {
        runtime,
        runtime_sha256: library.sha256,
        probe,
        dnsmos: workspace.dnsmos(&fetcher, &recipe)?.map(|models| &*Box::leak(Box::new(models))),
        threads: recipe.gates.fidelity.threads,
        progress: Progress::Nothing,
    };
    let ruler = Ruler::new(setting, &Subject::of_base(&base)?, sentences, &workspace.artifacts().fidelity())?;
    Ok(Fixture { base, recipe, ruler })
}

impl Fixture {
    /// Measures the base after `change`.
    fn mutate(&self, change: impl FnOnce(&mut GraphProto)) -> Fidelity {
        let mut mutant: ModelProto = self.base.decode().unwrap();
        change(model::graph_mut(&mut mutant).unwrap());
        let mut bytes = Vec::with_capacity(self.base.bytes.len());
        model::encode(&mutant, &mut bytes).unwrap();
        assert_ne!(Digest::of(&bytes), self.base.sha256, "the mutant is the base");
        let subject = Subject::new("mutant", bytes.into(), None).unwrap();
        self.ruler.measure(&subject, |_| false, Path::new("")).unwrap()
    }

    /// Measures what the base says after `change`.
    fn distort(&self, change: impl FnMut(&Utterance, &mut Speech)) -> Fidelity {
        Fidelity::new(self.sentences(change), &[], Vec::new())
    }

    fn sentences(&self, mut change: impl FnMut(&Utterance, &mut Speech)) -> Vec<SentenceFidelity> {
        let sentences = self.ruler.sentences().map(|(utterance, speech)| {
            let mut distorted = speech.clone();
            change(utterance, &mut distorted);
            SentenceFidelity::of(utterance, speech, &distorted).unwrap()
        });
        sentences.collect()
    }

    /// The checks that fail under the limits of `weights-int8`.
    fn refused_by(&self, fidelity: &Fidelity) -> Vec<String> {
        self.refused_as(SchemeName::WeightsInt8, fidelity)
    }

    fn refused_as(&self, scheme: SchemeName, fidelity: &Fidelity) -> Vec<String> {
        let limits = &scheme.thresholds(&self.recipe).fidelity;
        let checks = fidelity_gate(fidelity, limits).checks.into_iter();
        checks.filter(|check| !check.pass).map(|check| check.name).collect()
    }

    /// That the limits refuse it by each check of `expected`, whatever else they say.
    #[track_caller]
    fn assert_refused(&self, fidelity: &Fidelity, expected: &[&str]) {
        let refused = self.refused_by(fidelity);
        let missing: Vec<_> = expected.iter().filter(|name| !refused.iter().any(|it| it == *name)).collect();
        assert!(
            missing.is_empty(),
            "{missing:?} let it pass; refused by {refused:?}\n{}",
            fidelity_table([("mutant", fidelity)])
        );
    }
}

/// Changes the initializer `input` of the node called `name`: its shape and its values.
fn edit(graph: &mut GraphProto, name: &str, input: usize, change: impl FnOnce(&[usize], &mut Vec<f32>)) {
    let node = graph.node.iter().find(|node| node.name() == name);
    let weight = node.unwrap_or_else(|| panic!("no node `{name}`")).input[input].clone();
    let stored: &mut TensorProto = graph
        .initializer
        .iter_mut()
        .find(|tensor| tensor.name() == weight)
        .unwrap_or_else(|| panic!("`{name}`: input `{weight}` is not stored"));
    let (shape, mut values) = (tensor::shape(stored), tensor::to_f32(stored).unwrap());
    change(&shape, &mut values);
    *stored = tensor::from_f32(&weight, &shape, &values);
}

fn scale(factor: f32) -> impl Fn(&[usize], &mut Vec<f32>) {
    move |_, values| values.iter_mut().for_each(|value| *value *= factor)
}

const CONV_POST: &str = "generator/conv_post/Conv";
// Behind these two no normalization follows that would undo a change of scale, as one does behind half of all others.
const LAST_OF_BLOCK: &str = "generator/resblocks.4/convs2.2/Conv";
const LAST_OF_DECODER: &str = "decoder/decode.3/conv2/Conv";
const F0: &str = "prosody/F0_proj/Conv";
const DURATIONS: &str = "predictor/duration_proj/Add";

#[test]
fn the_base_forced_with_its_own_predictions_is_itself_to_the_bit() {
    let fixture = fixture();
    let subject = Subject::of_base(&fixture.base).unwrap();
    let fidelity = fixture.ruler.measure(&subject, |_| false, Path::new("")).unwrap();
    assert_eq!(fidelity.sentences.len(), SENTENCES.len());
    for sentence in &fidelity.sentences {
        assert_eq!((sentence.sound.snr_db, sentence.sound.lsd_db), (200.0, 0.0), "{}", sentence.id);
        assert_eq!((sentence.prosody.frames_off, sentence.prosody.f0_mean_cents), (0, Some(0.0)));
    }
    assert_eq!(fixture.refused_by(&fidelity), [""; 0]);
}

#[test]
fn an_exact_rewrite_passes_far_above_100_db() {
    let fixture = fixture();
    let fidelity = fixture.mutate(|graph| assert!(rewrite::reassociate(graph).unwrap() > 100));
    assert_eq!(fixture.refused_by(&fidelity), [""; 0]);
    let worst = &fidelity.metrics["snr_db"].found;
    assert!(worst.worst > 100.0, "{worst:?}");
    // It is not the base to the bit, or it would say nothing of rounding.
    assert!(worst.worst < 200.0, "{worst:?}");
}

#[test]
fn conv_post_quantized_per_tensor_is_refused() {
    let fixture = fixture();
    let fidelity = fixture.mutate(|graph| {
        edit(graph, CONV_POST, 1, |_, values| {
            let step = values.iter().fold(0.0_f32, |max, value| max.max(value.abs())) / 127.0;
            for value in values {
                *value = (*value / step).round_ties_even() * step;
            }
        });
    });
    // Static where the base is quiet: a mel of whole sentences hardly moves.
    fixture.assert_refused(&fidelity, &["octave_db.mean", "octave_db.worst"]);
}

#[test]
fn one_conv_scaled_by_a_twentieth_is_refused() {
    let fixture = fixture();
    let fidelity = fixture.mutate(|graph| edit(graph, LAST_OF_BLOCK, 1, scale(1.05)));
    fixture.assert_refused(&fidelity, &["octave_db.mean"]);
    // Scaling the last conv of all is scaling the logarithm of the spectrum.
    let fidelity = fixture.mutate(|graph| edit(graph, CONV_POST, 1, scale(1.05)));
    fixture.assert_refused(&fidelity, &["lsd_db.mean", "snr_db.mean", "octave_db.mean", "loudness_lu.mean"]);
}

#[test]
fn two_swapped_channels_are_refused() {
    let fixture = fixture();
    let fidelity = fixture.mutate(|graph| {
        edit(graph, LAST_OF_DECODER, 1, |shape, values| {
            let channel = shape[1] * shape[2];
            let (first, second) = values.split_at_mut(channel);
            first.swap_with_slice(&mut second[..channel]);
        });
        edit(graph, LAST_OF_DECODER, 2, |_, values| values.swap(0, 1));
    });
    fixture.assert_refused(&fidelity, &["snr_db.mean", "snr_db.worst"]);
}

#[test]
fn one_shifted_duration_logit_is_refused() {
    let fixture = fixture();
    let fidelity = fixture.mutate(|graph| edit(graph, DURATIONS, 0, |_, values| values[2] += 1.0));
    fixture.assert_refused(&fidelity, &["durations_exact.mean"]);
    // What is heard of it: more sounds are longer than a listener would pass over.
    let refused = fixture.refused_as(SchemeName::FusedInt8, &fidelity);
    assert!(refused.iter().any(|check| check == "tokens_off.mean"), "{refused:?}");
}

/// By the limits of what is embedded, which are those of hearing.
#[test]
fn a_token_off_by_a_frame_in_some_hundred_passes_and_one_by_two_is_refused() {
    let fixture = fixture();
    let refused = |frames: f32| {
        let mut said = fixture.sentences(|utterance, speech| {
            if utterance.id == SENTENCES[2] {
                speech.durations[5] += frames;
            }
        });
        said.extend(fixture.sentences(|_, _| {}));
        let mut refused = fixture.refused_as(SchemeName::FusedInt8, &Fidelity::new(said, &[], Vec::new()));
        // What it says was not listened to.
        refused.retain(|check| check.contains("token") || check.contains("length"));
        refused
    };
    assert_eq!(refused(1.0), [""; 0]);
    assert_eq!(refused(2.0), ["token_frames.worst", "length_off.worst"]);
}

#[test]
fn a_pitch_20_cents_off_is_refused() {
    let fixture = fixture();
    let fidelity = fixture.mutate(|graph| {
        let factor = (20.0_f32 / 1200.0).exp2();
        edit(graph, F0, 1, scale(factor));
        edit(graph, F0, 2, scale(factor));
    });
    fixture.assert_refused(&fidelity, &["f0_mean_cents.mean"]);
}

#[test]
fn a_sentence_pinned_at_the_rail_is_refused() {
    let fixture = fixture();
    let fidelity = fixture.distort(|utterance, speech| {
        if utterance.id == SENTENCES[1] {
            speech.audio.fill(1.0);
        }
    });
    fixture.assert_refused(&fidelity, &["clipped_runs.worst", "dc.worst", "snr_db.worst", "lsd_db.worst"]);
}

#[test]
fn a_sentence_without_a_number_is_refused() {
    let fixture = fixture();
    let fidelity = fixture.distort(|utterance, speech| {
        if utterance.id == SENTENCES[1] {
            speech.audio.fill(f32::NAN);
        }
    });
    fixture.assert_refused(&fidelity, &["not_finite.worst", "lsd_db.mean", "snr_db.worst"]);
    assert_eq!(fidelity.metrics["not_finite"].found.worst_id, SENTENCES[1]);
    let curves = fixture.distort(|_, speech| speech.f0[7] = f32::NAN);
    fixture.assert_refused(&curves, &["f0_mean_cents.mean", "f0_mean_cents.worst"]);
}

/// White noise 50 dB below full scale, uniform: its root mean square is its largest value over √3.
#[test]
fn static_at_minus_50_db_is_refused() {
    let fixture = fixture();
    let largest = 3.0_f32.sqrt() * 10.0_f32.powf(-50.0 / 20.0);
    let mut state = 1_u32;
    let fidelity = fixture.distort(|_, speech| {
        for sample in &mut speech.audio {
            // The generator of Numerical Recipes; its high bits are random enough to be heard as static.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample += largest * (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32;
        }
    });
    fixture.assert_refused(&fidelity, &["octave_db.mean", "lsd_db.mean"]);
}
