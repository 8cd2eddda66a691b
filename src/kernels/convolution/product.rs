//! Products of matrices that stay in registers.

use crate::kernels::vectors::Vectors;

/// How many rows are multiplied at once.
pub(super) const ROWS: usize = 8;

/// What is multiplied.
#[derive(Clone, Copy)]
pub(super) struct Factors<'a> {
    /// [parts, channels, [`ROWS`]].
    pub w: &'a [f32],
    pub channels: usize,
    /// [channels, `stride`]. Each part of the weights meets it `shift` columns after the one before.
    pub x: &'a [f32],
    pub stride: usize,
    pub shift: usize,
}

/// `m += w · x`, where `m` is [[`ROWS`], `columns`]; if `is_first`, `m = w · x`. `columns` is a multiple of 16.
///
/// Each element is one sum over the parts and their channels in this order, without fused multiply-add, however columns are
/// cut into strips.
#[inline(always)]
pub(super) fn multiply<V: Vectors>(
    vectors: V,
    factors: Factors<'_>,
    m: &mut [f32],
    columns: usize,
    is_first: bool,
) {
    let mut column = 0;
    while column < columns {
        let from = Factors { x: &factors.x[column..], ..factors };
        let left = (columns - column) / V::LANES;
        let m = &mut m[column..];
        let strip = Strip { vectors, columns, is_first };
        // Beside the sums, registers hold the vectors of `x`, an element of `w` and a product.
        column += V::LANES
            * match (V::ROWS, left) {
                (8, 3..) => strip.multiply::<8, 3>(from, m),
                (8, 2) => strip.multiply::<8, 2>(from, m),
                (8, _) => strip.multiply::<8, 1>(from, m),
                (_, 2..) => strip.multiply::<4, 2>(from, m),
                _ => strip.multiply::<4, 1>(from, m),
            };
    }
}

/// Some columns of all rows.
struct Strip<V> {
    vectors: V,
    columns: usize,
    is_first: bool,
}

impl<V: Vectors> Strip<V> {
    /// Multiplies so many rows at a time, and returns how many vectors of columns that made.
    #[inline(always)]
    fn multiply<const AT_ONCE: usize, const VECTORS: usize>(
        &self,
        Factors { w, channels, x, stride, shift }: Factors<'_>,
        m: &mut [f32],
    ) -> usize {
        let Self { vectors, columns, is_first } = *self;
        for (group, m) in m.chunks_mut(AT_ONCE * columns).enumerate() {
            let mut sums = [[vectors.all(0.0); VECTORS]; AT_ONCE];
            if !is_first {
                for (sums, m) in sums.iter_mut().zip(m.chunks(columns)) {
                    for (vector, sum) in sums.iter_mut().enumerate() {
                        *sum = vectors.load(&m[vector * V::LANES..]);
                    }
                }
            }
            for (part, w) in w.chunks_exact(channels * ROWS).enumerate() {
                for (w, x) in w.chunks_exact(ROWS).zip(x[part * shift..].chunks(stride)) {
                    let (w, x) = (&w[group * AT_ONCE..][..AT_ONCE], &x[..VECTORS * V::LANES]);
                    let mut own = [vectors.all(0.0); VECTORS];
                    for vector in 0..VECTORS {
                        own[vector] = vectors.load(&x[vector * V::LANES..]);
                    }
                    for row in 0..AT_ONCE {
                        let w = vectors.all(w[row]);
                        for vector in 0..VECTORS {
                            sums[row][vector] = vectors.add_product(sums[row][vector], w, own[vector]);
                        }
                    }
                }
            }
            for (sums, m) in sums.iter().zip(m.chunks_mut(columns)) {
                for (vector, &sum) in sums.iter().enumerate() {
                    vectors.store(sum, &mut m[vector * V::LANES..]);
                }
            }
        }
        VECTORS
    }
}
