//! Convolutions over time with half of the multiplications.
//!
//! Weights are transformed on each call, by each thread for what it computes: stored, they would be
//! 1.75 to 2.5 times as large.

mod product;
#[cfg(test)]
mod tests;
mod winograd;

use std::cell::RefCell;

use self::product::{Factors, ROWS};
use self::winograd::{Filter, Four, MOST, OUTPUTS, Three, Two};
use super::Kernels;
use super::dispatch::Kernel;
use super::vectors::Vectors;

/// So many input channels are summed up before the next ones are looked at: what they are at the points stays in the second cache.
const CHANNELS: usize = 256;

/// About so many rows of weights, and so many groups of [`OUTPUTS`] positions, one thread takes at once.
const ROWS_AT_ONCE: usize = 256;
const GROUPS_AT_ONCE: usize = 192;

/// Columns of the products come in so many.
const COLUMNS: usize = 16;

/// A convolution over time with a stride of 1, by minimal filtering (`convolution/winograd.rs`).
///
/// With C input channels, K taps, the dilation `d`, `p` zeros in front and `q` behind, the input of T positions gives `T + p + q − d·(K − 1)`
/// positions of `m = 1 … M`: `y[m, t] = b[m] + Σ w[m, c, k] · x[c, t + d·k − p]`.
///
/// Taps are dealt in parts of four, or are one part of two or three. Four outputs `d` positions apart take 7 multiplications for each part of
/// four, channel and row, 6 for three taps, 5 for two: of what a plain sum takes, ½ for 3 and 7 taps, 0.48 for 11, 0.63 for 2.
///
/// The error is two to three times that of float32 sums (see there): about 10⁻⁶ of the root mean square of `y`. A value that is infinite makes
/// NaN of the other three, and of what is near. The bits are the same for every instruction set and any division of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// C.
    pub channels: usize,
    /// K, from 2 on; of what is [quantized](Self::quantized), from 1 on.
    pub taps: usize,
    /// The distance between two taps, from 1 on.
    pub dilation: usize,
    /// How many zeros there are in front of the input and behind it.
    pub pads: [usize; 2],
    /// Where it is more than 1: so many rows are one output channel, whose positions they have in turn, as in the polyphase form of
    /// a transposed convolution of this stride.
    pub phases: usize,
}

/// Some rows of the output at some positions.
#[derive(Debug)]
pub struct Part<'y> {
    /// The first output channel.
    pub(super) channel: usize,
    /// The first position.
    pub(super) position: usize,
    /// The place for each channel.
    pub(super) y: Vec<&'y mut [f32]>,
}

impl<'y> Part<'y> {
    /// All of `y`, rows of `length`, in parts of so many `channels` and `positions`.
    ///
    /// # Panics
    /// If one of the numbers is 0.
    pub(super) fn all(y: &'y mut [f32], length: usize, channels: usize, positions: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        for (block, y) in y.chunks_mut(channels * length).enumerate() {
            let first = parts.len();
            let part = |index| Self { channel: block * channels, position: index * positions, y: Vec::new() };
            parts.extend((0..length.div_ceil(positions)).map(part));
            for row in y.chunks_exact_mut(length) {
                for (part, y) in parts[first..].iter_mut().zip(row.chunks_mut(positions)) {
                    part.y.push(y);
                }
            }
        }
        parts
    }
}

impl Convolution {
    /// How many positions the output has, for an input of `time`; 0 where the taps do not fit.
    pub fn length(&self, time: usize) -> usize {
        let reach = self.dilation * (self.taps - 1);
        (time + self.pads[0] + self.pads[1]).saturating_sub(reach) * self.phases
    }

    /// The output [M / `phases`, `length`] in parts that can be computed side by side.
    ///
    /// # Panics
    /// If `length` is 0.
    pub fn parts<'y>(&self, y: &'y mut [f32], length: usize) -> Vec<Part<'y>> {
        let groups = (GROUPS_AT_ONCE / self.dilation).max(1);
        let positions = groups * OUTPUTS * self.dilation * self.phases;
        Part::all(y, length, (ROWS_AT_ONCE / self.phases).max(1), positions)
    }

    /// Computes a part, of `x: [C, T]`, `w: [M, C, K]` and, if there is one, `bias: [M]`.
    ///
    /// # Panics
    /// If `x` or `w` is not of whole channels, or `w` or the bias has not as many rows as the part needs.
    pub fn compute(&self, x: &[f32], w: &[f32], bias: Option<&[f32]>, part: Part<'_>, kernels: Kernels) {
        let rows = part.channel * self.phases..(part.channel + part.y.len()) * self.phases;
        let w = &w[rows.start * self.channels * self.taps..rows.end * self.channels * self.taps];
        let bias = bias.map(|bias| &bias[rows]);
        assert!(x.len().is_multiple_of(self.channels), "whole channels");
        thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
        SCRATCH.with_borrow_mut(|scratch| {
            let work = Work { convolution: *self, x, w, bias, part, scratch };
            match self.taps {
                2 => kernels.run(Run::<Two>(work, std::marker::PhantomData)),
                3 => kernels.run(Run::<Three>(work, std::marker::PhantomData)),
                _ => kernels.run(Run::<Four>(work, std::marker::PhantomData)),
            }
        });
    }
}

/// Memory that each thread keeps, so that the system is not asked for it again and again: up to three megabytes.
#[derive(Default)]
struct Scratch {
    /// A channel of the input, every fourth position in one plane.
    planes: [Vec<f32>; OUTPUTS],
    /// A channel with its zeros.
    padded: Vec<f32>,
    /// Inputs at the points: [points, channels, columns].
    x: Vec<f32>,
    /// Weights, every fourth tap in one plane: [parts, channels, `ROWS`].
    taps: [Vec<f32>; 4],
    /// Weights at the points: [points, parts, channels, `ROWS`].
    w: Vec<f32>,
    /// Products at the points: [rows / `ROWS`, points, `ROWS`, columns].
    m: Vec<f32>,
}

struct Work<'a, 'y> {
    convolution: Convolution,
    x: &'a [f32],
    w: &'a [f32],
    bias: Option<&'a [f32]>,
    part: Part<'y>,
    scratch: &'a mut Scratch,
}

struct Run<'a, 'y, F>(Work<'a, 'y>, std::marker::PhantomData<F>);

impl<F: Filter> Kernel for Run<'_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let Work { convolution, x, w, bias, mut part, scratch } = self.0;
        let Convolution { channels, taps, dilation, phases, .. } = convolution;
        let Some(length) = part.y.first().map(|y| y.len()) else { return };
        let time = x.len() / channels;
        let groups = length.div_ceil(phases * OUTPUTS * dilation);
        let layout = Layout::new::<F>(taps, dilation, groups * dilation);
        let rows = part.y.len() * phases;
        // Where all channels are summed up at once, the products of a few rows are read before the next ones are made.
        let kept = if channels > CHANNELS { rows.div_ceil(ROWS) } else { 1 };
        let of_rows = F::POINTS * ROWS * layout.columns;
        scratch.m.resize(scratch.m.len().max(kept * of_rows), 0.0);
        for start in (0..channels).step_by(CHANNELS) {
            let end = channels.min(start + CHANNELS);
            let group = part.position / (OUTPUTS * dilation * phases);
            let input = Input { convolution, time, group, layout };
            input.at_points::<F>(&x[start * time..end * time], scratch);
            for (index, first) in (0..rows).step_by(ROWS).enumerate() {
                let rows = first..rows.min(first + ROWS);
                let count = rows.len();
                let of_row = channels * taps;
                let w = w[rows.start * of_row..rows.end * of_row].chunks_exact(of_row);
                let w = w.map(|w| &w[start * taps..end * taps]);
                weights_at_points::<F>(w, taps, end - start, layout.parts, scratch);
                let at = if kept == 1 { 0 } else { index * of_rows };
                let Scratch { planes, x, w, m, .. } = &mut *scratch;
                let m = &mut m[at..at + of_rows];
                let of_weights = ROWS * layout.parts * (end - start);
                let points = w.chunks_exact(of_weights).zip(x.chunks_exact((end - start) * layout.width));
                for ((w, x), m) in points.zip(m.chunks_exact_mut(ROWS * layout.columns)).take(F::POINTS) {
                    let factors =
                        Factors { w, channels: end - start, x, stride: layout.width, shift: dilation };
                    product::multiply(vectors, factors, m, layout.columns, start == 0);
                }
                if end == channels {
                    for row in 0..count {
                        let (number, bias) = (first + row, bias.map_or(0.0, |bias| bias[first + row]));
                        let products = Products { m, row, bias, layout };
                        let y = &mut *part.y[number / phases];
                        products.outputs::<F>(planes, dilation);
                        interleave(planes, dilation, (number % phases, phases), y);
                    }
                }
            }
        }
    }
}

/// How long everything is.
#[derive(Clone, Copy)]
struct Layout {
    /// Into how many parts the taps are dealt.
    parts: usize,
    /// How many groups of outputs there are, rounded up to whole [`COLUMNS`].
    columns: usize,
    /// How many groups of inputs they need.
    width: usize,
}

impl Layout {
    fn new<F: Filter>(taps: usize, dilation: usize, groups: usize) -> Self {
        let parts = taps.div_ceil(F::TAPS);
        let columns = groups.next_multiple_of(COLUMNS);
        Self { parts, columns, width: columns + dilation * (parts - 1) }
    }
}

/// Where input is taken from.
struct Input {
    convolution: Convolution,
    /// T.
    time: usize,
    /// The first group.
    group: usize,
    layout: Layout,
}

impl Input {
    /// Brings channels to the points.
    #[inline(always)]
    fn at_points<F: Filter>(&self, channels: &[f32], scratch: &mut Scratch) {
        let Self { convolution: Convolution { dilation, pads, .. }, time, group, layout } = *self;
        let count = channels.len() / time.max(1);
        let width = layout.width;
        let of_point = count * width;
        scratch.x.resize(scratch.x.len().max(F::POINTS * of_point), 0.0);
        // The last samples of a group are the first ones of the next.
        let rounds = (width + dilation).div_ceil(dilation);
        scratch.padded.resize(rounds * OUTPUTS * dilation, 0.0);
        for plane in &mut scratch.planes {
            plane.resize(rounds * dilation, 0.0);
        }
        let Scratch { padded, planes, x, .. } = scratch;
        let first = OUTPUTS * dilation * group;
        let zeros = pads[0].saturating_sub(first).min(padded.len());
        let from = (first + zeros - pads[0].min(first + zeros)).min(time);
        for (index, channel) in channels.chunks_exact(time.max(1)).enumerate() {
            let there = channel.len().min(from + padded.len() - zeros);
            let samples = &channel[from..there];
            padded[..zeros].fill(0.0);
            padded[zeros..zeros + samples.len()].copy_from_slice(samples);
            padded[zeros + samples.len()..].fill(0.0);
            match dilation {
                1 => deal(padded, planes, 1),
                3 => deal(padded, planes, 3),
                5 => deal(padded, planes, 5),
                _ => deal(padded, planes, dilation),
            }
            let mut samples = [&[][..]; MOST];
            for (at, samples) in samples.iter_mut().enumerate() {
                *samples = &planes[at % OUTPUTS][at / OUTPUTS * dilation..][..width];
            }
            let mut points = places::<F>(x, of_point, index * width, width);
            for column in 0..width {
                put::<F>(F::samples(taken(&samples, column)), &mut points, column);
            }
        }
    }
}

/// Where the values of each point go: `length` of them from `at` on in each of the chunks.
#[inline(always)]
fn places<F: Filter>(all: &mut [f32], of_point: usize, at: usize, length: usize) -> [&mut [f32]; MOST] {
    let mut places: [&mut [f32]; MOST] = Default::default();
    for (place, chunk) in places.iter_mut().zip(all.chunks_exact_mut(of_point)).take(F::POINTS) {
        *place = &mut chunk[at..at + length];
    }
    places
}

#[inline(always)]
fn taken<const COUNT: usize>(from: &[&[f32]; COUNT], at: usize) -> [f32; COUNT] {
    let mut values = [0.0; COUNT];
    for (value, from) in values.iter_mut().zip(from) {
        *value = from[at];
    }
    values
}

#[inline(always)]
fn put<F: Filter>(values: [f32; MOST], places: &mut [&mut [f32]; MOST], at: usize) {
    for (place, value) in places.iter_mut().zip(values).take(F::POINTS) {
        place[at] = value;
    }
}

/// Every fourth group of `dilation` samples into one plane.
#[inline(always)]
fn deal(samples: &[f32], planes: &mut [Vec<f32>; OUTPUTS], dilation: usize) {
    for (round, samples) in samples.chunks_exact(OUTPUTS * dilation).enumerate() {
        for (plane, samples) in planes.iter_mut().zip(samples.chunks_exact(dilation)) {
            for (to, &sample) in plane[round * dilation..][..dilation].iter_mut().zip(samples) {
                *to = sample;
            }
        }
    }
}

/// Brings rows of weights, each [channels, taps] and not more than [`ROWS`], to the points.
#[inline(always)]
fn weights_at_points<'a, F: Filter>(
    rows: impl Iterator<Item = &'a [f32]>,
    taps: usize,
    channels: usize,
    parts: usize,
    scratch: &mut Scratch,
) {
    let Scratch { taps: planes, w, .. } = scratch;
    let of_part = channels * ROWS;
    w.resize(F::POINTS * parts * of_part, 0.0);
    for plane in planes.iter_mut() {
        plane.resize(parts * of_part, 0.0);
    }
    for (row, weights) in rows.enumerate() {
        for tap in 0..parts * F::TAPS {
            let (part, plane) = (tap / F::TAPS, &mut planes[tap % F::TAPS]);
            let columns = plane[part * of_part..][..of_part].chunks_exact_mut(ROWS);
            if tap < taps {
                for (place, weights) in columns.zip(weights.chunks_exact(taps)) {
                    place[row] = weights[tap];
                }
            } else {
                for place in columns {
                    place[row] = 0.0;
                }
            }
        }
    }
    let count = parts * of_part;
    let [first, second, third, fourth] = &*planes;
    let planes = [&first[..count], &second[..count], &third[..count], &fourth[..count]];
    let mut points = places::<F>(w, count, 0, count);
    for index in 0..count {
        put::<F>(F::taps(taken(&planes, index)), &mut points, index);
    }
}

/// The products of some rows.
struct Products<'a> {
    m: &'a [f32],
    /// The one that is asked for.
    row: usize,
    bias: f32,
    layout: Layout,
}

impl Products<'_> {
    /// The outputs of a row, every fourth group of positions in one plane.
    #[inline(always)]
    fn outputs<F: Filter>(&self, planes: &mut [Vec<f32>; OUTPUTS], dilation: usize) {
        let Self { m, row, bias, layout: Layout { columns, .. } } = *self;
        let mut points = [&m[..columns]; MOST];
        for (point, m) in points.iter_mut().zip(m.chunks_exact(ROWS * columns)) {
            *point = &m[row * columns..][..columns];
        }
        // Whole rounds, of which the last one may end behind the columns.
        for plane in planes.iter_mut() {
            plane.resize(plane.len().max(columns + dilation), 0.0);
        }
        let [first, second, third, fourth] = planes;
        let (first, second) = (&mut first[..columns], &mut second[..columns]);
        let (third, fourth) = (&mut third[..columns], &mut fourth[..columns]);
        for column in 0..columns {
            let y = F::outputs(taken(&points, column));
            first[column] = y[0] + bias;
            second[column] = y[1] + bias;
            third[column] = y[2] + bias;
            fourth[column] = y[3] + bias;
        }
    }
}

/// Puts positions of the planes in turn, `dilation` of each; of `phase` of all `phases`.
#[inline(always)]
fn interleave(planes: &[Vec<f32>; OUTPUTS], dilation: usize, (phase, phases): (usize, usize), y: &mut [f32]) {
    match (dilation, phases) {
        (1, 1) => interleave_by(planes, 1, (phase, 1), y),
        (3, 1) => interleave_by(planes, 3, (phase, 1), y),
        (5, 1) => interleave_by(planes, 5, (phase, 1), y),
        _ => interleave_by(planes, dilation, (phase, phases), y),
    }
}

#[inline(always)]
fn interleave_by(
    planes: &[Vec<f32>; OUTPUTS],
    dilation: usize,
    (phase, phases): (usize, usize),
    y: &mut [f32],
) {
    for (round, y) in y.chunks_mut(OUTPUTS * dilation * phases).enumerate() {
        for (plane, y) in planes.iter().zip(y.chunks_mut(dilation * phases)) {
            let values = &plane[round * dilation..][..dilation];
            for (y, &value) in y.chunks_mut(phases).zip(values) {
                y[phase] = value;
            }
        }
    }
}
