//! Channels that no random test finds: constant, empty, not finite, denormal, with ends that meet.

use super::{all_kernels, bits};
use crate::kernels::{Activation, Chain, Levels, LevelsMut, Norm, Quantization, Statistics};

const SNAKE: Activation = Activation::Snake { alpha: 0.7 };
const NORM: Norm = Norm { scale: 1.5, bias: 0.25, epsilon: 1e-5 };

#[test]
fn a_constant_channel_becomes_the_bias() {
    let chain = Chain { norm: Some(NORM), activation: Activation::None };
    for kernels in all_kernels() {
        for constant in [0.0, -0.1, 1e-42, 3.4e38, -1e6] {
            for length in [1, 2, 15, 257, 1_000] {
                let mut y = vec![0.0; length];
                chain.floats(&vec![constant; length], &mut y, kernels);
                assert_eq!(y, vec![0.25; length], "{constant}");
            }
        }
        for length in [1, 256, 257, 1_000] {
            let mut y = vec![0.0; length];
            let from = Quantization { scale: 0.1, zero: 3 };
            chain.dequantize(Levels::new(&vec![9; length], from), &mut y, kernels);
            // 0.6 as what level 9 stands for, and as the mean, differ in their last bit.
            assert!(y.iter().all(|it| (it - 0.25).abs() < 1e-4), "{:?}", y[0]);
            // The same number in both kinds of levels, and 0, which all agree on.
            for (body, end, bound) in [(9, 6, 1e-4), (3, 3, 0.0)] {
                for positions in [1, length / 3, length - length / 3, length] {
                    let (levels, ends) = (vec![body; length], vec![end; positions]);
                    let x = Levels::with_ends(&levels, from, [&ends, &ends], 2.0);
                    chain.dequantize(x, &mut y, kernels);
                    assert!(y.iter().all(|it| (it - 0.25).abs() <= bound), "{positions} of {length}: {y:?}");
                }
            }
        }
    }
}

#[test]
fn where_both_ends_name_a_position_the_first_one_counts() {
    let from = Quantization { scale: 0.5, zero: 0 };
    let chain = Chain { norm: None, activation: Activation::None };
    for kernels in all_kernels() {
        let run = |levels: &[u8], positions: usize| {
            let (first, last) = (&[10, 11, 12, 13][..positions], &[20, 21, 22, 23][..positions]);
            let mut y = vec![0.0; levels.len()];
            chain.dequantize(Levels::with_ends(levels, from, [first, last], 2.0), &mut y, kernels);
            y
        };
        assert_eq!(run(&[1, 2, 3, 4, 5], 1), [10.0, 1.0, 1.5, 2.0, 20.0]);
        assert_eq!(run(&[1, 2, 3, 4, 5], 2), [10.0, 11.0, 1.5, 20.0, 21.0]);
        assert_eq!(run(&[1, 2, 3, 4, 5], 4), [10.0, 11.0, 12.0, 13.0, 23.0]);
        assert_eq!(run(&[1, 2, 3, 4], 4), [10.0, 11.0, 12.0, 13.0]);
        assert_eq!(run(&[1], 1), [10.0]);
    }
}

#[test]
fn empty_time_stays_empty() {
    let from = Quantization { scale: 0.1, zero: 3 };
    for kernels in all_kernels() {
        for norm in [None, Some(NORM)] {
            let chain = Chain { norm, activation: SNAKE };
            chain.floats(&[], &mut [], kernels);
            chain.quantize(&[], LevelsMut::new(&mut [], from), kernels);
            for x in [Levels::new(&[], from), Levels::with_ends(&[], from, [&[], &[]], 2.0)] {
                chain.dequantize(x, &mut [], kernels);
                chain.requantize(x, LevelsMut::with_ends(&mut [], from, [&mut [], &mut []], 2.0), kernels);
                assert_eq!(Statistics::of_levels(x, kernels), Statistics::default());
            }
            assert_eq!(Statistics::of_floats(&[], kernels), Statistics::default());
        }
    }
}

#[test]
fn what_is_not_finite_makes_the_channel_nan_and_its_levels_zero() {
    let to = Quantization { scale: 0.1, zero: 200 };
    for kernels in all_kernels() {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for position in [0, 7, 99] {
                let mut x = vec![1.0; 100];
                x[position] = odd;
                x[50] = 2.0;
                let chain = Chain { norm: Some(NORM), activation: SNAKE };
                let (mut y, mut q) = (vec![0.0; 100], vec![1; 100]);
                chain.floats(&x, &mut y, kernels);
                chain.quantize(&x, LevelsMut::new(&mut q, to), kernels);
                assert!(y.iter().all(|it| it.is_nan()) && q == [0; 100], "{odd} at {position}");
                // Without a norm, a value is nobody else's affair.
                let chain = Chain { norm: None, activation: SNAKE };
                chain.floats(&x, &mut y, kernels);
                assert!(y[position].is_nan() && y.iter().filter(|it| it.is_nan()).count() == 1);
            }
        }
    }
}

#[test]
fn denormals_are_numbers_like_others() {
    let x: Vec<f32> = (1..=100).map(f32::from_bits).collect();
    let chain = Chain { norm: None, activation: Activation::LeakyRelu { slope: 0.5 } };
    for kernels in all_kernels() {
        let mut y = vec![0.0; 100];
        chain.floats(&x, &mut y, kernels);
        assert_eq!(bits(&y), bits(&x));
        let statistics = Statistics::of_floats(&x, kernels);
        let unit = f64::from(f32::from_bits(1));
        assert!((statistics.mean / unit - 50.5).abs() < 1e-9, "{}", statistics.mean / unit);
        assert!((statistics.variance / unit / unit - 833.25).abs() < 1e-9);
    }
}
