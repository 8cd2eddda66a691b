//! The library in this binary: unpacked once, checked before every load.
//!
//! The places are the cache folder, sealed memory (Linux) and the temporary folder. One on a file
//! system mounted `noexec` refuses only when the library is loaded, so the next is tried then; the
//! error has every refusal if none will do.

use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;
use sha2::{Digest as _, Sha256};

use super::private;
use super::verified::{BUNDLE, Library, PINNED};
use crate::error::{Error, ErrorKind};

/// A library, compressed.
pub(super) struct Bundle<'a> {
    library: &'a Library,
    compressed: &'a [u8],
}

/// Why a place will not do.
enum Fault {
    /// The bytes in this binary are wrong; no other place will help.
    Damaged(String),
    /// This place refuses; another may not.
    Place(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Place(error)
    }
}

impl Bundle<'static> {
    /// The library that the build script put here; `None` in a build that embeds nothing.
    pub(super) fn of_this_binary() -> Option<Self> {
        PINNED.as_ref().filter(|_| !BUNDLE.is_empty()).map(|library| Self { library, compressed: BUNDLE })
    }
}

impl Bundle<'_> {
    /// Unpacks the library where it can be, and hands it to `start`.
    ///
    /// A place whose file system allows no code to be run from it shows only when the library is loaded; such a
    /// place is passed over like one that cannot be written to.
    pub(super) fn load<T>(
        &self,
        cache: Option<&Path>,
        temporary: &Path,
        start: impl Fn(PathBuf) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut looked_in = Vec::new();
        if cache.is_none() {
            looked_in.push("the cache: there is no home folder".to_owned());
        }
        let mut attempt = |place: String, unpacked: Result<(PathBuf, Held), Fault>| {
            let (path, held) = match unpacked {
                Ok(unpacked) => unpacked,
                Err(Fault::Damaged(reason)) => return Some(Err(ErrorKind::BundleDamaged { reason }.into())),
                Err(Fault::Place(error)) => {
                    looked_in.push(format!("{place}: {error}"));
                    return None;
                }
            };
            let started = start(path);
            // What was loaded stays; the name it was loaded from is not needed any more.
            drop(held);
            match started {
                Err(error) if matches!(error.kind(), ErrorKind::NotARuntime { .. }) => {
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    looked_in.push(format!("{place}: {error}: {}", source.unwrap_or_default()));
                    None
                }
                started => Some(started),
            }
        };
        if let Some(cache) = cache {
            let folder = cache.join("runtime").join(self.library.sha256);
            let unpacked = self.in_folder(&folder).map(|path| (path, Held::Folder(None)));
            if let Some(done) = attempt(format!("`{}`", folder.display()), unpacked) {
                return done;
            }
        }
        #[cfg(target_os = "linux")]
        if let Some(done) = attempt("memory".to_owned(), self.in_memory()) {
            return done;
        }
        if let Some(done) = attempt(format!("`{}`", temporary.display()), self.in_temporary(temporary)) {
            return done;
        }
        Err(ErrorKind::RuntimeNotUnpacked { looked_in }.into())
    }

    /// Finds the library in a private folder, or unpacks it there.
    fn in_folder(&self, folder: &Path) -> Result<PathBuf, Fault> {
        private::prepare(folder)?;
        let path = folder.join(self.library.name);
        if self.is_at(&path)? {
            return Ok(path);
        }
        // Of two processes the second waits, and finds what the first has unpacked. The lock ends with the process.
        let lock = folder.join("unpack.lock");
        let lock = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(lock)?;
        lock.lock()?;
        if !self.is_at(&path)? {
            self.write_to(&path)?;
            if !self.is_at(&path)? {
                let text = format!("`{}` does not hold what was written to it", path.display());
                return Err(io::Error::other(text).into());
            }
        }
        Ok(path)
    }

    /// Whether the file is the library, in the hands of nobody else.
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        match private::open(path)? {
            Some(file) => Ok(self.library.fault(file)?.is_none()),
            None => Ok(false),
        }
    }

    /// Unpacks to a file that appears under its name only when it is whole. Whatever has the name is replaced.
    fn write_to(&self, path: &Path) -> Result<(), Fault> {
        // A fixed name, so that a process that was killed leaves one file, and the next one removes it. It is made
        // anew, never opened: it could be a link.
        let part = path.with_file_name(format!("{}.part", self.library.name));
        match fs_err::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let written = create_new(&part).map_err(Fault::from).and_then(|mut file| {
            self.unpack(&mut file)?;
            file.sync_all()?;
            Ok(fs_err::rename(&part, path)?)
        });
        if written.is_err() {
            // The first error is the one to tell.
            let _ = fs_err::remove_file(&part);
        }
        written
    }

    /// A file that is in memory only, under a name that this process can load it by.
    #[cfg(target_os = "linux")]
    fn in_memory(&self) -> Result<(PathBuf, Held), Fault> {
        use std::os::fd::AsRawFd as _;

        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create(self.library.name, flags).map_err(io::Error::from)?;
        let mut file = std::fs::File::from(file);
        self.unpack(&mut file)?;
        // From here on nobody can change what was checked.
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&file, seals).map_err(io::Error::from)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Ok((path, Held::Memory(file)))
    }

    /// A folder of its own, made for this user alone under a name that cannot be guessed. It is removed once the
    /// library is loaded, except on Windows, which keeps files in use.
    fn in_temporary(&self, temporary: &Path) -> Result<(PathBuf, Held), Fault> {
        let folder = tempfile::Builder::new().prefix("kokoro-model-").tempdir_in(temporary)?;
        let path = self.in_folder(folder.path())?;
        Ok((path, Held::Folder(Some(folder))))
    }

    /// Writes the library, and checks what was written on its way.
    fn unpack(&self, mut output: impl Write) -> Result<(), Fault> {
        let damaged = |error: &dyn std::fmt::Display| Fault::Damaged(error.to_string());
        let decoder = StreamingDecoder::new(self.compressed).map_err(|error| damaged(&error))?;
        let mut decoder = decoder.take(self.library.bytes + 1);
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 18];
        let mut length = 0;
        loop {
            let read = decoder.read(&mut buffer).map_err(|error| damaged(&error))?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            length += read as u64;
            output.write_all(&buffer[..read])?;
        }
        output.flush()?;
        match self.library.fault_of(length, hash) {
            None => Ok(()),
            Some(fault) => Err(Fault::Damaged(fault)),
        }
    }
}

/// What a library needs for as long as it is being loaded.
#[expect(dead_code, reason = "it is kept to be dropped")]
enum Held {
    /// A folder that is removed on drop, or none.
    Folder(Option<tempfile::TempDir>),
    /// A file without a name.
    #[cfg(target_os = "linux")]
    Memory(std::fs::File),
}

/// A new file that only this user can write to, whatever the process's mask allows.
fn create_new(path: &Path) -> io::Result<fs_err::File> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use fs_err::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests;
