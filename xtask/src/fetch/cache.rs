//! The content-addressed cache: `<folder>/<sha256>/<name>`.
//!
//! A file is under its final name only once its digest has been seen to be right, and its bytes are hashed
//! again each time it is asked for. Beside it there may be, under fixed names so that a killed run leaves
//! one file and not many: `<name>.part`, a download on its way; `<name>.part.etag`, what the server called
//! it; `<name>.tmp`, a folder for pip, npm and archives; `<name>.rejected`, bytes with a wrong digest.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::files::Scratch;

/// The folder of fetched files.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

/// How many bytes a file has, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// The recipe gives the size.
    Exactly(u64),
    /// The recipe gives a bound.
    AtMost(u64),
}

impl Size {
    /// The most bytes that there may be.
    pub fn limit(self) -> u64 {
        match self {
            Self::Exactly(bytes) | Self::AtMost(bytes) => bytes,
        }
    }
}

/// A file that is wanted, and its place in the cache.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The file's name.
    pub name: String,
    /// What its bytes must be.
    pub sha256: Digest,
    /// How many.
    pub size: Size,
    folder: PathBuf,
}

/// What the cache holds for an entry.
#[derive(Debug)]
pub enum Held {
    /// The right bytes, just read and hashed.
    Good,
    /// Nothing.
    Nothing,
    /// Bytes with this digest; they have been moved aside.
    Corrupted(Digest),
}

impl Cache {
    /// A cache in `folder`, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The cache's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The place of a file.
    pub fn entry(&self, name: &str, sha256: Digest, size: Size) -> Entry {
        Entry { name: name.to_owned(), sha256, size, folder: self.folder.join(sha256.to_string()) }
    }

    /// Waits until no other run works on `key`; `waiting` is called once if one does. The lock ends with
    /// the returned value, or with the process.
    ///
    /// # Errors
    /// The lock file cannot be made or locked.
    pub fn lock(&self, key: &str, waiting: impl FnOnce()) -> io::Result<fs_err::File> {
        crate::files::lock(&self.folder.join("locks").join(format!("{key}.lock")), waiting)
    }
}

impl Entry {
    /// Where the file is once it is verified.
    pub fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Where the file grows.
    pub fn part(&self) -> PathBuf {
        self.beside("part")
    }

    /// Where the validator of the growing file is kept.
    pub fn etag(&self) -> PathBuf {
        self.beside("part.etag")
    }

    /// Where bytes with a wrong digest are kept.
    pub fn rejected(&self) -> PathBuf {
        self.beside("rejected")
    }

    fn beside(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.name))
    }

    /// Makes the entry's own folder.
    pub(super) fn create_folder(&self) -> io::Result<()> {
        fs_err::create_dir_all(&self.folder)
    }

    /// Removes the entry's own folder, unless there is something in it.
    pub(super) fn remove_folder_if_empty(&self) {
        // A folder that is not empty refuses, as it should; one that stays does no harm.
        let _ = fs_err::remove_dir(&self.folder);
    }

    /// An empty folder for pip and npm to write into, or an archive to be unpacked to, on the cache's own disk. Call it under the lock.
    pub(super) fn scratch(&self) -> io::Result<Scratch> {
        Scratch::new(self.beside("tmp"))
    }

    /// What the cache holds, if these are the right bytes: those that were hashed. Wrong ones are moved to `.rejected`.
    ///
    /// # Errors
    /// The file is there but cannot be read or moved.
    pub fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let path = self.path();
        match fs_err::read(&path) {
            Ok(bytes) if Digest::of(&bytes) == self.sha256 => Ok(Some(bytes)),
            Ok(_) => {
                fs_err::rename(&path, self.rejected())?;
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hashes what the cache holds. Wrong bytes are moved to `.rejected`.
    ///
    /// # Errors
    /// The file is there but cannot be read or moved.
    pub fn check(&self) -> io::Result<Held> {
        let path = self.path();
        match Digest::of_file(&path) {
            Ok(found) if found == self.sha256 => Ok(Held::Good),
            Ok(found) => {
                fs_err::rename(&path, self.rejected())?;
                Ok(Held::Corrupted(found))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Held::Nothing),
            Err(error) => Err(error),
        }
    }
}
