//! Every instruction set against the formulas in float64, and against the portable kernels to the bit.

mod corners;
mod sine;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::{
    Activation, Chain, InstructionSet, Kernels, Levels, LevelsMut, Norm, Quantization, Statistics, Stft,
    add_dequantized,
};

/// The rounding of one operation in float32.
const UNIT: f64 = 1.0 / (1 << 24) as f64;

/// As many cases as take seconds; under an interpreter, as many as take minutes.
fn config() -> Config {
    Config { cases: if cfg!(miri) { 4 } else { 96 }, failure_persistence: None, ..Config::default() }
}

fn all_kernels() -> impl Iterator<Item = Kernels> {
    InstructionSet::ALL.into_iter().filter_map(|set| Kernels::of(set).ok())
}

fn portable() -> Kernels {
    Kernels::of(InstructionSet::Portable).unwrap()
}

/// The bits of floats, where one NaN is as good as another.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }).collect()
}

/// A channel around a mean, as far from it as a standard deviation or ten, from any alignment on; odd lengths, none and one
/// among them.
fn channel() -> impl Strategy<Value = (Vec<f32>, usize)> {
    let longest = if cfg!(miri) { 300 } else { 1_500 };
    let ordinary = (-1e3_f32..1e3, -3.0_f32..3.0).prop_flat_map(move |(mean, size)| {
        prop::collection::vec((-10.0_f32..10.0).prop_map(move |it| mean + it * size.exp()), 0..longest)
    });
    (ordinary, 0_usize..7).prop_map(|(values, start)| {
        let start = start.min(values.len());
        (values, start)
    })
}

fn levels() -> impl Strategy<Value = (Vec<u8>, usize)> {
    let longest = if cfg!(miri) { 400 } else { 1_500 };
    (prop::collection::vec(any::<u8>(), 0..longest), 0_usize..7).prop_map(|(values, start)| {
        let start = start.min(values.len());
        (values, start)
    })
}

/// A channel in levels, the ends of which may be stored apart.
#[derive(Clone, Debug)]
struct Stored {
    levels: Vec<u8>,
    start: usize,
    /// As long as each other.
    ends: [Vec<u8>; 2],
    from: Quantization,
    times: f32,
}

impl Stored {
    fn levels(&self) -> Levels<'_> {
        let ends = [self.ends[0].as_slice(), &self.ends[1]];
        Levels::with_ends(&self.levels[self.start..], self.from, ends, self.times)
    }

    fn count(&self) -> usize {
        self.levels.len() - self.start
    }

    /// The scale and the level at each position.
    fn values(&self) -> Vec<(f32, u8)> {
        let (count, positions) = (self.count(), self.ends[0].len());
        let far = self.from.scale * self.times;
        let value = |position: usize| match position {
            _ if position < positions => (far, self.ends[0][position]),
            _ if position >= count - positions => (far, self.ends[1][positions - (count - position)]),
            _ => (self.from.scale, self.levels[self.start + position]),
        };
        (0..count).map(value).collect()
    }

    /// What the levels stand for.
    fn exact(&self) -> Vec<f64> {
        let number = |(scale, level)| f64::from(scale) * (f64::from(level) - f64::from(self.from.zero));
        self.values().into_iter().map(number).collect()
    }

    /// No level stands for more.
    fn largest(&self) -> f64 {
        let scale = if self.ends[0].is_empty() { self.from.scale } else { self.from.scale * self.times };
        f64::from(scale.max(self.from.scale)) * f64::from(self.from.zero.max(255 - self.from.zero))
    }
}

/// Among them channels without ends, of one value, with nothing between the ends, and with ends that overlap.
fn stored() -> impl Strategy<Value = Stored> {
    let few = (prop::collection::vec(any::<u8>(), 0..9), Just(0_usize));
    let positions = prop_oneof![Just(0_usize), 1_usize..9, 9_usize..400, Just(usize::MAX)];
    let parts = (prop_oneof![3 => levels(), 1 => few], positions, quantization(), 0.3_f32..9.0);
    parts.prop_flat_map(|((levels, start), positions, from, times)| {
        let positions = positions.min(levels.len() - start);
        let end = || prop::collection::vec(any::<u8>(), positions);
        [end(), end()].prop_map(move |ends| Stored { levels: levels.clone(), start, ends, from, times })
    })
}

/// How many of so many values the ends of a result have.
fn width(of: usize, chosen: usize) -> usize {
    [0, 1, of / 3, of - of / 3, of][chosen % 5].min(of)
}

fn quantization() -> impl Strategy<Value = Quantization> {
    (1e-3_f32..0.5, any::<u8>()).prop_map(|(scale, zero)| Quantization { scale, zero })
}

fn chain() -> impl Strategy<Value = Chain> {
    let norm = (-3.0_f32..3.0, -3.0_f32..3.0).prop_map(|(scale, bias)| Norm { scale, bias, epsilon: 1e-5 });
    let alpha = (0.006_f32..3.0, any::<bool>()).prop_map(|(size, sign)| if sign { size } else { -size });
    let activation = prop_oneof![
        1 => Just(Activation::None),
        1 => (0.0_f32..0.5).prop_map(|slope| Activation::LeakyRelu { slope }),
        3 => alpha.prop_map(|alpha| Activation::Snake { alpha }),
    ];
    (prop::option::weighted(0.8, norm), activation).prop_map(|(norm, activation)| Chain { norm, activation })
}

/// What a chain is by its formulas, and how far from that it may be.
struct Reference {
    value: f64,
    bound: f64,
}

/// Mean and variance in two passes.
fn reference_statistics(x: &[f64]) -> Statistics {
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    Statistics { mean, variance: x.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / count }
}

fn reference(chain: &Chain, x: &[f64]) -> Vec<Reference> {
    let Statistics { mean, variance } = reference_statistics(x);
    let one = |&x: &f64| {
        let (r, r_bound) = match chain.norm {
            None => (x, UNIT * x.abs()),
            Some(Norm { scale, bias, epsilon }) => {
                let product = f64::from(scale) * (x - mean) / (variance + f64::from(epsilon)).sqrt();
                let lost =
                    UNIT * mean.abs() / (variance + f64::from(epsilon)).sqrt() * f64::from(scale).abs();
                let r = product + f64::from(bias);
                // The difference, the slope, their product, the offset and the sum are rounded.
                (r, UNIT * (3.0 * product.abs() + f64::from(bias).abs() + lost + 1.1 * r.abs()))
            }
        };
        let (value, bound) = match chain.activation {
            Activation::None => (r, r_bound),
            Activation::LeakyRelu { slope } => {
                (if r >= 0.0 { r } else { f64::from(slope) * r }, r_bound + UNIT * r.abs())
            }
            Activation::Snake { alpha } => {
                let alpha = f64::from(alpha);
                let square = (alpha * r).sin().powi(2);
                let of_square = 6.4e-7 * square + 1.2e-7 * (alpha * r).abs();
                let value = r + square / alpha;
                // The slope of Snake is at most 2; 1/α, the product and the sum are rounded.
                (
                    value,
                    2.0 * r_bound
                        + of_square / alpha.abs()
                        + UNIT * (2.0 * (square / alpha).abs() + value.abs()),
                )
            }
        };
        // What counts where float32 has no more digits.
        Reference { value, bound: 1.01 * bound + 1e-37 }
    };
    x.iter().map(one).collect()
}

fn check_floats(found: &[f32], expected: &[Reference]) -> Result<(), TestCaseError> {
    for (index, (&found, Reference { value, bound })) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - value).abs();
        prop_assert!(error <= *bound, "{}: {} for {}, off by {} of {}", index, found, value, error, bound);
    }
    Ok(())
}

fn check_levels(found: &[u8], expected: &[Reference], to: Quantization) -> Result<(), TestCaseError> {
    let scale = f64::from(to.scale);
    for (index, (&found, Reference { value, bound })) in found.iter().zip(expected).enumerate() {
        let exact = (value / scale + f64::from(to.zero)).clamp(0.0, 255.0);
        let slack = 0.5 + bound / scale + 2.0 * UNIT * (value / scale).abs();
        prop_assert!((f64::from(found) - exact).abs() <= slack, "{}: level {} for {}", index, found, exact);
    }
    Ok(())
}

/// The first and the last `width` of the results, quantized.
fn ends_of(y: &[f32], width: usize, to: Quantization) -> [Vec<u8>; 2] {
    [&y[..width], &y[y.len() - width..]].map(|end| end.iter().map(|&number| to.level(number)).collect())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn floats_are_those_of_the_formulas(
        (values, start) in channel(), chain in chain(), to in quantization(), times in 0.3_f32..9.0, wide in 0_usize..5,
    ) {
        let x = &values[start..];
        let exact: Vec<f64> = x.iter().copied().map(f64::from).collect();
        let expected = reference(&chain, &exact);
        let (mut y, mut q) = (vec![0.0; x.len()], vec![0; x.len()]);
        chain.floats(x, &mut y, portable());
        chain.quantize(x, LevelsMut::new(&mut q, to), portable());
        check_floats(&y, &expected)?;
        check_levels(&q, &expected, to)?;
        prop_assert!(y.iter().map(|&number| to.level(number)).eq(q.iter().copied()), "quantized behind the chain");
        let width = width(x.len(), wide);
        let ends = ends_of(&y, width, to.coarser(times));
        for kernels in all_kernels() {
            // One place further on, so that nothing is aligned as it was.
            let (mut again, mut q_again) = (vec![0.0; x.len() + 1], vec![0; x.len() + 1]);
            let mut ends_again = [vec![0; width], vec![0; width]];
            chain.floats(x, &mut again[1..], kernels);
            let places = ends_again.each_mut().map(Vec::as_mut_slice);
            chain.quantize(x, LevelsMut::with_ends(&mut q_again[1..], to, places, times), kernels);
            prop_assert_eq!(bits(&again[1..]), bits(&y), "{:?}", kernels);
            prop_assert_eq!(&q_again[1..], &q, "{:?}", kernels);
            prop_assert_eq!(&ends_again, &ends, "{:?}", kernels);
        }
    }

    #[test]
    fn levels_are_those_of_the_formulas(
        stored in stored(), chain in chain(), to in quantization(), times in 0.3_f32..9.0, wide in 0_usize..5,
    ) {
        let (x, count) = (stored.levels(), stored.count());
        let exact = stored.exact();
        let mut expected = reference(&chain, &exact);
        // What a level stands for is rounded, at most to the magnitude of the furthest.
        let rounding = UNIT * stored.largest();
        let Statistics { variance, .. } = reference_statistics(&exact);
        let slope = chain.norm.map_or(1.0, |norm| f64::from(norm.scale).abs() / (variance + 1e-5).sqrt());
        for it in &mut expected {
            it.bound += 2.0 * slope * rounding;
        }
        let (mut y, mut q) = (vec![0.0; count], vec![0; count]);
        chain.dequantize(x, &mut y, portable());
        chain.requantize(x, LevelsMut::new(&mut q, to), portable());
        check_floats(&y, &expected)?;
        check_levels(&q, &expected, to)?;
        let width = width(count, wide);
        let ends = ends_of(&y, width, to.coarser(times));
        for kernels in all_kernels() {
            let (mut again, mut q_again) = (vec![0.0; count + 1], vec![0; count + 1]);
            let mut ends_again = [vec![0; width], vec![0; width]];
            chain.dequantize(x, &mut again[1..], kernels);
            let places = ends_again.each_mut().map(Vec::as_mut_slice);
            chain.requantize(x, LevelsMut::with_ends(&mut q_again[1..], to, places, times), kernels);
            prop_assert_eq!(bits(&again[1..]), bits(&y), "{:?}", kernels);
            prop_assert_eq!(&q_again[1..], &q, "{:?}", kernels);
            prop_assert_eq!(&ends_again, &ends, "{:?}", kernels);
        }
    }

    #[test]
    fn any_bits_give_the_same_bits_everywhere(
        values in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..70), chain in chain(), to in quantization(),
    ) {
        let run = |kernels| {
            let (mut y, mut q) = (vec![0.0; values.len()], vec![0; values.len()]);
            chain.floats(&values, &mut y, kernels);
            chain.quantize(&values, LevelsMut::new(&mut q, to), kernels);
            (bits(&y), q)
        };
        for kernels in all_kernels() {
            prop_assert_eq!(run(kernels), run(portable()), "{:?}", kernels);
        }
    }

    #[test]
    fn a_table_says_what_the_function_says(stored in stored(), chain in chain()) {
        // Without a norm, a value depends on no other, so a table and the function itself can be compared to the bit.
        let (chain, x) = (Chain { norm: None, ..chain }, stored.levels());
        let number = |(scale, level)| Quantization { scale, ..stored.from }.number(level);
        let numbers: Vec<f32> = stored.values().into_iter().map(number).collect();
        let to = Quantization { scale: 0.02, zero: 77 };
        for kernels in all_kernels() {
            let (mut y, mut expected) = (vec![0.0; numbers.len()], vec![0.0; numbers.len()]);
            chain.dequantize(x, &mut y, kernels);
            chain.floats(&numbers, &mut expected, kernels);
            prop_assert_eq!(bits(&y), bits(&expected));
            let (mut y, mut expected) = (vec![0; numbers.len()], vec![0; numbers.len()]);
            chain.requantize(x, LevelsMut::new(&mut y, to), kernels);
            chain.quantize(&numbers, LevelsMut::new(&mut expected, to), kernels);
            prop_assert_eq!(y, expected);
        }
    }

    #[test]
    fn statistics_are_those_of_two_passes((values, start) in channel()) {
        let x = &values[start..];
        prop_assume!(!x.is_empty());
        let exact: Vec<f64> = x.iter().copied().map(f64::from).collect();
        let expected = reference_statistics(&exact);
        for kernels in all_kernels() {
            let found = Statistics::of_floats(x, kernels);
            let deviation = expected.variance.sqrt();
            prop_assert!((found.mean - expected.mean).abs() <= 1e-12 * (expected.mean.abs() + deviation));
            prop_assert!((found.variance - expected.variance).abs() <= 1e-11 * expected.variance);
        }
    }

    #[test]
    fn statistics_of_levels_are_within_their_bounds(stored in stored()) {
        let exact = stored.exact();
        prop_assume!(!exact.is_empty());
        let (expected, largest) = (reference_statistics(&exact), stored.largest());
        // Those of the reference are rounded, too: as often as there are values.
        let slack = exact.len() as f64 * f64::EPSILON;
        let unit = 2_f64.powi(-49);
        let of_variance = unit * (largest * expected.variance.sqrt() + expected.variance)
            + 2_f64.powi(-100) * largest.powi(2);
        for kernels in all_kernels() {
            let found = Statistics::of_levels(stored.levels(), kernels);
            let (mean, variance) = (found.mean - expected.mean, found.variance - expected.variance);
            prop_assert!(mean.abs() <= (unit + slack) * largest, "{} for {}", found.mean, expected.mean);
            let bound = of_variance + slack * (expected.variance + slack * largest.powi(2));
            prop_assert!(variance.abs() <= bound, "{} for {}", found.variance, expected.variance);
            prop_assert_eq!(found, Statistics::of_levels(stored.levels(), portable()));
        }
    }

    #[test]
    fn addends_are_added_from_left_to_right(stored in stored(), count in 0_usize..4) {
        let values = stored.values();
        let addend = |addend: usize| {
            let number = |&(_, level): &(f32, u8)| (f32::from(level) + 0.3) * 1.7_f32.powi(addend as i32);
            values.iter().map(number).collect()
        };
        let addends: Vec<Vec<f32>> = (0..count).map(addend).collect();
        let slices: Vec<&[f32]> = addends.iter().map(Vec::as_slice).collect();
        let sum = |(index, &(scale, level)): (usize, &(f32, u8))| {
            let number = (f32::from(level) - f32::from(stored.from.zero)) * scale;
            addends.iter().fold(number, |sum, addend| sum + addend[index])
        };
        let expected: Vec<f32> = values.iter().enumerate().map(sum).collect();
        for kernels in all_kernels() {
            let mut y = vec![0.0; values.len()];
            add_dequantized(stored.levels(), &slices, &mut y, kernels);
            prop_assert_eq!(bits(&y), bits(&expected));
        }
    }

    #[test]
    fn a_level_is_that_of_the_specification(number in any::<u32>().prop_map(f32::from_bits), to in quantization()) {
        prop_assert_eq!(to.level(number), specified(number, to));
        let tie = (f32::from(number.to_bits() as i16) * 0.5) * to.scale;
        prop_assert_eq!(to.level(tie), specified(tie, to));
    }
}

/// `QuantizeLinear`, and 0 for NaN.
fn specified(number: f32, to: Quantization) -> u8 {
    (f64::from((number / to.scale).round_ties_even()) + f64::from(to.zero)) as u8
}

#[test]
fn every_level_is_found_wherever_it_stands() {
    let table: [u8; 256] = std::array::from_fn(|level| (level * 167 + 13) as u8);
    for kernels in all_kernels() {
        for start in 0..3 {
            for length in [0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 600] {
                let x: Vec<u8> = (0..start + length).map(|index| (index * 7) as u8).collect();
                let mut y = vec![0; start + length];
                kernels.look_up(&x[start..], &table, &mut y[start..]);
                let expected: Vec<u8> = x[start..].iter().map(|&level| table[usize::from(level)]).collect();
                assert_eq!(y[start..], expected, "{kernels:?}, {length}");
            }
        }
    }
}

#[test]
fn a_name_is_that_of_its_kernels() {
    for set in InstructionSet::ALL {
        assert_eq!(set.name().parse(), Ok(set));
        let given = Kernels::given(Some(set.name().as_ref()));
        assert_eq!(given.is_ok(), set.is_available());
        assert_eq!(given, Kernels::of(set));
    }
    let error = Kernels::given(Some("sse".as_ref())).unwrap_err();
    assert_eq!(error.name, "sse");
    assert_eq!(error.available[0], "portable");
    assert_eq!(Kernels::given(None), Ok(Kernels::best()));
    assert_eq!(Kernels::given(Some("".as_ref())), Ok(Kernels::best()));
}

/// Beside the sums that define it, in float64.
#[test]
fn a_transform_is_the_sum_over_a_frame() {
    for length in [1, 2, 3, 16, 20, 27] {
        let window: Vec<f32> = (0..length).map(|at| 0.5 + at as f32 / 40.0).collect();
        let stft = Stft::new(&window);
        let signal: Vec<f32> = (0..200).map(|at| (at as f32 * 0.7).sin() + at as f32 * 0.01).collect();
        let step = 3;
        let frames = stft.frames(signal.len(), step);
        assert_eq!(frames, (200 - length) / 3 + 1);
        let mut expected = Vec::new();
        for frame in 0..frames {
            for frequency in 0..=length / 2 {
                let sum = |turn: fn(f64) -> f64| -> f64 {
                    let number = |at: usize| {
                        let angle = -std::f64::consts::TAU * (at * frequency) as f64 / length as f64;
                        f64::from(signal[frame * step + at]) * f64::from(window[at]) * turn(angle)
                    };
                    (0..length).map(number).sum()
                };
                expected.extend([sum(f64::cos), sum(f64::sin)]);
            }
        }
        for kernels in all_kernels() {
            let mut spectra = vec![0.0; frames * stft.numbers()];
            stft.transform(&signal, step, &mut spectra, kernels);
            for (found, expected) in spectra.iter().zip(&expected) {
                assert!((f64::from(*found) - expected).abs() < 1e-4, "{length}: {found} for {expected}");
            }
        }
    }
    let stft = Stft::new(&[1.0; 20]);
    assert_eq!([19, 20, 24, 25].map(|samples| stft.frames(samples, 5)), [0, 1, 1, 2]);
}
