//! The chosen plan on sentences that nothing was fitted to, beside its base.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use quantizer::model;

use super::Tuning;
use super::pareto::Judged;
use crate::failure::Failure;
use crate::fidelity::{Fidelity, Ruler, fidelity_gate};
use crate::gates::{Comparison, Report, Rounds, Subject, Timing, Utterance, compare};
use crate::plan::Plan;
use crate::scheme::SchemeName;

/// What a plan is on held-out sentences.
#[derive(Debug)]
pub struct Verdict {
    /// In short.
    pub judged: Judged,
    /// How far it is from the base.
    pub fidelity: Fidelity,
    /// That, held against the limits of the recipe, but for those of ratings.
    pub report: Report,
    /// How fast it is beside the base.
    pub comparison: Comparison,
}

/// Makes what `static-int8` is by `plan`, and measures it: its sound on `held_out` sentences, its speed on `bench`.
///
/// # Errors
/// [`Failure::Model`] for a model that cannot be made or does not speak; those of measuring.
pub fn judge(
    tuning: &Tuning<'_>,
    plan: &Plan,
    held_out: Vec<Utterance>,
    bench: &[Utterance],
) -> Result<Verdict> {
    let Tuning { recipe, base, runtime, artifacts, progress, .. } = *tuning;
    let scheme = SchemeName::StaticInt8;
    let mut made = base.decode()?;
    quantizer::schemes::quantize(&mut made, &*scheme.build(recipe, Some(plan))?).context(Failure::Model)?;
    let mut bytes = Vec::new();
    model::encode(&made, &mut bytes)?;
    drop(made);
    let (base, subject) = (Subject::of_base(base)?, Subject::new(scheme.as_str(), bytes.into(), None)?);

    let ruler = Ruler::new(tuning.setting(), &base, held_out, &artifacts.fidelity())?;
    let fidelity = ruler.measure(&subject, |_| false, &artifacts.audio())?;
    let mut limits = scheme.thresholds(recipe).fidelity.clone();
    limits.retain(|metric, _| !metric.starts_with("dnsmos"));
    let report = fidelity_gate(&fidelity, &limits);

    let rounds = Rounds::of(&recipe.gates.bench, true);
    let timing = Timing { sentences: bench, rounds, least: &BTreeMap::new(), once: &[] };
    let comparison = compare(runtime, &[&base, &subject], timing, progress)?;
    let speed = comparison.model(&subject.name).and_then(|model| model.speed_ratio);
    let metric = |name: &str| {
        let beside = fidelity.metrics.get(name);
        beside.map(|beside| &beside.found).with_context(|| format!("`{name}` was not measured"))
    };
    let (lsd, snr) = (metric("lsd_db")?, metric("snr_db")?);
    let judged = Judged {
        sentences: fidelity.sentences.len(),
        lsd_mean: lsd.mean,
        lsd_worst: lsd.worst,
        lsd_worst_id: lsd.worst_id.clone(),
        snr_mean: snr.mean,
        speed: speed.context("the plan was not timed")?,
        mib: subject.mib(),
    };
    Ok(Verdict { judged, fidelity, report, comparison })
}
