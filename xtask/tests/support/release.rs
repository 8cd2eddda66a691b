//! A release of a model of a few bytes, and archives that no honest tool would write.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tar::{EntryType, Header};
use xtask::digest::Digest;

use super::body;

pub const TOP: &str = "kokoro-v1.0.weights-int8";
pub const MODEL: &str = "kokoro-v1.0.weights-int8.onnx";
pub const PREPARED: &str = "kokoro-v1.0.weights-int8.prepared";
pub const METADATA: &str = "kokoro-v1.0.weights-int8.json";
pub const CHOSEN: &str = "chosen.json";
pub const SUMS: &str = "SHA256SUMS";

/// The files of a release, by name.
#[derive(Clone)]
pub struct Files(pub BTreeMap<String, Vec<u8>>);

impl Files {
    /// A release that fits itself, of a model that was made from a restored base.
    pub fn new() -> Self {
        let mut files = Self(BTreeMap::new());
        files.put(MODEL, &body(600_000));
        files.put(PREPARED, b"its graph in parts");
        files.put("audio/one.wav", b"a sound");
        files.put("report.html", b"<!doctype html>");
        files.describe(|_| ());
        files
    }

    pub fn put(&mut self, name: &str, bytes: &[u8]) {
        self.0.insert(name.to_owned(), bytes.to_vec());
    }

    pub fn digest(&self, name: &str) -> Digest {
        Digest::of(&self.0[name])
    }

    /// Writes metadata that `change` has changed, and a choice and checksums that fit it.
    pub fn describe(&mut self, change: impl FnOnce(&mut serde_json::Value)) {
        let (model, prepared) = (&self.0[MODEL], &self.0[PREPARED]);
        let mut metadata = serde_json::json!({
            "name": MODEL, "scheme": "weights-int8", "sha256": Digest::of(model), "bytes": model.len(),
            "base": {"name": "kokoro-v1.0-restored", "sha256": "0".repeat(64), "bytes": 9, "kind": "restored"},
            "recipe_sha256": "1".repeat(64), "plan_sha256": null, "tool_version": "0.1.0",
            "onnx_opset": [], "onnx_ir": 9, "inputs": [], "outputs": [], "vocabulary_size": 178,
            "sample_rate": 24_000, "precisions": [], "session_options": [],
            "licence": "Apache-2.0", "attribution": "nobody",
            "prepared": {"sha256": Digest::of(prepared), "bytes": prepared.len(), "onnxruntime": "1.26"}
        });
        change(&mut metadata);
        self.put(METADATA, metadata.to_string().as_bytes());
        let chosen = serde_json::json!({
            "file": MODEL, "sha256": self.digest(MODEL),
            "metadata": METADATA, "metadata_sha256": self.digest(METADATA),
        });
        self.put(CHOSEN, chosen.to_string().as_bytes());
        self.sum();
    }

    /// Writes the checksums of all that is there.
    pub fn sum(&mut self) {
        let mut sums = String::new();
        for (name, bytes) in self.0.iter().filter(|(name, _)| *name != SUMS) {
            writeln!(sums, "{}  {name}", Digest::of(bytes)).unwrap();
        }
        self.put(SUMS, sums.as_bytes());
    }

    /// Writes them all into a folder.
    pub fn unpack(&self, folder: &Path) {
        for (name, bytes) in &self.0 {
            let path = folder.join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, bytes).unwrap();
        }
    }

    /// The archive of them all.
    pub fn archive(&self) -> Vec<u8> {
        self.archive_with("", |_| ())
    }

    /// The archive of them all, with `change` in the header of the member `name`.
    pub fn archive_with(&self, name: &str, change: fn(&mut Header)) -> Vec<u8> {
        let members = self.0.iter().map(|(path, bytes)| {
            let change = if path == name { change } else { |_: &mut Header| () };
            (header(&format!("{TOP}/{path}"), bytes.len(), change), &bytes[..])
        });
        compressed(&tar_of(members))
    }
}

/// The header that `package` writes for a file, but that the path may be any, and with `change`.
pub fn header(path: &str, bytes: usize, change: fn(&mut Header)) -> Header {
    let mut header = Header::new_ustar();
    // `Header::set_path` would refuse what the tests want in.
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(315_532_800);
    header.set_size(bytes as u64);
    change(&mut header);
    header.set_cksum();
    header
}

/// A tar file of these headers, each with its contents.
pub fn tar_of<'a>(members: impl IntoIterator<Item = (Header, &'a [u8])>) -> Vec<u8> {
    let mut tar = Vec::new();
    for (header, contents) in members {
        tar.extend(header.as_bytes());
        tar.extend(contents);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// One Zstandard frame.
pub fn compressed(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(Cursor::new(bytes), CompressionLevel::Fastest)
}
