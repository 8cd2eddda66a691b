//! A release on GitHub: each thing that is asked of `gh`, and what it answers.
//!
//! Flags and JSON fields are those of the manual of `gh`. A draft is found by its tag like a public release. `digest` of
//! an asset is younger than the rest, so it may be missing; what counts in the end are the bytes that are downloaded.

use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;

use super::names::{Repository, Tag};
use super::tools::{Call, ToolError, Tools};
use crate::digest::Digest;
use crate::failure::Failure;

/// How often a release that was just made is looked for.
const LOOKS: usize = 5;

/// A release as `gh` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Release {
    /// Whether only those who may write to the repository see it.
    pub(super) is_draft: bool,
    /// Where it is looked at.
    pub(super) url: String,
    pub(super) assets: Vec<Asset>,
}

/// A file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Asset {
    pub(super) name: String,
    pub(super) size: u64,
    /// `uploaded`, or something else where an upload was cut.
    pub(super) state: String,
    /// `sha256:<64 hex digits>`.
    pub(super) digest: Option<String>,
}

/// A file as it should be in the release.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: Digest,
}

/// What an asset is beside what it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// As far as GitHub tells, the same.
    Same,
    /// Not there.
    Nothing,
    /// The rest of an upload that was cut.
    Unfinished,
    /// Another file: what was expected and what was found.
    Other(String),
}

impl Release {
    /// What the release has under the name of `expected`.
    pub(super) fn find(&self, expected: &Expected) -> Found {
        let Some(asset) = self.assets.iter().find(|asset| asset.name == expected.name) else {
            return Found::Nothing;
        };
        if asset.state != "uploaded" {
            return Found::Unfinished;
        }
        if asset.size != expected.bytes {
            return Found::Other(format!("expected {} bytes, found {}", expected.bytes, asset.size));
        }
        let digest = format!("sha256:{}", expected.sha256);
        match asset.digest.as_deref() {
            Some(found) if found != digest => Found::Other(format!("expected {digest}, found {found}")),
            _ => Found::Same,
        }
    }

    /// Whether GitHub states the digest of `expected`, and it is the right one.
    pub(super) fn states(&self, expected: &Expected) -> bool {
        let asset = self.assets.iter().find(|asset| asset.name == expected.name);
        self.find(expected) == Found::Same && asset.is_some_and(|asset| asset.digest.is_some())
    }

    /// The files that are none of `expected`.
    pub(super) fn others(&self, expected: &[Expected]) -> Vec<&str> {
        let names = self.assets.iter().map(|asset| &*asset.name);
        names.filter(|name| expected.iter().all(|expected| expected.name != *name)).collect()
    }
}

/// One release, there or not yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Github<'a> {
    pub(super) tools: &'a Tools,
    pub(super) repository: &'a Repository,
    pub(super) tag: &'a Tag,
}

impl Github<'_> {
    pub(super) fn is_logged_in_call(&self) -> Call {
        Call::new("gh", ["auth", "status", "--hostname", self.repository.host()])
    }

    pub(super) fn look_call(&self) -> Call {
        self.release("view").with(["--json", "assets,isDraft,url"])
    }

    pub(super) fn create_call(&self, title: &str, notes: &Path, is_prerelease: bool) -> Call {
        let notes = notes.display().to_string();
        self.release("create")
            // Without a tag that is there already, GitHub would tag the head of the default branch.
            .with(["--draft", "--verify-tag", "--title", title, "--notes-file", &notes])
            .with(is_prerelease.then_some("--prerelease"))
    }

    /// By its bare name, for what follows a `#` in a path would be taken for a label.
    pub(super) fn upload_call(&self, file: &Path, replace: bool) -> Call {
        let name = file.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        self.release("upload")
            .with([name])
            .with(replace.then_some("--clobber"))
            .within(file.parent().unwrap_or(Path::new(".")))
            .transfer()
    }

    pub(super) fn download_call(&self, name: &str, folder: &Path) -> Call {
        let folder = folder.display().to_string();
        self.release("download").with(["--pattern", name, "--dir", &folder]).transfer()
    }

    pub(super) fn make_public_call(&self) -> Call {
        self.release("edit").with(["--draft=false", "--verify-tag"])
    }

    fn release(&self, what: &str) -> Call {
        Call::new("gh", ["release", what]).with([
            self.tag.to_string(),
            "--repo".to_owned(),
            self.repository.to_string(),
        ])
    }

    /// Whether `gh` is there and may act for somebody.
    pub(super) fn is_logged_in(&self) -> Result<()> {
        match self.tools.run(&self.is_logged_in_call()) {
            Ok(_) => Ok(()),
            Err(ToolError::Failed { said, .. }) => Err(anyhow!(
                "`gh` is not logged in to `{}`: {said}\nhint: run `gh auth login`, or set `GH_TOKEN` to a token that may \
                 write the contents of `{}`",
                self.repository.host(),
                self.repository
            )
            .context(Failure::Usage)),
            Err(error @ ToolError::Missing { .. }) => Err(error).context(Failure::Usage),
            Err(error) => Err(error.into()),
        }
    }

    /// The release of the tag, draft or public; `None` where there is none.
    pub(super) fn look(&self) -> Result<Option<Release>> {
        let text = match self.tools.run(&self.look_call()) {
            Ok(text) => text,
            Err(error) if error.said("release not found") => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let release = serde_json::from_str(&text);
        Ok(Some(release.with_context(|| format!("`{}` answered what is no release", self.look_call()))?))
    }

    /// Makes the draft, and waits until it can be seen.
    pub(super) fn create(&self, title: &str, notes: &Path, is_prerelease: bool) -> Result<Release> {
        self.tools.run(&self.create_call(title, notes, is_prerelease))?;
        for _ in 1..LOOKS {
            if let Some(release) = self.look()? {
                return Ok(release);
            }
            thread::sleep(self.tools.patience.settle);
        }
        self.look()?.context("the draft was made and cannot be seen")
    }

    pub(super) fn upload(&self, file: &Path, replace: bool) -> Result<()> {
        self.tools.run(&self.upload_call(file, replace)).map(drop).map_err(Into::into)
    }

    pub(super) fn download(&self, name: &str, folder: &Path) -> Result<()> {
        self.tools.run(&self.download_call(name, folder)).map(drop).map_err(Into::into)
    }

    pub(super) fn make_public(&self) -> Result<()> {
        self.tools.run(&self.make_public_call()).map(drop).map_err(Into::into)
    }
}
