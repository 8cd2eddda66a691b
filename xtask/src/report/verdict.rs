//! The verdict: what was chosen, why, the numbers that matter, and what was refused.

use maud::{Markup, html};

use super::Told;
use super::models::{Model, Models};
use super::text::{NOTHING, fixed, percent};
use crate::results::Results;

/// How many lines of a refusal stand at the top; the table of gates has all of them.
const LINES: usize = 4;

pub(super) fn verdict(results: &Results, models: &Models<'_>, told: Told<'_>) -> Markup {
    html! {
        p.kicker { "Quantization report · " (results.base.name) }
        @match models.chosen() {
            Some(chosen) => {
                h1 { span.accent { (chosen.name) } " is the chosen model" }
                p.why { (why(chosen, models.base())) }
                dl.numbers { (numbers(chosen, models.base(), told)) }
            }
            None => {
                h1 { "No candidate is chosen" }
                p.why { (without(models)) }
            }
        }
        (refusals(models))
    }
}

/// One sentence: what it gains, and by which right it was chosen.
fn why(chosen: &Model<'_>, base: &Model<'_>) -> String {
    let reports: Vec<_> = chosen.gates.iter().flat_map(|gates| gates.reports()).collect();
    let names: Vec<String> = reports.iter().map(|report| report.gate.to_string()).collect();
    let right = if reports.is_empty() {
        "no gate was run".to_owned()
    } else if reports.iter().all(|report| report.pass) {
        format!(
            "first in the recipe's order of preference to pass every gate that was run ({})",
            names.join(", ")
        )
    } else {
        "it stays chosen from an earlier run, for a gate refused it since".to_owned()
    };
    format!("{} MiB in place of {} MiB; {right}.", fixed(chosen.mib(), 1), fixed(base.mib(), 1))
}

fn without(models: &Models<'_>) -> &'static str {
    let refused = models.others().any(|model| !failures(model).is_empty());
    if refused {
        "Gates refused what was made; what was chosen before, if anything, stays in its place."
    } else {
        "A model is chosen only by a run of all required gates, which this one was not."
    }
}

fn numbers(chosen: &Model<'_>, base: &Model<'_>, told: Told<'_>) -> Markup {
    let speed = chosen.speed_ratio.map(|ratio| {
        let confidence = fixed(100.0 * ratio.confidence, 0);
        let interval = format!("{} to {} at {confidence} %", fixed(ratio.low, 2), fixed(ratio.high, 2));
        (format!("{} ×", fixed(ratio.median, 2)), format!("the base's speed; {interval}"))
    });
    let lsd = chosen.mean("lsd_db").zip(chosen.worst("lsd_db"));
    let lsd = lsd.map(|(mean, worst)| {
        (format!("{} dB", fixed(mean, 2)), format!("forced log-spectral distance; worst {}", fixed(worst, 2)))
    });
    let exact = chosen.mean("durations_exact").map(|share| {
        let sentences = chosen.fidelity.map_or(0, |fidelity| fidelity.sentences.len());
        (percent(share), format!("of {sentences} held-out sentences with exact durations"))
    });
    html! {
        (big((format!("{} MiB", fixed(chosen.mib(), 1)), format!("from {} MiB", fixed(base.mib(), 1)))))
        (big((format!("{} ×", fixed(base.mib() / chosen.mib(), 2)), "smaller than the base".to_owned())))
        @if !told.is_release() { (big(speed.unwrap_or_else(|| missing("speed ratio")))) }
        (big(lsd.unwrap_or_else(|| missing("forced log-spectral distance"))))
        (big(exact.unwrap_or_else(|| missing("exact durations"))))
    }
}

fn missing(what: &str) -> (String, String) {
    (NOTHING.to_owned(), format!("{what}: not measured in this run"))
}

fn big((value, label): (String, String)) -> Markup {
    html! { div { dd { (value) } dt { (label) } } }
}

fn failures(model: &Model<'_>) -> Vec<String> {
    let reports = model.gates.iter().flat_map(|gates| gates.reports());
    reports.flat_map(|report| report.failures(model.name)).collect()
}

fn refusals(models: &Models<'_>) -> Markup {
    html! {
        @for model in models.others() {
            @let lines = failures(model);
            @if !lines.is_empty() {
                div.refused role="note" {
                    p { strong { "Refused: " (model.name) } }
                    ul {
                        @for line in lines.iter().take(LINES) { li { (line.replace('`', "")) } }
                        @if lines.len() > LINES {
                            li { a href="#gates" { "and " (lines.len() - LINES) " more" } }
                        }
                    }
                }
            }
        }
    }
}
