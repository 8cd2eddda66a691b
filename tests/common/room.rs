//! What the tests of the build script's modules share. They have these modules as `crate::build`.

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::build::settings::{Settings, Source, Target};

/// The SHA-256 of `bytes`, as `build::digest` writes it.
pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A package with `artifacts/`, a cache and an `OUT_DIR`, all in one folder that is removed at the end.
pub struct Room {
    pub folder: TempDir,
    pub settings: Settings,
}

impl Room {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["artifacts", "cache", "out"] {
            fs_err::create_dir(path(name)).unwrap();
        }
        let settings = Settings {
            source: Source::Package(path("artifacts").join("chosen.json")),
            provider: None,
            cache: Some(path("cache")),
            package: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
            out: path("out"),
            // Without a compiler the digest is computed here; a test of `build_script.rs` covers the helper.
            rustc: None,
            linker: None,
            target: Target::default(),
        };
        Self { folder, settings }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs_err::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs_err::write(self.path(name), bytes).unwrap();
    }

    /// What lies in `OUT_DIR`.
    pub fn left_in_out(&self) -> Vec<PathBuf> {
        fs_err::read_dir(&self.settings.out).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}
