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
    /// `SOURCE_DATE_EPOCH`: the time of the files in a release, in seconds since 1970.
    pub source_date_epoch: Option<OsString>,
    /// `MINISIGN_PASSWORD`: the password of the secret key that signs a release.
    pub minisign_password: Option<Secret>,
    /// `GITHUB_*`: the workflow that this is a step of, if `GITHUB_ACTIONS` is `true`.
    pub github: Option<GitHubActions>,
    /// `CARGO`: the cargo that runs this program, to run more of it.
    pub cargo: OsString,
    /// The names of the variables by which cargo tells this program of its package, `CARGO_PKG_NAME` and so on.
    pub of_package: Vec<OsString>,
}

/// Text that is never shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// A run of a workflow on GitHub Actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitHubActions {
    /// `GITHUB_SERVER_URL`, such as `https://github.com`.
    pub server: String,
    /// `GITHUB_REPOSITORY`: owner and name.
    pub repository: String,
    /// `GITHUB_WORKFLOW_REF`: the workflow's file and the reference it was read at.
    pub workflow: String,
    /// `GITHUB_SHA`: the commit that was checked out.
    pub commit: String,
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
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let github = || {
            (text("GITHUB_ACTIONS")? == "true").then_some(())?;
            Some(GitHubActions {
                server: text("GITHUB_SERVER_URL")?,
                repository: text("GITHUB_REPOSITORY")?,
                workflow: text("GITHUB_WORKFLOW_REF")?,
                commit: text("GITHUB_SHA")?,
            })
        };
        Self {
            cache: set("KOKORO_MODEL_CACHE").map(PathBuf::from),
            ort_dylib_path: set("ORT_DYLIB_PATH").map(PathBuf::from),
            no_color: set("NO_COLOR").is_some(),
            ci: set("CI").is_some_and(|value| value != "false" && value != "0"),
            source_date_epoch: set("SOURCE_DATE_EPOCH"),
            minisign_password: text("MINISIGN_PASSWORD").map(Secret),
            github: github(),
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
    fn a_workflow_is_known_only_where_there_is_one_and_no_password_is_shown() {
        let mut variables = vec![
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "o/r"),
            ("GITHUB_WORKFLOW_REF", "o/r/.github/workflows/release.yml@refs/tags/v1"),
            ("GITHUB_SHA", "0123"),
            ("MINISIGN_PASSWORD", "very secret"),
        ];
        let there = environment(&variables);
        assert_eq!(there.github.as_ref().unwrap().commit, "0123");
        assert!(!format!("{there:?}").contains("very secret"));
        assert_eq!(there.minisign_password.unwrap().reveal(), "very secret");
        variables[0].1 = "false";
        assert_eq!(environment(&variables).github, None);
        variables[0].1 = "true";
        variables.remove(3);
        assert_eq!(environment(&variables).github, None);
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
