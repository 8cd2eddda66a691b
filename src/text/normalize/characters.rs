//! One way to write each character: what keyboards, word processors, PDF files and web pages have put in its place.

use unicode_normalization::UnicodeNormalization as _;

use super::mapped::Mapped;

/// Words that begin with an apostrophe, behind it.
const ELIDED: [&str; 12] =
    ["tis", "twas", "twere", "twill", "em", "til", "cause", "bout", "round", "n", "neath", "ere"];

/// The text with plain letters, apostrophes, hyphens and spaces. What stands only for how a character looks, or where a word
/// may be broken, is gone; what may mean something stays.
pub(super) fn plain(text: &str) -> Mapped {
    let mut plain = Mapped::with_capacity(text.len());
    let mut rest = text.char_indices().peekable();
    let mut given = false;
    // Whether a single quotation mark is open, for what closes it is written as an apostrophe is.
    let mut quoted = false;
    while let Some((at, character)) = rest.next() {
        // Phonemes given in the text are a word, too.
        let before =
            if plain.as_str().ends_with("/)") { Some('a') } else { plain.as_str().chars().next_back() };
        let next = rest.peek().map(|&(_, next)| next);
        // Phonemes given in the text have their own letters and marks.
        given = if given { !text[at..].starts_with("/)") } else { text[..at].ends_with("](/") };
        if given || character.is_ascii_alphanumeric() {
            plain.push(character, at);
            continue;
        }
        match character {
            '\n' | '\u{85}' | '\u{2028}' => plain.push('\n', at),
            '\u{2029}' => plain.push_str("\n\n", at),
            '\r' | '\u{0c}' | '\u{0b}' => {
                if next != Some('\n') {
                    plain.push('\n', at);
                }
            }
            _ if character.is_whitespace() => plain.push(' ', at),
            '\'' | '’' | '‘' | 'ʼ' | 'ʻ' | '＇' | '`' | '´' | '′' | '‛' | '\u{92}' => {
                let mark = apostrophe(character, before, &text[at + character.len_utf8()..], &mut quoted);
                plain.push(mark, at);
            }
            '″' if before.is_some_and(|before| before.is_ascii_digit()) => plain.push('"', at),
            '„' | '‟' | '«' | '“' | '\u{93}' => plain.push('“', at),
            '»' | '”' | '\u{94}' => plain.push('”', at),
            '‹' | '‚' => plain.push('‘', at),
            '›' => plain.push('’', at),
            '\u{2010}' | '\u{2011}' | '\u{fe63}' | '\u{ff0d}' | '\u{2043}' => plain.push('-', at),
            '\u{2012}' | '\u{96}' => plain.push('–', at),
            '\u{2015}' | '\u{2e3a}' | '\u{2e3b}' | '\u{97}' => plain.push('—', at),
            // A minus, so that a range is told from a difference.
            '\u{2212}' => plain.push('−', at),
            '\u{85}'..='\u{9f}' => {}
            _ if is_invisible(character) => {}
            '№' | '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' | '™' | '…' | '℠' | '℃' | '℉' | '°' | 'µ' | '¢' =>
            {
                plain.push_str(special(character), at);
            }
            '\u{ff5f}'..='\u{ffff}' | '\u{1f000}'.. | '\u{2600}'..='\u{27bf}' => plain.push(character, at),
            '½' | '¼' | '¾' | '⅐'..='⅞' | '↉' => {
                // Behind a whole number: one and a half, not eleven halves.
                if before.is_some_and(|before| before.is_ascii_digit()) {
                    plain.push(' ', at);
                }
                character.nfkc().for_each(|part| plain.push(part, at));
            }
            'æ' => plain.push_str("ae", at),
            'Æ' => plain.push_str("Ae", at),
            'œ' => plain.push_str("oe", at),
            'Œ' => plain.push_str("Oe", at),
            'ø' => plain.push('o', at),
            'Ø' => plain.push('O', at),
            'ł' => plain.push('l', at),
            'Ł' => plain.push('L', at),
            'đ' | 'ð' => plain.push('d', at),
            'Đ' | 'Ð' => plain.push('D', at),
            'þ' => plain.push_str("th", at),
            'Þ' => plain.push_str("Th", at),
            'ß' => plain.push_str("ss", at),
            'ẞ' => plain.push_str("SS", at),
            'ı' => plain.push('i', at),
            _ if character.is_ascii() => plain.push(character, at),
            // A sign that is crossed out is another sign.
            _ if !character.is_alphabetic() && std::iter::once(character).nfd().count() > 1 => {
                plain.push(character, at);
            }
            _ => {
                // Letters of mathematics, wide and small forms, ligatures, letters with accents.
                let mut parts = character.nfkd().filter(|part| !is_invisible(*part)).peekable();
                match parts.peek() {
                    Some(first) if first.is_ascii() && *first != ' ' => {
                        parts.for_each(|part| plain.push(part, at));
                    }
                    _ => plain.push(character, at),
                }
            }
        }
    }
    plain
}

/// What an apostrophe, or what was written for one, is: `'` in a word, `‘` or `’` around words.
fn apostrophe(character: char, before: Option<char>, after: &str, quoted: &mut bool) -> char {
    let behind_word = before.is_some_and(char::is_alphanumeric);
    let next = after.chars().next();
    if behind_word && next.is_some_and(char::is_alphanumeric) {
        return '\'';
    }
    if before.is_some_and(|before| before.is_ascii_digit())
        && matches!(character, '\'' | '′' | '’')
        && !*quoted
    {
        return '\'';
    }
    if character == '`' {
        return '`';
    }
    if behind_word {
        // Behind the s of a plural, unless it closes what was opened.
        return if std::mem::take(quoted) {
            '’'
        } else if matches!(before, Some('s' | 'S' | 'n' | 'N')) {
            '\''
        } else {
            '’'
        };
    }
    let word: String = after.chars().take_while(|next| next.is_alphabetic()).collect();
    let is_decade = || {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        digits == 2 && !after[2..].starts_with(|next: char| next.is_ascii_digit())
    };
    if ELIDED.contains(&word.to_lowercase().as_str()) || is_decade() {
        return '\'';
    }
    if next.is_some_and(char::is_alphanumeric) {
        *quoted = true;
        return '‘';
    }
    *quoted = false;
    '’'
}

/// Characters whose compatibility form would say something else, or too little.
fn special(character: char) -> &'static str {
    match character {
        '№' => "No. ",
        '²' => "²",
        '³' => "³",
        '¹' => "¹",
        '⁰' => "⁰",
        '⁴' => "⁴",
        '⁵' => "⁵",
        '⁶' => "⁶",
        '⁷' => "⁷",
        '⁸' => "⁸",
        '⁹' => "⁹",
        '™' => "™",
        '℠' => "℠",
        '…' => "…",
        '℃' => "°C",
        '℉' => "°F",
        'µ' => "μ",
        '¢' => "¢",
        _ => "°",
    }
}

/// What marks the letter before it, where a line may be broken, which way text runs, and how an emoji looks.
pub(super) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
        | '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_apostrophe_is_one() {
        for written in ["don’t", "don`t", "don´t", "donʼt", "don＇t", "don′t"] {
            assert_eq!(plain(written).as_str(), "don't");
        }
        for (written, expected) in [
            ("the ’90s", "the '90s"),
            ("’tis", "'tis"),
            ("rock ’n’ roll", "rock 'n' roll"),
            ("the dogs’ tails", "the dogs' tails"),
            ("‘the dogs’ she said", "‘the dogs’ she said"),
            ("'quoted'", "‘quoted’"),
        ] {
            assert_eq!(plain(written).as_str(), expected, "{written}");
        }
    }

    #[test]
    fn what_only_looks_different_is_the_same() {
        for (written, expected) in [
            ("ﬁnal oﬃce", "final office"),
            ("Ｈｅｌｌｏ", "Hello"),
            ("non\u{2011}stop", "non-stop"),
            ("soft\u{ad}ware, zero\u{200b}width\u{200d}", "software, zerowidth"),
            ("cafe\u{301} naïve", "cafe naive"),
            ("1½ cups", "1 1⁄2 cups"),
            ("25 ℃", "25 °C"),
            ("a\u{a0}b\u{2009}c", "a b c"),
            ("a\r\nb\rc", "a\nb\nc"),
            ("𝐛𝐨𝐥𝐝", "bold"),
        ] {
            assert_eq!(plain(written).as_str(), expected, "{written}");
        }
    }

    #[test]
    fn phonemes_given_in_the_text_stay() {
        assert_eq!(plain("[Kokoro](/kˈæɑ̃ø/) ﬁ").as_str(), "[Kokoro](/kˈæɑ̃ø/) fi");
    }
}
