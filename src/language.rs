//! The languages of the voices.

use std::fmt;

/// A language that a Kokoro voice speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Language {
    /// American English, `en-us`.
    AmericanEnglish,
    /// British English, `en-gb`.
    BritishEnglish,
    /// Spanish, `es`.
    Spanish,
    /// French, `fr`.
    French,
    /// Hindi, `hi`.
    Hindi,
    /// Italian, `it`.
    Italian,
    /// Japanese, `ja`.
    Japanese,
    /// Brazilian Portuguese, `pt-br`.
    BrazilianPortuguese,
    /// Mandarin Chinese, `zh`.
    Mandarin,
}

impl Language {
    /// Its tag (BCP 47), in lower case.
    ///
    /// ```
    /// assert_eq!(kokoro_model::Language::BrazilianPortuguese.tag(), "pt-br");
    /// ```
    pub fn tag(self) -> &'static str {
        match self {
            Self::AmericanEnglish => "en-us",
            Self::BritishEnglish => "en-gb",
            Self::Spanish => "es",
            Self::French => "fr",
            Self::Hindi => "hi",
            Self::Italian => "it",
            Self::Japanese => "ja",
            Self::BrazilianPortuguese => "pt-br",
            Self::Mandarin => "zh",
        }
    }
}

impl fmt::Display for Language {
    /// The [tag](Self::tag).
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.tag())
    }
}

/// The gender that a voice sounds of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gender {
    /// Female.
    Female,
    /// Male.
    Male,
}

impl fmt::Display for Gender {
    /// `female` or `male`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Female => "female",
            Self::Male => "male",
        })
    }
}
