//! Amounts of money.

use super::numbers::{cardinal, decimal, is_one};
use super::reading::{Place, Reading, reading};
use super::units::named_power;

/// How a currency is written, its name for one and for many, and those of its hundredth.
struct Currency {
    written: &'static [&'static str],
    one: &'static str,
    many: &'static str,
    part: &'static str,
    parts: &'static str,
}

const fn currency(written: &'static [&'static str], [one, many, part, parts]: [&'static str; 4]) -> Currency {
    Currency { written, one, many, part, parts }
}

/// What is longer comes before what it begins with.
const CURRENCIES: &[Currency] = &[
    currency(&["US$", "USD"], ["US dollar", "US dollars", "cent", "cents"]),
    currency(&["CA$", "C$", "CAD"], ["Canadian dollar", "Canadian dollars", "cent", "cents"]),
    currency(&["AU$", "A$", "AUD"], ["Australian dollar", "Australian dollars", "cent", "cents"]),
    currency(&["NZ$", "NZD"], ["New Zealand dollar", "New Zealand dollars", "cent", "cents"]),
    currency(&["HK$", "HKD"], ["Hong Kong dollar", "Hong Kong dollars", "cent", "cents"]),
    currency(&["R$", "BRL"], ["real", "reais", "centavo", "centavos"]),
    currency(&["$"], ["dollar", "dollars", "cent", "cents"]),
    currency(&["£", "GBP"], ["pound", "pounds", "penny", "pence"]),
    currency(&["€", "EUR"], ["euro", "euros", "cent", "cents"]),
    currency(&["¥", "JPY", "円"], ["yen", "yen", "sen", "sen"]),
    currency(&["CNY", "RMB"], ["yuan", "yuan", "fen", "fen"]),
    currency(&["₹", "Rs.", "INR"], ["rupee", "rupees", "paisa", "paise"]),
    currency(&["₩", "KRW"], ["won", "won", "jeon", "jeon"]),
    currency(&["₽", "RUB"], ["rouble", "roubles", "kopek", "kopeks"]),
    currency(&["₺", "TRY"], ["lira", "lira", "kurus", "kurus"]),
    currency(&["₪", "ILS"], ["shekel", "shekels", "agora", "agorot"]),
    currency(&["₫", "VND"], ["dong", "dong", "hao", "hao"]),
    currency(&["₴", "UAH"], ["hryvnia", "hryvnias", "kopiyka", "kopiykas"]),
    currency(&["₦", "NGN"], ["naira", "naira", "kobo", "kobo"]),
    currency(&["₱", "PHP"], ["peso", "pesos", "centavo", "centavos"]),
    currency(&["฿", "THB"], ["baht", "baht", "satang", "satang"]),
    currency(&["CHF"], ["Swiss franc", "Swiss francs", "centime", "centimes"]),
    currency(&["SEK"], ["Swedish krona", "Swedish kronor", "ore", "ore"]),
    currency(&["₿", "BTC"], ["bitcoin", "bitcoins", "satoshi", "satoshis"]),
];

/// The currency that a text begins with, and how many bytes it is written in.
fn at(text: &str) -> Option<(&'static Currency, usize)> {
    CURRENCIES.iter().find_map(|currency| {
        let written = currency.written.iter().find(|written| text.starts_with(**written))?;
        let behind = &text[written.len()..];
        let is_word = written.ends_with(|it: char| it.is_ascii_alphabetic())
            && behind.starts_with(|it: char| it.is_alphabetic());
        (!is_word).then_some((currency, written.len()))
    })
}

/// `$5`, `-$5.50`, `$1.2M`, `$5.3 billion`, `$5-10`, `5 €`, `20€`, `50¢`, `100 USD`.
pub(super) fn amount(place: &Place<'_>) -> Option<Reading> {
    let Reading { words, length } = sum(place)?;
    // What it is for: $5/month.
    let unit = place.rest()[length..].strip_prefix('/').unwrap_or("");
    let letters = unit.bytes().take_while(u8::is_ascii_alphabetic).count();
    match named_power(&unit[..letters]) {
        Some(unit) => reading(format!("{words} per {unit}"), length + 1 + letters),
        None => reading(words, length),
    }
}

fn sum(place: &Place<'_>) -> Option<Reading> {
    let rest = place.rest();
    let sign = rest.strip_prefix(['-', '−', '+']).map_or(0, |behind| rest.len() - behind.len());
    if sign > 0 && place.before().ends_with(|it: char| it.is_alphanumeric() || it == '-') {
        return None;
    }
    let word = match &rest[..sign] {
        "" => "",
        "+" => "plus ",
        _ => "minus ",
    };
    let unsigned = &rest[sign..];
    // As it is written on the continent.
    if let Some(found) = continental().captures(unsigned) {
        let cents = cardinal(&found[2], place.dialect());
        let unit = if is_one(&found[1]) { "euro" } else { "euros" };
        let words = format!("{word}{} {unit} and {cents} cents", cardinal(&found[1], place.dialect()));
        return reading(words, sign + found[0].len());
    }
    if let Some((currency, written)) = at(unsigned) {
        let space = unsigned[written..].len() - unsigned[written..].trim_start_matches(' ').len();
        let space = usize::from(space == 1);
        let number = number().captures(&unsigned[written + space..])?;
        let length = sign + written + space;
        return said(place, currency, word, &number, length);
    }
    let number = number().captures(unsigned)?;
    let behind = &unsigned[number[0].len()..];
    if let Some(cents) = behind.strip_prefix('¢') {
        let one = is_one(&number[1]) && number.get(2).is_none();
        let unit = if one { "cent" } else { "cents" };
        let words = format!("{word}{} {unit}", decimal(&number[1], place.dialect()));
        return reading(words, rest.len() - cents.len());
    }
    if let Some(pence) = behind.strip_prefix('p').filter(|_| place.british() && number.get(3).is_none())
        && !pence.starts_with(|it: char| it.is_alphanumeric())
        && !number[1].contains('.')
    {
        let unit = if is_one(&number[1]) { "penny" } else { "pence" };
        return reading(
            format!("{word}{} {unit}", cardinal(&number[1], place.dialect())),
            rest.len() - pence.len(),
        );
    }
    let space = behind.len() - behind.trim_start_matches(' ').len();
    let (currency, written) = at(&behind[space.min(1)..]).filter(|_| space <= 1)?;
    // "5 $3" is two amounts, if at all.
    let after = &behind[space + written..];
    if after.starts_with(|it: char| it.is_ascii_digit()) {
        return None;
    }
    let Reading { words, .. } = said(place, currency, word, &number, sign)?;
    reading(words, rest.len() - after.len())
}

/// `USD 500`, `EUR 1.2bn`, `US$5`.
pub(super) fn coded(place: &Place<'_>) -> Option<Reading> {
    place.rest().starts_with(|it: char| it.is_ascii_uppercase()).then(|| amount(place))?
}

/// The words of an amount whose number begins `before` bytes further on.
fn said(
    place: &Place<'_>,
    currency: &Currency,
    sign: &str,
    number: &regex::Captures<'_>,
    before: usize,
) -> Option<Reading> {
    let dialect = place.dialect();
    let length = before + number[0].len();
    let digits = &number[1];
    let power = number.get(3).or_else(|| number.get(4)).map(|it| magnitude(it.as_str()));
    if let Some(power) = power {
        let to = number.get(2).map_or(String::new(), |to| format!(" to {}", decimal(to.as_str(), dialect)));
        let unit = if place.counts_one(length) { currency.one } else { currency.many };
        return reading(format!("{sign}{}{to} {power} {unit}", decimal(digits, dialect)), length);
    }
    if let Some(to) = number.get(2) {
        let words = format!(
            "{sign}{} to {} {}",
            decimal(digits, dialect),
            decimal(to.as_str(), dialect),
            currency.many
        );
        return reading(words, length);
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let unit = if is_one(whole) || place.counts_one(length) { currency.one } else { currency.many };
    let words = match fraction {
        "" | "00" => format!("{sign}{} {unit}", cardinal(whole, dialect)),
        fraction if fraction.len() == 2 => {
            let part = fraction.trim_start_matches('0');
            let name = if part == "1" { currency.part } else { currency.parts };
            let parts = format!("{} {name}", cardinal(part, dialect));
            match whole {
                "" | "0" => format!("{sign}{parts}"),
                whole => format!("{sign}{} {unit} and {parts}", cardinal(whole, dialect)),
            }
        }
        _ => format!("{sign}{} {}", decimal(digits, dialect), currency.many),
    };
    reading(words, length)
}

/// The name of a power of ten, as it is written behind an amount.
pub(super) fn magnitude(written: &str) -> &'static str {
    match written.to_ascii_lowercase().as_str() {
        "k" | "thousand" => "thousand",
        "m" | "mn" | "mm" | "million" | "mil" => "million",
        "b" | "bn" | "billion" => "billion",
        _ => "trillion",
    }
}

patterns! {
    continental = r"^(\d{1,3}(?:\.\d{3})*),(\d{2}) ?€";
    number = r"(?x)^((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:\ ?[-–]\ ?[$£€¥]?((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?))?
        (?:([kKmMbBtT]|bn|mn|Bn|Mn|tn|mm)\b|\ (thousand|million|billion|trillion|mil|bn|Million|Billion|Trillion)\b)?";
}
