//! Speech as samples, and as a WAV file.

use std::io::{Cursor, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::resample::Resampler;
use crate::wav::{SampleFormat, WavWriter};

/// Mono speech.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// Samples, nominally within −1.0..=1.0.
    pub samples: Vec<f32>,
    /// Samples per second: 24,000 for Kokoro.
    pub sample_rate: u32,
}

impl Audio {
    /// How long it plays.
    ///
    /// ```
    /// let audio = kokoro_model::Audio { samples: vec![0.0; 12_000], sample_rate: 24_000 };
    /// assert_eq!(audio.duration(), std::time::Duration::from_millis(500));
    /// ```
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.sample_rate))
    }

    /// The samples as 16-bit PCM, for a player: rounded to the nearest step and clamped, as in a WAV file.
    ///
    /// ```
    /// let audio = kokoro_model::Audio { samples: vec![0.0, 0.5, 2.0], sample_rate: 24_000 };
    /// assert_eq!(audio.to_pcm16(), [0, 16_384, 32_767]);
    /// ```
    pub fn to_pcm16(&self) -> Vec<i16> {
        self.samples.iter().copied().map(to_pcm16).collect()
    }

    /// Writes a WAV file of 16-bit PCM, mono. Samples are rounded to the nearest step and clamped.
    ///
    /// The file appears under its name only when it is complete.
    ///
    /// ```
    /// let folder = std::env::temp_dir();
    /// let audio = kokoro_model::Audio { samples: vec![0.0; 12_000], sample_rate: 24_000 };
    /// audio.write_wav(folder.join("silence.wav"))?;
    /// # Ok::<(), kokoro_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::SampleNotFinite`] before anything is written, [`ErrorKind::WriteAudio`] if the file system
    /// refuses.
    pub fn write_wav(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.check()?;
        let mut file = WavWriter::create(path, self.sample_rate, SampleFormat::Pcm16)?;
        file.write(&self.samples)?;
        file.finish()
    }

    /// The same sound at another sample rate, such as 8,000 for a telephone or 48,000 for a video.
    ///
    /// ```
    /// let audio = kokoro_model::Audio { samples: vec![0.0; 24_000], sample_rate: 24_000 };
    /// assert_eq!(audio.resampled(8_000)?.samples.len(), 8_000);
    /// # Ok::<(), kokoro_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::SampleRate`] for a rate outside of 8 to 48 kHz.
    pub fn resampled(&self, sample_rate: u32) -> Result<Self, Error> {
        let mut resampler = Resampler::new(self.sample_rate, sample_rate)?;
        let mut samples = resampler.push(&self.samples);
        samples.extend(resampler.finish());
        Ok(Self { samples, sample_rate })
    }

    /// The bytes of such a WAV file, for what is no file: a socket, or a player.
    ///
    /// ```
    /// let audio = kokoro_model::Audio { samples: vec![0.0; 24_000], sample_rate: 24_000 };
    /// assert!(audio.to_wav()?.starts_with(b"RIFF"));
    /// # Ok::<(), kokoro_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::SampleNotFinite`]; [`ErrorKind::WriteAudio`] for more than the 4 GB that a WAV file can hold.
    pub fn to_wav(&self) -> Result<Vec<u8>, Error> {
        self.to_wav_of(SampleFormat::Pcm16)
    }

    /// The bytes of a WAV file with samples of this format.
    ///
    /// # Errors
    /// Those of [`Self::to_wav`].
    pub fn to_wav_of(&self, format: SampleFormat) -> Result<Vec<u8>, Error> {
        self.check()?;
        let mut wav = Cursor::new(Vec::with_capacity(64 + 4 * self.samples.len()));
        self.encode(&mut wav, format).map_err(|source| {
            Error::with_source(ErrorKind::WriteAudio { path: PathBuf::from("WAV in memory") }, source)
        })?;
        Ok(wav.into_inner())
    }

    fn check(&self) -> Result<(), ErrorKind> {
        match self.samples.iter().position(|sample| !sample.is_finite()) {
            None => Ok(()),
            Some(index) => Err(ErrorKind::SampleNotFinite { index, value: self.samples[index] }),
        }
    }

    fn encode(&self, file: impl Write + Seek, format: SampleFormat) -> Result<(), hound::Error> {
        let mut writer = hound::WavWriter::new(file, format.spec(self.sample_rate))?;
        for &sample in &self.samples {
            format.write(&mut writer, sample)?;
        }
        writer.finalize()
    }
}

/// Full scale is 32,767 on both sides, so that silence stays 0 and the two rails are alike.
pub(crate) fn to_pcm16(sample: f32) -> i16 {
    // A cast from float to integer saturates, but only at −32,768; the clamp keeps the rails alike.
    (sample.clamp(-1.0, 1.0) * 32_767.0).round_ties_even() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio(samples: &[f32]) -> Audio {
        Audio { samples: samples.to_vec(), sample_rate: 24_000 }
    }

    #[test]
    fn samples_are_rounded_and_clamped() {
        for (sample, expected) in [
            (0.0, 0),
            (1.0, 32_767),
            (-1.0, -32_767),
            (1.5, 32_767),
            (-2.0, -32_767),
            (1.6 / 32_767.0, 2),
            (-1.6 / 32_767.0, -2),
            (0.4 / 32_767.0, 0),
        ] {
            assert_eq!(to_pcm16(sample), expected, "{sample}");
        }
    }

    #[test]
    fn a_second_is_24_000_samples() {
        assert_eq!(audio(&vec![0.0; 36_000]).duration(), Duration::from_millis(1_500));
    }

    #[test]
    fn what_is_written_can_be_read_back_and_nothing_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        audio(&[0.0, 0.5, -0.5, 2.0]).write_wav(&path).unwrap();
        audio(&[0.25, -1.0]).write_wav(&path).unwrap();
        let mut reader = hound::WavReader::open(&path).unwrap();
        assert_eq!(reader.spec().sample_rate, 24_000);
        assert_eq!((reader.spec().channels, reader.spec().bits_per_sample), (1, 16));
        let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
        assert_eq!(samples, [8_192, -32_767]);
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1, "a partial file was left behind");
    }

    #[test]
    fn the_bytes_are_those_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let audio = audio(&[0.0, 0.5, -0.5, 2.0]);
        audio.write_wav(&path).unwrap();
        assert_eq!(audio.to_wav().unwrap(), fs_err::read(&path).unwrap());
    }

    #[test]
    fn a_sample_that_is_not_a_number_is_refused_before_writing() {
        let folder = tempfile::tempdir().unwrap();
        let error = audio(&[0.0, f32::NAN]).write_wav(folder.path().join("a.wav")).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::SampleNotFinite { index: 1, value } if value.is_nan()));
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("a.wav");
        let error = audio(&[0.0]).write_wav(&path).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::WriteAudio { path });
        assert!(std::error::Error::source(&error).is_some());
    }
}
