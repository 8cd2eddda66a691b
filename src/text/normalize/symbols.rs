//! Symbols among words.

use super::reading::{LETTER, Place, Reading, reading};

/// What is said of symbols wherever they stand.
const NAMED: &[(&str, &str)] = &[
    ("->", "to"),
    ("=>", "to"),
    ("<=", "is less than or equal to"),
    (">=", "is greater than or equal to"),
    ("!=", "is not equal to"),
    ("==", "equals"),
    ("&&", "and"),
    ("||", "or"),
    ("&", "and"),
    ("=", "equals"),
    ("×", "times"),
    ("÷", "divided by"),
    ("→", "to"),
    ("⇒", "implies"),
    ("↔", "to and from"),
    ("≤", "is less than or equal to"),
    ("≥", "is greater than or equal to"),
    ("≠", "is not equal to"),
    ("≈", "is approximately"),
    ("≡", "is identical to"),
    ("±", "plus or minus"),
    ("∓", "minus or plus"),
    ("√", "the square root of"),
    ("∞", "infinity"),
    ("∑", "the sum of"),
    ("∂", "partial"),
    ("∈", "is in"),
    ("∉", "is not in"),
    ("∪", "union"),
    ("∩", "intersection"),
    ("⊂", "is a subset of"),
    ("∀", "for all"),
    ("∃", "there exists"),
    ("¬", "not"),
    ("∧", "and"),
    ("∨", "or"),
    ("−", "minus"),
    ("©", "copyright"),
    ("®", "registered"),
    ("™", "trademark"),
    ("℠", "service mark"),
    ("§§", "sections"),
    ("§", "section"),
    ("¶", "paragraph"),
    ("°", "degrees"),
    ("%", "percent"),
    ("‰", "per mille"),
    ("@", "at"),
    ("^", "caret"),
    ("\\", "backslash"),
    ("|", ","),
    ("#", "hash"),
    ("$", "dollar"),
    ("£", "pound"),
    ("€", "euro"),
    ("¥", "yen"),
    ("₹", "rupee"),
    ("¢", "cent"),
    ("⁄", "over"),
    ("/", "slash"),
    ("·", ","),
    ("•", ","),
    ("‣", ","),
    ("●", ","),
    ("■", ","),
    ("♯", "sharp"),
    ("♭", "flat"),
    ("♥", "heart"),
    ("❤", "heart"),
    ("✓", "check"),
    ("✔", "check"),
    ("♀", "female"),
    ("♂", "male"),
    ("α", "alpha"),
    ("β", "beta"),
    ("γ", "gamma"),
    ("δ", "delta"),
    ("ε", "epsilon"),
    ("ζ", "zeta"),
    ("η", "eta"),
    ("θ", "theta"),
    ("ι", "iota"),
    ("κ", "kappa"),
    ("λ", "lambda"),
    ("μ", "mu"),
    ("ν", "nu"),
    ("ξ", "xi"),
    ("π", "pi"),
    ("ρ", "rho"),
    ("σ", "sigma"),
    ("τ", "tau"),
    ("φ", "phi"),
    ("ϕ", "phi"),
    ("χ", "chi"),
    ("ψ", "psi"),
    ("ω", "omega"),
    ("Γ", "gamma"),
    ("Δ", "delta"),
    ("Θ", "theta"),
    ("Λ", "lambda"),
    ("Ξ", "xi"),
    ("Π", "pi"),
    ("Σ", "sigma"),
    ("Φ", "phi"),
    ("Ψ", "psi"),
    ("Ω", "omega"),
    ("∆", "delta"),
    ("Ω", "ohm"),
];

/// Letters with a symbol that belongs to them: `C#`, `C++`, `AT&T`, `R&D`, `w/o`, `x²`.
pub(super) fn lettered(place: &Place<'_>) -> Option<Reading> {
    const WHOLE: [(&str, &str); 10] = [
        ("C++", "\u{e001}C plus plus"),
        ("C#", "\u{e001}C sharp"),
        ("F#", "\u{e001}F sharp"),
        ("G#", "\u{e001}G sharp"),
        ("D#", "\u{e001}D sharp"),
        ("w/o", "without"),
        ("w/", "with "),
        ("b/c", "because"),
        ("c/o", "care of"),
        ("s/he", "she or he"),
    ];
    let rest = place.rest();
    for (written, words) in WHOLE {
        if let Some(behind) = rest.strip_prefix(written) {
            let word = written.ends_with(|it: char| it.is_alphanumeric());
            if !(word && behind.starts_with(|it: char| it.is_alphanumeric())) {
                return reading(words, written.len());
            }
        }
    }
    if let Some(found) = ampersand().find(rest) {
        let parts = found.as_str().split('&').map(|part| {
            let letters = |part: &str| {
                part.chars().map(|letter| format!("{LETTER}{letter}")).collect::<Vec<_>>().join(" ")
            };
            if part.len() <= 2 { letters(part) } else { part.to_owned() }
        });
        return reading(parts.collect::<Vec<_>>().join(" and "), found.end());
    }
    let found = raised().captures(rest)?;
    let name = if found[1].len() == 1 {
        format!("{LETTER}{}", found[1].to_ascii_uppercase())
    } else {
        found[1].to_owned()
    };
    let exponent = found.get(2).or_else(|| found.get(3))?;
    reading(format!("{name} {}", super::figures::raised(exponent.as_str(), place)), found[0].len())
}

/// `and/or`, `he/she`, `n/a`, `km/h` without a number.
pub(super) fn slashed(place: &Place<'_>) -> Option<Reading> {
    const WHOLE: [(&str, &str); 12] = [
        ("and/or", "and or"),
        ("he/she", "he or she"),
        ("she/he", "she or he"),
        ("his/her", "his or her"),
        ("him/her", "him or her"),
        ("n/a", "not applicable"),
        ("N/A", "not applicable"),
        ("km/h", "kilometers per hour"),
        ("yes/no", "yes or no"),
        ("either/or", "either or"),
        ("I/O", "\u{e001}I \u{e001}O"),
        ("TCP/IP", "TCP IP"),
    ];
    let rest = place.rest();
    let (written, words) = WHOLE.iter().find(|(written, _)| rest.starts_with(written))?;
    let behind = &rest[written.len()..];
    (!behind.starts_with(|it: char| it.is_alphanumeric() || it == '/'))
        .then(|| Reading { words: (*words).to_owned(), length: written.len() })
}

/// `#topic`, `@name`.
pub(super) fn tagged(place: &Place<'_>) -> Option<Reading> {
    let found = tags().captures(place.rest())?;
    if place.before().ends_with(|it: char| it.is_alphanumeric()) {
        return None;
    }
    let word = super::addresses::spelled(&found[2], place);
    reading(format!("{} {word}", if &found[1] == "#" { "hashtag" } else { "at" }), found[0].len())
}

/// Any symbol that has a name, with spaces around it.
pub(super) fn symbol(place: &Place<'_>) -> Option<Reading> {
    let rest = place.rest();
    let first = rest.chars().next()?;
    let next = rest[first.len_utf8()..].chars().next();
    let before = place.before().chars().next_back();
    let is_digit = |it: Option<char>| it.is_some_and(|it| it.is_ascii_digit());
    let is_word = |it: Option<char>| it.is_some_and(char::is_alphanumeric);
    let left = place.before().trim_end_matches(' ').chars().next_back();
    let right = rest[first.len_utf8()..].trim_start_matches(' ').chars().next();
    match first {
        '-' if rest.starts_with("->") => {}
        '-' | '–' | '—' | '.' | '…' | '\'' | '"' | '“' | '”' | '‘' | '’' | '(' | ':' | '¿' | '¡' =>
        {
            if rest.starts_with("--") {
                let dashes = rest.bytes().take_while(|it| *it == b'-').count();
                return reading("—", dashes);
            }
            if first == '.' && rest.starts_with("...") {
                return reading("…", rest.bytes().take_while(|it| *it == b'.').count());
            }
            return None;
        }
        '[' | '{' | '⟨' | '【' => return reading("(", first.len_utf8()),
        ']' | '}' | '⟩' | '】' => return reading(")", first.len_utf8()),
        '*' => {
            let math = (is_digit(left) || is_word(left))
                && (is_digit(right) || is_word(right))
                && (before == Some(' ')) == (next == Some(' '));
            return if math {
                reading(" times ", 1)
            } else {
                reading("", rest.bytes().take_while(|it| *it == b'*').count())
            };
        }
        '_' => {
            let marks = rest.bytes().take_while(|it| *it == b'_').count();
            return reading(if marks > 1 { " blank " } else { " " }, marks);
        }
        '`' => return reading("", 1),
        '+' => {
            let words = if next == Some('+') { " plus plus " } else { " plus " };
            return reading(words, if next == Some('+') { 2 } else { 1 });
        }
        '<' | '>' if !rest.starts_with("<=") && !rest.starts_with(">=") => {
            let words = match (first, is_word(left) && is_word(right), is_digit(right)) {
                ('<', true, _) => " is less than ",
                ('>', true, _) => " is greater than ",
                ('<', _, true) => " less than ",
                ('>', _, true) => " more than ",
                ('<', ..) => " less than sign ",
                _ => " greater than sign ",
            };
            return reading(words, 1);
        }
        '~' => return reading(if next == Some(' ') || is_word(next) { " tilde " } else { "" }, 1),
        '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' => {
            let length = rest.chars().take_while(|it| "⁰¹²³⁴⁵⁶⁷⁸⁹".contains(*it)).map(char::len_utf8).sum();
            return reading(format!(" {} ", super::figures::raised(&rest[..length], place)), length);
        }
        _ => {}
    }
    let (written, words) = NAMED.iter().find(|(written, _)| rest.starts_with(written))?;
    let behind = &rest[written.len()..];
    if !first.is_ascii() && first.is_alphabetic() {
        // One letter has a name; of a word in Greek nothing is known.
        let alone = |it: Option<char>| it.is_none_or(|it| it.is_ascii() || !it.is_alphabetic());
        if !alone(behind.chars().next()) || !alone(before) {
            return None;
        }
    }
    if *words == "," {
        return reading(if place.before().trim_end().is_empty() { "" } else { ", " }, written.len());
    }
    if place.british() && *words == "percent" {
        return reading(" per cent ", written.len());
    }
    reading(format!(" {words} "), written.len())
}

patterns! {
    ampersand = r"^[A-Z]{1,3}(?:&[A-Z]{1,3})+\b";
    raised = r"^([A-Za-z]|cm|km|mm|mc|ft|yd|mi)(?:([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)|\^([-−]?\d+))";
    tags = r"^([#@])([A-Za-z][A-Za-z0-9_]*)";
}
