//! The words of a sentence in cues.

use kokoro_model::Word;

/// Characters of a line, and lines of a cue, as broadcasters have them.
const LINE: usize = 42;

/// A pause that parts cues, in seconds.
const PAUSE: f64 = 0.5;

/// What a pause has to be longer by, in seconds, to part a cue in place of the end of a clause.
const CLAUSE: f64 = 0.3;

/// What is shown at once.
#[derive(Debug, PartialEq)]
pub struct Cue {
    /// In seconds.
    pub start: f64,
    /// In seconds.
    pub end: f64,
    /// One or two.
    pub lines: Vec<String>,
}

/// A word with the marks that it is written with.
#[derive(Clone, Debug)]
struct Shown {
    text: String,
    start: f64,
    end: f64,
    /// No space stands before it.
    joined: bool,
}

/// The words of a sentence of `text` in cues: parted at pauses, and where they are too long, at the longest ones.
pub fn cues(text: &str, words: &[Word]) -> Vec<Cue> {
    let shown: Vec<Shown> = shown(text, words).iter().flat_map(cut).collect();
    let mut cues = Vec::new();
    for between_pauses in shown.chunk_by(|one, next| next.start - one.end < PAUSE) {
        part(between_pauses, &mut cues);
    }
    cues
}

/// The words with what stands beside them: marks of Markdown are not shown.
fn shown(text: &str, words: &[Word]) -> Vec<Shown> {
    let mut behind = 0;
    let show = |(index, word): (usize, &Word)| {
        let gap = text.get(behind..word.source.start).unwrap_or_default();
        let is_opening = |it: char| "\"“‘«„'(¿¡".contains(it);
        let opening = &gap[gap.trim_end_matches(is_opening).len()..];
        let after = text.get(word.source.end..).unwrap_or_default();
        let length =
            after.find(|it: char| it.is_whitespace() || it.is_alphanumeric() || "[](<|".contains(it));
        let closing = &after[..length.unwrap_or(after.len())];
        let closing = closing.chars().filter(|it| !"*_#`~\\".contains(*it));
        // What two words have between them is of the first.
        let joined = index > 0 && !gap.contains(char::is_whitespace);
        let opening = if joined { "" } else { opening };
        behind = word.source.end;
        let text = opening.chars().chain(word.text.chars()).chain(closing).collect::<String>();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Shown { text, start: word.start, end: word.end, joined }
    };
    words.iter().enumerate().map(show).collect()
}

/// A word in pieces that fit a line, each with its share of the time.
fn cut(word: &Shown) -> Vec<Shown> {
    let characters: Vec<char> = word.text.chars().collect();
    let count = characters.len().max(1) as f64;
    let at = |index: usize| word.start + (word.end - word.start) * index as f64 / count;
    let piece = |(index, piece): (usize, &[char])| Shown {
        text: piece.iter().collect(),
        start: at(index * LINE),
        end: at(index * LINE + piece.len()),
        joined: word.joined || index > 0,
    };
    characters.chunks(LINE).enumerate().map(piece).collect()
}

/// Makes one cue of the words, or parts them where that is best, until they fit.
fn part(words: &[Shown], cues: &mut Vec<Cue>) {
    let [first, .., last] = words else {
        cues.extend(words.iter().map(|word| Cue {
            start: word.start,
            end: word.end,
            lines: vec![word.text.clone()],
        }));
        return;
    };
    if let Some(lines) = lines(words) {
        cues.push(Cue { start: first.start, end: last.end, lines });
        return;
    }
    let count = words.len() as f64;
    let worth = |index: usize| {
        let (before, next) = (&words[index - 1], &words[index]);
        let clause = if before.text.ends_with([',', ';', ':', '—', '–', ')']) { CLAUSE } else { 0.0 };
        // Two cues of about the same length are better than one of a word.
        next.start - before.end + clause - (index as f64 / count - 0.5).abs()
    };
    let best = (1..words.len()).max_by(|&one, &other| worth(one).total_cmp(&worth(other))).unwrap_or(1);
    part(&words[..best], cues);
    part(&words[best..], cues);
}

/// The words in one line, or in two of about the same length, if they fit.
fn lines(words: &[Shown]) -> Option<Vec<String>> {
    let whole = line(words);
    let length = |line: &str| line.chars().count();
    if length(&whole) <= LINE {
        return Some(vec![whole]);
    }
    let halves =
        (1..words.len()).filter(|&at| !words[at].joined).map(|at| [line(&words[..at]), line(&words[at..])]);
    let fitting = halves.filter(|halves| halves.iter().all(|line| length(line) <= LINE));
    fitting.min_by_key(|[one, other]| length(one).abs_diff(length(other))).map(Vec::from)
}

fn line(words: &[Shown]) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() && !word.joined {
            line.push(' ');
        }
        line.push_str(&word.text);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of 0.2 s, each 0.1 s behind the one before; `pauses` are how much later one is.
    fn words(text: &str, written: &[&str], pauses: &[(usize, f64)]) -> Vec<Word> {
        let (mut at, mut start) = (0, 0.0);
        let word = |(index, word): (usize, &&str)| {
            let begin = at + text[at..].find(word).unwrap();
            at = begin + word.len();
            start += pauses.iter().find(|(pause, _)| *pause == index).map_or(0.0, |(_, seconds)| *seconds);
            let (from, end) = (start, start + 0.2);
            start += 0.3;
            Word { text: (*word).into(), source: begin..at, start: from, end, phonemes: Vec::new() }
        };
        written.iter().enumerate().map(word).collect()
    }

    fn shown(text: &str, pauses: &[(usize, f64)]) -> Vec<Vec<String>> {
        let is_mark = |it: char| it.is_whitespace() || "“”()*.,—[]".contains(it);
        let written: Vec<&str> = text.split(is_mark).filter(|word| !word.is_empty()).collect();
        cues(text, &words(text, &written, pauses)).into_iter().map(|cue| cue.lines).collect()
    }

    #[test]
    fn marks_stay_with_their_words_and_those_of_markdown_go() {
        assert_eq!(shown("“It is **so**,” he said (to me).", &[]), [["“It is so,” he said (to me)."]]);
        assert_eq!(shown("One—two.", &[]), [["One—two."]]);
    }

    #[test]
    fn a_long_sentence_is_parted_at_its_longest_pause_and_no_line_is_too_long() {
        let text = "The first part of it is as long as this here, and the second part goes on like that until \
                    nothing at all is left to be said.";
        let cues = shown(text, &[]);
        assert_eq!(cues.len(), 2, "{cues:?}");
        assert!(cues[0].last().unwrap().ends_with("here,"), "{cues:?}");
        assert_eq!(cues.concat().join(" "), text);
        let cues = shown(text, &[(14, 0.4)]);
        assert!(cues[1][0].starts_with("part"), "{cues:?}");
        for line in shown(&"word ".repeat(99), &[]).concat() {
            assert!(line.chars().count() <= LINE, "{line}");
        }
    }

    #[test]
    fn a_pause_parts_cues() {
        assert_eq!(shown("One, two.", &[(1, 0.5)]), [["One,"], ["two."]]);
    }

    #[test]
    fn a_word_longer_than_a_line_is_cut() {
        let text = "x".repeat(100);
        let cues = cues(&text, &words(&text, &[&text], &[]));
        let all: Vec<_> = cues.iter().flat_map(|cue| &cue.lines).collect();
        assert!(cues.iter().all(|cue| cue.lines.len() <= 2) && all.iter().all(|line| line.len() <= LINE));
        assert_eq!(all.iter().map(|line| line.len()).sum::<usize>(), 100);
        assert!(cues.is_sorted_by(|one, next| one.end <= next.start + 1e-9), "{cues:?}");
    }
}
