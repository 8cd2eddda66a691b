//! Sentences that seem to be in another language, by the small words that every sentence has.

use super::Findings;
use super::mapped::Mapped;
use crate::text::notice::NoticeKind;

/// Words of languages in Latin letters, without accents; none that is English, too.
const WORDS: [(&str, &str); 6] = [
    (
        "French",
        " le les des est une et dans pour pas vous nous je qui sur avec plus ce cette sont mais ou tout fait etre leur aux du elle il ils comme ",
    ),
    (
        "German",
        " der das und ist nicht ein eine ich sie wir mit auf fur den dem von zu auch sich es als wie aber noch nach bei einen haben werden ",
    ),
    (
        "Spanish",
        " el los las una y es por para con del que como mas pero su sus lo esta este fue muy cuando donde hay yo ella ser tiene ",
    ),
    (
        "Italian",
        " il gli della che di una sono non con del nella questo questa piu anche ma come alla dei delle si era ho mio lei suo ",
    ),
    (
        "Portuguese",
        " os uma nao que com para dos das voce muito mais em um por isso ele ela foi seu sua tem como mas eu esta pelo ",
    ),
    (
        "Dutch",
        " het een van en niet dat zijn met voor op ook naar maar deze wij jullie heeft werd bij nog dan wel geen ",
    ),
];
const ENGLISH: &str = " the of and to is was that it for on with he she as you at this but his her they be have from or had by not are which we an were all their there been if when who will more no out so what up ";

/// Notes each run of sentences that another language has more words of than English.
pub(super) fn notice(spoken: &Mapped, original: &str, findings: &mut Findings) {
    let text = spoken.as_str();
    let mut last = None;
    let mut start = 0;
    for end in text.match_indices(['.', '!', '?', '\n', ';']).map(|(at, _)| at + 1).chain([text.len()]) {
        if text[start..end].len() < 12 {
            continue;
        }
        let language = language(&text[start..end]);
        if language != last
            && let Some(language) = language
        {
            let begin = start + text[start..end].len() - text[start..end].trim_start().len();
            let origin = spoken.origin(begin).unwrap_or(0);
            let quoted: String = original[origin..]
                .split('\n')
                .next()
                .unwrap_or("")
                .chars()
                .take((end - begin).min(60))
                .collect();
            findings.add(NoticeKind::Language(language), &quoted, origin);
        }
        last = language;
        start = end;
    }
}

fn language(sentence: &str) -> Option<&'static str> {
    let (mut english, mut found, mut words) = (0, [0; WORDS.len()], 0);
    for word in sentence.split(|it: char| !it.is_ascii_alphabetic()).filter(|word| !word.is_empty()) {
        words += 1;
        if word.len() > 6 {
            continue;
        }
        let word = format!(" {} ", word.to_ascii_lowercase());
        english += usize::from(ENGLISH.contains(&word));
        for (found, (_, list)) in found.iter_mut().zip(WORDS) {
            *found += usize::from(list.contains(&word));
        }
    }
    let (count, language) = found.iter().zip(WORDS).map(|(&count, (language, _))| (count, language)).max()?;
    (words >= 4 && count >= 2 && 4 * count >= words && count > 2 * english).then_some(language)
}

#[cfg(test)]
mod tests {
    use super::language;

    #[test]
    fn sentences_of_other_languages_are_told_from_english() {
        for (sentence, expected) in [
            ("Je ne sais pas ce que vous dites.", Some("French")),
            ("Das ist nicht das Ende der Geschichte.", Some("German")),
            ("El perro y el gato son muy amigos.", Some("Spanish")),
            ("Questa non e la strada che porta alla casa.", Some("Italian")),
            ("The chef said that the coup de grace was his.", None),
            ("Don Quixote and El Cid are Spanish.", None),
            ("I am here.", None),
        ] {
            assert_eq!(language(sentence), expected, "{sentence}");
        }
    }
}
