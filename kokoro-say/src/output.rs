//! Where the sound goes.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use kokoro_model::{Audio, Resampler, SAMPLE_RATE, SampleFormat, WavWriter};

use crate::arguments::Arguments;
use crate::failure::Usage;

/// Where the sound goes, and in which form.
pub struct Output {
    place: Place,
    resampler: Resampler,
    rate: u32,
    format: SampleFormat,
}

enum Place {
    /// A WAV file, which is made with the first sound.
    File { path: PathBuf, writer: Option<WavWriter> },
    /// A WAV file on standard output. Its length stands at its beginning, so all has to be there first.
    Wav(Vec<f32>),
    /// Raw sound on standard output.
    Stream,
}

impl Output {
    /// The output that the command line asks for. What cannot be written is refused before anything is spoken.
    pub fn choose(arguments: &Arguments) -> Result<Self> {
        let rate = arguments.rate;
        let resampler = Resampler::new(SAMPLE_RATE, rate).map_err(kokoro_model::Error::from)?;
        let format = if arguments.float { SampleFormat::Float32 } else { SampleFormat::Pcm16 };
        Ok(Self { place: Place::choose(arguments)?, resampler, rate, format })
    }

    /// Whether standard output is taken by sound.
    pub fn is_standard_output(&self) -> bool {
        !self.is_file()
    }

    /// Whether a file is made.
    pub fn is_file(&self) -> bool {
        matches!(self.place, Place::File { .. })
    }

    /// Takes the next piece of sound; a stream passes it on at once.
    pub fn take(&mut self, piece: &Audio) -> Result<()> {
        let samples = self.resampler.push(&piece.samples);
        self.place.take(&samples, self.rate, self.format)
    }

    /// Writes what was kept until now.
    pub fn finish(self) -> Result<()> {
        let Self { mut place, resampler, rate, format } = self;
        place.take(&resampler.finish(), rate, format)?;
        match place {
            Place::File { writer, .. } => Ok(writer.map_or(Ok(()), WavWriter::finish)?),
            Place::Wav(samples) => {
                let wav = Audio { samples, sample_rate: rate }.to_wav_of(format)?;
                let mut output = io::stdout().lock();
                output.write_all(&wav).and_then(|()| output.flush()).context(STANDARD_OUTPUT)
            }
            Place::Stream => Ok(()),
        }
    }
}

impl Place {
    fn choose(arguments: &Arguments) -> Result<Self> {
        if let Some(path) = arguments.output.as_ref().filter(|path| *path != Path::new("-")) {
            check_file(path)?;
            return Ok(Self::File { path: path.clone(), writer: None });
        }
        if io::stdout().is_terminal() {
            let hint = "hint: name a file with `-o FILE`, or send standard output to a file or a player";
            return Err(anyhow!("sound is not written to a terminal\n{hint}").context(Usage));
        }
        Ok(if arguments.stream { Self::Stream } else { Self::Wav(Vec::new()) })
    }

    fn take(&mut self, samples: &[f32], rate: u32, format: SampleFormat) -> Result<()> {
        match self {
            Self::File { path, writer } => {
                let file = match writer {
                    Some(file) => file,
                    None => writer.insert(WavWriter::create(path, rate, format)?),
                };
                Ok(file.write(samples)?)
            }
            Self::Wav(kept) => {
                kept.extend_from_slice(samples);
                Ok(())
            }
            Self::Stream => {
                let bytes: Vec<u8> = if format == SampleFormat::Float32 {
                    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
                } else {
                    let audio = Audio { samples: samples.to_vec(), sample_rate: rate };
                    audio.to_pcm16().into_iter().flat_map(i16::to_le_bytes).collect()
                };
                let mut output = io::stdout().lock();
                output.write_all(&bytes).and_then(|()| output.flush()).context(STANDARD_OUTPUT)
            }
        }
    }
}

/// Refuses a path where no file can be made.
pub fn check_file(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) || path.is_dir() {
        return Err(anyhow!("`{}` cannot be a file", path.display()).context(Usage));
    }
    Ok(())
}

const STANDARD_OUTPUT: &str = "cannot write to standard output";
