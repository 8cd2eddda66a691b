//! Sums of products of levels over channels, in integers, for one tap of a convolution after the other.
//!
//! Levels of 16 bits are two bytes where there is `vpdpbusd` or `SDOT`, whose sums are joined
//! before they are rounded, and one number where products are of 16 bits. `vpmaddubsw` was tried
//! with weights whose pairs were held below saturation and what was too much added apart. It took
//! as long as `vpmaddwd`, since one block in nine had such a pair.

/// How many rows of weights are multiplied at once, and how many channels lie side by side.
pub(super) const ROWS: usize = 4;
pub(super) const SIDE: usize = 4;

/// So many groups of channels, 512 channels, have a sum of their own: of levels of 16 bits, `512 · 128 · 32,639` is below 2³¹.
pub(super) const CHUNK: usize = 128;

/// The products of an instruction set. The integers are exact, and what follows is rounded in a fixed order without fused
/// multiply-add, so all sets give the same bits.
pub(super) trait Dot: Copy {
    /// A level of an activation, as it is multiplied.
    type Level: Copy + Default;
    /// Whether a [`Self::Level`] has 16 bits. Otherwise such a level is two of them, the upper byte and the lower one.
    const IS_WIDE: bool;
    /// A level of a weight, as it is multiplied.
    type Weight: Copy + Default;

    /// How many positions are computed at once.
    const POSITIONS: usize;
    /// What [`Self::level`] adds to a level: the sum of a row begins with so many times its weights less.
    const OFFSET: i32;

    fn level(level: i16) -> Self::Level;

    fn weight(level: i8) -> Self::Weight;

    /// `sums[r · P + p] = Σ_k Σ_C scales[k·shift + p] · Σ_c w[k][c][r] · x[c][k·shift + p]`, for [`ROWS`] rows, P = [`Self::POSITIONS`], the
    /// chunks `C` of [`CHUNK`] groups of channels, and the channels `c` in them. The inner sum is exact, and rounded once; the outer ones
    /// go from the first tap to the last one, of each from the first chunk to the last one, and each product is rounded, then the sum.
    fn dot(self, factors: Factors<'_, Self>, sums: &mut [f32]);
}

/// What is multiplied.
#[derive(Clone, Copy)]
pub(super) struct Factors<'a, D: Dot> {
    /// [taps, groups of channels].
    pub w: &'a [[[D::Weight; SIDE]; ROWS]],
    /// What sums begin with, because of [`Dot::OFFSET`]: [taps, chunks].
    pub begin: &'a [[i32; ROWS]],
    /// [planes, groups of channels, `stride`], from the first position on.
    pub x: &'a [[D::Level; SIDE]],
    pub stride: usize,
    pub groups: usize,
    /// The distance between two taps.
    pub shift: usize,
    /// Of the positions of `x`.
    pub scales: &'a [f32],
    /// Two where levels are in two parts, the upper bytes first.
    pub planes: usize,
}

impl<D: Dot> Factors<'_, D> {
    /// That `x` has so many positions of every group and tap.
    #[inline(always)]
    fn check<const POSITIONS: usize>(&self) {
        let Self { w, x, stride, groups, shift, scales, planes, .. } = *self;
        let reach = (w.len() / groups - 1) * shift + POSITIONS;
        assert!((planes * groups - 1) * stride + reach <= x.len(), "levels");
        assert!(reach <= scales.len(), "scales");
    }
}

impl Dot for super::vectors::Portable {
    type Level = i16;
    type Weight = i16;

    const IS_WIDE: bool = true;
    const POSITIONS: usize = 4;
    const OFFSET: i32 = 0;

    #[inline(always)]
    fn level(level: i16) -> i16 {
        level
    }

    #[inline(always)]
    fn weight(level: i8) -> i16 {
        level.into()
    }

    #[inline(always)]
    fn dot(self, factors: Factors<'_, Self>, sums: &mut [f32]) {
        let Factors { w, x, stride, groups, shift, scales, .. } = factors;
        sums.fill(0.0);
        for (tap, w) in w.chunks_exact(groups).enumerate() {
            let (x, scales) = (&x[tap * shift..], &scales[tap * shift..]);
            for (w, x) in w.chunks(CHUNK).zip(x.chunks(CHUNK * stride)) {
                let mut products = [[0; ROWS]; 4];
                for (w, x) in w.iter().zip(x.chunks(stride)) {
                    for (products, x) in products.iter_mut().zip(x) {
                        for (product, w) in products.iter_mut().zip(w) {
                            for (w, x) in w.iter().zip(x) {
                                *product += i32::from(*w) * i32::from(*x);
                            }
                        }
                    }
                }
                for (position, (products, scale)) in products.iter().zip(scales).enumerate() {
                    for (row, &product) in products.iter().enumerate() {
                        sums[row * 4 + position] += product as f32 * scale;
                    }
                }
            }
        }
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[expect(
    unsafe_code,
    reason = "instructions that not every processor has, and vectors loaded and stored by pointers"
)]
mod x86 {
    use std::arch::x86_64::{
        _mm256_add_epi32, _mm256_add_ps, _mm256_cvtepi32_ps, _mm256_dpbusd_avx_epi32, _mm256_hadd_epi32,
        _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_mul_ps, _mm256_permute4x64_epi64,
        _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_slli_epi32,
        _mm256_storeu_ps, _mm512_add_epi32, _mm512_add_ps, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32,
        _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_epi32, _mm512_setzero_ps,
        _mm512_slli_epi32, _mm512_storeu_ps,
    };

    use super::{CHUNK, Dot, Factors, ROWS, SIDE};
    use crate::kernels::vectors::{Avx2, Avx512, AvxVnni};

    /// Pairs of 16 bits, whose sums of two products are exact: `vpmaddubsw`, which takes twice as many of eight bits, saturates.
    impl Dot for Avx2 {
        type Level = i16;
        type Weight = i16;

        const IS_WIDE: bool = true;
        const POSITIONS: usize = 8;
        const OFFSET: i32 = 0;

        #[inline(always)]
        fn level(level: i16) -> i16 {
            level
        }

        #[inline(always)]
        fn weight(level: i8) -> i16 {
            level.into()
        }

        #[inline(always)]
        fn dot(self, factors: Factors<'_, Self>, sums: &mut [f32]) {
            let Factors { w, x, stride, groups, shift, scales, .. } = factors;
            let sums = &mut sums[..ROWS * 8];
            factors.check::<8>();
            // SAFETY: that there is a `self` says that the processor has the instructions. What is read of `x` and `scales` was
            // checked; every other load and store is of an array that is as long. None asks for an alignment.
            unsafe {
                let mut all = [_mm256_setzero_ps(); ROWS];
                for (tap, w) in w.chunks_exact(groups).enumerate() {
                    let mut from = x.as_ptr().add(tap * shift);
                    let scales = _mm256_loadu_ps(scales.as_ptr().add(tap * shift));
                    for w in w.chunks(CHUNK) {
                        // A register holds two sums of each of four positions: of the first channels of a group and of the others.
                        let mut halves = [[_mm256_setzero_si256(); 2]; ROWS];
                        for w in w {
                            let x = [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(4).cast())];
                            from = from.wrapping_add(stride);
                            for row in 0..ROWS {
                                let w = _mm256_set1_epi64x(w[row].as_ptr().cast::<i64>().read_unaligned());
                                for half in 0..2 {
                                    let product = _mm256_madd_epi16(x[half], w);
                                    halves[row][half] = _mm256_add_epi32(halves[row][half], product);
                                }
                            }
                        }
                        for row in 0..ROWS {
                            let sum = _mm256_hadd_epi32(halves[row][0], halves[row][1]);
                            let sum = _mm256_cvtepi32_ps(_mm256_permute4x64_epi64::<0b11_01_10_00>(sum));
                            all[row] = _mm256_add_ps(all[row], _mm256_mul_ps(sum, scales));
                        }
                    }
                }
                for (sums, all) in sums.chunks_exact_mut(8).zip(all) {
                    _mm256_storeu_ps(sums.as_mut_ptr(), all);
                }
            }
        }
    }

    macro_rules! vnni {
        ($name:ident, $lanes:literal, $vectors:literal, $load:ident, $set:ident, $dot:ident,
         $zero:ident, $load_ps:ident, $store_ps:ident, $convert:ident, $add:ident, $multiply:ident,
         $shift:ident, $add_integers:ident) => {
            /// Four products at once, `vpdpbusd`, of levels from 0 to 255 and signed weights.
            impl Dot for $name {
                type Level = u8;
                type Weight = i8;

                const IS_WIDE: bool = false;
                const POSITIONS: usize = $lanes * $vectors;
                const OFFSET: i32 = 128;

                #[inline(always)]
                fn level(level: i16) -> u8 {
                    level as u8 ^ 128
                }

                #[inline(always)]
                fn weight(level: i8) -> i8 {
                    level
                }

                #[inline(always)]
                fn dot(self, factors: Factors<'_, Self>, sums: &mut [f32]) {
                    const POSITIONS: usize = $lanes * $vectors;
                    let Factors { w, begin, x, stride, groups, shift, scales, planes } = factors;
                    let chunks = groups.div_ceil(CHUNK);
                    let sums = &mut sums[..ROWS * POSITIONS];
                    factors.check::<POSITIONS>();
                    // SAFETY: that there is a `self` says that the processor has the instructions. What is read of `x` and `scales`
                    // was checked; every other load and store is of a slice that is as long. None asks for an alignment.
                    unsafe {
                        let mut all = [[$zero(); $vectors]; ROWS];
                        for (tap, (w, begin)) in
                            w.chunks_exact(groups).zip(begin.chunks_exact(chunks)).enumerate()
                        {
                            let scales = scales.as_ptr().add(tap * shift);
                            for (chunk, (w, begin)) in w.chunks(CHUNK).zip(begin).enumerate() {
                                let mut products = [[$set(0); $vectors]; ROWS];
                                for plane in 0..planes {
                                    for row in 0..ROWS {
                                        let begin = $set(begin[row]);
                                        for vector in 0..$vectors {
                                            products[row][vector] =
                                                $add_integers($shift::<8>(products[row][vector]), begin);
                                        }
                                    }
                                    let group = plane * groups + chunk * CHUNK;
                                    let mut from = x.as_ptr().add(group * stride + tap * shift);
                                    for w in w {
                                        let mut x = [$set(0); $vectors];
                                        for vector in 0..$vectors {
                                            x[vector] = $load(from.add(vector * $lanes).cast());
                                        }
                                        from = from.wrapping_add(stride);
                                        for row in 0..ROWS {
                                            let w = $set(w[row].as_ptr().cast::<i32>().read_unaligned());
                                            for vector in 0..$vectors {
                                                products[row][vector] =
                                                    $dot(products[row][vector], x[vector], w);
                                            }
                                        }
                                    }
                                }
                                for vector in 0..$vectors {
                                    let scales = $load_ps(scales.add(vector * $lanes));
                                    for row in 0..ROWS {
                                        let product = $multiply($convert(products[row][vector]), scales);
                                        all[row][vector] = $add(all[row][vector], product);
                                    }
                                }
                            }
                        }
                        for (sums, all) in sums.chunks_exact_mut($lanes).zip(all.as_flattened()) {
                            $store_ps(sums.as_mut_ptr(), *all);
                        }
                    }
                }
            }
        };
    }

    vnni!(
        AvxVnni,
        8,
        2,
        _mm256_loadu_si256,
        _mm256_set1_epi32,
        _mm256_dpbusd_avx_epi32,
        _mm256_setzero_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_cvtepi32_ps,
        _mm256_add_ps,
        _mm256_mul_ps,
        _mm256_slli_epi32,
        _mm256_add_epi32
    );
    vnni!(
        Avx512,
        16,
        4,
        _mm512_loadu_si512,
        _mm512_set1_epi32,
        _mm512_dpbusd_epi32,
        _mm512_setzero_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_cvtepi32_ps,
        _mm512_add_ps,
        _mm512_mul_ps,
        _mm512_slli_epi32,
        _mm512_add_epi32
    );

    // The loads above take a whole group of a position or of a row.
    const _: () = assert!(SIDE == 4);
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
#[expect(
    unsafe_code,
    reason = "instructions that not every processor has, and vectors loaded and stored by pointers"
)]
mod aarch64 {
    use std::arch::aarch64::{
        int8x16_t, int32x4_t, vaddq_f32, vcvtq_f32_s32, vdupq_n_f32, vdupq_n_s32, vget_low_s8, vld1q_f32,
        vld1q_s8, vmull_high_s8, vmull_s8, vmulq_f32, vpaddlq_s16, vpaddq_s32, vreinterpretq_s8_s32,
        vshlq_n_s32, vst1q_f32,
    };
    use std::arch::asm;

    use super::{CHUNK, Dot, Factors, ROWS};
    use crate::kernels::vectors::{Neon, NeonDot};

    /// So many registers of sums a row has.
    const VECTORS: usize = 4;

    /// `sum + a · b`, four products a lane.
    #[inline(always)]
    fn widening(sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        // SAFETY: NEON is among the target's features.
        unsafe {
            let low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
            let high = vpaddlq_s16(vmull_high_s8(a, b));
            std::arch::aarch64::vaddq_s32(sum, vpaddq_s32(low, high))
        }
    }

    /// The same by `SDOT`, which the standard library has for nightly compilers alone.
    ///
    /// # Safety
    /// The processor must have the instruction.
    #[inline(always)]
    unsafe fn sdot(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        // SAFETY: the caller knows of the instruction, which reads and writes registers alone.
        unsafe {
            asm!(
                "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
                sum = inout(vreg) sum, a = in(vreg) a, b = in(vreg) b,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sum
    }

    macro_rules! neon {
        ($name:ident, $dot:expr) => {
            impl Dot for $name {
                type Level = i8;
                type Weight = i8;

                const IS_WIDE: bool = false;
                const POSITIONS: usize = 4 * VECTORS;
                const OFFSET: i32 = 0;

                #[inline(always)]
                fn level(level: i16) -> i8 {
                    level as i8
                }

                #[inline(always)]
                fn weight(level: i8) -> i8 {
                    level
                }

                #[inline(always)]
                fn dot(self, factors: Factors<'_, Self>, sums: &mut [f32]) {
                    const POSITIONS: usize = 4 * VECTORS;
                    let Factors { w, x, stride, groups, shift, scales, planes, .. } = factors;
                    let sums = &mut sums[..ROWS * POSITIONS];
                    factors.check::<POSITIONS>();
                    // SAFETY: NEON is among the target's features, and that there is a `self` says that the processor has the other
                    // instructions. What is read of `x` and `scales` was checked; every other load and store is of a slice that is
                    // as long. None asks for an alignment.
                    unsafe {
                        let mut all = [[vdupq_n_f32(0.0); VECTORS]; ROWS];
                        for (tap, w) in w.chunks_exact(groups).enumerate() {
                            let scales = scales.as_ptr().add(tap * shift);
                            for (chunk, w) in w.chunks(CHUNK).enumerate() {
                                let mut products = [[vdupq_n_s32(0); VECTORS]; ROWS];
                                for plane in 0..planes {
                                    for product in products.as_flattened_mut() {
                                        *product = vshlq_n_s32::<8>(*product);
                                    }
                                    let group = plane * groups + chunk * CHUNK;
                                    let mut from = x.as_ptr().add(group * stride + tap * shift);
                                    for w in w {
                                        let mut x = [vreinterpretq_s8_s32(vdupq_n_s32(0)); VECTORS];
                                        for vector in 0..VECTORS {
                                            x[vector] = vld1q_s8(from.add(4 * vector).cast());
                                        }
                                        from = from.wrapping_add(stride);
                                        for row in 0..ROWS {
                                            let w = w[row].as_ptr().cast::<i32>().read_unaligned();
                                            let w = vreinterpretq_s8_s32(vdupq_n_s32(w));
                                            for vector in 0..VECTORS {
                                                products[row][vector] =
                                                    $dot(products[row][vector], x[vector], w);
                                            }
                                        }
                                    }
                                }
                                for vector in 0..VECTORS {
                                    let scales = vld1q_f32(scales.add(4 * vector));
                                    for row in 0..ROWS {
                                        let product = vmulq_f32(vcvtq_f32_s32(products[row][vector]), scales);
                                        all[row][vector] = vaddq_f32(all[row][vector], product);
                                    }
                                }
                            }
                        }
                        for (sums, all) in sums.chunks_exact_mut(4).zip(all.as_flattened()) {
                            vst1q_f32(sums.as_mut_ptr(), *all);
                        }
                    }
                }
            }
        };
    }

    neon!(Neon, widening);
    neon!(NeonDot, sdot);
}
