//! The making of candidates: a base decoded, quantized by a scheme, described, written and prepared.

use anyhow::{Context as _, Result, anyhow};
use kokoro_model::Runtime;
use quantizer::schemes::Summary;

use crate::artifacts::{Artifact, Artifacts, file_name};
use crate::base::{Base, BaseId};
use crate::crew::{jobs, share_out};
use crate::describe;
use crate::failure::Failure;
use crate::fetch::Fetcher;
use crate::lock::Guard;
use crate::plan::Plan;
use crate::prepare::prepare;
use crate::recipe::Recipe;
use crate::scheme::SchemeName;
use crate::workspace::Workspace;

/// How many candidates are made at once. Each takes more than a gigabyte while the runtime optimizes it, and the run is to
/// get along with three.
pub const JOBS: usize = 1;

/// Everything that decides what candidates are, beside their schemes, the quantizer and ONNX Runtime.
#[derive(Clone, Copy)]
pub struct MadeOf<'a> {
    /// Which float model.
    pub base: &'a BaseId,
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The plan, for the schemes that take one.
    pub plan: Option<&'a Plan>,
}

impl<'a> MadeOf<'a> {
    /// The artifact of each of these schemes that is what would be made now and no other than the lock's, in its place or
    /// waiting for its gates. Files are hashed side by side.
    ///
    /// # Errors
    /// A file that is there cannot be read; those of [`Workspace::runtime_version`].
    pub fn find(
        &self,
        schemes: &[SchemeName],
        guard: &Guard,
        workspace: &Workspace,
        fetcher: &Fetcher,
    ) -> Result<Vec<Option<Artifact>>> {
        let (runtime, artifacts) = (workspace.runtime_version(fetcher)?, workspace.artifacts());
        let find = |(): &mut (), &scheme: &SchemeName| {
            // What the lock has otherwise is made again, so that it is no leftover that the lock is compared with.
            let wanted = |artifact: &Artifact| {
                let current = self.is_current(artifact, &runtime);
                Ok::<_, anyhow::Error>(current && guard.differences(self.base, scheme, artifact)?.is_empty())
            };
            for find in [Artifacts::find, Artifacts::find_staged] {
                if let Some(artifact) = find(&artifacts, &self.base.name, scheme.as_str())?
                    && wanted(&artifact)?
                {
                    return Ok(Some(artifact));
                }
            }
            Ok(None)
        };
        share_out(jobs(1), schemes, |_| 0, || Ok(()), find, |_| ())
    }

    /// Whether an artifact is what would be made now, prepared by ONNX Runtime of version `runtime`.
    pub fn is_current(&self, artifact: &Artifact, runtime: &str) -> bool {
        let Self { base, recipe, .. } = self;
        let metadata = &artifact.metadata;
        let prepared = metadata.prepared.as_ref();
        let plan = SchemeName::parse(&metadata.scheme).and_then(|scheme| self.plan_of(scheme));
        metadata.base.sha256 == base.sha256.to_string()
            && metadata.base.kind == base.kind
            && metadata.recipe_sha256 == recipe.sha256.to_string()
            && metadata.plan_sha256.as_deref() == plan.map(|plan| plan.sha256.to_string()).as_deref()
            && metadata.tool_version == quantizer::VERSION
            && prepared.is_some_and(|prepared| is_version(&prepared.onnxruntime, runtime))
    }

    fn plan_of(&self, scheme: SchemeName) -> Option<&'a Plan> {
        self.plan.filter(|_| scheme.takes_a_plan())
    }
}

/// A candidate that was made. It waits in the `staged` folder of the artifacts.
#[derive(Debug)]
pub struct Made {
    /// By which scheme.
    pub scheme: SchemeName,
    /// What is on the disk.
    pub artifact: Artifact,
    /// What the scheme did.
    pub summary: Summary,
}

/// What candidates are made with.
#[derive(Clone, Copy)]
pub struct Maker<'a> {
    /// The float model.
    pub base: &'a Base,
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The plan, for the schemes that take one.
    pub plan: Option<&'a Plan>,
    /// Where the runtime's recipe is, and who hears of what is made.
    pub workspace: &'a Workspace,
    /// What brings the runtime.
    pub fetcher: &'a Fetcher,
    /// Where candidates wait.
    pub artifacts: &'a Artifacts,
}

impl<'a> Maker<'a> {
    /// What is made by `schemes`, [`JOBS`] at once, in the order of the schemes. Says of each when it is begun and how many
    /// seconds it took.
    ///
    /// # Errors
    /// [`Failure::Model`] for a base that cannot be quantized or prepared, [`Failure::Usage`] for a recipe or plan that
    /// does not fit, [`Failure::Fetch`] when ONNX Runtime cannot be had. No candidate is begun after an error.
    pub fn all(&self, schemes: &[SchemeName]) -> Result<Vec<Made>> {
        self.each(schemes, Ok)
    }

    /// As [`Self::all`], and what `then` makes of each candidate as soon as it is there.
    ///
    /// # Errors
    /// Those of [`Self::all`] and of `then`.
    pub fn each<R: Send>(
        &self,
        schemes: &[SchemeName],
        then: impl Fn(Made) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        if schemes.is_empty() {
            return Ok(Vec::new());
        }
        let (runtime, _) = self.workspace.runtime(self.fetcher)?;
        // What computes in INT8 takes longest to quantize.
        let cost = |scheme: &SchemeName| usize::from(scheme.takes_a_plan());
        let work = |(): &mut (), scheme: &SchemeName| then(self.told(*scheme, &runtime)?);
        share_out(JOBS, schemes, cost, || Ok(()), work, |_| ())
    }

    /// Makes one candidate, and tells of it.
    fn told(&self, scheme: SchemeName, runtime: &Runtime) -> Result<Made> {
        let what = format!("quantizing `{}` by {}", self.base.name, scheme.as_str());
        let busy = self.workspace.console().busy(&what);
        let made = self.make(scheme, runtime)?;
        let Made { artifact, summary, .. } = &made;
        busy.done(&format!(
            "made `{}`: {} weights as INT8, {} left, {:.1} MiB",
            artifact.metadata.name,
            summary.quantized,
            summary.left.len(),
            artifact.metadata.bytes as f64 / f64::from(1 << 20)
        ));
        Ok(made)
    }

    fn make(&self, scheme: SchemeName, runtime: &Runtime) -> Result<Made> {
        let Self { base, recipe, artifacts, .. } = *self;
        let plan = self.made_of().plan_of(scheme);
        let name = file_name(&base.name, scheme.as_str());
        let mut model = base.decode()?;
        if base.export.as_ref().is_some_and(|export| !export.modules.is_empty()) {
            scheme.check_patterns(recipe, &model)?;
        }
        let summary = quantizer::schemes::quantize(&mut model, &*scheme.build(recipe, plan)?)
            .with_context(|| format!("`{}` cannot be quantized by {}", base.name, scheme.as_str()))
            .context(Failure::Model)?;
        if let Some(Plan { convolutions, .. }) =
            plan.filter(|plan| plan.convolutions.len() != summary.convolutions)
        {
            let (expected, found) = (convolutions.len(), summary.convolutions);
            return Err(anyhow!(
                "`static` of the plan: expected {expected} convolutions, found {found} of that name in `{}`",
                base.name
            )
            .context(Failure::Usage));
        }
        let metadata = describe::metadata(&model, base, scheme, recipe, plan)?;
        let artifact = artifacts.stage(
            &base.name,
            scheme.as_str(),
            // Gone when it is written: what the runtime makes of it takes the room.
            move |mut file| quantizer::model::encode(&model, &mut file),
            |path, sha256, bytes| {
                let metadata = describe::with_file(metadata, sha256, bytes);
                let artifact = fs_err::read(path)?.into();
                let scratch = artifacts.scratch(&name);
                let prepared = prepare(runtime, &artifact, &metadata, recipe, &scratch)
                    .with_context(|| format!("`{name}` cannot be prepared"))?;
                Ok((describe::with_prepared(metadata, &prepared, runtime.version()), Some(prepared)))
            },
        )?;
        Ok(Made { scheme, artifact, summary })
    }

    /// What decides what is made.
    pub fn made_of(&self) -> MadeOf<'a> {
        MadeOf { base: self.base, recipe: self.recipe, plan: self.plan }
    }
}

/// Whether a library that says of itself that it is of version `told`, such as `1.26`, is of `version`, such as `1.26.0`: it
/// does not tell the last number.
pub fn is_version(told: &str, version: &str) -> bool {
    version.strip_prefix(told).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_without_its_last_number() {
        for (told, version, same) in [
            ("1.26", "1.26.0", true),
            ("1.26", "1.26", true),
            ("1.2", "1.26.0", false),
            ("1.27", "1.26.0", false),
            ("1.26.1", "1.26.0", false),
        ] {
            assert_eq!(is_version(told, version), same, "{told} of {version}");
        }
    }
}
