//! Every instruction set against plain sums in float64, and against each other to the bit.

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::Convolution;
use crate::kernels::{InstructionSet, Kernels};

/// A convolution, how long its input is, how many rows it has, and where its input begins in memory.
#[derive(Clone, Debug)]
struct Case {
    convolution: Convolution,
    time: usize,
    rows: usize,
    start: usize,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    // More positions and rows than one part takes, and more channels than are summed up at once.
    let (time, channels, rows) = if cfg!(miri) { (40, 3, 9) } else { (2_000, 300, 150) };
    // Seldom more than one of them is large.
    let sizes = prop_oneof![
        (1_usize..time, 1..4_usize, 1..20_usize),
        (1..60_usize, 1_usize..channels, 1..20_usize),
        (1..60_usize, 1..4_usize, 1_usize..rows),
    ];
    (sizes, (2..14_usize, 1..8_usize, 1..4_usize), (0..20_usize, 0..20_usize), (0..5_usize, any::<u64>()))
        .prop_map(|((time, channels, rows), (taps, dilation, phases), pads, (start, seed))| Case {
            convolution: Convolution { channels, taps, dilation, pads: [pads.0, pads.1], phases },
            time,
            rows: rows.next_multiple_of(phases),
            start,
            seed,
        })
}

impl Case {
    /// Numbers around 0, denormal ones among them.
    fn numbers(&self, which: u64, count: usize) -> Vec<f32> {
        let mut state = self.seed ^ which;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (state >> 40) as f32 / (1 << 24) as f32 - 0.5;
            if (state >> 32).is_multiple_of(64) { number * 1e-39 } else { number }
        };
        (0..count).map(next).collect()
    }

    fn run(&self, kernels: Kernels) -> Vec<f32> {
        let Self { convolution, time, rows, start, .. } = *self;
        let x = self.numbers(1, start + convolution.channels * time);
        let w = self.numbers(2, rows * convolution.channels * convolution.taps);
        let bias = self.numbers(3, rows);
        let length = convolution.length(time);
        let mut y = vec![f32::NAN; rows / convolution.phases * length];
        if length > 0 {
            for part in convolution.parts(&mut y, length) {
                convolution.compute(&x[start..], &w, Some(&bias), part, kernels);
            }
        }
        y
    }

    /// The plain sums, and how large an error may be.
    fn expected(&self) -> Vec<(f64, f64)> {
        let Convolution { channels, taps, dilation, pads, phases } = self.convolution;
        let x = self.numbers(1, self.start + channels * self.time);
        let x = &x[self.start..];
        let w = self.numbers(2, self.rows * channels * taps);
        let bias = self.numbers(3, self.rows);
        let length = self.convolution.length(self.time);
        let mut expected = Vec::with_capacity(self.rows / phases * length);
        for at in 0..self.rows / phases * length {
            let (row, t) = (at / length * phases + at % phases, at % length / phases);
            let mut sum = f64::from(bias[row]);
            for channel in 0..channels {
                for tap in 0..taps {
                    if let Some(t) = (t + dilation * tap).checked_sub(pads[0]).filter(|&t| t < self.time) {
                        let w = w[(row * channels + channel) * taps + tap];
                        sum += f64::from(w) * f64::from(x[channel * self.time + t]);
                    }
                }
            }
            // Forty times what the documentation says of the error, 10⁻⁶ of the root mean square: the largest of millions
            // was 14 times that. A wrong tap is off by hundreds of times as much.
            let terms = (channels * taps) as f64;
            expected.push((sum, 40e-6 * (terms.sqrt() / 12.0 + 0.3)));
        }
        expected
    }
}

proptest! {
    #![proptest_config(Config { cases: if cfg!(miri) { 3 } else { 96 }, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_convolution_is_its_sums(case in cases()) {
        let portable = case.run(Kernels::of(InstructionSet::Portable).unwrap());
        for (at, (&found, (expected, error))) in portable.iter().zip(case.expected()).enumerate() {
            prop_assert!((f64::from(found) - expected).abs() <= error, "{at}: {found}, expected {expected}");
        }
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        for kernels in InstructionSet::ALL.into_iter().filter_map(|set| Kernels::of(set).ok()) {
            prop_assert_eq!(bits(&case.run(kernels)), bits(&portable), "{:?}", kernels);
        }
    }
}

#[test]
fn what_taps_do_not_fit_into_has_no_length() {
    let convolution = Convolution { channels: 2, taps: 7, dilation: 3, pads: [4, 4], phases: 2 };
    assert_eq!([0, 10, 11, 12].map(|time| convolution.length(time)), [0, 0, 2, 4]);
}

#[test]
fn an_infinite_sample_reaches_no_further_than_its_neighbours() {
    let convolution = Convolution { channels: 1, taps: 3, dilation: 1, pads: [1, 1], phases: 1 };
    let mut x = [1.0; 64];
    x[32] = f32::INFINITY;
    let mut y = [0.0; 64];
    for part in convolution.parts(&mut y, 64) {
        convolution.compute(&x, &[0.5, 1.0, 0.25], None, part, Kernels::best());
    }
    assert!(y[31..34].iter().all(|value| !value.is_finite()), "{y:?}");
    assert!(y[1..24].iter().chain(&y[40..63]).all(|value| (value - 1.75).abs() < 1e-5), "{y:?}");
}
