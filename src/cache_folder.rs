//! The folder of files that were fetched, found alike by the library, the build script and the tests.

use std::ffi::OsString;
use std::path::PathBuf;

/// The cache folder: `KOKORO_MODEL_CACHE`, else `kokoro-model` in the user's cache folder, which is that of the
/// XDG base directory specification on every Unix, macOS too, and the local application data on Windows.
pub fn cache(variable: impl Fn(&str) -> Option<OsString>, windows: bool) -> Option<PathBuf> {
    let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(cache) = path("KOKORO_MODEL_CACHE") {
        return Some(cache);
    }
    let user = if windows {
        path("LOCALAPPDATA").or_else(|| Some(path("USERPROFILE")?.join("AppData").join("Local")))
    } else {
        // The specification has relative paths ignored.
        path("XDG_CACHE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| Some(path("HOME")?.join(".cache")))
    };
    Some(user?.join("kokoro-model"))
}
