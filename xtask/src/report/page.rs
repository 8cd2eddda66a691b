//! The whole page: its head, the order of its sections, its foot.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::models::Models;
use super::sound::Recordings;
use super::{
    Told, candidates, fidelity, gates, glossary, operators, picture, provenance, providers, sentences, size,
    speed, verdict,
};
use crate::results::Results;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("player.js");

/// Nothing is loaded from anywhere; what is inside the page may be shown and played.
const POLICY: &str = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; \
                      script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The sections that a page of a release has not: what they show depends on the machine.
const TIMED: [&str; 3] = ["speed", "providers", "trade"];

/// The sections by the name they are linked with.
const CONTENTS: [(&str, &str); 10] = [
    ("models", "Models"),
    ("size", "Size"),
    ("speed", "Speed"),
    ("providers", "Providers"),
    ("trade", "Trade"),
    ("fidelity", "Fidelity"),
    ("listen", "Listen"),
    ("operators", "Operators"),
    ("gates", "Gates"),
    ("measured", "Measured where"),
];

pub(super) fn page(
    results: &Results,
    models: &Models<'_>,
    told: Told<'_>,
    recordings: &Recordings,
) -> Markup {
    let title = match &results.chosen {
        Some(chosen) => format!("{chosen} of {}: quantization report", results.base.name),
        None => format!("{}: quantization report", results.base.name),
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Else a browser asks the server for one.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { (notice(told)) (verdict::verdict(results, models, told)) (provenance::evidence(results, told)) }
                nav aria-label="Sections" {
                    @for (id, heading) in CONTENTS.iter().filter(|it| !told.is_release() || !TIMED.contains(&it.0)) { a href={ "#" (id) } { (heading) } }
                }
                main {
                    (candidates::section(results, models))
                    (size::section(models))
                    @if !told.is_release() {
                        (speed::section(results, models))
                        (providers::section(results, models))
                        (picture::section(models))
                    }
                    (fidelity::section(models))
                    (sentences::section(results, models, recordings))
                    (operators::section(models))
                    (gates::section(models))
                    (provenance::section(results, told))
                    (glossary::section(models))
                }
                footer { (foot(told)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// What stands above all else on the page of a release.
fn notice(told: Told<'_>) -> Markup {
    let Told::Release { unofficial } = told else { return html! {} };
    html! {
        @if let Some(why) = unofficial {
            div.refused role="note" { p { strong { "Unofficial. " } (why) } }
        }
        p.note {
            "This page belongs to a release. What was timed and what tells of the machine was taken out, so that the page \
             is the same wherever it is made of the same results; a dash stands in its place. The chosen \
             model passed the bench gate too, whose numbers are of one machine."
        }
    }
}

fn foot(told: Told<'_>) -> Markup {
    match told {
        Told::Everything => html! {
            "Made by " code { "cargo xtask report" } " from "
            code { "quantization_comparison_results.json" } " and the WAV files in " code { "audio/" }
            "; nothing on this page is from elsewhere."
        },
        Told::Release { .. } => html! {
            "Made by " code { "cargo xtask package" } " from what " code { "cargo xtask quantize" }
            " found; nothing on this page is from elsewhere."
        },
    }
}
