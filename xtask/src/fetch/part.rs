//! A file on its way: capped and hashed as it is written, renamed into place once its digest is right.

use std::io::{Read, Seek as _, SeekFrom, Write as _};

use super::cache::{Entry, Size};
use super::error::{SourceError, WrongDigest};
use crate::digest::{Digest, Hasher};

/// The growing `.part` file of an entry.
pub(super) struct Part<'a> {
    entry: &'a Entry,
    file: fs_err::File,
    hasher: Hasher,
    written: u64,
}

impl<'a> Part<'a> {
    /// Opens the part, with what an earlier run left in it hashed again.
    pub(super) fn resume(entry: &'a Entry) -> Result<Self, SourceError> {
        let mut part = Self::open(entry)?;
        let length = part.file.metadata().map_err(SourceError::Local)?.len();
        if length > entry.size.limit() {
            part.restart()?;
        } else {
            let mut earlier = Read::take(&mut part.file, length);
            part.written = part.hasher.read_all(&mut earlier).map_err(SourceError::Local)?;
        }
        Ok(part)
    }

    /// Opens the part, empty.
    pub(super) fn create(entry: &'a Entry) -> Result<Self, SourceError> {
        let mut part = Self::open(entry)?;
        part.restart()?;
        Ok(part)
    }

    fn open(entry: &'a Entry) -> Result<Self, SourceError> {
        let path = entry.part();
        let needed = entry.size.limit();
        let of_writing = |error| SourceError::of_writing(error, &path, needed, 0);
        entry.create_folder().map_err(of_writing)?;
        let file = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(of_writing)?;
        Ok(Self { entry, file, hasher: Hasher::default(), written: 0 })
    }

    /// Forgets everything written so far, and what the server called it.
    pub(super) fn restart(&mut self) -> Result<(), SourceError> {
        let length = self.file.metadata().map_err(SourceError::Local)?.len();
        if length > 0 {
            self.file.set_len(0).map_err(SourceError::Local)?;
        }
        self.file.seek(SeekFrom::Start(0)).map_err(SourceError::Local)?;
        self.hasher = Hasher::default();
        self.written = 0;
        remove_if_there(&self.entry.etag())
    }

    /// What the part is to become.
    pub(super) fn entry(&self) -> &'a Entry {
        self.entry
    }

    /// The number of bytes on the disk.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Appends `bytes`, unless that makes more than the recipe allows: then nothing is kept.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        let limit = self.entry.size.limit();
        let found = self.written + bytes.len() as u64;
        if found > limit {
            self.restart()?;
            return Err(SourceError::TooLarge { limit, found, declared: false });
        }
        // One `write` at a time, so that `written` is true even when the disk fills up half-way.
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(count) => {
                    self.hasher.update(&rest[..count]);
                    self.written += count as u64;
                    rest = &rest[count..];
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.of_writing(error)),
            }
        }
        Ok(())
    }

    /// Appends everything that `reader` still has.
    pub(super) fn write_all_of(
        &mut self,
        mut reader: impl Read,
        unreadable: impl Fn(std::io::Error) -> SourceError,
    ) -> Result<(), SourceError> {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.write(&buffer[..count])?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(error)),
            }
        }
    }

    /// Leaves the bytes for another day; if there are none, leaves no file either.
    pub(super) fn set_aside(self) -> Result<(), SourceError> {
        drop(self.file);
        if self.written > 0 {
            return Ok(());
        }
        remove_if_there(&self.entry.etag())?;
        remove_if_there(&self.entry.part())
    }

    /// Whether all bytes are there that the recipe asks for; with a mere bound one cannot know.
    pub(super) fn is_full(&self) -> bool {
        self.entry.size == Size::Exactly(self.written)
    }

    /// The digest of what is on the disk.
    pub(super) fn digest(&self) -> Digest {
        self.hasher.digest()
    }

    /// Puts the file in its place if its digest is right, else aside.
    pub(super) fn finish(self) -> Result<(), SourceError> {
        let entry = self.entry;
        // The bytes must be on the disk before the name is: a name vouches for the bytes.
        self.file.sync_all().map_err(|error| self.of_writing(error))?;
        let found = self.digest();
        drop(self.file);
        remove_if_there(&entry.etag())?;
        if found == entry.sha256 {
            return fs_err::rename(entry.part(), entry.path()).map_err(SourceError::Local);
        }
        let rejected = entry.rejected();
        fs_err::rename(entry.part(), &rejected).map_err(SourceError::Local)?;
        Err(Box::new(WrongDigest { name: entry.name.clone(), expected: entry.sha256, found, rejected })
            .into())
    }

    /// Puts a file in its place whose digest nobody knew before: where `place` says, on the same disk.
    pub(super) fn finish_under(self, place: impl FnOnce(Digest) -> Entry) -> Result<Entry, SourceError> {
        self.file.sync_all().map_err(|error| self.of_writing(error))?;
        let place = place(self.digest());
        drop(self.file);
        remove_if_there(&self.entry.etag())?;
        place.create_folder().map_err(SourceError::Local)?;
        fs_err::rename(self.entry.part(), place.path()).map_err(SourceError::Local)?;
        Ok(place)
    }

    fn of_writing(&self, error: std::io::Error) -> SourceError {
        SourceError::of_writing(error, &self.entry.part(), self.entry.size.limit(), self.written)
    }
}

fn remove_if_there(path: &std::path::Path) -> Result<(), SourceError> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(SourceError::Local(error)),
        _ => Ok(()),
    }
}
