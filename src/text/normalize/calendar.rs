//! Dates and times of day.

use super::numbers::{cardinal, one_by_one, ordinal, plural, year};
use super::reading::{Place, Reading, reading};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A day of a month: the month first in American, the day first in British English.
fn day(place: &Place<'_>, day: &str, month: usize, years: Option<&str>) -> Option<String> {
    let (number, month) = (day.parse::<usize>().ok()?, MONTHS.get(month.checked_sub(1)?)?);
    if !(1..=31).contains(&number) {
        return None;
    }
    let day = ordinal(day, place.dialect());
    let date = if place.british() { format!("the {day} of {month}") } else { format!("{month} {day}") };
    Some(match years {
        Some(years) => format!("{date}, {}", of_a_date(place, years)),
        None => date,
    })
}

/// The year of a date, of two or four digits.
fn of_a_date(place: &Place<'_>, digits: &str) -> String {
    match digits.strip_prefix('0') {
        Some(digit) if digits.len() == 2 => format!("oh {}", cardinal(digit, place.dialect())),
        _ if digits.len() == 2 => cardinal(digits, place.dialect()),
        _ => year(digits, place.dialect()),
    }
}

/// `2021-03-04`, with or without a time behind a `T`.
pub(super) fn iso_date(place: &Place<'_>) -> Option<Reading> {
    let found = iso().captures(place.rest())?;
    let mut words = day(place, &found[3], found[2].parse().ok()?, Some(&found[1]))?;
    if let Some(hours) = found.get(4) {
        words += ", ";
        words += &time(place, hours.as_str(), &found[5], found.get(6).map(|it| it.as_str()))?;
        if let Some(zone) = found.get(7) {
            words += if zone.as_str() == "Z" { " UTC" } else { "" };
        }
    }
    reading(words, found[0].len())
}

/// `3/4/2021`, `3/4/21`, `04.03.2021`, `3-4-2021`. A number above 12 is the day in either dialect; with full stops the day comes
/// first.
pub(super) fn date(place: &Place<'_>) -> Option<Reading> {
    let found = numeric().captures(place.rest())?;
    let (first, mark, second, rest) = (&found[1], &found[2], &found[3], &found[4]);
    let years = rest.strip_prefix(mark)?;
    let (one, two) = (first.parse::<usize>().ok()?, second.parse::<usize>().ok()?);
    let day_first = one > 12 || two <= 12 && (place.british() || mark == ".");
    let (the_day, month) = if day_first { (first, two) } else { (second, one) };
    reading(day(place, the_day, month, Some(years))?, found[0].len())
}

/// `21 June`, `21st of June 2021`, `4 Mar.`: in the order that is written.
pub(super) fn day_and_month(place: &Place<'_>) -> Option<Reading> {
    let found = day_month().captures(place.rest())?;
    let (number, month) = (&found[1], month(&found[2])?);
    if !(1..=31).contains(&number.parse::<usize>().ok()?) {
        return None;
    }
    let article = if place.word_before().eq_ignore_ascii_case("the") { "" } else { "the " };
    let mut words = format!("{article}{} of {month}", ordinal(number, place.dialect()));
    if let Some(years) = found.get(3) {
        words += &format!(", {}", year(years.as_str(), place.dialect()));
    }
    reading(words, found[0].len())
}

/// `June 21`, `Dec. 3rd, 2021`, `March 2021`.
pub(super) fn month_and_day(place: &Place<'_>) -> Option<Reading> {
    let found = month_day().captures(place.rest())?;
    let month = month(&found[1])?;
    // "May 2" is a date, and "may 2" is not.
    let Some(number) = found.get(2) else {
        let years = found.get(5)?;
        return reading(format!("{month} {}", year(years.as_str(), place.dialect())), found[0].len());
    };
    if !(1..=31).contains(&number.as_str().parse::<usize>().ok()?) {
        return None;
    }
    let mut words = if place.british() { format!("{month} the ") } else { format!("{month} ") };
    words += &ordinal(number.as_str(), place.dialect());
    if let Some(last) = found.get(3) {
        words += &format!(" to {}", ordinal(last.as_str(), place.dialect()));
    }
    if let Some(years) = found.get(4) {
        words += &format!(", {}", year(years.as_str(), place.dialect()));
    }
    reading(words, found[0].len())
}

/// The month of a name or of the beginning of one, with or without a full stop.
fn month(name: &str) -> Option<&'static str> {
    let name = name.trim_end_matches('.');
    let is_it = |month: &&&str| {
        **month == name || name.len() >= 3 && month.starts_with(name) && (name.len() == 3 || name == "Sept")
    };
    MONTHS.iter().find(is_it).copied()
}

/// `1990s`, `'90s`, `90s`, and a year without its century, `'99`.
pub(super) fn decade(place: &Place<'_>) -> Option<Reading> {
    let found = decades().captures(place.rest())?;
    let (digits, many) = (&found[1], found.get(2).is_some());
    let dialect = place.dialect();
    let words = match (digits.len(), many) {
        (4, true) => {
            let (century, rest) = digits.split_at(2);
            match rest {
                "00" if digits.ends_with("000") => plural(&cardinal(digits, dialect)),
                "00" => format!("{} hundreds", cardinal(century, dialect)),
                rest => format!("{} {}", cardinal(century, dialect), plural(&cardinal(rest, dialect))),
            }
        }
        // "20s" is as often twenty seconds.
        (2, true) if !place.rest().starts_with('\'') && !counts_years(place) => return None,
        (2, true) if digits != "00" => plural(&cardinal(digits, dialect)),
        (2, true) => "two thousands".to_owned(),
        (2, false) if place.rest().starts_with('\'') => of_a_date(place, digits),
        _ => return None,
    };
    reading(words, found[0].len())
}

/// Whether the word before says that years are meant: "in her 20s", "the early 80s".
fn counts_years(place: &Place<'_>) -> bool {
    let before = place.word_before().to_ascii_lowercase();
    ["the", "her", "his", "their", "my", "your", "our", "early", "mid", "late", "of"]
        .contains(&before.as_str())
}

/// `10:30`, `5:30pm`, `9 a.m.`, `12:00:05`, `10:00-11:30`.
pub(super) fn clock(place: &Place<'_>) -> Option<Reading> {
    if let Some(found) = hours().captures(place.rest()) {
        let (first, second) = (found.get(1).map(|it| it.as_str()), &found[2]);
        let number: usize = second.parse().ok()?;
        if !(1..=12).contains(&number) {
            return None;
        }
        let (half, mut length) = half(place, &found[3], found[0].len());
        let mut words = format!("{} {half}", cardinal(second, place.dialect()));
        if let Some(first) = first {
            words = format!("{} to {words}", cardinal(first, place.dialect()));
        }
        let (to, dash) = to_next(&place.rest()[length..]);
        length += dash;
        return reading(words + to, length);
    }
    let found = minutes().captures(place.rest())?;
    let mut words = time(place, &found[1], &found[2], found.get(3).map(|it| it.as_str()))?;
    let mut length = found[0].len();
    if let Some(half_of_day) = found.get(4) {
        let (half, whole) = half(place, half_of_day.as_str(), length);
        // "o'clock" is not said with it.
        words = format!("{} {half}", words.trim_end_matches(" o'clock"));
        length = whole;
    } else if let Some(until) = until().captures(&place.rest()[length..]) {
        words =
            format!("{} to {}", words.trim_end_matches(" o'clock"), time(place, &until[1], &until[2], None)?);
        length += until[0].len();
    }
    let behind = &place.rest()[length..];
    if behind.starts_with(|it: char| it.is_alphanumeric() || it == ':') {
        return None;
    }
    let (to, dash) = to_next(behind);
    reading(words + to, length + dash)
}

/// What is said of a dash before another time, and its length.
fn to_next(behind: &str) -> (&'static str, usize) {
    next_time().captures(behind).map_or(("", 0), |found| (" to ", found[1].len()))
}

/// `AM` or `PM`, and how much of the text was taken: not the full stop that ends a sentence too.
fn half(place: &Place<'_>, written: &str, length: usize) -> (&'static str, usize) {
    let half = if written.starts_with(['a', 'A']) { "AM" } else { "PM" };
    let ends = written.ends_with('.') && super::abbreviations::ends_sentence(&place.rest()[length..]);
    (half, length - usize::from(ends))
}

fn time(place: &Place<'_>, hours: &str, minutes: &str, seconds: Option<&str>) -> Option<String> {
    let (hour, minute) = (hours.parse::<usize>().ok()?, minutes.parse::<usize>().ok()?);
    if hour > 24 || minute > 59 {
        return None;
    }
    let dialect = place.dialect();
    let mut words = match hour {
        0 => "zero".to_owned(),
        _ => cardinal(hours, dialect),
    };
    words += &match minute {
        0 if hour > 12 || hour == 0 => " hundred".to_owned(),
        0 => " o'clock".to_owned(),
        1..10 => format!(" oh {}", cardinal(&minute.to_string(), dialect)),
        _ => format!(" {}", cardinal(minutes, dialect)),
    };
    if let Some(seconds) = seconds.filter(|seconds| *seconds != "00") {
        let number: usize = seconds.split('.').next()?.parse().ok()?;
        let unit = if number == 1 { "second" } else { "seconds" };
        words += &format!(" and {} {unit}", cardinal(&number.to_string(), dialect));
        if let Some((_, fraction)) = seconds.split_once('.') {
            words = words
                .replace(&format!(" {unit}"), &format!(" point {} seconds", one_by_one(fraction, "zero")));
        }
    }
    Some(words)
}

patterns! {
    iso = r"^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?(Z|[+-]\d{2}:?\d{2})?)?\b";
    numeric = r"^(\d{1,2})([/.-])(\d{1,2})([/.-](?:\d{4}|\d{2}))\b";
    day_month = r"(?x)^(\d{1,2})(?:st|nd|rd|th)?\ (?:of\ )?
        ((?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?|January|February|March|April|May|June|July|August|September
        |October|November|December)(?:,?\ (\d{4})\b)?";
    month_day = r"(?x)^((?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?|January|February|March|April|May|June|July|August
        |September|October|November|December)\ (?:(\d{1,2})(?:st|nd|rd|th)?(?:\ ?[-–]\ ?(\d{1,2}))?(?:,?\ (\d{4}))?\b
        |(\d{4})\b)";
    decades = r"^'?(\d{3}0|\d0|\d{2})('?s)?\b";
    hours = r"(?i)^(?:(\d{1,2}) ?[-–] ?)?(\d{1,2}) ?([ap]\.m\.|[ap]m\b)";
    minutes = r"(?i)^(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?(?: ?([ap]\.m\.|[ap]m\b))?";
    next_time = r"(?i)^( ?[-–] ?)\d{1,2}(?::\d{2})? ?[ap]\.?m";
    until = r"^ ?[-–] ?(\d{1,2}):(\d{2})\b";
}
