//! The chosen artifact, everything that is known of it checked once more: what may be released.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use kokoro_model::{BaseKind, Chosen, Metadata};

use crate::artifacts::{Artifact, Artifacts, PREPARED};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::gates::{ExecutionProvider, Gate};
use crate::lock::Lock;
use crate::plan::{Plan, ranges_path};
use crate::recipe::Recipe;
use crate::results::{CandidateResult, Results};
use crate::workspace::{MODEL, Workspace};

/// An artifact that passed every gate, with what it was made from.
#[derive(Debug)]
pub struct Nominee {
    /// The model, its metadata and where it is.
    pub artifact: Artifact,
    /// What a release's `chosen.json` says: this artifact and no other.
    pub(super) chosen: Chosen,
    /// The bytes of the metadata.
    pub(super) metadata: Vec<u8>,
    /// The size of the `.prepared` file, and its digest.
    pub(super) prepared: (u64, Digest),
    /// The digest of the model.
    pub(super) sha256: Digest,
    /// What the gates said of it and of the others of its run.
    pub(super) results: Results,
    /// Where the recordings are.
    pub(super) audio: PathBuf,
    pub(super) recipe: Recipe,
    pub(super) lock: Lock,
    /// The bytes of the lock.
    pub(super) lock_bytes: Vec<u8>,
    /// The files that the artifact was made by, by the name that they have in a release.
    pub(super) models: Vec<(String, Vec<u8>)>,
}

impl Nominee {
    /// Reads the artifact of `workspace` that is chosen for `provider`, checks every digest again, that all gates passed, and that `lock` (by
    /// default the committed one) has it.
    ///
    /// # Errors
    /// [`Failure::Usage`] when nothing is chosen or there is no lock; [`Failure::Gate`] when a gate said no or was not run;
    /// [`Failure::Fetch`] for a digest that is not what it should be, naming the file, expected and found.
    pub fn read(workspace: &Workspace, lock: Option<&Path>, provider: ExecutionProvider) -> Result<Self> {
        let artifacts = workspace.artifacts();
        let (artifact, chosen, metadata) = chosen(&artifacts, provider)?;
        let sha256 = same_file(&artifact.path, &artifact.metadata.sha256, Some(artifact.metadata.bytes))?;
        let prepared = artifact.metadata.prepared.as_ref().context("no `.prepared` file was made");
        let prepared = prepared.context(Failure::Fetch)?;
        let path = artifact.path.with_extension(PREPARED);
        let prepared = (prepared.bytes, same_file(&path, &prepared.sha256, Some(prepared.bytes))?);

        let recipe = workspace.recipe()?;
        let path =
            lock.map_or_else(|| workspace.models().join(format!("{MODEL}.lock.toml")), Path::to_path_buf);
        if !path.exists() {
            return Err(anyhow!(
                "there is no lock at `{}`\nhint: `cargo xtask quantize --update-lock` writes it",
                path.display()
            )
            .context(Failure::Usage));
        }
        let lock = Lock::read(&path)?;
        let nominee = Self {
            results: results(&artifacts, &artifact.metadata)?,
            audio: artifacts.audio(),
            models: models(workspace, &recipe, &artifact.metadata, &lock)?,
            lock,
            lock_bytes: fs_err::read(&path)?,
            artifact,
            chosen,
            metadata,
            prepared,
            sha256,
            recipe,
        };
        nominee.is_locked(workspace, &path)?;
        Ok(nominee)
    }

    /// What the gates said of it.
    ///
    /// # Errors
    /// Nothing; [`Self::read`] has seen to that.
    pub(super) fn candidate(&self) -> Result<&CandidateResult> {
        let scheme = &*self.artifact.metadata.scheme;
        self.results.candidates.get(scheme).with_context(|| format!("the results have no `{scheme}`"))
    }

    /// That the lock has this artifact, and everything that it was made from. A base that the lock does not have can only
    /// be one of the user's own.
    fn is_locked(&self, workspace: &Workspace, path: &Path) -> Result<()> {
        let (lock, metadata) = (&self.lock, &self.artifact.metadata);
        let file = path.display().to_string();
        let same = |what: &str, locked: &dyn ToString, found: &dyn ToString| {
            let (locked, found) = (locked.to_string(), found.to_string());
            same(&file, &format!("`{what}`"), &found, &locked)
        };
        let models = workspace.models();
        let corpus = Digest::of_file(&models.join("corpus.toml"))?;
        same("tool", &lock.tool, &metadata.tool_version)?;
        same("recipe", &lock.recipe, &metadata.recipe_sha256)?;
        same("plan", &lock.plan, &Digest::of_file(&workspace.plan(&self.recipe))?)?;
        same("corpus", &lock.corpus, &corpus)?;
        same("corpus", &lock.corpus, &self.results.corpus_sha256)?;
        same("proto", &lock.proto, &Digest::of_file(&workspace.root().join("proto/onnx.proto"))?)?;
        same(
            "onnxruntime.recipe",
            &lock.onnxruntime.recipe,
            &Digest::of_file(&models.join("onnxruntime.toml"))?,
        )?;
        let Some(base) = lock.base.get(&*metadata.base.name) else {
            if metadata.base.kind == BaseKind::Local {
                return Ok(());
            }
            return Err(anyhow!("`{file}` has no base `{}`", metadata.base.name).context(Failure::Fetch));
        };
        let library = self.results.runtime.sha256;
        if !lock.onnxruntime.library.values().any(|locked| *locked == library) {
            return Err(anyhow!(
                "the gates ran on a library of sha256 {library}, which `{file}` does not have\nhint: run \
                 `cargo xtask quantize --force` without `--onnxruntime` and `ORT_DYLIB_PATH`"
            )
            .context(Failure::Fetch));
        }
        same("base.sha256", &base.sha256, &metadata.base.sha256)?;
        let locked = base.artifact.get(&*metadata.scheme).with_context(|| {
            format!("`{file}` has no artifact `{}` of base `{}`", metadata.scheme, metadata.base.name)
        });
        let locked = locked.context(Failure::Fetch)?;
        if let Some(plan) = &metadata.plan_sha256 {
            same("plan", &lock.plan, plan)?;
        }
        same("artifact.sha256", &locked.sha256, &self.sha256)?;
        same("artifact.bytes", &locked.bytes, &metadata.bytes)?;
        same("artifact.prepared", &locked.prepared, &self.prepared.1)?;
        same("artifact.metadata", &locked.metadata, &Digest::of(&self.metadata))
    }
}

/// The artifact that `chosen.json` names for `provider`, whose metadata is the one named there; with what remains of `chosen.json`
/// if it names that alone, and the bytes of the metadata.
fn chosen(artifacts: &Artifacts, provider: ExecutionProvider) -> Result<(Artifact, Chosen, Vec<u8>)> {
    let path = artifacts.folder().join(super::CHOSEN);
    if !path.exists() {
        return Err(anyhow!(
            "no artifact is chosen: `{}` is missing\nhint: `cargo xtask quantize` chooses one",
            path.display()
        )
        .context(Failure::Usage));
    }
    let bytes = fs_err::read(&path)?;
    let of = |path: &Path, bytes: &[u8]| format!("`{}`, {} bytes", path.display(), bytes.len());
    let chosen: Chosen =
        serde_json::from_slice(&bytes).with_context(|| of(&path, &bytes)).context(Failure::Fetch)?;
    let file = path.display().to_string();
    let chosen = if provider == ExecutionProvider::Cpu {
        chosen.alone()
    } else {
        chosen.alone_for(provider.as_str()).ok_or_else(|| {
            anyhow!(
                "`{file}` names no artifact for `{provider}`\nhint: `cargo xtask quantize` chooses by `choose_for` of the recipe"
            )
            .context(Failure::Usage)
        })?
    };
    for name in [&chosen.file, &chosen.metadata] {
        if Path::new(name).file_name().is_none_or(|plain| plain != name.as_str()) {
            return Err(
                anyhow!("`{file}`: expected the name of a file, found `{name}`").context(Failure::Fetch)
            );
        }
    }
    let beside = artifacts.folder().join(&chosen.metadata);
    let text = fs_err::read(&beside).context(Failure::Fetch)?;
    same(&beside.display().to_string(), "sha256", &Digest::of(&text).to_string(), &chosen.metadata_sha256)?;
    let metadata: Metadata =
        serde_json::from_slice(&text).with_context(|| of(&beside, &text)).context(Failure::Fetch)?;
    same(&file, "`file`", &chosen.file, &metadata.name)?;
    same(&file, "`sha256`", &chosen.sha256, &metadata.sha256)?;
    let path = artifacts.folder().join(&chosen.file);
    Ok((Artifact { metadata, path }, chosen, text))
}

/// The results, if they are of this artifact and every gate said yes.
fn results(artifacts: &Artifacts, metadata: &Metadata) -> Result<Results> {
    let path = artifacts.results();
    let again = "hint: `cargo xtask quantize` judges again";
    let results =
        Results::read(&path).context("there are no results of this version").context(Failure::Usage)?;
    let file = path.display().to_string();
    let candidate = results.candidates.get(&*metadata.scheme);
    let Some(candidate) = candidate.filter(|it| it.sha256.to_string() == metadata.sha256) else {
        return Err(anyhow!("`{file}` is not of `{}`, sha256 {}\n{again}", metadata.name, metadata.sha256)
            .context(Failure::Gate));
    };
    same(&file, "the digest of the base", &results.base.sha256.to_string(), &metadata.base.sha256)?;
    same(&file, "the digest of the recipe", &results.recipe_sha256.to_string(), &metadata.recipe_sha256)?;
    if !candidate.gates.all_passed() {
        let run: Vec<Gate> = candidate.gates.reports().map(|report| report.gate).collect();
        let missing = Gate::REQUIRED.into_iter().filter(|gate| !run.contains(gate));
        let missing = missing.map(|gate| format!("`{}`: the {gate} gate was not run", metadata.name));
        let failures = candidate.gates.reports().flat_map(|report| report.failures(&metadata.scheme));
        let lines: Vec<String> = failures.chain(missing).chain([again.to_owned()]).collect();
        return Err(anyhow!(lines.join("\n")).context(Failure::Gate));
    }
    if !results.full && candidate.proved.is_none() {
        return Err(anyhow!(
            "`{}` was judged on the quick sentences only\nhint: `cargo xtask quantize --full` judges it on all",
            metadata.name
        )
        .context(Failure::Gate));
    }
    Ok(results)
}

/// Recipe, sentences, library, the proof of the lock where it has one and, where the artifact was made by one, the plan
/// with its ranges.
fn models(
    workspace: &Workspace,
    recipe: &Recipe,
    metadata: &Metadata,
    lock: &Lock,
) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = workspace.models();
    let recipe_file = folder.join(format!("{MODEL}.toml"));
    same(&recipe_file.display().to_string(), "sha256", &recipe.sha256.to_string(), &metadata.recipe_sha256)?;
    let mut paths = vec![recipe_file, folder.join("corpus.toml"), folder.join("onnxruntime.toml")];
    if let Some(expected) = lock.proof {
        let path = workspace.proof();
        let found = Digest::of_file(&path).context(Failure::Fetch)?;
        same(&path.display().to_string(), "sha256", &found.to_string(), &expected.to_string())?;
        paths.push(path);
    }
    if let Some(sha256) = &metadata.plan_sha256 {
        let places = [workspace.plan(recipe), workspace.artifacts().plan(&metadata.base.name)];
        let is_it = |path: &&PathBuf| Digest::of_file(path).is_ok_and(|found| found.to_string() == **sha256);
        let plan = places.iter().find(is_it).with_context(|| {
            format!("the plan of `{}`, sha256 {sha256}, is not at `{}`", metadata.name, places[0].display())
        });
        let plan = plan.context(Failure::Fetch)?;
        // The plan names its ranges by digest.
        Plan::load(plan)?;
        paths.extend([plan.clone(), ranges_path(plan)?]);
    }
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, fs_err::read(path)?))
    };
    paths.into_iter().map(read).collect()
}

/// The digest of the file at `path`, which must be `expected`.
fn same_file(path: &Path, expected: &str, bytes: Option<u64>) -> Result<Digest> {
    let name = path.display().to_string();
    let found = Digest::of_file(path).context(Failure::Fetch)?;
    same(&name, "sha256", &found.to_string(), expected)?;
    if let Some(bytes) = bytes {
        same(&name, "size", &fs_err::metadata(path)?.len().to_string(), &bytes.to_string())?;
    }
    Ok(found)
}

/// That what was found in or of a file is what it should be.
fn same(file: &str, what: &str, found: &str, expected: &str) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(anyhow!("`{file}`: {what}: expected {expected}, found {found}").context(Failure::Fetch))
}
