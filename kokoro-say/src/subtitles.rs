//! Subtitle files: what is said, in cues of a line or two.

mod cue;

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use kokoro_model::Word;

use crate::output::check_file;
use cue::Cue;

/// A cue is shown this long, in seconds, if the next one does not begin before.
const SHORTEST: f64 = 1.0;

/// How cues are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `SubRip`.
    Srt,
    /// Web Video Text Tracks, of the W3C.
    Vtt,
}

/// A subtitle file that grows with the speech. Until it is finished, its name ends in `.part`; dropped before, it is removed.
pub struct Subtitles {
    form: Form,
    path: PathBuf,
    partial: PathBuf,
    /// Made with the first cue.
    file: Option<BufWriter<fs_err::File>>,
    count: usize,
    /// Not written yet, for it ends where the next one begins.
    held: Option<Cue>,
}

impl Subtitles {
    /// The file at `path`. What cannot be a file is refused.
    pub fn new(path: &Path, form: Form) -> Result<Self> {
        check_file(path)?;
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}.part", std::process::id()));
        let (path, partial) = (path.to_owned(), PathBuf::from(partial));
        Ok(Self { form, path, partial, file: None, count: 0, held: None })
    }

    /// Takes the words of the next sentence of `text`, which begins so many `seconds` after the beginning of the sound.
    pub fn take(&mut self, text: &str, words: &[Word], seconds: f64) -> Result<()> {
        for mut cue in cue::cues(text, words) {
            cue.start += seconds;
            cue.end += seconds;
            let next = cue.start;
            if let Some(before) = self.held.replace(cue) {
                self.write(&before, next)?;
            }
        }
        Ok(())
    }

    /// Gives the file its name.
    pub fn finish(mut self) -> Result<()> {
        if let Some(last) = self.held.take() {
            self.write(&last, f64::INFINITY)?;
        }
        let Some(file) = self.file.take() else { return Ok(()) };
        let file = file.into_inner().map_err(std::io::IntoInnerError::into_error);
        let synced = file.and_then(|file| file.sync_all());
        synced.and_then(|()| fs_err::rename(&self.partial, &self.path)).context(WRITE)
    }

    fn write(&mut self, cue: &Cue, next: f64) -> Result<()> {
        self.count += 1;
        let end = cue.end.max((cue.start + SHORTEST).min(next));
        let lines = cue.lines.join("\n");
        let [start, end] = [cue.start, end].map(|seconds| self.form.time(seconds));
        let text = match self.form {
            Form::Srt => format!("{}\n{start} --> {end}\n{lines}\n\n", self.count),
            Form::Vtt => {
                let lines = lines.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                format!("{start} --> {end}\n{lines}\n\n")
            }
        };
        let file = if let Some(file) = &mut self.file {
            file
        } else {
            let mut file = BufWriter::new(fs_err::File::create(&self.partial).context(WRITE)?);
            if self.form == Form::Vtt {
                file.write_all(b"WEBVTT\n\n").context(WRITE)?;
            }
            self.file.insert(file)
        };
        file.write_all(text.as_bytes()).context(WRITE)
    }
}

impl Drop for Subtitles {
    fn drop(&mut self) {
        // Renamed, or never made, it is not there.
        drop(self.file.take());
        let _ = fs_err::remove_file(&self.partial);
    }
}

impl Form {
    /// `00:01:02,345`, or with a point.
    fn time(self, seconds: f64) -> String {
        let milliseconds = (seconds * 1000.0).round() as u64;
        let (rest, milliseconds) = (milliseconds / 1000, milliseconds % 1000);
        let mark = if self == Self::Srt { ',' } else { '.' };
        format!("{:02}:{:02}:{:02}{mark}{milliseconds:03}", rest / 3600, rest / 60 % 60, rest % 60)
    }
}

const WRITE: &str = "cannot write the subtitles";

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, at: usize, start: f64, end: f64) -> Word {
        Word { text: text.into(), source: at..at + text.len(), start, end, phonemes: Vec::new() }
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let text = "One <b>. Two.";
        let folder = tempfile::tempdir().unwrap();
        for (form, expected) in [
            (
                Form::Srt,
                "1\n00:00:00,250 --> 00:00:01,250\nOne\n\n2\n01:01:01,500 --> 01:01:02,500\nTwo.\n\n",
            ),
            (
                Form::Vtt,
                "WEBVTT\n\n00:00:00.250 --> 00:00:01.250\nOne\n\n01:01:01.500 --> 01:01:02.500\nTwo.\n\n",
            ),
        ] {
            let path = folder.path().join(format!("{form:?}"));
            let mut subtitles = Subtitles::new(&path, form).unwrap();
            subtitles.take(text, &[word("One", 0, 0.25, 0.5)], 0.0).unwrap();
            subtitles.take(text, &[word("Two", 9, 0.5, 1.0)], 3661.0).unwrap();
            assert!(!path.exists());
            subtitles.finish().unwrap();
            assert_eq!(fs_err::read_to_string(&path).unwrap(), expected);
        }
        let mut left = Subtitles::new(&folder.path().join("left"), Form::Srt).unwrap();
        left.take(text, &[word("One", 0, 0.0, 0.5), word("Two", 9, 2.0, 2.5)], 0.0).unwrap();
        drop(left);
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 2, "a partial file was left behind");
        assert!(Subtitles::new(&folder.path().join("missing/file"), Form::Srt).is_err());
    }
}
