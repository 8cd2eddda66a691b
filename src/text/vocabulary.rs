//! The phoneme symbols a Kokoro model knows, and their token ids.

/// Symbol and id, by rising id. Of the 178 rows of the embedding these 114 are in use.
///
/// Source: `vocab` in the `config.json` of Kokoro-82M v1.0.
#[rustfmt::skip]
const SYMBOLS: [(char, i64); 114] = [
    (';', 1), (':', 2), (',', 3), ('.', 4), ('!', 5), ('?', 6), ('—', 9), ('…', 10), ('"', 11), ('(', 12),
    (')', 13), ('“', 14), ('”', 15), (' ', 16), ('\u{303}', 17), ('ʣ', 18), ('ʥ', 19), ('ʦ', 20), ('ʨ', 21),
    ('ᵝ', 22), ('ꭧ', 23), ('A', 24), ('I', 25), ('O', 31), ('Q', 33), ('S', 35), ('T', 36), ('W', 39),
    ('Y', 41), ('ᵊ', 42), ('a', 43), ('b', 44), ('c', 45), ('d', 46), ('e', 47), ('f', 48), ('h', 50),
    ('i', 51), ('j', 52), ('k', 53), ('l', 54), ('m', 55), ('n', 56), ('o', 57), ('p', 58), ('q', 59),
    ('r', 60), ('s', 61), ('t', 62), ('u', 63), ('v', 64), ('w', 65), ('x', 66), ('y', 67), ('z', 68),
    ('ɑ', 69), ('ɐ', 70), ('ɒ', 71), ('æ', 72), ('β', 75), ('ɔ', 76), ('ɕ', 77), ('ç', 78), ('ɖ', 80),
    ('ð', 81), ('ʤ', 82), ('ə', 83), ('ɚ', 85), ('ɛ', 86), ('ɜ', 87), ('ɟ', 90), ('ɡ', 92), ('ɥ', 99),
    ('ɨ', 101), ('ɪ', 102), ('ʝ', 103), ('ɯ', 110), ('ɰ', 111), ('ŋ', 112), ('ɳ', 113), ('ɲ', 114),
    ('ɴ', 115), ('ø', 116), ('ɸ', 118), ('θ', 119), ('œ', 120), ('ɹ', 123), ('ɾ', 125), ('ɻ', 126),
    ('ʁ', 128), ('ɽ', 129), ('ʂ', 130), ('ʃ', 131), ('ʈ', 132), ('ʧ', 133), ('ʊ', 135), ('ʋ', 136),
    ('ʌ', 138), ('ɣ', 139), ('ɤ', 140), ('χ', 142), ('ʎ', 143), ('ʒ', 147), ('ʔ', 148), ('ˈ', 156),
    ('ˌ', 157), ('ː', 158), ('ʰ', 162), ('ʲ', 164), ('↓', 169), ('→', 171), ('↗', 172), ('↘', 173),
    ('ᵻ', 177),
];

/// A symbol that is not in the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("phoneme {position} is `{symbol}` ({}), which is not in the vocabulary", symbol.escape_unicode())]
pub struct UnknownPhoneme {
    /// The symbol.
    pub symbol: char,
    /// How many symbols stand before it.
    pub position: usize,
}

/// The token id of one phoneme symbol, if the model knows it.
///
/// ```
/// assert_eq!(kokoro_model::token('ə'), Some(83));
/// assert_eq!(kokoro_model::token('#'), None);
/// ```
pub fn token(symbol: char) -> Option<i64> {
    // The ids rise with the table but the code points do not; 114 comparisons are nothing beside one run.
    SYMBOLS.iter().find(|(known, _)| *known == symbol).map(|&(_, id)| id)
}

/// Token ids of a string of phonemes, one for each `char`, without the padding.
///
/// ```
/// assert_eq!(kokoro_model::tokenize("həlˈO")?, [50, 83, 54, 156, 31]);
/// let unknown = kokoro_model::tokenize("hə#").unwrap_err();
/// assert_eq!((unknown.symbol, unknown.position), ('#', 2));
/// # Ok::<(), kokoro_model::UnknownPhoneme>(())
/// ```
///
/// # Errors
/// The first symbol that is not in the vocabulary. Nothing is dropped silently: a missing phoneme is heard.
pub fn tokenize(phonemes: &str) -> Result<Vec<i64>, UnknownPhoneme> {
    phonemes
        .chars()
        .enumerate()
        .map(|(position, symbol)| token(symbol).ok_or(UnknownPhoneme { symbol, position }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_symbols_are_unique_and_within_the_embedding() {
        let mut symbols: Vec<char> = SYMBOLS.iter().map(|&(symbol, _)| symbol).collect();
        symbols.sort_unstable();
        symbols.dedup();
        assert_eq!(symbols.len(), 114);
        assert!(SYMBOLS.is_sorted_by(|a, b| a.1 < b.1), "ids rise, so none stands twice");
        assert!(SYMBOLS.iter().all(|&(_, id)| (1..178).contains(&id)), "0 is the padding, 178 the end");
    }

    #[test]
    fn a_word_becomes_one_id_for_each_symbol() {
        // "hello" in the vocabulary of the model: h ə l ˈ O.
        assert_eq!(tokenize("həlˈO"), Ok(vec![50, 83, 54, 156, 31]));
        assert_eq!(tokenize(""), Ok(vec![]));
    }

    #[test]
    fn a_combining_mark_is_a_symbol_of_its_own() {
        assert_eq!(tokenize("ɑ\u{303}"), Ok(vec![69, 17]));
    }

    #[test]
    fn an_unknown_symbol_is_named_with_its_place() {
        let error = tokenize("ðə#").unwrap_err();
        assert_eq!(error, UnknownPhoneme { symbol: '#', position: 2 });
        assert_eq!(error.to_string(), "phoneme 2 is `#` (\\u{23}), which is not in the vocabulary");
        // The Latin g looks like the phonetic ɡ (id 92) and is not in the table.
        assert_eq!(tokenize("g"), Err(UnknownPhoneme { symbol: 'g', position: 0 }));
        assert_eq!(tokenize("ɡ"), Ok(vec![92]));
    }
}
