//! Every instruction set against the formulas in float64, and against the portable kernels to the bit.

mod corners;
mod sine;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::{Activation, Chain, InstructionSet, Kernels, Norm, Statistics, Stft};

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

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_chain_is_what_its_formulas_say((values, start) in channel(), chain in chain()) {
        let x = &values[start..];
        let exact: Vec<f64> = x.iter().copied().map(f64::from).collect();
        let mut y = vec![0.0; x.len()];
        chain.apply(x, &mut y, portable());
        check_floats(&y, &reference(&chain, &exact))?;
        for kernels in all_kernels() {
            // One place further on, so that nothing is aligned as it was.
            let mut again = vec![0.0; x.len() + 1];
            chain.apply(x, &mut again[1..], kernels);
            prop_assert_eq!(bits(&again[1..]), bits(&y), "{:?}", kernels);
        }
    }

    #[test]
    fn any_bits_give_the_same_bits_everywhere(
        values in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..70), chain in chain(),
    ) {
        let run = |kernels| {
            let mut y = vec![0.0; values.len()];
            chain.apply(&values, &mut y, kernels);
            bits(&y)
        };
        for kernels in all_kernels() {
            prop_assert_eq!(run(kernels), run(portable()), "{:?}", kernels);
        }
    }

    #[test]
    fn statistics_are_those_of_two_passes((values, start) in channel()) {
        let x = &values[start..];
        prop_assume!(!x.is_empty());
        let exact: Vec<f64> = x.iter().copied().map(f64::from).collect();
        let expected = reference_statistics(&exact);
        for kernels in all_kernels() {
            let found = Statistics::of(x, kernels);
            let deviation = expected.variance.sqrt();
            prop_assert!((found.mean - expected.mean).abs() <= 1e-12 * (expected.mean.abs() + deviation));
            prop_assert!((found.variance - expected.variance).abs() <= 1e-11 * expected.variance);
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
