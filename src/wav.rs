//! WAV files, written while the sound is made.

use std::fmt;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::audio::to_pcm16;
use crate::error::{Error, ErrorKind};

/// How a sample is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SampleFormat {
    /// A signed integer of 16 bits; what is beyond full scale is clipped.
    #[default]
    Pcm16,
    /// A float of 32 bits (IEEE 754).
    Float32,
}

impl SampleFormat {
    pub(crate) fn spec(self, sample_rate: u32) -> hound::WavSpec {
        let (bits_per_sample, sample_format) = match self {
            Self::Pcm16 => (16, hound::SampleFormat::Int),
            Self::Float32 => (32, hound::SampleFormat::Float),
        };
        hound::WavSpec { channels: 1, sample_rate, bits_per_sample, sample_format }
    }

    pub(crate) fn write<W: Write + Seek>(
        self,
        writer: &mut hound::WavWriter<W>,
        sample: f32,
    ) -> Result<(), hound::Error> {
        match self {
            Self::Pcm16 => writer.write_sample(to_pcm16(sample)),
            Self::Float32 => writer.write_sample(sample),
        }
    }
}

/// A mono WAV file that grows with the sound, in constant memory. It has its name when it is finished: until then, and for ever
/// if the program ends before, it is called as [`Self::partial`] says. Dropped unfinished, it is removed.
///
/// ```
/// use kokoro_model::{SampleFormat, WavWriter};
///
/// let path = std::env::temp_dir().join("growing.wav");
/// let mut file = WavWriter::create(&path, 24_000, SampleFormat::Pcm16)?;
/// for _ in 0..10 {
///     file.write(&[0.0; 2_400])?;
/// }
/// file.finish()?;
/// # Ok::<(), kokoro_model::Error>(())
/// ```
pub struct WavWriter {
    // Before the name, so that it is closed when that is removed: some systems remove no open file.
    writer: hound::WavWriter<BufWriter<fs_err::File>>,
    partial: Partial,
    path: PathBuf,
    format: SampleFormat,
    written: usize,
}

impl WavWriter {
    /// A file that will be called `path`.
    ///
    /// # Errors
    /// [`ErrorKind::WriteAudio`] if the file system refuses.
    pub fn create(path: impl AsRef<Path>, sample_rate: u32, format: SampleFormat) -> Result<Self, Error> {
        let path = path.as_ref();
        let partial = partial_beside(path);
        let file = fs_err::File::create_new(&partial).map_err(|source| failed(path, source))?;
        // From here on it removes what it made.
        let partial = Partial(partial);
        let writer = hound::WavWriter::new(BufWriter::new(file), format.spec(sample_rate))
            .map_err(|source| failed(path, source))?;
        Ok(Self { writer, partial, path: path.to_path_buf(), format, written: 0 })
    }

    /// What the file is called until it is finished.
    pub fn partial(&self) -> &Path {
        &self.partial.0
    }

    /// Appends samples.
    ///
    /// # Errors
    /// [`ErrorKind::SampleNotFinite`] before any of them is written, [`ErrorKind::WriteAudio`].
    pub fn write(&mut self, samples: &[f32]) -> Result<(), Error> {
        if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
            let value = samples[index];
            return Err(ErrorKind::SampleNotFinite { index: self.written + index, value }.into());
        }
        let mut write = || {
            for &sample in samples {
                self.format.write(&mut self.writer, sample)?;
            }
            // The lengths at the beginning are true after every piece, so a partial file plays.
            self.writer.flush()
        };
        write().map_err(|source| failed(&self.path, source))?;
        self.written += samples.len();
        Ok(())
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`ErrorKind::WriteAudio`]; what was written is removed then.
    pub fn finish(self) -> Result<(), Error> {
        let Self { writer, partial, path, .. } = self;
        writer.finalize().map_err(|source| failed(&path, source))?;
        let file = fs_err::OpenOptions::new().append(true).open(&partial.0);
        file.and_then(|file| file.sync_all())
            .and_then(|()| fs_err::rename(&partial.0, &path))
            .map_err(|source| failed(&path, source))
    }
}

fn failed(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::with_source(ErrorKind::WriteAudio { path: path.to_path_buf() }, source)
}

/// The name of a file that is not whole; dropped, the file is removed, unless it has another name by then.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs_err::remove_file(&self.0);
    }
}

impl fmt::Debug for WavWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("WavWriter");
        debug.field("path", &self.path).field("samples", &self.written).finish_non_exhaustive()
    }
}

/// A name in the same folder, so that the rename cannot cross file systems, and unlike that of any other
/// writer of the same file.
fn partial_beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}-{}.part", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_grows_under_another_name_and_plays_before_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut file = WavWriter::create(&path, 8_000, SampleFormat::Float32).unwrap();
        file.write(&[0.25, -1.5]).unwrap();
        assert!(!path.exists());
        let partial = hound::WavReader::open(file.partial()).unwrap();
        assert_eq!((partial.spec().sample_rate, partial.duration()), (8_000, 2));
        file.write(&[0.5]).unwrap();
        file.finish().unwrap();
        let samples: Vec<f32> =
            hound::WavReader::open(&path).unwrap().samples().map(Result::unwrap).collect();
        assert_eq!(samples, [0.25, -1.5, 0.5]);
        assert_eq!(names(folder.path()), ["a.wav"]);
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut file = WavWriter::create(&path, 24_000, SampleFormat::Pcm16).unwrap();
        file.write(&[0.0]).unwrap();
        let error = file.write(&[0.0, f32::NAN]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::SampleNotFinite { index: 2, .. }), "{error}");
        drop(file);
        assert!(names(folder.path()).is_empty());
    }
}
