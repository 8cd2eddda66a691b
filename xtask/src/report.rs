//! `artifacts/report.html`: one page that shows what a run found, for somebody who was not there.
//!
//! The page is a pure function of the results and of the WAV files beside them. It is one file that asks nobody for
//! anything: style, script, pictures and sound are inside, and a policy in its head has the browser refuse the rest.
//! Everything but the habit of one player to silence the others works without the script.

mod candidates;
mod colour;
mod fidelity;
mod gates;
mod glossary;
mod models;
mod operators;
mod page;
mod picture;
mod provenance;
mod providers;
mod scale;
mod sentences;
mod size;
mod sound;
mod spectrogram;
mod speed;
mod text;
mod verdict;

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use self::models::Models;
use self::sound::Recordings;
use crate::artifacts::Artifacts;
use crate::files::write_atomically;
use crate::results::Results;

/// The page as HTML; `audio` is the folder of what each model said. A sound that is not there is said to be missing.
///
/// # Errors
/// A WAV file that is there cannot be read.
pub fn build(results: &Results, audio: &Path) -> Result<String> {
    let models = Models::of(results);
    let recordings = Recordings::read(results, &models, audio)?;
    Ok(page::page(results, &models, Told::Everything, &recordings).into_string())
}

/// The page of a release: the same without sections on speed and machine, which says so. `results` are
/// those of [`Results::without_timings`]; `unofficial` is why nobody should take the release for an official one.
///
/// # Errors
/// As [`build`].
pub fn of_release(results: &Results, unofficial: Option<&str>, audio: &Path) -> Result<String> {
    let models = Models::of(results);
    let recordings = Recordings::read(results, &models, audio)?;
    Ok(page::page(results, &models, Told::Release { unofficial }, &recordings).into_string())
}

/// Which page it is.
#[derive(Clone, Copy)]
enum Told<'a> {
    /// All that a run found.
    Everything,
    /// What is the same wherever the page is made.
    Release { unofficial: Option<&'a str> },
}

impl Told<'_> {
    fn is_release(self) -> bool {
        matches!(self, Self::Release { .. })
    }
}

/// Builds the page from `results` and what is in the artifacts folder, and writes it to `path`, where it appears only when
/// it is whole.
///
/// # Errors
/// Those of [`build`] and the disk's.
pub fn write(results: &Results, artifacts: &Artifacts, path: &Path) -> Result<()> {
    let page = build(results, &artifacts.audio()).context("the report cannot be made")?;
    write_atomically(path, |file| file.write_all(page.as_bytes()))
        .with_context(|| format!("cannot write `{}`", path.display()))
}
