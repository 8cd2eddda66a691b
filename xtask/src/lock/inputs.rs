//! The inputs of a lock: everything but what is made of them.
//!
//! The tool is known by the digest of its sources, which stands in its version
//! (`quantizer::VERSION`). So a change of the quantizer makes new artifacts without anybody
//! remembering to raise a number.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::{Difference, Lock, LockedRuntime, VERSION};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::recipe::{Recipe, RuntimeRecipe, RuntimeSource};
use crate::workspace::Workspace;

/// What messages call the version of the quantizer.
pub(super) const TOOL: &str = "the version of the quantizer";

impl Lock {
    /// The inputs as they are in the checkout, with nothing made of them.
    ///
    /// # Errors
    /// [`Failure::Usage`] for one that is not there or not what it should be.
    pub fn of(workspace: &Workspace, recipe: &Recipe) -> Result<Self> {
        let runtime = RuntimeRecipe::load(&workspace.runtime_recipe())?;
        let library = runtime.platforms.iter().filter_map(|(platform, pinned)| {
            let wheels = pinned.sources.iter().filter_map(|source| match source {
                RuntimeSource::Wheel(wheel) => Some(wheel.library_sha256),
                RuntimeSource::Archive(_) => None,
            });
            Some((platform.clone(), wheels.into_iter().next()?))
        });
        let mut sources: BTreeMap<String, Digest> =
            recipe.files.iter().map(|file| (file.name.clone(), file.sha256)).collect();
        for name in recipe.voice_names() {
            let voice = recipe.voice(name)?;
            sources.insert(voice.name, voice.sha256);
        }
        let digest = |path| Digest::of_file(path).context(Failure::Usage);
        Ok(Self {
            version: VERSION,
            tool: quantizer::VERSION.to_owned(),
            recipe: recipe.sha256,
            // The plan holds the digest of its ranges, which loading compares.
            plan: Plan::load(&workspace.plan(recipe))?.sha256,
            corpus: workspace.committed_corpus(recipe)?.sha256(),
            proto: digest(&workspace.root().join("proto/onnx.proto"))?,
            proof: None,
            onnxruntime: LockedRuntime {
                version: runtime.version.clone(),
                recipe: digest(&workspace.runtime_recipe())?,
                library: library.collect(),
            },
            sources,
            base: BTreeMap::new(),
        })
    }

    /// The inputs that are others in `present`, in the order of the lock.
    pub fn differences(&self, present: &Self) -> Vec<Difference> {
        let (locked, found) = (self.inputs(), present.inputs());
        let of = |inputs: &[(String, String)], what: &str| {
            inputs.iter().find(|(known, _)| known == what).map_or("none".to_owned(), |(_, is)| is.clone())
        };
        let added = found.iter().filter(|(what, _)| !locked.iter().any(|(known, _)| known == what));
        let all = locked.iter().chain(added).map(|(what, _)| Difference {
            what: what.clone(),
            locked: of(&locked, what),
            found: of(&found, what),
        });
        all.filter(|it| it.locked != it.found).collect()
    }

    /// What each input is, by what messages call it.
    fn inputs(&self) -> Vec<(String, String)> {
        let LockedRuntime { version, recipe, library } = &self.onnxruntime;
        let mut inputs = vec![
            (TOOL.to_owned(), self.tool.clone()),
            ("the recipe".to_owned(), self.recipe.to_string()),
            ("the plan".to_owned(), self.plan.to_string()),
            ("the corpus of sentences".to_owned(), self.corpus.to_string()),
            ("`proto/onnx.proto`".to_owned(), self.proto.to_string()),
            ("the version of ONNX Runtime".to_owned(), version.clone()),
            ("the recipe of ONNX Runtime".to_owned(), recipe.to_string()),
        ];
        let libraries = library.iter().map(|(platform, sha256)| {
            (format!("the ONNX Runtime library of `{platform}`"), sha256.to_string())
        });
        let sources =
            self.sources.iter().map(|(name, sha256)| (format!("source `{name}`"), sha256.to_string()));
        inputs.extend(libraries.chain(sources));
        inputs
    }
}
