//! Vectors of floats in registers, for loops that a compiler does not make vectors of by itself.
//!
//! As a plain loop, the inner loop of [`Convolution`](super::Convolution) was a matter of luck:
//! some widths became vectors, some ran at a quarter or a seventh of the speed.

/// The vectors of an instruction set. That there is a value says that this processor has it.
pub(super) trait Vectors: super::dot::Dot {
    /// Floats side by side.
    type Floats: Copy;

    /// How many.
    const LANES: usize;

    /// How many rows of sums there are registers for: of three vectors each where it is 8, else of two.
    const ROWS: usize;

    /// All of them the same.
    fn all(self, value: f32) -> Self::Floats;

    /// The first ones of `from`.
    ///
    /// # Panics
    /// If there are fewer.
    fn load(self, from: &[f32]) -> Self::Floats;

    /// Writes over the first ones of `to`.
    ///
    /// # Panics
    /// If there are fewer.
    fn store(self, values: Self::Floats, to: &mut [f32]);

    /// `sum + a · b`, rounded twice.
    fn add_product(self, sum: Self::Floats, a: Self::Floats, b: Self::Floats) -> Self::Floats;
}

/// What every processor has.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Vectors for Portable {
    type Floats = [f32; 4];

    const LANES: usize = 4;
    const ROWS: usize = 4;

    #[inline(always)]
    fn all(self, value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> [f32; 4] {
        [from[0], from[1], from[2], from[3]]
    }

    #[inline(always)]
    fn store(self, values: [f32; 4], to: &mut [f32]) {
        to[..4].copy_from_slice(&values);
    }

    #[inline(always)]
    fn add_product(self, mut sum: [f32; 4], a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        for lane in 0..4 {
            sum[lane] += a[lane] * b[lane];
        }
        sum
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(super) use x86::{Avx2, Avx512, AvxVnni};

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[expect(
    unsafe_code,
    reason = "instructions that not every processor has, and vectors loaded and stored by pointers"
)]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _mm256_add_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_storeu_ps,
        _mm512_add_ps, _mm512_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::Vectors;

    macro_rules! vectors {
        ($(#[$doc:meta])* $name:ident, $floats:ty, $lanes:literal, $rows:literal, $set:ident, $load:ident, $store:ident, $add:ident, $multiply:ident) => {
            $(#[$doc])*
            #[derive(Clone, Copy)]
            pub struct $name(());

            impl $name {
                /// # Safety
                /// The processor must have the instruction set.
                #[inline(always)]
                pub unsafe fn new() -> Self {
                    Self(())
                }
            }

            impl Vectors for $name {
                type Floats = $floats;

                const LANES: usize = $lanes;
                const ROWS: usize = $rows;

                #[inline(always)]
                fn all(self, value: f32) -> $floats {
                    // SAFETY: that there is a `self` says that the processor has the instruction.
                    unsafe { $set(value) }
                }

                #[inline(always)]
                fn load(self, from: &[f32]) -> $floats {
                    let from = &from[..$lanes];
                    // SAFETY: as above; so many floats there are, and no alignment is asked for.
                    unsafe { $load(from.as_ptr()) }
                }

                #[inline(always)]
                fn store(self, values: $floats, to: &mut [f32]) {
                    let to = &mut to[..$lanes];
                    // SAFETY: as above; there is room for so many floats, and no alignment is asked for.
                    unsafe { $store(to.as_mut_ptr(), values) }
                }

                #[inline(always)]
                fn add_product(self, sum: $floats, a: $floats, b: $floats) -> $floats {
                    // SAFETY: that there is a `self` says that the processor has the instructions.
                    unsafe { $add(sum, $multiply(a, b)) }
                }
            }
        };
    }

    vectors!(
        /// AVX2: 16 registers of 8 floats.
        Avx2, __m256, 8, 4, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_mul_ps
    );
    vectors!(
        /// AVX2 with AVX-VNNI.
        AvxVnni, __m256, 8, 4, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_mul_ps
    );
    vectors!(
        /// AVX-512: 32 registers of 16 floats.
        Avx512, __m512, 16, 8, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps, _mm512_mul_ps
    );
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
pub(super) use aarch64::{Neon, NeonDot};

#[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
#[expect(unsafe_code, reason = "instructions of NEON, and vectors loaded and stored by pointers")]
mod aarch64 {
    use std::arch::aarch64::{float32x4_t, vaddq_f32, vdupq_n_f32, vld1q_f32, vmulq_f32, vst1q_f32};

    use super::Vectors;

    /// NEON, which every such processor has: 32 registers of 4 floats.
    #[derive(Clone, Copy)]
    pub struct Neon;

    /// NEON with sums of four products.
    #[derive(Clone, Copy)]
    pub struct NeonDot(());

    impl NeonDot {
        /// # Safety
        /// The processor must have the instruction set.
        #[inline(always)]
        pub unsafe fn new() -> Self {
            Self(())
        }
    }

    macro_rules! vectors {
        ($name:ident) => {
            impl Vectors for $name {
                type Floats = float32x4_t;

                const LANES: usize = 4;
                const ROWS: usize = 8;

                #[inline(always)]
                fn all(self, value: f32) -> float32x4_t {
                    // SAFETY: NEON is among the target's features.
                    unsafe { vdupq_n_f32(value) }
                }

                #[inline(always)]
                fn load(self, from: &[f32]) -> float32x4_t {
                    let from = &from[..4];
                    // SAFETY: NEON is among the target's features; there are four floats, and no alignment is asked for.
                    unsafe { vld1q_f32(from.as_ptr()) }
                }

                #[inline(always)]
                fn store(self, values: float32x4_t, to: &mut [f32]) {
                    let to = &mut to[..4];
                    // SAFETY: NEON is among the target's features; there is room for four floats, and no alignment is asked for.
                    unsafe { vst1q_f32(to.as_mut_ptr(), values) }
                }

                #[inline(always)]
                fn add_product(self, sum: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
                    // SAFETY: NEON is among the target's features.
                    unsafe { vaddq_f32(sum, vmulq_f32(a, b)) }
                }
            }
        };
    }

    vectors!(Neon);
    vectors!(NeonDot);
}
