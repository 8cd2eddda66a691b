//! Roman numerals behind names: of kings, of wars, of chapters.

use super::numbers::{cardinal, ordinal};
use super::reading::{Place, Reading, reading};

/// Of these there are several, told apart as "the second".
const RULERS: [&str; 54] = [
    "Alexander",
    "Alfonso",
    "Amenhotep",
    "Benedict",
    "Boniface",
    "Carlos",
    "Catherine",
    "Charles",
    "Christian",
    "Clement",
    "Constantine",
    "Darius",
    "Edward",
    "Elizabeth",
    "Ferdinand",
    "Francis",
    "Frederick",
    "Friedrich",
    "George",
    "Gregory",
    "Gustav",
    "Haakon",
    "Harald",
    "Henri",
    "Henry",
    "Innocent",
    "Ivan",
    "James",
    "John",
    "Joseph",
    "Juan",
    "Julius",
    "Karl",
    "Leo",
    "Leopold",
    "Louis",
    "Ludwig",
    "Mary",
    "Maximilian",
    "Mehmed",
    "Napoleon",
    "Nicholas",
    "Otto",
    "Paul",
    "Pedro",
    "Peter",
    "Philip",
    "Pius",
    "Ptolemy",
    "Ramesses",
    "Richard",
    "Robert",
    "Wilhelm",
    "William",
];

/// Of these there are several, told apart by a number.
const NUMBERED: [&str; 38] = [
    "Act", "Annex", "Appendix", "Apollo", "Article", "Book", "Bowl", "Canto", "Chapter", "Class", "Episode",
    "Figure", "Grade", "Group", "Layer", "Level", "Mark", "Model", "Movement", "No", "Number", "Part",
    "Phase", "Psalm", "Rocky", "Round", "Scene", "Season", "Section", "Series", "Stage", "Step", "Table",
    "Title", "Type", "Unit", "Volume", "War",
];

/// `Louis XIV`, `World War II`, `Chapter IV`, `Rocky III`.
pub(super) fn numeral(place: &Place<'_>) -> Option<Reading> {
    let found = numerals().find(place.rest())?;
    let behind = &place.rest()[found.end()..];
    if behind.starts_with(|it: char| it.is_alphanumeric() || it == '&')
        || behind.starts_with('\'') && !behind.starts_with("'s")
        || !place.before().ends_with(' ')
    {
        return None;
    }
    let value = value(found.as_str())?;
    let before = place.word_before();
    let title = title_case(before);
    let ruler = RULERS.contains(&title.as_str());
    let numbered = NUMBERED.contains(&title.as_str());
    let named = before.starts_with(|it: char| it.is_ascii_uppercase()) && before.len() > 1;
    let written = found.as_str();
    let is_numeral = match written.len() {
        // The I after a name is the speaker more often than the first.
        1 if written == "I" => numbered || ruler && ends_name(behind),
        1 => numbered || ruler,
        // Others are initials, too, such as CD and MD.
        _ if written.bytes().all(|it| b"IVX".contains(&it)) => named || numbered || ruler,
        _ => numbered || ruler,
    };
    if !is_numeral {
        return None;
    }
    let dialect = place.dialect();
    let words = if ruler {
        format!("the {}", ordinal(&value.to_string(), dialect))
    } else {
        cardinal(&value.to_string(), dialect)
    };
    reading(words, written.len())
}

fn title_case(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters.as_str().to_lowercase().chars()).collect()
    })
}

/// Whether no verb follows.
fn ends_name(behind: &str) -> bool {
    behind.is_empty()
        || behind.starts_with([',', '.', ';', ':', ')', '\'', '?', '!', '’', '\n'])
        || behind.starts_with(" of ")
        || behind.starts_with(" and ")
}

/// The value of a numeral that is written as it should be.
fn value(numeral: &str) -> Option<u32> {
    const PARTS: [(&str, u32); 13] = [
        ("M", 1000),
        ("CM", 900),
        ("D", 500),
        ("CD", 400),
        ("C", 100),
        ("XC", 90),
        ("L", 50),
        ("XL", 40),
        ("X", 10),
        ("IX", 9),
        ("V", 5),
        ("IV", 4),
        ("I", 1),
    ];
    let (mut rest, mut value) = (numeral, 0);
    for (part, worth) in PARTS {
        let most = if part.len() == 2 || matches!(part, "D" | "L" | "V") { 1 } else { 3 };
        for _ in 0..most {
            let Some(behind) = rest.strip_prefix(part) else { break };
            (rest, value) = (behind, value + worth);
        }
    }
    rest.is_empty().then_some(value)
}

patterns! {
    numerals = r"^[IVXLCDM]{1,9}";
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn numerals_have_values_and_other_letters_none() {
        for (numeral, expected) in [
            ("XIV", Some(14)),
            ("MCMXCIX", Some(1999)),
            ("IX", Some(9)),
            ("IIII", None),
            ("VX", None),
            ("IC", None),
        ] {
            assert_eq!(value(numeral), expected, "{numeral}");
        }
    }
}
