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
mod unit;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use kokoro_model::Runtime;
use quantizer::model;

pub use self::attribution::{Attribution, attribute};
pub use self::cost::{Cost, Costs};
pub use self::judge::{Verdict, judge};
pub use self::pareto::{Judged, Pareto, ParetoPlan, PlanLimits};
use self::search::{Answer, Goal, Limits, Problem, Unit};
use self::sentences::{ids, picked};
pub use self::state::{Key, State, Trial};
use self::trial::Trials;
pub use self::trial::{Distance, Heard, Predicted};
use self::unit::{LEVELS, units};
use crate::artifacts::Artifacts;
use crate::base::Base;
use crate::digest::Digest;
use crate::failure::Failure;
use crate::fidelity::{Ruler, Setting};
use crate::gates::{Progress, Subject, Utterance};
use crate::host::Host;
use crate::plan::Plan;
use crate::recipe::{Limits as RecipeLimits, Recipe};

/// The share of the time that may go to the sensitivity of single units; the rest is for plans.
const SENSITIVITY: f64 = 0.5;

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

/// A search at work.
struct Tuner<'a> {
    tuning: Tuning<'a>,
    trials: Trials<'a>,
    /// What is said.
    heard: Vec<Utterance>,
    state: State,
    deadline: Instant,
    /// The candidates that durations, F0 or energy depend on: they alone can change what is predicted.
    before_predictions: BTreeSet<String>,
}

impl<'a> Tuner<'a> {
    /// Has the base and the model with `all` candidates say every sentence, unless that was done before, and picks those
    /// that plans are tried with.
    fn new(tuning: &Tuning<'a>, all: &BTreeSet<String>, fresh: bool) -> Result<Self> {
        let Tuning { recipe, base, plan, utterances, runtime, runtime_sha256, artifacts, progress } = *tuning;
        let key = Key {
            base: base.sha256,
            plan: plan.sha256,
            recipe: recipe.sha256,
            tool: quantizer::VERSION.to_owned(),
            runtime: runtime_sha256,
            host: Host::here(),
        };
        let mut state = State::open(&artifacts.tune().join(format!("{}.json", base.name)), key, fresh);
        if !state.trials.is_empty() {
            progress.say(&format!("tune: goes on after {} plans that were tried before", state.trials.len()));
        }
        let setting = Setting {
            runtime,
            runtime_sha256,
            probe: &recipe.probe,
            dnsmos: None,
            threads: recipe.gates.fidelity.threads,
            progress,
        };
        let ruler =
            Ruler::new(setting, &Subject::of_base(base)?, utterances.to_vec(), &artifacts.fidelity())?;
        let trials = Trials::new(base, recipe, plan, ruler)?;
        let graph = model::graph(trials.rewritten()).context(Failure::Model)?;
        let probe = &recipe.probe;
        let values = [&probe.durations, &probe.f0, &probe.energy];
        let before: Vec<_> = values.map(|value| attribution::before(graph, value)).into();
        let candidates = plan.convolutions.iter();
        let before_predictions: BTreeSet<String> = candidates
            .filter(|name| before.iter().any(|before| before.contains(name.as_str())))
            .cloned()
            .collect();
        progress.say(&format!(
            "tune: {} candidates, {} of them before durations, F0 or energy",
            plan.convolutions.len(),
            before_predictions.len()
        ));
        let pick = |survey: &Distance| picked(utterances, survey, &recipe.scheme.static_int8.tune);
        let survey = if let Some(survey) = state.survey.clone() {
            survey
        } else {
            progress.say(&format!("tune: all candidates, on {} sentences", utterances.len()));
            let start = Instant::now();
            let survey = trials.measure(all)?;
            let heard = pick(&survey);
            let share = heard.len() as f64 / utterances.len() as f64;
            let seconds = start.elapsed().as_secs_f64() * share;
            let distance = survey.clone().of(&ids(&heard));
            state.survey = Some(survey.clone());
            state.add(Trial { convolutions: all.clone(), distance, seconds })?;
            survey
        };
        let heard = pick(&survey);
        let trials = trials.on(&ids(&heard));
        Ok(Self { tuning: *tuning, trials, heard, state, deadline: Instant::now(), before_predictions })
    }

    /// What is known of a plan, measured now and kept if nothing is.
    fn measured(&mut self, convolutions: &BTreeSet<String>) -> Result<Trial> {
        if let Some(trial) = self.state.find(convolutions) {
            return Ok(trial.clone());
        }
        let start = Instant::now();
        let distance = self.trials.measure(convolutions)?;
        let seconds = start.elapsed().as_secs_f64();
        let trial = Trial { convolutions: convolutions.clone(), distance, seconds };
        self.state.add(trial.clone())?;
        Ok(trial)
    }

    /// How many plans can be tried in `share` of what is left of the budget.
    fn affordable(&self, share: f64) -> usize {
        let left = self.deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        (left * share / self.state.seconds().unwrap_or(f64::INFINITY)) as usize
    }

    /// What each convolution costs, as it was profiled before or is now.
    fn costs(&mut self, all: &BTreeSet<String>) -> Result<Costs> {
        if let Some(costs) = &self.state.costs {
            return Ok(costs.clone());
        }
        let Tuning { recipe, base, plan, runtime, artifacts, progress, .. } = self.tuning;
        let models = cost::Models {
            base: base.decode()?,
            float: self.trials.rewritten().clone(),
            int8: self.trials.model(all)?,
        };
        let mut by_length: Vec<&Utterance> = self.heard.iter().collect();
        by_length.sort_by_key(|utterance| utterance.ids.len());
        let middle = by_length.get(by_length.len() / 2).context("no sentence to profile with")?;
        let profiling = cost::Profiling {
            runtime,
            options: self.trials.options(),
            threads: recipe.gates.bench.threads,
            utterance: middle,
            scratch: &artifacts.tune().join("profile"),
            progress,
        };
        let costs = Costs::measure(&models, &plan.convolutions, &profiling)?;
        self.state.costs = Some(costs.clone());
        self.state.write()?;
        Ok(costs)
    }

    /// Measures units alone, as fine as there is time for; returns the units.
    fn sensitivities(&mut self) -> Result<Vec<BTreeSet<String>>> {
        let all = &self.tuning.plan.convolutions;
        let missing = |level: usize| {
            let units = units(all, LEVELS[level]);
            units.iter().filter(|unit| self.state.find(unit).is_none()).count()
        };
        let affordable = self.affordable(SENSITIVITY);
        let finest =
            (0..LEVELS.len()).find(|&level| missing(level) <= affordable).unwrap_or(LEVELS.len() - 1);
        // What was begun is not made coarser: that would throw away what was measured.
        let level = self.state.level.map_or(finest, |begun| begun.min(finest));
        if self.state.level != Some(level) {
            self.state.level = Some(level);
            self.state.write()?;
        }
        let units = units(all, LEVELS[level]);
        let mut steps = self.tuning.progress.start("tune, sensitivity of each unit", units.len());
        for unit in &units {
            if self.state.find(unit).is_none() && Instant::now() >= self.deadline {
                break;
            }
            let trial = self.measured(unit)?;
            let worst = trial.distance.lsd().into_iter().fold(0.0, f64::max);
            let first = unit.first().map_or("", String::as_str);
            steps.step(&format!("`{first}` and {} more: worst {worst:.3} dB", unit.len() - 1));
        }
        Ok(units)
    }

    /// The units with what they save and what they cost. One that was not measured costs what others do on average.
    fn weighed(&self, units: &[BTreeSet<String>], costs: &Costs, floor: &[f64]) -> Vec<Unit> {
        let error = |unit: &BTreeSet<String>| {
            let lsd = self.state.find(unit)?.distance.lsd();
            let squares = lsd.iter().zip(floor).map(|(lsd, floor)| lsd * lsd - floor * floor);
            // An error below what can be told apart is not taken for none.
            Some(squares.zip(floor).map(|(it, floor)| it.max(1e-3 * floor * floor).max(1e-9)).collect())
        };
        let errors: Vec<Option<Vec<f64>>> = units.iter().map(error).collect();
        let known = errors.iter().flatten().count().max(1) as f64;
        let mean = |at: usize| errors.iter().flatten().map(|error| error[at]).sum::<f64>().max(1e-9) / known;
        let average: Vec<f64> = (0..floor.len()).map(mean).collect();
        let unit = |(unit, error): (&BTreeSet<String>, &Option<Vec<f64>>)| Unit {
            saving_ms: unit.iter().map(|name| costs.saving(name)).sum(),
            error: error.clone().unwrap_or_else(|| average.clone()),
        };
        units.iter().zip(&errors).map(unit).collect()
    }

    /// Whether a plan predicts what `floor` does, the plan with no convolution in INT8, or keeps to the recipe's limits. Where no
    /// convolution of it lies before the predictions, there is nothing to compare.
    fn predicts(&self, trial: &Trial, floor: &Distance) -> bool {
        let limit = |metric: &str, lacking: f64| {
            let limits = &self.tuning.recipe.scheme.static_int8.gates.fidelity;
            limits.get(metric).and_then(|limits| limits.mean).unwrap_or(lacking)
        };
        let (own, floor) = (trial.distance.predicted, floor.predicted);
        self.before_predictions.is_disjoint(&trial.convolutions)
            || (own.durations_exact >= limit("durations_exact", 0.0).min(floor.durations_exact)
                && own.f0_mean_cents <= limit("f0_mean_cents", f64::INFINITY).max(floor.f0_mean_cents)
                && own.energy_nepers <= limit("energy_nepers", f64::INFINITY).max(floor.energy_nepers))
    }
}

/// What the search allows on calibration sentences: the recipe's limits of `static-int8`, less its margin.
fn limits(recipe: &Recipe) -> Limits {
    let set = &recipe.scheme.static_int8;
    let RecipeLimits { mean, worst } =
        set.gates.fidelity.get("lsd_db").copied().unwrap_or(RecipeLimits { mean: None, worst: None });
    let allowed = |limit: Option<f64>| limit.map_or(f64::INFINITY, |limit| limit * set.tune.margin);
    Limits { mean: allowed(mean), worst: allowed(worst) }
}
