//! Where things are: the checkout, its recipes, the artifacts folder, and the tools made from them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use kokoro_model::{Runtime, VoiceStyles};

use crate::artifacts::Artifacts;
use crate::base::BaseArgs;
use crate::corpus::{Corpus, CorpusArgs};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::fetch::{Console, Fetcher, RuntimeLibrary, SourceArgs};
use crate::fidelity::DnsmosModels;
use crate::gates::{Utterance, utterances};
use crate::recipe::{Recipe, Redirects, RuntimeRecipe};

/// The model whose recipe the commands follow.
pub const MODEL: &str = "kokoro-v1.0";

/// A checkout of this repository and the environment the command runs in.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
    artifacts: Artifacts,
    environment: Environment,
    /// In place of the committed corpus.
    corpus: Option<PathBuf>,
}

impl Workspace {
    /// The checkout that this program was built in.
    pub fn of_this_build(environment: Environment) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_path_buf();
        Self::new(root, environment)
    }

    /// The checkout in `root`.
    pub fn new(root: PathBuf, environment: Environment) -> Self {
        Self { artifacts: Artifacts::new(root.join("artifacts")), root, environment, corpus: None }
    }

    /// The same, but that the commands write to `folder`.
    #[must_use]
    pub fn with_artifacts(self, folder: &Path) -> Self {
        Self { artifacts: Artifacts::new(folder.to_path_buf()), ..self }
    }

    /// The same, but that the gates judge by other sentences, if there are any.
    #[must_use]
    pub fn with_corpus(self, CorpusArgs { corpus }: &CorpusArgs) -> Self {
        Self { corpus: corpus.clone(), ..self }
    }

    /// The checkout's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the environment says.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Where notices and progress go.
    pub fn console(&self) -> Console {
        Console::stderr(self.environment.redraws())
    }

    /// The folder of recipes.
    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// The recipe of the model.
    ///
    /// # Errors
    /// Those of [`Recipe::load`].
    pub fn recipe(&self) -> Result<Recipe> {
        Recipe::load(&self.models().join(format!("{MODEL}.toml")))
    }

    /// The sentences that gates judge by: the committed ones, or the user's own.
    ///
    /// # Errors
    /// Those of [`Corpus::own`] and of [`Self::committed_corpus`].
    pub fn corpus(&self, recipe: &Recipe) -> Result<Corpus> {
        let Some(own) = &self.corpus else { return self.committed_corpus(recipe) };
        Corpus::own(own, &recipe.voice_names().collect::<Vec<_>>())
    }

    /// The committed sentences, which calibration hears and the lock pins.
    ///
    /// # Errors
    /// Those of [`Corpus::load`], or a sentence whose voice the recipe does not have.
    pub fn committed_corpus(&self, recipe: &Recipe) -> Result<Corpus> {
        let voices: Vec<&str> = recipe.voice_names().collect();
        Corpus::load(&self.models().join("corpus.toml"), &voices).context(Failure::Usage)
    }

    /// The held-out sentences of the corpus with their voices.
    ///
    /// # Errors
    /// Those of [`Self::corpus`] and [`Self::voice`].
    pub fn held_out(&self, fetcher: &Fetcher, recipe: &Recipe, corpus: &Corpus) -> Result<Vec<Utterance>> {
        utterances(corpus.held_out(), |name| self.voice(fetcher, recipe, name))
    }

    /// The sentences that calibration runs, with their voices.
    ///
    /// # Errors
    /// Those of [`Self::corpus`] and [`Self::voice`].
    pub fn calibration(&self, fetcher: &Fetcher, recipe: &Recipe, corpus: &Corpus) -> Result<Vec<Utterance>> {
        utterances(corpus.calibrating(), |name| self.voice(fetcher, recipe, name))
    }

    /// The committed plan of the model.
    pub fn plan(&self, recipe: &Recipe) -> PathBuf {
        self.models().join(&recipe.scheme.static_int8.plan)
    }

    /// What the commands write.
    pub fn artifacts(&self) -> Artifacts {
        self.artifacts.clone()
    }

    /// A fetcher as the command line and the environment want it.
    ///
    /// # Errors
    /// Those of [`SourceArgs::fetcher`].
    pub fn fetcher(&self, sources: &SourceArgs) -> Result<Fetcher> {
        sources.fetcher(&self.environment)
    }

    /// As [`Self::fetcher`]; with `--locked`, no host is asked that no file in `models/` names.
    ///
    /// # Errors
    /// Those of [`Self::fetcher`] and of [`Redirects::load`].
    pub fn fetcher_for(&self, base: &BaseArgs, sources: &SourceArgs) -> Result<Fetcher> {
        let redirects = self.models().join("redirects.toml");
        let redirects = base.locked.then(|| Redirects::load(&redirects)).transpose()?;
        sources.fetcher_within(&self.environment, redirects)
    }

    /// The recipe of the ONNX Runtime library.
    pub fn runtime_recipe(&self) -> PathBuf {
        self.models().join("onnxruntime.toml")
    }

    /// The recipe of the plugin libraries of execution providers.
    pub fn provider_recipe(&self) -> PathBuf {
        self.models().join("providers.toml")
    }

    /// The lock of the model.
    pub fn lock(&self) -> PathBuf {
        self.models().join(format!("{MODEL}.lock.toml"))
    }

    /// What the gates measured of the artifacts of the lock.
    pub fn proof(&self) -> PathBuf {
        self.models().join(format!("{MODEL}.proof.json"))
    }

    /// ONNX Runtime, fetched, verified and loaded.
    ///
    /// # Errors
    /// [`Failure::Fetch`] when the library cannot be had, is no ONNX Runtime or is too old.
    pub fn runtime(&self, fetcher: &Fetcher) -> Result<(Runtime, RuntimeLibrary)> {
        let recipe = RuntimeRecipe::load(&self.runtime_recipe())?;
        let library = fetcher.onnxruntime(&recipe)?;
        let runtime = Runtime::from_path(&library.path).context(Failure::Fetch)?;
        Ok((runtime, library))
    }

    /// The version of the library that [`Self::runtime`] would load. It is loaded only where the user named one.
    ///
    /// # Errors
    /// Those of [`Self::runtime`].
    pub fn runtime_version(&self, fetcher: &Fetcher) -> Result<String> {
        if fetcher.given_library().is_some() {
            return Ok(self.runtime(fetcher)?.0.version().to_owned());
        }
        Ok(RuntimeRecipe::load(&self.runtime_recipe())?.version)
    }

    /// The models that rate speech; `None` where the recipe has no `[dnsmos]`.
    ///
    /// # Errors
    /// [`Failure::Fetch`] when one cannot be had.
    pub fn dnsmos(&self, fetcher: &Fetcher, recipe: &Recipe) -> Result<Option<DnsmosModels>> {
        let files = recipe.judges()?.into_iter().map(|file| fetcher.read(file));
        let files: Vec<_> = files.collect::<Result<_>>()?;
        Ok(<[_; 2]>::try_from(files).ok().map(|[main, p808]| DnsmosModels { main, p808 }))
    }

    /// The styles of one voice of the recipe, or of a file in a corpus of the user's own.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a voice the recipe does not have or a file that is none, [`Failure::Fetch`] when it cannot be had.
    pub fn voice(&self, fetcher: &Fetcher, recipe: &Recipe, name: &str) -> Result<VoiceStyles> {
        if self.corpus.is_some() && !recipe.voice_names().any(|known| known == name) {
            let bytes = fs_err::read(name).context(Failure::Usage)?;
            return VoiceStyles::from_bytes(&bytes)
                .with_context(|| format!("`{name}`"))
                .context(Failure::Usage);
        }
        let bytes = fetcher.read_voice(recipe, name)?;
        VoiceStyles::from_bytes(&bytes).with_context(|| format!("voice `{name}`")).context(Failure::Fetch)
    }
}
