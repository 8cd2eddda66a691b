//! Which plan a base is quantized by: the committed one, one that was made for the base before, or one made now.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use kokoro_model::Runtime;
use quantizer::rewrite::PASSES;

use crate::base::{Base, BaseId};
use crate::calibrate::{Calibration, Calibrator};
use crate::corpus::Corpus;
use crate::failure::Failure;
use crate::fetch::Fetcher;
use crate::gates::Progress;
use crate::plan::{self, Plan, PlanBase};
use crate::recipe::Recipe;
use crate::scheme;
use crate::workspace::Workspace;

/// How many sentences show whether the ranges of another base cover one.
const COVERED_BY: usize = 4;

/// The share of the channels that may go beyond their ranges, which were clipped to where they do least harm.
const MOST_BEYOND: f64 = 0.05;

/// Everything that a plan is made with.
pub struct Planner<'a> {
    workspace: &'a Workspace,
    recipe: &'a Recipe,
    fetcher: &'a Fetcher,
    corpus: Corpus,
    threads: usize,
}

impl<'a> Planner<'a> {
    /// Fetches nothing yet. `threads` are those of the model that calibration runs; 0 is the runtime's own choice.
    ///
    /// # Errors
    /// [`Failure::Usage`] for the corpus.
    pub fn new(
        workspace: &'a Workspace,
        recipe: &'a Recipe,
        fetcher: &'a Fetcher,
        threads: usize,
    ) -> Result<Self> {
        Ok(Self { workspace, recipe, fetcher, corpus: workspace.committed_corpus(recipe)?, threads })
    }

    /// The plan for `base` that [`Self::obtain`] would return without calibrating, if there is one.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a plan that cannot be read.
    pub fn find(&self, base: &BaseId, given: Option<&Path>, locked: bool) -> Result<Option<Plan>> {
        let (_, plan) = self.committed(given)?;
        if let Some(plan) = plan.filter(|plan| plan.check(base, &self.corpus).is_ok()) {
            return Ok(Some(plan));
        }
        Ok(if locked { None } else { self.own(base) })
    }

    /// The plan that is tried first, and where it is looked for.
    fn committed(&self, given: Option<&Path>) -> Result<(PathBuf, Option<Plan>)> {
        let path = given.map_or_else(|| self.workspace.plan(self.recipe), Path::to_path_buf);
        let plan = if given.is_some() || path.exists() { Some(Plan::load(&path)?) } else { None };
        Ok((path, plan))
    }

    /// The plan that was made of `base` by the way, if it is what would be made now.
    fn own(&self, base: &BaseId) -> Option<Plan> {
        // One that is damaged is as good as none.
        let own = Plan::load(&self.workspace.artifacts().plan(&base.name)).ok();
        own.filter(|plan| self.is_current(plan, base))
    }

    /// The plan for `base`: the `given` one, or the committed one, if it is of that base; else, unless `locked`, one from
    /// the artifacts folder, made now if there is none yet.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a plan that cannot be read, and if `locked` for one that is of another base or not there;
    /// those of [`Self::make`].
    pub fn obtain(&self, base: &Base, given: Option<&Path>, locked: bool) -> Result<Plan> {
        let (path, plan) = self.committed(given)?;
        let shown = path.display();
        let differs = match plan.as_ref().map(|plan| plan.check(base, &self.corpus)) {
            Some(Ok(())) => return plan.context("a plan was checked that is not there"),
            Some(Err(differs)) => differs.to_string(),
            None => format!("no plan is committed for `{}`, sha256 {}", base.name, base.sha256),
        };
        if locked {
            return Err(anyhow!(
                "`{shown}`: {differs}\nhint: `cargo xtask tune` makes one of it; without `--locked` and `--update-lock`, `quantize` \
                 calibrates by itself"
            )
            .context(Failure::Usage));
        }
        let console = self.workspace.console();
        let own = self.workspace.artifacts().plan(&base.name);
        if let Some(plan) = self.own(base) {
            console.say(&format!("{differs}, so `{}` is taken", own.display()));
            return Ok(plan);
        }
        let covering = plan.as_ref().map(|plan| self.covering(base, plan)).transpose()?.flatten();
        let plan = if let Some(covering) = covering {
            covering
        } else {
            console.say(&format!("{differs}, so that one is calibrated now"));
            self.make(base, plan.as_ref())?
        };
        let plan = plan.write(&own)?;
        console.say(&format!("wrote `{}`", own.display()));
        Ok(plan)
    }

    /// The plan of another base of the same structure, as a plan of this one, if its ranges hold what a few sentences show.
    fn covering(&self, base: &Base, plan: &Plan) -> Result<Option<Plan>> {
        let set = &self.recipe.scheme.static_int8;
        let corpus_is_alike = plan.calibration.sha256 == self.corpus.calibration_sha256();
        if !corpus_is_alike
            || plan.calibration.edges != set.edges
            || plan.calibration.clip_ratios != set.clip_ratios
        {
            return Ok(None);
        }
        let (selection, edges) = (plan.selection()?, scheme::edges(&set.edges)?);
        let Ok(calibration) = Calibration::new(base, plan.passes()?, &selection, &edges) else {
            return Ok(None);
        };
        if calibration.convolutions() != plan.convolutions {
            return Ok(None);
        }
        let mut utterances = self.workspace.calibration(self.fetcher, self.recipe, &self.corpus)?;
        let every = utterances.len().div_ceil(COVERED_BY).max(1);
        utterances = utterances.into_iter().step_by(every).collect();
        let (runtime, _) = self.workspace.runtime(self.fetcher)?;
        let beyond = calibration.beyond(&self.calibrator(&runtime), &utterances, &plan.ranges)?;
        let covers = beyond <= MOST_BEYOND;
        self.workspace.console().say(&format!(
            "the ranges of `{}` {} `{}`: in {} sentences {:.2} % of the channels go beyond them by more than a half, where {:.0} % \
             may",
            plan.base.name,
            if covers { "cover" } else { "do not cover" },
            base.name,
            utterances.len(),
            100.0 * beyond,
            100.0 * MOST_BEYOND
        ));
        let of_this = PlanBase { name: base.name.clone(), sha256: base.sha256 };
        Ok(covers.then(|| Plan { base: of_this, tool: quantizer::VERSION.to_owned(), ..plan.clone() }))
    }

    fn calibrator<'r>(&self, runtime: &'r Runtime) -> Calibrator<'r> {
        let progress = Progress::stderr(self.workspace.environment().redraws());
        Calibrator { runtime, threads: self.threads, progress }
    }

    /// Whether a plan that was made by the way is what would be made now.
    fn is_current(&self, plan: &Plan, base: &BaseId) -> bool {
        plan.check(base, &self.corpus).is_ok()
            && plan.tool == quantizer::VERSION
            && plan.calibration.clip_ratios == self.recipe.scheme.static_int8.clip_ratios
            && plan.calibration.edges == self.recipe.scheme.static_int8.edges
    }

    /// A new plan of `base`, with the rewrites and the convolutions of the committed one; see [`Self::make`].
    ///
    /// # Errors
    /// [`Failure::Usage`] for a committed plan that cannot be read; those of [`Self::make`].
    pub fn again(&self, base: &Base) -> Result<Plan> {
        let (path, committed) = self.committed(None)?;
        let made = self.make(base, committed.as_ref())?;
        let is_like = |committed: &Plan| committed.convolutions == made.convolutions;
        let named = if committed.as_ref().is_some_and(is_like) {
            format!("those of `{}`", path.display())
        } else {
            "all that the recipe does not exclude".to_owned()
        };
        self.workspace.console().say(&format!("the convolutions are {named}"));
        Ok(made)
    }

    /// Calibrates `base`. Its convolutions are those of the plan `like`, if it has them all, and otherwise all that the
    /// recipe does not exclude.
    ///
    /// # Errors
    /// [`Failure::Fetch`] when ONNX Runtime or a voice cannot be had, [`Failure::Model`] for a base that cannot be
    /// calibrated, [`Failure::Usage`] for the recipe.
    pub fn make(&self, base: &Base, like: Option<&Plan>) -> Result<Plan> {
        let Self { workspace, recipe, fetcher, corpus, .. } = self;
        let set = &recipe.scheme.static_int8;
        let (allowed, edges) = (scheme::allowed(recipe)?, scheme::edges(&set.edges)?);
        let rewrites = like.map(Plan::passes).transpose()?.unwrap_or_else(|| PASSES.iter().collect());
        let calibration = Calibration::new(base, rewrites.clone(), &allowed, &edges)?;
        let known = |name: &String| calibration.convolutions().binary_search(name).is_ok();
        let convolutions = match like {
            Some(like) if like.convolutions.iter().all(known) => like.convolutions.clone(),
            _ => calibration.convolutions().to_vec(),
        };
        let ratios = &set.clip_ratios;
        let sentences = corpus.calibrating().count();
        // A model without such convolutions takes no runtime to find that out.
        let ranges = if calibration.is_empty() {
            quantizer::calibration::Ranges::default()
        } else {
            let utterances = workspace.calibration(fetcher, recipe, corpus)?;
            let (runtime, _) = workspace.runtime(fetcher)?;
            calibration.measure(&self.calibrator(&runtime), &utterances, ratios)?
        };
        Ok(Plan {
            tool: quantizer::VERSION.to_owned(),
            rewrites: rewrites.iter().map(|pass| pass.name.to_owned()).collect(),
            convolutions,
            base: PlanBase { name: base.name.clone(), sha256: base.sha256 },
            calibration: plan::Calibration {
                sentences,
                sha256: corpus.calibration_sha256(),
                clip_ratios: ratios.clone(),
                edges: set.edges.clone(),
            },
            ranges,
            sha256: crate::digest::Digest::of(&[]),
        })
    }
}
