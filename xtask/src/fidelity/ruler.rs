//! The ruler: what the base says, and how far apart two models are that do not differ.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use kokoro_model::{Audio, Runtime, SAMPLE_RATE};

use super::kept::Kept;
use super::opened::{Opened, OpenedFile};
use super::reference::{Measure, rate_or_find, rewritten, speak_or_find};
use super::sound::compare_sound;
use super::{Dnsmos, DnsmosModels, Fidelity, Opinion, Scores, SentenceFidelity, Speech};
use crate::crew::{jobs, share_out};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::gates::{ExecutionProvider, Progress, Steps, Subject, Utterance};
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
    /// The models that rate what is heard; without them there is no opinion.
    pub dnsmos: Option<&'a DnsmosModels>,
    /// Threads of each model, of which as many run at once as the processor has room for; 0 is the runtime's own
    /// choice, and one model.
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

/// A sentence and what the base says of it.
struct Said {
    utterance: Utterance,
    speech: Speech,
    /// How that is rated; `None` where nothing rates.
    scores: Option<Scores>,
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
        let scores = rate_or_find(&setting, &kept, &said)?;
        let sentences = utterances.into_iter().zip(said).zip(scores);
        let sentences = sentences.map(|((utterance, speech), scores)| Said { utterance, speech, scores });
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
        let scores = rate_or_find(&self.setting, &self.kept, &spoken)?;
        let measured = chosen.iter().zip(&spoken).zip(scores).map(|((said, speech), scores)| {
            let sentence = said.compare(speech)?;
            Ok(said.with_opinion(sentence, scores))
        });
        self.floor = measured.collect::<Result<_>>().context(Failure::Model)?;
        Ok(self)
    }

    /// Keeps only the sentences of which `wanted` says so.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&Utterance) -> bool) -> Self {
        self.sentences.retain(|said| wanted(&said.utterance));
        self
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
        let chosen: Vec<&Said> = self.sentences.iter().filter(|said| free(&said.utterance)).collect();
        let what = format!("fidelity of `{}`", subject.name);
        let mut steps = self.setting.progress.start(&what, self.sentences.len() + chosen.len());
        let file = self.setting.open(subject, true)?;
        let done = |said: &Said| steps.small_step(&said.utterance.id);
        let (mut sentences, unspoken) = self.forced(&file, self.setting.jobs(subject), done)?;
        drop(file);
        if !chosen.is_empty() {
            self.listen(subject, &chosen, audio, &mut sentences, &mut steps)?;
        }
        Ok(Fidelity::new(sentences, &self.floor, unspoken))
    }

    /// Every sentence as a model says it that the base's predictions are forced upon, and a line for each that it does
    /// not say.
    fn forced(
        &self,
        file: &OpenedFile<'_>,
        jobs: usize,
        done: impl FnMut(&Said),
    ) -> Result<(Vec<SentenceFidelity>, Vec<String>)> {
        let measured = share_out(
            jobs,
            &self.sentences,
            Said::cost,
            || Ok((file.load(self.setting.runtime)?, self.setting.dnsmos()?)),
            |(opened, dnsmos), said| said.measure(opened, dnsmos.as_mut()),
            done,
        )?;
        let (mut sentences, mut unspoken) = (Vec::new(), Vec::new());
        for outcome in measured {
            match outcome {
                Ok(sentence) => sentences.push(sentence),
                Err(line) => unspoken.push(line),
            }
        }
        Ok((sentences, unspoken))
    }

    /// Has `subject` speak of its own accord.
    fn listen(
        &self,
        subject: &Subject,
        chosen: &[&Said],
        audio: &Path,
        sentences: &mut [SentenceFidelity],
        steps: &mut Steps,
    ) -> Result<()> {
        fs_err::create_dir_all(audio)?;
        let file = self.setting.open(subject, false)?;
        let sounds = share_out(
            self.setting.jobs(subject),
            chosen,
            |said| said.cost(),
            || file.load(self.setting.runtime),
            |opened, Said { utterance, speech, .. }| {
                // What the model cannot say was noted when it was forced.
                let Ok(spoken) = opened.speak(utterance, None) else { return Ok(None) };
                let alike = spoken.audio.len() == speech.audio.len();
                let sound = alike.then(|| compare_sound(&speech.audio, &spoken.audio)).transpose()?;
                // A WAV file holds no infinities, and the metrics have counted them.
                if spoken.audio.iter().all(|sample| sample.is_finite()) {
                    write_wav(&utterance.wav(audio, &subject.name), spoken.audio)?;
                }
                write_wav(&utterance.wav(audio, &self.base.name), speech.audio.clone())?;
                Ok(sound)
            },
            |said| steps.small_step(&said.utterance.id),
        )?;
        for (said, sound) in chosen.iter().zip(sounds) {
            if let Some(entry) = sentences.iter_mut().find(|sentence| sentence.id == said.utterance.id) {
                entry.free = sound;
            }
        }
        Ok(())
    }
}

impl Said {
    /// Computation goes with the length.
    fn cost(&self) -> usize {
        self.speech.audio.len()
    }

    /// Compares with the base what a model says as the base does; or the line that tells why it does not.
    fn measure(
        &self,
        opened: &mut Opened<'_>,
        dnsmos: Option<&mut Dnsmos>,
    ) -> Result<Result<SentenceFidelity, String>> {
        let spoken = opened.speak(&self.utterance, Some(&self.speech)).map_err(anyhow::Error::from);
        let compared = spoken.and_then(|speech| Ok((self.compare(&speech)?, speech)));
        match compared {
            Ok((sentence, speech)) => {
                let is_sound = sentence.sound.not_finite == 0;
                let scores = dnsmos.filter(|_| is_sound).map(|dnsmos| dnsmos.rate(&speech.audio));
                Ok(Ok(self.with_opinion(sentence, scores.transpose()?)))
            }
            Err(error) => Ok(Err(format!("sentence `{}`: {error:#}", self.utterance.id))),
        }
    }

    fn compare(&self, candidate: &Speech) -> Result<SentenceFidelity> {
        SentenceFidelity::of(&self.utterance, &self.speech, candidate)
    }

    fn with_opinion(&self, sentence: SentenceFidelity, candidate: Option<Scores>) -> SentenceFidelity {
        SentenceFidelity { opinion: self.scores.map(|base| Opinion { base, candidate }), ..sentence }
    }
}

impl<'a> Setting<'a> {
    /// Opens a model, to be loaded by each worker.
    pub(super) fn open<'s>(&self, subject: &'s Subject, forced: bool) -> Result<OpenedFile<'s>>
    where
        'a: 's,
    {
        OpenedFile::new(subject, self.probe, self.threads, forced)
    }

    /// How many of a model are run at once: of one on another device than the processor, one.
    fn jobs(&self, subject: &Subject) -> usize {
        if subject.provider == ExecutionProvider::Cpu { jobs(self.threads) } else { 1 }
    }

    /// The networks that rate, if there are any.
    fn dnsmos(&self) -> Result<Option<Dnsmos>> {
        let load = |models| Dnsmos::load(self.runtime, models).context(Failure::Model);
        self.dnsmos.map(load).transpose()
    }
}

fn write_wav(path: &Path, samples: Vec<f32>) -> Result<()> {
    Ok(Audio { samples, sample_rate: SAMPLE_RATE }.write_wav(path)?)
}
