//! What a model predicts and says of a sentence, and how far that is from the base's.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::metric::{Aggregate, aggregate};
use super::opinion::Opinion;
use super::prosody::{Curves, Prosody, compare_prosody};
use super::sound::{Sound, compare_sound};
use crate::gates::Utterance;

/// One sentence as a model predicts it and says it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Speech {
    /// Frames of each token, the padding included: whole numbers.
    pub durations: Vec<f32>,
    /// F0 in Hz, two values a frame.
    pub f0: Vec<f32>,
    /// Energy, two values a frame.
    pub energy: Vec<f32>,
    /// Samples at 24 kHz.
    pub audio: Vec<f32>,
}

/// How far one sentence is from the base's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentenceFidelity {
    /// The id of the sentence.
    pub id: String,
    /// The name of the voice.
    pub voice: String,
    /// How long it plays, as the base says it.
    pub seconds: f64,
    /// What the candidate predicts.
    pub prosody: Prosody,
    /// What it makes of the base's durations, F0 and energy.
    pub sound: Sound,
    /// How that sound is rated, and the base's; `None` where the recipe has no `[dnsmos]`.
    pub opinion: Option<Opinion>,
    /// What it says of its own accord, where that was asked for and is as long as what the base says.
    pub free: Option<Sound>,
}

/// One metric over all sentences, beside the same of an exact rewrite of the base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// What was measured.
    #[serde(flatten)]
    pub found: Aggregate,
    /// The noise floor; `None` where none was measured, or it has not this metric.
    pub floor: Option<Aggregate>,
}

/// How far a model is from the base.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fidelity {
    /// Every metric of prosody, of sound and of opinion, by name.
    pub metrics: BTreeMap<String, Beside>,
    /// The metrics of the sound of the free-running model, for a report: they saturate, so nothing is judged by them.
    pub free: BTreeMap<String, Aggregate>,
    /// Each sentence, in the order of the corpus.
    pub sentences: Vec<SentenceFidelity>,
    /// What went wrong with the sentences that the model did not say.
    pub unspoken: Vec<String>,
}

impl SentenceFidelity {
    /// Compares what a candidate predicts and says, opened and forced, with what the base does.
    ///
    /// # Errors
    /// The two cannot be compared, since they differ in length or the base is not finite.
    pub fn of(utterance: &Utterance, base: &Speech, candidate: &Speech) -> Result<Self> {
        let durations = [base, candidate].map(Speech::frames);
        let prosody = compare_prosody(base.curves(&durations[0]), candidate.curves(&durations[1]))?;
        Ok(Self {
            id: utterance.id.clone(),
            voice: utterance.voice.clone(),
            seconds: base.seconds(),
            prosody,
            sound: compare_sound(&base.audio, &candidate.audio)?,
            opinion: None,
            free: None,
        })
    }
}

impl Fidelity {
    /// The metrics over `sentences`, beside those over `floor`, which may be empty.
    pub fn new(sentences: Vec<SentenceFidelity>, floor: &[SentenceFidelity], unspoken: Vec<String>) -> Self {
        let mut floor = aggregates(floor);
        let found = aggregates(&sentences).into_iter();
        let metrics = found.map(|(name, found)| {
            let floor = floor.remove(&name);
            (name, Beside { found, floor })
        });
        let free = sentences.iter().filter_map(|it| Some((it.id.as_str(), it.free.as_ref()?)));
        let free: Vec<_> = free.collect();
        Self { metrics: metrics.collect(), free: aggregate(&Sound::METRICS, &free), sentences, unspoken }
    }
}

/// Every metric of the sentences, by name; no two parts share one.
fn aggregates(sentences: &[SentenceFidelity]) -> BTreeMap<String, Aggregate> {
    let prosody: Vec<_> = sentences.iter().map(|it| (it.id.as_str(), &it.prosody)).collect();
    let sound: Vec<_> = sentences.iter().map(|it| (it.id.as_str(), &it.sound)).collect();
    let mut all = aggregate(&Prosody::METRICS, &prosody);
    all.extend(aggregate(&Sound::METRICS, &sound));
    let opinions = sentences.iter().filter_map(|it| Some((it.id.as_str(), it.opinion.as_ref()?)));
    all.extend(aggregate(&Opinion::METRICS, &opinions.collect::<Vec<_>>()));
    all
}

impl Speech {
    /// How long it plays.
    pub fn seconds(&self) -> f64 {
        self.audio.len() as f64 / f64::from(kokoro_model::SAMPLE_RATE)
    }

    /// The durations as counts. What is no number becomes 0, which differs from any duration.
    fn frames(&self) -> Vec<i64> {
        self.durations.iter().map(|frames| frames.round() as i64).collect()
    }

    fn curves<'a>(&'a self, durations: &'a [i64]) -> Curves<'a> {
        Curves { durations, f0: &self.f0, energy: &self.energy }
    }
}
