//! Snake and the square of a sine within their bounds, in float64.

use super::UNIT;
use crate::kernels::activation::{Function, Snake, sin_squared_of_half_turns};

#[test]
fn the_square_of_the_sine_is_within_its_bound() {
    let step = if cfg!(miri) { 2_000_003 } else { 251 };
    let mut worst = (0.0, 0.0);
    // From 2⁻⁴⁰ to one half; both signs are one function of the square.
    for pattern in (0x2b80_0000..=0x3f00_0000_u32).step_by(step) {
        let t = f32::from_bits(pattern);
        let exact = (f64::from(t) * std::f64::consts::PI).sin().powi(2);
        let error = (f64::from(sin_squared_of_half_turns(t)) - exact).abs() / exact;
        worst = if error > worst.0 { (error, t) } else { worst };
        assert_eq!(sin_squared_of_half_turns(-t).to_bits(), sin_squared_of_half_turns(t).to_bits(), "{t}");
    }
    assert!(worst.0 <= 4.3e-7, "{worst:?}");
}

#[test]
fn the_phase_is_within_its_bound_far_out() {
    let step = if cfg!(miri) { 1_000_003 } else { 1_009 };
    for alpha in [1.0_f32, 0.006_376_2, 2.33, -0.4] {
        let snake = Snake::new(alpha);
        // From 2⁻¹⁰ to some 10⁷ over alpha.
        for r in (0x3a80_0000..=0x4b00_0000_u32).step_by(step).map(f32::from_bits) {
            let (alpha, r64) = (f64::from(alpha), f64::from(r));
            let phase = alpha * r64;
            if phase.abs() > 1e7 {
                break;
            }
            let square = phase.sin().powi(2);
            let exact = r64 + square / alpha;
            let bound = (6.4e-7 * square + 1.2e-7 * phase.abs()) / alpha.abs()
                + UNIT * (2.0 * (square / alpha).abs() + exact.abs());
            let error = (f64::from(snake.of(r)) - exact).abs();
            assert!(error <= bound, "{alpha} · {r}: off by {error} of {bound}");
        }
    }
}

#[test]
fn beyond_all_bounds_the_square_stays_one_of_a_sine() {
    for exponent in 0..=127 {
        for fraction in [0, 0x12_3456, 0x40_0000, 0x7f_ffff] {
            let t = f32::from_bits((exponent + 127) << 23 | fraction);
            if t.is_finite() {
                assert!((0.0..=1.000_001).contains(&sin_squared_of_half_turns(t)), "{t}");
            }
        }
    }
    for t in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        assert!(sin_squared_of_half_turns(t).is_nan(), "{t}");
    }
}
