//! Folders for work in progress, under fixed names so that a killed run leaves one and not many.

use std::io;
use std::path::{Path, PathBuf};

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
