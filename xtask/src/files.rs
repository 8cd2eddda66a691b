//! Files that are whole or not there, locks, and folders for work in progress.

use std::fs::TryLockError;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// Reads a JSON file.
///
/// # Errors
/// [`Failure::Usage`], naming the file and the place in it.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs_err::read_to_string(path)?;
    serde_json::from_str(&text)
        .map_err(|error| anyhow!("`{}`: {error}", path.display()))
        .context(Failure::Usage)
}

/// Sees that files can be made in `folder`, which is made if it is not there; `hint` says what to do if not.
///
/// # Errors
/// [`Failure::Usage`], naming the folder.
pub fn check_writable(folder: &Path, hint: &str) -> Result<()> {
    let written = fs_err::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    written.map(drop).map_err(|error| {
        anyhow!("`{}` cannot be written to: {error}\nhint: {hint}", folder.display()).context(Failure::Usage)
    })
}

/// Writes a JSON file, indented, with a line feed at its end.
///
/// # Errors
/// The disk's.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    write_atomically(path, |file| file.write_all(&text))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

/// Writes a file that appears under its name only when it is whole and on the disk.
///
/// The bytes go to `<name>.part` beside it first, a fixed name, so that a run that was killed leaves at most
/// one file, which the next one overwrites.
///
/// # Errors
/// Those of `write` and of the disk; the `.part` file is removed then.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut fs_err::File) -> io::Result<()>,
) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let mut file = fs_err::File::create(&part)?;
    let written = write(&mut file).and_then(|()| file.sync_all());
    drop(file);
    match written.and_then(|()| fs_err::rename(&part, path)) {
        Ok(()) => Ok(()),
        Err(error) => {
            // The first error is the one to tell.
            let _ = fs_err::remove_file(&part);
            Err(error)
        }
    }
}

/// Waits until no other run holds the lock file at `path`; `waiting` is called once if one does. The lock ends
/// with the returned value, or with the process.
///
/// The file stays: to delete it would let a third run lock a file that a second still waits for.
///
/// # Errors
/// The file or its folder cannot be made or locked.
pub fn lock(path: &Path, waiting: impl FnOnce()) -> io::Result<fs_err::File> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let file = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            waiting();
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(file)
}

/// A folder that goes away with the value; what a killed run left in it goes away at the next start.
pub(crate) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Makes `folder`, empty.
    pub(crate) fn new(folder: PathBuf) -> io::Result<Self> {
        match fs_err::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs_err::create_dir_all(&folder)?,
        }
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next run clears what cannot be removed now.
        let _ = fs_err::remove_dir_all(&self.folder);
    }
}
