//! Each term in plain words.

use maud::{Markup, html};

use super::fidelity::named;
use super::models::Models;
use super::text::section as make;

/// Terms that are no metrics of fidelity.
const TERMS: [(&str, &str); 6] = [
    (
        "speed ratio",
        "The base's time over this model's, for the same sentence in the same round. Above 1 is faster.",
    ),
    (
        "RTF",
        "Real-time factor: seconds of computation for one second of sound. Below 1 is faster than it plays.",
    ),
    ("P50", "The median: half of all calls took less time."),
    ("MiB", "2²⁰ bytes."),
    ("held-out", "A sentence that nothing was fitted to, so that it can judge."),
    ("noise floor", "What a metric shows for two models that differ in nothing but rounding."),
];

pub(super) fn section(models: &Models<'_>) -> Markup {
    let lead = html! { "Each term in plain words." };
    let content = html! {
        dl.glossary {
            @for (term, meaning) in TERMS { div { dt { (term) } dd { (meaning) } } }
            @for metric in named(models) {
                div id={ "metric-" (metric.name) } { dt { (metric.name) } dd { (meaning(&metric.name)) } }
            }
        }
    };
    make("glossary", "Glossary", &lead, &content)
}

/// What a metric of fidelity says.
fn meaning(metric: &str) -> &'static str {
    match metric {
        "durations_exact" => {
            "The share of sentences in which every sound lasts exactly as long as the base has it."
        }
        "frames_off" => {
            "By how many frames of 25 ms all sounds of a sentence together are longer or shorter."
        }
        "tokens_off" => {
            "The share of sounds that last longer or shorter. Listeners just notice 10 to 25 ms; a frame is 25 ms."
        }
        "token_frames" => "By how many frames of 25 ms the one sound that is off most is longer or shorter.",
        "length_off" => "By what share of its length a whole sentence is longer or shorter.",
        "f0_mean_cents" => {
            "How far the pitch is off on average; 100 cents are a semitone, 5 are hard to hear."
        }
        "f0_p95_cents" => "How far the pitch is off at most in 95 % of the voiced time.",
        "voicing_errors" => "The share of the time that is voiced in one model and not in the other.",
        "energy_nepers" => "How far the curve of loudness that the model predicts is off; 0.1 Np are 0.9 dB.",
        "not_finite" => "Samples that are no numbers. There may be none.",
        "lsd_db" => {
            "Log-spectral distance: by how much the spectra differ from moment to moment. Below 0.5 dB is hard \
                     to hear."
        }
        "snr_db" => "How far what differs lies below the sound itself. More is better.",
        "log_mel_l1" => "How far the spectra differ where the ear tells frequencies apart.",
        "mcd_db" => "Mel-cepstral distortion: how far the timbre differs.",
        "stft_convergence" => "The energy of what differs in the spectra, relative to that of the base.",
        "stft_log_magnitude" => "How far the logarithms of the spectra differ, over three resolutions.",
        "octave_db" => {
            "The largest difference of energy in any octave: it catches static that the others miss."
        }
        "loudness_lu" => "How much louder or quieter it is; 1 LU is hardly heard.",
        "peak_db" => "How much higher or lower the highest peak is.",
        "clipped_runs" => "Places where the sound is cut off at full scale and the base is not.",
        "dc" => "How far the sound is off its middle line; anything but 0 is a defect.",
        name if name.starts_with("dnsmos") => {
            "The opinion of a neural network that was trained on what people said of speech (DNSMOS, 1 to 5), as \
             difference to the base."
        }
        _ => "As the results name it.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_explained() {
        for metric in crate::fidelity::metrics() {
            assert_ne!(meaning(metric.name), meaning("unheard of"), "{}", metric.name);
        }
    }
}
