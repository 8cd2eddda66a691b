//! The ruler: what the base says, and how far apart two models are that do not differ.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use kokoro_model::{Audio, Runtime, SAMPLE_RATE};
use quantizer::{model, rewrite};

use super::kept::{Kept, Key};
use super::opened::Opened;
use super::sound::compare_sound;
use super::{Fidelity, SentenceFidelity, Speech};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::gates::{Progress, Steps, Subject, Utterance};
use crate::host::Host;
use crate::recipe::ProbeRecipe;

/// What measuring takes beside models and sentences.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// The library that runs the models.
    pub runtime: &'a Runtime,
    /// The digest of that library.
    pub runtime_sha256: Digest,
    /// Where in the graph the predictions are.
    pub probe: &'a ProbeRecipe,
    /// Threads of each model; 0 is the runtime's own choice.
    pub threads: usize,
    /// Where progress goes.
    pub progress: Progress,
}

/// Sentences as the base says them, with the noise floor.
pub struct Ruler<'a> {
    setting: Setting<'a>,
    kept: Kept,
    base: Subject,
    sentences: Vec<Said>,
    floor: Vec<SentenceFidelity>,
}

/// A sentence and what the base says.
struct Said {
    utterance: Utterance,
    speech: Speech,
}

impl<'a> Ruler<'a> {
    /// Has `base` say `utterances`, but for what it said before and is kept in `folder`.
    ///
    /// # Errors
    /// [`Failure::Model`] for a base that cannot be opened, does not speak, or is not finite; the disk's.
    pub fn new(
        setting: Setting<'a>,
        base: &Subject,
        utterances: Vec<Utterance>,
        folder: &Path,
    ) -> Result<Self> {
        ensure!(!utterances.is_empty(), "no sentence to measure");
        let kept = Kept::new(folder);
        let measure = Measure { name: &base.sha256.to_string(), subject: &|| Ok(base.clone()) };
        let alone: Vec<_> = utterances.iter().map(|utterance| (utterance, None)).collect();
        let said = speak_or_find(&setting, &kept, measure, &alone)?;
        let sentences =
            utterances.into_iter().zip(said).map(|(utterance, speech)| Said { utterance, speech });
        Ok(Self { setting, kept, base: base.clone(), sentences: sentences.collect(), floor: Vec::new() })
    }

    /// Measures the noise floor on the sentences of which `quick` says so: an exact rewrite of the base, which is
    /// the same function but for rounding.
    ///
    /// # Errors
    /// Those of [`Self::new`]; [`Failure::Model`] if there is nothing in the base to rewrite.
    pub fn with_floor(mut self, quick: impl Fn(&Utterance) -> bool) -> Result<Self> {
        let chosen: Vec<&Said> = self.sentences.iter().filter(|said| quick(&said.utterance)).collect();
        let name = format!("{} rewritten by quantizer {}", self.base.sha256, quantizer::VERSION);
        let measure = Measure { name: &name, subject: &|| rewritten(&self.base) };
        let forced: Vec<_> = chosen.iter().map(|said| (&said.utterance, Some(&said.speech))).collect();
        let spoken = speak_or_find(&self.setting, &self.kept, measure, &forced)?;
        let measured = chosen.iter().zip(&spoken).map(|(said, speech)| said.compare(speech));
        self.floor = measured.collect::<Result<_>>().context(Failure::Model)?;
        Ok(self)
    }

    /// The sentences, in order, as the base says them.
    pub fn sentences(&self) -> impl Iterator<Item = (&Utterance, &Speech)> {
        self.sentences.iter().map(|said| (&said.utterance, &said.speech))
    }

    /// Has `subject` say every sentence as the base does, and measures how far off it is. The sentences of which
    /// `free` says so are also spoken by the model as it is, into WAV files in `audio` named as the smoke gate names
    /// them, beside those of the base.
    ///
    /// # Errors
    /// [`Failure::Model`] for a model that cannot be opened. One that fails while it speaks is measured, as unspoken.
    pub fn measure(
        &self,
        subject: &Subject,
        free: impl Fn(&Utterance) -> bool,
        audio: &Path,
    ) -> Result<Fidelity> {
        let is_free: Vec<bool> = self.sentences.iter().map(|said| free(&said.utterance)).collect();
        let total = self.sentences.len() + is_free.iter().filter(|free| **free).count();
        let what = format!("fidelity of `{}`", subject.name);
        let mut steps = self.setting.progress.start(&what, total);
        let (mut sentences, mut unspoken) = (Vec::new(), Vec::new());
        let mut opened = self.setting.load(subject, true)?;
        for said in &self.sentences {
            let spoken = opened.speak(&said.utterance, Some(&said.speech)).map_err(anyhow::Error::from);
            match spoken.and_then(|speech| said.compare(&speech)) {
                Ok(sentence) => sentences.push(sentence),
                Err(error) => unspoken.push(format!("sentence `{}`: {error:#}", said.utterance.id)),
            }
            steps.small_step(&said.utterance.id);
        }
        drop(opened);
        if is_free.contains(&true) {
            let said = self.sentences.iter().zip(&is_free).filter(|(_, free)| **free).map(|(said, _)| said);
            self.listen(subject, said, audio, &mut sentences, &mut steps)?;
        }
        Ok(Fidelity::new(sentences, &self.floor, unspoken))
    }

    /// Has `subject` speak of its own accord.
    fn listen<'s>(
        &self,
        subject: &Subject,
        chosen: impl Iterator<Item = &'s Said>,
        audio: &Path,
        sentences: &mut [SentenceFidelity],
        steps: &mut Steps,
    ) -> Result<()> {
        let mut opened = self.setting.load(subject, false)?;
        for Said { utterance, speech } in chosen {
            // What the model cannot say was noted when it was forced.
            if let Ok(spoken) = opened.speak(utterance, None) {
                let entry = sentences.iter_mut().find(|sentence| sentence.id == utterance.id);
                if let Some(entry) = entry.filter(|_| spoken.audio.len() == speech.audio.len()) {
                    entry.free = Some(compare_sound(&speech.audio, &spoken.audio)?);
                }
                // A WAV file holds no infinities, and the metrics have counted them.
                if spoken.audio.iter().all(|sample| sample.is_finite()) {
                    write_wav(audio, &subject.name, utterance, spoken)?;
                }
                write_wav(audio, &self.base.name, utterance, speech.clone())?;
            }
            steps.small_step(&utterance.id);
        }
        Ok(())
    }
}

impl Said {
    fn compare(&self, candidate: &Speech) -> Result<SentenceFidelity> {
        SentenceFidelity::of(&self.utterance, &self.speech, candidate)
    }
}

impl<'a> Setting<'a> {
    fn load(&self, subject: &Subject, forced: bool) -> Result<Opened<'a>> {
        Opened::load(self.runtime, subject, self.probe, self.threads, forced)
    }
}

/// A model that others are measured against: the name that its speech is kept under, and the model itself, which is
/// made only if something has to be spoken.
struct Measure<'s> {
    name: &'s str,
    subject: &'s dyn Fn() -> Result<Subject>,
}

/// What the model says of each sentence, as the reference beside it does if there is one: found, or spoken now and
/// kept. Either all sentences have a reference or none.
fn speak_or_find(
    setting: &Setting<'_>,
    kept: &Kept,
    Measure { name, subject }: Measure<'_>,
    sentences: &[(&Utterance, Option<&Speech>)],
) -> Result<Vec<Speech>> {
    let host = Host::here();
    let ProbeRecipe { durations, f0, energy } = setting.probe;
    let keys = sentences.iter().map(|(utterance, reference)| Key {
        model: name,
        forced: reference.is_some(),
        probe: [durations, f0, energy],
        runtime: setting.runtime_sha256,
        threads: setting.threads,
        host: &host,
        ids: &utterance.ids,
        style: utterance.style().values(),
        speed: utterance.speed,
    });
    let keys: Vec<_> = keys.collect();
    let mut found: Vec<_> = keys.iter().map(|key| kept.find(key)).collect::<Result<_>>()?;
    let missing = found.iter().filter(|speech| speech.is_none()).count();
    if missing > 0 {
        let subject = subject()?;
        let mut opened =
            setting.load(&subject, sentences.iter().any(|(_, reference)| reference.is_some()))?;
        let mut steps =
            setting.progress.start(&format!("fidelity, `{}` as the measure", subject.name), missing);
        for ((speech, key), (utterance, reference)) in found.iter_mut().zip(&keys).zip(sentences) {
            if speech.is_none() {
                let spoken = opened.speak(utterance, *reference).map_err(anyhow::Error::from);
                let spoken = spoken
                    .and_then(|spoken| finite(spoken, utterance))
                    .with_context(|| format!("`{}` cannot be a measure", subject.name))
                    .context(Failure::Model)?;
                kept.keep(key, &spoken)?;
                *speech = Some(spoken);
                steps.small_step(&utterance.id);
            }
        }
    }
    Ok(found.into_iter().flatten().collect())
}

fn finite(speech: Speech, utterance: &Utterance) -> Result<Speech> {
    let Speech { durations, f0, energy, audio } = &speech;
    if [durations, f0, energy, audio].iter().all(|values| values.iter().all(|value| value.is_finite())) {
        return Ok(speech);
    }
    Err(anyhow!("sentence `{}`: expected finite durations, F0, energy and samples", utterance.id))
}

/// The exact rewrite of a base.
fn rewritten(base: &Subject) -> Result<Subject> {
    let mut decoded = crate::base::decode(&base.name, &base.model)?;
    let graph = model::graph_mut(&mut decoded).context(Failure::Model)?;
    let count = rewrite::reassociate(graph).context(Failure::Model)?;
    if count == 0 {
        let message = format!("`{}` has no square or quotient to rewrite, so no noise floor", base.name);
        return Err(anyhow!(message).context(Failure::Model));
    }
    let mut bytes = Vec::with_capacity(base.model.len());
    model::encode(&decoded, &mut bytes)?;
    let name = format!("{}, rewritten", base.name);
    Ok(Subject { options: base.options.clone(), ..Subject::new(name, bytes.into(), None)? })
}

fn write_wav(folder: &Path, model: &str, utterance: &Utterance, speech: Speech) -> Result<()> {
    fs_err::create_dir_all(folder)?;
    let audio = Audio { samples: speech.audio, sample_rate: SAMPLE_RATE };
    audio.write_wav(folder.join(format!("{model}-{}.wav", utterance.id)))?;
    Ok(())
}
