//! The bases that a recipe has, and how each is had.

use std::io::Write as _;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use kokoro_model::BaseKind;
use quantizer::offgrid;
use quantizer::proto::ModelProto;

use super::{Base, BaseId, decode};
use crate::digest::{Digest, HashingWriter};
use crate::failure::Failure;
use crate::fetch::{Console, Entry, Fetcher, Size, Wanted};
use crate::recipe::{OffgridBase, Recipe, RestoredBase, SourceFile};

/// A base of the recipe.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pinned<'a> {
    /// The published file.
    Official(&'a SourceFile),
    /// The published INT8 file, its quantization undone.
    Restored(&'a RestoredBase),
    /// The restored one, off its grid.
    Offgrid(&'a OffgridBase),
}

impl<'a> Pinned<'a> {
    /// The base called `name`.
    ///
    /// # Errors
    /// [`Failure::Usage`] for any other name.
    pub(super) fn named(name: &str, recipe: &'a Recipe) -> Result<Self> {
        let (restored, offgrid) = (&recipe.base.restored, &recipe.base.offgrid);
        match name {
            _ if name == recipe.name => Ok(Self::Official(recipe.file(&recipe.base.official)?)),
            _ if name == restored.name => Ok(Self::Restored(restored)),
            _ if name == offgrid.name => Ok(Self::Offgrid(offgrid)),
            _ => {
                let known = [&recipe.name, &restored.name, &offgrid.name].map(|name| format!("`{name}`"));
                let expected = known.join(", ");
                Err(anyhow!("expected one of {expected} as base, found `{name}`").context(Failure::Usage))
            }
        }
    }

    /// What there is to know of it before its bytes are read.
    pub(super) fn id(self, recipe: &Recipe) -> BaseId {
        let (name, kind) = match self {
            Self::Official(_) => (&recipe.name, BaseKind::Official),
            Self::Restored(pinned) => (&pinned.name, BaseKind::Restored),
            Self::Offgrid(pinned) => (&pinned.name, BaseKind::Restored),
        };
        BaseId { name: name.clone(), kind, sha256: self.pin().2 }
    }

    /// The name of its file but for the extension, its size and its digest.
    fn pin(self) -> (&'a str, u64, Digest) {
        match self {
            Self::Official(file) => (&file.name, file.bytes, file.sha256),
            Self::Restored(pinned) => (&pinned.name, pinned.bytes, pinned.sha256),
            Self::Offgrid(pinned) => (&pinned.name, pinned.bytes, pinned.sha256),
        }
    }

    /// Where the cache has what is made here.
    fn entry(self, fetcher: &Fetcher) -> Entry {
        let (name, bytes, sha256) = self.pin();
        fetcher.cache().entry(&format!("{name}.onnx"), sha256, Size::Exactly(bytes))
    }

    /// The file that it is made from, unless the cache has what was made of it.
    pub(super) fn wanted(self, recipe: &'a Recipe, fetcher: &Fetcher) -> Result<Option<Wanted<'a>>> {
        match self {
            Self::Official(file) => Ok(Some(Wanted::File(file))),
            _ if self.entry(fetcher).path().exists() => Ok(None),
            Self::Restored(pinned) => Ok(Some(Wanted::File(recipe.file(&pinned.from)?))),
            Self::Offgrid(_) => Self::Restored(&recipe.base.restored).wanted(recipe, fetcher),
        }
    }
}

/// Where bases come from.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) fetcher: &'a Fetcher,
    pub(super) console: &'a Console,
}

impl Sources<'_> {
    /// The base, imported, its file what `bytes` brings.
    pub(super) fn base(self, base: Pinned<'_>, bytes: impl FnOnce() -> Result<Bytes>) -> Result<Base> {
        Base::import(base.id(self.recipe), base.pin().0, &bytes()?, self.recipe)
    }

    /// The published file, unless its host does not answer; see [`Fetcher::read_if_in_reach`].
    pub(super) fn official_if_in_reach(self) -> Result<Bytes> {
        self.fetcher.read_if_in_reach(self.recipe.file(&self.recipe.base.official)?).map(Bytes::from)
    }

    /// The verified file: from the cache, if it was fetched or made before.
    pub(super) fn bytes(self, base: Pinned<'_>) -> Result<Bytes> {
        if let Pinned::Official(file) = base {
            return self.fetcher.read(file).map(Bytes::from);
        }
        let (name, _, sha256) = base.pin();
        let waiting = || self.console.say(&format!("waiting for another run that makes `{name}`"));
        let _lock = self.fetcher.cache().lock(&sha256.to_string(), waiting).context(Failure::Fetch)?;
        let entry = base.entry(self.fetcher);
        if let Some(bytes) = entry.read().context(Failure::Fetch)? {
            return Ok(bytes.into());
        }
        let bytes = match base {
            Pinned::Offgrid(pinned) => {
                self.shift(pinned, &self.bytes(Pinned::Restored(&self.recipe.base.restored))?)?
            }
            _ => self.made_anew(base)?,
        };
        let path = entry.path();
        crate::files::write_atomically(&path, |file| file.write_all(&bytes))
            .with_context(|| format!("cannot keep `{}`", path.display()))
            .context(Failure::Fetch)?;
        Ok(bytes)
    }

    /// The file, made of its sources now, whatever the cache has of what is made here.
    pub(super) fn made_anew(self, base: Pinned<'_>) -> Result<Bytes> {
        match base {
            Pinned::Official(file) => self.fetcher.read(file).map(Bytes::from),
            Pinned::Restored(pinned) => self.restore(pinned),
            Pinned::Offgrid(pinned) => self.shift(pinned, &self.restore(&self.recipe.base.restored)?),
        }
    }

    fn restore(self, pinned: &RestoredBase) -> Result<Bytes> {
        let source = self.fetcher.read(self.recipe.file(&pinned.from)?)?;
        let busy = self.console.busy(&format!("restoring `{}` from `{}`", pinned.name, pinned.from));
        let mut model = decode(&pinned.from, &source.into())?;
        let graph = quantizer::model::graph_mut(&mut model).context(Failure::Model)?;
        quantizer::check::validate(graph)
            .and_then(|()| quantizer::restore::restore(graph))
            .with_context(|| format!("`{}` cannot be restored", pinned.from))
            .context(Failure::Model)?;
        let bytes = self.encode(&model, Pinned::Restored(pinned))?;
        busy.done(&format!("restored `{}`", pinned.name));
        Ok(bytes)
    }

    fn shift(self, pinned: &OffgridBase, restored: &Bytes) -> Result<Bytes> {
        let from = &self.recipe.base.restored.name;
        let busy = self.console.busy(&format!("moving the weights of `{from}` off their grid"));
        let mut model = decode(from, restored)?;
        let graph = quantizer::model::graph_mut(&mut model).context(Failure::Model)?;
        offgrid::shift(graph, pinned.seed)
            .with_context(|| format!("`{from}` cannot be moved off its grid"))
            .context(Failure::Model)?;
        let bytes = self.encode(&model, Pinned::Offgrid(pinned))?;
        busy.done(&format!("made `{}`", pinned.name));
        Ok(bytes)
    }

    /// The bytes of what was made here, if they are the pinned ones.
    fn encode(self, model: &ModelProto, base: Pinned<'_>) -> Result<Bytes> {
        let (name, size, expected) = base.pin();
        let mut writer = HashingWriter::new(Vec::with_capacity(size as usize));
        quantizer::model::encode(model, &mut writer)?;
        let (bytes, sha256) = writer.finish();
        if sha256 == expected {
            return Ok(bytes.into());
        }
        Err(anyhow!(
            "`{name}` is not the pinned one\nexpected {expected} ({size} bytes)\nfound    {sha256} ({} bytes)\nhint: if the \
             quantizer was changed on purpose, put the new digest and size into `models/{}.toml`",
            bytes.len(),
            self.recipe.name
        )
        .context(Failure::Model))
    }
}
