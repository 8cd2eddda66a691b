//! The base: the float model that candidates are made from and measured against.
//!
//! A restored base is kept in the cache under the digest that the recipe pins. So a change in how
//! it is rebuilt shows as a digest that differs, never as silently different artifacts.

mod sources;

use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use clap::Args;
use kokoro_model::BaseKind;
use quantizer::kokoro::{self, Export};
use quantizer::proto::ModelProto;

use self::sources::{Pinned, Sources};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::fetch::{Console, Fetcher, Wanted, is_unavailable};
use crate::recipe::Recipe;

/// Which base to take.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Base model")]
pub struct BaseArgs {
    /// Take this base of the recipe and no other: `kokoro-v1.0`, `kokoro-v1.0-restored` or `kokoro-v1.0-offgrid`
    ///
    /// Without it, the published float model is taken where it can be had, and otherwise the one that is
    /// rebuilt from the published INT8 file, with a notice. The third is the second, its weights moved off the grid that they
    /// lie on: what gates say of it holds for a model that was never quantized. It is never released.
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    pub base: Option<String>,

    /// Take a model of your own: an `.onnx` file with Kokoro's inputs and outputs
    ///
    /// It is recorded by its digest, and marked as pinned by nobody.
    #[arg(long, value_name = "PATH")]
    pub model: Option<PathBuf>,

    /// Never fall back to the restored base, nor to a plan other than the committed one; ask no host but those in `models/`
    ///
    /// `quantize` then also refuses what the lock, `models/kokoro-v1.0.lock.toml`, does not have.
    #[arg(long, conflicts_with_all = ["model", "mirror"])]
    pub locked: bool,
}

/// Which float model is meant: all that has to be known of a base to tell whether an artifact was made from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseId {
    /// Its name, which file names of artifacts start with.
    pub name: String,
    /// Who vouches for it.
    pub kind: BaseKind,
    /// The digest of its bytes.
    pub sha256: Digest,
}

/// A float model.
#[derive(Debug, Clone)]
pub struct Base {
    /// Which it is.
    pub id: BaseId,
    /// The model as all that is made and measured takes it: imported, see [`kokoro::import`].
    pub bytes: Bytes,
    /// The size of the `.onnx` file that it was read from; of one with external data, of the whole.
    pub file_bytes: u64,
    /// What the file was before it was imported; `None` where the recipe names what it predicts.
    pub export: Option<Export>,
}

impl Deref for Base {
    type Target = BaseId;

    fn deref(&self) -> &BaseId {
        &self.id
    }
}

impl Base {
    /// The verified file of a model, imported. `shown` is what messages call it.
    fn import(id: BaseId, shown: &str, file: &Bytes, recipe: &Recipe) -> Result<Self> {
        let mut model = decode(shown, file)?;
        let by_structure = recipe.probe.is_by_structure();
        let export = by_structure.then(|| kokoro::import(&mut model)).transpose();
        let export = export.with_context(|| format!("`{shown}`")).context(Failure::Model)?;
        // Of the base already, so that candidates differ from it in what a scheme does and in nothing else.
        quantizer::durations::declare(&mut model, &recipe.probe.durations)
            .with_context(|| format!("`{shown}` gets no output of durations"))
            .context(Failure::Model)?;
        let mut bytes = Vec::with_capacity(file.len());
        quantizer::model::encode(&model, &mut bytes)?;
        Ok(Self { id, bytes: bytes.into(), file_bytes: file.len() as u64, export })
    }

    /// The model, its tensors slices of the base's bytes.
    ///
    /// # Errors
    /// [`Failure::Model`].
    pub fn decode(&self) -> Result<ModelProto> {
        decode(&self.name, &self.bytes)
    }
}

/// Decodes the bytes of the model that messages call `name`.
///
/// # Errors
/// [`Failure::Model`].
pub fn decode(name: &str, bytes: &Bytes) -> Result<ModelProto> {
    quantizer::model::decode(bytes.clone())
        .with_context(|| format!("`{name}` cannot be read"))
        .context(Failure::Model)
}

/// The base that [`obtain`] would bring, where that is known before its bytes are read: one that is asked for by name, or the
/// one that the present artifacts were made from. `last` is the name of that one.
pub fn pinned(args: &BaseArgs, recipe: &Recipe, last: Option<&str>) -> Option<BaseId> {
    if args.model.is_some() {
        return None;
    }
    let base = Pinned::named(args.base.as_deref().or(last)?, recipe).ok()?;
    // `--locked` takes another than the published base by name only.
    let is_taken = matches!(base, Pinned::Official(_)) || args.base.is_some() || !args.locked;
    is_taken.then(|| base.id(recipe))
}

/// The base that the command line asks for, by default the best that can be had.
///
/// `last` is the name of the base that the present artifacts were made from: one that was made here
/// before is taken again without asking the network whether the published one can be had by now.
///
/// # Errors
/// [`Failure::Fetch`] when nothing can be had, [`Failure::Usage`] for a name that is no base,
/// [`Failure::Model`] when a model that is made here is not the pinned one or a local file is no model.
pub fn obtain(
    args: &BaseArgs,
    recipe: &Recipe,
    fetcher: &Fetcher,
    console: &Console,
    last: Option<&str>,
) -> Result<Base> {
    if let Some(path) = &args.model {
        return local(path, recipe);
    }
    let sources = Sources { recipe, fetcher, console };
    if let Some(name) = &args.base {
        let base = Pinned::named(name, recipe)?;
        return sources.base(base, || sources.bytes(base));
    }
    let official = Pinned::named(&recipe.name, recipe)?;
    let made_here = |base: &Pinned<'_>| !matches!(base, Pinned::Official(_));
    let present = last.and_then(|name| Pinned::named(name, recipe).ok()).filter(made_here);
    if let Some(base) = present.filter(|_| !args.locked) {
        console.say(&format!(
            "base `{}`, as for the present artifacts; `--base {}` asks for the published one",
            base.id(recipe).name,
            recipe.name
        ));
        return sources.base(base, || sources.bytes(base));
    }
    let restored = Pinned::Restored(&recipe.base.restored);
    let name = &recipe.base.restored.name;
    if args.locked {
        return sources.base(official, || sources.bytes(official));
    }
    match sources.base(official, || sources.official_if_in_reach()) {
        Err(error) if is_unavailable(&error) => {
            console.say(&format!(
                "notice: `{}` cannot be had from here, so the base is `{name}`: the published INT8 model with its \
                 quantization undone",
                recipe.base.official
            ));
            sources.base(restored, || sources.bytes(restored))
        }
        outcome => outcome,
    }
}

/// The file without which [`obtain`] would have no base, of the same arguments; none for a model of the user's. Where either
/// of two files would do, it is the one that more sources have.
///
/// # Errors
/// [`Failure::Usage`] for a name that is no base.
pub fn wanted<'a>(
    args: &BaseArgs,
    recipe: &'a Recipe,
    fetcher: &Fetcher,
    last: Option<&str>,
) -> Result<Option<Wanted<'a>>> {
    if args.model.is_some() {
        return Ok(None);
    }
    let restored = &recipe.base.restored;
    let official = recipe.file(&recipe.base.official)?;
    let base = match args.base.as_deref() {
        Some(name) => Pinned::named(name, recipe)?,
        None if args.locked => Pinned::Official(official),
        None if last != Some(&restored.name) && fetcher.has(official) => return Ok(None),
        None => Pinned::Restored(restored),
    };
    base.wanted(recipe, fetcher)
}

/// The base called `name`, made of its sources: one that is made here is made now, whatever the cache has.
///
/// # Errors
/// As [`obtain`].
pub fn from_sources(name: &str, recipe: &Recipe, fetcher: &Fetcher, console: &Console) -> Result<Base> {
    let (base, sources) = (Pinned::named(name, recipe)?, Sources { recipe, fetcher, console });
    sources.base(base, || sources.made_anew(base))
}

/// That a model of the user's own can be read and is not quantized yet: whoever quantizes twice loses twice, and measures
/// against what was lost before.
///
/// # Errors
/// [`Failure::Usage`] for a file that cannot be read, [`Failure::Model`] for one that is no float model.
pub fn check_local(path: &Path, recipe: &Recipe) -> Result<()> {
    let base = local(path, recipe)?;
    let model = base.decode()?;
    let graph = quantizer::model::graph(&model).context(Failure::Model)?;
    let operators = quantizer::census::operators(graph);
    let found = QUANTIZED.iter().find_map(|name| Some((name, operators.get(*name)?)));
    let Some((operator, count)) = found else { return Ok(()) };
    Err(anyhow!(
        "`{}` is quantized already: expected a float model, found {count} nodes `{operator}`\nhint: take the model that \
         it was made from",
        path.display()
    )
    .context(Failure::Model))
}

/// Operators that a float model has no use for.
const QUANTIZED: [&str; 5] =
    ["ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv"];

/// A model of the user's. External payloads are brought in, and then the digest is that of the whole.
fn local(path: &Path, recipe: &Recipe) -> Result<Base> {
    let bytes = Bytes::from(fs_err::read(path).context(Failure::Usage)?);
    let shown = path.display().to_string();
    let mut model = decode(&shown, &bytes)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut loaded = false;
    let graph = quantizer::model::graph_mut(&mut model).context(Failure::Model)?;
    quantizer::external::inline(graph, &mut |location| {
        loaded = true;
        read_below(&folder, location)
    })
    .and_then(|()| quantizer::check::validate(graph))
    .with_context(|| format!("`{shown}` is not a sound model"))
    .context(Failure::Model)?;
    let bytes = if loaded {
        let mut whole = Vec::new();
        quantizer::model::encode(&model, &mut whole)?;
        whole.into()
    } else {
        bytes
    };
    let name = path.file_stem().map_or("model".into(), |stem| stem.to_string_lossy().into_owned());
    let sha256 = Digest::of(&bytes);
    Base::import(BaseId { name, kind: BaseKind::Local, sha256 }, &shown, &bytes, recipe)
}

/// Reads an external payload, unless a symbolic link leads out of the model's folder.
pub(crate) fn read_below(folder: &Path, location: &str) -> std::io::Result<Bytes> {
    let folder = fs_err::canonicalize(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?;
    let path = fs_err::canonicalize(folder.join(location))?;
    if !path.starts_with(&folder) {
        return Err(std::io::Error::other("a symbolic link leads out of the model's folder"));
    }
    fs_err::read(path).map(Bytes::from)
}
