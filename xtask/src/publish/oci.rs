//! The same archive in a registry of containers, by `oras`: pushed once, pulled again and compared.
//!
//! A tag that is there is never moved: it has the same bytes, or the push is refused.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};

use super::archive::Archive;
use super::files::same_bytes;
use super::names::{Reference, Repository, Tag};
use super::tools::{Call, Tools};
use crate::failure::Failure;

/// What kind of artifact the manifest says it is.
pub const ARTIFACT_TYPE: &str = "application/vnd.kokoro-model.release.v1";

/// The media type of the one layer.
const LAYER_TYPE: &str = "application/vnd.kokoro-model.release.v1.tar+zstd";

/// One name in a registry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Registry<'a> {
    pub(super) tools: &'a Tools,
    pub(super) reference: &'a Reference,
}

impl Registry<'_> {
    pub(super) fn version_call() -> Call {
        Call::new("oras", ["version"])
    }

    pub(super) fn look_call(&self) -> Call {
        Call::new("oras", ["manifest", "fetch", "--descriptor"]).with([self.reference.to_string()])
    }

    /// All that stands in the manifest is of the archive, the tag and the repository, so a second push makes the same one.
    pub(super) fn push_call(&self, archive: &Archive, tag: &Tag, repository: &Repository) -> Call {
        let folder = archive.path.parent().unwrap_or(Path::new("."));
        // Left out, `oras` would put down the time of the push.
        let created = UNIX_EPOCH + Duration::from_secs(archive.modified);
        let annotations = [
            ("created", humantime::format_rfc3339_seconds(created).to_string()),
            ("version", tag.to_string()),
            ("source", repository.address()),
            ("licenses", archive.metadata.licence.to_string()),
        ];
        let annotations = annotations.into_iter().flat_map(|(key, value)| {
            ["--annotation".to_owned(), format!("org.opencontainers.image.{key}={value}")]
        });
        Call::new("oras", ["push", "--artifact-type", ARTIFACT_TYPE])
            .with(annotations)
            // By its bare name, which `oras` gives to whoever pulls; an absolute path it refuses.
            .with([self.reference.to_string(), format!("{}:{LAYER_TYPE}", archive.name)])
            .within(folder)
            .transfer()
    }

    pub(super) fn pull_call(&self, folder: &Path) -> Call {
        Call::new("oras", ["pull", "--output"])
            .with([folder.display().to_string(), self.reference.to_string()])
            .transfer()
    }

    /// Whether `oras` is there.
    pub(super) fn is_there(&self) -> Result<()> {
        self.tools.run(&Self::version_call()).map(drop).context(Failure::Usage)
    }

    /// Whether the name is taken.
    fn is_taken(&self) -> Result<bool> {
        match self.tools.run(&self.look_call()) {
            Ok(_) => Ok(true),
            Err(error) if error.said(": not found") => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Pushes the archive if the name is free, pulls it into `folder` and compares. Whether it had to be pushed.
    pub(super) fn publish(
        &self,
        archive: &Archive,
        tag: &Tag,
        repository: &Repository,
        folder: &Path,
    ) -> Result<bool> {
        let push = !self.is_taken()?;
        if push {
            self.tools.run(&self.push_call(archive, tag, repository))?;
        }
        self.tools.run(&self.pull_call(folder))?;
        let same = same_bytes(&folder.join(&archive.name), archive.sha256, archive.bytes);
        same.map_err(|problem| anyhow!("`{}` holds another archive: {problem}", self.reference))
            .context(Failure::Fetch)?;
        Ok(push)
    }
}
