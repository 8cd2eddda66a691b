//! What was measured so far, kept on the disk after each measurement, so that a search that was ended goes on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::cost::Costs;
use super::trial::Distance;
use crate::digest::Digest;
use crate::files::{read_json, write_json};
use crate::host::Host;

/// Everything that measurements depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The base.
    pub base: Digest,
    /// The plan with all candidates, and so its ranges.
    pub plan: Digest,
    /// The recipe.
    pub recipe: Digest,
    /// The version of the quantizer.
    pub tool: String,
    /// The library that ran the models.
    pub runtime: Digest,
    /// The machine: times are of it, and its instruction sets decide what a kernel rounds.
    pub host: Host,
}

/// One measured plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The convolutions in INT8.
    #[serde(rename = "static")]
    pub convolutions: BTreeSet<String>,
    /// How far it is from the base.
    pub distance: Distance,
    /// How long measuring took, in seconds.
    pub seconds: f64,
}

/// What was measured for one [`Key`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// What it depends on.
    pub key: Key,
    /// The plan with all candidates, on all calibration sentences.
    pub survey: Option<Distance>,
    /// Which of the levels of units was taken, the finest being 0.
    pub level: Option<usize>,
    /// What each convolution costs.
    pub costs: Option<Costs>,
    /// The plans that were tried, in that order.
    pub trials: Vec<Trial>,
    #[serde(skip)]
    path: PathBuf,
}

impl State {
    /// What the file at `path` has of this `key`; nothing if there is none, it is damaged, of another key, or `fresh` is
    /// wanted.
    pub fn open(path: &Path, key: Key, fresh: bool) -> Self {
        let known = if fresh { None } else { read_json::<Self>(path).ok().filter(|state| state.key == key) };
        let nothing =
            || Self { key, survey: None, level: None, costs: None, trials: Vec::new(), path: PathBuf::new() };
        Self { path: path.to_path_buf(), ..known.unwrap_or_else(nothing) }
    }

    /// What was measured of a plan.
    pub fn find(&self, convolutions: &BTreeSet<String>) -> Option<&Trial> {
        self.trials.iter().find(|trial| trial.convolutions == *convolutions)
    }

    /// Keeps a measurement.
    ///
    /// # Errors
    /// The disk's.
    pub fn add(&mut self, trial: Trial) -> Result<()> {
        self.trials.push(trial);
        self.write()
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self) -> Result<()> {
        write_json(&self.path, self)
    }

    /// How long a trial takes, in seconds; `None` before the first.
    pub fn seconds(&self) -> Option<f64> {
        let sum: f64 = self.trials.iter().map(|trial| trial.seconds).sum();
        (!self.trials.is_empty()).then(|| sum / self.trials.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::trial::{Heard, Predicted};

    fn key(tool: &str) -> Key {
        Key {
            base: Digest::of(b"base"),
            plan: Digest::of(b"plan"),
            recipe: Digest::of(b"recipe"),
            tool: tool.to_owned(),
            runtime: Digest::of(b"runtime"),
            host: Host::here(),
        }
    }

    #[test]
    fn measurements_are_found_again_under_their_own_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tune/base.json");
        let mut state = State::open(&path, key("1"), false);
        assert_eq!(state.seconds(), None);
        let heard = Heard { lsd_db: 0.1, snr_db: 1.0 / 3.0 };
        let predicted = Predicted { durations_exact: 1.0, f0_mean_cents: 0.5, energy_nepers: 0.01 };
        let distance = Distance { sentences: [("cal-02".to_owned(), heard)].into(), predicted };
        let convolutions = BTreeSet::from(["/a/Conv".to_owned()]);
        let trial = Trial { convolutions: convolutions.clone(), distance, seconds: 2.0 };
        state.add(trial.clone()).unwrap();
        state.add(Trial { convolutions: BTreeSet::new(), seconds: 4.0, ..trial.clone() }).unwrap();

        let again = State::open(&path, key("1"), false);
        assert_eq!(again, state);
        assert_eq!((again.find(&convolutions), again.seconds()), (Some(&trial), Some(3.0)));
        assert!(State::open(&path, key("1"), true).trials.is_empty());
        assert!(State::open(&path, key("2"), false).trials.is_empty());
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(&path, &text[..text.len() / 2]).unwrap();
        assert!(State::open(&path, key("1"), false).trials.is_empty());
    }
}
