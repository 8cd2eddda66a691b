//! How a sentence is rated by a model of listeners, beside how the base's is.
//!
//! The difference is kept with its sign, since a rating scatters by hundredths with changes that
//! nobody hears.

use serde::{Deserialize, Serialize};

use super::metric::{Better, Metric, WORST};

/// How DNSMOS rates one sound, in mean opinion scores: 1 is bad, 5 excellent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// Speech and background together, as in ITU-T P.835.
    pub ovrl: f64,
    /// The speech.
    pub sig: f64,
    /// The background; 5 is none.
    pub bak: f64,
    /// The whole, as in ITU-T P.808.
    pub p808: f64,
}

/// How a candidate is rated, with the base's durations, F0 and energy forced, and how the base is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opinion {
    /// The base.
    pub base: Scores,
    /// The candidate; `None` where a sample is no number, so there is nothing to rate.
    pub candidate: Option<Scores>,
}

impl Opinion {
    /// The metrics: how much higher the candidate is rated than the base.
    ///
    /// More is better, and the sign is kept: a rating scatters by some hundredths with changes that nobody hears, and
    /// that cancels in the mean of differences, where a mean of magnitudes would add it up. A candidate that is rated
    /// above the base has lost nothing; that it is another sound, the metrics of sound tell.
    pub const METRICS: [Metric<Self>; 4] = [
        metric("dnsmos_ovrl", |it| Some(it.difference(|scores| scores.ovrl))),
        metric("dnsmos_sig", |it| Some(it.difference(|scores| scores.sig))),
        metric("dnsmos_bak", |it| Some(it.difference(|scores| scores.bak))),
        metric("dnsmos_p808", |it| Some(it.difference(|scores| scores.p808))),
    ];

    fn difference(&self, of: impl Fn(&Scores) -> f64) -> f64 {
        self.candidate.map_or(-WORST, |candidate| of(&candidate) - of(&self.base))
    }
}

const fn metric(name: &'static str, value: fn(&Opinion) -> Option<f64>) -> Metric<Opinion> {
    Metric { name, unit: "MOS", better: Better::Higher, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_keep_their_sign() {
        let base = Scores { ovrl: 3.5, sig: 3.75, bak: 4.0, p808: 4.0 };
        let candidate = Scores { ovrl: 3.25, sig: 4.0, bak: 4.0, p808: 3.0 };
        let values = |candidate| {
            let opinion = Opinion { base, candidate };
            Opinion::METRICS.map(|metric| (metric.value)(&opinion).unwrap())
        };
        assert_eq!(values(Some(candidate)), [-0.25, 0.25, 0.0, -1.0]);
        assert_eq!(values(None), [-WORST; 4]);
    }
}
