//! Finds the artifact, checks it, and copies it to a name made of its digest.
//!
//! A build pins an artifact by the digest of its metadata, because a crate from a registry has no
//! `artifacts/` and a path is nothing to commit. The metadata names the digests of the model and of
//! its `.prepared` file, so one digest pins all.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::digest;
use super::metadata::{Chosen, Metadata};
use super::settings::{PINNED, Settings, Source};
use super::sha256;

/// An artifact whose bytes were checked.
#[derive(Debug)]
pub struct Artifact {
    /// The copy in `OUT_DIR`, named by its digest, so that what is embedded is what was checked.
    pub copy: PathBuf,
    /// Its metadata, checked too.
    pub metadata: Metadata,
    /// The copy of the `.prepared` file that the metadata names, checked as well.
    pub prepared: Option<PathBuf>,
    /// The files that decided this, for `cargo::rerun-if-changed`.
    pub watched: Vec<PathBuf>,
}

/// Why there is nothing to embed. Its text is the one message a user sees.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong, in one line.
    pub reason: String,
    /// The digest of the artifact that was wanted, once it is known.
    pub sha256: Option<String>,
    /// The files looked for, in order.
    pub looked_in: Vec<PathBuf>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no Kokoro model to embed: {}", self.reason)?;
        if let Some(sha256) = &self.sha256 {
            writeln!(f, "digest: `{sha256}`")?;
        }
        for path in &self.looked_in {
            writeln!(f, "looked in: `{}`", path.display())?;
        }
        write!(f, "hint: in a checkout of kokoro-model, `cargo xtask quantize` makes the artifact, and ")?;
        write!(f, "`cargo xtask fetch --artifact URL` brings a released one into the cache; ")?;
        write!(
            f,
            "`KOKORO_MODEL_ARTIFACT` may be the `sha256:...` that it prints, or name a `chosen.json`, or an "
        )?;
        write!(f, "`.onnx` file with its `.json`; ")?;
        write!(f, "`KOKORO_MODEL_ARTIFACT=none` builds without a model")
    }
}

impl std::error::Error for Failure {}

/// The search so far: what a failure has to tell.
struct Search<'a> {
    settings: &'a Settings,
    failure: Failure,
}

/// Finds, checks and copies the artifact that the settings name; `None` if they ask for none.
///
/// # Errors
/// The one message that tells what was looked for, where, and what to do.
pub fn resolve(settings: &Settings) -> Result<Option<Artifact>, Failure> {
    let mut search = Search { settings, failure: Failure::default() };
    let found = match &settings.source {
        Source::Nothing => return Ok(None),
        Source::Given(path) if path.extension().is_some_and(|extension| extension == "onnx") => {
            search.beside_model(path)
        }
        Source::Given(path) | Source::Package(path) => search.chosen(path),
        Source::Pinned(sha256) => search.pinned(sha256),
    };
    found.map(Some).map_err(|reason| Failure { reason, ..search.failure })
}

impl Search<'_> {
    /// An `.onnx` file with its metadata beside it, which alone tells its digest.
    fn beside_model(&mut self, model: &Path) -> Result<Artifact, String> {
        let beside = model.with_extension("json");
        self.failure.looked_in.extend([model.to_path_buf(), beside.clone()]);
        let metadata: Metadata = parse(&beside, &read(&beside)?)?;
        self.want(&metadata.sha256, &beside)?;
        let folder = model.parent();
        let watched = vec![model.to_path_buf(), beside.clone()];
        self.taken(folder, &beside, model, metadata, watched)
    }

    /// The artifact that a `chosen.json` names: in its own folder, else in the cache.
    fn chosen(&mut self, path: &Path) -> Result<Artifact, String> {
        self.failure.looked_in.push(path.to_path_buf());
        // A folder or an archive would only be said to be no JSON.
        if path.extension().is_none_or(|extension| extension != "json") {
            return Err(format!("expected a `chosen.json` or an `.onnx` file, found `{}`", path.display()));
        }
        let chosen: Chosen = parse(path, &read(path)?)?;
        let chosen = match self.settings.provider {
            Some(provider) => {
                let none = nothing_for(provider, &chosen, path);
                chosen.alone_for(provider).ok_or(none)?
            }
            None => chosen.alone(),
        };
        self.want(&chosen.sha256, path)?;
        if !digest::is_digest(&chosen.metadata_sha256) {
            return Err(not_a_digest(path, "metadata_sha256", &chosen.metadata_sha256));
        }
        let folder = path.parent();
        let metadata_path = self.locate(folder, path, &chosen.metadata, &chosen.metadata_sha256)?;
        let bytes = read(&metadata_path)?;
        let found = sha256::hex_digest(bytes.as_slice()).map_err(|error| error.to_string())?;
        if found != chosen.metadata_sha256 {
            return Err(wrong_digest(&metadata_path, &chosen.metadata_sha256, &found));
        }
        let metadata: Metadata = parse(&metadata_path, &bytes)?;
        let metadata = Metadata { gated: chosen.gated(), ..metadata };
        if metadata.sha256 != chosen.sha256 {
            return Err(format!(
                "`{}` names the digest `{}`, but `{}` the digest `{}`",
                path.display(),
                chosen.sha256,
                metadata_path.display(),
                metadata.sha256
            ));
        }
        let model = self.locate(folder, path, &chosen.file, &chosen.sha256)?;
        let watched = vec![path.to_path_buf(), metadata_path.clone(), model.clone()];
        self.taken(folder, &metadata_path, &model, metadata, watched)
    }

    /// The artifact of the cache whose metadata has the digest `sha256`, which thereby pins the other files, too.
    fn pinned(&mut self, sha256: &str) -> Result<Artifact, String> {
        if !digest::is_digest(sha256) {
            return Err(format!(
                "`KOKORO_MODEL_ARTIFACT` is `{PINNED}{sha256}`, expected 64 lower-case hexadecimal digits behind `{PINNED}`"
            ));
        }
        self.failure.sha256 = Some(sha256.to_owned());
        let cache = self.settings.cache.as_ref().ok_or("there is no home folder, and so no cache")?;
        let folder = cache.join(sha256);
        self.failure.looked_in.push(folder.clone());
        let metadata_path = only_metadata(&folder).ok_or("no metadata with this digest is in the cache")?;
        let bytes = read(&metadata_path)?;
        let found = sha256::hex_digest(bytes.as_slice()).map_err(|error| error.to_string())?;
        if found != sha256 {
            return Err(wrong_digest(&metadata_path, sha256, &found));
        }
        let metadata: Metadata = parse(&metadata_path, &bytes)?;
        self.want(&metadata.sha256, &metadata_path)?;
        let model = self.locate(None, &metadata_path, &metadata.name, &metadata.sha256)?;
        let watched = vec![metadata_path.clone(), model.clone()];
        self.taken(None, &metadata_path, &model, metadata, watched)
    }

    /// The artifact with copies of `model` and of the `.prepared` file that the metadata, read from `named_by`, names.
    fn taken(
        &mut self,
        folder: Option<&Path>,
        named_by: &Path,
        model: &Path,
        metadata: Metadata,
        mut watched: Vec<PathBuf>,
    ) -> Result<Artifact, String> {
        let prepared = self.prepared(folder, named_by, model, &metadata)?;
        let copy = self.copy(model, &metadata)?;
        let prepared = prepared.map(|(path, bytes)| {
            watched.push(path);
            // What was checked is what is embedded.
            let copy = copy.with_extension("prepared");
            fs_err::write(&copy, bytes).map(|()| copy).map_err(|error| error.to_string())
        });
        Ok(Artifact { copy, metadata, prepared: prepared.transpose()?, watched })
    }

    /// The `.prepared` file of `model` and its checked bytes, if the metadata names one.
    fn prepared(
        &mut self,
        folder: Option<&Path>,
        named_by: &Path,
        model: &Path,
        metadata: &Metadata,
    ) -> Result<Option<(PathBuf, Vec<u8>)>, String> {
        let Some(expected) = &metadata.prepared else { return Ok(None) };
        if !digest::is_digest(&expected.sha256) {
            return Err(not_a_digest(named_by, "prepared.sha256", &expected.sha256));
        }
        let name = model.with_extension("prepared");
        let name = name.file_name().unwrap_or_default().to_string_lossy();
        let path = self.locate(folder, named_by, &name, &expected.sha256)?;
        let bytes = read(&path)?;
        let found = sha256::hex_digest(bytes.as_slice()).map_err(|error| error.to_string())?;
        if found != expected.sha256 {
            return Err(wrong_digest(&path, &expected.sha256, &found));
        }
        Ok(Some((path, bytes)))
    }

    /// Notes the digest that is wanted, for the message.
    fn want(&mut self, sha256: &str, named_by: &Path) -> Result<(), String> {
        if !digest::is_digest(sha256) {
            return Err(not_a_digest(named_by, "sha256", sha256));
        }
        self.failure.sha256 = Some(sha256.to_owned());
        Ok(())
    }

    fn locate(
        &mut self,
        folder: Option<&Path>,
        named_by: &Path,
        name: &str,
        sha256: &str,
    ) -> Result<PathBuf, String> {
        // A name with a separator or `..` would lead out of the folder.
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return Err(format!("`{}` names `{name}`, expected a plain file name", named_by.display()));
        }
        let cached = self.settings.cache.as_ref().map(|cache| cache.join(sha256).join(name));
        for candidate in [folder.map(|folder| folder.join(name)), cached].into_iter().flatten() {
            self.failure.looked_in.push(candidate.clone());
            if candidate.is_file() {
                return Ok(candidate);
            }
        }
        Err(format!("`{name}` is missing"))
    }

    /// Copies the model to `OUT_DIR/<sha256>.onnx`. It gets that name only after the copy, not the original, was
    /// digested: a file that changes meanwhile is caught.
    fn copy(&self, model: &Path, metadata: &Metadata) -> Result<PathBuf, String> {
        let out = &self.settings.out;
        remove_models(out).map_err(|error| error.to_string())?;
        let unchecked = out.join("unchecked.part");
        let bytes = fs_err::copy(model, &unchecked).map_err(|error| error.to_string())?;
        let checked = check(&unchecked, model, bytes, metadata, self.settings);
        let copy = out.join(format!("{}.onnx", metadata.sha256));
        match checked.and_then(|()| fs_err::rename(&unchecked, &copy).map_err(|error| error.to_string())) {
            Ok(()) => Ok(copy),
            Err(reason) => {
                // The reason matters more than a part file in a folder that is Cargo's to clean.
                let _ = fs_err::remove_file(&unchecked);
                Err(reason)
            }
        }
    }
}

/// That `chosen`, read from `path`, has no artifact for `provider`.
fn nothing_for(provider: &str, chosen: &Chosen, path: &Path) -> String {
    let known: Vec<_> = chosen.providers.keys().map(|name| format!("`{name}`")).collect();
    let known = if known.is_empty() { "no execution provider".to_owned() } else { known.join(", ") };
    format!(
        "feature `{provider}` asks for the artifact that `{}` names for `{provider}`, found one for {known}",
        path.display()
    )
}

/// `copied` holds the bytes, `model` is the name to blame.
fn check(
    copied: &Path,
    model: &Path,
    bytes: u64,
    metadata: &Metadata,
    settings: &Settings,
) -> Result<(), String> {
    if bytes != metadata.bytes {
        return Err(format!(
            "`{}` has {bytes} bytes, expected {} by its metadata",
            model.display(),
            metadata.bytes
        ));
    }
    let found = digest::of_file(copied, settings).map_err(|error| error.to_string())?;
    if found == metadata.sha256 { Ok(()) } else { Err(wrong_digest(model, &metadata.sha256, &found)) }
}

/// The one `.json` file in a folder of the cache, or the first; its name is that of the artifact, not known yet.
fn only_metadata(folder: &Path) -> Option<PathBuf> {
    let found = fs_err::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    found.filter(|path| path.extension().is_some_and(|extension| extension == "json")).min()
}

/// Removes the copies of former builds: at 80 MB each they would pile up.
fn remove_models(out: &Path) -> std::io::Result<()> {
    for entry in fs_err::read_dir(out)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| ["onnx", "part", "prepared"].iter().any(|it| extension == *it))
        {
            fs_err::remove_file(path)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs_err::read(path).map_err(|error| error.to_string())
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("`{}`: {error}", path.display()))
}

fn not_a_digest(path: &Path, key: &str, found: &str) -> String {
    format!("`{}` has `{key}` = `{found}`, expected 64 lower-case hexadecimal digits", path.display())
}

fn wrong_digest(path: &Path, expected: &str, found: &str) -> String {
    format!("`{}` has the digest `{found}`, expected `{expected}`", path.display())
}
