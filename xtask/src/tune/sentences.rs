//! Which calibration sentences plans are tried with.

use std::collections::BTreeSet;

use super::Distance;
use crate::digest::Digest;
use crate::gates::Utterance;
use crate::recipe::TuneRecipe;

/// Phonemes of a sentence that says enough and is said quickly.
const SHORT: std::ops::RangeInclusive<usize> = 20..=80;

/// The sentences that plans are tried with, in their order. Half of them are those that the `survey` found the furthest off,
/// since a limit is for the worst one; the others are short ones of different voices if there are enough, picked by the
/// seed.
pub(super) fn picked(utterances: &[Utterance], survey: &Distance, how: &TuneRecipe) -> Vec<Utterance> {
    let TuneRecipe { sentences: count, seed, .. } = *how;
    let lsd = |utterance: &Utterance| survey.sentences.get(&utterance.id).map_or(0.0, |heard| heard.lsd_db);
    let mut order: Vec<&Utterance> = utterances.iter().collect();
    order.sort_by(|a, b| lsd(b).total_cmp(&lsd(a)));
    let worst = count.div_ceil(2).min(order.len());
    let drawn = |utterance: &Utterance| Digest::of(format!("{seed} {}", utterance.id).as_bytes()).to_string();
    let (hard, others) = order.split_at_mut(worst);
    others.sort_by_cached_key(|utterance| drawn(utterance));
    let mut voices: BTreeSet<&str> = hard.iter().map(|utterance| utterance.voice.as_str()).collect();
    // Another sentence of a voice that was taken before, and what is not short, comes after all others.
    others.sort_by_cached_key(|utterance| {
        let is_short = SHORT.contains(&utterance.ids.len());
        (!is_short, is_short && !voices.insert(&utterance.voice))
    });
    let chosen: BTreeSet<&str> = order.into_iter().take(count).map(|it| it.id.as_str()).collect();
    utterances.iter().filter(|utterance| chosen.contains(utterance.id.as_str())).cloned().collect()
}

/// Their ids.
pub(super) fn ids(utterances: &[Utterance]) -> Vec<String> {
    utterances.iter().map(|utterance| utterance.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kokoro_model::VoiceStyles;

    use super::*;
    use crate::tune::{Heard, Predicted};

    #[test]
    fn half_of_the_sentences_are_the_worst_and_the_seed_picks_short_ones_of_other_voices() {
        let styles = Arc::new(VoiceStyles::from_bytes(&vec![0; VoiceStyles::BYTES]).unwrap());
        let sentence = |at: usize| Utterance {
            id: format!("cal-{at:02}"),
            voice: format!("voice {}", at % 5),
            speed: 1.0,
            ids: vec![43; if at < 15 { 40 } else { 200 }],
            styles: Arc::clone(&styles),
        };
        let all: Vec<_> = (0..25).map(sentence).collect();
        let heard = |at: usize| Heard { lsd_db: if at == 20 || at == 5 { 2.0 } else { 1.0 }, snr_db: 20.0 };
        let predicted = Predicted { durations_exact: 1.0, f0_mean_cents: 0.0, energy_nepers: 0.0 };
        let survey = Distance {
            sentences: (0..25).map(|at| (format!("cal-{at:02}"), heard(at))).collect(),
            predicted,
        };
        let pick = |sentences, seed| {
            let how = TuneRecipe { margin: 1.0, sentences, seed, minutes: 1 };
            picked(&all, &survey, &how)
        };
        let four = pick(4, 1);
        assert!(four.is_sorted_by_key(|it| it.id.clone()) && four.len() == 4);
        let others: Vec<_> =
            four.iter().filter(|it| !["cal-05", "cal-20"].contains(&it.id.as_str())).collect();
        // The two worst are of one voice, and the others of two more.
        assert_eq!(others.len(), 2);
        assert!(others.iter().all(|it| it.ids.len() == 40 && it.voice != "voice 0"));
        assert_ne!(others[0].voice, others[1].voice);
        assert_eq!(ids(&pick(4, 1)), ids(&four));
        assert!((2..9).any(|seed| ids(&pick(4, seed)) != ids(&four)), "the seed changes nothing");
        assert_eq!(pick(99, 1).len(), 25);
    }
}
