//! The search of `cargo xtask tune`: which convolutions compute in INT8.
//!
//! What INT8 saves is told by profiles ([`Costs`]), what it costs in sound by saying calibration sentences with the
//! base's prosody forced. The search itself is pure ([`search`]) and asks for one measurement after another; each is kept at once
//! ([`State`]), so it can be ended at any moment and goes on where it was.

mod attribution;
mod cost;
mod judge;
mod pareto;
mod search;
mod sentences;
mod state;
mod trial;
mod tuner;
mod unit;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use kokoro_model::Runtime;

pub use self::attribution::{Attribution, attribute};
pub use self::cost::{Cost, Costs};
pub use self::judge::{Verdict, judge};
pub use self::pareto::{Judged, Pareto, ParetoPlan, PlanLimits};
use self::search::{Answer, Goal, Limits, Problem};
pub use self::state::{Key, State, Trial};
pub use self::trial::{Distance, Heard, Predicted};
use self::tuner::Tuner;
use crate::artifacts::Artifacts;
use crate::base::Base;
use crate::digest::Digest;
use crate::fidelity::Setting;
use crate::gates::{Progress, Utterance};
use crate::plan::Plan;
use crate::recipe::{Limits as RecipeLimits, Recipe};

/// What a search is made with.
#[derive(Clone, Copy)]
pub struct Tuning<'a> {
    /// The recipe, with limits, sentences and seed.
    pub recipe: &'a Recipe,
    /// The base.
    pub base: &'a Base,
    /// Its calibrated plan with all candidates.
    pub plan: &'a Plan,
    /// The calibration sentences, of which a few are said.
    pub utterances: &'a [Utterance],
    /// The library that runs the models.
    pub runtime: &'a Runtime,
    /// The digest of that library.
    pub runtime_sha256: Digest,
    /// Where measurements are kept.
    pub artifacts: &'a Artifacts,
    /// Where progress goes.
    pub progress: Progress,
}

impl<'a> Tuning<'a> {
    /// How models are measured. Nothing rates them: a search asks how near a plan is to the base.
    fn setting(&self) -> Setting<'a> {
        Setting {
            runtime: self.runtime,
            runtime_sha256: self.runtime_sha256,
            probe: &self.recipe.probe,
            dnsmos: None,
            threads: self.recipe.gates.fidelity.threads,
            progress: self.progress,
        }
    }
}

/// What is wanted of a search.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// How long plans are tried, once the ends are measured and profiled. What is begun is finished.
    pub budget: Duration,
    /// The closest plan that is so many times as fast as the base, in place of the fastest one within the limits.
    pub speed: Option<f64>,
    /// Whether to forget what was measured before.
    pub fresh: bool,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Tuned {
    /// The convolutions of the best plan, sorted.
    pub convolutions: Vec<String>,
    /// Whether it is what was wanted; else it is the nearest to it.
    pub meets: bool,
    /// The plans between the fastest and the most faithful; nothing is judged yet.
    pub pareto: Pareto,
    /// How many plans were tried, in this run and before.
    pub tried: usize,
}

/// Searches. The plan must have a convolution.
///
/// # Errors
/// [`Failure::Model`] for a base that cannot be quantized, profiled or said; the disk's.
pub fn tune(tuning: &Tuning<'_>, wish: &Wish) -> Result<Tuned> {
    let all: BTreeSet<String> = tuning.plan.convolutions.iter().cloned().collect();
    let mut tuner = Tuner::new(tuning, &all, wish.fresh)?;
    // The ends are measured whatever the budget is.
    let floor = tuner.measured(&BTreeSet::new())?.distance;
    let costs = tuner.costs(&all)?;
    let deadline = Instant::now() + wish.budget;
    tuner.deadline = deadline;
    let units = tuner.sensitivities()?;
    let limits = limits(tuning.recipe);
    let goal = wish.speed.map_or(Goal::Fastest, |speed| Goal::Closest { speed });
    let problem = Problem {
        units: tuner.weighed(&units, &costs, &floor.lsd()),
        base_ms: costs.base_ms,
        float_ms: costs.float_ms,
        limits,
        goal,
    };
    let names = |set: &search::Set| -> BTreeSet<String> {
        set.iter().flat_map(|&unit| units[unit].iter().cloned()).collect()
    };
    let affordable = tuner.affordable(1.0);
    let mut steps = tuning.progress.start("tune, search", affordable);
    let mut best: Option<(f64, f64)> = None;
    let found = problem.search(|set| {
        let names = names(set);
        let is_new = tuner.state.find(&names).is_none();
        if is_new && Instant::now() >= deadline {
            return Ok(None);
        }
        let trial = tuner.measured(&names)?;
        let (lsd, speed) = (trial.distance.lsd(), costs.speed(&names));
        let predicts = tuner.predicts(&trial, &floor);
        let used = limits.used(&lsd);
        let is_better = match goal {
            Goal::Fastest => used <= 1.0 && best.is_none_or(|(fastest, _)| speed > fastest),
            Goal::Closest { speed: least } => {
                speed >= least && best.is_none_or(|(_, closest)| used < closest)
            }
        };
        if is_better && predicts {
            best = Some((speed, used));
        }
        if is_new {
            let best =
                best.map_or("none yet".to_owned(), |(speed, used)| format!("{speed:.3} × at {used:.2}"));
            let count = names.len();
            steps.step(&format!("{count} static: {speed:.3} × at {used:.2} of the limits, best {best}"));
        }
        Ok(Some(Answer { lsd, predicts }))
    })?;
    drop(steps);
    let convolutions = names(&found.set);
    let plans = tuner.state.trials.iter();
    let plans = plans.map(|trial| {
        ParetoPlan::new(trial, costs.speed(&trial.convolutions), trial.convolutions == convolutions)
    });
    let finite = |limit: f64| limit.is_finite().then_some(limit);
    let within = wish.speed.is_none();
    let pareto = Pareto {
        base: tuning.base.name.clone(),
        base_sha256: tuning.base.sha256,
        tool: quantizer::VERSION.to_owned(),
        sentences: tuner.heard.len(),
        limits: PlanLimits {
            lsd_mean: finite(limits.mean).filter(|_| within),
            lsd_worst: finite(limits.worst).filter(|_| within),
            speed: wish.speed,
        },
        plans: pareto::front(plans.collect()),
        judged: None,
    };
    Ok(Tuned {
        convolutions: convolutions.into_iter().collect(),
        meets: found.meets,
        pareto,
        tried: tuner.state.trials.len(),
    })
}

/// What the search allows on calibration sentences: the recipe's limits of `static-int8`, less its margin.
fn limits(recipe: &Recipe) -> Limits {
    let set = &recipe.scheme.static_int8;
    let RecipeLimits { mean, worst } =
        set.gates.fidelity.get("lsd_db").copied().unwrap_or(RecipeLimits { mean: None, worst: None });
    let allowed = |limit: Option<f64>| limit.map_or(f64::INFINITY, |limit| limit * set.tune.margin);
    Limits { mean: allowed(mean), worst: allowed(worst) }
}
