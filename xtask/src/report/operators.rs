//! Which operators each model has, before and after.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::models::{Models, Role};
use super::text::{count, name, scrolling, section as make};

pub(super) fn section(models: &Models<'_>) -> Markup {
    let all: BTreeSet<&str> = models.iter().flat_map(|model| model.operators.keys().copied()).collect();
    let counts = |operator: &str| -> Vec<usize> {
        models.iter().map(|model| model.operators.get(operator).copied().unwrap_or(0)).collect()
    };
    let rows: Vec<(&str, Vec<usize>)> =
        all.into_iter().map(|operator| (operator, counts(operator))).collect();
    let (same, changed): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(_, counts)| counts.iter().all(|count| *count == counts[0]));
    let lead =
        html! { "Nodes per operator in the file. What the runtime makes of them at load is its own affair." };
    let content = html! {
        (scrolling("Operators that differ", &table(models, &changed)))
        @if !same.is_empty() {
            details {
                summary { (same.len()) " operators that all models have as often as the base" }
                (scrolling("Operators that do not differ", &table(models, &same)))
            }
        }
    };
    make("operators", "Operators before and after", &lead, &content)
}

fn table(models: &Models<'_>, rows: &[(&str, Vec<usize>)]) -> Markup {
    html! {
        table {
            thead { tr { th { "Operator" } @for model in models.iter() { th.n { (name(model)) } } } }
            tbody {
                @for (operator, counts) in rows {
                    tr {
                        th scope="row" { code { (operator) } }
                        @for (model, found) in models.iter().zip(counts) {
                            td.n.quiet[*found == counts[0] && model.role != Role::Base] { (count(*found)) }
                        }
                    }
                }
                tr.total {
                    th scope="row" { "all nodes" }
                    @for model in models.iter() { td.n { (count(model.nodes())) } }
                }
            }
        }
    }
}
