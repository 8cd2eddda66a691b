//! `cargo xtask test`: everything the project tests, from nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use super::quantize::{self, QuantizeArgs};
use crate::base::BaseArgs;
use crate::cargo::cargo;
use crate::fetch::{Fetcher, SourceArgs};
use crate::gates::Gate;
use crate::recipe::{FileList, RuntimeRecipe, SourceFile};
use crate::scheme::SchemeName;
use crate::workspace::Workspace;

/// Runs every test of the project, from nothing
///
/// Makes the artifact that `kokoro-model` embeds if it is not there, judges one that is made alike of a base off its
/// grid, fetches ONNX Runtime and the models that tests read, and runs `cargo test` over the workspace.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Given to the test programs, such as part of a test's name
    #[arg(last = true, value_name = "ARGUMENT")]
    pub arguments: Vec<String>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would replace the help of the flattened options")]
    pub sources: SourceArgs,
}

/// Runs the command.
///
/// # Errors
/// [`crate::failure::Failure::Gate`] when a test fails; those of [`quantize::run`] and of the fetcher.
pub fn run(args: &TestArgs, workspace: &Workspace) -> Result<()> {
    quantize::run(&QuantizeArgs { sources: args.sources.clone(), ..QuantizeArgs::default() }, workspace)?;
    // Whoever asks for single tests waits for no gate.
    if args.arguments.is_empty() {
        off_the_grid(args, workspace)?;
    }

    let fetcher = workspace.fetcher(&args.sources)?;
    let runtime = RuntimeRecipe::load(&workspace.models().join("onnxruntime.toml"))?;
    let library = fetcher.onnxruntime(&runtime)?;
    let models = test_models(workspace, &fetcher)?;
    // With all features, the build embeds every voice.
    let recipe = workspace.recipe()?;
    fetcher.voices(&recipe, recipe.voice_names())?;
    // Tests judge models that no proof speaks of, also where `quantize` found everything proved.
    workspace.dnsmos(&fetcher, &recipe)?;

    let (models, library) = (models.to_string_lossy(), library.path.to_string_lossy());
    let variables = [("KOKORO_TEST_MODELS", &*models), ("KOKORO_TEST_ONNXRUNTIME", &*library)];
    // Two runs: built alone, `xtask` has the features it has now, so that this running program is up to date
    // and need not be replaced, which Windows would refuse. What one says does not keep the other from running.
    let mut outcome = Ok(());
    for packages in [&["--package", "xtask"][..], &["--workspace", "--exclude", "xtask", "--all-features"]] {
        let mut arguments = vec!["test", "--no-fail-fast"];
        arguments.extend(packages);
        arguments.push("--");
        arguments.extend(args.arguments.iter().map(String::as_str));
        outcome = outcome.and(cargo(workspace, &arguments, &variables));
    }
    outcome
}

/// Has the gates judge the scheme that is embedded by a base off the grid of 7 bits, as the published one is. How fast it is
/// there was measured on the other base.
fn off_the_grid(args: &TestArgs, workspace: &Workspace) -> Result<()> {
    let recipe = workspace.recipe()?;
    let chosen = workspace.artifacts().chosen()?;
    let scheme = chosen.and_then(|artifact| SchemeName::parse(&artifact.metadata.scheme));
    let args = QuantizeArgs {
        base: BaseArgs { base: Some(recipe.base.offgrid.name.clone()), ..BaseArgs::default() },
        schemes: scheme.into_iter().collect(),
        only: vec![Gate::Provider, Gate::Smoke, Gate::Fidelity],
        artifacts: Some(workspace.root().join("target/offgrid")),
        sources: args.sources.clone(),
        ..QuantizeArgs::default()
    };
    quantize::run(&args, workspace)
}

/// A folder with every model that tests read, under the names of the recipes.
fn test_models(workspace: &Workspace, fetcher: &Fetcher) -> Result<PathBuf> {
    let recipe = workspace.recipe()?;
    let list = FileList::load(&workspace.models().join("test-models.toml"))?;
    let folder = workspace.root().join("target/test-models");
    fs_err::create_dir_all(&folder)?;
    let kokoro = recipe.file(&recipe.base.restored.from)?;
    for file in list.files.iter().chain([kokoro]) {
        place(file, &fetcher.file(file)?.path, &folder)?;
    }
    Ok(folder)
}

fn place(file: &SourceFile, cached: &Path, folder: &Path) -> Result<()> {
    let target = folder.join(&file.name);
    if crate::digest::Digest::of_file(&target).is_ok_and(|found| found == file.sha256) {
        return Ok(());
    }
    crate::files::write_atomically(&target, |output| {
        std::io::copy(&mut fs_err::File::open(cached)?, output).map(drop)
    })
    .with_context(|| format!("cannot write `{}`", target.display()))
}
