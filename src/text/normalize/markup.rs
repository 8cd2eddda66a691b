//! Markdown, kept plain: what it marks is read, the marks are not.

use std::ops::Range;

use regex::Regex;

use super::Findings;
use super::mapped::Mapped;
use crate::text::notice::NoticeKind;

/// The text without headings', lists', tables' and other marks. A heading, an item and a row end as sentences do.
pub(super) fn plain(text: &Mapped, findings: &mut Findings) -> Mapped {
    let mut plain = Mapped::with_capacity(text.len());
    let mut start = 0;
    for line in text.as_str().split_inclusive('\n') {
        let content = line.trim_end().len();
        let at = start;
        start += line.len();
        let mut writer = Line { text, plain: &mut plain, findings };
        writer.line(at, at + content);
        plain.push('\n', text.origin(start - 1).unwrap_or(0));
    }
    plain.trim_end();
    plain
}

struct Line<'a> {
    text: &'a Mapped,
    plain: &'a mut Mapped,
    findings: &'a mut Findings,
}

impl Line<'_> {
    fn line(&mut self, start: usize, end: usize) {
        let line = &self.text.as_str()[start..end];
        let trimmed = line.trim_start();
        if is_rule(trimmed) || trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            // An empty line, so that there is a pause.
            return;
        }
        let indent = end - start - trimmed.len();
        let mut at = start + indent;
        at += prefix(&self.text.as_str()[at..end], quote());
        if let Some(found) = heading().find(&self.text.as_str()[at..end]) {
            let content = at + found.end()..end;
            let whole = self.text.as_str()[content.clone()].trim_end_matches(['#', ' ']).len();
            self.spans(content.start..content.start + whole);
            self.ends(content.start);
            self.plain.push('\n', self.text.origin(content.start).unwrap_or(0));
            return;
        }
        let row = &self.text.as_str()[at..end];
        if row.starts_with('|') || row.matches(" | ").count() > 1 {
            self.row(at..end);
            return;
        }
        let bullet = prefix(&self.text.as_str()[at..end], bullet());
        let numbered =
            numbered().captures(&self.text.as_str()[at..end]).map(|found| (found[1].len(), found[0].len()));
        if bullet > 0 {
            self.spans(at + bullet..end);
            self.ends(at);
        } else if let Some((number, whole)) = numbered {
            self.plain.keep(self.text, at..at + number);
            self.plain.push_str(", ", self.text.origin(at).unwrap_or(0));
            self.spans(at + whole..end);
            self.ends(at);
        } else {
            self.spans(at..end);
        }
    }

    /// A row of a table: the cells, with commas between.
    fn row(&mut self, range: Range<usize>) {
        let mut at = range.start;
        let mut first = true;
        for cell in self.text.as_str()[range].split('|') {
            let start = at + cell.len() - cell.trim_start().len();
            let end = start + cell.trim().len();
            at += cell.len() + 1;
            if start >= end {
                continue;
            }
            if !first {
                self.plain.push_str(", ", self.text.origin(start).unwrap_or(0));
            }
            first = false;
            self.spans(start..end);
        }
        if !first {
            self.ends(at - 2);
        }
    }

    /// A full stop, unless there is a mark already.
    fn ends(&mut self, at: usize) {
        let last = self.plain.as_str().trim_end_matches(['”', '’', '"', ')', '\'']).chars().next_back();
        if last.is_some_and(|last| !last.is_whitespace() && !".!?…:;,—–".contains(last)) {
            self.plain.push('.', self.text.origin(at).unwrap_or(0));
        }
    }

    /// What stands within a line: emphasis, code, links, notes, tags, entities.
    fn spans(&mut self, range: Range<usize>) {
        let text = self.text.as_str();
        let mut at = range.start;
        while at < range.end {
            let rest = &text[at..range.end];
            let origin = self.text.origin(at).unwrap_or(0);
            let before = text[range.start..at].chars().next_back();
            match rest.as_bytes()[0] {
                b'[' | b'!' => {
                    if let Some(found) = given().find(rest).or_else(|| pause().find(rest)) {
                        self.plain.keep(self.text, at..at + found.end());
                        at += found.end();
                        continue;
                    }
                    if let Some(found) = link().captures(rest) {
                        let inner = found.get(1).expect("the group takes part in every match").range();
                        self.spans(at + inner.start..at + inner.end);
                        at += found[0].len();
                        continue;
                    }
                    if let Some(found) = note().find(rest) {
                        self.findings.add(NoticeKind::Note, found.as_str(), origin);
                        at += found.end();
                        continue;
                    }
                }
                b'<' => {
                    if let Some(found) = autolink().captures(rest) {
                        self.plain.keep(self.text, at + 1..at + found[0].len() - 1);
                        at += found[0].len();
                        continue;
                    }
                    if let Some(found) = tag().find(rest) {
                        self.findings.add(NoticeKind::Markup, found.as_str(), origin);
                        at += found.end();
                        continue;
                    }
                }
                b'&' => {
                    if let Some((entity, character)) = entity(rest) {
                        self.plain.push(character, origin);
                        at += entity;
                        continue;
                    }
                }
                b'`' => {
                    at += 1;
                    continue;
                }
                mark @ (b'*' | b'_' | b'~') => {
                    let count = rest.bytes().take_while(|byte| *byte == mark).count();
                    let after = rest[count..].chars().next();
                    if is_emphasis(mark, count, before, after) {
                        at += count;
                        continue;
                    }
                    self.plain.keep(self.text, at..at + count);
                    at += count;
                    continue;
                }
                // A mark that is to be taken as it is.
                b'\\' if rest[1..].starts_with(|next: char| "*_`[]#~|<>".contains(next)) => {
                    self.plain.keep(self.text, at + 1..at + 2);
                    at += 2;
                    continue;
                }
                _ => {}
            }
            let length = rest.chars().next().map_or(1, char::len_utf8);
            self.plain.keep(self.text, at..at + length);
            at += length;
        }
    }
}

/// Whether marks open or close an emphasis: a word is on one side of them, and none on the other.
fn is_emphasis(mark: u8, count: usize, before: Option<char>, after: Option<char>) -> bool {
    let is_word = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    let is_space = |character: Option<char>| character.is_none_or(char::is_whitespace);
    match mark {
        b'~' => count == 2,
        b'*' if count > 1 => !(is_math(before, after) || is_space(before) && is_space(after)),
        b'*' => {
            is_space(before) != is_space(after) || !is_word(before) && !is_word(after) && !is_space(before)
        }
        _ => !(is_word(before) && is_word(after) || is_space(before) && is_space(after)),
    }
}

fn is_math(before: Option<char>, after: Option<char>) -> bool {
    let is_digit = |character: Option<char>| character.is_some_and(|it| it.is_ascii_digit());
    is_digit(before) && is_digit(after)
}

/// Whether the line is only drawn: a rule, or what underlines a heading.
fn is_rule(line: &str) -> bool {
    let marks: Vec<char> = line.chars().filter(|character| !character.is_whitespace()).collect();
    let drawn = |mark: &char| "-=_*~+#.•─═|:".contains(*mark);
    marks.len() >= 3 && marks.iter().all(drawn) && marks.iter().any(|mark| !".:|".contains(*mark))
}

/// The character that an entity of HTML stands for, and its length.
fn entity(text: &str) -> Option<(usize, char)> {
    const NAMES: [(&str, char); 16] = [
        ("&amp;", '&'),
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&quot;", '"'),
        ("&apos;", '\''),
        ("&nbsp;", ' '),
        ("&mdash;", '—'),
        ("&ndash;", '–'),
        ("&hellip;", '…'),
        ("&rsquo;", '\''),
        ("&lsquo;", '‘'),
        ("&ldquo;", '“'),
        ("&rdquo;", '”'),
        ("&copy;", '©'),
        ("&times;", '×'),
        ("&deg;", '°'),
    ];
    if let Some((name, character)) = NAMES.iter().find(|(name, _)| text.starts_with(name)) {
        return Some((name.len(), *character));
    }
    let body = text.strip_prefix("&#")?;
    let digits = body.find(';').filter(|&digits| digits <= 7)?;
    let code = match body[..digits].strip_prefix(['x', 'X']) {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
        None => body[..digits].parse().ok()?,
    };
    let character = char::from_u32(code).filter(|character| !character.is_control())?;
    Some((digits + 3, if character == '’' { '\'' } else { character }))
}

fn prefix(text: &str, pattern: &Regex) -> usize {
    pattern.find(text).map_or(0, |found| found.end())
}

patterns! {
    quote = r"^(?:>+ )+";
    heading = r"^#{1,6} +";
    bullet = r"^(?:[-*+•‣◦·▪●○■□✓✔➢►–—] +(?:\[[ xX]\] +)?)";
    numbered = r"^(\d{1,3})[.)] +";
    given = r"^\[[^\[\]\n]+\]\(/[^)\[\n]*/\)";
    pause = r"^\[pause \d+(?:\.\d+)? ?m?s\]";
    link = r"^!?\[((?:[^\[\]\n]|!?\[[^\[\]\n]*\]\([^()\n]*\))*)\](?:\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)|\[[^\[\]\n]*\])";
    note = r"^\[(?:\^[^\]\s]{1,20}|\d{1,3}(?:[,–-] ?\d{1,3})*|[a-z]|note \d{1,3}|citation needed)\]";
    autolink = r"^<(?:https?://|mailto:)[^>\s]+>";
    tag = r"^<(?:/?[a-zA-Z][a-zA-Z0-9]*(?: [^<>\n]*)?/?|!--[^\n]*?--)>";
}
