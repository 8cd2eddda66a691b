//! What the base said, kept on the disk, so that a second candidate costs only its own runs.
//!
//! One file for each sentence, of [`crate::safetensors`]; one that is damaged is as good as none. Beside it, how such
//! speech was rated, as JSON.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::{Scores, Speech};
use crate::digest::Digest;
use crate::files::{read_json, write_atomically, write_json};
use crate::host::Host;
use crate::safetensors;

/// The extension of kept speech.
const SPEECH: &str = "safetensors";

/// Everything that decides what a model says: with all of this the same, it is the same to the bit on one machine.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Key<'a> {
    /// The model.
    pub(super) model: &'a str,
    /// Whether the predictions of another model were put in the place of its own.
    pub(super) forced: bool,
    pub(super) probe: [&'a str; 3],
    pub(super) runtime: Digest,
    pub(super) threads: usize,
    /// The instruction sets decide which kernels the runtime takes.
    pub(super) host: &'a Host,
    pub(super) ids: &'a [i64],
    pub(super) style: &'a [f32],
    pub(super) speed: f32,
}

/// Raised when a rating is computed in another way.
const RATING: u32 = 1;

/// Everything that decides how a sound is rated.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RatingKey<'a> {
    /// [`RATING`].
    pub(super) revision: u32,
    /// The networks.
    pub(super) models: [Digest; 2],
    pub(super) runtime: Digest,
    pub(super) host: &'a Host,
    /// The samples.
    pub(super) audio: Digest,
}

impl<'a> RatingKey<'a> {
    pub(super) fn new(models: [Digest; 2], runtime: Digest, host: &'a Host, audio: &[f32]) -> Self {
        let bytes: Vec<u8> = audio.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        Self { revision: RATING, models, runtime, host, audio: Digest::of(&bytes) }
    }
}

/// The folder of kept speech.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf() }
    }

    fn path(&self, key: &impl Serialize, extension: &str) -> Result<PathBuf> {
        let digest = Digest::of(&serde_json::to_vec(key)?);
        Ok(self.folder.join(format!("{digest}.{extension}")))
    }

    /// What was kept under `key`; `None` where nothing was, or where it is damaged.
    pub(super) fn find(&self, key: &Key<'_>) -> Result<Option<Speech>> {
        let path = self.path(key, SPEECH)?;
        if !path.exists() {
            return Ok(None);
        }
        Ok(read(&fs_err::read(path)?))
    }

    pub(super) fn keep(&self, key: &Key<'_>, speech: &Speech) -> Result<()> {
        let bytes = written(speech)?;
        write_atomically(&self.path(key, SPEECH)?, |file| std::io::Write::write_all(file, &bytes))?;
        Ok(())
    }

    /// The rating that was kept under `key`; `None` where none was, or where it is damaged.
    pub(super) fn find_rating(&self, key: &RatingKey<'_>) -> Result<Option<Scores>> {
        let path = self.path(key, "json")?;
        Ok(if path.exists() { read_json(&path).ok() } else { None })
    }

    pub(super) fn keep_rating(&self, key: &RatingKey<'_>, scores: &Scores) -> Result<()> {
        write_json(&self.path(key, "json")?, scores)
    }
}

fn written(speech: &Speech) -> Result<Vec<u8>> {
    let Speech { durations, f0, energy, audio } = speech;
    let tensors = [("durations", durations), ("f0", f0), ("energy", energy), ("audio", audio)];
    let shapes = tensors.map(|(_, tensor)| [tensor.len()]);
    let named = tensors.iter().zip(&shapes);
    safetensors::written(named.map(|(&(name, tensor), shape)| (name, (&shape[..], tensor.as_slice()))))
}

fn read(bytes: &[u8]) -> Option<Speech> {
    let mut tensors = safetensors::read(bytes).ok()?;
    let mut take = |name: &str| Some(tensors.remove(name)?.values);
    Some(Speech {
        durations: take("durations")?,
        f0: take("f0")?,
        energy: take("energy")?,
        audio: take("audio")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech() -> Speech {
        Speech {
            durations: vec![1.0, 2.0],
            f0: vec![0.0, 110.5, f32::MIN_POSITIVE],
            energy: vec![-0.0, -3.25],
            audio: vec![0.5; 600],
        }
    }

    fn key(host: &Host, speed: f32) -> Key<'_> {
        Key {
            model: "m",
            forced: false,
            probe: ["a", "b", "c"],
            runtime: Digest::of(b""),
            threads: 2,
            host,
            ids: &[1, 2],
            style: &[0.5],
            speed,
        }
    }

    #[test]
    fn what_is_kept_is_found_to_the_bit_and_under_its_own_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, host) = (Kept::new(&folder.path().join("new")), Host::here());
        assert_eq!(kept.find(&key(&host, 1.0)).unwrap(), None);
        kept.keep(&key(&host, 1.0), &speech()).unwrap();
        let found = kept.find(&key(&host, 1.0)).unwrap().unwrap();
        assert_eq!(found, speech());
        assert!(found.energy[0].is_sign_negative());
        assert_eq!(kept.find(&key(&host, 1.5)).unwrap(), None);
    }

    #[test]
    fn a_rating_is_found_for_the_same_sound_only() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, host) = (Kept::new(&folder.path().join("new")), Host::here());
        let key = |audio: &[f32]| RatingKey::new([Digest::of(b"m"); 2], Digest::of(b""), &host, audio);
        let scores = Scores { ovrl: 3.1, sig: 1.0 / 3.0, bak: 4.5, p808: 2.0 };
        assert_eq!(kept.find_rating(&key(&[0.5, 0.25])).unwrap(), None);
        kept.keep_rating(&key(&[0.5, 0.25]), &scores).unwrap();
        assert_eq!(kept.find_rating(&key(&[0.5, 0.25])).unwrap(), Some(scores));
        assert_eq!(kept.find_rating(&key(&[0.25, 0.5])).unwrap(), None);
        let path = kept.path(&key(&[0.5, 0.25]), "json").unwrap();
        fs_err::write(path, "{\"ovrl\": 3.1}").unwrap();
        assert_eq!(kept.find_rating(&key(&[0.5, 0.25])).unwrap(), None);
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let whole = written(&speech()).unwrap();
        assert_eq!(read(&whole), Some(speech()));
        for length in [0, 7, 8, 40, whole.len() - 1] {
            assert_eq!(read(&whole[..length]), None, "{length} bytes");
        }
        for at in [0, 9, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(read(&changed), None, "byte {at}");
        }
    }
}
