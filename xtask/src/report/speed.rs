//! Every timed call as a dot, and how many times as fast as the base each model is.

use maud::{Markup, html};

use super::models::{Model, Models, Role};
use super::scale::{Scale, range};
use super::text::{figure, fixed, name, section as make};
use crate::results::Results;

const WIDTH: f64 = 1000.0;
/// Room for names on the left and for the last tick on the right.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 30.0;
/// Room for the values of ratios.
const VALUES: f64 = 190.0;
const ROW: f64 = 16.0;
const GAP: f64 = 18.0;
const TICKS: usize = 6;

pub(super) fn section(results: &Results, models: &Models<'_>) -> Markup {
    let lead = html! {
        @if let Some(setting) = &results.benchmark {
            "Base and others one call after another, in an order that changes, on sentences of the corpus: "
            (setting.rounds) " rounds after " (setting.warm_up) " that do not count, " (setting.threads) " threads."
        } @else {
            "The bench gate was not run."
        }
    };
    let content = html! {
        p.legend { @for model in models.iter() { (name(model)) } }
        @if let Some(drawing) = ratios(models) {
            (figure("Speed ratios", &drawing, &html! {
                "Times as fast as the base: median of the pairs of one sentence and one round, with the confidence \
                 interval of the median. Right of the line is faster."
            }))
        }
        @if let Some(drawing) = calls(models) {
            (figure("All timed calls", &drawing, &html! {
                "Every timed call as a dot, milliseconds, by sentence; the bar is the median. Left is faster."
            }))
        }
    };
    make("speed", "Speed", &lead, &content)
}

/// The interval of each model's ratio around the line of the base.
fn ratios(models: &Models<'_>) -> Option<Markup> {
    let rows: Vec<_> = models.others().filter_map(|model| Some((model, model.speed_ratio?))).collect();
    let ends = rows.iter().flat_map(|(_, ratio)| [ratio.low, ratio.high]).chain([1.0]);
    let ends = range(ends, 0.08).filter(|_| !rows.is_empty())?;
    let scale = Scale::new(ends, [LEFT, WIDTH - VALUES]);
    let height = 34.0 * rows.len() as f64 + 40.0;
    Some(html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) role="img"
            aria-label="Speed ratio of each model with its confidence interval" {
            (axis(&scale, height - 30.0, "×"))
            line.one x1=(at(scale.place(1.0))) x2=(at(scale.place(1.0))) y1="4" y2=(height - 30.0) {}
            @for (index, (model, ratio)) in rows.iter().enumerate() {
                @let y = 24.0 + 34.0 * index as f64;
                text.label x=(LEFT - 14.0) y=(y + 4.0) { (model.name) }
                g class=(model.role.class()) {
                    line.interval x1=(at(scale.place(ratio.low))) x2=(at(scale.place(ratio.high))) y1=(y) y2=(y) {}
                    circle.mark cx=(at(scale.place(ratio.median))) cy=(y) r="5.5" {
                        title {
                            (model.name) ": " (fixed(ratio.median, 3)) " ×, " (fixed(ratio.low, 3)) " to "
                            (fixed(ratio.high, 3)) ", " (ratio.count) " pairs"
                        }
                    }
                }
                text.value x=(WIDTH - RIGHT) y=(y + 4.0) {
                    (fixed(ratio.median, 3)) " × (" (fixed(ratio.low, 3)) "–" (fixed(ratio.high, 3)) ")"
                }
            }
        }
    })
}

/// One band for each sentence, one row in it for each model, one dot for each call.
fn calls(models: &Models<'_>) -> Option<Markup> {
    let timed: Vec<(&Model<'_>, _)> =
        models.iter().filter_map(|model| Some((model, model.measured?))).collect();
    let all =
        timed.iter().flat_map(|(_, measured)| &measured.sentences).flat_map(|it| it.times_ms.iter().copied());
    let scale = Scale::new(range(all, 0.04)?, [LEFT, WIDTH - RIGHT]);
    let ids: Vec<&str> = timed.first()?.1.sentences.iter().map(|it| it.id.as_str()).collect();
    let band = ROW * timed.len() as f64 + GAP;
    let height = band * ids.len() as f64 + 44.0;
    let bottom = height - 32.0;
    Some(html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) role="img"
            aria-label="Milliseconds of every timed call, by sentence and model" {
            (axis(&scale, bottom, "ms"))
            @for (place, id) in ids.iter().enumerate() {
                @let top = band * place as f64;
                line.rule x1="0" x2=(WIDTH - RIGHT) y1=(top + 1.0) y2=(top + 1.0) {}
                text.band x="0" y=(top + 22.0) { (id) }
                @for (row, (model, measured)) in timed.iter().enumerate() {
                    @let y = top + GAP + ROW * row as f64;
                    text.small x=(LEFT - 14.0) y=(y + 3.5) { (short(model)) }
                    @if let Some(sentence) = measured.sentences.iter().find(|it| it.id == *id) {
                        g class=(model.role.class()) {
                            @for time in &sentence.times_ms {
                                circle.dot cx=(at(scale.place(*time))) cy=(y) r="3.2" {
                                    title { (model.name) ", " (id) ": " (fixed(*time, 1)) " ms" }
                                }
                            }
                            @let median = at(scale.place(sentence.p50_ms));
                            line.median x1=(median) x2=(median) y1=(y - 6.0) y2=(y + 6.0) {}
                        }
                    }
                }
            }
        }
    })
}

/// The name of a model where there is little room.
fn short<'a>(model: &Model<'a>) -> &'a str {
    if model.role == Role::Base { "base" } else { model.name }
}

/// A horizontal axis below a drawing, with lines through it.
fn axis(scale: &Scale, bottom: f64, unit: &str) -> Markup {
    let decimals = scale.decimals(TICKS);
    html! {
        @for tick in scale.ticks(TICKS) {
            @let x = at(scale.place(tick));
            line.grid x1=(x) x2=(x) y1="0" y2=(bottom) {}
            text.tick x=(x) y=(bottom + 20.0) { (fixed(tick, decimals)) " " (unit) }
        }
    }
}

/// A place in a drawing, to a tenth of a pixel.
pub(super) fn at(place: f64) -> String {
    format!("{place:.1}")
}
