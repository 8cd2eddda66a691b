//! Figures that are no money, no date and no measure.

use super::money::magnitude;
use super::numbers::{cardinal, decimal, is_one, one_by_one, ordinal as ordinal_of, year};
use super::reading::{LETTER, Place, Reading, reading};

/// `555-1234`, `(555) 123-4567`, `+44 20 7946 0958`, `1-800-555-0199`, `020 7946 0958`.
pub(super) fn telephone(place: &Place<'_>) -> Option<Reading> {
    let found = telephones().find(place.rest())?;
    let behind = &place.rest()[found.end()..];
    if behind.starts_with(|it: char| it.is_alphanumeric()) || behind.starts_with('-') {
        return None;
    }
    let zero = if place.british() { "oh" } else { "zero" };
    let plus = if found.as_str().starts_with('+') { "plus " } else { "" };
    reading(format!("{plus}{}", one_by_one(found.as_str().trim_start_matches(['+', '(']), zero)), found.end())
}

/// Figures that have a way of their own.
pub(super) fn idiom(place: &Place<'_>) -> Option<Reading> {
    const IDIOMS: [(&str, &str); 8] = [
        ("24/7", "twenty four seven"),
        ("9/11", "nine eleven"),
        ("50/50", "fifty fifty"),
        ("50-50", "fifty fifty"),
        ("20/20", "twenty twenty"),
        ("360°", "three hundred sixty degrees"),
        ("4x4", "four by four"),
        ("007", "double oh seven"),
    ];
    if place.rest().starts_with("911")
        && matches!(place.word_before(), "call" | "Call" | "dial" | "Dial" | "called")
    {
        return reading("nine one one", 3);
    }
    let (written, words) = IDIOMS.iter().find(|(written, _)| place.rest().starts_with(written))?;
    let behind = &place.rest()[written.len()..];
    if behind.starts_with(|it: char| it.is_alphanumeric() || it == '/') || *written == "360°" {
        return None;
    }
    reading(*words, written.len())
}

/// `1.2.3`: a version, or the number of a section.
pub(super) fn version(place: &Place<'_>) -> Option<Reading> {
    let found = versions().find(place.rest())?;
    let parts: Vec<_> = found.as_str().split('.').collect();
    // As others group thousands.
    if parts[0].len() <= 3 && parts[1..].iter().all(|part| part.len() == 3) {
        return reading(cardinal(&parts.concat(), place.dialect()), found.end());
    }
    let words: Vec<_> = parts.iter().map(|part| spelled(part, place)).collect();
    reading(words.join(" point "), found.end())
}

/// `5'11"`, `6'`, `12" pipe`.
pub(super) fn feet(place: &Place<'_>) -> Option<Reading> {
    let dialect = place.dialect();
    if let Some(found) = feet_and_inches().captures(place.rest()) {
        let feet = cardinal(&found[1], dialect);
        return reading(format!("{feet} foot {}", decimal(&found[2], dialect)), found[0].len());
    }
    let found = inches().captures(place.rest())?;
    let is_inch = &found[2] == "\"";
    // The mark that closes a quotation is none of length.
    if is_inch && place.quoted
        || !is_inch && place.rest()[found[0].len()..].starts_with(|it: char| !" ,.;)\n".contains(it))
    {
        return None;
    }
    let unit = match (is_inch, is_one(&found[1])) {
        (true, true) => "inch",
        (true, false) => "inches",
        (false, true) => "foot",
        (false, false) => "feet",
    };
    reading(format!("{} {unit}", decimal(&found[1], dialect)), found[0].len())
}

/// `50%`, `10-20 %`, `5‰`.
pub(super) fn percent(place: &Place<'_>) -> Option<Reading> {
    let found = percents().captures(place.rest())?;
    let unit = match (&found[3], place.british()) {
        ("‰", _) => "per mille",
        (_, true) => "per cent",
        _ => "percent",
    };
    let to =
        found.get(2).map_or(String::new(), |to| format!(" to {}", decimal(to.as_str(), place.dialect())));
    reading(format!("{}{to} {unit}", decimal(&found[1], place.dialect())), found[0].len())
}

/// `1/2`, `2 3/4`, `1⁄3`; numbers that make no common fraction are read with "over".
pub(super) fn fraction(place: &Place<'_>) -> Option<Reading> {
    let found = fractions().captures(place.rest())?;
    let dialect = place.dialect();
    let (whole, upper, lower) = (found.get(1).map(|it| it.as_str()), &found[2], &found[3]);
    let behind = &place.rest()[found[0].len()..];
    if behind.starts_with('/') || behind.starts_with(|it: char| it.is_alphanumeric()) {
        return None;
    }
    let (count, parts) = (upper.parse::<usize>().ok()?, lower.parse::<usize>().ok()?);
    let one = count == 1;
    let name = match parts {
        2 => Some(if one { "half" } else { "halves" }.to_owned()),
        4 => Some(if one { "quarter" } else { "quarters" }.to_owned()),
        3..=20 | 32 | 64 | 100 | 1000 => {
            let name = ordinal_of(lower, dialect);
            Some(if one { name } else { name + "s" })
        }
        _ => None,
    };
    let words = match (name, whole) {
        (Some(name), None) => format!("{} {name}", cardinal(upper, dialect)),
        (Some(name), Some(whole)) if one && parts <= 4 => {
            format!("{} and {} {name}", cardinal(whole, dialect), if parts == 2 { "a" } else { "one" })
        }
        (Some(name), Some(whole)) => {
            format!("{} and {} {name}", cardinal(whole, dialect), cardinal(upper, dialect))
        }
        (None, None) => format!("{} over {}", cardinal(upper, dialect), cardinal(lower, dialect)),
        (None, Some(_)) => return None,
    };
    // "½ cup" is half a cup.
    let words = if words == "one half" && behind.starts_with(" a ") { "half".to_owned() } else { words };
    reading(words, found[0].len())
}

/// `1st`, `22nd`.
pub(super) fn ordinal(place: &Place<'_>) -> Option<Reading> {
    let found = ordinals().captures(place.rest())?;
    reading(ordinal_of(&found[1], place.dialect()), found[0].len())
}

/// `10k`, `1.5M`, `3bn`.
pub(super) fn thousands(place: &Place<'_>) -> Option<Reading> {
    let found = magnitudes().captures(place.rest())?;
    // A screen, not a number.
    if matches!(&found[0], "4K" | "8K" | "5K" | "2K") {
        return None;
    }
    reading(format!("{} {}", decimal(&found[1], place.dialect()), magnitude(&found[2])), found[0].len())
}

/// `1920x1080`, `3 x 4`, `2×2×2`; `10x`.
pub(super) fn dimensions(place: &Place<'_>) -> Option<Reading> {
    let dialect = place.dialect();
    if let Some(found) = crossed().find(place.rest()) {
        let times = if found.as_str().contains('×') { " times " } else { " by " };
        let words: Vec<_> =
            found.as_str().split(['x', '×', 'X']).map(|part| decimal(part.trim(), dialect)).collect();
        return reading(words.join(times), found.end());
    }
    let found = times().captures(place.rest())?;
    if place.rest()[found[0].len()..].starts_with(|it: char| it.is_alphanumeric()) {
        return None;
    }
    reading(format!("{} times", decimal(&found[1], dialect)), found[0].len())
}

/// `10-20`, `1914–1918`, `pp. 5–7`.
pub(super) fn range(place: &Place<'_>) -> Option<Reading> {
    let found = ranges().captures(place.rest())?;
    let behind = &place.rest()[found[0].len()..];
    if behind.starts_with(|it: char| it.is_alphanumeric()) || behind.starts_with(['-', '/']) {
        return None;
    }
    let (from, to) = (&found[1], &found[3]);
    // What is subtracted has spaces around it, and no year before it.
    let ends = behind.trim_start().is_empty()
        || behind.trim_start().starts_with(['=', ',', '.', ';', ')', '+', '-']);
    if &found[2] == " - " && ends && !looks_like_year(from) {
        return reading(format!("{} minus {}", quantity(from, place), quantity(to, place)), found[0].len());
    }
    // The second year may be short.
    let to = match to.len() {
        2 if looks_like_year(from) => cardinal(to, place.dialect()),
        _ => quantity(to, place),
    };
    reading(format!("{} to {to}", quantity(from, place)), found[0].len())
}

/// `2^10`, `10⁶`, `5²`, `10^-3`.
pub(super) fn power(place: &Place<'_>) -> Option<Reading> {
    let found = powers().captures(place.rest())?;
    let base = decimal(&found[1], place.dialect());
    reading(
        format!("{base} {}", raised(found.get(2).or_else(|| found.get(3))?.as_str(), place)),
        found[0].len(),
    )
}

/// What is said of an exponent.
pub(super) fn raised(exponent: &str, place: &Place<'_>) -> String {
    let digits: String = exponent
        .chars()
        .map(|it| {
            "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().position(|high| high == it).map_or(it, |at| char::from(b'0' + at as u8))
        })
        .collect();
    match digits.as_str() {
        "2" => "squared".to_owned(),
        "3" => "cubed".to_owned(),
        digits => match digits.strip_prefix(['-', '−', '⁻']) {
            Some(digits) => format!("to the minus {}", cardinal(digits, place.dialect())),
            None => format!("to the power of {}", cardinal(digits, place.dialect())),
        },
    }
}

/// `-5`, `−3.5`, `+7`, `±2`.
pub(super) fn signed(place: &Place<'_>) -> Option<Reading> {
    let rest = place.rest();
    let sign = rest.chars().next()?;
    let word = match sign {
        '-' | '−' | '–' => "minus",
        '+' => "plus",
        '±' => "plus or minus",
        _ => return None,
    };
    let behind = &rest[sign.len_utf8()..];
    let spaces = behind.len() - behind.trim_start_matches(' ').len();
    let operand = behind[spaces..].starts_with(|it: char| it.is_ascii_digit());
    let left = place.before().trim_end_matches(' ');
    let after_value = left.ends_with(|it: char| it.is_alphanumeric() || it == ')');
    let touches = place.before().ends_with(|it: char| it.is_alphanumeric() || it == ')');
    let between = operand && left.ends_with(|it: char| it.is_ascii_digit());
    // Between two numbers it is what is done with them; a dash is what it is there with spaces, and in front of a word.
    let said = match sign {
        '−' | '±' | '+' => operand || after_value,
        '-' => operand && spaces == 0 && !touches || between && spaces == 1,
        _ => operand && spaces == 0 && !touches,
    };
    said.then(|| Reading { words: format!(" {word} "), length: sign.len_utf8() + spaces })
}

/// `#1`.
pub(super) fn numbered(place: &Place<'_>) -> Option<Reading> {
    let found = number_signs().captures(place.rest())?;
    reading(format!("number {}", quantity(&found[1], place)), found[0].len())
}

/// `~10`, `≈ 3`.
pub(super) fn approximately(place: &Place<'_>) -> Option<Reading> {
    let rest = place.rest();
    let behind = rest.strip_prefix(['~', '≈', '∼'])?;
    let number = behind.trim_start_matches(' ');
    let operand = number.starts_with(|it: char| it.is_ascii_digit() || "$£€¥.".contains(it));
    let alone = !place.before().trim_end_matches(' ').ends_with(|it: char| it.is_alphanumeric());
    let word = if alone { "about " } else { " approximately " };
    operand.then(|| Reading { words: word.to_owned(), length: rest.len() - number.len() })
}

/// `.5`.
pub(super) fn decimal_point(place: &Place<'_>) -> Option<Reading> {
    let found = points().find(place.rest())?;
    let free = place.before().chars().next_back().is_none_or(|it| it.is_whitespace() || "(-−+$".contains(it));
    if !free {
        return None;
    }
    reading(decimal(found.as_str(), place.dialect()), found.end())
}

/// Any other number.
pub(super) fn number(place: &Place<'_>) -> Option<Reading> {
    let found = numbers().find(place.rest())?;
    let mut words = quantity(found.as_str(), place);
    let mut length = found.end();
    // Letters that belong to it: 4K, 3D, 5G.
    let letters = place.rest()[length..].bytes().take_while(u8::is_ascii_alphabetic).count();
    if letters > 0 {
        let behind = &place.rest()[length..length + letters];
        words.push(' ');
        words += &named_letters(behind);
        length += letters;
    }
    reading(words, length)
}

/// Letters with figures: `COVID-19`, `MP3`, `H₂O`, `v1.2`, `F-16`, `B2B`.
pub(super) fn compound(place: &Place<'_>) -> Option<Reading> {
    let found = compounds().find(place.rest())?;
    let behind = &place.rest()[found.end()..];
    // A name of a file.
    if behind.starts_with('_')
        || behind.strip_prefix('.').is_some_and(|it| it.starts_with(char::is_alphanumeric))
    {
        return None;
    }
    if let Some(version) = found.as_str().strip_prefix(['v', 'V']) {
        let digits = version.trim_end_matches('.');
        if digits.bytes().all(|it| it.is_ascii_digit() || it == b'.') {
            let parts: Vec<_> = digits.split('.').map(|part| spelled(part, place)).collect();
            return reading(format!("version {}", parts.join(" point ")), digits.len() + 1);
        }
    }
    let mut words = String::new();
    let text = found.as_str();
    let mut at = 0;
    while at < text.len() {
        let first = text.as_bytes()[at];
        let same = |it: &u8| it.is_ascii_digit() == first.is_ascii_digit() && *it != b'-';
        let end = at + text.bytes().skip(at).take_while(same).count().max(1);
        let part = &text[at..end];
        at = end;
        if part == "-" {
            continue;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words += &if first.is_ascii_digit() { spelled(part, place) } else { named_letters(part) };
    }
    reading(words, text.len())
}

/// Letters beside figures: one by its name, several as a word or as the initials that they are.
fn named_letters(letters: &str) -> String {
    match letters.len() {
        1 => format!("{LETTER}{}", letters.to_ascii_uppercase()),
        _ => letters.to_owned(),
    }
}

/// A number that is a name rather than a count: with its zeros, and long ones in pairs.
fn spelled(digits: &str, place: &Place<'_>) -> String {
    match digits.len() {
        _ if digits.len() > 1 && digits.starts_with('0') => one_by_one(digits, "zero"),
        0..=4 => quantity(digits, place),
        _ => one_by_one(digits, "zero"),
    }
}

/// The words of a number that may be a year.
fn quantity(number: &str, place: &Place<'_>) -> String {
    match number {
        _ if looks_like_year(number) => year(number, place.dialect()),
        _ if number.len() > 1 && number.starts_with('0') && !number.contains('.') => {
            one_by_one(number, "zero")
        }
        _ if number.len() > 15 && !number.contains([',', '.']) => one_by_one(number, "zero"),
        _ => decimal(number, place.dialect()),
    }
}

fn looks_like_year(number: &str) -> bool {
    number.len() == 4 && number.parse::<usize>().is_ok_and(|year| (1100..2100).contains(&year))
}

patterns! {
    telephones = r"(?x)^(?:(?:\+\d{1,3}|1)[\ .-]?)?(?:\(\d{3}\)\ ?|\d{3}[.-])\d{3}[.-]\d{4}
        |^\+\d{1,3}(?:[\ -]?\(?\d{1,5}\)?){2,5}|^\d{3}-\d{4}|^0\d{2,4}\ \d{3,4}\ ?\d{3,4}";
    versions = r"^\d+(?:\.\d+){2,}\b";
    feet_and_inches = r#"^(\d+)' ?(\d{1,2}(?:\.\d+)?)(?:"|''|”)?"#;
    inches = r#"^(\d+(?:\.\d+)?)(["'])"#;
    percents = r"^((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)(?: ?%?[-–] ?(\d+(?:\.\d+)?))? ?([%‰])";
    fractions = r"^(?:(\d+)[ -])?(\d{1,4})[/⁄](\d{1,4})";
    ordinals = r"^((?:\d{1,3}(?:,\d{3})+|\d+))(?:st|nd|rd|th|ST|ND|RD|TH)\b";
    magnitudes = r"^((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)(k|K|M|bn|B|T|mn|tn)\b";
    crossed = r"^\d+(?:\.\d+)?(?: ?[x×X] ?\d+(?:\.\d+)?)+\b";
    times = r"^(\d+(?:\.\d+)?)[x×]";
    ranges = r"^((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)( - | ?– ?| ?— ?|-)((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)";
    powers = r"^(\d+(?:\.\d+)?)(?:\^([-−]?\d+)|([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))";
    number_signs = r"^# ?((?:\d{1,3}(?:,\d{3})+|\d+))\b";
    points = r"^\.\d+\b";
    numbers = r"^(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)";
    compounds = r"^(?:[A-Za-z]+-?\d+(?:\.\d+)*|[A-Za-z]+(?:\d+[A-Za-z]+)+)(?:-?[A-Za-z0-9]+)*";
}
