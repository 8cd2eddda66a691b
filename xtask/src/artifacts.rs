//! The artifacts folder: candidates on their way in, artifacts, and which of them is chosen.
//!
//! A file appears under its name only when it is whole. A new candidate waits in `staged/` until the gates
//! have spoken; what was chosen before stays in place until then.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use kokoro_model::{Chosen, ChosenFor, Evidence, Metadata};

use crate::digest::{Digest, HashingWriter};
use crate::files::{lock, read_json, write_atomically, write_json};
use crate::gates::ExecutionProvider;

/// How the names of the files end that artifacts are loaded with quickly.
pub const PREPARED: &str = "prepared";

/// The file that says which artifact is embedded.
pub const CHOSEN: &str = "chosen.json";

/// The folder that build.rs reads from. Clones are one folder, of which each large file is hashed once, unless it changes: a run
/// has the folder to itself as long as it holds its [lock](Artifacts::lock).
#[derive(Debug, Clone)]
pub struct Artifacts {
    folder: PathBuf,
    seen: Arc<Mutex<HashMap<PathBuf, Seen>>>,
}

/// A file as it was when it was hashed.
#[derive(Debug, Clone, Copy)]
struct Seen {
    bytes: u64,
    changed: SystemTime,
    sha256: Digest,
}

/// An `.onnx` file with what is known of it.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// The metadata that stands beside the file.
    pub metadata: Metadata,
    /// Where the file is now.
    pub path: PathBuf,
}

impl Artifact {
    /// The digest of the file.
    ///
    /// # Errors
    /// The metadata's digest is none.
    pub fn sha256(&self) -> Result<Digest> {
        Ok(self.metadata.sha256.parse()?)
    }

    /// What is in the `.prepared` file beside it, where there is one.
    ///
    /// # Errors
    /// The disk's.
    pub fn prepared(&self) -> Result<Option<Vec<u8>>> {
        let path = self.path.with_extension(PREPARED);
        Ok(if self.metadata.prepared.is_some() { Some(fs_err::read(path)?) } else { None })
    }

    /// Its entry in `chosen.json`.
    ///
    /// # Errors
    /// The disk's.
    pub fn chosen(&self, evidence: Evidence) -> Result<ChosenFor> {
        let metadata = self.path.with_extension("json");
        let name =
            |path: &Path| path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        Ok(ChosenFor {
            file: name(&self.path),
            sha256: self.metadata.sha256.to_string(),
            metadata: name(&metadata),
            metadata_sha256: Digest::of_file(&metadata)?.to_string(),
            evidence,
        })
    }
}

impl Artifacts {
    /// The folder, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, seen: Arc::default() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The WAV files of the smoke gate.
    pub fn audio(&self) -> PathBuf {
        self.folder.join("audio")
    }

    /// What the base said to the fidelity gate.
    pub fn fidelity(&self) -> PathBuf {
        self.folder.join("fidelity")
    }

    /// The plan of a base that the committed one is not of.
    pub fn plan(&self, base: &str) -> PathBuf {
        self.folder.join("plans").join(format!("{base}.plan.toml"))
    }

    /// Sizes, operators, gates and benchmark of the last run.
    pub fn results(&self) -> PathBuf {
        self.folder.join("quantization_comparison_results.json")
    }

    /// What a full run proved of an artifact.
    pub fn proof(&self, base: &str, scheme: &str) -> PathBuf {
        self.folder.join("proof").join(format!("{base}.{scheme}.json"))
    }

    /// The page that shows the results.
    pub fn report(&self) -> PathBuf {
        self.folder.join("report.html")
    }

    /// Candidates that no gate has judged yet.
    pub fn staged(&self) -> PathBuf {
        self.folder.join("staged")
    }

    /// Waits until no other run works in this folder; `waiting` is called if one does. What a killed run left
    /// unfinished in `staged/` is removed then, whether or not this run would come by it.
    ///
    /// # Errors
    /// The folder or its lock cannot be made, or something unfinished cannot be removed.
    pub fn lock(&self, waiting: impl FnOnce()) -> Result<fs_err::File> {
        let lock = lock(&self.folder.join(".lock"), waiting)?;
        remove_unfinished(&self.staged())?;
        Ok(lock)
    }

    /// A folder for what gates work with, which must not outlive them.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.staged().join(format!("{name}.tmp"))
    }

    /// The artifact of that name, if its file has the digest that its metadata says.
    ///
    /// # Errors
    /// A file that is there cannot be read.
    pub fn find(&self, base: &str, scheme: &str) -> Result<Option<Artifact>> {
        self.find_in(&self.folder, base, scheme)
    }

    /// As [`Self::find`], among the candidates that still wait for the gates.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_staged(&self, base: &str, scheme: &str) -> Result<Option<Artifact>> {
        self.find_in(&self.staged(), base, scheme)
    }

    fn find_in(&self, folder: &Path, base: &str, scheme: &str) -> Result<Option<Artifact>> {
        let path = folder.join(file_name(base, scheme));
        let json = path.with_extension("json");
        if !path.exists() || !json.exists() {
            return Ok(None);
        }
        // Metadata of another version is no error: the artifact is simply made again.
        let Ok(metadata) = read_json::<Metadata>(&json) else { return Ok(None) };
        let artifact = Artifact { metadata, path };
        let good =
            self.is_good(&artifact.path, &artifact.metadata.sha256)? && self.has_its_prepared(&artifact)?;
        Ok(good.then_some(artifact))
    }

    /// Whether there is a file with these bytes.
    fn is_good(&self, path: &Path, sha256: &str) -> io::Result<bool> {
        Ok(path.exists() && self.digest(path)?.to_string() == sha256)
    }

    /// Whether the `.prepared` file is the one that the metadata names.
    fn has_its_prepared(&self, artifact: &Artifact) -> io::Result<bool> {
        match &artifact.metadata.prepared {
            Some(prepared) => self.is_good(&artifact.path.with_extension(PREPARED), &prepared.sha256),
            None => Ok(true),
        }
    }

    /// The digest of a file; of a large one that taken before, if size and time of its last change are the same.
    fn digest(&self, path: &Path) -> io::Result<Digest> {
        // Less is hashed sooner than a clock of files ticks.
        const LARGE: u64 = 1 << 20;
        let file = fs_err::metadata(path)?;
        let (bytes, changed) = (file.len(), file.modified()?);
        if bytes < LARGE {
            return Digest::of_file(path);
        }
        let seen = || self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen().get(path).copied();
        if let Some(known) = known.filter(|known| (known.bytes, known.changed) == (bytes, changed)) {
            return Ok(known.sha256);
        }
        let sha256 = Digest::of_file(path)?;
        seen().insert(path.to_path_buf(), Seen { bytes, changed, sha256 });
        Ok(sha256)
    }

    /// Writes a candidate, its `.prepared` file and its metadata into `staged/`. `describe` gets the file that `write`
    /// wrote, its digest and its size, and returns the metadata and what the `.prepared` file holds, if there is one.
    ///
    /// # Errors
    /// The disk's, and those of `describe`; there is no metadata then, so nothing takes the file for a candidate.
    pub fn stage(
        &self,
        base: &str,
        scheme: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
        describe: impl FnOnce(&Path, Digest, u64) -> Result<(Metadata, Option<Vec<u8>>)>,
    ) -> Result<Artifact> {
        let path = self.staged().join(file_name(base, scheme));
        let mut written = None;
        write_atomically(&path, |file| {
            let mut writer = HashingWriter::new(BufWriter::with_capacity(1 << 20, file));
            write(&mut writer)?;
            writer.flush()?;
            written = Some((writer.bytes(), writer.finish().1));
            Ok(())
        })
        .with_context(|| format!("cannot write `{}`", path.display()))?;
        let (bytes, sha256) = written.context("nothing was written")?;
        let (metadata, prepared) = describe(&path, sha256, bytes)?;
        if let Some(prepared) = prepared {
            let path = path.with_extension(PREPARED);
            let written = write_atomically(&path, |file| file.write_all(&prepared));
            written.with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        write_json(&path.with_extension("json"), &metadata)?;
        Ok(Artifact { metadata, path })
    }

    /// Moves a candidate that passed its gates to its place.
    ///
    /// # Errors
    /// The disk's.
    pub fn promote(&self, candidate: Artifact) -> Result<Artifact> {
        move_to(candidate, &self.folder)
    }

    /// Moves a candidate that a gate refused to `refused/`, for a look at it.
    ///
    /// # Errors
    /// The disk's.
    pub fn refuse(&self, candidate: Artifact) -> Result<Artifact> {
        move_to(candidate, &self.folder.join("refused"))
    }

    /// Says which artifact build.rs embeds: `artifact`, which passed its gates on the CPU, and those of other execution providers.
    ///
    /// # Errors
    /// The disk's.
    pub fn choose(&self, artifact: &Artifact, others: BTreeMap<String, ChosenFor>) -> Result<Chosen> {
        let own = artifact.chosen(Evidence::Measured)?;
        let mut providers = others;
        providers.insert(ExecutionProvider::Cpu.to_string(), own.clone());
        let ChosenFor { file, sha256, metadata, metadata_sha256, .. } = own;
        let chosen = Chosen { file, sha256, metadata, metadata_sha256, providers };
        write_json(&self.folder.join(CHOSEN), &chosen)?;
        Ok(chosen)
    }

    /// What `chosen.json` says, without the entries of other execution providers whose files are not those it names; `None` where
    /// [`Self::chosen`] is.
    ///
    /// # Errors
    /// Those of [`Self::chosen`].
    pub fn standing(&self) -> Result<Option<Chosen>> {
        if self.chosen()?.is_none() {
            return Ok(None);
        }
        let mut chosen: Chosen = read_json(&self.folder.join(CHOSEN))?;
        let mut stands = BTreeMap::new();
        for (provider, entry) in chosen.providers {
            let file = self.is_good(&self.folder.join(&entry.file), &entry.sha256)?;
            if file && self.is_good(&self.folder.join(&entry.metadata), &entry.metadata_sha256)? {
                stands.insert(provider, entry);
            }
        }
        chosen.providers = stands;
        Ok(Some(chosen))
    }

    /// The artifact that is chosen now, verified with its metadata and its `.prepared` file; `None` where none is, or one of
    /// the files is another.
    ///
    /// # Errors
    /// A file that is there cannot be read.
    pub fn chosen(&self) -> Result<Option<Artifact>> {
        let path = self.folder.join(CHOSEN);
        if !path.exists() {
            return Ok(None);
        }
        let chosen: Chosen = read_json(&path)?;
        let [path, json] = [&chosen.file, &chosen.metadata].map(|name| self.folder.join(name));
        if !self.is_good(&path, &chosen.sha256)? || !self.is_good(&json, &chosen.metadata_sha256)? {
            return Ok(None);
        }
        let artifact = Artifact { metadata: read_json(&json)?, path };
        Ok(self.has_its_prepared(&artifact)?.then_some(artifact))
    }
}

/// Removes what the names in `folder` say is not finished: a file that was being written, a folder to work in.
fn remove_unfinished(folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "part" || it == "tmp") {
            if path.is_dir() { fs_err::remove_dir_all(&path)? } else { fs_err::remove_file(&path)? }
        }
    }
    Ok(())
}

fn move_to(artifact: Artifact, folder: &Path) -> Result<Artifact> {
    let path = folder.join(&*artifact.metadata.name);
    if path == artifact.path {
        return Ok(artifact);
    }
    fs_err::create_dir_all(folder)?;
    if artifact.metadata.prepared.is_some() {
        fs_err::rename(artifact.path.with_extension(PREPARED), path.with_extension(PREPARED))?;
    }
    // The metadata goes before the model: a model whose metadata is of another one is made again, never trusted.
    fs_err::rename(artifact.path.with_extension("json"), path.with_extension("json"))?;
    fs_err::rename(&artifact.path, &path)?;
    Ok(Artifact { path, ..artifact })
}

/// The file name of an artifact.
pub fn file_name(base: &str, scheme: &str) -> String {
    format!("{base}.{scheme}.onnx")
}
