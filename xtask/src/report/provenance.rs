//! What was measured where, so that somebody else can tell whether it holds for them.

use maud::{Markup, html};

use super::Told;
use super::text::{count, scrolling, section as make};
use crate::results::{Contestant, Results};

/// What was measured here, and what the committed proof says: the first thing to know of any number below.
pub(super) fn evidence(results: &Results, told: Told<'_>) -> Markup {
    let proved = results.proved();
    let of_all = proved.iter().map(|(_, schemes)| schemes.len()).sum::<usize>() == results.candidates.len();
    html! {
        p.note role="note" id="evidence" {
            @if results.full && !told.is_release() {
                strong { "All of it was measured here" } ", on " (results.host) "."
            } @else if !results.full {
                @if !told.is_release() {
                    strong { "Measured here" } ", on " (results.host) ": speech" @if results.benchmark.is_some() { " and speed" }
                    @if !of_all && results.fidelity_threads.is_some() { ", fidelity on the quick sentences" } ". "
                }
                @for (measured_on, schemes) in &proved {
                    strong { "Proved" } ", and not measured again: operators and fidelity of " (schemes.join(", ")) ", on "
                    (measured_on) ", whose artifacts had these digests. "
                }
                @if !told.is_release() { code { "cargo xtask quantize --full" } " measures everything." }
            }
        }
    }
}

pub(super) fn section(results: &Results, told: Told<'_>) -> Markup {
    let host = &results.host;
    let features = |has: bool| {
        let names: Vec<&str> =
            host.cpu_features.iter().filter(|(_, it)| **it == has).map(|(name, _)| name.as_str()).collect();
        if names.is_empty() { "none of those asked for".to_owned() } else { names.join(", ") }
    };
    let lead = html! {
        @if told.is_release() {
            "Sizes hold anywhere; predictions and sound may differ in their last digits between processors."
        } @else {
            "Sizes and predictions hold anywhere; timings hold for this machine."
        }
    };
    let facts = html! {
        table.facts {
            tbody {
                @if !told.is_release() {
                    tr { th { "Machine" } td { (host.os) " " (host.arch) ", " (host.cpu) ", " (host.cores) " threads" } }
                    tr { th { "Instruction sets" } td { (features(true)) span.quiet { " · without " (features(false)) } } }
                }
                tr {
                    th { "ONNX Runtime" }
                    td {
                        (results.runtime.version) @if !told.is_release() { ", " (results.runtime.origin) } br;
                        code { (results.runtime.sha256) }
                    }
                }
                @if let Some(setting) = &results.benchmark {
                    tr {
                        th { "Benchmark" }
                        td {
                            (setting.threads) " threads for each model, " (setting.warm_up) " warm-up and "
                            (setting.rounds) " timed rounds"
                        }
                    }
                }
                tr { th { "Corpus" } td { code { (results.corpus_sha256) } } }
                tr { th { "Recipe" } td { code { (results.recipe_sha256) } } }
                (file("Base", &results.base.name, results.base.bytes, &results.base.sha256.to_string()))
                @for (scheme, candidate) in &results.candidates {
                    (file(scheme, &candidate.file, candidate.bytes, &candidate.sha256.to_string()))
                }
                @for (name, contestant) in &results.contestants {
                    @if let Contestant::Measured(result) = contestant {
                        (file(name, &result.file, result.bytes, &result.sha256.to_string()))
                    }
                }
            }
        }
    };
    make("measured", "What was measured where", &lead, &scrolling("What was measured where", &facts))
}

fn file(what: &str, name: &str, bytes: u64, sha256: &str) -> Markup {
    html! {
        tr { th { (what) } td { (name) ", " (count(bytes as usize)) " bytes" br; code { (sha256) } } }
    }
}
