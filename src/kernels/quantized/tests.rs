//! Every instruction set against the formulas in float64, and against each other to the bit.

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::{Channel, Levels, Precision, Weights};
use crate::kernels::{Activation, Convolution, InstructionSet, Kernels};

/// A convolution, how long its input is, how many rows it has.
#[derive(Clone, Debug)]
struct Case {
    convolution: Convolution,
    time: usize,
    rows: usize,
    addends: usize,
    precision: Precision,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    // More positions and rows than one part takes.
    let (time, channels, rows) = if cfg!(miri) { (140, 3, 9) } else { (600, 300, 300) };
    // Seldom more than one of them is large.
    let sizes = prop_oneof![
        (1_usize..time, 1..9_usize, 1..20_usize),
        (1..60_usize, 1_usize..channels, 1..20_usize),
        // More channels than are summed up at once.
        (1..9_usize, 500..1_100_usize, 1..9_usize),
        (1..60_usize, 1..9_usize, 1_usize..rows),
    ];
    (
        sizes,
        (1..12_usize, 1..8_usize, 1..4_usize),
        (0..20_usize, 0..20_usize),
        (0..3_usize, any::<bool>(), any::<u64>()),
    )
        .prop_map(
            |((time, channels, rows), (taps, dilation, phases), pads, (addends, is_fine, seed))| Case {
                convolution: Convolution { channels, taps, dilation, pads: [pads.0, pads.1], phases },
                time,
                rows: rows.next_multiple_of(phases),
                addends,
                precision: if is_fine { Precision::Bits16 } else { Precision::Bits8 },
                seed,
            },
        )
}

/// Numbers around 0 that are the same in every run.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(next).collect()
}

impl Case {
    fn length(&self) -> usize {
        self.convolution.length(self.time)
    }

    /// Positions whose loudness differs by far.
    fn x(&self) -> Vec<f32> {
        let gains = numbers(self.seed ^ 5, self.time);
        let mut x = numbers(self.seed ^ 1, self.convolution.channels * self.time);
        for row in x.chunks_exact_mut(self.time) {
            for (x, gain) in row.iter_mut().zip(&gains) {
                *x *= (20.0 * gain).exp2();
            }
        }
        x
    }

    /// [M, C, K].
    fn levels(&self) -> Vec<i8> {
        let count = self.rows * self.convolution.channels * self.convolution.taps;
        numbers(self.seed ^ 2, count).into_iter().map(|number| (number * 254.0).round() as i8).collect()
    }

    /// As the operator has them.
    fn packed(&self) -> Vec<i8> {
        let Convolution { channels, taps, .. } = self.convolution;
        let groups = channels.div_ceil(4);
        let mut packed = vec![0; Weights::count(self.rows, channels, taps)];
        for (at, level) in self.levels().into_iter().enumerate() {
            let (row, channel, tap) = (at / (channels * taps), at / taps % channels, at % taps);
            let group = (row / 4 * taps + tap) * groups + channel / 4;
            packed[(group * 4 + row % 4) * 4 + channel % 4] = level;
        }
        packed
    }

    fn scales(&self) -> [Vec<f32>; 2] {
        [3, 4].map(|which| numbers(self.seed ^ which, self.rows))
    }

    fn addends(&self) -> Vec<Vec<f32>> {
        let count = self.rows / self.convolution.phases * self.length();
        (0..self.addends).map(|which| numbers(self.seed ^ (10 + which as u64), count)).collect()
    }

    fn run(&self, kernels: Kernels) -> Vec<f32> {
        let Self { convolution, time, rows, .. } = *self;
        let (x, packed, [scales, bias]) = (self.x(), self.packed(), self.scales());
        let channels: Vec<_> = (0..convolution.channels)
            .map(|_| Channel::new(None, Activation::LeakyRelu { slope: 0.2 }, || unreachable!("no norm")))
            .collect();
        let mut levels = Levels::default();
        for part in levels.parts(convolution.channels, time, self.precision) {
            part.compute(&x, &channels, kernels);
        }
        let length = self.length();
        let mut y = vec![f32::NAN; rows / convolution.phases * length];
        let addends = self.addends();
        let addends: Vec<_> = addends.iter().map(Vec::as_slice).collect();
        let weights = Weights { levels: &packed, scales: &scales, bias: Some(&bias) };
        if length > 0 {
            for part in convolution.quantized_parts(&mut y, length) {
                convolution.quantized(&levels, time, weights, &addends, part, kernels);
            }
        }
        y
    }

    /// What the formulas say, in float64 but for the levels; and the sum of magnitudes behind each output.
    fn expected(&self) -> Vec<(f64, f64)> {
        let Self { convolution: Convolution { channels, taps, dilation, pads, phases }, time, rows, .. } =
            *self;
        let (x, w, [scales, bias]) = (self.x(), self.levels(), self.scales());
        let activated = |channel: usize, at: usize| {
            let x = x[channel * time + at];
            if x >= 0.0 { x } else { 0.2 * x }
        };
        let mut levels = vec![0.0; channels * time];
        let mut steps = vec![0.0; time];
        for at in 0..time {
            let largest = (0..channels).map(|channel| activated(channel, at).abs()).fold(0.0, f32::max);
            let most = if self.precision == Precision::Bits16 { 32_639.0_f32 } else { 127.0 };
            steps[at] = f64::from(largest / most);
            for channel in 0..channels {
                let level = (activated(channel, at) * (most / largest)).round_ties_even();
                levels[channel * time + at] = if largest > 0.0 { f64::from(level) } else { 0.0 };
            }
        }
        let length = self.length();
        let addends = self.addends();
        let mut expected = vec![(0.0, 0.0); rows / phases * length];
        for row in 0..rows {
            for at in 0..length / phases {
                let (mut sum, mut magnitude) = (0.0, 0.0);
                for tap in 0..taps {
                    let from = (at + dilation * tap).checked_sub(pads[0]).filter(|&from| from < time);
                    let Some(from) = from else { continue };
                    for channel in 0..channels {
                        let w = w[(row * channels + channel) * taps + tap];
                        let product = levels[channel * time + from] * f64::from(w);
                        let product = product * steps[from] * f64::from(scales[row]);
                        sum += product;
                        magnitude += product.abs();
                    }
                }
                let place = row / phases * length + at * phases + row % phases;
                let others = addends.iter().map(|addend| f64::from(addend[place]));
                let others: Vec<_> = others.chain([f64::from(bias[row])]).collect();
                expected[place] = (
                    sum + others.iter().sum::<f64>(),
                    magnitude + others.iter().map(|other| other.abs()).sum::<f64>(),
                );
            }
        }
        expected
    }
}

fn sets() -> impl Iterator<Item = Kernels> {
    InstructionSet::ALL.into_iter().filter_map(|set| Kernels::of(set).ok())
}

proptest! {
    #![proptest_config(Config {
        cases: if cfg!(miri) { 2 } else { 100 },
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn every_set_computes_the_formula_and_the_same_bits(case in cases()) {
        let portable = case.run(Kernels::of(InstructionSet::Portable).expect("portable"));
        for (found, (expected, magnitude)) in portable.iter().zip(case.expected()) {
            let error = (f64::from(*found) - expected).abs();
            // Each of the taps, the scale, the bias and the addends is rounded, to a relative 2⁻²⁴ of what was summed up.
            prop_assert!(error <= 20.0 * magnitude * f64::from(f32::EPSILON), "{found} for {expected}");
        }
        for kernels in sets() {
            let bits = |y: &[f32]| y.iter().map(|y| y.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&case.run(kernels)), bits(&portable), "{:?}", kernels);
        }
    }
}

#[test]
fn a_position_that_is_not_finite_makes_nan_of_what_reads_it_and_of_nothing_else() {
    let convolution = Convolution { channels: 5, taps: 3, dilation: 2, pads: [2, 2], phases: 1 };
    let case = Case { convolution, time: 100, rows: 6, addends: 0, precision: Precision::Bits8, seed: 1 };
    let mut x = case.x();
    x[2 * 100 + 40] = f32::NEG_INFINITY;
    let (packed, [scales, bias]) = (case.packed(), case.scales());
    let channels: Vec<_> =
        (0..5).map(|_| Channel::new(None, Activation::None, || unreachable!("no norm"))).collect();
    for kernels in sets() {
        let mut levels = Levels::default();
        for part in levels.parts(5, 100, Precision::Bits8) {
            part.compute(&x, &channels, kernels);
        }
        let mut y = vec![0.0; 600];
        let weights = Weights { levels: &packed, scales: &scales, bias: Some(&bias) };
        for part in convolution.quantized_parts(&mut y, 100) {
            convolution.quantized(&levels, 100, weights, &[], part, kernels);
        }
        for (at, y) in y.iter().enumerate() {
            assert_eq!(y.is_nan(), [38, 40, 42].contains(&(at % 100)), "{at}");
        }
    }
}

#[test]
fn silence_is_the_bias() {
    let convolution = Convolution { channels: 8, taps: 1, dilation: 1, pads: [0, 0], phases: 1 };
    let case = Case { convolution, time: 70, rows: 4, addends: 0, precision: Precision::Bits16, seed: 2 };
    let (packed, [scales, bias]) = (case.packed(), case.scales());
    let mut x = vec![0.0; 8 * 70];
    x[3] = 1e-38;
    let channels = [Channel::new(None, Activation::None, || unreachable!("no norm")); 8];
    for kernels in sets() {
        let mut levels = Levels::default();
        for part in levels.parts(8, 70, Precision::Bits16) {
            part.compute(&x, &channels, kernels);
        }
        let mut y = vec![f32::NAN; 4 * 70];
        let weights = Weights { levels: &packed, scales: &scales, bias: Some(&bias) };
        for part in convolution.quantized_parts(&mut y, 70) {
            convolution.quantized(&levels, 70, weights, &[], part, kernels);
        }
        for (row, y) in y.chunks(70).enumerate() {
            assert_eq!(y, [bias[row]; 70]);
        }
    }
}

/// Of 16 bits, 512 channels of the largest levels and weights come to just less than what 32 bits hold.
#[test]
fn the_largest_sums_are_exact() {
    for channels in [512, 516] {
        let convolution = Convolution { channels, taps: 1, dilation: 1, pads: [0, 0], phases: 1 };
        let packed = vec![i8::MIN; Weights::count(4, channels, 1)];
        let weights = Weights { levels: &packed, scales: &[1.0; 4], bias: None };
        for (value, precision) in [1.0, -1.0]
            .into_iter()
            .flat_map(|value| [Precision::Bits8, Precision::Bits16].map(|it| (value, it)))
        {
            let run = |kernels| {
                let mut levels = Levels::default();
                for part in levels.parts(channels, 70, precision) {
                    part.compute(&vec![value; channels * 70], &vec![Channel::default(); channels], kernels);
                }
                let mut y = vec![f32::NAN; 4 * 70];
                for part in convolution.quantized_parts(&mut y, 70) {
                    convolution.quantized(&levels, 70, weights, &[], part, kernels);
                }
                y
            };
            let portable = run(Kernels::of(InstructionSet::Portable).expect("portable"));
            let expected = -128.0 * value * channels as f32;
            assert!(
                portable.iter().all(|y| (y / expected - 1.0).abs() < 1e-6),
                "{channels}: {}",
                portable[0]
            );
            for kernels in sets() {
                assert_eq!(run(kernels), portable, "{kernels:?}");
            }
        }
    }
}
