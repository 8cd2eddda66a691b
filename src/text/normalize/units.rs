//! Numbers with units of measurement.

use super::numbers::{decimal, is_one};
use super::reading::{Place, Reading, reading};

/// How a unit is written, its name for one and for many; a name of many that is empty is that of one with an s.
const UNITS: &[(&str, &str, &str)] = &[
    ("km", "kilometer", ""),
    ("m", "meter", ""),
    ("cm", "centimeter", ""),
    ("mm", "millimeter", ""),
    ("μm", "micrometer", ""),
    ("um", "micrometer", ""),
    ("nm", "nanometer", ""),
    ("mi", "mile", ""),
    ("yd", "yard", ""),
    ("yds", "yard", ""),
    ("ft", "foot", "feet"),
    ("in", "inch", "inches"),
    ("ha", "hectare", ""),
    ("ac", "acre", ""),
    ("kg", "kilogram", ""),
    ("g", "gram", ""),
    ("mg", "milligram", ""),
    ("μg", "microgram", ""),
    ("mcg", "microgram", ""),
    ("lb", "pound", ""),
    ("lbs", "pound", ""),
    ("oz", "ounce", ""),
    ("st", "stone", "stone"),
    ("l", "liter", ""),
    ("L", "liter", ""),
    ("ml", "milliliter", ""),
    ("mL", "milliliter", ""),
    ("cl", "centiliter", ""),
    ("dl", "deciliter", ""),
    ("gal", "gallon", ""),
    ("pt", "pint", ""),
    ("qt", "quart", ""),
    ("tsp", "teaspoon", ""),
    ("tbsp", "tablespoon", ""),
    ("cc", "cubic centimeter", ""),
    ("s", "second", ""),
    ("sec", "second", ""),
    ("secs", "second", ""),
    ("ms", "millisecond", ""),
    ("μs", "microsecond", ""),
    ("ns", "nanosecond", ""),
    ("min", "minute", ""),
    ("mins", "minute", ""),
    ("h", "hour", ""),
    ("hr", "hour", ""),
    ("hrs", "hour", ""),
    ("wk", "week", ""),
    ("wks", "week", ""),
    ("mo", "month", ""),
    ("yr", "year", ""),
    ("yrs", "year", ""),
    ("Hz", "hertz", "hertz"),
    ("kHz", "kilohertz", "kilohertz"),
    ("MHz", "megahertz", "megahertz"),
    ("GHz", "gigahertz", "gigahertz"),
    ("W", "watt", ""),
    ("kW", "kilowatt", ""),
    ("MW", "megawatt", ""),
    ("GW", "gigawatt", ""),
    ("kWh", "kilowatt hour", ""),
    ("MWh", "megawatt hour", ""),
    ("Wh", "watt hour", ""),
    ("V", "volt", ""),
    ("kV", "kilovolt", ""),
    ("mV", "millivolt", ""),
    ("A", "amp", ""),
    ("mA", "milliamp", ""),
    ("mAh", "milliamp hour", ""),
    ("Ah", "amp hour", ""),
    ("Ω", "ohm", ""),
    ("kΩ", "kiloohm", ""),
    ("F", "farad", ""),
    ("μF", "microfarad", ""),
    ("J", "joule", ""),
    ("kJ", "kilojoule", ""),
    ("cal", "calorie", ""),
    ("kcal", "kilocalorie", ""),
    ("N", "newton", ""),
    ("Pa", "pascal", ""),
    ("kPa", "kilopascal", ""),
    ("hPa", "hectopascal", ""),
    ("psi", "PSI", "PSI"),
    ("bar", "bar", ""),
    ("hp", "horsepower", "horsepower"),
    ("bit", "bit", ""),
    ("B", "byte", ""),
    ("kB", "kilobyte", ""),
    ("KB", "kilobyte", ""),
    ("MB", "megabyte", ""),
    ("GB", "gigabyte", ""),
    ("TB", "terabyte", ""),
    ("PB", "petabyte", ""),
    ("KiB", "kibibyte", ""),
    ("MiB", "mebibyte", ""),
    ("GiB", "gibibyte", ""),
    ("TiB", "tebibyte", ""),
    ("kb", "kilobit", ""),
    ("Mb", "megabit", ""),
    ("Gb", "gigabit", ""),
    ("kbps", "kilobit per second", "kilobits per second"),
    ("Mbps", "megabit per second", "megabits per second"),
    ("Gbps", "gigabit per second", "gigabits per second"),
    ("mph", "mile per hour", "miles per hour"),
    ("kph", "kilometer per hour", "kilometers per hour"),
    ("kmh", "kilometer per hour", "kilometers per hour"),
    ("mpg", "mile per gallon", "miles per gallon"),
    ("rpm", "revolution per minute", "revolutions per minute"),
    ("fps", "frame per second", "frames per second"),
    ("bpm", "beat per minute", "beats per minute"),
    ("dpi", "dot per inch", "dots per inch"),
    ("ppm", "part per million", "parts per million"),
    ("dB", "decibel", ""),
    ("lm", "lumen", ""),
    ("mol", "mole", ""),
    ("px", "pixel", ""),
    ("MP", "megapixel", ""),
    ("°C", "degree Celsius", "degrees Celsius"),
    ("°F", "degree Fahrenheit", "degrees Fahrenheit"),
    ("°K", "kelvin", ""),
    ("°", "degree", ""),
    ("K", "kelvin", ""),
    ("sq", "square", "square"),
];

/// Units of one letter, which many things other than units are marked by: only behind a number without a space, or in a unit
/// such as `m/s`.
const CLOSE: [&str; 14] = ["m", "g", "l", "L", "s", "h", "W", "V", "A", "F", "J", "N", "B", "K"];

/// Words, too: behind a space they are only read so where no sentence can be meant.
const WORDS: [&str; 8] = ["in", "st", "pt", "ac", "bar", "cal", "min", "mo"];

/// `5kg`, `5 km/h`, `20°C`, `-5 °F`, `3.5-inch` stays, `10-20 km`, `5 m²`, `6 ft`.
pub(super) fn quantity(place: &Place<'_>) -> Option<Reading> {
    let found = measured().captures(place.rest())?;
    let (from, to, space, name) = (&found[1], found.get(2), &found[3], &found[4]);
    let (number, plural_to) = (from, to.is_some());
    let behind = &place.rest()[found[0].len()..];
    if behind.starts_with(|it: char| it.is_alphanumeric() || it == '_') {
        return None;
    }
    let (one, many) = named(name)?;
    let (power, per) = (found.get(5).map(|it| it.as_str()), found.get(6).map(|it| it.as_str()));
    let alone = power.is_none() && per.is_none();
    if !space.is_empty() && alone && CLOSE.contains(&name) {
        // "5 m" is five meters, and "plan 5 A" is none.
        if !matches!(name, "m" | "g" | "s" | "h" | "l" | "L" | "W" | "V") || behind.starts_with('\'') {
            return None;
        }
    }
    if alone && WORDS.contains(&name) && !space.is_empty() && !ends_phrase(behind, name) {
        return None;
    }
    // "100m" of people and money is a million, but nobody can tell; "5K" is a run, "10K" a number of things.
    if name == "K"
        || name == "B" && number.contains('.')
        || name == "A" && space.is_empty() && number.len() < 2
    {
        return None;
    }
    // Ordinals: the 1st.
    if name == "st" && number.ends_with('1') && space.is_empty() {
        return None;
    }
    let mut unit = if is_one(number) && !plural_to { one.clone() } else { many };
    if place.counts_one(found[0].len()) || space == "-" && !name.starts_with('°') {
        unit = one;
    }
    let power = match power {
        Some("²" | "2" | "^2") => "square ",
        Some(_) => "cubic ",
        None => "",
    };
    let per = match per {
        Some(per) => format!(" per {}", named_power(per)?),
        None => String::new(),
    };
    let to = to.map_or(String::new(), |to| format!(" to {}", decimal(to.as_str(), place.dialect())));
    let mut unit = format!("{power}{unit}{per}");
    if place.british() {
        unit = unit.replace("meter", "metre").replace("liter", "litre");
    }
    let words = format!("{}{to} {unit}", decimal(number, place.dialect()));
    // An abbreviation with a full stop that ends no sentence.
    let stop = behind.starts_with('.')
        && matches!(
            name,
            "lb" | "lbs"
                | "oz"
                | "ft"
                | "in"
                | "hr"
                | "hrs"
                | "min"
                | "sec"
                | "yd"
                | "yds"
                | "yr"
                | "yrs"
                | "mi"
                | "gal"
                | "pt"
                | "mo"
                | "wk"
                | "wks"
                | "mins"
                | "secs"
                | "tsp"
                | "tbsp"
        )
        && !super::abbreviations::ends_sentence(&behind[1..]);
    reading(words, found[0].len() + usize::from(stop))
}

/// Whether nothing follows that the word would belong to: "5 in." and "5 in the morning".
fn ends_phrase(behind: &str, name: &str) -> bool {
    match name {
        "min" | "mo" | "cal" | "bar" | "st" | "ac" | "pt" => true,
        _ => {
            behind.is_empty()
                || behind.starts_with(['.', ',', ';', ')', '×'])
                || behind.starts_with(" x ")
                || behind.starts_with(" by ")
        }
    }
}

fn named(written: &str) -> Option<(String, String)> {
    let (_, one, many) = UNITS.iter().find(|(unit, ..)| *unit == written)?;
    Some(((*one).to_owned(), if many.is_empty() { format!("{one}s") } else { (*many).to_owned() }))
}

pub(super) fn named_power(written: &str) -> Option<String> {
    let unit = written.trim_end_matches(['²', '³', '2', '3']);
    let power = match written[unit.len()..].chars().next() {
        Some('²' | '2') if unit != "s" && unit != "h" => "square ",
        Some('³' | '3') => "cubic ",
        _ => "",
    };
    let squared = if power.is_empty() && unit.len() < written.len() { " squared" } else { "" };
    let name = named(unit).map(|(one, _)| one).or_else(|| {
        let words =
            ["day", "week", "month", "year", "hour", "minute", "second", "person", "mile", "night", "head"];
        words.contains(&unit).then(|| unit.to_owned())
    })?;
    Some(format!("{power}{name}{squared}"))
}

patterns! {
    measured = r"(?x)^((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:\ ?[-–]\ ?((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?))?(\ |-|)
        (°[CFK]?|[a-zA-ZμΩ]{1,4})(²|³|\^?[23])?(?:/([a-zA-Z]{1,6}[²³23]?))?";
}
