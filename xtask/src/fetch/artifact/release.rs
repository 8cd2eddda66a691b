//! What a release says of itself, held against its bytes: `SHA256SUMS`, `chosen.json`, and the metadata of its model.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use kokoro_model::{Chosen, Metadata};
use serde::de::DeserializeOwned;

use super::super::archive::bad_archive;
use super::super::error::SourceError;
use super::archive::members;
use crate::artifacts::PREPARED;
use crate::digest::{Digest, Hasher};

/// The digests of all other files. Signatures of it are named after it, and cannot be listed in it.
const SUMS: &str = "SHA256SUMS";
const CHOSEN: &str = "chosen.json";

/// A bound on the files that are read whole: checksums and metadata have a few thousand bytes.
const MOST_TEXT: u64 = 1 << 20;

/// A release of one model whose files fit each other.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) metadata: Metadata,
    pub(super) metadata_file: ReleasedFile,
    model: ReleasedFile,
    prepared: Option<ReleasedFile>,
}

/// A file of a release, and what its bytes must be.
#[derive(Debug)]
pub(super) struct ReleasedFile {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) sha256: Digest,
    pub(super) bytes: u64,
}

impl Release {
    /// The files that a build needs, the metadata last.
    pub(super) fn files(&self) -> impl Iterator<Item = &ReleasedFile> {
        [&self.model].into_iter().chain(&self.prepared).chain([&self.metadata_file])
    }

    /// Reads an archive once: every file is hashed, and what a build may need goes to `scratch`.
    pub(super) fn of_archive(archive: &Path, scratch: &Path) -> Result<Self, SourceError> {
        let mut found = BTreeMap::new();
        members(archive, |name, size, reader| {
            let path = scratch.join(name);
            let unwritten = |error| SourceError::of_writing(error, &path, size, 0);
            let mut kept =
                if is_kept(name) { Some(fs_err::File::create(&path).map_err(unwritten)?) } else { None };
            let digest = hashed(reader, |bytes| match &mut kept {
                Some(file) => file.write_all(bytes).map_err(unwritten),
                None => Ok(()),
            });
            let unread = |error| bad_archive(archive, format!("`{name}` cannot be unpacked: {error}"));
            found.insert(name.to_owned(), digest?.map_err(unread)?);
            Ok(())
        })?;
        Self::listed(scratch, archive, &found)
    }

    /// Hashes every file of a folder that an archive was unpacked to.
    pub(super) fn of_folder(folder: &Path) -> Result<Self, SourceError> {
        let mut found = BTreeMap::new();
        let mut folders = vec![(folder.to_path_buf(), String::new())];
        while let Some((path, prefix)) = folders.pop() {
            for entry in fs_err::read_dir(path).map_err(SourceError::Local)? {
                let entry = entry.map_err(SourceError::Local)?;
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                let kind = entry.file_type().map_err(SourceError::Local)?;
                if kind.is_dir() {
                    folders.push((entry.path(), format!("{name}/")));
                } else if kind.is_file() {
                    found.insert(name, Digest::of_file(&entry.path()).map_err(SourceError::Local)?);
                } else {
                    let problem =
                        format!("expected files and folders only, found `{name}`, a link or device");
                    return Err(bad_archive(folder, problem));
                }
            }
        }
        Self::listed(folder, folder, &found)
    }

    /// An `.onnx` file with its `.json` beside it, which alone tells its digest if `pinned` does not.
    pub(super) fn of_model(model: &Path, pinned: Option<Digest>) -> Result<Self, SourceError> {
        let beside = model.with_extension("json");
        let bytes = read_text(&beside)?;
        let metadata: Metadata = parse(model, &name_of(&beside), &bytes)?;
        if let Some(pinned) = pinned
            && metadata.sha256 != pinned.to_string()
        {
            let problem = format!(
                "expected the digest `{pinned}`, found `{}` in `{}`",
                metadata.sha256,
                beside.display()
            );
            return Err(bad_archive(model, problem));
        }
        let release = Self::of_metadata(model, model, &beside, &bytes, metadata)?;
        release.check_sizes(model)?;
        Ok(release)
    }

    /// Holds what `SHA256SUMS` lists against the digests `found`, and takes what `chosen.json` names; both lie in
    /// `folder`. `blamed` is the archive or folder for messages.
    fn listed(folder: &Path, blamed: &Path, found: &BTreeMap<String, Digest>) -> Result<Self, SourceError> {
        let bad = |problem: String| bad_archive(blamed, problem);
        let sums = sums(&text_of(folder, blamed, found, SUMS)?).map_err(bad)?;
        for (name, expected) in &sums {
            let digest =
                found.get(name).ok_or_else(|| bad(format!("`{SUMS}` lists `{name}`, found none")))?;
            differs(name, &expected.to_string(), digest).map_err(bad)?;
        }
        if let Some(name) = found.keys().find(|name| !sums.contains_key(*name) && !name.starts_with(SUMS)) {
            return Err(bad(format!("found `{name}`, which `{SUMS}` does not list")));
        }

        let chosen: Chosen = parse(blamed, CHOSEN, &text_of(folder, blamed, found, CHOSEN)?)?;
        for name in [&chosen.file, &chosen.metadata] {
            if !is_plain(name) {
                return Err(bad(format!("`{CHOSEN}` names `{name}`, expected a plain file name")));
            }
        }
        let bytes = text_of(folder, blamed, found, &chosen.metadata)?;
        differs(&chosen.metadata, &chosen.metadata_sha256, &Digest::of(&bytes)).map_err(bad)?;
        let metadata: Metadata = parse(blamed, &chosen.metadata, &bytes)?;
        if metadata.name != chosen.file || metadata.sha256 != chosen.sha256 {
            return Err(bad(format!(
                "`{CHOSEN}` names `{}` with the digest `{}`, but `{}` names `{}` with `{}`",
                chosen.file, chosen.sha256, chosen.metadata, metadata.name, metadata.sha256
            )));
        }
        let release = Self::of_metadata(
            &folder.join(&chosen.file),
            blamed,
            &folder.join(&chosen.metadata),
            &bytes,
            metadata,
        )?;
        for ReleasedFile { name, sha256, .. } in release.files() {
            let digest = found.get(name).ok_or_else(|| bad(format!("expected `{name}`, found none")))?;
            differs(name, &sha256.to_string(), digest).map_err(bad)?;
        }
        release.check_sizes(blamed)?;
        Ok(release)
    }

    /// Sizes are in the metadata beside the digests, and builds look at both.
    fn check_sizes(&self, blamed: &Path) -> Result<(), SourceError> {
        for ReleasedFile { name, path, bytes, .. } in self.files() {
            let found = fs_err::metadata(path).map_err(SourceError::Local)?.len();
            if found != *bytes {
                let problem = format!("`{name}` has {found} bytes, expected {bytes} by its metadata");
                return Err(bad_archive(blamed, problem));
            }
        }
        Ok(())
    }

    /// The files that the metadata at `path` names, beside `model`.
    fn of_metadata(
        model: &Path,
        blamed: &Path,
        path: &Path,
        bytes: &[u8],
        metadata: Metadata,
    ) -> Result<Self, SourceError> {
        let bad = |problem: String| bad_archive(blamed, problem);
        let digest = |text: &str| text.parse().map_err(|error| bad(format!("`{}`: {error}", path.display())));
        // Builds look the model up under the name in its metadata.
        if !is_plain(&metadata.name) || !metadata.name.ends_with(".onnx") {
            let name = &metadata.name;
            return Err(bad(format!("`{}` names `{name}`, expected a plain `.onnx` name", path.display())));
        }
        let name = Path::new(&*metadata.name);
        let file = |extension: &str, path: &Path, sha256, bytes| ReleasedFile {
            name: name_of(&name.with_extension(extension)),
            path: path.to_path_buf(),
            sha256,
            bytes,
        };
        let prepared = match &metadata.prepared {
            Some(it) => Some(file(PREPARED, &model.with_extension(PREPARED), digest(&it.sha256)?, it.bytes)),
            None => None,
        };
        Ok(Self {
            model: file("onnx", model, digest(&metadata.sha256)?, metadata.bytes),
            prepared,
            metadata_file: file("json", path, Digest::of(bytes), bytes.len() as u64),
            metadata,
        })
    }
}

/// Whether a member may be needed: a model with what stands beside it, the checksums, and the choice.
fn is_kept(name: &str) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default();
    is_plain(name) && (name == SUMS || ["onnx", PREPARED, "json"].iter().any(|kept| extension == *kept))
}

fn is_plain(name: &str) -> bool {
    Path::new(name).file_name() == Some(name.as_ref())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The bytes of a file in `folder`, if they are still those that were hashed.
fn text_of(
    folder: &Path,
    blamed: &Path,
    found: &BTreeMap<String, Digest>,
    name: &str,
) -> Result<Vec<u8>, SourceError> {
    let bad = |problem: String| bad_archive(blamed, problem);
    let digest = found.get(name).ok_or_else(|| bad(format!("expected `{name}`, found none")))?;
    let bytes = read_text(&folder.join(name))?;
    differs(name, &digest.to_string(), &Digest::of(&bytes)).map_err(bad)?;
    Ok(bytes)
}

fn read_text(path: &Path) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    let file = fs_err::File::open(path).map_err(SourceError::Local)?;
    let count = file.take(MOST_TEXT + 1).read_to_end(&mut bytes).map_err(SourceError::Local)? as u64;
    if count > MOST_TEXT {
        return Err(SourceError::TooLarge { limit: MOST_TEXT, found: count, declared: false });
    }
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(blamed: &Path, name: &str, bytes: &[u8]) -> Result<T, SourceError> {
    serde_json::from_slice(bytes).map_err(|error| bad_archive(blamed, format!("`{name}`: {error}")))
}

fn differs(name: &str, expected: &str, found: &Digest) -> Result<(), String> {
    if found.to_string() == expected {
        return Ok(());
    }
    Err(format!("wrong digest of `{name}`\n  expected sha256 {expected}\n  found    sha256 {found}"))
}

/// The lines of `sha256sum`: a digest, two spaces (or a space and `*`), a name; or a comment behind `#`.
fn sums(text: &[u8]) -> Result<BTreeMap<String, Digest>, String> {
    let text = std::str::from_utf8(text).map_err(|error| format!("`{SUMS}`: {error}"))?;
    let mut sums = BTreeMap::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let parsed = line
            .split_once(' ')
            .and_then(|(digest, name)| Some((name.strip_prefix([' ', '*'])?, digest.parse().ok()?)));
        let Some((name, digest)) = parsed else {
            return Err(format!("`{SUMS}`, line {}: expected a digest and a name, found `{line}`", at + 1));
        };
        if sums.insert(name.to_owned(), digest).is_some() {
            return Err(format!("`{SUMS}` lists `{name}` twice"));
        }
    }
    Ok(sums)
}

/// The digest of all that `reader` has, each part of which goes to `write`, too.
fn hashed(
    reader: &mut dyn Read,
    mut write: impl FnMut(&[u8]) -> Result<(), SourceError>,
) -> Result<io::Result<Digest>, SourceError> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(Ok(hasher.digest())),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                write(&buffer[..count])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_sha256sum_writes() {
        let digest = Digest::of(b"");
        let text = format!("# A comment.\n{digest}  a.json\n{digest} *audio/b c.wav\n");
        let sums = sums(text.as_bytes()).unwrap();
        assert_eq!(sums.keys().collect::<Vec<_>>(), ["a.json", "audio/b c.wav"]);
    }

    #[test]
    fn refuses_what_it_does_not_write() {
        let digest = Digest::of(b"");
        for text in [
            "a.json".to_owned(),
            format!("{digest}"),
            format!("{digest} a.json"),
            format!("{}  a.json", &digest.to_string()[1..]),
            format!("{digest}  a.json\n\n"),
            format!("{digest}  a.json\n{digest}  a.json\n"),
        ] {
            assert!(sums(text.as_bytes()).is_err(), "`{text}` was taken for checksums");
        }
    }
}
