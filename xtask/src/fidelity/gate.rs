//! The fidelity gate: what was measured, held against the limits of a scheme.

use std::collections::BTreeMap;

use super::metric::Better;
use super::opinion::Opinion;
use super::prosody::Prosody;
use super::sound::Sound;
use super::{Beside, Fidelity};
use crate::gates::{Check, Gate, Report};
use crate::recipe::Limits;

/// What a metric is, whatever it is measured of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// The name in results and recipes.
    pub name: &'static str,
    /// Its unit; empty for a ratio, a share or a count.
    pub unit: &'static str,
    /// The side that is good.
    pub better: Better,
}

/// Every metric that a recipe may limit: those of prosody, those of sound, those of opinion.
pub fn metrics() -> impl Iterator<Item = Description> {
    let prosody = Prosody::METRICS.iter().map(|it| (it.name, it.unit, it.better));
    let sound = Sound::METRICS.iter().map(|it| (it.name, it.unit, it.better));
    let opinion = Opinion::METRICS.iter().map(|it| (it.name, it.unit, it.better));
    prosody.chain(sound).chain(opinion).map(|(name, unit, better)| Description { name, unit, better })
}

/// Holds mean and worst sentence against `limits`, by the name of the metric. A metric that was not measured fails
/// its limits, and so does a sentence that was not said.
pub fn fidelity_gate(fidelity: &Fidelity, limits: &BTreeMap<String, Limits>) -> Report {
    let mut checks = vec![unspoken(&fidelity.unspoken)];
    for metric in metrics() {
        let Some(limits) = limits.get(metric.name) else { continue };
        let beside = fidelity.metrics.get(metric.name);
        if let Some(limit) = limits.mean {
            let value = beside.map_or(f64::NAN, |it| it.found.mean);
            let floor = beside.and_then(|it| it.floor.as_ref()).map(|floor| floor.mean);
            checks.push(check(metric, "mean", value, limit).with_detail(place(beside, floor, false)));
        }
        if let Some(limit) = limits.worst {
            let value = beside.map_or(f64::NAN, |it| it.found.worst);
            let floor = beside.and_then(|it| it.floor.as_ref()).map(|floor| floor.worst);
            checks.push(check(metric, "worst", value, limit).with_detail(place(beside, floor, true)));
        }
    }
    Report::new(Gate::Fidelity, checks)
}

fn check(metric: Description, of: &str, value: f64, limit: f64) -> Check {
    let name = format!("{}.{of}", metric.name);
    match metric.better {
        Better::Higher => Check::at_least(name, value, limit, metric.unit),
        // Of a metric with a sign the aggregate holds magnitudes.
        Better::Lower | Better::NearZero => Check::at_most(name, value, limit, metric.unit),
    }
}

/// Which sentence or how many, and what the noise floor is.
fn place(beside: Option<&Beside>, floor: Option<f64>, worst: bool) -> String {
    let Some(Beside { found, .. }) = beside else { return "no sentence has it".to_owned() };
    let place =
        if worst { format!("sentence `{}`", found.worst_id) } else { format!("{} sentences", found.count) };
    floor.map_or(place.clone(), |floor| format!("{place}, noise floor {}", crate::gates::number(floor)))
}

fn unspoken(unspoken: &[String]) -> Check {
    let check = Check::at_most("unspoken", unspoken.len() as f64, 0.0, "sentences");
    match unspoken.first() {
        Some(first) => check.with_detail(first),
        None => check,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fidelity::metric::Aggregate;

    fn fidelity() -> Fidelity {
        let aggregate = |mean, worst| Aggregate { mean, worst, worst_id: "held-07".to_owned(), count: 3 };
        let metrics = [
            ("lsd_db", Beside { found: aggregate(0.4, 0.9), floor: Some(aggregate(0.001, 0.002)) }),
            ("snr_db", Beside { found: aggregate(29.0, 21.0), floor: None }),
            ("dc", Beside { found: aggregate(0.001, 0.02), floor: None }),
        ];
        let metrics = metrics.map(|(name, beside)| (name.to_owned(), beside)).into();
        Fidelity { metrics, ..Fidelity::default() }
    }

    fn failures(limits: &str, fidelity: &Fidelity) -> Vec<String> {
        fidelity_gate(fidelity, &toml::from_str(limits).unwrap()).failures("x")
    }

    #[test]
    fn mean_and_worst_are_held_against_the_good_side() {
        let kept =
            "lsd_db = { mean = 0.4, worst = 0.9 }\nsnr_db = { mean = 29, worst = 21 }\ndc = { worst = 0.02 }";
        assert_eq!(failures(kept, &fidelity()), [""; 0]);
        let missed = "lsd_db = { mean = 0.5, worst = 0.8 }\nsnr_db = { mean = 30, worst = 20 }\ndc = { mean = 0.0005 }";
        assert_eq!(
            failures(missed, &fidelity()),
            [
                "fidelity gate, `x`: `lsd_db.worst` is 0.9 dB, expected at most 0.8 dB, missed by 0.1 dB (12.5 %): \
                 sentence `held-07`, noise floor 0.002",
                "fidelity gate, `x`: `snr_db.mean` is 29 dB, expected at least 30 dB, missed by 1 dB (3.333 %): \
                 3 sentences",
                "fidelity gate, `x`: `dc.mean` is 0.001, expected at most 0.0005, missed by 0.0005 (100 %): \
                 3 sentences",
            ]
        );
    }

    #[test]
    fn what_was_not_measured_or_not_said_fails() {
        let silent = Fidelity { unspoken: vec!["sentence `held-01`: boom".to_owned()], ..fidelity() };
        let lines = failures("mcd_db = { mean = 1.0 }", &silent);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("`unspoken` is 1 sentences") && lines[0].ends_with("boom"), "{lines:?}");
        assert!(lines[1].contains("`mcd_db.mean`") && lines[1].ends_with("no sentence has it"), "{lines:?}");
    }

    /// More is better, so a limit is how far below the base a rating may be.
    #[test]
    fn a_rating_below_the_base_is_limited_by_a_negative_number() {
        let aggregate = |mean, worst| Aggregate { mean, worst, worst_id: "held-07".to_owned(), count: 3 };
        let beside = Beside { found: aggregate(-0.03, -0.2), floor: Some(aggregate(0.0, -0.01)) };
        let rated = Fidelity { metrics: [("dnsmos_ovrl".to_owned(), beside)].into(), ..Fidelity::default() };
        assert_eq!(failures("dnsmos_ovrl = { mean = -0.05, worst = -0.25 }", &rated), [""; 0]);
        assert_eq!(
            failures("dnsmos_ovrl = { mean = -0.03, worst = -0.1 }", &rated),
            [
                "fidelity gate, `x`: `dnsmos_ovrl.worst` is -0.2 MOS, expected at least -0.1 MOS, missed by 0.1 MOS \
              (100 %): sentence `held-07`, noise floor -0.01"
            ]
        );
    }

    #[test]
    fn no_two_metrics_share_a_name() {
        let names: std::collections::BTreeSet<_> = metrics().map(|metric| metric.name).collect();
        assert_eq!(names.len(), metrics().count());
    }
}
