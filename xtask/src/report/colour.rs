//! Colours of spectrograms: even steps of a value are even steps to the eye.
//!
//! Both maps are drawn in Oklab, in which equal distances look equal. Source: B. Ottosson, *A perceptual color space
//! for image processing* (2020), <https://bottosson.github.io/posts/oklab/>.

use std::f64::consts::TAU;

/// How many steps a map has: fewer than an eye tells apart side by side, so that pictures stay small.
pub(super) const STEPS: usize = 64;

/// Red, green and blue.
pub(super) type Rgb = [u8; 3];

/// From silence to the loudest: lightness rises evenly from near black over violet and red to light yellow, so the
/// order is kept for every kind of colour vision and on paper.
pub(super) fn sequential() -> [Rgb; STEPS] {
    std::array::from_fn(|at| {
        let share = at as f64 / (STEPS - 1) as f64;
        // Hue from 285° (violet) over 0° (pink) to 100° (yellow).
        let hue = (285.0 + 175.0 * share) / 360.0 * TAU;
        let chroma = 0.03 + 0.13 * (share * TAU / 2.0).sin();
        oklch(0.14 + 0.82 * share, chroma, hue)
    })
}

/// From quieter over equal to louder: blue, near black, orange. These two hues stay apart for every common kind of
/// colour vision, and both sides get lighter alike.
pub(super) fn diverging() -> [Rgb; STEPS] {
    std::array::from_fn(|at| {
        let side = 2.0 * at as f64 / (STEPS - 1) as f64 - 1.0;
        let hue = if side < 0.0 { 245.0 } else { 65.0 } / 360.0 * TAU;
        oklch(0.16 + 0.72 * side.abs(), 0.14 * side.abs(), hue)
    })
}

/// A colour of the given lightness, chroma and hue in radians. What the screen cannot show is paler.
fn oklch(lightness: f64, mut chroma: f64, hue: f64) -> Rgb {
    loop {
        let linear = oklab_to_linear(lightness, chroma * hue.cos(), chroma * hue.sin());
        if chroma < 1e-3 || linear.iter().all(|value| (-1e-4..=1.0001).contains(value)) {
            return linear.map(|value| (255.0 * gamma(value.clamp(0.0, 1.0))).round() as u8);
        }
        chroma *= 0.95;
    }
}

fn oklab_to_linear(lightness: f64, a: f64, b: f64) -> [f64; 3] {
    let long = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let medium = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let short = (lightness - 0.089_484_177_5 * a - 1.291_485_548 * b).powi(3);
    [
        4.076_741_662_1 * long - 3.307_711_591_3 * medium + 0.230_969_929_2 * short,
        -1.268_438_004_6 * long + 2.609_757_401_1 * medium - 0.341_319_396_5 * short,
        -0.004_196_086_3 * long - 0.703_418_614_7 * medium + 1.707_614_701 * short,
    ]
}

/// The transfer function of sRGB, IEC 61966-2-1.
fn gamma(linear: f64) -> f64 {
    if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The relative luminance of WCAG 2, without its rounding.
    fn luminance(colour: Rgb) -> f64 {
        let linear = colour.map(|value| {
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn known_colours_come_out() {
        assert_eq!(oklch(1.0, 0.0, 0.0), [255; 3]);
        assert_eq!(oklch(0.0, 0.0, 0.0), [0; 3]);
        // Pure red is lightness 0.628, chroma 0.2577, hue 29.23°.
        let red = oklch(0.627_955, 0.257_683, 29.2339_f64.to_radians());
        assert!(red[0] >= 254 && red[1] <= 3 && red[2] <= 3, "{red:?}");
    }

    #[test]
    fn louder_is_always_lighter() {
        let map = sequential().map(luminance);
        assert!(map.windows(2).all(|pair| pair[0] < pair[1]), "{map:?}");
        assert!(map[0] < 0.01 && map[STEPS - 1] > 0.8);
    }

    #[test]
    fn both_sides_of_a_difference_are_alike_and_told_apart() {
        let map = diverging();
        for at in 0..STEPS / 2 - 1 {
            let (quieter, louder) = (map[at], map[STEPS - 1 - at]);
            assert!(luminance(quieter) > luminance(map[at + 1]), "step {at}");
            assert!(luminance(louder) > luminance(map[STEPS - 2 - at]), "step {at}");
        }
        let ([red, _, blue], [other_red, _, other_blue]) = (map[0], map[STEPS - 1]);
        assert!(blue > red && other_red > other_blue);
    }
}
