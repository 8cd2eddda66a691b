//! The code of `Voice`: one variant for each voice of the recipe, in the order of the names.

use std::fmt::Write as _;

use super::recipe::Voices;

/// The Rust source of `Voice` and of the table behind its methods.
///
/// # Errors
/// A name that is not two letters for language and gender, an underscore, and lower-case letters.
pub fn generate(voices: &Voices) -> Result<String, String> {
    let (mut variants, mut all, mut table) = (String::new(), String::new(), String::new());
    for name in voices.sha256.keys() {
        let (language, gender, variant) = parse(name).ok_or_else(|| {
            format!(
                "`voices.sha256.{name}`: expected a letter for the language (one of `abefhijpz`), `f` or `m`, `_` and \
                 lower-case letters"
            )
        })?;
        // Writing to a string cannot fail.
        let _ = writeln!(variants, "    /// `{name}`: {}, {}.", language.1, gender.to_lowercase());
        let _ = writeln!(variants, "    {variant},");
        let _ = writeln!(all, "        Self::{variant},");
        let _ = writeln!(table, "    ({name:?}, Language::{}, Gender::{gender}),", language.0);
    }
    let count = voices.sha256.len();
    Ok(format!(
        "/// A voice of Kokoro v1.0. Its name tells the language and the gender: `af_heart` is American and female.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n\
         #[non_exhaustive]\n\
         pub enum Voice {{\n{variants}}}\n\n\
         impl Voice {{\n    /// Every voice, in the order of the names.\n\
         \x20   pub const ALL: [Self; {count}] = [\n{all}    ];\n}}\n\n\
         /// Name, language and gender of each voice, in the order of the variants.\n\
         static TABLE: [(&str, Language, Gender); {count}] = [\n{table}];\n"
    ))
}

/// The variant of `Language` and its English name, the variant of `Gender`, and the variant of `Voice`.
type Parsed = ((&'static str, &'static str), &'static str, String);

/// The prefixes are those of the published voices (`VOICES.md` of Kokoro-82M).
fn parse(name: &str) -> Option<Parsed> {
    let (prefix, rest) = name.split_once('_')?;
    let (language, gender) = prefix.split_at_checked(1)?;
    let language = match language {
        "a" => ("AmericanEnglish", "American English"),
        "b" => ("BritishEnglish", "British English"),
        "e" => ("Spanish", "Spanish"),
        "f" => ("French", "French"),
        "h" => ("Hindi", "Hindi"),
        "i" => ("Italian", "Italian"),
        "j" => ("Japanese", "Japanese"),
        "p" => ("BrazilianPortuguese", "Brazilian Portuguese"),
        "z" => ("Mandarin", "Mandarin Chinese"),
        _ => return None,
    };
    let gender = match gender {
        "f" => "Female",
        "m" => "Male",
        _ => return None,
    };
    if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    Some((language, gender, capitalized(prefix) + &capitalized(rest)))
}

/// An ASCII word with its first letter in upper case.
fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_ascii_uppercase() + rest
}
