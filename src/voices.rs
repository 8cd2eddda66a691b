//! The published voices, by name. The build script writes the list, from the recipe.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};
use crate::language::{Gender, Language};

include!(concat!(env!("OUT_DIR"), "/voices.rs"));

/// How alike two names must be (Jaro and Winkler, 0 to 1) for one to be suggested for the other.
const ALIKE: f64 = 0.85;

impl Voice {
    /// Its name.
    ///
    /// ```
    /// use kokoro_model::{Gender, Language, Voice};
    ///
    /// let voice = Voice::AfHeart;
    /// assert_eq!(voice.name(), "af_heart");
    /// assert_eq!((voice.language(), voice.gender()), (Language::AmericanEnglish, Gender::Female));
    /// ```
    pub fn name(self) -> &'static str {
        TABLE[self as usize].0
    }

    /// The language it speaks.
    pub fn language(self) -> Language {
        TABLE[self as usize].1
    }

    /// The gender it sounds of.
    pub fn gender(self) -> Gender {
        TABLE[self as usize].2
    }

    /// Its styles, from this binary. They are unpacked at each call, which takes some milliseconds.
    ///
    /// No value is further than 2^−17, or 7.7·10^−6, from that of the published voice.
    ///
    /// ```
    /// use kokoro_model::{ErrorKind, Voice};
    ///
    /// match Voice::AfHeart.styles() {
    ///     Ok(styles) => assert!(styles.style(1).values().iter().all(|value| value.abs() < 3.0)),
    ///     Err(error) => assert_eq!(*error.kind(), ErrorKind::NoVoicesEmbedded),
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NoVoicesEmbedded`] in a build without voices, [`ErrorKind::VoiceDamaged`] if the bytes were changed
    /// in the binary.
    #[cfg(feature = "voices")]
    pub fn styles(self) -> Result<crate::VoiceStyles, Error> {
        crate::packed::styles(self)
    }
}

impl fmt::Display for Voice {
    /// The [name](Self::name).
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Voice {
    type Err = Error;

    /// The voice of a name.
    ///
    /// ```
    /// use kokoro_model::Voice;
    ///
    /// assert_eq!("bm_george".parse::<Voice>()?, Voice::BmGeorge);
    /// let error = "bm_gorge".parse::<Voice>().unwrap_err();
    /// assert!(error.to_string().contains("hint: did you mean `bm_george`?"));
    /// # Ok::<(), kokoro_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::UnknownVoice`] with the names that are like it, the most like first.
    fn from_str(name: &str) -> Result<Self, Error> {
        if let Some(index) = TABLE.iter().position(|(known, ..)| *known == name) {
            return Ok(Self::ALL[index]);
        }
        let mut near: Vec<_> = TABLE
            .iter()
            .map(|&(known, ..)| (likeness(known, name), known))
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let near = near.into_iter().take(3).map(|(_, known)| known).collect();
        Err(ErrorKind::UnknownVoice { name: name.to_owned(), near }.into())
    }
}

/// From 0 to 1. Many give a name without its prefix, which says little of what they mean.
fn likeness(known: &str, name: &str) -> f64 {
    let name = name.to_ascii_lowercase();
    let bare = known.split_once('_').map_or(known, |(_, bare)| bare);
    strsim::jaro_winkler(known, &name).max(strsim::jaro_winkler(bare, &name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_voice() {
        assert_eq!(Voice::ALL.len(), 54);
        for voice in Voice::ALL {
            assert_eq!(voice.name().parse::<Voice>().unwrap(), voice);
            assert_eq!(voice.to_string(), voice.name());
        }
        assert!(Voice::ALL.is_sorted_by_key(|voice| voice.name()));
    }

    #[test]
    fn language_and_gender_follow_from_the_name() {
        for (voice, language, gender) in [
            (Voice::AmAdam, Language::AmericanEnglish, Gender::Male),
            (Voice::BfEmma, Language::BritishEnglish, Gender::Female),
            (Voice::EfDora, Language::Spanish, Gender::Female),
            (Voice::FfSiwis, Language::French, Gender::Female),
            (Voice::HmPsi, Language::Hindi, Gender::Male),
            (Voice::ImNicola, Language::Italian, Gender::Male),
            (Voice::JfGongitsune, Language::Japanese, Gender::Female),
            (Voice::PmSanta, Language::BrazilianPortuguese, Gender::Male),
            (Voice::ZmYunyang, Language::Mandarin, Gender::Male),
        ] {
            assert_eq!((voice.language(), voice.gender()), (language, gender), "{voice}");
        }
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        for (given, first) in [
            ("af_hart", Some("af_heart")),
            ("heart", Some("af_heart")),
            ("AF_HEART", Some("af_heart")),
            ("Bella", Some("af_bella")),
            ("qqqq", None),
            ("", None),
        ] {
            let error = given.parse::<Voice>().unwrap_err();
            let ErrorKind::UnknownVoice { name, near } = error.kind() else { panic!("{error}") };
            assert_eq!((name.as_str(), near.first().copied()), (given, first));
            assert!(near.len() <= 3);
            assert!(error.to_string().contains("hint: "), "{error}");
        }
    }
}
