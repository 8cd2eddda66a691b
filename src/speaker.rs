//! Who speaks: a voice, a mix of voices, or styles of the caller's.

#[cfg(feature = "voices")]
use std::str::FromStr;

use crate::error::Error;
#[cfg(feature = "voices")]
use crate::error::ErrorKind;
use crate::language::Language;
use crate::voice::VoiceStyles;
#[cfg(feature = "voices")]
use crate::voices::Voice;

/// Who speaks, and in which language: one [`Voice`](crate::Voice), a mix of several, or styles of the caller's.
///
/// With feature `voices` it can be made of a voice, and of text: names joined by `+`, each with or without a weight
/// behind a colon.
///
/// | text | means |
/// |---|---|
/// | `af_heart` | that voice |
/// | `af_heart+am_adam` | equal shares: 0.5 and 0.5 |
/// | `af_heart+am_adam:0.3` | a voice without a weight has what is left of 1: 0.7 and 0.3 |
/// | `af_heart+af_bella+am_adam:0.4` | several without a weight share what is left: 0.3, 0.3 and 0.4 |
/// | `af_heart:2+am_adam:1` | where all have weights, their ratio counts: ⅔ and ⅓ |
///
/// A mix speaks the language of its first voice.
#[derive(Clone, Debug, PartialEq)]
pub struct Speaker {
    language: Language,
    source: Source,
}

#[derive(Clone, Debug, PartialEq)]
enum Source {
    Styles(VoiceStyles),
    #[cfg(feature = "voices")]
    Voices(Vec<(Voice, f32)>),
}

impl Speaker {
    /// Styles of the caller's, such as [a file](VoiceStyles::from_bytes) or [a mix](VoiceStyles::mix).
    ///
    /// ```
    /// # fn speaker() -> Result<(), Box<dyn std::error::Error>> {
    /// use kokoro_model::{Language, Speaker, VoiceStyles};
    ///
    /// let styles = VoiceStyles::from_bytes(&std::fs::read("my_voice.bin")?)?;
    /// let speaker = Speaker::from_styles(styles, Language::BritishEnglish);
    /// assert_eq!(speaker.language(), Language::BritishEnglish);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_styles(styles: VoiceStyles, language: Language) -> Self {
        Self { language, source: Source::Styles(styles) }
    }

    /// The same speaker in another language: text is turned into the phonemes of that one.
    ///
    /// ```
    /// use kokoro_model::{Language, Speaker, Voice};
    ///
    /// let speaker = Speaker::from(Voice::AfHeart).with_language(Language::BritishEnglish);
    /// assert_eq!(speaker.language(), Language::BritishEnglish);
    /// ```
    #[must_use]
    pub fn with_language(self, language: Language) -> Self {
        Self { language, ..self }
    }

    /// The language that text is taken to be in.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The styles, mixed.
    ///
    /// # Errors
    /// Those of `Voice::styles` and of [`VoiceStyles::mix`].
    pub fn styles(&self) -> Result<VoiceStyles, Error> {
        match &self.source {
            Source::Styles(styles) => Ok(styles.clone()),
            #[cfg(feature = "voices")]
            Source::Voices(voices) => {
                if let [(voice, _)] = voices.as_slice() {
                    return voice.styles();
                }
                let parts = voices.iter().map(|&(voice, weight)| Ok((voice.styles()?, weight)));
                VoiceStyles::mix(&parts.collect::<Result<Vec<_>, Error>>()?)
            }
        }
    }
}

#[cfg(feature = "voices")]
impl From<Voice> for Speaker {
    fn from(voice: Voice) -> Self {
        Self { language: voice.language(), source: Source::Voices(vec![(voice, 1.0)]) }
    }
}

#[cfg(feature = "voices")]
impl FromStr for Speaker {
    type Err = Error;

    /// A voice or a mix, as the table above tells.
    ///
    /// ```
    /// use kokoro_model::{Language, Speaker};
    ///
    /// let speaker: Speaker = "bf_emma+am_adam:0.3".parse()?;
    /// assert_eq!(speaker.language(), Language::BritishEnglish);
    /// assert!("bf_emma+am_adam:-1".parse::<Speaker>().is_err());
    /// # Ok::<(), kokoro_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::UnknownVoice`]; [`ErrorKind::WeightSyntax`] for a weight that is no number,
    /// [`ErrorKind::MixWeight`] for one that is negative or not finite, [`ErrorKind::MixSum`] if all are 0, and
    /// [`ErrorKind::NothingLeft`] if the given weights leave nothing for a voice without one.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut voices = Vec::new();
        let mut weights = Vec::new();
        for part in text.split('+') {
            let (name, weight) = match part.split_once(':') {
                Some((name, weight)) => (name, Some(weight)),
                None => (part, None),
            };
            let voice: Voice = name.trim().parse()?;
            let parse = |weight: &str| {
                let weight = weight.trim();
                weight.parse().map_err(|_| ErrorKind::WeightSyntax { voice, found: weight.to_owned() })
            };
            voices.push(voice);
            weights.push(weight.map(parse).transpose()?);
        }
        let language = voices[0].language();
        let voices = voices.into_iter().zip(shares(&weights)?).collect();
        Ok(Self { language, source: Source::Voices(voices) })
    }
}

/// The weights of voices of which some have none given.
#[cfg(feature = "voices")]
fn shares(weights: &[Option<f32>]) -> Result<Vec<f32>, ErrorKind> {
    for (index, weight) in weights.iter().enumerate() {
        if let Some(weight) = weight.filter(|weight| !weight.is_finite() || *weight < 0.0) {
            return Err(ErrorKind::MixWeight { index, weight });
        }
    }
    let given: f32 = weights.iter().flatten().sum();
    let without = weights.iter().filter(|weight| weight.is_none()).count();
    if without == 0 && given == 0.0 {
        return Err(ErrorKind::MixSum);
    }
    if without > 0 && given >= 1.0 {
        return Err(ErrorKind::NothingLeft { given });
    }
    let share = (1.0 - given) / without as f32;
    Ok(weights.iter().map(|weight| weight.unwrap_or(share)).collect())
}

#[cfg(all(test, feature = "voices"))]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(&'static str, f32)>, ErrorKind> {
        let speaker: Speaker = text.parse().map_err(|error: Error| error.kind().clone())?;
        let Source::Voices(voices) = speaker.source else { panic!("{text} has no voices") };
        Ok(voices.into_iter().map(|(voice, weight)| (voice.name(), weight)).collect())
    }

    #[test]
    fn weights_mean_what_the_table_says() {
        for (text, expected) in [
            ("af_heart", vec![("af_heart", 1.0)]),
            ("af_heart:0.3", vec![("af_heart", 0.3)]),
            ("af_heart+am_adam", vec![("af_heart", 0.5), ("am_adam", 0.5)]),
            ("af_heart+am_adam:0.25", vec![("af_heart", 0.75), ("am_adam", 0.25)]),
            ("af_heart:0.25 + am_adam", vec![("af_heart", 0.25), ("am_adam", 0.75)]),
            ("af_heart+af_bella+am_adam:0.5", vec![("af_heart", 0.25), ("af_bella", 0.25), ("am_adam", 0.5)]),
            ("af_heart:2+am_adam:1", vec![("af_heart", 2.0), ("am_adam", 1.0)]),
        ] {
            assert_eq!(parsed(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_makes_no_speaker_has_its_kind() {
        for (text, expected) in [
            ("af_heart+am_adam:1", ErrorKind::NothingLeft { given: 1.0 }),
            ("af_heart:0+am_adam:0", ErrorKind::MixSum),
            ("af_heart:0", ErrorKind::MixSum),
            ("af_heart+am_adam:-0.5", ErrorKind::MixWeight { index: 1, weight: -0.5 }),
            ("af_heart:inf", ErrorKind::MixWeight { index: 0, weight: f32::INFINITY }),
            ("af_heart:much", ErrorKind::WeightSyntax { voice: Voice::AfHeart, found: "much".to_owned() }),
            ("", ErrorKind::UnknownVoice { name: String::new(), near: vec![] }),
            ("af_heart+", ErrorKind::UnknownVoice { name: String::new(), near: vec![] }),
        ] {
            assert_eq!(parsed(text), Err(expected), "{text}");
        }
        assert!(matches!(parsed("af_heart:nan"), Err(ErrorKind::MixWeight { index: 0, .. })));
    }

    #[test]
    fn a_mix_speaks_the_language_of_its_first_voice_unless_told_otherwise() {
        let speaker: Speaker = "bf_emma+am_adam".parse().unwrap();
        assert_eq!(speaker.language(), Language::BritishEnglish);
        assert_eq!(speaker.with_language(Language::French).language(), Language::French);
    }
}
