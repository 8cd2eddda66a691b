//! What a few runs on a busy machine can say.

use serde::{Deserialize, Serialize};

/// How long runs took, in milliseconds. The first five names are those of the reference result.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// The mean.
    pub avg_ms: f64,
    /// The median.
    pub p50_ms: f64,
    /// The 95th percentile.
    pub p95_ms: f64,
    /// The shortest.
    pub min_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Runs per second of run time.
    pub throughput_qps: f64,
}

impl Summary {
    /// Summarizes runs of so many `milliseconds`; `None` where there are no runs.
    pub fn of(milliseconds: &[f64]) -> Option<Self> {
        let sorted = sorted(milliseconds);
        let (first, last) = (*sorted.first()?, *sorted.last()?);
        let sum: f64 = sorted.iter().sum();
        Some(Self {
            avg_ms: sum / sorted.len() as f64,
            p50_ms: percentile(&sorted, 50.0),
            p95_ms: percentile(&sorted, 95.0),
            min_ms: first,
            max_ms: last,
            throughput_qps: 1000.0 * sorted.len() as f64 / sum,
        })
    }
}

/// The `percent` percentile of `sorted` values, interpolated between the two nearest: rank (n − 1) · percent / 100
/// counted from 0. This is definition 7 of Hyndman and Fan, *Sample Quantiles in Statistical Packages* (1996),
/// and the default of `NumPy`, which the reference result was made with.
///
/// # Panics
/// There are no values, or `percent` is not within 0..=100.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    assert!((0.0..=100.0).contains(&percent), "expected 0 to 100, found {percent}");
    let rank = (sorted.len() - 1) as f64 * percent / 100.0;
    let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    below + (above - below) * rank.fract()
}

/// A median and where the true one lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// How many values there are.
    pub count: usize,
    /// The median of the values.
    pub median: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The probability that the interval covers the true median: at least what was asked for, unless there are
    /// too few values for it, where the interval is all of them.
    pub confidence: f64,
}

/// The median of `values` with the sign test's confidence interval; `None` where there are no values.
///
/// The ends are order statistics, so the interval is exact for any continuous distribution and needs no random
/// numbers: between the k-th smallest and the k-th largest of n values the median lies with probability
/// 1 − 2 · P(B < k), B binomial with n trials and probability 1/2. The largest k that keeps `confidence` is taken.
/// Source: Conover, *Practical Nonparametric Statistics*, section 3.2; David and Nagaraja, *Order Statistics*,
/// section 7.1.
///
/// The values must be independent. Ratios of one sentence resemble each other, so over several sentences the
/// interval speaks of these sentences, not of all there could be.
pub fn median_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    let sorted = sorted(values);
    let count = sorted.len();
    if count == 0 {
        return None;
    }
    // `outside` is P(B < k); in logarithms, for 2⁻ⁿ is no float beyond n = 1074.
    let mut ln_mass = -(count as f64) * std::f64::consts::LN_2;
    let mut outside = ln_mass.exp();
    let mut k = 1;
    loop {
        ln_mass += ((count - k + 1) as f64 / k as f64).ln();
        let next = outside + ln_mass.exp();
        // Beyond the middle the ends would change places.
        if 2 * (k + 1) > count + 1 || 1.0 - 2.0 * next < confidence {
            break;
        }
        outside = next;
        k += 1;
    }
    Some(Interval {
        count,
        median: percentile(&sorted, 50.0),
        low: sorted[k - 1],
        high: sorted[count - k],
        confidence: 1.0 - 2.0 * outside,
    })
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn a_summary_by_hand() {
        let summary = Summary::of(&[40.0, 10.0, 30.0, 20.0]).unwrap();
        // Rank 3 · 0.95 = 2.85: 0.85 of the way from 30 to 40.
        let expected = Summary {
            avg_ms: 25.0,
            p50_ms: 25.0,
            p95_ms: 38.5,
            min_ms: 10.0,
            max_ms: 40.0,
            throughput_qps: 40.0,
        };
        assert!(close(summary.p95_ms, 38.5));
        assert_eq!(Summary { p95_ms: 38.5, ..summary }, expected);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn percentiles_interpolate_between_the_nearest() {
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        for (percent, expected) in
            [(0.0, 1.0), (25.0, 2.0), (50.0, 4.0), (60.0, 5.6), (95.0, 14.4), (100.0, 16.0)]
        {
            assert!(close(percentile(&values, percent), expected), "{percent}");
        }
        assert_eq!(percentile(&[7.0], 95.0), 7.0);
    }

    #[test]
    fn the_interval_is_that_of_the_tables() {
        // For n = 10 and 95 % the tables give the 2nd and the 9th: 1 − 2 · 11 / 1024 = 0.978515625.
        let values: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        let interval = median_interval(&values, 0.95).unwrap();
        assert_eq!((interval.median, interval.low, interval.high), (5.5, 2.0, 9.0));
        assert!(close(interval.confidence, 0.978_515_625));
        // n = 17: the 5th and the 13th, 0.9510. n = 6: the 1st and the 6th, 0.96875.
        let values: Vec<f64> = (1..=17).map(f64::from).collect();
        let interval = median_interval(&values, 0.95).unwrap();
        assert_eq!((interval.median, interval.low, interval.high), (9.0, 5.0, 13.0));
        assert!(close(interval.confidence, 1.0 - 2.0 * 3214.0 / 131_072.0));
        let interval = median_interval(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.95).unwrap();
        assert_eq!((interval.low, interval.high, interval.confidence), (1.0, 6.0, 0.96875));
    }

    #[test]
    fn too_few_values_say_so() {
        assert_eq!(median_interval(&[], 0.95), None);
        let one = median_interval(&[3.0], 0.95).unwrap();
        assert_eq!((one.low, one.median, one.high, one.confidence), (3.0, 3.0, 3.0, 0.0));
        let five = median_interval(&[5.0, 1.0, 4.0, 2.0, 3.0], 0.95).unwrap();
        assert_eq!((five.low, five.high, five.confidence), (1.0, 5.0, 0.9375));
    }

    #[test]
    fn many_values_do_not_underflow() {
        let values: Vec<f64> = (0..3000).map(f64::from).collect();
        let interval = median_interval(&values, 0.95).unwrap();
        // With the normal approximation k is the largest whole number below 1500 − 1.96 · √3000 / 2 + 0.5, 1446, and
        // P(B < 1446) is Φ(−1.990).
        assert_eq!((interval.low, interval.high), (1445.0, 1554.0));
        assert!((interval.confidence - 0.9534).abs() < 1e-4, "{interval:?}");
    }
}
