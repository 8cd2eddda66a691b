//! Words whose phonemes the caller knows better than the dictionaries.

use std::collections::HashMap;

use super::vocabulary::tokenize;
use crate::error::{Error, ErrorKind};

/// Words and their phonemes, which hold before the dictionaries and before any rule of reading.
///
/// As text, each line has a word, white space and its phonemes; behind a tab a word may have spaces in it. Empty lines, and
/// lines that begin with `# `, say nothing. A word in small letters stands for itself with capitals, too; its possessive and
/// plural with `'s` follow.
///
/// ```
/// use kokoro_model::Lexicon;
///
/// let lexicon: Lexicon = "# Names\nKokoro kˈOkəɹO\nnginx ˈɛnʤɪnˈɛks\n".parse()?;
/// assert_eq!(lexicon.len(), 2);
/// # Ok::<(), kokoro_model::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lexicon {
    /// By the first character, in small letters; the longest first.
    words: HashMap<char, Vec<(String, String)>>,
}

impl Lexicon {
    /// Adds a word, in place of one that is written the same.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownPhoneme`], and [`ErrorKind::LexiconLine`] for a word of white space only.
    pub fn insert(&mut self, word: &str, phonemes: &str) -> Result<(), Error> {
        let (word, phonemes) = (word.trim(), phonemes.trim());
        tokenize(phonemes)?;
        let Some(first) = word.chars().next().filter(|_| !phonemes.is_empty()) else {
            return Err(ErrorKind::LexiconLine { line: 0, found: format!("{word} {phonemes}") }.into());
        };
        let words = self.words.entry(small(first)).or_default();
        words.retain(|(known, _)| known != word);
        words.push((word.to_owned(), phonemes.to_owned()));
        // Of two that fit, the one that is written so.
        words.sort_by_key(|(word, _)| (std::cmp::Reverse(word.len()), any_case(word)));
        Ok(())
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.words.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// What of `text` is the longest word that it begins with, and the phonemes.
    pub(crate) fn at<'a>(&self, text: &'a str) -> Option<(&'a str, String)> {
        let words = self.words.get(&small(text.chars().next()?))?;
        words.iter().find_map(|(word, phonemes)| {
            let head = text.get(..word.len())?;
            let same = head == word || any_case(word) && head.to_lowercase() == *word;
            let behind = &text[word.len()..];
            if !same || word.ends_with(char::is_alphanumeric) && behind.starts_with(char::is_alphanumeric) {
                return None;
            }
            let possessive = behind.strip_prefix("'s").filter(|it| !it.starts_with(char::is_alphanumeric));
            match possessive {
                Some(_) => Some((&text[..word.len() + 2], with_s(phonemes))),
                None => Some((head, phonemes.clone())),
            }
        })
    }
}

impl std::str::FromStr for Lexicon {
    type Err = Error;

    /// # Errors
    /// [`ErrorKind::LexiconLine`] for a line without phonemes, or with symbols that are none.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut lexicon = Self::default();
        for (index, line) in text.lines().enumerate() {
            let entry = line.trim();
            if entry.is_empty() || entry == "#" || entry.starts_with("# ") {
                continue;
            }
            let wrong = || ErrorKind::LexiconLine { line: index + 1, found: line.to_owned() };
            let split = entry.split_once('\t').or_else(|| entry.split_once(char::is_whitespace));
            let (word, phonemes) = split.ok_or_else(wrong)?;
            lexicon
                .insert(word, phonemes.trim().trim_matches('/'))
                .map_err(|source| Error::with_source(wrong(), source))?;
        }
        Ok(lexicon)
    }
}

/// Whether it stands for itself with capitals, too.
fn any_case(word: &str) -> bool {
    word.chars().all(|it| !it.is_uppercase())
}

fn small(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}

/// The phonemes of a word with an s behind it.
pub(super) fn with_s(phonemes: &str) -> String {
    let ending = match phonemes.chars().next_back() {
        Some('p' | 't' | 'k' | 'f' | 'θ') => "s",
        Some('s' | 'z' | 'ʃ' | 'ʒ' | 'ʧ' | 'ʤ') => "ᵻz",
        _ => "z",
    };
    format!("{phonemes}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whole_and_the_longest_first() {
        let lexicon: Lexicon = "kokoro kˈO\nKokoro\tkˈA\nC# sˈi\nnew york\tnˈu\n".parse().unwrap();
        for (text, expected) in [
            ("Kokoro!", Some(("Kokoro", "kˈA"))),
            ("kokoro.", Some(("kokoro", "kˈO"))),
            ("KOKORO", Some(("KOKORO", "kˈO"))),
            ("kokoros", None),
            ("Kokoro's", Some(("Kokoro's", "kˈAz"))),
            ("C# is", Some(("C#", "sˈi"))),
            ("New York is", Some(("New York", "nˈu"))),
            ("", None),
        ] {
            let found = lexicon.at(text);
            assert_eq!(found.as_ref().map(|(word, phonemes)| (*word, phonemes.as_str())), expected, "{text}");
        }
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        for (text, line) in [("a ˈA\nb", 2), ("# c\n\nword g#", 3)] {
            let error = text.parse::<Lexicon>().unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::LexiconLine { line: found, .. } if *found == line),
                "{error}"
            );
        }
    }
}
