//! A model that is to be judged.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use kokoro_model::{Metadata, Provider, Runtime, Synthesizer, SynthesizerOptions};
use quantizer::census::{self, Stored};
use quantizer::{coreml, model};

use super::ExecutionProvider;
use crate::artifacts::Artifact;
use crate::base::{Base, decode};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::parts::{Parts, parts};

/// A model, how it is to be run, and what its graph says of itself.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What results call it: the name of the base, of a scheme or of a file.
    pub name: String,
    /// The bytes of its file: those that were verified are those that are run.
    pub model: Bytes,
    /// The digest of its file.
    pub sha256: Digest,
    /// The size of its file.
    pub bytes: u64,
    /// What it is loaded with quickly, of an artifact.
    pub prepared: Option<Bytes>,
    /// The options that it ships with, or that the base is run with; threads and profile are the gates' to set.
    pub options: SynthesizerOptions,
    /// Nodes of the file per operator, as [`census::operators`] names them.
    pub operators: BTreeMap<String, usize>,
    /// Initializers of the file per element type.
    pub precisions: BTreeMap<String, Stored>,
    /// The same for each part of the model.
    pub parts: Parts,
    /// How many rows the token embedding of the graph has.
    pub vocabulary_size: u32,
    /// The execution provider that it is run on.
    pub provider: ExecutionProvider,
}

impl Subject {
    /// The model whose file has these bytes, run with the options of its `metadata`. Without any it is run as the
    /// runtime runs any model, its token ids bounded by the vocabulary of the graph.
    ///
    /// # Errors
    /// [`Failure::Model`], naming the model: not ONNX, or it looks up no tokens.
    pub fn new(name: impl Into<String>, bytes: Bytes, metadata: Option<&Metadata>) -> Result<Self> {
        let name = name.into();
        let decoded = decode(&name, &bytes)?;
        let graph = model::graph(&decoded).context(Failure::Model)?;
        let vocabulary_size = crate::describe::vocabulary_size(&decoded)
            .with_context(|| format!("`{name}` cannot be judged"))?;
        let options = metadata.map_or_else(
            || SynthesizerOptions::default().vocabulary_size(vocabulary_size),
            SynthesizerOptions::for_artifact,
        );
        Ok(Self {
            sha256: Digest::of(&bytes),
            bytes: bytes.len() as u64,
            prepared: None,
            options,
            operators: census::operators(graph),
            precisions: census::precisions(graph),
            parts: parts(graph),
            vocabulary_size,
            provider: ExecutionProvider::Cpu,
            name,
            model: bytes,
        })
    }

    /// The base, run as the runtime runs any model.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn of_base(base: &Base) -> Result<Self> {
        let subject = Self::new(&base.name, base.bytes.clone(), None)?;
        // It is known by its file, whatever was called by another name when it was imported.
        Ok(Self { sha256: base.sha256, bytes: base.file_bytes, ..subject })
    }

    /// An artifact or a candidate, named by its scheme, with the session options it ships with.
    ///
    /// # Errors
    /// The file cannot be read, and those of [`Self::new`].
    pub fn of_artifact(artifact: &Artifact) -> Result<Self> {
        let bytes = fs_err::read(&artifact.path).context(Failure::Model)?;
        let subject = Self::new(&*artifact.metadata.scheme, bytes.into(), Some(&artifact.metadata))?;
        let prepared = artifact.prepared().context(Failure::Model)?.map(Bytes::from);
        Ok(Self { prepared, ..subject })
    }

    /// A file, named without folder and `.onnx`. Session options come from the metadata beside it, if any.
    ///
    /// # Errors
    /// The file cannot be read, metadata that is none, and those of [`Self::new`].
    pub fn of_file(path: &Path) -> Result<Self> {
        let bytes = fs_err::read(path).context(Failure::Usage)?;
        let json = path.with_extension("json");
        let metadata: Option<Metadata> = json.exists().then(|| crate::files::read_json(&json)).transpose()?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let subject = Self::new(name, bytes.into(), metadata.as_ref())?;
        let artifact = metadata.map(|metadata| Artifact { metadata, path: path.to_path_buf() });
        let prepared = artifact.map(|artifact| artifact.prepared()).transpose().context(Failure::Usage)?;
        Ok(Self { prepared: prepared.flatten().map(Bytes::from), ..subject })
    }

    /// The same on another execution provider, which its name then tells: `static-int8@webgpu`. A prepared model was optimized
    /// for the CPU's, so its file is loaded; for OpenVINO [with one shape more](Self::with_shapes).
    ///
    /// # Errors
    /// [`Failure::Model`]: not ONNX.
    pub fn on(&self, name: ExecutionProvider, provider: &Provider) -> Result<Self> {
        if name == ExecutionProvider::Cpu {
            return Ok(self.clone());
        }
        let model =
            if name == ExecutionProvider::OpenVino { self.with_shapes()? } else { self.model.clone() };
        Ok(Self {
            name: format!("{}@{name}", self.name),
            model,
            prepared: None,
            options: self.options.clone().provider(provider.clone()),
            provider: name,
            ..self.clone()
        })
    }

    /// The model with the shape of its STFT declared, without which OpenVINO does not load it. Nothing else of it is changed. The
    /// artifacts do not have it: with it a `.prepared` file no longer says the same as its model to the bit.
    fn with_shapes(&self) -> Result<Bytes> {
        let mut decoded = decode(&self.name, &self.model)?;
        coreml::transforms(model::graph_mut(&mut decoded).context(Failure::Model)?);
        let mut bytes = Vec::new();
        model::encode(&decoded, &mut bytes)?;
        Ok(bytes.into())
    }

    /// The size of the file in MiB (2²⁰ bytes).
    pub fn mib(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 20)
    }

    /// Loads the model with `options` the way it ships, prepared where it is, and says how long that took.
    ///
    /// # Errors
    /// [`Failure::Model`] with what the engine said.
    pub(crate) fn load(
        &self,
        runtime: &Runtime,
        options: &SynthesizerOptions,
    ) -> Result<(Synthesizer, Duration)> {
        let start = Instant::now();
        let synthesizer = match &self.prepared {
            Some(prepared) => Synthesizer::from_prepared(runtime, &self.model, prepared, options),
            None => Synthesizer::from_bytes(runtime, &self.model, options),
        };
        let synthesizer =
            synthesizer.with_context(|| format!("`{}` does not load", self.name)).context(Failure::Model)?;
        Ok((synthesizer, start.elapsed()))
    }
}
