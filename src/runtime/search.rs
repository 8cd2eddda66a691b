//! Where a library is looked for, and in what order.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::canonical;
use super::verified::{Library, PINNED};
use crate::cache_folder::cache;
use crate::error::{Error, ErrorKind};

/// Everything that decides what is found.
pub(super) struct Surroundings {
    /// `KOKORO_ONNXRUNTIME`.
    given: Option<PathBuf>,
    /// The running program.
    executable: Option<PathBuf>,
    /// The cache folder, if there is a home folder.
    cache: Option<PathBuf>,
    /// The library in this binary.
    #[cfg(feature = "bundle-runtime")]
    bundle: Option<super::bundle::Bundle<'static>>,
    /// The folder for temporary files.
    #[cfg(feature = "bundle-runtime")]
    temporary: PathBuf,
}

impl Surroundings {
    pub(super) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        Self {
            given: variable("KOKORO_ONNXRUNTIME").filter(|value| !value.is_empty()).map(PathBuf::from),
            executable: std::env::current_exe().ok(),
            cache: cache(variable, cfg!(windows)),
            #[cfg(feature = "bundle-runtime")]
            bundle: super::bundle::Bundle::of_this_binary(),
            #[cfg(feature = "bundle-runtime")]
            temporary: std::env::temp_dir(),
        }
    }

    /// Hands the first library that is there to `start`.
    pub(super) fn load<T>(&self, start: impl Fn(PathBuf) -> Result<T, Error>) -> Result<T, Error> {
        if let Some(path) = &self.given {
            return start(canonical(path)?);
        }
        let mut looked_in = vec!["`KOKORO_ONNXRUNTIME`: not set".to_owned()];
        match self.beside() {
            Ok(path) => return start(path),
            Err(place) => looked_in.push(place),
        }
        #[cfg(feature = "bundle-runtime")]
        if let Some(bundle) = &self.bundle {
            return bundle.load(self.cache.as_deref(), &self.temporary, start);
        }
        looked_in.push("this binary: built without a library in it".to_owned());
        match self.cached(PINNED.as_ref()) {
            Ok(path) => start(path),
            Err(place) => {
                looked_in.push(place);
                Err(ErrorKind::RuntimeNotFound { looked_in }.into())
            }
        }
    }

    /// The library beside the executable, or why there is none.
    fn beside(&self) -> Result<PathBuf, String> {
        let Some(executable) = &self.executable else {
            return Err("beside the executable: its path is not known".to_owned());
        };
        // Of a program that was started through a link, the folder it is really in.
        let executable = fs_err::canonicalize(executable).unwrap_or_else(|_| executable.clone());
        let folder = executable.parent().unwrap_or(Path::new(""));
        let names = fs_err::read_dir(folder).map_err(|error| error.to_string())?.flatten();
        let versions = names.filter_map(|entry| {
            let name = entry.file_name();
            Some((version(name.to_str()?)?, name))
        });
        // A name without a version is the choice of whoever put it there; it goes before all versions.
        let best = versions.max_by_key(|(version, _)| (version.is_empty(), version.clone()));
        let Some((_, name)) = best else {
            let expected = format!("{PREFIX}onnxruntime{}", std::env::consts::DLL_SUFFIX);
            return Err(format!("`{}`: missing", folder.join(expected).display()));
        };
        let path = canonical(&folder.join(name)).map_err(|error| error.to_string())?;
        if trusted(&path, &executable).map_err(|error| error.to_string())? {
            Ok(path)
        } else {
            Err(format!("`{}`: anybody could have put it there, so it is not loaded", path.display()))
        }
    }

    /// The library that `cargo xtask` fetched, or why there is none.
    fn cached(&self, pinned: Option<&Library>) -> Result<PathBuf, String> {
        let Some(pinned) = pinned else {
            let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
            return Err(format!("the cache: no library is pinned for `{system}-{processor}`"));
        };
        let Some(cache) = &self.cache else {
            return Err("the cache: there is no home folder".to_owned());
        };
        let path = pinned.cached(cache);
        let fault = match fs_err::File::open(&path) {
            Ok(file) => pinned.fault(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(format!("`{}`: missing", path.display()));
            }
            Err(error) => Err(error),
        };
        match fault.map_err(|error| error.to_string())? {
            None => canonical(&path).map_err(|error| error.to_string()),
            Some(fault) => Err(format!("`{}`: {fault}", path.display())),
        }
    }
}

const PREFIX: &str = std::env::consts::DLL_PREFIX;

/// The version in the file name of a library, empty if there is none: `libonnxruntime.so.1.26.0` on Linux,
/// `libonnxruntime.1.26.0.dylib` on macOS. `None` for the name of anything else.
fn version(name: &str) -> Option<Vec<u32>> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix("onnxruntime")?;
    let suffix = std::env::consts::DLL_SUFFIX;
    let version = rest.strip_prefix(suffix).or_else(|| rest.strip_suffix(suffix))?;
    if version.is_empty() {
        return Some(Vec::new());
    }
    version.strip_prefix('.')?.split('.').map(|part| part.parse().ok()).collect()
}

/// Whether a file belongs to root or to whoever put the executable there, and not everybody may write to it. A program
/// may well be started from a folder that others can write to, such as one for downloads.
#[cfg(unix)]
fn trusted(library: &Path, executable: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    const WRITABLE_BY_OTHERS: u32 = 0o002;
    let (library, executable) = (fs_err::metadata(library)?, fs_err::metadata(executable)?);
    let owned = [0, executable.uid()].contains(&library.uid());
    Ok(owned && library.mode() & WRITABLE_BY_OTHERS == 0)
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "on Unix it asks the file system")]
fn trusted(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests;
