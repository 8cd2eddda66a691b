//! The arithmetic of symmetric INT8: scales, rounding, and scales chosen by squared error.
//!
//! A weight `w` is stored as `q = round(w / s)` and stands for `q · s`, one scale `s` per channel and no zero
//! point. [`absmax_scales`] and [`quantize`] are those of `onnxruntime.quantization`, to the bit.

use crate::error::{Error, ErrorKind, Result};

/// A weight seen as `[outer, channels, inner]`, row-major: one scale for each of `channels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Product of the dimensions before the channel axes.
    pub outer: usize,
    /// Product of the channel axes.
    pub channels: usize,
    /// Product of the dimensions behind the channel axes.
    pub inner: usize,
}

impl Channels {
    /// The view of a tensor of shape `dims` whose channel axes are `axes`, a contiguous range.
    pub fn new(dims: &[usize], axes: std::ops::Range<usize>) -> Self {
        Self {
            outer: dims[..axes.start].iter().product(),
            channels: dims[axes.clone()].iter().product(),
            inner: dims[axes.end..].iter().product(),
        }
    }

    /// The values of one channel, one after the other.
    fn gather(self, values: &[f32], channel: usize, into: &mut Vec<f32>) {
        into.clear();
        for outer in 0..self.outer {
            let start = (outer * self.channels + channel) * self.inner;
            into.extend_from_slice(&values[start..start + self.inner]);
        }
    }
}

/// Refuses weights that are no numbers: a model that has some is broken.
///
/// # Errors
/// [`ErrorKind::Tensor`], naming the tensor and the position of the first NaN.
pub fn check_numbers(name: &str, values: &[f32]) -> Result<()> {
    match values.iter().position(|value| value.is_nan()) {
        None => Ok(()),
        Some(at) => Err(Error::tensor(
            ErrorKind::Tensor,
            name,
            format!("expected finite weights, found NaN at element {at}"),
        )),
    }
}

/// Why a weight cannot be held by eight bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It has infinities.
    Infinite,
    /// It has values that would be lost: near the end of its type's range, or so far apart that
    /// most others become 0.
    Range,
}

/// Tells weights whose values INT8 scales cannot hold: infinities, and magnitudes above half of
/// `largest`, the largest number of their type, which rounding could take to infinity.
///
/// # Errors
/// The [`Loss`].
pub fn check_range(values: &[f32], largest: f64) -> std::result::Result<(), Loss> {
    if values.iter().any(|value| value.is_infinite()) {
        return Err(Loss::Infinite);
    }
    let half = (largest.min(f64::from(f32::MAX)) / 2.0) as f32;
    if absmax(values) > half { Err(Loss::Range) } else { Ok(()) }
}

/// Tells weights of which more than half of what is not 0 has become 0.
///
/// # Errors
/// The [`Loss`].
pub fn check_levels<T: Default + PartialEq>(values: &[f32], levels: &[T]) -> std::result::Result<(), Loss> {
    let zero = T::default();
    let (mut there, mut lost) = (0usize, 0usize);
    for (value, level) in values.iter().zip(levels) {
        there += usize::from(*value != 0.0);
        lost += usize::from(*value != 0.0 && *level == zero);
    }
    if 2 * lost > there { Err(Loss::Range) } else { Ok(()) }
}

/// Per channel, the scale that maps the largest magnitude to 127.
///
/// The division is done in f64 over the whole symmetric range, `2·max / 254`, and then rounded to f32; a
/// channel whose scale would be below the smallest normal number gets the scale 1.
/// (onnxruntime 1.26, `quant_utils.compute_scale_zp` with symmetric int8. That tool doubles in f32, so beyond
/// 1.7e38 its scales are infinite; here they stay finite.)
pub fn absmax_scales(values: &[f32], view: Channels) -> Vec<f32> {
    absmax_scales_to(values, view, Range::INT8)
}

/// [`absmax_scales`] that map the largest magnitude to the largest level of `range`.
fn absmax_scales_to(values: &[f32], view: Channels, range: Range) -> Vec<f32> {
    let mut largest = vec![0f32; view.channels];
    for row in values.chunks_exact((view.channels * view.inner).max(1)) {
        if view.inner == 1 {
            for (largest, value) in largest.iter_mut().zip(row) {
                *largest = largest.max(value.abs());
            }
        } else {
            for (largest, values) in largest.iter_mut().zip(row.chunks_exact(view.inner)) {
                *largest = largest.max(absmax(values));
            }
        }
    }
    largest.into_iter().map(|largest| scale_of(largest, range)).collect()
}

/// The largest magnitude of a slice; a maximum does not depend on the order, so lanes are free to be used.
fn absmax(values: &[f32]) -> f32 {
    let (blocks, rest) = values.as_chunks::<8>();
    let mut lanes = [0f32; 8];
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane = lane.max(value.abs());
        }
    }
    lanes.iter().chain(rest).fold(0f32, |largest, value| largest.max(value.abs()))
}

fn scale_of(largest: f32, range: Range) -> f32 {
    let scale = 2.0 * f64::from(largest) / (2.0 * f64::from(range.largest));
    if scale < f64::from(f32::MIN_POSITIVE) { 1.0 } else { scale as f32 }
}

/// The levels that a symmetric integer of some bits has: from `-largest - 1` to `largest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    largest: u16,
}

impl Range {
    /// Eight bits: −128 to 127.
    pub const INT8: Self = Self { largest: 127 };

    /// The range of an integer with `extra` bits below the eight of an int8.
    ///
    /// # Panics
    /// More than 4 extra bits: float16 has no room for their sums.
    pub fn with_extra_bits(extra: u32) -> Self {
        assert!(extra <= 4, "at most 4 extra bits, not {extra}");
        Self { largest: (128 << extra) - 1 }
    }
}

/// Quantizes with one scale per channel: `clamp(round_ties_even(w / s), −128, 127)`.
pub fn quantize(values: &[f32], view: Channels, scales: &[f32]) -> Vec<i8> {
    levels(values, view, scales, Range::INT8, |level| level as i8)
}

/// [`quantize`] to the levels of `range`.
pub fn quantize_to(values: &[f32], view: Channels, scales: &[f32], range: Range) -> Vec<i16> {
    levels(values, view, scales, range, |level| level as i16)
}

fn levels<T>(values: &[f32], view: Channels, scales: &[f32], range: Range, to: fn(f32) -> T) -> Vec<T> {
    let mut quantized = Vec::with_capacity(values.len());
    for row in values.chunks_exact((view.channels * view.inner).max(1)) {
        if view.inner == 1 {
            quantized.extend(row.iter().zip(scales).map(|(&value, &scale)| to(level(value / scale, range))));
        } else {
            for (values, &scale) in row.chunks_exact(view.inner).zip(scales) {
                quantized.extend(values.iter().map(|&value| to(level(value / scale, range))));
            }
        }
    }
    quantized
}

/// Rounds half to even and clamps to `range`, still as a float.
///
/// Adding and subtracting 1.5 · 2²³ leaves no room for a fraction in an f32, so the hardware's own rounding
/// (ties to even) does the work: exact below 2²², on every target, and vectorized even where there is no
/// rounding instruction. So are the two comparisons; `clamp` may panic, which keeps a loop from being vectorized.
#[inline]
fn level(ratio: f32, range: Range) -> f32 {
    const NO_FRACTION: f32 = 12_582_912.0;
    let largest = f32::from(range.largest);
    let least = -largest - 1.0;
    let ratio = if ratio < least { least } else { ratio };
    let ratio = if ratio > largest { largest } else { ratio };
    (ratio + NO_FRACTION) - NO_FRACTION
}

/// Per channel, the scale with the least squared error `Σ (w − q·s)²`.
///
/// Clipping the few largest weights can pay for finer steps for all others: scales from 100 % down to 70 % of
/// the full range are tried, and the best is refined by least squares, `s = Σ w·q / Σ q²`, as long as that
/// lowers the error. Sums run over eight fixed lanes, so they are the same on every machine.
pub fn least_squares_scales(values: &[f32], view: Channels, range: Range) -> Vec<f32> {
    let mut channel_values = Vec::new();
    let mut best = absmax_scales_to(values, view, range);
    for (channel, scale) in best.iter_mut().enumerate() {
        view.gather(values, channel, &mut channel_values);
        *scale = least_squares_scale(&channel_values, *scale, range);
    }
    best
}

fn least_squares_scale(values: &[f32], full: f32, range: Range) -> f32 {
    const STEPS: u8 = 16;
    const STEP: f32 = 0.02;
    const REFINEMENTS: usize = 4;
    let channel = Channel::new(values, range);
    let (mut best, mut least) = (full, channel.error(full, f32::INFINITY));
    for step in 1..STEPS {
        let scale = full * (1.0 - STEP * f32::from(step));
        let error = channel.error(scale, least);
        if error < least {
            (best, least) = (scale, error);
        }
    }
    for _ in 0..REFINEMENTS {
        let scale = channel.refined(best);
        let error = channel.error(scale, least);
        if error >= least {
            break;
        }
        (best, least) = (scale, error);
    }
    best
}

/// Sums that run side by side: each takes every eighth value.
type Lanes = [f32; 8];

/// The values of one channel, in blocks as long as there are lanes.
struct Channel<'a> {
    blocks: &'a [Lanes],
    /// Those that fill no block, and zeros, which are on every grid and add nothing.
    rest: Lanes,
    range: Range,
}

impl<'a> Channel<'a> {
    fn new(values: &'a [f32], range: Range) -> Self {
        let (blocks, tail) = values.as_chunks();
        let mut rest = Lanes::default();
        rest[..tail.len()].copy_from_slice(tail);
        Self { blocks, rest, range }
    }

    /// The squared error that `scale` makes. A sum that has reached `limit` is returned as it is, since squares make it no
    /// smaller.
    fn error(&self, scale: f32, limit: f32) -> f32 {
        // So many that to look at the sum costs nothing beside them.
        const BLOCKS: usize = 16;
        let mut sums = Lanes::default();
        for blocks in self.blocks.chunks(BLOCKS) {
            for block in blocks {
                self.add_errors(block, scale, &mut sums);
            }
            let sum = sums.iter().sum();
            if sum >= limit {
                return sum;
            }
        }
        self.add_errors(&self.rest, scale, &mut sums);
        sums.iter().sum()
    }

    #[inline]
    fn add_errors(&self, block: &Lanes, scale: f32, sums: &mut Lanes) {
        for (sum, &value) in sums.iter_mut().zip(block) {
            let difference = value - level(value / scale, self.range) * scale;
            *sum += difference * difference;
        }
    }

    /// The scale with the least error for the levels that `scale` gives; `scale` itself where that is no number.
    fn refined(&self, scale: f32) -> f32 {
        let (mut products, mut squares) = (Lanes::default(), Lanes::default());
        for block in self.blocks.iter().chain([&self.rest]) {
            for ((product, square), &value) in products.iter_mut().zip(&mut squares).zip(block) {
                let level = level(value / scale, self.range);
                *product += value * level;
                *square += level * level;
            }
        }
        let refined = products.iter().sum::<f32>() / squares.iter().sum::<f32>();
        if refined.is_normal() && refined > 0.0 { refined } else { scale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_half_to_even_and_saturates() {
        for (ratio, expected) in [
            (0.5, 0.0),
            (1.5, 2.0),
            (-0.5, 0.0),
            (-2.5, -2.0),
            (0.499_999_97, 0.0),
            (126.5, 126.0),
            (127.6, 127.0),
            (1e30, 127.0),
            (-1e30, -128.0),
        ] {
            assert_eq!(level(ratio, Range::INT8), expected, "{ratio}");
        }
    }

    #[test]
    fn rounding_agrees_with_the_standard_library_everywhere() {
        let mut ratio = -127.5f32;
        while ratio < 127.0 {
            assert_eq!(level(ratio, Range::INT8), ratio.round_ties_even(), "{ratio}");
            ratio += 0.003_906_25;
        }
    }

    #[test]
    fn scales_by_hand() {
        // Rows are input channels, columns are output channels: [2, 3] with one scale per column.
        let view = Channels::new(&[2, 3], 1..2);
        let values = [1.27, -0.5, 0.0, -0.3, 0.254, 0.0];
        let scales = absmax_scales(&values, view);
        assert_eq!(scales, [0.01, (1.0f64 / 254.0) as f32, 1.0]);
        assert_eq!(quantize(&values, view, &scales), [127, -127, 0, -30, 65, 0]);
    }

    #[test]
    fn channel_views_follow_the_axes() {
        assert_eq!(Channels::new(&[4, 3, 5], 0..1), Channels { outer: 1, channels: 4, inner: 15 });
        assert_eq!(Channels::new(&[4, 3, 5], 1..2), Channels { outer: 4, channels: 3, inner: 5 });
        assert_eq!(Channels::new(&[4, 3, 5], 0..2), Channels { outer: 1, channels: 12, inner: 5 });
        let mut one = Vec::new();
        let values: Vec<f32> = (0..24u8).map(f32::from).collect();
        Channels::new(&[4, 3, 2], 1..2).gather(&values, 1, &mut one);
        assert_eq!(one, [2.0, 3.0, 8.0, 9.0, 14.0, 15.0, 20.0, 21.0]);
    }

    #[test]
    fn least_squares_never_loses_to_the_largest_magnitude() {
        // Twenty thousand small weights and one that is 3 % larger: clipping it pays.
        let mut values: Vec<f32> = (0..20_000u16).map(|i| (f32::from(i) * 0.37).sin() * 0.1).collect();
        values.push(0.103);
        let view = Channels { outer: 1, channels: 1, inner: values.len() };
        let error = |scale: f32| {
            let q = quantize(&values, view, &[scale]);
            values.iter().zip(&q).map(|(w, &q)| f64::from(w - f32::from(q) * scale).powi(2)).sum::<f64>()
        };
        let (full, fitted) =
            (absmax_scales(&values, view)[0], least_squares_scales(&values, view, Range::INT8)[0]);
        assert!(fitted < full);
        assert!(error(fitted) < 0.99 * error(full), "{} against {}", error(fitted), error(full));
    }

    #[test]
    fn each_extra_bit_halves_the_error() {
        let values: Vec<f32> = (0..4_096u16).map(|i| (f32::from(i) * 0.37).sin() * 0.1).collect();
        let view = Channels { outer: 1, channels: 4, inner: 1_024 };
        let error = |extra: u32| {
            let range = Range::with_extra_bits(extra);
            let scales = least_squares_scales(&values, view, range);
            let levels = quantize_to(&values, view, &scales, range);
            let stored = levels.iter().enumerate().map(|(at, &level)| f32::from(level) * scales[at / 1_024]);
            values.iter().zip(stored).map(|(w, stored)| f64::from(w - stored).powi(2)).sum::<f64>().sqrt()
        };
        for extra in 1..=4 {
            let ratio = error(extra - 1) / error(extra);
            assert!((1.7..2.3).contains(&ratio), "{extra} extra bits: {ratio}");
        }
        assert_eq!(Range::with_extra_bits(0), Range::INT8);
        assert_eq!(
            quantize_to(
                &[1e9, -1e9],
                Channels { outer: 1, channels: 1, inner: 2 },
                &[1.0],
                Range::with_extra_bits(2)
            ),
            [511, -512]
        );
    }

    #[test]
    fn weights_on_the_grid_come_back_exactly() {
        let values: Vec<f32> = (-127..=127i16).map(|q| f32::from(q) * 0.031_25).collect();
        let view = Channels { outer: 1, channels: 1, inner: values.len() };
        let scales = least_squares_scales(&values, view, Range::INT8);
        let q = quantize(&values, view, &scales);
        assert!(values.iter().zip(&q).all(|(&value, &q)| value == f32::from(q) * scales[0]));
    }

    #[test]
    fn weights_without_a_number_are_named() {
        let error = check_numbers("w", &[0.0, f32::NAN]).unwrap_err();
        assert_eq!(error.to_string(), "tensor `w`: expected finite weights, found NaN at element 1");
    }

    #[test]
    fn what_scales_cannot_hold_is_told() {
        let f32_largest = f64::from(f32::MAX);
        assert_eq!(check_range(&[0.0, 1e38], f32_largest), Ok(()));
        assert_eq!(check_range(&[0.0, f32::NEG_INFINITY], f32_largest), Err(Loss::Infinite));
        assert_eq!(check_range(&[0.0, f32::MIN], f32_largest), Err(Loss::Range));
        assert_eq!(check_range(&[0.0, -65_504.0], 65_504.0), Err(Loss::Range));
        assert_eq!(check_levels(&[0.0, 0.0, 1.0, 2.0, 3.0], &[0, 0, 0, 1, 2]), Ok(()));
        assert_eq!(check_levels(&[0.0, 1.0, 2.0, 1e9], &[0, 0, 0, 127]), Err(Loss::Range));
        assert_eq!(check_levels::<i8>(&[0.0; 3], &[0; 3]), Ok(()));
    }
}
