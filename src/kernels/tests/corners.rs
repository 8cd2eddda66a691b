//! Channels that no random test finds: constant, empty, not finite, denormal.

use super::{all_kernels, bits};
use crate::kernels::{Activation, Chain, Norm, Statistics};

const SNAKE: Activation = Activation::Snake { alpha: 0.7 };
const NORM: Norm = Norm { scale: 1.5, bias: 0.25, epsilon: 1e-5 };

#[test]
fn a_constant_channel_becomes_the_bias() {
    let chain = Chain { norm: Some(NORM), activation: Activation::None };
    for kernels in all_kernels() {
        for constant in [0.0, -0.1, 1e-42, 3.4e38, -1e6] {
            for length in [1, 2, 15, 257, 1_000] {
                let mut y = vec![0.0; length];
                chain.apply(&vec![constant; length], &mut y, kernels);
                assert_eq!(y, vec![0.25; length], "{constant}");
            }
        }
    }
}

#[test]
fn empty_time_stays_empty() {
    for kernels in all_kernels() {
        for norm in [None, Some(NORM)] {
            let chain = Chain { norm, activation: SNAKE };
            chain.apply(&[], &mut [], kernels);
            assert_eq!(Statistics::of(&[], kernels), Statistics::default());
        }
    }
}

#[test]
fn what_is_not_finite_makes_the_channel_nan() {
    for kernels in all_kernels() {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for position in [0, 7, 99] {
                let mut x = vec![1.0; 100];
                x[position] = odd;
                x[50] = 2.0;
                let chain = Chain { norm: Some(NORM), activation: SNAKE };
                let mut y = vec![0.0; 100];
                chain.apply(&x, &mut y, kernels);
                assert!(y.iter().all(|it| it.is_nan()), "{odd} at {position}");
                // Without a norm, a value is nobody else's affair.
                let chain = Chain { norm: None, activation: SNAKE };
                chain.apply(&x, &mut y, kernels);
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
        chain.apply(&x, &mut y, kernels);
        assert_eq!(bits(&y), bits(&x));
        let statistics = Statistics::of(&x, kernels);
        let unit = f64::from(f32::from_bits(1));
        assert!((statistics.mean / unit - 50.5).abs() < 1e-9, "{}", statistics.mean / unit);
        assert!((statistics.variance / unit / unit - 833.25).abs() < 1e-9);
    }
}
