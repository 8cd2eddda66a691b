//! Each sentence as every model says it: players, spectrograms, differences, metrics.

use maud::{Markup, html};
use serde_json::Value;

use super::models::{Model, Models, Role};
use super::sound::{Recording, Recordings, data};
use super::spectrogram::{DEPTH_DB, DIFFERENCE_DB, Spectrogram};
use super::text::{fixed, name, number, section as make};
use crate::fidelity::{SentenceFidelity, metrics};
use crate::results::{Results, SentenceText};

/// What stands beside a player; every `dnsmos_*` there is follows.
const METRICS: [&str; 4] = ["frames_off", "f0_mean_cents", "lsd_db", "snr_db"];

pub(super) fn section(results: &Results, models: &Models<'_>, recordings: &Recordings) -> Markup {
    let lead = html! {
        "Held-out sentences as each model says them of its own accord. Spectrograms: time across, 0 to 12 kHz up, "
        (fixed(f64::from(DEPTH_DB), 0)) " dB deep. Differences: blue is quieter than the base, orange is louder, full \
         colour from " (fixed(f64::from(DIFFERENCE_DB), 0)) " dB on, dark is equal. The numbers are of the same \
         sentence with prosody as predicted (frames, cents) and as forced (LSD, SNR)."
    };
    let content = html! {
        @if results.sentences.is_empty() { p.note { "The models said nothing in this run." } }
        @for sentence in &results.sentences { (article(sentence, models, recordings)) }
    };
    make("listen", "Listen and look", &lead, &content)
}

fn article(sentence: &SentenceText, models: &Models<'_>, recordings: &Recordings) -> Markup {
    let language = language(sentence);
    let base = recordings.get(&sentence.id, models.base().name);
    let base = base.map(|base| (base, Spectrogram::of(&base.samples)));
    html! {
        article.sentence {
            header {
                h3 lang=(language) { (sentence.text) }
                p.quiet {
                    (sentence.id) " · " (sentence.voice) " · " (language)
                    @if sentence.speed != 1.0 { " · speed " (sentence.speed) }
                }
            }
            @for model in models.iter() {
                @let recording = recordings.get(&sentence.id, model.name);
                div.take {
                    div.said {
                        p { (name(model)) }
                        @match recording {
                            Some(recording) => {
                                audio controls preload="metadata" src=(recording.address)
                                    aria-label={ (sentence.id) " by " (model.name) } {}
                            }
                            None => { p.note { "No recording: " code { (model.name) "-" (sentence.id) ".wav" } " is missing." } }
                        }
                        (numbers(model, &sentence.id))
                    }
                    @if let Some(recording) = recording {
                        (pictures(model, sentence, recording, base.as_ref()))
                    }
                }
            }
        }
    }
}

/// The language tag as the corpus has it.
fn language(sentence: &SentenceText) -> String {
    let value = serde_json::to_value(sentence.language);
    value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn pictures(
    model: &Model<'_>,
    sentence: &SentenceText,
    recording: &Recording,
    base: Option<&(&Recording, Spectrogram)>,
) -> Markup {
    let own = Spectrogram::of(&recording.samples);
    let loudest = base.map_or(own.loudest(), |(_, reference)| reference.loudest());
    let is_alike = |base: &Recording| base.samples.len() == recording.samples.len();
    let seconds = recording.seconds();
    let what = |what: &str| format!("{what} of {} by {}", sentence.id, model.name);
    html! {
        (picture(&what("Spectrogram"), own.picture(loudest), seconds))
        @if model.role == Role::Base {
            div.no-difference.quiet { p { "what the others are held against" } }
        } @else if let Some((_, reference)) = base.filter(|(base, _)| is_alike(base)) {
            (picture(&what("Difference"), own.difference(reference, loudest), seconds))
        } @else if let Some((base, _)) = base {
            div.no-difference.quiet {
                p {
                    "Speaks " (fixed((seconds - base.seconds()).abs(), 3)) " s "
                    @if seconds > base.seconds() { "longer" } @else { "shorter" }
                    " than the base, so no moment of the two can be laid over the other."
                }
            }
        }
    }
}

/// A picture with its axes: seconds and kHz.
fn picture(label: &str, png: anyhow::Result<Vec<u8>>, seconds: f64) -> Markup {
    let ticks = super::scale::Scale::new([0.0, seconds], [0.0, 100.0]);
    let decimals = ticks.decimals(4);
    html! {
        @match png {
            Ok(png) => {
                figure.spectrogram {
                    img src=(data("image/png", &png)) alt=(label) decoding="async";
                    span.khz.top { "12 kHz" }
                    span.khz.middle { "6" }
                    span.khz.bottom { "0" }
                    @for tick in ticks.ticks(4).into_iter().filter(|tick| *tick < 0.93 * seconds) {
                        span.second style={ "--at:" (fixed(ticks.place(tick), 1)) } { (fixed(tick, decimals)) }
                    }
                    span.second.unit { "s" }
                }
            }
            Err(error) => { p.note { (label) " cannot be drawn: " (error) } }
        }
    }
}

fn numbers(model: &Model<'_>, id: &str) -> Markup {
    let found = model.fidelity.and_then(|fidelity| fidelity.sentences.iter().find(|it| it.id == id));
    html! {
        @if let Some(found) = found {
            dl.metrics {
                @for (name, value) in main_metrics(found) {
                    @let unit = metrics().find(|metric| metric.name == name).map_or("", |metric| metric.unit);
                    div { dt { (name) } dd { (number(Some(value))) @if !unit.is_empty() { " " (unit) } } }
                }
            }
        }
    }
}

/// The metrics to show of a sentence, by name, as far as it has them.
fn main_metrics(sentence: &SentenceFidelity) -> Vec<(String, f64)> {
    let mut all = Vec::new();
    if let Ok(Value::Object(mut fields)) = serde_json::to_value(sentence) {
        // The free-running sound has the names of the forced one.
        fields.remove("free");
        leaves(&Value::Object(fields), &mut all);
    }
    let value = |name: &str| all.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    let mut chosen: Vec<_> =
        METRICS.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?))).collect();
    chosen.extend(all.iter().filter(|(key, _)| key.starts_with("dnsmos")).cloned());
    chosen
}

/// Every number inside `value` that has a name.
fn leaves(value: &Value, found: &mut Vec<(String, f64)>) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        match value.as_f64() {
            Some(number) => found.push((name.clone(), number)),
            None => leaves(value, found),
        }
    }
}
