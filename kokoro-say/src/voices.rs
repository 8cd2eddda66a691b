//! The table of voices.

use std::io::Write;

use anyhow::Result;
use kokoro_model::Voice;

/// Writes one line for each voice: name, language, gender.
pub fn list(mut output: impl Write) -> Result<()> {
    let rows = Voice::ALL
        .iter()
        .map(|voice| [voice.name().to_owned(), voice.language().to_string(), voice.gender().to_string()]);
    let rows: Vec<_> = [["VOICE", "LANGUAGE", "GENDER"].map(str::to_owned)].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (names, languages) = (width(0), width(1));
    for [name, language, gender] in &rows {
        writeln!(output, "{name:names$}  {language:languages$}  {gender}")?;
    }
    Ok(())
}
