//! How text is read: a table of texts with their readings, and whole documents.
#![cfg(feature = "text")]

use kokoro_model::{Language, Reader, Script};

fn read(text: &str, language: Language) -> Script {
    Reader::new(language).read(text).unwrap()
}

/// `\n` and `\uXXXX` as the characters that they stand for.
fn unescaped(cell: &str) -> String {
    let (mut text, mut rest) = (String::new(), cell);
    while let Some(at) = rest.find('\\') {
        text += &rest[..at];
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('n') {
            text.push('\n');
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('u') {
            let code = u32::from_str_radix(&behind[..4], 16).unwrap();
            text.push(char::from_u32(code).unwrap());
            rest = &behind[4..];
        } else {
            text.push('\\');
        }
    }
    text + rest
}

#[test]
fn the_table_is_read_as_it_says() {
    let table = include_str!("../data/readings.tsv");
    let (mut class, mut lines, mut wrong) = ("", 0, Vec::new());
    for (number, line) in table.lines().enumerate() {
        if line.is_empty() || line.starts_with("# ") && !line.contains('\t') {
            class = line;
            continue;
        }
        lines += 1;
        let mut cells = line.split('\t');
        let text = unescaped(cells.next().unwrap());
        let american = cells.next().unwrap_or("");
        let british = cells.next().filter(|cell| !cell.is_empty()).unwrap_or(american);
        let left_out = cells.next().unwrap_or("");
        for (language, reading) in
            [(Language::AmericanEnglish, american), (Language::BritishEnglish, british)]
        {
            let script = read(&text, language);
            let found = script.words().replace('\n', "\\n");
            let notices: Vec<_> = script.notices().iter().map(|notice| notice.text.as_str()).collect();
            if found != reading || notices.join(" ") != left_out {
                let row = number + 1;
                wrong.push(format!(
                    "{row} {class} {language}: {text:?}\n  expected {reading:?} without {left_out:?}\n  found    {found:?} without {notices:?}"
                ));
            }
        }
    }
    assert!(lines >= 300, "{lines} lines");
    assert!(wrong.is_empty(), "{} of {lines} lines:\n{}", wrong.len(), wrong.join("\n"));
}

const MARKDOWN: &str = "\
# Release 2.1 — *faster*, smaller

Released on 2024-03-05 by [the team](https://example.com/team). It is **30% faster** 🎉 and costs $5/month.

## What's new

- Reads `config.toml` (see `docs/`)
- Supports C#, C++ & F#
  * nested item with 1/2 done
1. First, run `cargo run --release -- --help`
2. Then visit www.example.com.

| name | size |
|------|-----:|
| base | 310 MB |
| int8 | 82 MB |

> Quoted text[^1], don’t panic.

```rust
fn main() { println!(\"{}\", 1 + 1); }
```

***

<p align=\"center\">© 2024 Example, Inc.</p>
";

const LOG: &str = "\
2024-01-15T10:22:33.123Z INFO [main] com.example.App - started in 3.5s (pid=4242)
2024-01-15 10:22:34,001 WARN  disk /dev/sda1 at 91%: 12.3GB/13.5GB used
[10:22:35] ERROR GET /api/v1/users?id=5&x=1 -> 500 (12ms) user=bob@example.com ip=10.0.0.1
\tat foo::bar::baz (src/main.rs:42)
0x7fff5fbff8c0 == 0xDEADBEEF || !ok; retry #3 ~2s…
";

#[test]
fn documents_are_read_whole() {
    for (document, left_out) in [(MARKDOWN, &["🎉", "[^1]", "<p align=\"center\">", "</p>"][..]), (LOG, &[])]
    {
        for language in [Language::AmericanEnglish, Language::BritishEnglish] {
            let script = read(document, language);
            let notices: Vec<_> = script.notices().iter().map(|notice| notice.text.as_str()).collect();
            assert_eq!(notices, left_out, "{}", script.words());
            let words = script.words();
            assert!(!words.contains(|it: char| it.is_ascii_digit()), "a figure is not read:\n{words}");
            assert!(!words.contains(['#', '*', '|', '`', '<', '>', '=', '/', '_']), "a mark stays:\n{words}");
        }
    }
    let words = read(MARKDOWN, Language::AmericanEnglish).words();
    for part in [
        "Release two point one — faster, smaller.",
        "March fifth, twenty twenty four by the team. It is thirty percent faster and costs five dollars",
        "base, three hundred ten megabytes.",
        "Supports C sharp, C plus plus and F sharp.",
        "two, Then visit W W W dot example dot com.",
        "Quoted text, don't panic.",
    ] {
        assert!(words.contains(part), "{part:?} is not in:\n{words}");
    }
}

#[test]
fn a_notice_names_its_line_and_column() {
    let script = read("# Title\n\nOne — “naïve” ☃ two.\r\nПривет.", Language::AmericanEnglish);
    let notices: Vec<_> = script.notices().iter().map(ToString::to_string).collect();
    assert_eq!(
        notices,
        [
            "line 3, column 15: `☃` has no known reading",
            "line 4, column 1: `Привет` is in a script that this voice does not read",
        ]
    );
}

/// The text in words takes no more than linear time, with whatever is odd in it.
#[test]
fn long_and_odd_text_is_read_in_seconds() {
    for text in [
        "It is 50% off, at $5.30 or 10:30, e.g. on 3/4/2021. ",
        "(((((",
        "[[[[",
        "1",
        "1.",
        "a.",
        "A.",
        "1/",
        "https://",
        "a_",
        "''",
        "``",
        "😀",
        "́",
        "**",
        "<a ",
        "[pause 1s]",
        "-",
        "|",
        "1,",
        "A",
    ] {
        let text = text.repeat((1 << 17) / text.len());
        let started = std::time::Instant::now();
        let _ = read(&text, Language::AmericanEnglish);
        // On a busy machine; what is quadratic would take minutes.
        assert!(
            started.elapsed().as_secs() < 60,
            "{}… took {:?}",
            text.chars().take(8).collect::<String>(),
            started.elapsed()
        );
    }
}
