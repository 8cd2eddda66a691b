//! An artifact that somebody released: fetched as one archive, or given as files → checked → in the cache, where the
//! build script of `kokoro-model` finds it by the digest of its metadata.
//!
//! An archive goes into the cache first, hashed on its way, and is opened there. One that is not what it says of itself
//! is kept as `*.rejected`. Files that the user names are the user's: they are copied and stay as they are.
//!
//! With a digest given, an archive that is in the cache needs no network. Without one, it can prove
//! only that it fits itself, and the command says so.

mod release;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use kokoro_model::BaseKind;
use serde::Serialize;

use self::release::{Release, ReleasedFile};
use super::cache::{Entry, Size};
use super::error::{FetchError, SourceError};
use super::http::Standing;
use super::part::Part;
use super::{Candidate, Fetched, Fetcher, Origin, fetched, in_the_cache};
use crate::digest::Digest;
use crate::failure::Failure;

/// A bound on an archive, far above that of any scheme: the float model itself has 326 MB.
const MOST_BYTES: u64 = 1 << 30;

/// How the name of an archive ends.
const ARCHIVE: &str = ".tar.zst";

/// An artifact that is in the cache, each of its files under its own digest.
#[derive(Debug, Clone, Serialize)]
pub struct FetchedArtifact {
    /// The archive that it came in.
    pub archive: Option<Fetched>,
    /// The model, its `.prepared` file where there is one, and its metadata.
    pub files: Vec<Fetched>,
    /// The name of the base that it was made from.
    pub base: String,
    /// How far that base can be trusted.
    pub base_kind: BaseKind,
    /// The value of `KOKORO_MODEL_ARTIFACT` with which a build embeds these very files.
    pub variable: String,
}

/// What the user names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Given {
    Address(String),
    Archive(PathBuf),
    Folder(PathBuf),
    Model(PathBuf),
}

impl Given {
    fn of(text: &str) -> Self {
        let path = PathBuf::from(text);
        if text.contains("://") {
            Self::Address(text.to_owned())
        } else if path.is_dir() {
            Self::Folder(path)
        } else if path.extension().is_some_and(|extension| extension == "onnx") {
            Self::Model(path)
        } else {
            Self::Archive(path)
        }
    }
}

impl Fetcher {
    /// Brings a released artifact into the cache: from the HTTPS address or the path of an archive, from a folder that
    /// one was unpacked to, or from an `.onnx` file with its `.json` beside it. With `pinned`, nothing of an archive is
    /// looked at before it was seen to have that digest, and a model must have it.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a digest of a folder, or an address that names no archive; [`Failure::Fetch`] over a
    /// [`FetchError`].
    pub fn artifact(&self, from: &str, pinned: Option<Digest>) -> Result<FetchedArtifact> {
        let given = Given::of(from);
        match &given {
            Given::Folder(_) if pinned.is_some() => {
                let reason = format!(
                    "`--sha256` pins an archive or a model, and `{from}` is a folder\n\
                     hint: the line that is printed for a folder pins its files"
                );
                return Err(anyhow!(reason).context(Failure::Usage));
            }
            Given::Address(address) if archive_name(address).is_none() => {
                let reason = format!("expected the address of a `{ARCHIVE}` file, found `{address}`");
                return Err(anyhow!(reason).context(Failure::Usage));
            }
            _ => {}
        }
        self.obtain_artifact(from, &given, pinned).context(Failure::Fetch)
    }

    fn obtain_artifact(
        &self,
        from: &str,
        given: &Given,
        pinned: Option<Digest>,
    ) -> Result<FetchedArtifact, FetchError> {
        let of_given = |error| FetchError::Source { from: from.to_owned(), error };
        match given {
            Given::Folder(folder) => {
                let release = Release::of_folder(folder).map_err(of_given)?;
                self.keep(&release, from, None)
            }
            Given::Model(model) => {
                let release = Release::of_model(model, pinned).map_err(of_given)?;
                self.keep(&release, from, None)
            }
            Given::Address(address) => {
                let archive = match pinned {
                    Some(sha256) => self.pinned_archive(address, sha256)?,
                    None => self.unpinned_archive(address)?,
                };
                self.open_archive(archive, from)
            }
            Given::Archive(path) => {
                let archive = self.local_archive(path, pinned).map_err(of_given)?;
                self.open_archive(archive, from)
            }
        }
    }

    /// The archive with this digest: from the cache, a mirror, or its address.
    fn pinned_archive(&self, address: &str, sha256: Digest) -> Result<Fetched, FetchError> {
        let entry = self.artifact_entry(&archive_name(address).unwrap_or_default(), sha256);
        self.obtain(&entry, &[Candidate::Https(address.to_owned())], Standing::Last)
    }

    /// Whatever archive is at the address now. It grows in a folder named by the digest of the address, and goes to that
    /// of its own.
    fn unpinned_archive(&self, address: &str) -> Result<Fetched, FetchError> {
        let name = archive_name(address).unwrap_or_default();
        if self.options.offline {
            return Err(self.offline([name]));
        }
        let from = |error| FetchError::Source { from: address.to_owned(), error };
        if !address.starts_with("https://") {
            let reason = "an archive is asked for over https only".to_owned();
            return Err(from(SourceError::Protocol(reason)));
        }
        let key = Digest::of(address.as_bytes());
        let _lock = self.lock(&key.to_string(), &name)?;
        let growing = self.artifact_entry(&name, key);
        let place = |sha256| self.artifact_entry(&name, sha256);
        let brought =
            self.http.download_unpinned(address, &growing, &self.options.console, Standing::Last, place);
        growing.remove_folder_if_empty();
        Ok(fetched(&brought.map_err(from)?, Origin::Source(address.to_owned())))
    }

    /// A copy of the user's archive.
    fn local_archive(&self, path: &Path, pinned: Option<Digest>) -> Result<Fetched, SourceError> {
        let mut file = fs_err::File::open(path).map_err(SourceError::Local)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let key = pinned.unwrap_or_else(|| Digest::of(path.as_os_str().as_encoded_bytes()));
        let growing = self.artifact_entry(&name, key);
        let lock = || self.options.console.say(&format!("waiting for another run, which copies `{name}`"));
        let _lock = self.cache.lock(&key.to_string(), lock).map_err(SourceError::Local)?;
        let copied = Part::create(&growing).and_then(|mut part| {
            part.write_all_of(&mut file, SourceError::Local)?;
            match pinned {
                Some(_) => part.finish().map(|()| growing.clone()),
                None => part.finish_under(|sha256| self.artifact_entry(&name, sha256)),
            }
        });
        growing.remove_folder_if_empty();
        Ok(fetched(&copied?, Origin::Given))
    }

    fn artifact_entry(&self, name: &str, sha256: Digest) -> Entry {
        self.cache.entry(name, sha256, Size::AtMost(MOST_BYTES))
    }

    /// Opens an archive of the cache, and takes from it what a build needs.
    fn open_archive(&self, archive: Fetched, from: &str) -> Result<FetchedArtifact, FetchError> {
        let entry = self.artifact_entry(&archive.name, archive.sha256);
        let _lock = self.lock(&format!("{}.unpacked", entry.sha256), &entry.name)?;
        let busy = self.options.console.busy(&format!("`{}`: checking what is in it", entry.name));
        let release = Release::of_archive(&entry.path());
        drop(busy);
        match release {
            Ok(release) => self.keep(&release, from, Some(archive)),
            Err(SourceError::Archive { archive, problem }) => {
                let rejected = entry.rejected();
                fs_err::rename(entry.path(), &rejected)
                    .map_err(|error| in_the_cache(SourceError::Local(error)))?;
                let problem = format!("{problem}\nhint: it is kept as `{}`", rejected.display());
                let error = SourceError::Archive { archive, problem };
                Err(FetchError::Source { from: from.to_owned(), error })
            }
            Err(error) => Err(FetchError::Source { from: from.to_owned(), error }),
        }
    }

    /// Puts the files of a release in their places, the metadata last: whoever finds it there finds all it names.
    fn keep(
        &self,
        release: &Release,
        from: &str,
        archive: Option<Fetched>,
    ) -> Result<FetchedArtifact, FetchError> {
        let files: Vec<Fetched> =
            release.files.iter().map(|file| self.keep_one(file, from)).collect::<Result<_, _>>()?;
        Ok(FetchedArtifact {
            archive,
            variable: format!("sha256:{}", release.metadata_sha256),
            files,
            base: release.metadata.base.name.to_string(),
            base_kind: release.metadata.base.kind,
        })
    }

    fn keep_one(&self, file: &ReleasedFile, from: &str) -> Result<Fetched, FetchError> {
        let entry = self.cache.entry(&file.name, file.sha256, Size::Exactly(file.bytes.len() as u64));
        if self.holds(&entry)? {
            return Ok(fetched(&entry, Origin::Cache));
        }
        let _lock = self.lock(&entry.sha256.to_string(), &entry.name)?;
        if self.holds(&entry)? {
            return Ok(fetched(&entry, Origin::Cache));
        }
        let copied = Part::create(&entry).and_then(|mut part| {
            part.write(&file.bytes)?;
            part.finish()
        });
        match copied {
            Ok(()) => Ok(fetched(&entry, Origin::Source(from.to_owned()))),
            Err(error) => Err(FetchError::Source { from: from.to_owned(), error }),
        }
    }
}

/// The file name in an address, if it is that of an archive and can be a file's name everywhere.
fn archive_name(address: &str) -> Option<String> {
    let url = reqwest::Url::parse(address).ok()?;
    let name = url.path_segments()?.next_back()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte);
    let fits = name.len() > ARCHIVE.len() && name.ends_with(ARCHIVE) && name.bytes().all(is_plain);
    fits.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_an_archive() {
        for (address, name) in [
            ("https://host/a/b.weights-int8.tar.zst", Some("b.weights-int8.tar.zst")),
            ("https://host/b.tar.zst?token=1#top", Some("b.tar.zst")),
            ("https://host/b.tar.gz", None),
            ("https://host/.tar.zst", None),
            ("https://host/a%2Fb.tar.zst", None),
            ("https://host/", None),
            ("data:b.tar.zst", None),
            ("b.tar.zst", None),
        ] {
            assert_eq!(archive_name(address).as_deref(), name, "`{address}`");
        }
    }
}
