//! Addresses of the web, of mail and of files, and identifiers of programs.

use super::numbers::{cardinal, one_by_one};
use super::reading::{LETTER, Place, Reading, reading};

/// `https://example.com/a-b`, `www.example.com`, `me@example.com`, `example.com/page`.
pub(super) fn address(place: &Place<'_>) -> Option<Reading> {
    let rest = place.rest();
    if place.before().ends_with(|it: char| it.is_alphanumeric() || it == '@') {
        return None;
    }
    let found = [url(), mail(), domain()].into_iter().find_map(|pattern| pattern.find(rest))?;
    // Marks at its end belong to the sentence.
    let mut written = found.as_str().trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '"', '*', '_']);
    if written.matches('(').count() < written.matches(')').count() {
        written = written.trim_end_matches([')', '.']);
    }
    // Of the scheme nothing is said.
    let said = ["https://", "http://", "ftp://", "mailto:"]
        .iter()
        .fold(written, |said, scheme| said.strip_prefix(scheme).unwrap_or(said));
    let said = said.trim_end_matches('/');
    if said.is_empty() {
        return None;
    }
    reading(spelled(said, place), written.len())
}

/// `192.168.0.1`, with or without a port.
pub(super) fn network(place: &Place<'_>) -> Option<Reading> {
    let found = ip().find(place.rest())?;
    let (host, port) = found.as_str().split_once(':').unwrap_or((found.as_str(), ""));
    let mut words =
        host.split('.').map(|part| cardinal(part, place.dialect())).collect::<Vec<_>>().join(" dot ");
    if !port.is_empty() {
        words += &format!(" port {}", one_by_one(port, "zero"));
    }
    reading(words, found.end())
}

/// `README.md`, `Node.js`, `snake_case`, `std::fmt`, `foo()`.
pub(super) fn file(place: &Place<'_>) -> Option<Reading> {
    let rest = place.rest();
    if let Some(found) = identifier().find(rest) {
        return reading(spelled(found.as_str(), place), found.end());
    }
    let found = dotted().find(rest)?;
    let written = found.as_str();
    let (first, second) = written.split_once('.')?;
    // A sentence without a space before the next: "the end.Then".
    let next = second.split('.').next().unwrap_or("");
    let sentence = next.len() > 1
        && next.starts_with(|it: char| it.is_ascii_uppercase())
        && next[1..].bytes().all(|it| it.is_ascii_lowercase())
        && first.ends_with(|it: char| it.is_ascii_lowercase());
    if sentence {
        return reading(format!("{first}. "), first.len() + 1);
    }
    reading(spelled(written, place), found.end())
}

/// `/usr/local/bin`, `C:\Users`, `~/notes.txt`, `.NET`, `./run`.
pub(super) fn path(place: &Place<'_>) -> Option<Reading> {
    let rest = place.rest();
    if !place.before().chars().next_back().is_none_or(|it| it.is_whitespace() || "(\"“'‘=:".contains(it))
    {
        return None;
    }
    let found = paths().find(rest)?;
    let written = found.as_str().trim_end_matches(['.', ',', ';', ':', '!', '?']);
    reading(spelled(written, place), written.len())
}

/// `--verbose`, `-x`.
pub(super) fn option(place: &Place<'_>) -> Option<Reading> {
    let found = options().captures(place.rest())?;
    if !place.before().chars().next_back().is_none_or(|it| it.is_whitespace() || "(\"“[".contains(it)) {
        return None;
    }
    let name = &found[2];
    // One dash before a word is what a dialogue begins with, or a list.
    let is_option = &found[1] == "--" && !place.before().trim_end().ends_with([',', '.'])
        || name.len() == 1 && !matches!(name, "I" | "a" | "A");
    let dashes = if &found[1] == "--" { "dash dash" } else { "dash" };
    is_option.then(|| Reading { words: format!("{dashes} {}", spelled(name, place)), length: found[0].len() })
}

/// Letters as words, marks by their names.
pub(super) fn spelled(written: &str, place: &Place<'_>) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut rest = written;
    let is_address = written.contains(['.', '@', '/']);
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        if first.is_ascii_alphabetic() {
            length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            words.push(match &rest[..length] {
                "www" => ["W"; 3].map(|letter| format!("{LETTER}{letter}")).join(" "),
                letter if length == 1 => format!("{LETTER}{}", letter.to_ascii_uppercase()),
                word => word.to_owned(),
            });
        } else if first.is_ascii_digit() {
            length = rest.bytes().take_while(u8::is_ascii_digit).count();
            let digits = &rest[..length];
            let long = length > 4 || length > 1 && digits.starts_with('0');
            words.push(if long { one_by_one(digits, "zero") } else { cardinal(digits, place.dialect()) });
        } else if rest.starts_with("::") {
            length = 2;
        } else if rest.starts_with("://") {
            length = 3;
        } else {
            let name = match first {
                '.' => "dot",
                '/' => "slash",
                '\\' => "backslash",
                '@' => "at",
                '-' if is_address => "dash",
                ':' => "colon",
                '_' if is_address => "underscore",
                '?' => "question mark",
                '=' => "equals",
                '&' => "and",
                '#' => "hash",
                '%' => "percent",
                '+' => "plus",
                '~' => "tilde",
                '!' => "exclamation mark",
                _ => "",
            };
            if !name.is_empty() {
                words.push(name.to_owned());
            }
        }
        rest = &rest[length..];
    }
    words.join(" ")
}

patterns! {
    url = r"^(?:(?:https?|ftp)://|mailto:|www\.)[^\s<>\x22“”\[\]{}|^`]+";
    mail = r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+";
    domain = r"^(?:[A-Za-z0-9-]+\.)+(?:com|org|net|edu|gov|io|ai|dev|app|info|biz|co\.uk|org\.uk|uk|de|fr|eu|ca|au|jp|me|tv|ly|us)(?:\b)(?:/[^\s<>\x22“”\[\]{}|^`]*)?";
    ip = r"^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d{1,5})?\b";
    dotted = r"^[A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z0-9][A-Za-z0-9_-]*)+";
    identifier = r"^(?:[A-Za-z][A-Za-z0-9]*(?:::[A-Za-z0-9_]+|_+[A-Za-z0-9]+)+(?:\(\))?|[A-Za-z][A-Za-z0-9]*\(\)|[A-Za-z]:\\[A-Za-z0-9_\\.-]*)";
    paths = r"^(?:~|\.{1,2})?(?:/[A-Za-z0-9_.@-]+)+/?|^\.[A-Za-z][A-Za-z0-9]*\b";
    options = r"^(--?)([A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*)\b";
}
