//! Execution provider × model: whether it speaks there, as near to the base on the CPU, and how fast; or why not.

use kokoro_model::Evidence;
use maud::{Markup, html};

use super::models::{Model, Models, Role};
use super::text::{NOTHING, count, fixed, scrolling, section as make};
use crate::choice::Choice;
use crate::gates::{ExecutionProvider, Report};
use crate::results::{ProviderModel, ProviderResult, Results, Taken};

pub(super) fn section(results: &Results, models: &Models<'_>) -> Markup {
    let lead = html! {
        "An execution provider computes the nodes that it has kernels for, the CPU the rest. Everything is held against the base on \
         the CPU. Predictions are not in this table, but in the one below it."
    };
    let table = html! {
        table {
            thead {
                tr {
                    th { "Provider" } th { "Model" } th { "smoke" } th { "fidelity" } th.n { "LSD dB" } th.n { "P50 ms" }
                    th.n { "over its base" } th.n { "over the base on the CPU" }
                }
            }
            @for provider in ExecutionProvider::ALL {
                tbody { (rows(results, models, provider)) }
            }
        }
    };
    let content = html! {
        (chosen(results))
        (scrolling("Table of execution providers", &table))
        @if !results.coreml.is_empty() { (predicted(results, models)) }
    };
    make("providers", "Providers", &lead, &content)
}

/// What is chosen for each provider, and by what right.
fn chosen(results: &Results) -> Markup {
    let right = |evidence| match evidence {
        Evidence::Measured => "measured",
        Evidence::Predicted => "predicted, not measured",
    };
    html! {
        @if !results.chosen_for.is_empty() {
            ul {
                @for (provider, Choice { scheme, evidence }) in &results.chosen_for {
                    li { "For " strong { (provider) } ": " (scheme) " (" (right(*evidence)) ")" }
                }
            }
        }
    }
}

/// What CoreML would take of each model.
fn predicted(results: &Results, models: &Models<'_>) -> Markup {
    let cells = |taken: &Taken| {
        html! {
            td.n { (count(taken.taken)) " of " (count(taken.nodes)) }
            td.n { (fixed(100.0 * taken.share(), 1)) " %" }
            td.n { (taken.partitions) }
        }
    };
    let known = models.iter().filter_map(|model| Some((model.name, results.coreml.get(model.name)?)));
    let table = html! {
        table {
            thead {
                tr {
                    th { "Predicted for CoreML" } th.n { "ML Program" } th.n { "share" } th.n { "partitions" }
                    th.n { "its decoder" } th.n { "share" } th.n { "partitions" }
                    th.n { "NeuralNetwork" } th.n { "share" } th.n { "partitions" }
                }
            }
            tbody {
                @for (name, found) in known {
                    tr {
                        th scope="row" { (name) }
                        (cells(&found.ml_program))
                        @match &found.decoder { Some(decoder) => (cells(decoder)), None => td colspan="3" { (NOTHING) } }
                        (cells(&found.neural_network))
                    }
                }
            }
        }
    };
    html! {
        p { "Nodes that CoreML would take of each graph as the runtime folds it, by the rules of the provider; nobody measured this." }
        (scrolling("Table of what CoreML would take", &table))
    }
}

fn rows(results: &Results, models: &Models<'_>, provider: ExecutionProvider) -> Markup {
    if provider == ExecutionProvider::Cpu {
        let own = models.iter().filter(|model| model.role != Role::Contestant);
        return html! { @for (at, model) in own.enumerate() { (cpu(model, at == 0)) } };
    }
    match results.providers.get(&provider) {
        Some(ProviderResult::Available(gates)) => html! {
            @for (at, (model, found)) in gates.models.iter().enumerate() {
                (row(&provider_cell(at == 0, provider, &gates.setting), model, found))
            }
        },
        Some(ProviderResult::Unavailable(why)) => missing(provider, &why.reason),
        None => missing(provider, provider.without_asking()),
    }
}

fn provider_cell(is_first: bool, provider: ExecutionProvider, setting: &str) -> Markup {
    html! { td { @if is_first { strong { (provider) } div.role { (setting) } } } }
}

fn missing(provider: ExecutionProvider, reason: &str) -> Markup {
    html! { tr { td { strong { (provider) } } td.quiet.where colspan="7" { (reason.replace('`', "")) } } }
}

fn cpu(model: &Model<'_>, is_first: bool) -> Markup {
    let ratio = model.speed_ratio.map(|ratio| format!("{} ×", fixed(ratio.median, 3)));
    html! {
        tr {
            (provider_cell(is_first, ExecutionProvider::Cpu, "CPUExecutionProvider"))
            th scope="row" { (model.name) }
            td { (verdict(model.gates.and_then(|gates| gates.smoke.as_ref()))) }
            td { (verdict(model.gates.and_then(|gates| gates.fidelity.as_ref()))) }
            td.n { (model.mean("lsd_db").map_or(NOTHING.to_owned(), |it| fixed(it, 3))) }
            td.n { (model.measured.map_or(NOTHING.to_owned(), |it| fixed(it.summary.p50_ms, 0))) }
            td.n { (ratio.clone().unwrap_or(NOTHING.to_owned())) }
            td.n { (ratio.unwrap_or(NOTHING.to_owned())) }
        }
    }
}

fn row(provider: &Markup, name: &str, found: &ProviderModel) -> Markup {
    let lsd = found.fidelity.as_ref().and_then(|fidelity| fidelity.metrics.get("lsd_db"));
    let ratio = |ratio: Option<crate::gates::Interval>| {
        ratio.map_or(NOTHING.to_owned(), |ratio| format!("{} ×", fixed(ratio.median, 3)))
    };
    let failures = found.failures(name);
    html! {
        tr.refusal[!failures.is_empty()] {
            (provider)
            th scope="row" { (name) @for line in failures.iter().take(3) { div.role { (line.replace('`', "")) } } }
            td { (verdict(found.gates.smoke.as_ref())) }
            td { (verdict(found.gates.fidelity.as_ref())) }
            td.n { (lsd.map_or(NOTHING.to_owned(), |it| fixed(it.found.mean, 3))) }
            td.n { (found.benchmark.as_ref().map_or(NOTHING.to_owned(), |it| fixed(it.summary.p50_ms, 0))) }
            td.n { (ratio(found.speed_ratio)) }
            td.n { (ratio(found.over_cpu)) }
        }
    }
}

fn verdict(report: Option<&Report>) -> Markup {
    match report {
        Some(report) if report.pass => html! { span.pass { "pass" } },
        Some(_) => html! { span.fail { "fail" } },
        None => html! { span.quiet { (NOTHING) } },
    }
}
