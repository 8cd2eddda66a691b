//! Where the sound goes.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use kokoro_model::{Audio, SAMPLE_RATE};

use crate::arguments::Arguments;
use crate::failure::Usage;

/// The sound so far, and where it is to go.
pub enum Output {
    /// A WAV file, written when all is there: a program that is killed leaves nothing behind.
    File(PathBuf, Audio),
    /// A WAV file on standard output. Its length stands at its beginning, so all has to be there first.
    Wav(Audio),
    /// Raw sound on standard output.
    Stream,
}

impl Output {
    /// The output that the command line asks for. What cannot be written is refused before anything is spoken.
    pub fn choose(arguments: &Arguments) -> Result<Self> {
        let silence = Audio { samples: Vec::new(), sample_rate: SAMPLE_RATE };
        if let Some(path) = arguments.output.as_ref().filter(|path| *path != Path::new("-")) {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            if folder.is_some_and(|folder| !folder.is_dir()) || path.is_dir() {
                return Err(anyhow!("`{}` cannot be a file", path.display()).context(Usage));
            }
            return Ok(Self::File(path.clone(), silence));
        }
        if io::stdout().is_terminal() {
            let hint = "hint: name a file with `-o FILE`, or send standard output to a file or a player";
            return Err(anyhow!("sound is not written to a terminal\n{hint}").context(Usage));
        }
        Ok(if arguments.stream { Self::Stream } else { Self::Wav(silence) })
    }

    /// Whether standard output is taken by sound.
    pub fn is_standard_output(&self) -> bool {
        !matches!(self, Self::File(..))
    }

    /// Takes the next piece of sound; a stream passes it on at once.
    pub fn take(&mut self, mut piece: Audio) -> Result<()> {
        match self {
            Self::File(_, audio) | Self::Wav(audio) => audio.samples.append(&mut piece.samples),
            Self::Stream => {
                let bytes: Vec<u8> = piece.to_pcm16().into_iter().flat_map(i16::to_le_bytes).collect();
                let mut output = io::stdout().lock();
                output.write_all(&bytes).and_then(|()| output.flush()).context(STANDARD_OUTPUT)?;
            }
        }
        Ok(())
    }

    /// Writes what was kept until now.
    pub fn finish(self) -> Result<()> {
        match self {
            Self::File(path, audio) => Ok(audio.write_wav(path)?),
            Self::Wav(audio) => {
                let mut output = io::stdout().lock();
                output.write_all(&audio.to_wav()?).and_then(|()| output.flush()).context(STANDARD_OUTPUT)
            }
            Self::Stream => Ok(()),
        }
    }
}

const STANDARD_OUTPUT: &str = "cannot write to standard output";
