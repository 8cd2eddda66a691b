//! Verifying by making again: every artifact of the lock from its sources, in a scratch folder, compared by digest.
//!
//! The base is restored anew, whatever the cache has of it. Its digest is one of the recipe's, so a
//! weight of it that changed ends the run there. No gate is asked: what is the same to the bit
//! needs no second judgement.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use serde::Serialize;

use crate::artifacts::{Artifacts, PREPARED};
use crate::base;
use crate::difference;
use crate::digest::Digest;
use crate::failure::Failure;
use crate::fetch::{Fetcher, Wanted};
use crate::lock::{Difference, Lock, LockedArtifact};
use crate::make::{Made, Maker};
use crate::planning::Planner;
use crate::recipe::RuntimeRecipe;
use crate::scheme::SchemeName;
use crate::workspace::Workspace;

/// What came of making the artifacts of a lock again.
#[derive(Debug, Serialize)]
pub struct Rebuilt {
    /// Whether everything is as the lock has it.
    pub same: bool,
    /// The inputs that differ; nothing was made then.
    pub inputs: Vec<Difference>,
    /// Each file that was made.
    pub files: Vec<RebuiltFile>,
}

/// A file that was made again.
#[derive(Debug, Serialize)]
pub struct RebuiltFile {
    /// Its name.
    pub file: String,
    /// Whether it is as the lock has it, and so is the one among the artifacts, if there is one.
    pub same: bool,
    /// The digest of what was made.
    pub rebuilt: Digest,
    /// The digest in the lock.
    pub locked: Digest,
    /// The digest of the file of that name among the artifacts.
    pub artifact: Option<Digest>,
    /// Where that file differs first from what was made.
    pub difference: Option<String>,
}

/// Makes every artifact of the lock again, or those of one `base`, and prints what is the same: a line for each file, or
/// JSON. Nothing is written but to the cache and to a scratch folder, which is removed.
///
/// # Errors
/// [`Failure::Gate`] if anything differs; those of [`rebuild`].
pub fn run(workspace: &Workspace, fetcher: &Fetcher, base: Option<&str>, json: bool) -> Result<()> {
    let rebuilt = rebuild(workspace, fetcher, base)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&rebuilt)?);
    } else {
        show(&rebuilt, workspace.artifacts().folder());
    }
    if rebuilt.same {
        return Ok(());
    }
    let lock = workspace.lock();
    Err(anyhow!("what was made again is not what `{}` has, or what is there", lock.display())
        .context(Failure::Gate))
}

/// Makes every artifact of the lock again, or those of one `base`, and compares.
///
/// # Errors
/// [`Failure::Usage`]: no lock, a base or scheme that it or this program does not have; [`Failure::Fetch`] when a source
/// cannot be had; [`Failure::Model`] when a base is not the pinned one.
pub fn rebuild(workspace: &Workspace, fetcher: &Fetcher, base: Option<&str>) -> Result<Rebuilt> {
    let recipe = workspace.recipe()?;
    let lock = Lock::read(&workspace.lock())?;
    let mut rebuilt = Rebuilt { same: true, inputs: Vec::new(), files: Vec::new() };
    rebuilt.inputs = lock.differences(&Lock::of(workspace, &recipe)?);
    if !rebuilt.inputs.is_empty() {
        // Of other inputs something else must come: that says nothing.
        return Ok(Rebuilt { same: false, ..rebuilt });
    }
    let names: Vec<&String> = match base {
        Some(wanted) => {
            let known = lock.base.get_key_value(wanted);
            let known = known.with_context(|| format!("the lock has no base `{wanted}`"));
            vec![known.context(Failure::Usage)?.0]
        }
        None => lock.base.keys().collect(),
    };
    let scratch = tempfile::Builder::new().prefix("kokoro-model-verify-").tempdir();
    let scratch = scratch.context("no folder to make the artifacts in")?;
    let console = workspace.console();
    let runtime = RuntimeRecipe::load(&workspace.runtime_recipe())?;
    for name in names {
        let base = fetcher.prefetch(&[Wanted::Runtime(&runtime)], || {
            base::from_sources(name, &recipe, fetcher, &console)
        })?;
        let locked = &lock.base[name].artifact;
        let schemes = locked.keys().map(|scheme| known(scheme)).collect::<Result<Vec<_>>>()?;
        let plan = if schemes.iter().any(|scheme| scheme.takes_a_plan()) {
            Some(Planner::new(workspace, &recipe, fetcher, 0)?.obtain(&base, None, true)?)
        } else {
            None
        };
        let artifacts = Artifacts::new(scratch.path().join(name));
        let (base, recipe, plan, artifacts) = (&base, &recipe, plan.as_ref(), &artifacts);
        let maker = Maker { base, recipe, plan, workspace, fetcher, artifacts };
        let files = maker.each(&schemes, |made| compare(&made, &locked[made.scheme.as_str()], workspace))?;
        rebuilt.files.extend(files.into_iter().flatten());
    }
    rebuilt.same = rebuilt.files.iter().all(|file| file.same);
    Ok(rebuilt)
}

fn known(scheme: &str) -> Result<SchemeName> {
    let known = SchemeName::parse(scheme);
    known.with_context(|| format!("there is no scheme `{scheme}`")).context(Failure::Usage)
}

/// Compares the files of an artifact that was made again, and removes them: the next one takes the room.
fn compare(made: &Made, locked: &LockedArtifact, workspace: &Workspace) -> Result<[RebuiltFile; 3]> {
    let digests = LockedArtifact::of(&made.artifact)?;
    let compare = |extension: &str, locked, rebuilt| {
        let path = made.artifact.path.with_extension(extension);
        let compared = file(&path, extension, locked, rebuilt, workspace)?;
        fs_err::remove_file(path)?;
        anyhow::Ok(compared)
    };
    let files = [
        compare("onnx", locked.sha256, digests.sha256)?,
        compare(PREPARED, locked.prepared, digests.prepared)?,
        compare("json", locked.metadata, digests.metadata)?,
    ];
    if let Some(other) = files.iter().find(|file| !file.same) {
        workspace.console().say(&format!("`{}` is not the same", other.file));
    }
    Ok(files)
}

/// Compares one file of what was made with the lock, and with the file of its name among the artifacts.
fn file(
    path: &Path,
    extension: &str,
    locked: Digest,
    rebuilt: Digest,
    workspace: &Workspace,
) -> Result<RebuiltFile> {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = workspace.artifacts().folder().join(&file);
    let artifact = beside.exists().then(|| Digest::of_file(&beside)).transpose()?;
    let difference = match artifact {
        Some(digest) if digest != rebuilt => {
            let [expected, found] = [path, &beside].map(fs_err::read);
            Some(first_difference(extension, expected?, found?))
        }
        _ => None,
    };
    let same = locked == rebuilt && artifact.is_none_or(|digest| digest == rebuilt);
    Ok(RebuiltFile { file, same, rebuilt, locked, artifact, difference })
}

/// Where a file among the artifacts differs first from the `expected` one.
fn first_difference(extension: &str, expected: Vec<u8>, found: Vec<u8>) -> String {
    match extension {
        "onnx" => difference::of_models(&expected.into(), &found.into()),
        PREPARED => difference::of_prepared(&expected, &found),
        _ => difference::of_metadata(&expected, &found),
    }
}

fn show(rebuilt: &Rebuilt, artifacts: &Path) {
    for input in &rebuilt.inputs {
        println!("no   input\n{input}");
    }
    for RebuiltFile { file, same, rebuilt, locked, artifact, difference } in &rebuilt.files {
        println!("{} {rebuilt}  {file}", if *same { "yes" } else { "no " });
        if locked != rebuilt {
            println!("    {locked}  in the lock");
        }
        if let Some(found) = artifact.filter(|found| found != rebuilt) {
            println!("    {found}  in `{}`", artifacts.display());
        }
        if let Some(difference) = difference {
            println!("    {difference}");
        }
    }
}
