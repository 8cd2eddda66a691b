//! `cargo xtask fetch`: brings what the other commands need, so that they can run offline.

use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use kokoro_model::BaseKind;
use serde::Serialize;

use crate::base::{self, BaseArgs};
use crate::digest::Digest;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::fetch::{
    Fetched, FetchedArtifact, Fetcher, RuntimeLibrary, SourceArgs, Wanted, is_unavailable, joined,
};
use crate::recipe::{PluginRecipes, Recipe, RuntimeRecipe};

/// Brings the model, the voices and ONNX Runtime into the cache, or a released artifact
///
/// Every file is pinned by size and digest in `models/`. Its sources are tried in order; a download that
/// was cut is resumed; a file with a wrong digest is kept aside as `*.rejected` and ends the run with exit
/// code 3. What the cache holds is hashed again, and not fetched.
///
/// The cache is the folder that `KOKORO_MODEL_CACHE` names, else `kokoro-model` in your cache folder. It
/// can be copied to another machine, or served there for `--mirror`.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Files, voices, `onnxruntime`, the plugins `openvino` and `webgpu`, or `onnxruntime-openvino`, by name; without any,
    /// what `quantize` needs
    ///
    /// A file is named as in the recipe (`kokoro-v1.0.onnx`), a voice as it is called (`af_heart`). `onnxruntime-openvino`
    /// is an ONNX Runtime with that provider built in; its path is printed, for `--onnxruntime`.
    #[arg(value_name = "NAME", conflicts_with = "all")]
    pub names: Vec<String>,

    /// Everything in the recipe, but for plugins; what cannot be had is listed at the end
    #[arg(long)]
    pub all: bool,

    /// A released artifact: the address or path of a `.tar.zst` archive, a folder it was unpacked to, or an `.onnx` file
    ///
    /// Its model, prepared graph and metadata are checked against its `SHA256SUMS` and `chosen.json` and go to the
    /// cache, from which builds of `kokoro-model` take them by the line that is printed last. An `.onnx` file has its
    /// `.json` beside it. Nothing else is fetched.
    #[arg(long, value_name = "URL|FILE", conflicts_with_all = ["names", "all"])]
    pub artifact: Option<String>,

    /// The digest of the archive, checked before it is opened, or of the `.onnx` file
    #[arg(long, value_name = "DIGEST", requires = "artifact")]
    pub sha256: Option<Digest>,

    /// Print what came from where as JSON on standard output
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub sources: SourceArgs,
}

/// What a run brought.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Model files.
    pub files: Vec<Fetched>,
    /// Voices.
    pub voices: Vec<Fetched>,
    /// The ONNX Runtime library.
    pub onnxruntime: Option<RuntimeLibrary>,
    /// The libraries of plugin providers; the digests are those of their wheels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<Fetched>,
    /// Builds of ONNX Runtime with a provider built in, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runtimes: Vec<Fetched>,
    /// A released artifact.
    pub artifact: Option<FetchedArtifact>,
}

/// Runs the command with the recipes below `models`.
///
/// # Errors
/// [`Failure::Usage`] for a name that no recipe has; [`Failure::Fetch`] when something cannot be had.
pub fn run(args: &FetchArgs, models: &Path, environment: &Environment) -> Result<()> {
    if let Some(artifact) = &args.artifact {
        let fetcher = args.sources.fetcher(environment)?;
        let artifact = fetcher.artifact(artifact, args.sha256)?;
        warn(&artifact, args.sha256.is_some());
        let summary = Summary { artifact: Some(artifact), ..Summary::default() };
        return show(&summary, args.json, fetcher.cache().folder());
    }
    let recipe = Recipe::load(&models.join("kokoro-v1.0.toml"))?;
    let runtime = RuntimeRecipe::load(&models.join("onnxruntime.toml"))?;
    let fetcher = args.sources.fetcher(environment)?;

    let mut summary = Summary::default();
    let mut unavailable = Vec::new();
    if args.all {
        // One file out of reach is no reason to go without the others.
        for file in &recipe.files {
            summary.files.extend(or_later(fetcher.file(file), &mut unavailable)?);
        }
        let voices = fetcher.voices(&recipe, recipe.voice_names());
        summary.voices = or_later(voices, &mut unavailable)?.unwrap_or_default();
        summary.onnxruntime = or_later(fetcher.onnxruntime(&runtime), &mut unavailable)?;
    } else if args.names.is_empty() {
        summary = what_quantize_needs(&fetcher, &recipe, &runtime)?;
    } else {
        for name in &args.names {
            one(name, &fetcher, &recipe, models, &mut summary)?;
        }
    }
    show(&summary, args.json, fetcher.cache().folder())?;
    if unavailable.is_empty() {
        return Ok(());
    }
    let reasons: Vec<_> = unavailable.iter().map(|error| error.root_cause().to_string()).collect();
    Err(anyhow!(reasons.join("\n")).context(Failure::Fetch))
}

/// Keeps an error that only says that something cannot be had, and passes on every other.
fn or_later<T>(outcome: Result<T>, unavailable: &mut Vec<anyhow::Error>) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_unavailable(&error) => {
            unavailable.push(error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The base, the models that rate speech, voices and the library, side by side.
fn what_quantize_needs(fetcher: &Fetcher, recipe: &Recipe, runtime: &RuntimeRecipe) -> Result<Summary> {
    let judges = recipe.judges()?;
    let mut wanted = vec![Wanted::Voices(recipe), Wanted::Runtime(runtime)];
    wanted.extend(judges.iter().map(|file| Wanted::File(file)));
    wanted.extend(base::wanted(&BaseArgs::default(), recipe, fetcher, None)?);
    fetcher.preflight(&wanted)?;
    thread::scope(|scope| {
        let voices = scope.spawn(|| fetcher.voices(recipe, recipe.voice_names()));
        let library = scope.spawn(|| fetcher.onnxruntime(runtime));
        let judges: Vec<_> = judges.into_iter().map(|file| scope.spawn(move || fetcher.file(file))).collect();
        let mut files = vec![base(fetcher, recipe)?];
        for judge in judges {
            files.push(joined(judge)?);
        }
        let (voices, onnxruntime) = (joined(voices)?, Some(joined(library)?));
        Ok(Summary { files, voices, onnxruntime, ..Summary::default() })
    })
}

/// The float model, or else the file that it is rebuilt from.
fn base(fetcher: &Fetcher, recipe: &Recipe) -> Result<Fetched> {
    match fetcher.file_if_in_reach(recipe.file(&recipe.base.official)?) {
        Err(error) if is_unavailable(&error) => fetcher.file(recipe.file(&recipe.base.restored.from)?),
        outcome => outcome,
    }
}

fn one(name: &str, fetcher: &Fetcher, recipe: &Recipe, models: &Path, summary: &mut Summary) -> Result<()> {
    let plugins = PluginRecipes::load(&models.join("providers.toml"))?;
    if name == "onnxruntime" {
        let runtime = RuntimeRecipe::load(&models.join("onnxruntime.toml"))?;
        summary.onnxruntime = Some(fetcher.onnxruntime(&runtime)?);
    } else if let Some(plugin) = plugins.plugins.get(name) {
        summary.plugins.push(fetcher.plugin(plugin)?);
    } else if let Some(runtime) = plugins.runtimes.get(name) {
        summary.runtimes.push(fetcher.plugin(runtime)?);
    } else if recipe.voice_names().any(|voice| voice == name) {
        summary.voices.push(fetcher.voice(recipe, name)?);
    } else {
        let file = recipe.file(name).with_context(|| {
            format!(
                "`{name}` is no file, no voice, no plugin and not `onnxruntime`\nhint: voices are named like `af_heart`"
            )
        })?;
        summary.files.push(fetcher.file(file)?);
    }
    Ok(())
}

fn show(summary: &Summary, json: bool, cache: &Path) -> Result<()> {
    if json {
        let text = serde_json::to_string_pretty(summary).context(Failure::Fetch)?;
        println!("{text}");
        return Ok(());
    }
    for file in &summary.files {
        println!("{:<24} {}  from {}", file.name, file.sha256, file.origin);
    }
    // Fifty-four lines would bury the others.
    if let Some(first) = summary.voices.first() {
        let fresh = summary.voices.iter().filter(|voice| voice.origin != crate::fetch::Origin::Cache).count();
        match summary.voices.len() {
            1 => println!("{:<24} {}  from {}", first.name, first.sha256, first.origin),
            count => println!("{count} voices, {fresh} of them fetched now"),
        }
    }
    if let Some(library) = &summary.onnxruntime {
        let version = library.version.as_deref().unwrap_or("of your own");
        println!("{:<24} {}  from {}", format!("ONNX Runtime {version}"), library.sha256, library.origin);
    }
    for plugin in &summary.plugins {
        println!("{:<24} {}  from {}", plugin.name, plugin.sha256, plugin.origin);
    }
    for runtime in &summary.runtimes {
        println!("{:<24} {}  from {}", runtime.name, runtime.sha256, runtime.origin);
        println!("--onnxruntime {}", runtime.path.display());
    }
    if let Some(artifact) = &summary.artifact {
        for file in artifact.archive.iter().chain(&artifact.files) {
            println!("{:<24} {}  from {}", file.name, file.sha256, file.origin);
        }
    }
    println!("cache: {}", cache.display());
    if let Some(artifact) = &summary.artifact {
        println!("KOKORO_MODEL_ARTIFACT={}", artifact.variable);
    }
    Ok(())
}

/// What a user should know of an artifact before trusting it.
fn warn(artifact: &FetchedArtifact, pinned: bool) {
    if let Some(archive) = artifact.archive.as_ref().filter(|_| !pinned) {
        eprintln!("nothing pinned `{}`: it fits itself, which says nothing of who made it", archive.name);
        eprintln!("hint: the next time, `--sha256 {}` takes this one and no other", archive.sha256);
    }
    let kind = match artifact.base_kind {
        BaseKind::Official => return,
        BaseKind::Restored => "rebuilt from the published INT8 model",
        BaseKind::Local => "a file that nobody pinned",
    };
    eprintln!("it was made from `{}`, {kind}, not from the published float model", artifact.base);
}
