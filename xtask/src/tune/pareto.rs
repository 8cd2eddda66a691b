//! The plans between the fastest and the most faithful, of which none is beaten in both.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use comfy_table::{Cell, Table};
use serde::{Deserialize, Serialize};

use super::state::Trial;
use crate::artifacts::Artifacts;
use crate::digest::Digest;
use crate::files::read_json;
use crate::gates::{Interval, figure, table};

/// So many plans at most are kept: more are no easier to choose from.
const MOST: usize = 12;

/// Plans of one base, the fastest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pareto {
    /// The name of the base.
    pub base: String,
    /// The digest of the base.
    pub base_sha256: Digest,
    /// The version of the quantizer that the plans were tried with.
    pub tool: String,
    /// How many calibration sentences they were tried with.
    pub sentences: usize,
    /// The most that the search allowed.
    pub limits: PlanLimits,
    /// The plans.
    pub plans: Vec<ParetoPlan>,
    /// What the chosen one is on held-out sentences; `None` where it was not judged.
    pub judged: Option<Judged>,
}

/// The limits of a search on calibration sentences; `None` where there was none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanLimits {
    /// Of the mean LSD in dB.
    pub lsd_mean: Option<f64>,
    /// Of the worst sentence's LSD in dB.
    pub lsd_worst: Option<f64>,
    /// The least speed relative to the base.
    pub speed: Option<f64>,
}

/// One plan as it was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParetoPlan {
    /// Whether it is the one that was written.
    pub chosen: bool,
    /// How many times as fast as the base it should be, going by the profiles.
    pub predicted_speed: f64,
    /// Mean LSD over the sentences, in dB.
    pub lsd_mean: f64,
    /// That of the worst sentence.
    pub lsd_worst: f64,
    /// Mean signal-to-noise ratio in dB.
    pub snr_mean: f64,
    /// That of the worst sentence.
    pub snr_worst: f64,
    /// The convolutions in INT8.
    #[serde(rename = "static")]
    pub convolutions: BTreeSet<String>,
}

/// What a plan is on held-out sentences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// How many sentences were heard.
    pub sentences: usize,
    /// Mean LSD in dB.
    pub lsd_mean: f64,
    /// That of the worst sentence.
    pub lsd_worst: f64,
    /// The id of the worst sentence.
    pub lsd_worst_id: String,
    /// Mean signal-to-noise ratio in dB.
    pub snr_mean: f64,
    /// How many times as fast as the base, measured.
    pub speed: Interval,
    /// The size of the file in MiB.
    pub mib: f64,
}

impl ParetoPlan {
    pub(super) fn new(trial: &Trial, predicted_speed: f64, chosen: bool) -> Self {
        let heard = || trial.distance.sentences.values();
        let count = heard().count() as f64;
        Self {
            chosen,
            predicted_speed,
            lsd_mean: heard().map(|it| it.lsd_db).sum::<f64>() / count,
            lsd_worst: heard().map(|it| it.lsd_db).fold(0.0, f64::max),
            snr_mean: heard().map(|it| it.snr_db).sum::<f64>() / count,
            snr_worst: heard().map(|it| it.snr_db).fold(f64::INFINITY, f64::min),
            convolutions: trial.convolutions.clone(),
        }
    }
}

/// Those of `plans` that no other is both faster and closer than, and the chosen one; the fastest first.
pub(super) fn front(mut plans: Vec<ParetoPlan>) -> Vec<ParetoPlan> {
    plans.sort_by(|a, b| {
        b.predicted_speed.total_cmp(&a.predicted_speed).then(a.lsd_mean.total_cmp(&b.lsd_mean))
    });
    let mut closest = f64::INFINITY;
    plans.retain(|plan| {
        let is_closer = plan.lsd_mean < closest;
        closest = closest.min(plan.lsd_mean);
        is_closer || plan.chosen
    });
    while plans.len() > MOST {
        // The one that is nearest to a neighbour in speed says the least; ends stay.
        let distance = |at: &usize| plans[at - 1].predicted_speed - plans[at + 1].predicted_speed;
        let inner = (1..plans.len() - 1).filter(|&at| !plans[at].chosen);
        let Some(least) = inner.min_by(|a, b| distance(a).total_cmp(&distance(b))) else { break };
        plans.remove(least);
    }
    plans
}

impl Pareto {
    /// The file that it is kept in.
    pub fn path(artifacts: &Artifacts, base: &str) -> PathBuf {
        artifacts.tune().join(format!("{base}.pareto.json"))
    }

    /// What was found for this base; `None` where nothing was, or of another base or version.
    pub fn find(artifacts: &Artifacts, base: &str, sha256: Digest) -> Option<Self> {
        let path: &Path = &Self::path(artifacts, base);
        let found = if path.exists() { read_json::<Self>(path).ok() } else { None };
        found.filter(|pareto| pareto.base_sha256 == sha256)
    }

    /// The plan that was written.
    pub fn chosen(&self) -> Option<&ParetoPlan> {
        self.plans.iter().find(|plan| plan.chosen)
    }

    /// One row for each plan.
    pub fn table(&self) -> Table {
        let mut table = table(&["static", "predicted speed", "LSD dB", "worst", "SNR dB", "worst", ""]);
        for plan in &self.plans {
            let decibels = [plan.lsd_mean, plan.lsd_worst, plan.snr_mean, plan.snr_worst];
            let mut row = vec![figure(plan.convolutions.len().to_string())];
            row.push(figure(format!("{:.3} ×", plan.predicted_speed)));
            row.extend(decibels.map(|it| figure(format!("{it:.2}"))));
            row.push(Cell::new(if plan.chosen { "chosen" } else { "" }));
            table.add_row(row);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(predicted_speed: f64, lsd_mean: f64, chosen: bool) -> ParetoPlan {
        ParetoPlan {
            chosen,
            predicted_speed,
            lsd_mean,
            lsd_worst: 2.0 * lsd_mean,
            snr_mean: 20.0,
            snr_worst: 10.0,
            convolutions: BTreeSet::new(),
        }
    }

    #[test]
    fn what_is_slower_and_further_off_is_left_out_unless_it_is_chosen() {
        let plans = [(1.0, 0.4), (2.0, 1.9), (1.5, 1.0), (1.4, 1.1), (1.5, 1.2), (1.2, 0.5)];
        let found = front(plans.map(|(speed, lsd)| plan(speed, lsd, lsd == 1.1)).to_vec());
        let found: Vec<_> = found.iter().map(|it| (it.predicted_speed, it.lsd_mean, it.chosen)).collect();
        let expected =
            [(2.0, 1.9, false), (1.5, 1.0, false), (1.4, 1.1, true), (1.2, 0.5, false), (1.0, 0.4, false)];
        assert_eq!(found, expected);
    }

    #[test]
    fn many_plans_are_thinned_out_between_the_ends() {
        let many = (0..60).map(|at| plan(1.0 + f64::from(at) / 60.0, f64::from(at), at == 30)).collect();
        let found = front(many);
        assert_eq!(found.len(), MOST);
        assert_eq!((found[0].lsd_mean, found[MOST - 1].lsd_mean), (59.0, 0.0));
        assert!(found.iter().any(|it| it.chosen && it.lsd_mean == 30.0));
        let steps = found.windows(2).map(|pair| pair[0].predicted_speed - pair[1].predicted_speed);
        assert!(steps.clone().fold(0.0, f64::max) < 4.0 * steps.fold(1.0, f64::min), "{found:?}");
    }

    #[test]
    fn the_chosen_plan_stands_out_in_the_table() {
        let pareto = Pareto {
            base: "small".into(),
            base_sha256: Digest::of(b""),
            tool: String::new(),
            sentences: 6,
            limits: PlanLimits::default(),
            plans: vec![plan(2.0, 1.25, false), plan(1.5, 0.75, true)],
            judged: None,
        };
        let text = pareto.table().to_string();
        let chosen = text.lines().find(|line| line.contains("chosen")).unwrap();
        assert!(chosen.contains("1.500 ×") && chosen.contains("0.75") && chosen.contains("1.50"), "{text}");
        assert_eq!(text.matches("chosen").count(), 1);
    }
}
