//! Numbers in words.

use super::Dialect;

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
/// The names of the powers of a thousand.
const POWERS: [&str; 12] = [
    "",
    "thousand",
    "million",
    "billion",
    "trillion",
    "quadrillion",
    "quintillion",
    "sextillion",
    "septillion",
    "octillion",
    "nonillion",
    "decillion",
];

/// The words of a number below a thousand. Of `105` a Briton says "one hundred and five".
fn below_thousand(number: usize, dialect: Dialect) -> String {
    let tens = |number: usize| match number {
        0..20 => SMALL[number].to_owned(),
        _ if number.is_multiple_of(10) => TENS[number / 10].to_owned(),
        _ => format!("{} {}", TENS[number / 10], SMALL[number % 10]),
    };
    match (number / 100, number % 100) {
        (0, rest) => tens(rest),
        (hundreds, 0) => format!("{} hundred", SMALL[hundreds]),
        (hundreds, rest) if dialect == Dialect::British => {
            format!("{} hundred and {}", SMALL[hundreds], tens(rest))
        }
        (hundreds, rest) => format!("{} hundred {}", SMALL[hundreds], tens(rest)),
    }
}

/// A whole number, of digits and of commas that group them; one too long to have a name, digit by digit.
pub(super) fn cardinal(number: &str, dialect: Dialect) -> String {
    let digits: Vec<usize> = number.bytes().filter_map(digit).collect();
    let first = digits.iter().position(|&digit| digit != 0).unwrap_or(digits.len().saturating_sub(1));
    let significant = &digits[first..];
    if significant.len() > 3 * POWERS.len() {
        return one_by_one(number, "zero");
    }
    if significant.iter().all(|&digit| digit == 0) {
        return SMALL[0].to_owned();
    }
    let mut words = Vec::new();
    let groups = significant.rchunks(3).enumerate().collect::<Vec<_>>();
    for &(power, group) in groups.iter().rev() {
        let value = group.iter().fold(0, |value, digit| 10 * value + digit);
        if value == 0 {
            continue;
        }
        if power == 0 && value < 100 && !words.is_empty() && dialect == Dialect::British {
            words.push("and".to_owned());
        }
        words.push(below_thousand(value, dialect));
        if power > 0 {
            words.push(POWERS[power].to_owned());
        }
    }
    words.join(" ")
}

/// A number with or without decimals, such as `1,234.50`.
pub(super) fn decimal(number: &str, dialect: Dialect) -> String {
    let Some((whole, fraction)) = number.split_once('.') else { return cardinal(number, dialect) };
    let nought = if dialect == Dialect::British { "nought" } else { "zero" };
    let whole = match whole {
        "" => String::new(),
        "0" => nought.to_owned() + " ",
        whole => cardinal(whole, dialect) + " ",
    };
    format!(
        "{whole}point {}",
        one_by_one(fraction, if dialect == Dialect::British { "nought" } else { "zero" })
    )
}

/// The place of a whole number in a row.
pub(super) fn ordinal(number: &str, dialect: Dialect) -> String {
    let mut words = cardinal(number, dialect);
    let last = words.rfind(' ').map_or(0, |space| space + 1);
    let ordinal = match &words[last..] {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        ten if ten.ends_with('y') => format!("{}ieth", &ten[..ten.len() - 1]),
        other => format!("{other}th"),
    };
    words.replace_range(last.., &ordinal);
    words
}

/// A year, of three or four digits.
pub(super) fn year(number: &str, dialect: Dialect) -> String {
    let Ok(value) = number.parse::<usize>() else { return cardinal(number, dialect) };
    if !(1000..10_000).contains(&value) || (2000..2010).contains(&value) || value.is_multiple_of(1000) {
        return cardinal(number, dialect);
    }
    let century = below_thousand(value / 100, dialect);
    match value % 100 {
        0 => format!("{century} hundred"),
        rest @ 1..10 => format!("{century} oh {}", SMALL[rest]),
        rest => format!("{century} {}", below_thousand(rest, dialect)),
    }
}

/// Many of a number: "nineties", "twenty tens".
pub(super) fn plural(words: &str) -> String {
    match words.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if words.ends_with('x') => format!("{words}es"),
        None => format!("{words}s"),
    }
}

/// Each digit by its name; what is no digit is a pause, as in a telephone number.
pub(super) fn one_by_one(digits: &str, zero: &str) -> String {
    let mut words = String::new();
    for byte in digits.bytes() {
        match digit(byte) {
            Some(value) => {
                if !words.is_empty() {
                    words.push(' ');
                }
                words.push_str(if value == 0 { zero } else { SMALL[value] });
            }
            None if !words.is_empty() && !words.ends_with(',') => words.push(','),
            None => {}
        }
    }
    words.truncate(words.trim_end_matches(',').len());
    words
}

/// Whether it says one, so that what is counted is in the singular.
pub(super) fn is_one(number: &str) -> bool {
    number == "1"
}

fn digit(byte: u8) -> Option<usize> {
    byte.is_ascii_digit().then(|| usize::from(byte - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dialect::{American, British};

    #[test]
    fn numbers_are_read_as_each_dialect_does() {
        for (number, american, british) in [
            ("0", "zero", "zero"),
            ("19", "nineteen", "nineteen"),
            ("40", "forty", "forty"),
            ("105", "one hundred five", "one hundred and five"),
            ("1,001", "one thousand one", "one thousand and one"),
            ("2,340", "two thousand three hundred forty", "two thousand three hundred and forty"),
            ("1,000,000", "one million", "one million"),
            ("0012", "twelve", "twelve"),
        ] {
            assert_eq!(cardinal(number, American), american);
            assert_eq!(cardinal(number, British), british);
        }
        assert_eq!(cardinal(&"9".repeat(37), American), ["nine"; 37].join(" "));
        assert!(cardinal(&"9".repeat(36), American).starts_with("nine hundred ninety nine decillion"));
    }

    #[test]
    fn ordinals_and_years() {
        for (number, expected) in [
            ("1", "first"),
            ("2", "second"),
            ("12", "twelfth"),
            ("20", "twentieth"),
            ("21", "twenty first"),
            ("100", "one hundredth"),
            ("113", "one hundred thirteenth"),
        ] {
            assert_eq!(ordinal(number, American), expected);
        }
        for (number, american, british) in [
            ("1984", "nineteen eighty four", "nineteen eighty four"),
            ("1900", "nineteen hundred", "nineteen hundred"),
            ("1905", "nineteen oh five", "nineteen oh five"),
            ("2000", "two thousand", "two thousand"),
            ("2005", "two thousand five", "two thousand and five"),
            ("2021", "twenty twenty one", "twenty twenty one"),
        ] {
            assert_eq!(year(number, American), american);
            assert_eq!(year(number, British), british);
        }
    }

    #[test]
    fn decimals_and_digits() {
        assert_eq!(decimal("3.14", American), "three point one four");
        assert_eq!(decimal("0.05", American), "zero point zero five");
        assert_eq!(decimal("0.5", British), "nought point five");
        assert_eq!(decimal(".5", American), "point five");
        assert_eq!(one_by_one("555-0199", "oh"), "five five five, oh one nine nine");
        assert_eq!(plural("ninety"), "nineties");
        assert_eq!(plural("twenty ten"), "twenty tens");
    }
}
