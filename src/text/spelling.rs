//! Words that no dictionary has, such as names: read by the rules of English spelling.
//!
//! Context rules as in Elovitz and others, "Letter-to-sound rules for automatic translation of English
//! text to phonetics" (1976), fewer and our own. They are right for most of what is spelled regularly; for the rest the
//! phonemes can be given in the text.

use misaki_rs::Fallback;
use misaki_rs::fallback::FallbackError;

/// Letters, what stands before them, what stands behind them, and their phonemes. The first rule that fits holds.
///
/// In a context, `_` is an end of the word, `V` a vowel letter, `C` another letter, `E` one that softens what is before it,
/// `U` a letter whose sound has no voice, `S` one that hisses, and `V*` a vowel letter anywhere further on.
#[rustfmt::skip]
const RULES: &[(&str, &str, &str, &str)] = &[
    ("augh", "", "", "ɔ"), ("ai", "", "", "A"), ("ay", "", "", "A"), ("au", "", "", "ɔ"),
    ("aw", "", "", "ɔ"), ("aa", "", "", "ɑ"), ("ae", "", "", "i"), ("air", "", "", "ɛɹ"),
    ("are", "", "_", "ɛɹ"), ("ar", "", "_", "ɑɹ"), ("ar", "", "C", "ɑɹ"), ("all", "", "_", "ɔl"),
    ("a", "", "Ce_", "A"), ("a", "", "tion", "A"), ("a", "w", "", "ɑ"), ("a", "", "_", "ə"),
    ("a", "", "", "æ"),
    ("bb", "", "", "b"), ("b", "m", "_", ""), ("b", "", "", "b"),
    ("tch", "", "", "ʧ"), ("ch", "", "C", "k"), ("ch", "", "", "ʧ"), ("ck", "", "", "k"),
    ("cc", "", "E", "ks"), ("cc", "", "", "k"), ("c", "", "ia", "ʃ"), ("c", "", "E", "s"),
    ("c", "", "", "k"),
    ("dge", "", "_", "ʤ"), ("dd", "", "", "d"), ("d", "", "", "d"),
    ("eigh", "", "", "A"), ("ear", "", "", "ɪɹ"), ("eer", "", "", "ɪɹ"), ("ee", "", "", "i"),
    ("ea", "", "", "i"), ("ei", "", "", "A"), ("ey", "", "_", "i"), ("eu", "", "", "u"),
    ("ew", "", "", "u"), ("er", "", "_", "əɹ"), ("er", "", "C", "ɜɹ"), ("ed", "t", "_", "ᵻd"),
    ("ed", "d", "_", "ᵻd"), ("ed", "U", "_", "t"), ("ed", "C", "_", "d"), ("es", "S", "_", "ᵻz"),
    ("e", "", "Ce_", "i"), ("e", "V*C", "_", ""), ("e", "V*CC", "_", ""), ("e", "V*", "s_", ""),
    ("e", "", "_", "i"), ("e", "", "", "ɛ"),
    ("ff", "", "", "f"), ("f", "", "", "f"),
    ("gh", "_", "", "ɡ"), ("gh", "", "", ""), ("gn", "", "_", "n"), ("gn", "_", "", "n"),
    ("gg", "", "", "ɡ"), ("ge", "", "_", "ʤ"), ("g", "", "E", "ʤ"), ("g", "", "", "ɡ"),
    ("h", "V", "C", ""), ("h", "V", "_", ""), ("h", "", "", "h"),
    ("igh", "", "", "I"), ("ing", "", "_", "ɪŋ"), ("ie", "", "", "i"), ("ir", "", "_", "ɜɹ"),
    ("ir", "", "C", "ɜɹ"), ("i", "", "Ce_", "I"), ("i", "", "V", "i"), ("i", "", "_", "i"),
    ("i", "", "", "ɪ"),
    ("j", "", "", "ʤ"),
    ("kn", "_", "", "n"), ("kk", "", "", "k"), ("k", "", "", "k"),
    ("ll", "", "", "l"), ("l", "", "", "l"),
    ("mm", "", "", "m"), ("m", "", "", "m"),
    ("ng", "", "_", "ŋ"), ("ng", "", "C", "ŋ"), ("ng", "", "E", "nʤ"), ("ng", "", "", "ŋɡ"),
    ("nk", "", "", "ŋk"), ("nn", "", "", "n"), ("n", "", "", "n"),
    ("ough", "", "", "O"), ("ould", "", "_", "ʊd"), ("ous", "", "_", "əs"), ("oo", "", "", "u"),
    ("oa", "", "", "O"), ("oi", "", "", "Y"), ("oy", "", "", "Y"), ("ou", "", "", "W"),
    ("ow", "", "_", "O"), ("ow", "", "", "W"), ("or", "", "", "ɔɹ"), ("o", "", "Ce_", "O"),
    ("o", "", "CV", "O"), ("o", "", "_", "O"), ("o", "", "", "ɑ"),
    ("ph", "", "", "f"), ("ps", "_", "", "s"), ("pp", "", "", "p"), ("p", "", "", "p"),
    ("qu", "", "", "kw"), ("q", "", "", "k"),
    ("rh", "", "", "ɹ"), ("rr", "", "", "ɹ"), ("r", "", "", "ɹ"),
    ("sch", "_", "C", "ʃ"), ("sh", "", "", "ʃ"), ("sion", "V", "_", "ʒən"), ("sion", "", "_", "ʃən"),
    ("ss", "", "", "s"), ("s", "V", "V", "z"), ("s", "U", "_", "s"), ("s", "V*", "_", "z"),
    ("s", "", "", "s"),
    ("tion", "", "", "ʃən"), ("th", "", "", "θ"), ("tt", "", "", "t"), ("t", "", "", "t"),
    ("ur", "", "_", "ɜɹ"), ("ur", "", "C", "ɜɹ"), ("ue", "", "_", "u"), ("ui", "", "", "u"),
    ("u", "", "Ce_", "u"), ("u", "", "CV", "u"), ("u", "", "_", "u"), ("u", "", "", "ʌ"),
    ("v", "", "", "v"),
    ("wh", "", "", "w"), ("wr", "_", "", "ɹ"), ("w", "", "", "w"),
    ("x", "_", "", "z"), ("x", "", "", "ks"),
    ("yr", "", "C", "ɜɹ"), ("y", "_", "V", "j"), ("y", "", "Ce_", "I"), ("y", "V", "V", "j"),
    ("y", "", "_", "i"), ("y", "", "", "ɪ"),
    ("zz", "", "", "z"), ("z", "", "", "z"),
];

/// The vowels among the phonemes.
const VOWELS: &str = "æɑəɛɪiɔʊuʌAIOWYɜᵻ";

/// The marker of the dictionaries for what has no phonemes.
const UNKNOWN: &str = "❓";

/// Reads what the dictionaries lack.
pub(crate) struct Speller {
    /// Whether in British English.
    pub(crate) british: bool,
}

impl Fallback for Speller {
    /// The phonemes of a word of Latin letters; of anything else, the marker.
    fn phonemize(&self, word: &str) -> Result<String, FallbackError> {
        let is_joint = |character: char| matches!(character, '-' | '_' | '\'' | '’' | '‘');
        let mut phonemes = String::new();
        for part in word.split(is_joint).filter(|part| !part.is_empty()) {
            if !part.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                return Ok(UNKNOWN.to_owned());
            }
            phonemes.push_str(&read(&part.to_ascii_lowercase()));
        }
        if phonemes.is_empty() {
            return Ok(UNKNOWN.to_owned());
        }
        Ok(if self.british { to_british(&phonemes) } else { phonemes })
    }
}

/// The phonemes of a word in small letters, in American English.
fn read(word: &str) -> String {
    let mut phonemes = String::new();
    let mut at = 0;
    while at < word.len() {
        let rule = RULES.iter().find(|(letters, before, behind, _)| {
            word[at..].starts_with(letters)
                && fits(word[..at].bytes().rev(), before.bytes().rev())
                && fits(word[at + letters.len()..].bytes(), behind.bytes())
        });
        let Some((letters, .., sound)) = rule else { break };
        phonemes.push_str(sound);
        at += letters.len();
    }
    if phonemes.contains(|phoneme| VOWELS.contains(phoneme)) {
        stressed(&phonemes)
    } else {
        spelled_out(word)
    }
}

/// Whether the letters fit a context, both read away from the letters that the rule is for.
fn fits(mut letters: impl Iterator<Item = u8>, context: impl Iterator<Item = u8>) -> bool {
    let mut anywhere = false;
    for class in context {
        if class == b'*' {
            anywhere = true;
            continue;
        }
        let is_in = |letter: Option<u8>| match (class, letter) {
            (b'_', letter) => letter.is_none(),
            (_, None) => false,
            (b'V', Some(letter)) => b"aeiouy".contains(&letter),
            (b'C', Some(letter)) => !b"aeiouy".contains(&letter),
            (b'E', Some(letter)) => b"eiy".contains(&letter),
            (b'U', Some(letter)) => b"cfkpstx".contains(&letter),
            (b'S', Some(letter)) => b"chsxz".contains(&letter),
            (_, Some(letter)) => letter == class,
        };
        let found = if anywhere { letters.any(|letter| is_in(Some(letter))) } else { is_in(letters.next()) };
        if !found {
            return false;
        }
        anywhere = false;
    }
    true
}

/// With the stress on the third vowel from the end, as most longer words have it, else on the first.
fn stressed(phonemes: &str) -> String {
    let vowels: Vec<usize> =
        phonemes.char_indices().filter(|(_, phoneme)| VOWELS.contains(*phoneme)).map(|(at, _)| at).collect();
    let at = vowels[vowels.len().saturating_sub(3)];
    format!("{}ˈ{}", &phonemes[..at], &phonemes[at..])
}

/// The names of the letters, for what has no vowel.
fn spelled_out(word: &str) -> String {
    const NAMES: [&str; 26] = [
        "ˈA",
        "bˈi",
        "sˈi",
        "dˈi",
        "ˈi",
        "ˈɛf",
        "ʤˈi",
        "ˈAʧ",
        "ˈI",
        "ʤˈA",
        "kˈA",
        "ˈɛl",
        "ˈɛm",
        "ˈɛn",
        "ˈO",
        "pˈi",
        "kjˈu",
        "ˈɑɹ",
        "ˈɛs",
        "tˈi",
        "jˈu",
        "vˈi",
        "dˈʌbᵊlju",
        "ˈɛks",
        "wˈI",
        "zˈi",
    ];
    word.bytes().map(|letter| NAMES[usize::from(letter - b'a')]).collect()
}

/// What British English has for the phonemes of American: other vowels, and no r but before a vowel.
fn to_british(phonemes: &str) -> String {
    let mut british = String::with_capacity(phonemes.len() * 2);
    let mut rest = phonemes.chars().peekable();
    while let Some(phoneme) = rest.next() {
        let r_follows = rest.peek() == Some(&'ɹ');
        match phoneme {
            'ɹ' if rest.peek().is_none_or(|next| !VOWELS.contains(*next) && *next != 'ˈ') => {
                if british.ends_with(['ɑ', 'ɔ', 'ɜ']) {
                    british.push('ː');
                }
            }
            'O' => british.push('Q'),
            'æ' => british.push('a'),
            'ɑ' if !r_follows => british.push('ɒ'),
            'ɔ' if !r_follows => british.push_str("ɔː"),
            'i' => british.push_str("iː"),
            'u' => british.push_str("uː"),
            other => british.push(other),
        }
    }
    british
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::vocabulary::tokenize;

    #[test]
    fn regular_spelling_is_read() {
        for (word, expected) in [
            ("kokoro", "kˈOkɔɹO"),
            ("blick", "blˈɪk"),
            ("plake", "plˈAk"),
            ("knight", "nˈIt"),
            ("shring", "ʃɹˈɪŋ"),
            ("phation", "fˈAʃən"),
            ("gertz", "ʤˈɜɹtz"),
            ("quibbed", "kwˈɪbd"),
            ("natted", "nˈætᵻd"),
            ("toshes", "tˈɑʃᵻz"),
            ("zzz", "zˈizˈizˈi"),
        ] {
            assert_eq!(read(word), expected, "{word}");
        }
    }

    #[test]
    fn what_is_not_of_latin_letters_is_marked() {
        let speller = Speller { british: false };
        for word in ["日本", "a1", "😀", "", "-"] {
            assert_eq!(speller.phonemize(word).unwrap(), UNKNOWN, "{word}");
        }
        assert_eq!(speller.phonemize("Blick-Plake").unwrap(), "blˈɪkplˈAk");
    }

    #[test]
    fn british_vowels_are_others() {
        assert_eq!(to_british("kˈOkɔɹO"), "kˈQkɔɹQ");
        assert_eq!(to_british("bˈɑɹd"), "bˈɑːd");
        assert_eq!(to_british("blˈɑk"), "blˈɒk");
    }

    proptest! {
        #[test]
        fn every_word_is_read_and_the_model_knows_the_phonemes(word in "[a-zA-Z]{1,20}", british in any::<bool>()) {
            let phonemes = Speller { british }.phonemize(&word).unwrap();
            prop_assert!(phonemes.contains('ˈ'), "{}", phonemes);
            prop_assert!(tokenize(&phonemes).is_ok(), "{}", phonemes);
        }
    }
}
