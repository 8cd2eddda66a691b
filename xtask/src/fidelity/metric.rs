//! What a metric is, which side of it is good, and how a metric of many sentences becomes two numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The distance that stands for what cannot be measured: a candidate with samples or curves that are no numbers.
///
/// It is beyond anything that speech can reach (a distance in dB stays below some hundreds), so every threshold
/// refuses it, as one bad sentence among a thousand still shows in the mean. It is finite because JSON holds no
/// other numbers. A metric of which more is better has the negative of it.
pub const WORST: f64 = 1e6;

/// `distance`, or [`WORST`] where it is beyond that or no number.
pub(super) fn bounded(distance: f64) -> f64 {
    if distance.is_nan() { WORST } else { distance.clamp(-WORST, WORST) }
}

/// The side of a metric that is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// A distance, never negative.
    Lower,
    /// A ratio of what is right to what is wrong, or how much better than the base it is.
    Higher,
    /// A difference with a sign; its magnitude is judged.
    NearZero,
}

/// One number that is measured of a `T`.
#[derive(Debug, Clone, Copy)]
pub struct Metric<T: 'static> {
    /// The name in results and thresholds.
    pub name: &'static str,
    /// The unit; empty for a ratio, a share or a count.
    pub unit: &'static str,
    /// The side that is good.
    pub better: Better,
    /// Reads the number; `None` where it is not defined.
    pub value: fn(&T) -> Option<f64>,
}

/// One metric over many sentences. Of a metric with a sign, these are magnitudes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    /// The mean over the sentences that have the metric.
    pub mean: f64,
    /// The value of the worst sentence.
    pub worst: f64,
    /// The id of the worst sentence; of several equals the first.
    pub worst_id: String,
    /// How many sentences have the metric.
    pub count: usize,
}

impl Aggregate {
    /// Aggregates the values of sentences, each with its id; `None` where there are none. What is no number counts
    /// as [`WORST`].
    pub fn of<'a>(better: Better, values: impl IntoIterator<Item = (&'a str, f64)>) -> Option<Self> {
        let (mut sum, mut count) = (0.0, 0_usize);
        let mut worst: Option<(f64, &str)> = None;
        for (id, value) in values {
            let value = match better {
                Better::Lower => bounded(value),
                Better::Higher => -bounded(-value),
                Better::NearZero => bounded(value.abs()),
            };
            sum += value;
            count += 1;
            let is_worse = worst.is_none_or(|(worst, _)| match better {
                Better::Lower | Better::NearZero => value > worst,
                Better::Higher => value < worst,
            });
            if is_worse {
                worst = Some((value, id));
            }
        }
        let (worst, id) = worst?;
        Some(Self { mean: sum / count as f64, worst, worst_id: id.to_owned(), count })
    }
}

/// Aggregates each of `metrics` over `sentences`, by the metric's name. A metric that no sentence has is absent:
/// whoever has a threshold for it must refuse that, since nothing was measured.
pub fn aggregate<T: 'static>(metrics: &[Metric<T>], sentences: &[(&str, &T)]) -> BTreeMap<String, Aggregate> {
    let of = |metric: &Metric<T>| {
        let values = sentences.iter().filter_map(|(id, it)| Some((*id, (metric.value)(it)?)));
        Some((metric.name.to_owned(), Aggregate::of(metric.better, values)?))
    };
    metrics.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aggregated(better: Better, values: [f64; 3]) -> (f64, f64, String) {
        let Aggregate { mean, worst, worst_id, count } =
            Aggregate::of(better, ["a", "b", "c"].into_iter().zip(values)).unwrap();
        assert_eq!(count, 3);
        (mean, worst, worst_id)
    }

    #[test]
    fn the_worst_is_on_the_bad_side() {
        assert_eq!(aggregated(Better::Lower, [1.0, 3.0, 2.0]), (2.0, 3.0, "b".into()));
        assert_eq!(aggregated(Better::Higher, [30.0, 20.0, 10.0]), (20.0, 10.0, "c".into()));
        assert_eq!(aggregated(Better::NearZero, [-3.0, 1.0, 2.0]), (2.0, 3.0, "a".into()));
        assert_eq!(aggregated(Better::Lower, [2.0, 2.0, 2.0]), (2.0, 2.0, "a".into()));
        assert_eq!(Aggregate::of(Better::Lower, []), None);
    }

    #[test]
    fn what_is_no_number_is_the_worst_and_spoils_the_mean() {
        for bad in [f64::NAN, f64::INFINITY] {
            let (mean, worst, id) = aggregated(Better::Lower, [1.0, bad, 2.0]);
            assert_eq!((worst, id.as_str()), (WORST, "b"));
            assert!(mean > 1e5 && mean.is_finite());
        }
        for bad in [f64::NAN, f64::NEG_INFINITY] {
            let (mean, worst, id) = aggregated(Better::Higher, [90.0, bad, 80.0]);
            assert_eq!((worst, id.as_str()), (-WORST, "b"));
            assert!(mean < -1e5 && mean.is_finite());
            assert_eq!(aggregated(Better::NearZero, [0.0, bad, 0.0]).1, WORST);
        }
    }

    #[test]
    fn a_metric_that_some_sentences_lack_is_of_the_others() {
        const METRICS: [Metric<[Option<f64>; 2]>; 2] = [
            Metric { name: "first", unit: "dB", better: Better::Lower, value: |it| it[0] },
            Metric { name: "second", unit: "", better: Better::Higher, value: |it| it[1] },
        ];
        let sentences = [("a", [Some(1.0), None]), ("b", [None, None]), ("c", [Some(4.0), None])];
        let aggregates = aggregate(&METRICS, &sentences.each_ref().map(|(id, it)| (*id, it)));
        assert_eq!(aggregates.keys().collect::<Vec<_>>(), ["first"]);
        let expected = Aggregate { mean: 2.5, worst: 4.0, worst_id: "c".into(), count: 2 };
        assert_eq!(aggregates["first"], expected);
    }
}
