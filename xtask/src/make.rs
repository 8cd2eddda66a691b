//! The making of a candidate: a base decoded, quantized by a scheme, described, written and prepared.

use anyhow::{Context as _, Result, anyhow};
use quantizer::schemes::Summary;

use crate::artifacts::{Artifact, Artifacts, file_name};
use crate::base::Base;
use crate::describe;
use crate::failure::Failure;
use crate::fetch::Fetcher;
use crate::plan::Plan;
use crate::prepare::prepare;
use crate::recipe::Recipe;
use crate::scheme::SchemeName;
use crate::workspace::Workspace;

/// Everything that decides what a candidate is, beside its scheme, the quantizer and ONNX Runtime.
#[derive(Clone, Copy)]
pub struct MadeOf<'a> {
    /// The float model.
    pub base: &'a Base,
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The plan, for a scheme that takes one.
    pub plan: Option<&'a Plan>,
}

impl MadeOf<'_> {
    /// Whether an artifact is what would be made now, prepared by ONNX Runtime of version `runtime`.
    pub fn is_current(&self, artifact: &Artifact, runtime: &str) -> bool {
        let Self { base, recipe, plan } = self;
        let metadata = &artifact.metadata;
        let prepared = metadata.prepared.as_ref();
        metadata.base.sha256 == base.sha256.to_string()
            && metadata.base.kind == base.kind
            && metadata.recipe_sha256 == recipe.sha256.to_string()
            && metadata.plan_sha256.as_deref() == plan.map(|plan| plan.sha256.to_string()).as_deref()
            && metadata.tool_version == quantizer::VERSION
            && prepared.is_some_and(|prepared| is_version(&prepared.onnxruntime, runtime))
    }

    /// Makes the candidate of `scheme`; it waits in the `staged` folder of `artifacts` then.
    ///
    /// # Errors
    /// [`Failure::Model`] for a base that cannot be quantized or prepared, [`Failure::Usage`] for a recipe or plan that
    /// does not fit, [`Failure::Fetch`] when ONNX Runtime cannot be had.
    pub fn make(
        self,
        scheme: SchemeName,
        workspace: &Workspace,
        fetcher: &Fetcher,
        artifacts: &Artifacts,
    ) -> Result<(Artifact, Summary)> {
        let Self { base, recipe, plan } = self;
        let name = file_name(&base.name, scheme.as_str());
        let mut model = base.decode()?;
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
            |mut file| quantizer::model::encode(&model, &mut file),
            |path, sha256, bytes| {
                let metadata = describe::with_file(metadata, sha256, bytes);
                let (runtime, _) = workspace.runtime(fetcher)?;
                let artifact = fs_err::read(path)?.into();
                let scratch = artifacts.staged().join("prepare.tmp");
                let prepared = prepare(&runtime, &artifact, &metadata, recipe, &scratch)
                    .with_context(|| format!("`{name}` cannot be prepared"))?;
                Ok((describe::with_prepared(metadata, &prepared, runtime.version()), Some(prepared)))
            },
        )?;
        Ok((artifact, summary))
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
