//! The styles of all voices in 1.7 MB instead of 28.
//!
//! A style changes slowly from one length of input to the next. So values are rounded to multiples of 2^−16, and of each
//! column the second differences are stored: most of them fit in one byte. What is left is compressed by voice, so that
//! one voice can be had without the others. `src/packed.rs` reads it, and states the error.
//!
//! All voices are embedded or none: choosing some would save less than a megabyte. Finer steps
//! would be of no use. In two voices the sound differs from that of the published style by 24 to 30
//! dB SNR with steps of 2^−16, by 24 to 34 dB with 2^−22, and by 30 to 32 dB when every value moves
//! by its last bit alone. It is the phase of the voiced sound, a sum over F0; durations are the
//! same.
//!
//! `miniz_oxide` is called itself, not through flate2, whose backend any other crate of the build
//! may choose, and each compresses to bytes of its own.

use std::fmt;
use std::path::{Path, PathBuf};

use miniz_oxide::deflate::compress_to_vec_zlib;

use super::digest::Hasher;
use super::recipe::Voices;
use super::settings::{Settings, Source};

/// The shape of a voice file, float32 [510, 1, 256], little-endian.
const ROWS: usize = 510;
const COLUMNS: usize = 256;

/// Steps in 1.0. A power of two, so that what is stored is exact in float32.
const STEPS: f64 = 65_536.0;

/// All voices, packed.
#[derive(Debug, Default)]
pub struct Packed {
    /// One zlib stream after the other, in the order of the names.
    pub bytes: Vec<u8>,
    /// Where each stream ends.
    pub ends: Vec<usize>,
    /// The files that it was made of, for `cargo::rerun-if-changed`.
    pub watched: Vec<PathBuf>,
}

impl Packed {
    /// The Rust source of `PACKED` and `ENDS`.
    pub fn source(&self) -> String {
        format!(
            "/// One zlib stream for each voice.\nstatic PACKED: &[u8] = include_bytes!(\"voices.bin\");\n\
             /// Where each stream ends.\nstatic ENDS: &[usize] = &{:?};\n",
            self.ends
        )
    }
}

/// Why there are no voices to embed. Its text is the one message a user sees.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong, in one line.
    pub reason: String,
    /// The voice.
    pub name: String,
    /// Its digest.
    pub sha256: String,
    /// The file looked for; none without a cache.
    pub looked_in: Option<PathBuf>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, name, sha256, looked_in } = self;
        writeln!(f, "no voices to embed: {reason}\ndigest: `{sha256}`")?;
        match looked_in {
            Some(path) => writeln!(f, "looked in: `{}`", path.display())?,
            None => writeln!(f, "looked in: no cache, for neither `KOKORO_MODEL_CACHE` nor `HOME` is set")?,
        }
        write!(f, "hint: `cargo xtask fetch {name}` brings all voices into the cache; ")?;
        write!(f, "`KOKORO_MODEL_ARTIFACT=none` builds without voices and model")
    }
}

impl std::error::Error for Failure {}

/// Takes the voices from the cache, checks their digests and packs them; nothing if the settings ask for nothing.
///
/// # Errors
/// The one message that tells which voice is missing or wrong, and what to do.
pub fn pack(settings: &Settings, voices: &Voices) -> Result<Packed, Failure> {
    let mut packed = Packed::default();
    if settings.source == Source::Nothing {
        return Ok(packed);
    }
    let hasher = Hasher::new(settings);
    for (name, sha256) in &voices.sha256 {
        let path = settings.cache.as_ref().map(|cache| cache.join(sha256).join(format!("{name}.bin")));
        let failure =
            |reason| Failure { reason, name: name.clone(), sha256: sha256.clone(), looked_in: path.clone() };
        let Some(path) = &path else { return Err(failure(format!("the voice `{name}` is missing"))) };
        let bytes = read(path, sha256, voices.bytes, &hasher).map_err(failure)?;
        let stream = compress(&bytes).map_err(|reason| failure(format!("`{}`: {reason}", path.display())))?;
        packed.bytes.extend(stream);
        packed.ends.push(packed.bytes.len());
        packed.watched.push(path.clone());
    }
    Ok(packed)
}

/// The bytes that were hashed.
fn read(path: &Path, sha256: &str, size: u64, hasher: &Hasher) -> Result<Vec<u8>, String> {
    let bytes = fs_err::read(path).map_err(|error| error.to_string())?;
    if bytes.len() as u64 != size {
        return Err(format!("`{}` has {} bytes, expected {size}", path.display(), bytes.len()));
    }
    let found = hasher.of_bytes(&bytes).map_err(|error| error.to_string())?;
    if found == sha256 {
        Ok(bytes)
    } else {
        Err(format!("`{}` has the digest `{found}`, expected `{sha256}`", path.display()))
    }
}

/// One voice file as a zlib stream: column by column, the second differences of its steps, each as a variable-length
/// integer (LEB128) of its zigzag code.
pub fn compress(voice: &[u8]) -> Result<Vec<u8>, String> {
    let values = voice.as_chunks::<4>().0;
    if voice.len() != ROWS * COLUMNS * 4 {
        return Err(format!("a voice of {} bytes, expected {}", voice.len(), ROWS * COLUMNS * 4));
    }
    let mut codes = Vec::with_capacity(ROWS * COLUMNS * 5 / 4);
    for column in 0..COLUMNS {
        let (mut before, mut slope) = (0, 0);
        for row in 0..ROWS {
            let index = row * COLUMNS + column;
            let value = f32::from_le_bytes(values[index]);
            // Styles lie within ±4; what is far outside is another kind of file.
            if !value.is_finite() || value.abs() >= 128.0 {
                return Err(format!("value {index} is `{value}`, expected a number within ±128"));
            }
            let step = (f64::from(value) * STEPS).round_ties_even() as i64;
            let difference = step - before - slope;
            (before, slope) = (step, step - before);
            let mut code = (difference << 1 ^ difference >> 63) as u64;
            while code >= 0x80 {
                codes.push(code as u8 | 0x80);
                code >>= 7;
            }
            codes.push(code as u8);
        }
    }
    Ok(compress_to_vec_zlib(&codes, 9))
}
