//! From values to places in a drawing.

/// A straight line from values to places; places may fall as values rise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    values: [f64; 2],
    places: [f64; 2],
}

impl Scale {
    /// Maps `values` to `places`, end to end. Values that are all the same get room on both sides.
    pub(super) fn new(values: [f64; 2], places: [f64; 2]) -> Self {
        let [low, high] = values;
        let values = if high > low { values } else { [low - 0.5, low + 0.5] };
        Self { values, places }
    }

    /// The place of `value`, held within the ends so that nothing is drawn outside.
    pub(super) fn place(&self, value: f64) -> f64 {
        let [low, high] = self.values;
        let [from, to] = self.places;
        let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
        from + share * (to - from)
    }

    /// About `count` round values from end to end: steps of 1, 2 or 5 times a power of ten.
    pub(super) fn ticks(&self, count: usize) -> Vec<f64> {
        let [low, high] = self.values;
        let step = step((high - low) / count.max(1) as f64);
        let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
        (first..=last).map(|at| at as f64 * step).collect()
    }

    /// How many decimals the ticks need.
    pub(super) fn decimals(&self, count: usize) -> usize {
        let [low, high] = self.values;
        (-step((high - low) / count.max(1) as f64).log10().floor()).max(0.0) as usize
    }
}

/// The smallest round number that is not below `least`.
fn step(least: f64) -> f64 {
    let power = 10.0_f64.powf(least.log10().floor());
    // What is meant to be equal may differ in its last bit.
    let multiple = [1.0, 2.0, 5.0].into_iter().find(|multiple| multiple * power >= least * (1.0 - 1e-9));
    multiple.unwrap_or(10.0) * power
}

/// The smallest and the largest of `values`, with `share` of their distance as room on both sides; `None` for no
/// values.
pub(super) fn range(values: impl IntoIterator<Item = f64>, share: f64) -> Option<[f64; 2]> {
    let ends = |ends: Option<[f64; 2]>, value: f64| {
        Some(ends.map_or([value; 2], |[low, high]| [low.min(value), high.max(value)]))
    };
    let [low, high] = values.into_iter().fold(None, ends)?;
    let room = share * (high - low);
    Some([low - room, high + room])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_ends_and_nothing_leaves_the_drawing() {
        let scale = Scale::new([1.0, 3.0], [100.0, 20.0]);
        assert_eq!([1.0, 2.0, 3.0].map(|value| scale.place(value)), [100.0, 60.0, 20.0]);
        assert_eq!([-7.0, 1e9].map(|value| scale.place(value)), [100.0, 20.0]);
        assert_eq!(Scale::new([2.0, 2.0], [0.0, 10.0]).place(2.0), 5.0);
    }

    #[test]
    fn ticks_are_round() {
        for (values, count, expected, decimals) in [
            ([0.0, 1.0], 5, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0][..], 1),
            ([0.0, 310.4], 4, &[0.0, 100.0, 200.0, 300.0], 0),
            ([0.93, 1.12], 4, &[0.95, 1.0, 1.05, 1.1], 2),
            ([2048.0, 5512.0], 4, &[3000.0, 4000.0, 5000.0], 0),
            ([-1.0, 1.0], 2, &[-1.0, 0.0, 1.0], 0),
        ] {
            let scale = Scale::new(values, [0.0, 1.0]);
            let ticks = scale.ticks(count);
            assert_eq!(ticks.len(), expected.len(), "{values:?}: {ticks:?}");
            assert!(ticks.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{values:?}: {ticks:?}");
            assert_eq!(scale.decimals(count), decimals, "{values:?}");
        }
    }

    #[test]
    fn a_range_has_room() {
        assert_eq!(range([3.0, 1.0, 2.0], 0.5), Some([0.0, 4.0]));
        assert_eq!(range([], 0.5), None);
    }
}
