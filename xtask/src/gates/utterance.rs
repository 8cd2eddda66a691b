//! What a model is asked to say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use kokoro_model::{Audio, Error, Style, Synthesizer, VoiceStyles};

use crate::corpus::Sentence;

/// A sentence with the styles of its voice.
#[derive(Debug, Clone)]
pub struct Utterance {
    /// The id of the sentence in the corpus.
    pub id: String,
    /// The name of the voice.
    pub voice: String,
    /// The speed of the sentence; 1 is the pace of the voice.
    pub speed: f32,
    /// Phoneme ids without padding.
    pub ids: Vec<i64>,
    /// The styles of the voice.
    pub styles: Arc<VoiceStyles>,
}

impl Utterance {
    /// The style for the number of phonemes.
    pub fn style(&self) -> &Style {
        self.styles.style(self.ids.len())
    }

    /// The WAV file in `folder` of what `model` says.
    pub(crate) fn wav(&self, folder: &Path, model: &str) -> PathBuf {
        folder.join(format!("{model}-{}.wav", self.id))
    }

    /// Has `synthesizer` say it at the speed of the sentence.
    pub(crate) fn speak(&self, synthesizer: &mut Synthesizer) -> Result<Audio, Error> {
        synthesizer.speak_tokens(&self.ids, self.style(), self.speed)
    }
}

/// Sentences with their voices; `voice` brings the styles of a voice, once for each name.
///
/// # Errors
/// Those of `voice`.
pub fn utterances<'a>(
    sentences: impl IntoIterator<Item = &'a Sentence>,
    mut voice: impl FnMut(&str) -> Result<VoiceStyles>,
) -> Result<Vec<Utterance>> {
    let mut voices: BTreeMap<&str, Arc<VoiceStyles>> = BTreeMap::new();
    sentences
        .into_iter()
        .map(|sentence| {
            let name = sentence.voice.as_str();
            if !voices.contains_key(name) {
                voices.insert(name, Arc::new(voice(name)?));
            }
            Ok(Utterance {
                id: sentence.id.clone(),
                voice: sentence.voice.clone(),
                speed: sentence.speed,
                ids: sentence.tokens.clone(),
                styles: Arc::clone(&voices[name]),
            })
        })
        .collect()
}
