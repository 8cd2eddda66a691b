//! What each model said, as players and for spectrograms.
//!
//! Players hold FLAC, which every browser plays and which is the same to the bit. Twelve sentences
//! by four models are 18 MB as WAV inside a page; as FLAC the whole page is 8.6 MB.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flacenc::bitsink::ByteSink;
use flacenc::component::BitRepr as _;
use flacenc::error::Verify as _;
use flacenc::source::MemSource;

use super::models::Models;
use crate::results::Results;

/// What one model said of one sentence.
pub(super) struct Recording {
    /// Samples within −1.0..=1.0.
    pub(super) samples: Vec<f32>,
    /// Samples per second.
    pub(super) sample_rate: u32,
    /// The sound as FLAC, ready for a player.
    pub(super) address: String,
}

impl Recording {
    /// How long it plays.
    pub(super) fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate)
    }
}

/// The recordings there are, by the id of the sentence and the name of the model.
pub(super) struct Recordings(BTreeMap<(String, String), Recording>);

impl Recordings {
    /// Reads the WAV files of every sentence and model from `folder`, as far as they are there.
    ///
    /// # Errors
    /// A file that is there cannot be read or is not 16-bit mono.
    pub(super) fn read(results: &Results, models: &Models<'_>, folder: &Path) -> Result<Self> {
        let mut recordings = BTreeMap::new();
        for sentence in &results.sentences {
            for model in models.iter() {
                let path = folder.join(format!("{}-{}.wav", model.name, sentence.id));
                if path.exists() {
                    let recording = read(&path).with_context(|| format!("`{}`", path.display()))?;
                    recordings.insert((sentence.id.clone(), model.name.to_owned()), recording);
                }
            }
        }
        Ok(Self(recordings))
    }

    /// What `model` said of the sentence `id`.
    pub(super) fn get(&self, id: &str, model: &str) -> Option<&Recording> {
        self.0.get(&(id.to_owned(), model.to_owned()))
    }
}

fn read(path: &Path) -> Result<Recording> {
    let mut reader = hound::WavReader::new(std::io::BufReader::new(fs_err::File::open(path)?))?;
    let hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
    ensure!(
        (channels, bits_per_sample, sample_format) == (1, 16, hound::SampleFormat::Int),
        "expected 16-bit mono, found {bits_per_sample} bits and {channels} channels"
    );
    let samples: Vec<i16> = reader.samples().collect::<Result<_, _>>()?;
    Ok(Recording {
        address: data("audio/flac", &flac(&samples, sample_rate)?),
        samples: samples.iter().map(|sample| f32::from(*sample) / 32_768.0).collect(),
        sample_rate,
    })
}

/// A file inside the page.
pub(super) fn data(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}

/// The same sound in about half the bytes, to the bit.
fn flac(samples: &[i16], sample_rate: u32) -> Result<Vec<u8>> {
    let settings = flacenc::config::Encoder::default()
        .into_verified()
        .map_err(|(_, error)| anyhow!("the settings of the FLAC encoder: {error}"))?;
    let samples: Vec<i32> = samples.iter().map(|sample| i32::from(*sample)).collect();
    let source = MemSource::from_samples(&samples, 1, 16, sample_rate as usize);
    let stream = flacenc::encode_with_fixed_block_size(&settings, source, settings.block_size)
        .map_err(|error| anyhow!("cannot be encoded as FLAC: {error}"))?;
    let mut sink = ByteSink::new();
    stream.write(&mut sink).map_err(|error| anyhow!("cannot be written as FLAC: {error}"))?;
    Ok(sink.as_slice().to_vec())
}
