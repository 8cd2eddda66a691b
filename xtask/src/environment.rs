//! Every environment variable that the commands read, in one place.
//!
//! The HTTP client reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` itself, and pip and
//! npm their own settings.

use std::env;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use etcetera::BaseStrategy as _;

use crate::failure::Failure;

/// What the environment says. An empty variable counts as one that is not set.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `KOKORO_MODEL_CACHE`: the folder of fetched files, in place of the user's cache folder.
    pub cache: Option<PathBuf>,
    /// `ORT_DYLIB_PATH`: an ONNX Runtime library to use in place of a fetched one.
    pub ort_dylib_path: Option<PathBuf>,
    /// `NO_COLOR`: no colours, whatever the terminal can do.
    pub no_color: bool,
    /// `CI`: plain lines, even when the log looks like a terminal.
    pub ci: bool,
    /// `CARGO`: the cargo that runs this program, to run more of it.
    pub cargo: OsString,
    /// The names of the variables by which cargo tells this program of its package, `CARGO_PKG_NAME` and so on.
    pub of_package: Vec<OsString>,
}

impl Environment {
    /// Reads the variables of this process.
    pub fn read() -> Self {
        let of_package = |name: &OsString| {
            let name = name.to_string_lossy();
            ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix))
        };
        let of_package = env::vars_os().map(|(name, _)| name).filter(of_package).collect();
        Self { of_package, ..Self::from(|name| env::var_os(name)) }
    }

    /// Reads the variables through `variable`, so that a test need not change its own process.
    pub fn from(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self {
            cache: set("KOKORO_MODEL_CACHE").map(PathBuf::from),
            ort_dylib_path: set("ORT_DYLIB_PATH").map(PathBuf::from),
            no_color: set("NO_COLOR").is_some(),
            ci: set("CI").is_some_and(|value| value != "false" && value != "0"),
            cargo: set("CARGO").unwrap_or_else(|| "cargo".into()),
            of_package: Vec::new(),
        }
    }

    /// The folder of fetched files: `KOKORO_MODEL_CACHE`, else `kokoro-model` in the user's cache folder.
    ///
    /// # Errors
    /// Neither the variable nor the user's home folder is known.
    pub fn cache_folder(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.cache {
            return Ok(folder.clone());
        }
        let user = etcetera::choose_base_strategy()
            .context("the user's cache folder is not known\nhint: set `KOKORO_MODEL_CACHE` to a folder")
            .context(Failure::Usage)?;
        Ok(user.cache_dir().join("kokoro-model"))
    }

    /// Whether standard error can show a bar that redraws itself.
    pub fn redraws(&self) -> bool {
        !self.ci && std::io::stderr().is_terminal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::from(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn reads_what_is_set() {
        let all = environment(&[
            ("KOKORO_MODEL_CACHE", "cache"),
            ("ORT_DYLIB_PATH", "lib.so"),
            ("NO_COLOR", "1"),
            ("CI", "true"),
        ]);
        assert_eq!(all.cache_folder().unwrap(), PathBuf::from("cache"));
        assert_eq!(all.ort_dylib_path, Some(PathBuf::from("lib.so")));
        assert!(all.no_color && all.ci && !all.redraws());
    }

    #[test]
    fn empty_is_not_set() {
        let empty = environment(&[
            ("KOKORO_MODEL_CACHE", ""),
            ("ORT_DYLIB_PATH", ""),
            ("NO_COLOR", ""),
            ("CI", "false"),
        ]);
        assert!(empty.cache.is_none() && empty.ort_dylib_path.is_none());
        assert!(!empty.no_color && !empty.ci);
    }
}
