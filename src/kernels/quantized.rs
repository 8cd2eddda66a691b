//! Convolutions over time in INT8, of which the activations are quantized as they come.

mod levels;
#[cfg(test)]
mod tests;

use super::convolution::Part;
use super::dispatch::Kernel;
use super::dot::{CHUNK, Dot, Factors, ROWS, SIDE};
use super::vectors::Vectors;
use super::{Convolution, Kernels};
use levels::BLOCK;
pub use levels::{Channel, Levels, Precision};

/// About so many rows of weights one thread takes at once, and so many positions.
const ROWS_AT_ONCE: usize = 256;
const POSITIONS_AT_ONCE: usize = BLOCK;

/// The weights of a [`Convolution`] in INT8: `w[m, c, k] ≈ scale[m] · W[m, c, k]`.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// [⌈M/4⌉, K, ⌈C/4⌉, 4, 4]: rows in groups of four, whose taps have the channels in groups of four, four rows of four channels.
    /// What is beyond M and C is 0.
    pub levels: &'a [i8],
    /// [M].
    pub scales: &'a [f32],
    /// [M].
    pub bias: Option<&'a [f32]>,
}

impl Weights<'_> {
    /// How many levels there are of so many rows.
    pub fn count(rows: usize, channels: usize, taps: usize) -> usize {
        rows.div_ceil(ROWS) * taps * channels.div_ceil(SIDE) * ROWS * SIDE
    }
}

impl Convolution {
    /// The output [M / `phases`, `length`] in parts that can be computed side by side by [`Self::quantized`].
    ///
    /// # Panics
    /// If `length` is 0.
    pub fn quantized_parts<'y>(&self, y: &'y mut [f32], length: usize) -> Vec<Part<'y>> {
        // Whole groups of rows, whatever the phases are.
        let channels = (ROWS_AT_ONCE / self.phases).max(ROWS).next_multiple_of(ROWS);
        Part::all(y, length, channels, POSITIONS_AT_ONCE * self.phases)
    }

    /// Computes a part:
    ///
    /// `y[m, t] = s[m] · Σ_k d[t + δ·k − p] · Σ_c W[m, c, k] · q[c, t + δ·k − p] + b[m] + a₁[m, t] + a₂[m, t] + …`
    ///
    /// with the levels `q` and scales `d` of `x`, and `addends` of the shape of the output. Sums over 512 channels are exact; each is
    /// rounded to float32, times `d`, and added from the first tap to the last one, of each from the first channels to the last ones.
    ///
    /// # Panics
    /// If `x`, the weights or an addend are not of the shape that the part needs.
    pub fn quantized(
        &self,
        x: &Levels,
        time: usize,
        weights: Weights<'_>,
        addends: &[&[f32]],
        part: Part<'_>,
        kernels: Kernels,
    ) {
        kernels.run(Run { convolution: *self, x, time, weights, addends, part });
    }
}

struct Run<'a, 'y> {
    convolution: Convolution,
    x: &'a Levels,
    time: usize,
    weights: Weights<'a>,
    addends: &'a [&'a [f32]],
    part: Part<'y>,
}

impl Kernel for Run<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let Self { convolution, x, time, weights, addends, mut part } = self;
        let Convolution { channels, taps, dilation, pads, phases } = convolution;
        let Some(length) = part.y.first().map(|y| y.len() / phases) else { return };
        let groups = channels.div_ceil(SIDE);
        assert_eq!(groups, x.groups, "the channels of `x`");
        let padded = length.next_multiple_of(V::POSITIONS);
        let width = padded + dilation * (taps - 1);
        let tile = Tile::<V>::of(x, time, (part.position / phases, pads[0]), width);
        let whole = convolution.length(time);

        let of_rows = taps * groups;
        let (levels, _) = weights.levels.as_chunks::<SIDE>();
        let (levels, _) = levels.as_chunks::<ROWS>();
        let (mut w, mut begin) =
            (vec![[[V::Weight::default(); SIDE]; ROWS]; of_rows], Vec::with_capacity(taps));
        let mut sums = vec![0.0; V::POSITIONS * ROWS];
        let rows = part.channel * phases..(part.channel + part.y.len()) * phases;
        for start in rows.clone().step_by(ROWS) {
            let levels = &levels[start / ROWS * of_rows..][..of_rows];
            for (w, levels) in w.as_flattened_mut().iter_mut().zip(levels.as_flattened()) {
                // Not `map`, which is not compiled for the instruction set.
                *w = [V::weight(levels[0]), V::weight(levels[1]), V::weight(levels[2]), V::weight(levels[3])];
            }
            begin.clear();
            begin.extend(levels.chunks_exact(groups).flat_map(|tap| tap.chunks(CHUNK).map(begins::<V>)));
            for strip in (0..length).step_by(V::POSITIONS) {
                let (x, scales) = (&tile.levels[strip..], &tile.scales[strip..]);
                let factors = Factors {
                    w: &w,
                    begin: &begin,
                    x,
                    stride: width,
                    groups,
                    shift: dilation,
                    scales,
                    planes: tile.planes,
                };
                vectors.dot(factors, &mut sums);
                for (row, sums) in (start..rows.end).zip(sums.chunks_exact(V::POSITIONS)) {
                    let (scale, bias) = (weights.scales[row], weights.bias.map_or(0.0, |bias| bias[row]));
                    let channel = row / phases;
                    let y = &mut part.y[channel - part.channel][strip * phases..];
                    if phases == 1 {
                        for (y, &sum) in y.iter_mut().zip(sums) {
                            *y = sum * scale + bias;
                        }
                    } else {
                        for (y, &sum) in y[row % phases..].iter_mut().step_by(phases).zip(sums) {
                            *y = sum * scale + bias;
                        }
                    }
                }
            }
        }
        for (channel, y) in part.y.iter_mut().enumerate() {
            for addend in addends {
                let addend = &addend[(part.channel + channel) * whole + part.position..];
                for (y, &addend) in y.iter_mut().zip(addend) {
                    *y += addend;
                }
            }
        }
    }
}

/// What the sums of a chunk begin with, so that they are those of levels without [`Dot::OFFSET`].
#[inline(always)]
fn begins<D: Dot>(w: &[[[i8; SIDE]; ROWS]]) -> [i32; ROWS] {
    let mut sums = [0; ROWS];
    if D::OFFSET != 0 {
        for w in w {
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum -= D::OFFSET * w.iter().map(|&w| i32::from(w)).sum::<i32>();
            }
        }
    }
    sums
}

/// What a part reads of `x`, one group of channels behind the other, in the first or second cache.
struct Tile<D: Dot> {
    /// [planes, groups, width].
    levels: Vec<[D::Level; SIDE]>,
    planes: usize,
    /// [width].
    scales: Vec<f32>,
}

impl<D: Dot> Tile<D> {
    /// From position `start` of the output on, in front of which `x` has `pad` zeros.
    #[inline(always)]
    fn of(x: &Levels, time: usize, (start, pad): (usize, usize), width: usize) -> Self {
        let of_x = x.precision.planes();
        let is_joined = of_x == 2 && D::IS_WIDE;
        let planes = if is_joined { 1 } else { of_x };
        let mut levels = vec![[D::level(0); SIDE]; planes * x.groups * width];
        let mut scales = vec![0.0; width];
        // What there is of `x`, and where it is in the tile.
        let from = start.saturating_sub(pad).min(time);
        let zeros = (pad.saturating_sub(start)).min(width);
        let to = time.min(from + width - zeros);
        scales[zeros..zeros + (to - from)].copy_from_slice(&x.scales[from..to]);
        let mut position = from;
        while position < to {
            let within = position % BLOCK;
            let count = (BLOCK - within).min(to - position);
            let block = &x.bytes[position / BLOCK * of_x * x.groups..][..of_x * x.groups];
            let lower = block[block.len() - x.groups..].iter();
            // Where nothing is joined, the lower part is not looked at.
            let rows = levels.chunks_exact_mut(width).zip(block).zip(lower.cycle());
            for ((levels, upper), lower) in rows {
                let row = levels[zeros + position - from..][..count].iter_mut();
                let both = upper[within..].iter().zip(&lower[within..]);
                if is_joined {
                    for (place, (upper, lower)) in row.zip(both) {
                        let level =
                            |side: usize| D::level(256 * i16::from(upper[side]) + i16::from(lower[side]));
                        *place = [level(0), level(1), level(2), level(3)];
                    }
                } else {
                    for (place, (upper, _)) in row.zip(both) {
                        let level = |side: usize| D::level(upper[side].into());
                        *place = [level(0), level(1), level(2), level(3)];
                    }
                }
            }
            position += count;
        }
        Self { levels, planes, scales }
    }
}
