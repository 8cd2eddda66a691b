//! A library of which the build script compiled in what it has to be.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

#[cfg(feature = "bundle-runtime")]
pub(super) use generated::BUNDLE;
pub(super) use generated::PINNED;

/// The build script writes it, from `build/runtime.rs`.
#[allow(clippy::unreadable_literal, reason = "the code is generated")]
mod generated {
    use super::Library;

    include!(concat!(env!("OUT_DIR"), "/runtime.rs"));
}

/// The library that is pinned for the platform this was built for.
#[derive(Debug)]
pub(super) struct Library {
    /// The name of its file.
    pub(super) name: &'static str,
    /// Its digest, in 64 lower-case hexadecimal digits.
    pub(super) sha256: &'static str,
    /// Its size.
    pub(super) bytes: u64,
}

impl Library {
    /// Where the cache of `cargo xtask` has it.
    pub(super) fn cached(&self, cache: &Path) -> PathBuf {
        cache.join(self.sha256).join(self.name)
    }

    /// What is wrong with the bytes that `source` gives; `None` if they are those of the library.
    pub(super) fn fault(&self, source: impl Read) -> io::Result<Option<String>> {
        // One byte more than expected tells as much as all of them.
        let mut source = source.take(self.bytes + 1);
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 18];
        let mut length = 0;
        loop {
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    hash.update(&buffer[..read]);
                    length += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.fault_of(length, hash))
    }

    /// The same for bytes that were read and hashed.
    pub(super) fn fault_of(&self, length: u64, hash: Sha256) -> Option<String> {
        if length > self.bytes {
            return Some(format!("more than {} bytes", self.bytes));
        }
        if length < self.bytes {
            return Some(format!("{length} bytes, expected {}", self.bytes));
        }
        let found = hash.finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        (found != self.sha256).then(|| format!("the digest `{found}`, expected `{}`", self.sha256))
    }
}
