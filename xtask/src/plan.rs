//! The plan of a model: which convolutions compute in INT8, and the ranges of what goes in and comes out of them.
//!
//! Two files side by side, both committed: `<name>.plan.toml`, to be read and edited, and
//! `<name>.ranges.safetensors`, which it names by digest. `cargo xtask tune` writes them; quantizing by a plan takes no
//! runtime, and the same plan gives the same bytes.
//!
//! The plan decides what is static, and the recipe what must not be: a plan that contradicts it is
//! refused. `tune` measures anew and decides nothing. It keeps the convolutions of the committed
//! plan where the base has them, so what was chosen by hand stays.

mod file;

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use quantizer::calibration::{Ranges, Selection};
use quantizer::rewrite::{self, Pass};
use regex::Regex;

pub use self::file::{Calibration, EXTENSION, PlanBase, ranges_path};
use crate::base::BaseId;
use crate::corpus::Corpus;
use crate::digest::Digest;
use crate::failure::Failure;

/// A plan with its ranges.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The version of the quantizer that it was made with.
    pub tool: String,
    /// The names of the exact rewrites that go before anything else, in order. Values and convolutions are named as
    /// they are after them.
    pub rewrites: Vec<String>,
    /// The names of the convolutions that compute in INT8.
    pub convolutions: Vec<String>,
    /// The model that the ranges were measured in.
    pub base: PlanBase,
    /// How they were measured.
    pub calibration: Calibration,
    /// The ranges, of at least the inputs and outputs of the convolutions.
    pub ranges: Ranges,
    /// The digest of the plan's file, which holds that of the ranges.
    pub sha256: Digest,
}

impl Plan {
    /// Reads a plan and its ranges.
    ///
    /// # Errors
    /// [`Failure::Usage`], naming the file and the key: not readable, not TOML, an unknown key, a value of the wrong
    /// kind, a rewrite that there is not, a convolution given twice, ranges of another digest, or ranges that are none.
    pub fn load(path: &Path) -> Result<Self> {
        let complaint = || format!("`{}` is not a valid plan", path.display());
        file::load(path).with_context(complaint).context(Failure::Usage)
    }

    /// Writes the plan to `path`, and the ranges beside it; both appear whole or not at all, the plan last.
    ///
    /// Returns the plan with the digest of its file.
    ///
    /// # Errors
    /// The disk's, and a path whose name does not end with `.plan.toml`.
    pub fn write(self, path: &Path) -> Result<Self> {
        file::write(self, path)
    }

    /// The rewrites themselves.
    ///
    /// # Errors
    /// There is none of a name.
    pub fn passes(&self) -> Result<Vec<&'static Pass>> {
        let pass = |name: &String| {
            let known = || rewrite::PASSES.map(|pass| pass.name).join("`, `");
            rewrite::pass(name)
                .with_context(|| format!("`rewrites`: expected some of `{}`, found `{name}`", known()))
        };
        self.rewrites.iter().map(pass).collect()
    }

    /// The convolutions of the plan and no others.
    ///
    /// # Errors
    /// So many names that no pattern can hold them.
    pub fn selection(&self) -> Result<Selection> {
        let names: Vec<String> = self.convolutions.iter().map(|name| regex::escape(name)).collect();
        let include = Regex::new(&format!("^(?:{})$", names.join("|"))).context("`static`")?;
        // Without a name the pattern is that of the empty one.
        Ok(Selection { exclude: names.is_empty().then(|| include.clone()), include: Some(include) })
    }

    /// That the ranges were measured in `base`, over the sentences that the corpus has for it.
    ///
    /// # Errors
    /// What differs, with both digests.
    pub fn check(&self, base: &BaseId, corpus: &Corpus) -> Result<()> {
        let PlanBase { name, sha256 } = &self.base;
        ensure!(
            *sha256 == base.sha256,
            "the plan's ranges are of base `{name}`, sha256 {sha256}, and this is `{}`, sha256 {}",
            base.name,
            base.sha256
        );
        let (heard, heard_now) = (self.calibration.sha256, corpus.calibration_sha256());
        if heard != heard_now {
            return Err(anyhow!(
                "the plan's ranges are of calibration sentences of sha256 {heard}, and the corpus has others, sha256 \
                 {heard_now}"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
