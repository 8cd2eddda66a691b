//! How far each model is from the base: every metric, mean and worst sentence, beside the noise floor.

use maud::{Markup, html};

use super::models::{Model, Models};
use super::text::{NOTHING, name, number, scrolling, section as make};
use crate::fidelity::metrics;

/// A metric that some model has.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) unit: &'static str,
}

/// The metrics that the models have, in the order of the gate; what this program does not know comes last.
pub(super) fn named(models: &Models<'_>) -> Vec<Named> {
    let has = |name: &str| models.others().any(|model| model.mean(name).is_some());
    let known = metrics().filter(|metric| has(metric.name));
    let mut named: Vec<_> = known.map(|it| Named { name: it.name.to_owned(), unit: it.unit }).collect();
    for name in models.others().filter_map(|model| model.fidelity).flat_map(|it| it.metrics.keys()) {
        if named.iter().all(|metric| metric.name != *name) {
            named.push(Named { name: name.clone(), unit: "" });
        }
    }
    named
}

pub(super) fn section(models: &Models<'_>) -> Markup {
    let lead = html! {
        "Prosody is what a model predicts: durations, pitch, energy. Sound is what it makes of the base's own \
         prosody, forced upon it. The noise floor is the same measured of an exact rewrite of the base."
    };
    let measured: Vec<&Model<'_>> = models.others().filter(|model| model.fidelity.is_some()).collect();
    let content = if measured.is_empty() {
        html! { p.note { "The fidelity gate was not run." } }
    } else {
        html! {
            (scrolling("All metrics of fidelity", &table(models, &measured)))
            @for model in &measured { (unspoken(model)) }
        }
    };
    make("fidelity", "Fidelity", &lead, &content)
}

fn table(models: &Models<'_>, measured: &[&Model<'_>]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th rowspan="2" { "Metric" } th rowspan="2" { "unit" } th.n rowspan="2" { "noise floor" }
                    @for model in measured { th.n colspan="2" { (name(model)) } }
                }
                tr { @for _ in measured { th.n { "mean" } th.n { "worst" } } }
            }
            tbody {
                @for metric in named(models) {
                    @let floor = measured.iter().find_map(|model| floor(model, &metric.name));
                    tr {
                        th scope="row" { a href={ "#metric-" (metric.name) } { (metric.name) } }
                        td.quiet { (metric.unit) }
                        td.n.quiet { (number(floor)) }
                        @for model in measured { (cells(model, &metric.name)) }
                    }
                }
            }
        }
    }
}

fn cells(model: &Model<'_>, metric: &str) -> Markup {
    let found = model.fidelity.and_then(|it| it.metrics.get(metric)).map(|beside| &beside.found);
    html! {
        @match found {
            Some(found) => {
                td.n { (number(Some(found.mean))) }
                td.n title=(found.worst_id) { (number(Some(found.worst))) }
            }
            None => { td.n { (NOTHING) } td.n { (NOTHING) } }
        }
    }
}

fn floor(model: &Model<'_>, metric: &str) -> Option<f64> {
    Some(model.fidelity?.metrics.get(metric)?.floor.as_ref()?.mean)
}

fn unspoken(model: &Model<'_>) -> Markup {
    let lines = model.fidelity.map_or(&[][..], |fidelity| &fidelity.unspoken);
    html! {
        @for line in lines { p.note { strong { (model.name) } ", not said: " (line.replace('`', "")) } }
    }
}
