//! One row for each model: what it costs and what it gives.

use maud::{Markup, html};

use super::models::{Model, Models, Role};
use super::text::{NOTHING, count, fixed, name, percent, scrolling, section as make};
use crate::results::{Contestant, Results};

pub(super) fn section(results: &Results, models: &Models<'_>) -> Markup {
    let lead = html! {
        "The base is what every number is relative to. A contestant is a quantization by others, measured alike and \
         judged by nothing."
    };
    let table = html! {
        table {
            thead {
                tr {
                    th { "Model" }
                    th.n { "MiB" } th.n { "smaller" } th.n { "nodes" } th.n { "P50 ms" }
                    th.n { "RTF" } th.n { "speed" } th.n { "LSD dB" } th.n { "F0 cents" }
                    th.n { "exact durations" }
                    th { "gates" }
                }
            }
            tbody { @for model in models.iter() { (row(model, models.base())) } }
        }
    };
    let notes = results.contestants.iter().map(|(name, contestant)| notes(name, contestant));
    let content = html! {
        (scrolling("Table of models", &table))
        @for note in notes { (note) }
    };
    make("models", "Models", &lead, &content)
}

fn row(model: &Model<'_>, base: &Model<'_>) -> Markup {
    let role = match model.role {
        Role::Base => "base",
        Role::Chosen => "chosen",
        Role::Candidate => "candidate",
        Role::Contestant => "contestant",
    };
    let measured = |value: Option<f64>, decimals| value.map_or(NOTHING.to_owned(), |it| fixed(it, decimals));
    let smaller = (model.role != Role::Base).then(|| percent(1.0 - model.bytes as f64 / base.bytes as f64));
    let speed = model.speed_ratio.map(|ratio| format!("{} ×", fixed(ratio.median, 3)));
    html! {
        tr.is-chosen[model.role == Role::Chosen] {
            th scope="row" { (name(model)) div.role { (role) } }
            td.n { (fixed(model.mib(), 2)) }
            td.n { (smaller.unwrap_or_default()) }
            td.n { (count(model.nodes())) }
            td.n { (measured(model.measured.map(|it| it.summary.p50_ms), 0)) }
            td.n { (measured(model.measured.map(|it| it.rtf), 3)) }
            td.n { @if model.role == Role::Base { "1" } @else { (speed.unwrap_or(NOTHING.to_owned())) } }
            td.n { (measured(model.mean("lsd_db"), 3)) }
            td.n { (measured(model.mean("f0_mean_cents"), 2)) }
            td.n { (model.mean("durations_exact").map_or(NOTHING.to_owned(), percent)) }
            td { (verdicts(model)) }
        }
    }
}

fn verdicts(model: &Model<'_>) -> Markup {
    let reports: Vec<_> = model.gates.iter().flat_map(|gates| gates.reports()).collect();
    let failed: Vec<String> =
        reports.iter().filter(|it| !it.pass).map(|report| report.gate.to_string()).collect();
    html! {
        @if reports.is_empty() { span.quiet { "not judged" } }
        @else if failed.is_empty() { span.pass { "passed " (reports.len()) } }
        @else { span.fail { "refused by " (failed.join(", ")) } }
    }
}

fn notes(name: &str, contestant: &Contestant) -> Markup {
    let lines = match contestant {
        Contestant::Measured(result) => result.notes.clone(),
        Contestant::Unavailable(why) => vec![why.reason.clone()],
    };
    html! {
        @for line in lines { p.note { strong { (name) } " could not be measured in full: " (line.replace('`', "")) } }
    }
}
