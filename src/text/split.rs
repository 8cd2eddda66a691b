//! Splitting: text and phonemes into pieces that the model takes, at the ends of sentences, then clauses, then words.

/// Where a piece ends, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Boundary {
    /// Between words, or within one that is longer than a piece may be.
    Word,
    /// After a comma, a semicolon, a colon or a dash.
    Clause,
    /// After a full stop, a question mark, an exclamation mark, or an ellipsis; also at the end.
    Sentence,
    /// At an empty line.
    Paragraph,
}

/// A piece of text or of phonemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// What it says: not empty, without white space at either end.
    pub text: &'a str,
    /// How many bytes stand before it.
    pub start: usize,
    /// Where it ends.
    pub end: Boundary,
}

/// Splits text into sentences, and sentences of more than `limit` characters further: into pieces of about the same
/// length, at the ends of clauses if there are any near, else between words. Only a word longer than `limit` is cut.
/// Nothing is lost but white space.
///
/// A mark ends a sentence if white space follows and then no lower-case letter, and if it is no full stop behind an
/// initial or a title such as `Dr.`; marks of scripts that write no spaces need none.
///
/// ```
/// use kokoro_model::{Boundary, split_text};
///
/// let text = "Dr. Hale came in, at 3.30 a.m. or so. “Who is it?” she asked.";
/// let pieces: Vec<_> = split_text(text, 510).map(|piece| piece.text).collect();
/// assert_eq!(pieces, ["Dr. Hale came in, at 3.30 a.m. or so.", "“Who is it?” she asked."]);
///
/// let pieces: Vec<_> = split_text("One, two, three, four.", 12).map(|piece| (piece.text, piece.end)).collect();
/// assert_eq!(pieces, [("One, two,", Boundary::Clause), ("three, four.", Boundary::Sentence)]);
/// ```
pub fn split_text(text: &str, limit: usize) -> Pieces<'_> {
    Pieces { whole: text, at: 0, limit: limit.max(1), written: Written::Text }
}

/// Splits phonemes as [`split_text`] splits text. Phonemes have no capital letters and no abbreviations, so every mark
/// that ends a sentence does, if white space follows.
///
/// ```
/// use kokoro_model::{MAX_PHONEMES, split_phonemes};
///
/// let pieces: Vec<_> = split_phonemes("həlˈO. wˈɜɹld!", MAX_PHONEMES).map(|piece| piece.text).collect();
/// assert_eq!(pieces, ["həlˈO.", "wˈɜɹld!"]);
/// ```
pub fn split_phonemes(phonemes: &str, limit: usize) -> Pieces<'_> {
    Pieces { whole: phonemes, at: 0, limit: limit.max(1), written: Written::Phonemes }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Text,
    Phonemes,
}

/// The pieces of a text, found one at a time; see [`split_text`] and [`split_phonemes`].
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    whole: &'a str,
    at: usize,
    limit: usize,
    written: Written,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.whole[self.at..].trim_start();
        let start = self.whole.len() - rest.len();
        // So far does anything look ahead, so a text without an end costs no more than one with many.
        let window: Vec<(usize, char)> =
            rest.char_indices().take(self.limit.saturating_mul(2).saturating_add(1)).collect();
        if window.is_empty() {
            return None;
        }
        let (length, end) = end_of_sentence(&window, self.written);
        let (length, end) =
            if length <= self.limit { (length, end) } else { cut(&window[..length], self.limit) };
        let bytes = window.get(length).map_or(rest.len(), |&(byte, _)| byte);
        self.at = start + bytes;
        Some(Piece { text: rest[..bytes].trim_end(), start, end })
    }
}

/// The number of characters up to the first end of a sentence, or all.
fn end_of_sentence(window: &[(usize, char)], written: Written) -> (usize, Boundary) {
    for index in 0..window.len() {
        let character = window[index].1;
        if character.is_whitespace() {
            if breaks(&window[index..]) == 2 && !window[index - 1].1.is_whitespace() {
                return (index, Boundary::Paragraph);
            }
            continue;
        }
        if !is_terminal(character) {
            continue;
        }
        let after = index + 1 + window[index + 1..].iter().take_while(|(_, next)| is_closing(*next)).count();
        if window.get(after).is_some_and(|(_, next)| is_terminal(*next)) {
            continue;
        }
        let following = &window[after..];
        let ends = match following.first() {
            None => true,
            Some((_, next)) if !next.is_whitespace() => is_wide_terminal(character),
            Some(_) => {
                written == Written::Phonemes || starts_sentence(following) && !abbreviated(&window[..=index])
            }
        };
        if ends {
            let end = if breaks(following) == 2 { Boundary::Paragraph } else { Boundary::Sentence };
            return (after, end);
        }
    }
    (window.len(), Boundary::Sentence)
}

/// The number of line breaks that it begins with, among other white space, up to 2.
fn breaks(window: &[(usize, char)]) -> usize {
    let space =
        window.iter().map(|(_, character)| *character).take_while(|character| character.is_whitespace());
    space.filter(|character| *character == '\n').take(2).count()
}

/// Whether what follows a mark may begin a sentence: its first letter is not in lower case.
fn starts_sentence(following: &[(usize, char)]) -> bool {
    let mut rest = following.iter().map(|(_, character)| *character);
    !rest
        .find(|character| !character.is_whitespace() && !is_opening(*character))
        .is_some_and(char::is_lowercase)
}

/// Whether the full stop at the end belongs to an initial or a title, behind which a name follows.
fn abbreviated(window: &[(usize, char)]) -> bool {
    const TITLES: [&str; 18] = [
        "Mr", "Mrs", "Ms", "Dr", "Prof", "Rev", "St", "Mt", "Sr", "Jr", "Gen", "Col", "Capt", "Lt", "Sgt",
        "Fr", "Hon", "vs",
    ];
    let [before @ .., (_, '.')] = window else { return false };
    let letters = before.iter().rev().take_while(|(_, character)| character.is_alphabetic()).count();
    let word: String = before[before.len() - letters..].iter().map(|(_, character)| *character).collect();
    let initial = letters == 1 && word.chars().all(char::is_uppercase);
    initial || TITLES.contains(&word.as_str())
}

/// The number of characters, up to `limit`, of the first of several pieces of about the same length.
fn cut(sentence: &[(usize, char)], limit: usize) -> (usize, Boundary) {
    let pieces = sentence.len().div_ceil(limit);
    let aim = sentence.len().div_ceil(pieces);
    let nearest = |ends: &dyn Fn(usize) -> bool| {
        (aim.div_ceil(2)..=limit).filter(|&length| ends(length)).min_by_key(|&length| length.abs_diff(aim))
    };
    let space_at = |index: usize| sentence.get(index).is_none_or(|(_, next)| next.is_whitespace());
    let clause = |length: usize| {
        let mut before = sentence[..length].iter().rev().map(|(_, character)| *character);
        let mark = before.find(|character| !is_closing(*character));
        mark.is_some_and(|mark| is_wide_clause(mark) || is_clause(mark) && space_at(length))
    };
    if let Some(length) = nearest(&clause) {
        return (length, Boundary::Clause);
    }
    if let Some(length) = nearest(&|length| space_at(length) && !space_at(length - 1)) {
        return (length, Boundary::Word);
    }
    // A word before the half of a piece is better than a cut within one.
    if let Some(length) = (1..aim.div_ceil(2)).rev().find(|&length| space_at(length) && !space_at(length - 1))
    {
        return (length, Boundary::Word);
    }
    let length = (1..=limit).rev().find(|&length| !belongs_before(sentence[length].1)).unwrap_or(limit);
    (length, Boundary::Word)
}

fn is_terminal(character: char) -> bool {
    matches!(character, '.' | '!' | '?' | '…') || is_wide_terminal(character)
}

/// Marks of scripts that write no space behind them, and the danda.
fn is_wide_terminal(character: char) -> bool {
    matches!(character, '。' | '！' | '？' | '．' | '।')
}

fn is_clause(character: char) -> bool {
    matches!(character, ',' | ';' | ':' | '—' | '–')
}

fn is_wide_clause(character: char) -> bool {
    matches!(character, '，' | '、' | '；' | '：')
}

fn is_closing(character: char) -> bool {
    matches!(character, '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '}' | '」' | '』' | '）' | '】')
}

fn is_opening(character: char) -> bool {
    matches!(character, '"' | '\'' | '“' | '‘' | '«' | '(' | '[' | '{' | '¿' | '¡' | '—' | '-')
}

/// Marks that change the symbol before them.
pub(crate) fn belongs_before(character: char) -> bool {
    matches!(character, 'ː' | 'ʰ' | 'ʲ' | '\u{300}'..='\u{36f}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str, limit: usize) -> Vec<&str> {
        split_text(text, limit).map(|piece| piece.text).collect()
    }

    #[test]
    fn sentences_end_where_a_reader_would_end_them() {
        for (text, expected) in [
            ("One. Two! Three? Four…", &["One.", "Two!", "Three?", "Four…"][..]),
            (
                "It is 3.5 by J. R. Hale, Dr. Oz and St. Paul.",
                &["It is 3.5 by J. R. Hale, Dr. Oz and St. Paul."],
            ),
            ("“Stop!” he said. “Why?” She ran.", &["“Stop!” he said.", "“Why?”", "She ran."]),
            ("Really?! Yes... maybe. OK.", &["Really?!", "Yes... maybe.", "OK."]),
            ("我来了。你呢？好！", &["我来了。", "你呢？", "好！"]),
            ("वह आया। मैं गया।", &["वह आया।", "मैं गया।"]),
            ("A line\nthat goes on.\n\nA title\n\nMore", &["A line\nthat goes on.", "A title", "More"]),
            ("no end", &["no end"]),
            ("Ends (here.) Then.", &["Ends (here.)", "Then."]),
            (" \n\n ", &[]),
            ("", &[]),
        ] {
            assert_eq!(texts(text, 510), expected, "{text}");
        }
    }

    #[test]
    fn the_boundary_is_told() {
        let ends: Vec<_> =
            split_text("A title\n\nOne. Two.\r\n\r\nThree", 510).map(|piece| piece.end).collect();
        assert_eq!(ends, [Boundary::Paragraph, Boundary::Sentence, Boundary::Paragraph, Boundary::Sentence]);
    }

    #[test]
    fn a_long_sentence_is_cut_at_clauses_then_words_then_anywhere() {
        use Boundary::{Clause, Sentence, Word};
        let cut = |text: &'static str, limit| -> Vec<_> {
            split_text(text, limit).map(|piece| (piece.text, piece.end)).collect()
        };
        assert_eq!(
            cut("He came, he saw — and then he left.", 20),
            [("He came, he saw —", Clause), ("and then he left.", Sentence)]
        );
        assert_eq!(cut("one two three four", 10), [("one two", Word), ("three four", Sentence)]);
        assert_eq!(cut("abcdefghij", 4), [("abcd", Word), ("efgh", Word), ("ij", Sentence)]);
        assert_eq!(cut("aaaːb", 3), [("aa", Word), ("aːb", Sentence)], "a length mark stays with its vowel");
        assert_eq!(cut("10,000 or so", 8), [("10,000", Word), ("or so", Sentence)], "no clause in a number");
    }

    #[test]
    fn phonemes_need_no_capitals() {
        let pieces: Vec<_> = split_phonemes("ðɪs. ɪz ɐ tˈɛst!” jˈɛs", 510).map(|piece| piece.text).collect();
        assert_eq!(pieces, ["ðɪs.", "ɪz ɐ tˈɛst!”", "jˈɛs"]);
    }

    #[test]
    fn a_megabyte_without_an_end_is_split() {
        for text in ["a".repeat(1 << 20), "ab ".repeat(1 << 18), ".".repeat(1 << 20)] {
            let longest = split_text(&text, 510).map(|piece| piece.text.chars().count()).max();
            assert!(longest.is_some_and(|longest| longest <= 510), "{longest:?}");
        }
    }

    fn solid(text: &str) -> String {
        text.split_whitespace().collect()
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_piece_is_too_long(
            text in "([a-zA-Zé0-9ːˈ,;:.!?…—\"'”’()。，]{0,9}[ \n]{0,3}){0,40}",
            limit in 1_usize..60,
            phonemes in any::<bool>(),
        ) {
            let pieces: Vec<_> =
                if phonemes { split_phonemes(&text, limit) } else { split_text(&text, limit) }.collect();
            let mut joined = String::new();
            for piece in &pieces {
                prop_assert_eq!(piece.text.trim(), piece.text);
                prop_assert!((1..=limit).contains(&piece.text.chars().count()), "{:?}", piece);
                prop_assert!(text[piece.start..].starts_with(piece.text));
                joined.push_str(piece.text);
            }
            prop_assert_eq!(solid(&joined), solid(&text));
        }

        #[test]
        fn any_text_is_split(text in any::<String>(), limit in 0_usize..9) {
            let joined: String = split_text(&text, limit).map(|piece| piece.text).collect();
            prop_assert_eq!(solid(&joined), solid(&text));
        }

        #[test]
        fn words_that_fit_are_never_cut(words in prop::collection::vec("[a-z]{1,10}", 1..60)) {
            let text = words.join(" ");
            let pieces: Vec<_> = split_text(&text, 20).flat_map(|piece| piece.text.split(' ')).collect();
            prop_assert_eq!(pieces, words);
        }
    }
}
