//! The corpus: the sentences that calibration hears and those that the gates judge by.
//!
//! Text and phonemes are both committed, so no change of a phonemizer changes a result. The two sets share
//! neither text nor phonemes: a number measured on held-out sentences says something about speech that the
//! plan was never fitted to.

mod own;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use kokoro_model::{MAX_PHONEMES, tokenize};
pub use own::CorpusArgs;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::failure::Failure;

/// The tags that pick sentences for a gate, which judges held-out sentences only.
const GATE_TAGS: [&str; 3] = ["bench", "smoke", "quick"];

/// The tags that say what a sentence is made of.
const CONTENT_TAGS: [&str; 9] =
    ["one-word", "question", "exclamation", "quotes", "numbers", "list", "sibilants", "plosives", "long"];

/// Phonemes above which a sentence is `long`, and must say so.
const LONG: usize = 400;

/// The speeds that may be asked for. Source: the range that kokoro-onnx 0.6.1 accepts.
const SPEEDS: std::ops::RangeInclusive<f32> = 0.5..=2.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "sentence")]
    sentences: Vec<Sentence>,
}

/// All sentences, in the order of the file, and the digest of the file they came from.
#[derive(Debug, Clone)]
pub struct Corpus {
    sentences: Vec<Sentence>,
    sha256: Digest,
}

/// One sentence, with everything that the model's inputs are made from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentence {
    /// The name that results go by: `cal-` or `held-` and a number. In a corpus of the user's own `own-` and a number, unless
    /// it has another.
    #[serde(default)]
    pub id: String,
    /// What the sentence is for.
    #[serde(default)]
    pub set: Set,
    /// What it is spoken in.
    pub language: Language,
    /// A voice of that language, such as `af_heart`; in a corpus of the user's own also the path of a file of styles.
    pub voice: String,
    /// The `speed` input; 1 is the voice's own.
    #[serde(default = "own_speed")]
    pub speed: f32,
    /// What the sentence is made of, and which gates use it beside the fidelity gate.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The sentence as it is written.
    pub text: String,
    /// The sentence as the model reads it, one symbol of the vocabulary for each `char`.
    pub phonemes: String,
    /// The ids of `phonemes`, without the padding; never empty, at most [`MAX_PHONEMES`].
    #[serde(skip)]
    pub tokens: Vec<i64>,
}

/// What a sentence is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Set {
    /// Ranges and precisions are fitted to it.
    Calibration,
    /// Only gates and reports see it.
    #[default]
    HeldOut,
}

fn own_speed() -> f32 {
    1.0
}

/// The languages that Kokoro v1.0 has voices for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "language tags")]
pub enum Language {
    EnUs,
    EnGb,
    Es,
    Fr,
    Hi,
    It,
    Ja,
    PtBr,
    Zh,
}

impl Language {
    /// The letter that the names of this language's voices begin with.
    ///
    /// Source: `VOICES.md` of Kokoro-82M.
    pub fn voice_prefix(self) -> char {
        match self {
            Self::EnUs => 'a',
            Self::EnGb => 'b',
            Self::Es => 'e',
            Self::Fr => 'f',
            Self::Hi => 'h',
            Self::It => 'i',
            Self::Ja => 'j',
            Self::PtBr => 'p',
            Self::Zh => 'z',
        }
    }
}

impl Corpus {
    /// Reads and checks a corpus; `voices` are the names there are ([`crate::recipe::Recipe::voice_names`]).
    ///
    /// # Errors
    /// [`Failure::Usage`], naming the file, the sentence and what is wrong with it: not readable, or
    /// anything that [`Self::from_str`] refuses.
    pub fn load(path: &Path, voices: &[&str]) -> Result<Self> {
        let text = fs_err::read_to_string(path).context(Failure::Usage)?;
        Self::from_str(&text, voices)
            .with_context(|| format!("`{}` is not a valid corpus", path.display()))
            .context(Failure::Usage)
    }

    /// Parses and checks the text of a corpus.
    ///
    /// # Errors
    /// Not TOML, an unknown key, a value of the wrong kind; an id, a text or phonemes given twice; phonemes
    /// outside the vocabulary, none or too many; a voice that is unknown or speaks another language; a
    /// speed out of range; an unknown tag, or a tag that contradicts the sentence.
    pub fn from_str(text: &str, voices: &[&str]) -> Result<Self> {
        let File { mut sentences } = toml::from_str(text)?;
        for sentence in &mut sentences {
            sentence.check(voices).with_context(|| format!("sentence `{}`", sentence.id))?;
        }
        Self::distinct(sentences, text)
    }

    /// The sentences, if no two are the same.
    fn distinct(sentences: Vec<Sentence>, text: &str) -> Result<Self> {
        refuse_duplicates("id", &sentences, |sentence| sentence.id.clone())?;
        // Case and spacing do not make another sentence.
        refuse_duplicates("text", &sentences, |sentence| {
            sentence.text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
        })?;
        refuse_duplicates("phonemes", &sentences, |sentence| sentence.phonemes.clone())?;
        Ok(Self { sentences, sha256: Digest::of(text.as_bytes()) })
    }

    /// The digest of the file's bytes, comments and all, which stands in every result.
    pub fn sha256(&self) -> Digest {
        self.sha256
    }

    /// All sentences, in the order of the file.
    pub fn sentences(&self) -> &[Sentence] {
        &self.sentences
    }

    /// The sentences that ranges and precisions may be fitted to.
    pub fn calibration(&self) -> impl Iterator<Item = &Sentence> {
        self.of(Set::Calibration)
    }

    /// The sentences that calibration runs: those that are not `long`. What is measured of an activation takes as much
    /// memory as the activation, and of 400 phonemes that is gibibytes, for nothing that shorter ones do not show.
    pub fn calibrating(&self) -> impl Iterator<Item = &Sentence> {
        self.calibration().filter(|sentence| !sentence.has_tag("long"))
    }

    /// The digest of what calibration hears: ids, voices, speeds and phonemes of its sentences, in order. What is said
    /// of held-out sentences does not change it.
    pub fn calibration_sha256(&self) -> Digest {
        let heard = |it: &Sentence| format!("{}\t{}\t{:?}\t{}\n", it.id, it.voice, it.speed, it.phonemes);
        Digest::of(self.calibrating().map(heard).collect::<String>().as_bytes())
    }

    /// The sentences that gates judge by.
    pub fn held_out(&self) -> impl Iterator<Item = &Sentence> {
        self.of(Set::HeldOut)
    }

    /// The sentences that carry `tag`; for `bench`, `smoke` and `quick` all of them are held-out.
    pub fn tagged(&self, tag: &str) -> impl Iterator<Item = &Sentence> {
        self.sentences.iter().filter(move |sentence| sentence.has_tag(tag))
    }

    fn of(&self, set: Set) -> impl Iterator<Item = &Sentence> {
        self.sentences.iter().filter(move |sentence| sentence.set == set)
    }
}

impl Sentence {
    /// Whether the sentence carries `tag`.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }

    /// Checks everything that can be told from one sentence alone, and fills in the tokens.
    fn check(&mut self, voices: &[&str]) -> Result<()> {
        let prefix = match self.set {
            Set::Calibration => "cal-",
            Set::HeldOut => "held-",
        };
        ensure!(self.id.starts_with(prefix), "the id of this set begins with `{prefix}`");
        ensure!(voices.contains(&self.voice.as_str()), "there is no voice `{}`", self.voice);
        self.check_voice()?;
        self.check_speech()?;
        self.check_tags()
    }

    /// That a voice of the recipe speaks the language.
    fn check_voice(&self) -> Result<()> {
        let letter = self.language.voice_prefix();
        ensure!(
            self.voice.starts_with(letter),
            "voice `{}` speaks another language, this one's begin with `{letter}`",
            self.voice
        );
        Ok(())
    }

    /// Checks what is said and how fast, and fills in the tokens.
    fn check_speech(&mut self) -> Result<()> {
        ensure!(!self.text.trim().is_empty(), "the text is empty");
        ensure!(
            SPEEDS.contains(&self.speed),
            "speed {} is not within {} to {}",
            self.speed,
            SPEEDS.start(),
            SPEEDS.end()
        );
        self.tokens = tokenize(&self.phonemes)?;
        let count = self.tokens.len();
        ensure!((1..=MAX_PHONEMES).contains(&count), "{count} phonemes, expected 1 to {MAX_PHONEMES}");
        Ok(())
    }

    fn check_tags(&self) -> Result<()> {
        for (position, tag) in self.tags.iter().enumerate() {
            let gate = GATE_TAGS.contains(&tag.as_str());
            ensure!(gate || CONTENT_TAGS.contains(&tag.as_str()), "there is no tag `{tag}`");
            ensure!(!gate || self.set == Set::HeldOut, "tag `{tag}` is for held-out sentences");
            ensure!(!self.tags[..position].contains(tag), "tag `{tag}` stands twice");
        }
        let count = self.tokens.len();
        if self.has_tag("long") != (count > LONG) {
            bail!("tag `long` is for more than {LONG} phonemes, no more and no less; here are {count}");
        }
        Ok(())
    }
}

/// Refuses two sentences with the same `key`, naming both.
fn refuse_duplicates(what: &str, sentences: &[Sentence], key: impl Fn(&Sentence) -> String) -> Result<()> {
    let mut seen = BTreeMap::new();
    for sentence in sentences {
        let key = key(sentence);
        if let Some(other) = seen.insert(key.clone(), &sentence.id) {
            return Err(anyhow!("sentences `{other}` and `{}` have the same {what}, `{key}`", sentence.id));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
