//! The search: which units compute in INT8. Pure, and a function of what `measure` answers: with the same answers it
//! takes the same way, so a search that was ended and begun again comes to where it would have come.
//!
//! Squared errors of independent roundings add up, so the squared log-spectral distance (LSD) of a plan is predicted as that of a plan
//! nearby and what the units between add, sentence by sentence. Predictions only decide what is measured next; what is
//! taken was measured.
//!
//! 1. From all units in INT8 a path leads to none of them: the next to leave is the one that saves the least time for the
//!    error that it adds.
//! 2. Plans along the path are measured, and then halves of what is left, until it is known where the limits are met.
//! 3. From the best plan so far, up to two units go out for up to two that come in, the most promising exchange first.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

/// The units in INT8.
pub(super) type Set = BTreeSet<usize>;

/// A part of the path's time is between two plans that are measured on it.
const LANDMARKS: usize = 5;

/// How many units an exchange moves out, and in, at most.
const MOVED: usize = 2;

/// By how much of a limit predictions are wrong, as far as that decides what is worth a try.
const DOUBT: f64 = 0.02;

/// The least chance to keep the limits that is worth a try.
const HOPE: f64 = 0.05;

/// What moves as one.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    /// Milliseconds that INT8 saves.
    pub(super) saving_ms: f64,
    /// What it adds to the squared LSD of each sentence, in dB².
    pub(super) error: Vec<f64>,
}

/// The most that the LSD may be, in dB; infinite where there is no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    pub(super) mean: f64,
    pub(super) worst: f64,
}

impl Limits {
    /// The larger share of a limit that is used up; without limits, the mean in dB.
    pub(super) fn used(&self, lsd: &[f64]) -> f64 {
        if self.mean.is_infinite() && self.worst.is_infinite() {
            return mean(lsd);
        }
        (mean(lsd) / self.mean).max(worst(lsd) / self.worst)
    }

    fn kept(&self, lsd: &[f64]) -> bool {
        mean(lsd) <= self.mean && worst(lsd) <= self.worst
    }
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// The fastest plan within the limits.
    Fastest,
    /// The plan that uses up the least of the limits and is so many times as fast as the base.
    Closest { speed: f64 },
}

/// An answer of `measure`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// The LSD of each sentence in dB.
    pub(super) lsd: Vec<f64>,
    /// Whether what the model predicts is near enough to what the base does.
    pub(super) predicts: bool,
}

/// What is searched.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) units: Vec<Unit>,
    /// Milliseconds of the base, which speeds are relative to.
    pub(super) base_ms: f64,
    /// Milliseconds with no unit in INT8.
    pub(super) float_ms: f64,
    pub(super) limits: Limits,
    pub(super) goal: Goal,
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) set: Set,
    /// Whether it meets the goal; if not, it is the nearest to it.
    pub(super) meets: bool,
}

impl Problem {
    /// How many times as fast as the base a plan is.
    pub(super) fn speed(&self, set: &Set) -> f64 {
        let saved: f64 = set.iter().map(|&unit| self.units[unit].saving_ms).sum();
        self.base_ms / (self.float_ms - saved).max(f64::MIN_POSITIVE)
    }

    /// Searches. `measure` answers `None` when the time is up.
    ///
    /// # Errors
    /// Those of `measure`; it must answer for no units and for all of them.
    pub(super) fn search(self, measure: impl FnMut(&Set) -> Result<Option<Answer>>) -> Result<Found> {
        let mut search = Search { problem: self, measure, known: Vec::new() };
        let all: Set = (0..search.problem.units.len()).collect();
        for end in [&Set::new(), &all] {
            search.answer(end)?.context("the ends of the search were not measured")?;
        }
        if search.walk(all)? {
            search.exchange()?;
        }
        let (set, answer) = search.best().context("nothing was measured")?;
        Ok(Found { meets: search.problem.meets(set, answer), set: set.clone() })
    }

    fn meets(&self, set: &Set, answer: &Answer) -> bool {
        let wanted = match self.goal {
            Goal::Fastest => self.limits.kept(&answer.lsd),
            Goal::Closest { speed } => self.speed(set) >= speed,
        };
        wanted && answer.predicts
    }

    /// What is better is less: what meets the goal first, then as the goal says.
    fn rank(&self, set: &Set, answer: &Answer) -> (bool, f64) {
        let (meets, used) = (self.meets(set, answer), self.limits.used(&answer.lsd));
        let by_speed = match self.goal {
            Goal::Fastest => meets,
            Goal::Closest { .. } => !meets,
        };
        (!meets, if by_speed { -self.speed(set) } else { used })
    }

    /// The LSD of `to`, from that of a plan nearby.
    fn predicted(&self, from: &Set, lsd: &[f64], to: &Set) -> Vec<f64> {
        let mut squares: Vec<f64> = lsd.iter().map(|it| it * it).collect();
        for (sign, units) in [(1.0, to.difference(from)), (-1.0, from.difference(to))] {
            for &unit in units {
                for (square, error) in squares.iter_mut().zip(&self.units[unit].error) {
                    *square += sign * error;
                }
            }
        }
        squares.into_iter().map(|square| square.max(0.0).sqrt()).collect()
    }

    /// Makes the errors of the units between two plans what was measured of these: in proportion, as far as that goes.
    fn learn(&mut self, [from, to]: [(&Set, &[f64]); 2]) {
        let moved: Vec<(usize, f64)> = to.0.difference(from.0).map(|&unit| (unit, 1.0)).collect();
        let moved: Vec<(usize, f64)> =
            moved.into_iter().chain(from.0.difference(to.0).map(|&unit| (unit, -1.0))).collect();
        for sentence in 0..to.1.len() {
            let error = |unit: usize| self.units[unit].error[sentence];
            let expected: f64 = moved.iter().map(|&(unit, sign)| sign * error(unit)).sum();
            let sum: f64 = moved.iter().map(|&(unit, _)| error(unit)).sum();
            if sum <= 0.0 {
                continue;
            }
            let off = to.1[sentence].powi(2) - from.1[sentence].powi(2) - expected;
            for &(unit, sign) in &moved {
                let error = &mut self.units[unit].error[sentence];
                // No unit is without any error, whatever a measurement says.
                *error *= (1.0 + sign * off / sum).max(0.05);
            }
        }
    }

    /// From `all` units to none: each plan has one unit less than the one before it.
    fn path(&self, all: Set, lsd: &[f64]) -> Vec<Set> {
        let mut lsd = lsd.to_vec();
        let mut path = vec![all];
        while let Some(set) = path.last().filter(|set| !set.is_empty()) {
            let weights = self.pressure(&lsd);
            let worth = |unit: usize| {
                let Unit { saving_ms, error } = &self.units[unit];
                let error: f64 = error.iter().zip(&weights).map(|(error, weight)| error * weight).sum();
                saving_ms / error.max(f64::MIN_POSITIVE)
            };
            let least = set.iter().copied().min_by(|&a, &b| worth(a).total_cmp(&worth(b)));
            let mut next = set.clone();
            next.retain(|unit| Some(*unit) != least);
            lsd = self.predicted(set, &lsd, &next);
            path.push(next);
        }
        path
    }

    /// How much each sentence's error matters: that of the worst one alone where its limit is the one in the way.
    fn pressure(&self, lsd: &[f64]) -> Vec<f64> {
        let highest = worst(lsd);
        if highest / self.limits.worst > mean(lsd) / self.limits.mean {
            return lsd.iter().map(|it| f64::from(u8::from(*it == highest))).collect();
        }
        vec![1.0; lsd.len()]
    }

    /// The exchange that promises the most, among plans that are not `known`.
    fn promising(&self, from: &Set, answer: &Answer, known: impl Fn(&Set) -> bool) -> Option<Set> {
        let used = self.limits.used(&answer.lsd);
        let promise = |to: &Set| {
            let predicted = self.limits.used(&self.predicted(from, &answer.lsd, to));
            match self.goal {
                Goal::Fastest => {
                    let gain = self.speed(to) - self.speed(from);
                    let chance = 1.0 / (1.0 + ((predicted - 1.0) / DOUBT).exp());
                    (gain > 1e-6 && chance >= HOPE).then_some(gain * chance)
                }
                Goal::Closest { speed } => {
                    let gain = used - predicted;
                    (gain > 1e-6 && self.speed(to) >= speed).then_some(gain)
                }
            }
        };
        let outside: Vec<usize> = (0..self.units.len()).filter(|unit| !from.contains(unit)).collect();
        let inside: Vec<usize> = from.iter().copied().collect();
        let mut best: Option<(f64, Set)> = None;
        for out in few(&inside) {
            let kept: Set = from.iter().copied().filter(|unit| !out.contains(unit)).collect();
            for into in few(&outside) {
                let to: Set = kept.iter().chain(&into).copied().collect();
                let Some(gain) = promise(&to) else { continue };
                if best.as_ref().is_none_or(|(most, _)| gain > *most) && !known(&to) {
                    best = Some((gain, to));
                }
            }
        }
        best.map(|(_, set)| set)
    }
}

/// All choices of up to [`MOVED`] of `units`, none of them first.
fn few(units: &[usize]) -> Vec<Vec<usize>> {
    let mut choices = vec![Vec::new()];
    let mut from = 0;
    for _ in 0..MOVED {
        let last = choices.len();
        for at in from..last {
            for &unit in units {
                if choices[at].last().is_none_or(|highest| unit > *highest) {
                    choices.push([&choices[at][..], &[unit]].concat());
                }
            }
        }
        from = last;
    }
    choices
}

fn mean(lsd: &[f64]) -> f64 {
    lsd.iter().sum::<f64>() / lsd.len() as f64
}

fn worst(lsd: &[f64]) -> f64 {
    lsd.iter().copied().fold(0.0, f64::max)
}

struct Search<M> {
    problem: Problem,
    measure: M,
    known: Vec<(Set, Answer)>,
}

impl<M: FnMut(&Set) -> Result<Option<Answer>>> Search<M> {
    /// What was measured of `set`, or is measured now and learned from; `None` when the time is up.
    fn answer(&mut self, set: &Set) -> Result<Option<Answer>> {
        if let Some((_, answer)) = self.known.iter().find(|(known, _)| known == set) {
            return Ok(Some(answer.clone()));
        }
        let Some(answer) = (self.measure)(set)? else { return Ok(None) };
        let near = self.known.iter().min_by_key(|(known, _)| known.symmetric_difference(set).count());
        if let Some((near, of_near)) = near {
            self.problem.learn([(near, &of_near.lsd), (set, &answer.lsd)]);
        }
        self.known.push((set.clone(), answer.clone()));
        Ok(Some(answer))
    }

    fn best(&self) -> Option<(&Set, &Answer)> {
        let rank = |(set, answer): &&(Set, Answer)| self.problem.rank(set, answer);
        let order = |a: &(bool, f64), b: &(bool, f64)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1));
        let best = self.known.iter().min_by(|a, b| order(&rank(a), &rank(b)));
        best.map(|(set, answer)| (set, answer))
    }

    /// Measures along the path, and finds where on it the goal is met; `false` when the time is up.
    fn walk(&mut self, all: Set) -> Result<bool> {
        let lsd = self.answer(&all)?.context("the search has no beginning")?.lsd;
        let path = self.problem.path(all, &lsd);
        let saved = |set: &Set| -> f64 { set.iter().map(|&unit| self.problem.units[unit].saving_ms).sum() };
        let landmark = |part: usize| {
            let wanted = saved(&path[0]) * part as f64 / LANDMARKS as f64;
            let off = |at: &usize| (saved(&path[*at]) - wanted).abs();
            (0..path.len()).min_by(|a, b| off(a).total_cmp(&off(b)))
        };
        let landmarks: Vec<usize> = (1..LANDMARKS).rev().filter_map(landmark).collect();
        for at in landmarks {
            if self.answer(&path[at])?.is_none() {
                return Ok(false);
            }
        }
        if let Goal::Closest { speed } = self.problem.goal {
            let last = path.iter().rposition(|set| self.problem.speed(set) >= speed);
            return last.map_or(Ok(true), |at| Ok(self.answer(&path[at])?.is_some()));
        }
        loop {
            let met = |at: &usize| {
                let (set, answer) = self.known.iter().find(|(known, _)| *known == path[*at])?;
                Some(self.problem.meets(set, answer))
            };
            let Some(first) = (0..path.len()).find(|at| met(at) == Some(true)) else { return Ok(true) };
            let Some(missed) = (0..first).rfind(|at| met(at) == Some(false)) else { return Ok(true) };
            if first - missed < 2 {
                return Ok(true);
            }
            if self.answer(&path[usize::midpoint(first, missed)])?.is_none() {
                return Ok(false);
            }
        }
    }

    /// Measures exchanges until none promises anything or the time is up.
    fn exchange(&mut self) -> Result<()> {
        loop {
            let Some((set, answer)) = self.best() else { return Ok(()) };
            let known = |set: &Set| self.known.iter().any(|(known, _)| known == set);
            let Some(next) = self.problem.promising(set, answer, known) else { return Ok(()) };
            if self.answer(&next)?.is_none() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
