//! What a search measures and keeps, and what it makes of that.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context as _, Result};
use quantizer::model;

use super::cost::{self, Costs};
use super::search::Unit;
use super::sentences::{ids, picked};
use super::state::{Key, State, Trial};
use super::trial::{Distance, Trials};
use super::unit::{LEVELS, units};
use super::{Tuning, attribution};
use crate::failure::Failure;
use crate::fidelity::Ruler;
use crate::gates::{Subject, Utterance};
use crate::host::Host;

/// The share of the time that may go to the sensitivity of single units; the rest is for plans.
const SENSITIVITY: f64 = 0.5;

/// A search at work.
pub(super) struct Tuner<'a> {
    tuning: Tuning<'a>,
    trials: Trials<'a>,
    /// What is said.
    pub(super) heard: Vec<Utterance>,
    pub(super) state: State,
    pub(super) deadline: Instant,
    /// The candidates that durations, F0 or energy depend on: they alone can change what is predicted.
    before_predictions: BTreeSet<String>,
}

impl<'a> Tuner<'a> {
    /// Has the base and the model with `all` candidates say every sentence, unless that was done before, and picks those
    /// that plans are tried with.
    pub(super) fn new(tuning: &Tuning<'a>, all: &BTreeSet<String>, fresh: bool) -> Result<Self> {
        let Tuning { recipe, base, plan, utterances, runtime_sha256, artifacts, progress, .. } = *tuning;
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
        let ruler = Ruler::new(
            tuning.setting(),
            &Subject::of_base(base)?,
            utterances.to_vec(),
            &artifacts.fidelity(),
        )?;
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
    pub(super) fn measured(&mut self, convolutions: &BTreeSet<String>) -> Result<Trial> {
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
    pub(super) fn affordable(&self, share: f64) -> usize {
        let left = self.deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        (left * share / self.state.seconds().unwrap_or(f64::INFINITY)) as usize
    }

    /// What each convolution costs, as it was profiled before or is now.
    pub(super) fn costs(&mut self, all: &BTreeSet<String>) -> Result<Costs> {
        if let Some(costs) = &self.state.costs {
            return Ok(costs.clone());
        }
        let Tuning { recipe, base, plan, runtime, artifacts, progress, .. } = self.tuning;
        let models = cost::Models {
            base: base.decode()?,
            // Other convolutions in float have tables before them too, so their float side is the plan without any in INT8.
            float: self.trials.model(&BTreeSet::new())?,
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
    pub(super) fn sensitivities(&mut self) -> Result<Vec<BTreeSet<String>>> {
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
    pub(super) fn weighed(&self, units: &[BTreeSet<String>], costs: &Costs, floor: &[f64]) -> Vec<Unit> {
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
    pub(super) fn predicts(&self, trial: &Trial, floor: &Distance) -> bool {
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
