//! A corpus of the user's own: someone's domain, languages and voices, which every gate judges by in place of the committed one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use super::{Corpus, File, GATE_TAGS, LONG, Sentence, Set};
use crate::failure::Failure;

/// How many sentences a gate takes, the first of the file, where none has its tag.
const TAKEN: usize = 12;

/// Which sentences are judged by.
#[derive(Debug, Clone, Default, Args)]
pub struct CorpusArgs {
    /// Judge by the sentences of this file in place of `models/corpus.toml`
    ///
    /// TOML; each sentence is a `[[sentence]]` with `language`, `voice`, `text` and `phonemes`, and if wanted `id`, `speed` and
    /// `tags`. A voice is one of the recipe's, or the path of a file of styles, from the folder of this file. The gates take
    /// the sentences with the tags `smoke`, `quick` and `bench`, where none has it the first twelve. What is measured by
    /// them is compared with nothing, and is no proof.
    #[arg(long, value_name = "FILE")]
    pub corpus: Option<PathBuf>,
}

impl Corpus {
    /// Reads and checks a corpus of the user's own; `voices` are the names there are.
    ///
    /// # Errors
    /// [`Failure::Usage`], naming the file, the sentence and what is wrong with it.
    pub fn own(path: &Path, voices: &[&str]) -> Result<Self> {
        let text = fs_err::read_to_string(path).context(Failure::Usage)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::own_from_str(&text, folder, voices)
            .with_context(|| format!("`{}` is not a valid corpus", path.display()))
            .context(Failure::Usage)
    }

    fn own_from_str(text: &str, folder: &Path, voices: &[&str]) -> Result<Self> {
        let File { mut sentences } = toml::from_str(text)?;
        ensure!(!sentences.is_empty(), "expected a `[[sentence]]`, found none");
        for (index, sentence) in sentences.iter_mut().enumerate() {
            if sentence.id.is_empty() {
                sentence.id = format!("own-{:02}", index + 1);
            }
            sentence.check_own(folder, voices).with_context(|| format!("sentence `{}`", sentence.id))?;
        }
        for tag in GATE_TAGS {
            if !sentences.iter().any(|sentence| sentence.has_tag(tag)) {
                sentences.iter_mut().take(TAKEN).for_each(|sentence| sentence.tags.push(tag.to_owned()));
            }
        }
        Self::distinct(sentences, text)
    }
}

impl Sentence {
    fn check_own(&mut self, folder: &Path, voices: &[&str]) -> Result<()> {
        ensure!(
            self.set == Set::HeldOut,
            "`set`: sentences of one's own are judged by, and nothing is fitted to them"
        );
        // Files with sound are named by it.
        let is_plain = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
        ensure!(self.id.chars().all(is_plain), "`id`: expected letters, digits, `-` and `_`");
        if voices.contains(&self.voice.as_str()) {
            self.check_voice()?;
        } else {
            let file = folder.join(&self.voice);
            ensure!(
                file.is_file(),
                "there is no voice `{}`, neither of that name nor as the file `{}`",
                self.voice,
                file.display()
            );
            self.voice = file.display().to_string();
        }
        self.check_speech()?;
        self.tags.retain(|tag| tag != "long");
        if self.tokens.len() > LONG {
            self.tags.push("long".to_owned());
        }
        self.check_tags()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICES: [&str; 2] = ["af_heart", "ef_dora"];

    fn own(text: &str) -> Result<Corpus> {
        Corpus::own_from_str(text, Path::new(env!("CARGO_MANIFEST_DIR")), &VOICES)
    }

    fn sentence(voice: &str, more: &str) -> String {
        format!(
            "[[sentence]]\nlanguage = \"en-us\"\nvoice = \"{voice}\"\ntext = \"Hello {more}\"\nphonemes = \"həlˈO\"\n{more}\n"
        )
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let corpus = own(&sentence("af_heart", "")).unwrap();
        let [sentence] = corpus.sentences() else { panic!("expected one sentence") };
        assert_eq!((sentence.id.as_str(), sentence.set, sentence.speed), ("own-01", Set::HeldOut, 1.0));
        assert_eq!(sentence.tokens.len(), 5);
        for tag in GATE_TAGS {
            assert_eq!(corpus.tagged(tag).count(), 1, "{tag}");
        }
    }

    #[test]
    fn a_voice_may_be_a_file_beside_the_corpus() {
        let corpus = own(&sentence("Cargo.toml", "")).unwrap();
        assert!(Path::new(&corpus.sentences()[0].voice).is_file());
    }

    #[test]
    fn what_is_wrong_is_told_by_sentence() {
        for (text, expected) in [
            (sentence("ef_dora", ""), "sentence `own-01`: voice `ef_dora` speaks another language"),
            (
                sentence("nobody.bin", ""),
                "there is no voice `nobody.bin`, neither of that name nor as the file `",
            ),
            (sentence("af_heart", "set = 'calibration'"), "`set`: sentences of one's own are judged by"),
            (sentence("af_heart", "id = '../x'"), "`id`: expected letters"),
            (sentence("af_heart", "speed = 9.0"), "speed 9 is not within 0.5 to 2"),
            ("sentence = []".to_owned(), "expected a `[[sentence]]`, found none"),
        ] {
            let error = format!("{:#}", own(&text).unwrap_err());
            assert!(error.contains(expected), "no `{expected}` in: {error}");
        }
    }
}
