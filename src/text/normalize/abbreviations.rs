//! Abbreviations, by their place where they stand for several words.

use super::reading::{LETTER, Place, Reading, reading};

/// Before a name; a full stop behind them ends no sentence.
const TITLES: &[(&str, &str)] = &[
    ("Mr", "Mister"),
    ("Mrs", "Missus"),
    ("Ms", "Miz"),
    ("Messrs", "Messieurs"),
    ("Prof", "Professor"),
    ("Rev", "Reverend"),
    ("Gen", "General"),
    ("Col", "Colonel"),
    ("Capt", "Captain"),
    ("Cpt", "Captain"),
    ("Lt", "Lieutenant"),
    ("Sgt", "Sergeant"),
    ("Cpl", "Corporal"),
    ("Pvt", "Private"),
    ("Maj", "Major"),
    ("Cmdr", "Commander"),
    ("Adm", "Admiral"),
    ("Hon", "Honorable"),
    ("Gov", "Governor"),
    ("Sen", "Senator"),
    ("Rep", "Representative"),
    ("Pres", "President"),
    ("Supt", "Superintendent"),
    ("Fr", "Father"),
    ("Mt", "Mount"),
    ("Ft", "Fort"),
    ("Insp", "Inspector"),
    ("Det", "Detective"),
    ("Amb", "Ambassador"),
];

/// With a full stop, anywhere.
const SHORT: &[(&str, &str)] = &[
    ("Jr", "Junior"),
    ("Sr", "Senior"),
    ("Esq", "Esquire"),
    ("Inc", "Incorporated"),
    ("Ltd", "Limited"),
    ("Corp", "Corporation"),
    ("Co", "Company"),
    ("Bros", "Brothers"),
    ("Dept", "Department"),
    ("dept", "department"),
    ("Univ", "University"),
    ("Assn", "Association"),
    ("Intl", "International"),
    ("Govt", "Government"),
    ("govt", "government"),
    ("Ave", "Avenue"),
    ("Blvd", "Boulevard"),
    ("Rd", "Road"),
    ("Ln", "Lane"),
    ("Hwy", "Highway"),
    ("Sq", "Square"),
    ("Apt", "Apartment"),
    ("Jan", "January"),
    ("Feb", "February"),
    ("Apr", "April"),
    ("Aug", "August"),
    ("Sept", "September"),
    ("Sep", "September"),
    ("Oct", "October"),
    ("Nov", "November"),
    ("Dec", "December"),
    ("Mon", "Monday"),
    ("Tue", "Tuesday"),
    ("Tues", "Tuesday"),
    ("Wed", "Wednesday"),
    ("Thu", "Thursday"),
    ("Thur", "Thursday"),
    ("Thurs", "Thursday"),
    ("Fri", "Friday"),
    ("Sat", "Saturday"),
    ("vs", "versus"),
    ("approx", "approximately"),
    ("est", "established"),
    ("misc", "miscellaneous"),
    ("incl", "including"),
    ("excl", "excluding"),
    ("esp", "especially"),
    ("resp", "respectively"),
    ("max", "maximum"),
    ("min", "minimum"),
    ("avg", "average"),
    ("temp", "temperature"),
    ("etc", "et cetera"),
    ("ca", "circa"),
    ("cf", "compare"),
    ("ed", "edition"),
    ("eds", "editors"),
    ("viz", "namely"),
    ("tel", "telephone"),
    ("Tel", "Telephone"),
    ("ext", "extension"),
    ("Ext", "Extension"),
    ("hrs", "hours"),
    ("mins", "minutes"),
    ("secs", "seconds"),
    ("yrs", "years"),
    ("lbs", "pounds"),
    ("oz", "ounces"),
];

/// Before a number.
const COUNTED: &[(&str, &str)] = &[
    ("No", "Number"),
    ("no", "number"),
    ("Nos", "Numbers"),
    ("nos", "numbers"),
    ("Fig", "Figure"),
    ("fig", "figure"),
    ("Figs", "Figures"),
    ("figs", "figures"),
    ("Vol", "Volume"),
    ("vol", "volume"),
    ("Vols", "Volumes"),
    ("pp", "pages"),
    ("p", "page"),
    ("Ch", "Chapter"),
    ("ch", "chapter"),
    ("Chap", "Chapter"),
    ("Sec", "Section"),
    ("sec", "section"),
    ("Eq", "Equation"),
    ("eq", "equation"),
    ("Art", "Article"),
    ("Ver", "Version"),
    ("ver", "version"),
    ("Rt", "Route"),
    ("Rte", "Route"),
    ("St", "Street"),
];

/// With full stops inside.
const INNER: &[(&str, &str)] = &[
    ("e.g.", "for example"),
    ("E.g.", "For example"),
    ("i.e.", "that is"),
    ("I.e.", "That is"),
    ("a.k.a.", "also known as"),
    ("w.r.t.", "with respect to"),
    ("Ph.D.", "PhD"),
    ("Ph.D", "PhD"),
    ("a.m.", "AM"),
    ("p.m.", "PM"),
    ("A.M.", "AM"),
    ("P.M.", "PM"),
    ("B.C.E.", "BCE"),
    ("B.C.", "BC"),
    ("A.D.", "AD"),
    ("C.E.", "CE"),
    ("q.v.", "which see"),
    ("et al.", "and others"),
    ("P.S.", "PS"),
    ("D.C.", "DC"),
    ("R.I.P.", "RIP"),
    ("M.D.", "MD"),
    ("B.A.", "BA"),
    ("M.A.", "MA"),
    ("B.Sc.", "BSc"),
    ("M.Sc.", "MSc"),
    ("n.b.", "note well"),
    ("N.B.", "Note well"),
];

/// Whether a sentence may end before this: a capital, or nothing, follows.
pub(super) fn ends_sentence(behind: &str) -> bool {
    let behind = behind.trim_start_matches(['"', '\'', '”', '’', ')', ']']);
    if behind.is_empty() || behind.starts_with('\n') {
        return true;
    }
    let next = behind.trim_start_matches([' ', '"', '“', '‘', '(']).chars().next();
    behind.starts_with(' ') && next.is_none_or(char::is_uppercase)
}

/// Abbreviations with full stops inside, and initials such as `U.S.A.`, which are said as letters.
pub(super) fn dotted(place: &Place<'_>) -> Option<Reading> {
    let rest = place.rest();
    if !place.before().chars().next_back().is_none_or(|it| !it.is_alphanumeric() && it != '.') {
        return None;
    }
    for (written, words) in INNER {
        if let Some(behind) = rest.strip_prefix(written)
            && !behind.starts_with(|it: char| it.is_alphanumeric())
        {
            let said = matches!(*words, "for example" | "For example" | "that is" | "That is");
            let goes_on = said
                || matches!(*words, "also known as" | "with respect to")
                || words.to_lowercase() == "note well";
            let stop = written.ends_with('.') && !goes_on && ends_sentence(behind);
            // A comma, as it is read, unless there is one.
            let comma = said && !behind.starts_with([',', ':']) && behind.starts_with(' ');
            return reading(
                format!("{words}{}", if comma { "," } else { "" }),
                written.len() - usize::from(stop),
            );
        }
    }
    let found = initials().find(rest)?;
    let letters: String = found.as_str().chars().filter(char::is_ascii_alphabetic).collect();
    let behind = &rest[found.end()..];
    if letters.len() < 2 || behind.starts_with(|it: char| it.is_alphanumeric()) {
        return None;
    }
    // The initials of a name: J. R. R. Tolkien has spaces; J.R.R. has none, and a name follows either.
    let words: String = match letters.as_str() {
        "US" | "USA" | "UK" | "EU" | "UN" | "USSR" => letters.clone(),
        _ => letters
            .chars()
            .map(|letter| format!("{LETTER}{letter} "))
            .collect::<String>()
            .trim_end()
            .to_owned(),
    };
    let stop = found.as_str().ends_with('.') && (behind.is_empty() || behind.starts_with('\n'));
    reading(words, found.end() - usize::from(stop))
}

/// Abbreviations of one word, with a full stop or, of titles, without.
pub(super) fn plain(place: &Place<'_>) -> Option<Reading> {
    let rest = place.rest();
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (word, behind) = rest.split_at(letters);
    if letters > 6 || behind.starts_with(['\'', '-', '_', '@']) {
        return None;
    }
    let stop = usize::from(behind.starts_with('.'));
    let after = &behind[stop..];
    let spaced = after.trim_start_matches([' ', '\n']);
    let touches = after.starts_with(|it: char| it.is_alphanumeric());
    if touches && !after.starts_with(|it: char| it.is_ascii_digit()) {
        return None;
    }
    let capital = spaced.starts_with(|it: char| it.is_ascii_uppercase()) && spaced.len() < after.len();
    let digit = spaced.starts_with(|it: char| it.is_ascii_digit() || it == '#');
    if digit
        && stop == 1
        && let Some((_, words)) = COUNTED.iter().find(|(written, _)| *written == word)
    {
        let space = after.len() - spaced.len();
        return reading(format!("{words} "), letters + stop + space);
    }
    let named = |table: &[(&str, &str)]| {
        table.iter().find(|(written, _)| *written == word).map(|(_, words)| (*words).to_owned())
    };
    if word == "St" || word == "Dr" {
        return saint_or_street(place, word, letters, stop, after, capital);
    }
    if capital && let Some(words) = named(TITLES) {
        // Without a full stop only those that are written so.
        let bare =
            matches!(word, "Mr" | "Mrs" | "Ms" | "Mt" | "Prof" | "Lt" | "Sgt" | "Capt" | "Col" | "Rev");
        return (stop == 1 || bare).then_some(Reading { words, length: letters + stop });
    }
    if stop == 0 {
        return match word {
            "vs" => reading("versus", letters),
            "etc" => reading("et cetera", letters),
            "Jr" | "Sr" if after.is_empty() || after.starts_with([',', ';', ' ', '\n']) => {
                reading(named(SHORT)?, letters)
            }
            _ => None,
        };
    }
    // "min." may be the end of a sentence with a word of its own, "Sat." and "ed." too: only where more follows.
    let words =
        named(SHORT).or_else(|| named(TITLES).filter(|_| word != "Gen" && word != "Hon" && word != "Rep"))?;
    let ends = ends_sentence(after);
    let doubtful = matches!(
        word,
        "Sat"
            | "Sun"
            | "Mon"
            | "Wed"
            | "ed"
            | "eds"
            | "min"
            | "max"
            | "temp"
            | "est"
            | "ext"
            | "resp"
            | "Co"
            | "Apt"
            | "Sq"
            | "Dec"
            | "Nov"
    );
    let date = matches!(word, "Dec" | "Nov" | "Mon" | "Wed" | "Co");
    if doubtful && ends && !date {
        return None;
    }
    reading(words, letters + usize::from(!ends))
}

/// `St. Paul` is a saint, `Main St.` a street; `Dr. Hale` a doctor, `Ocean Dr.` a drive.
fn saint_or_street(
    place: &Place<'_>,
    word: &str,
    letters: usize,
    stop: usize,
    after: &str,
    capital: bool,
) -> Option<Reading> {
    let before = place.word_before();
    let named = before.starts_with(|it: char| it.is_ascii_uppercase() || it.is_ascii_digit())
        && place.before().ends_with(' ')
        && !matches!(
            before,
            "The"
                | "At"
                | "In"
                | "On"
                | "And"
                | "Of"
                | "To"
                | "By"
                | "Mount"
                | "Fort"
                | "Lake"
                | "Port"
                | "Then"
                | "When"
                | "If"
                | "But"
                | "As"
                | "I"
        );
    let numbered = {
        let start = place.before().trim_end().len() - before.len();
        let number = place.text[..start].trim_end();
        number.ends_with(|it: char| it.is_ascii_digit()) || before.starts_with(|it: char| it.is_ascii_digit())
    };
    let (person, road) = if word == "St" { ("Saint", "Street") } else { ("Doctor", "Drive") };
    if capital && !(named && numbered) {
        return reading(person, letters + stop);
    }
    if named {
        let ends = stop == 1 && ends_sentence(after) && !numbered
            || stop == 1 && (after.is_empty() || after.starts_with('\n'));
        return reading(road, letters + stop - usize::from(ends));
    }
    None
}

patterns! {
    initials = r"^(?:[A-Z]\.){2,}|^(?:[A-Z]\.)+[A-Z]\b";
}
