//! Plugin libraries of execution providers: a verified wheel in the cache, and its files beside it.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};

use super::archive::{bad_archive, wheel_folder};
use super::cache::{Entry, Size};
use super::error::{FetchError, SourceError};
use super::http::Standing;
use super::part::Part;
use super::tools::Tags;
use super::{Candidate, Fetched, Fetcher};
use crate::failure::Failure;
use crate::files::write_atomically;
use crate::recipe::{PluginRecipe, PluginWheel, platform_here};

/// The folder beside a wheel that has its files.
const UNPACKED: &str = "unpacked";

impl Fetcher {
    /// The library of a plugin, by the wheel that is pinned for this platform.
    ///
    /// The wheel is hashed and read anew each time, for only its digest is pinned: what lies beside it in the cache is used if
    /// it is what the wheel holds, and replaced if it is not.
    ///
    /// # Errors
    /// [`Failure::Usage`] where none is pinned for this platform; [`Failure::Fetch`] over a [`FetchError`].
    pub fn plugin(&self, plugin: &PluginRecipe) -> Result<Fetched> {
        let PluginRecipe { package, version, .. } = plugin;
        let wheel = plugin.here().ok_or_else(|| {
            let platforms: Vec<_> = plugin.platforms.keys().map(String::as_str).collect();
            let made_for = platforms.join(", ");
            anyhow!("`{package}` {version} is not made for `{}`, only for {made_for}", platform_here())
                .context(Failure::Usage)
        })?;
        let entry = self.cache.entry(&plugin.file_name(), wheel.sha256, Size::Exactly(wheel.bytes));
        let candidate = Candidate::WholeWheel { package, version, wheel };
        let fetched = self.obtain(&entry, &[candidate], Standing::Last).context(Failure::Fetch)?;
        let path = self.unpack(wheel, &entry).context(Failure::Fetch)?;
        Ok(Fetched { name: wheel.library_name().to_owned(), path, ..fetched })
    }

    /// The library among the files of its folder, each as the wheel has it.
    fn unpack(&self, wheel: &PluginWheel, entry: &Entry) -> Result<PathBuf, FetchError> {
        let failed = |error| FetchError::Source { from: entry.name.clone(), error };
        let _lock = self.lock(&format!("{}.{UNPACKED}", entry.sha256), &entry.name)?;
        let folder = entry.path().with_file_name(UNPACKED);
        let mut found = false;
        wheel_folder(&entry.path(), wheel.folder(), |name, bytes| {
            found |= name == wheel.library_name();
            let path = folder.join(name);
            if fs_err::read(&path).is_ok_and(|known| known == bytes) {
                return Ok(());
            }
            fs_err::create_dir_all(&folder).map_err(SourceError::Local)?;
            write_atomically(&path, |file| file.write_all(&bytes)).map_err(SourceError::Local)
        })
        .map_err(failed)?;
        if found {
            return Ok(folder.join(wheel.library_name()));
        }
        let problem = format!("expected the member `{}`, found none", wheel.library);
        Err(failed(bad_archive(&entry.path(), problem)))
    }

    /// Has pip bring a wheel into its place, as it is.
    pub(super) fn bring_whole_wheel(
        &self,
        package: &str,
        version: &str,
        wheel: &PluginWheel,
        entry: &Entry,
    ) -> Result<(), SourceError> {
        let PluginWheel { python, abi, tag, .. } = wheel;
        let what = format!("`{}`: pip downloads `{package}` {version}, {tag}", entry.name);
        let _busy = self.options.console.busy(&what);
        let scratch = entry.scratch().map_err(SourceError::Local)?;
        let tags = Tags { python, abi, tag };
        let file = self.tools.pip_download(package, version, Some(tags), scratch.folder())?;
        let mut part = Part::create(entry)?;
        part.write_all_of(fs_err::File::open(&file).map_err(SourceError::Local)?, SourceError::Local)?;
        part.finish()
    }
}
