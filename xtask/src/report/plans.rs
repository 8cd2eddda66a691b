//! The plans that `tune` found between the fastest and the most faithful.

use maud::{Markup, html};

use super::scale::{Scale, range};
use super::speed::at;
use super::text::{figure, fixed, scrolling, section as make};
use crate::tune::{Judged, Pareto, ParetoPlan};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 970.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 340.0;
const TICKS: usize = 6;

pub(super) fn section(pareto: Option<&Pareto>) -> Markup {
    let lead = html! {
        "Which convolutions compute in INT8 is a choice. These are the plans that " code { "cargo xtask tune" }
        " tried and that no other one beats in both speed and sound."
    };
    let content = match pareto {
        Some(pareto) if !pareto.plans.is_empty() => found(pareto),
        _ => html! { p.note { "No plan of this base was searched for." } },
    };
    make("plans", "Plans of static-int8", &lead, &content)
}

fn found(pareto: &Pareto) -> Markup {
    html! {
        (figure("Predicted speed against log-spectral distance of each plan", &drawing(pareto), &html! {
            "Across: times as fast as the base, predicted from profiles. Up: mean log-spectral distance of "
            (pareto.sentences) " calibration sentences with the base's prosody forced, nearer to 0 is closer. The line \
             joins plans that no other one beats; the filled mark is the chosen one."
        }))
        (scrolling("Plans", &table(&pareto.plans)))
        @if let Some(judged) = &pareto.judged { (verdict(judged)) }
    }
}

fn drawing(pareto: &Pareto) -> Markup {
    let plans = &pareto.plans;
    let speeds = range(plans.iter().map(|plan| plan.predicted_speed), 0.08).unwrap_or([0.5, 1.5]);
    let limit = pareto.limits.lsd_mean;
    let distances = plans.iter().map(|plan| plan.lsd_mean).chain(limit).chain([0.0]);
    let [_, worst] = range(distances, 0.08).unwrap_or([0.0, 1.0]);
    let across = Scale::new(speeds, [LEFT, RIGHT]);
    let up = Scale::new([0.0, worst.max(0.1)], [TOP, BOTTOM]);
    let place = |plan: &ParetoPlan| (at(across.place(plan.predicted_speed)), at(up.place(plan.lsd_mean)));
    let line: Vec<String> = plans.iter().map(place).map(|(x, y)| format!("{x},{y}")).collect();
    html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) role="img"
            aria-label="Predicted speed ratio of each plan against its log-spectral distance" {
            @for tick in across.ticks(TICKS) {
                @let x = at(across.place(tick));
                line.grid x1=(x) x2=(x) y1=(TOP) y2=(BOTTOM) {}
                text.tick x=(x) y=(BOTTOM + 20.0) { (fixed(tick, across.decimals(TICKS))) " ×" }
            }
            @for tick in up.ticks(TICKS) {
                @let y = up.place(tick);
                line.grid x1=(LEFT) x2=(RIGHT) y1=(at(y)) y2=(at(y)) {}
                text.label x=(LEFT - 10.0) y=(at(y + 4.0)) { (fixed(tick, up.decimals(TICKS))) }
            }
            text.axis x=(LEFT) y=(BOTTOM + 46.0) { "predicted speed ratio →" }
            text.axis transform={ "translate(16 " (BOTTOM) ") rotate(-90)" } { "closer to the base: LSD in dB →" }
            @if let Some(limit) = limit {
                @let y = at(up.place(limit));
                line.one x1=(LEFT) x2=(RIGHT) y1=(y) y2=(y) { title { "limit of the search: " (fixed(limit, 2)) " dB" } }
            }
            polyline.leader points=(line.join(" ")) {}
            @for plan in plans {
                @let (x, y) = place(plan);
                g class=(if plan.chosen { "chosen" } else { "candidate" }) {
                    circle.mark cx=(x) cy=(y) r=(if plan.chosen { 8.0 } else { 5.5 }) {
                        title {
                            (plan.convolutions.len()) " in INT8: " (fixed(plan.predicted_speed, 3)) " ×, "
                            (fixed(plan.lsd_mean, 2)) " dB"
                        }
                    }
                }
            }
        }
    }
}

fn table(plans: &[ParetoPlan]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th.n { "convolutions in INT8" }
                    th.n { "predicted speed" }
                    th.n { "LSD, dB" }
                    th.n { "worst" }
                    th.n { "SNR, dB" }
                    th.n { "worst" }
                    th { "" }
                }
            }
            tbody {
                @for plan in plans {
                    tr.is-chosen[plan.chosen] {
                        td.n { (plan.convolutions.len()) }
                        td.n { (fixed(plan.predicted_speed, 3)) " ×" }
                        @for value in [plan.lsd_mean, plan.lsd_worst, plan.snr_mean, plan.snr_worst] {
                            td.n { (fixed(value, 2)) }
                        }
                        td { @if plan.chosen { "chosen" } }
                    }
                }
            }
        }
    }
}

fn verdict(judged: &Judged) -> Markup {
    let speed = &judged.speed;
    html! {
        p {
            "On " (judged.sentences) " held-out sentences the chosen plan is " (fixed(judged.lsd_mean, 2))
            " dB from the base, in the worst one " (fixed(judged.lsd_worst, 2)) " dB (" code { (judged.lsd_worst_id) }
            "); beside the base it is " (fixed(speed.median, 3)) " × as fast (" (fixed(speed.low, 3)) "–"
            (fixed(speed.high, 3)) "), and " (fixed(judged.mib, 1)) " MiB."
        }
    }
}
