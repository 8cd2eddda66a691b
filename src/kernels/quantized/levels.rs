//! Activations as levels of 8 or 16 bits, with one scale for each position in time.
//!
//! They are made in one pass for all convolutions that read them, and kept in blocks of 64
//! positions. To quantize again for each tile would cost the reach of the taps, up to 50 of 64
//! positions.

use std::cell::Cell;

use super::super::activation::{Function, Identity, LeakyRelu, ROUNDING, Snake};
use super::super::chain::Line;
use super::super::dispatch::Kernel;
use super::super::dot::SIDE;
use super::super::vectors::Vectors;
use super::super::{Activation, Kernels, Norm, Statistics};

/// So many positions lie together.
pub const BLOCK: usize = 64;

/// About so many values of a part are floats at once: a quarter of the second cache.
const AT_ONCE: usize = 1 << 16;

/// So many blocks a part has at most.
const MOST_BLOCKS: usize = 8;

/// Below it, the largest value of a position is taken for 0: 32,639 over it would be infinite.
const LEAST: f32 = 1e-34;

/// How fine levels are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// From −127 to 127.
    #[default]
    Bits8,
    /// From −32639 to 32639, in two planes: `256 · upper + lower`, both from −128 to 127.
    Bits16,
}

impl Precision {
    fn largest(self) -> f32 {
        match self {
            Self::Bits8 => 127.0,
            Self::Bits16 => 32_639.0,
        }
    }

    pub(super) fn planes(self) -> usize {
        match self {
            Self::Bits8 => 1,
            Self::Bits16 => 2,
        }
    }
}

/// A channel, and what is done to it before it is quantized.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    pub(in crate::kernels) line: Line,
    pub(in crate::kernels) activation: Activation,
}

impl Channel {
    /// A norm, if there is one, whose mean and variance are `statistics`, then an activation.
    pub fn new(norm: Option<Norm>, activation: Activation, statistics: impl FnOnce() -> Statistics) -> Self {
        Self { line: Line::through(norm, statistics), activation }
    }
}

/// `x ≈ d[t] · q[c, t]`, where `d[t]` is the largest magnitude of the position over the largest level, and `q` is rounded half to even.
/// Where a value of a position is not finite, its scale is NaN.
#[derive(Debug, Default)]
pub struct Levels {
    /// [blocks, planes, groups of four channels]. What there is beyond the channels and the time is 0.
    pub(super) bytes: Vec<[[i8; SIDE]; BLOCK]>,
    /// [blocks · `BLOCK`].
    pub(super) scales: Vec<f32>,
    pub(super) groups: usize,
    pub(super) precision: Precision,
}

/// Some of the positions.
#[derive(Debug)]
pub struct LevelsPart<'a> {
    levels: &'a mut [[[i8; SIDE]; BLOCK]],
    scales: &'a mut [f32],
    start: usize,
    precision: Precision,
}

impl Levels {
    /// Of nothing.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), scales: Vec::new(), groups: 0, precision: Precision::Bits8 }
    }

    /// Makes place for a tensor [C, T], and deals it in parts that can be computed side by side.
    pub fn parts(&mut self, channels: usize, time: usize, precision: Precision) -> Vec<LevelsPart<'_>> {
        (self.groups, self.precision) = (channels.div_ceil(SIDE), precision);
        let (blocks, of_block) = (time.div_ceil(BLOCK), precision.planes() * self.groups);
        self.bytes.resize(blocks * of_block, [[0; SIDE]; BLOCK]);
        self.scales.resize(blocks * BLOCK, 0.0);
        let at_once = (AT_ONCE / channels.max(1) / BLOCK).clamp(1, MOST_BLOCKS);
        let levels = self.bytes.chunks_mut((at_once * of_block).max(1));
        let parts = levels.zip(self.scales.chunks_mut(at_once * BLOCK)).enumerate();
        let part = |(part, (levels, scales))| {
            let start = part * at_once * BLOCK;
            LevelsPart { levels, scales, start, precision }
        };
        parts.map(part).collect()
    }
}

impl Default for Channel {
    /// One that is quantized as it is.
    fn default() -> Self {
        Self { line: Line::IDENTITY, activation: Activation::None }
    }
}

impl LevelsPart<'_> {
    /// Computes a part, of `x: [C, T]`.
    ///
    /// # Panics
    /// If `x` is not of as many channels.
    pub fn compute(self, x: &[f32], channels: &[Channel], kernels: Kernels) {
        assert!(x.len().is_multiple_of(channels.len()), "whole channels");
        let time = x.len() / channels.len();
        thread_local!(static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) });
        SCRATCH.with(|kept| {
            let mut scratch = kept.take();
            let Self { levels, scales, start, precision } = self;
            let width = scales.len();
            let groups = channels.len().div_ceil(SIDE);
            let there = width.min(time - start);
            scratch.clear();
            scratch.resize(groups * SIDE * width, 0.0);
            // The largest magnitudes, as the bits of floats, whose order is that of the floats, infinity and NaN above all.
            let mut largest = [0_u32; MOST_BLOCKS * BLOCK];
            let rows = x.chunks_exact(time.max(1)).zip(scratch.chunks_exact_mut(width)).zip(channels);
            for ((x, values), &Channel { line, activation }) in rows {
                let (x, values) = (&x[start..start + there], &mut values[..there]);
                let largest = &mut largest[..there];
                match activation {
                    Activation::None => {
                        kernels.run(Activate { x, values, largest, line, function: Identity });
                    }
                    Activation::LeakyRelu { slope } => {
                        let function = LeakyRelu { slope };
                        kernels.run(Activate { x, values, largest, line, function });
                    }
                    Activation::Snake { alpha } => {
                        let function = Snake::new(alpha);
                        kernels.run(Activate { x, values, largest, line, function });
                    }
                }
            }
            let (values, largest) = (&scratch[..], &largest[..width]);
            kernels.run(Quantize { values, largest, levels, scales, groups, precision });
            kept.set(scratch);
        });
    }
}

struct Activate<'a, F> {
    x: &'a [f32],
    values: &'a mut [f32],
    largest: &'a mut [u32],
    line: Line,
    function: F,
}

impl<F: Function> Kernel for Activate<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _: V) {
        let Self { x, values, largest, line, function } = self;
        for ((value, &x), largest) in values.iter_mut().zip(x).zip(largest) {
            *value = function.of(line.at(x));
            *largest = (value.to_bits() & !(1 << 31)).max(*largest);
        }
    }
}

struct Quantize<'a> {
    values: &'a [f32],
    largest: &'a [u32],
    levels: &'a mut [[[i8; SIDE]; BLOCK]],
    scales: &'a mut [f32],
    groups: usize,
    precision: Precision,
}

impl Kernel for Quantize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _: V) {
        let Self { values, largest, levels, scales, groups, precision } = self;
        let width = scales.len();
        let mut inverses = [0.0_f32; MOST_BLOCKS * BLOCK];
        for ((scale, inverse), &largest) in scales.iter_mut().zip(&mut inverses).zip(largest) {
            let largest = f32::from_bits(largest);
            *scale = if largest < LEAST { 0.0 } else { largest / precision.largest() };
            *scale = if largest < f32::INFINITY { *scale } else { f32::NAN };
            *inverse = if largest < LEAST { 0.0 } else { precision.largest() / largest };
        }
        for (block, levels) in levels.chunks_exact_mut(precision.planes() * groups).enumerate() {
            let at = block * BLOCK;
            let Some(inverses) = inverses[at..].first_chunk::<BLOCK>() else { return };
            let (upper, lower) = levels.split_at_mut(groups);
            for group in 0..groups {
                let row = |side: usize| values[(group * SIDE + side) * width + at..].first_chunk::<BLOCK>();
                let (Some(a), Some(b), Some(c), Some(d)) = (row(0), row(1), row(2), row(3)) else { return };
                // Not `map`, which is not compiled for the instruction set.
                let levels = |position: usize| {
                    let inverse = inverses[position];
                    let [a, b, c, d] = [a[position], b[position], c[position], d[position]];
                    [level(a, inverse), level(b, inverse), level(c, inverse), level(d, inverse)]
                };
                match precision {
                    Precision::Bits8 => {
                        for (position, place) in upper[group].iter_mut().enumerate() {
                            *place = packed(levels(position));
                        }
                    }
                    Precision::Bits16 => {
                        let places = upper[group].iter_mut().zip(&mut lower[group]).enumerate();
                        for (position, (upper, lower)) in places {
                            let [a, b, c, d] = levels(position);
                            *lower = packed([a, b, c, d]);
                            *upper = packed([(a + 128) >> 8, (b + 128) >> 8, (c + 128) >> 8, (d + 128) >> 8]);
                        }
                    }
                }
            }
        }
    }
}

/// The integer next to `value · inverse`, in its lowest 22 bits.
#[inline(always)]
fn level(value: f32, inverse: f32) -> i32 {
    (value * inverse + ROUNDING).to_bits() as i32 - ROUNDING.to_bits() as i32
}

/// The lowest bytes.
#[inline(always)]
fn packed([a, b, c, d]: [i32; SIDE]) -> [i8; SIDE] {
    let [a, b, c, d] = (a & 255 | (b & 255) << 8 | (c & 255) << 16 | d << 24).to_le_bytes();
    [a as i8, b as i8, c as i8, d as i8]
}
