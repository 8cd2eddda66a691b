//! The choice among kernels when the program runs, and all unsafe lines of the kernels.

use std::ffi::OsStr;

#[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
use super::vectors::Neon;
use super::vectors::{Portable, Vectors};
use super::{InstructionSet, UnavailableKernels};

/// The kernels for an instruction set. That there is a value says that this processor has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels(InstructionSet);

impl Kernels {
    /// The best ones for this processor.
    pub fn best() -> Self {
        let best = InstructionSet::ALL.into_iter().rfind(|set| set.is_available());
        Self(best.unwrap_or(InstructionSet::Portable))
    }

    /// Those for `set`.
    ///
    /// # Errors
    /// [`UnavailableKernels`] where this processor lacks it.
    pub fn of(set: InstructionSet) -> Result<Self, UnavailableKernels> {
        if set.is_available() { Ok(Self(set)) } else { Err(UnavailableKernels::new(set.name())) }
    }

    /// Those for the set of the name `given`; the best ones if there is none, or an empty one.
    ///
    /// # Errors
    /// [`UnavailableKernels`] for a name of none, and where this processor lacks it.
    pub fn given(given: Option<&OsStr>) -> Result<Self, UnavailableKernels> {
        match given.filter(|name| !name.is_empty()) {
            Some(name) => Self::of(name.to_string_lossy().parse()?),
            None => Ok(Self::best()),
        }
    }

    /// Runs `kernel`, compiled for this instruction set.
    #[allow(unsafe_code, reason = "a processor without the instructions would be undefined behaviour")]
    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            // SAFETY: a `Kernels` of this set is made only where the processor was found to have it.
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            InstructionSet::Avx512 => unsafe { x86::avx512(kernel) },
            // SAFETY: as above.
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            InstructionSet::Avx2 => unsafe { x86::avx2(kernel) },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
            InstructionSet::Neon => kernel.run(Neon),
            _ => kernel.run(Portable),
        }
    }

    /// `y[i] = table[x[i]]`.
    ///
    /// # Panics
    /// If the lengths differ.
    #[allow(unsafe_code, reason = "a processor without the instructions would be undefined behaviour")]
    pub(super) fn look_up(self, x: &[u8], table: &[u8; 256], y: &mut [u8]) {
        assert_eq!(x.len(), y.len(), "a channel and what becomes of it");
        match self.0 {
            // SAFETY: a `Kernels` of this set is made only where the processor was found to have it.
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            InstructionSet::Avx512 => unsafe { x86::look_up_512(x, table, y) },
            // SAFETY: as above.
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            InstructionSet::Avx2 => unsafe { x86::look_up_256(x, table, y) },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
            InstructionSet::Neon => aarch64::look_up(x, table, y),
            _ => look_up(x, table, y),
        }
    }
}

/// A loop. `run` and all that it calls must be `#[inline(always)]`, or would be compiled for the target's instructions.
/// It may use the vectors of the set.
pub(super) trait Kernel {
    type Output;

    fn run<V: Vectors>(self, vectors: V) -> Self::Output;
}

fn look_up(x: &[u8], table: &[u8; 256], y: &mut [u8]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = table[usize::from(x)];
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[expect(unsafe_code, reason = "vectors are loaded and stored by pointers")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, _mm256_loadu_si256, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
        _mm256_storeu_si256, _mm256_subs_epi8, _mm256_xor_si256, _mm512_loadu_si512, _mm512_mask_blend_epi8,
        _mm512_movepi8_mask, _mm512_permutex2var_epi8, _mm512_storeu_si512,
    };

    use super::Kernel;
    use crate::kernels::vectors::{Avx2, Avx512};

    #[target_feature(enable = "avx2")]
    pub fn avx2<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: a function with these instructions is running.
        kernel.run(unsafe { Avx2::new() })
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
    pub fn avx512<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: a function with these instructions is running.
        kernel.run(unsafe { Avx512::new() })
    }

    /// A table of 256 bytes is four registers. Two permutations look up all levels in its halves, by their lower seven
    /// bits; the eighth chooses.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
    pub fn look_up_512(x: &[u8], table: &[u8; 256], y: &mut [u8]) {
        let (quarters, _) = table.as_chunks::<64>();
        let load = |bytes: &[u8; 64]| {
            // SAFETY: there are 64 bytes, and the load asks for no alignment.
            unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
        };
        let table_at = |quarter: usize| load(&quarters[quarter]);
        let (low, high) = ((table_at(0), table_at(1)), (table_at(2), table_at(3)));
        let (x, x_rest) = x.as_chunks::<64>();
        let (y, y_rest) = y.as_chunks_mut::<64>();
        for (y, x) in y.iter_mut().zip(x) {
            let levels = load(x);
            let lower = _mm512_permutex2var_epi8(low.0, levels, low.1);
            let upper = _mm512_permutex2var_epi8(high.0, levels, high.1);
            let found = _mm512_mask_blend_epi8(_mm512_movepi8_mask(levels), lower, upper);
            // SAFETY: `y` is 64 bytes, and the store asks for no alignment.
            unsafe { _mm512_storeu_si512(y.as_mut_ptr().cast(), found) };
        }
        super::look_up(x_rest, table, y_rest);
    }

    /// A shuffle looks up the lower four bits of a level in a row of 16 entries, or gives 0 where the highest bit is set. So
    /// each half of the table is eight rows, each xor the one before. From the level, 16 is taken for each row; the rows
    /// up to the level's own are those for which something from 0 up is left, and their xor is the entry. Levels of the other half
    /// are below 0 from the beginning, and stay there, since the subtraction saturates.
    #[target_feature(enable = "avx2")]
    pub fn look_up_256(x: &[u8], table: &[u8; 256], y: &mut [u8]) {
        let (entries, _) = table.as_chunks::<16>();
        let rows: [__m256i; 16] = std::array::from_fn(|row| {
            let before = if row % 8 == 0 { [0; 16] } else { entries[row - 1] };
            let row: [u8; 32] = std::array::from_fn(|at| entries[row][at % 16] ^ before[at % 16]);
            // SAFETY: there are 32 bytes, and the load asks for no alignment.
            unsafe { _mm256_loadu_si256(row.as_ptr().cast()) }
        });
        let (sixteen, half) = (_mm256_set1_epi8(16), _mm256_set1_epi8(-128));
        let (x, x_rest) = x.as_chunks::<32>();
        let (y, y_rest) = y.as_chunks_mut::<32>();
        for (y, x) in y.iter_mut().zip(x) {
            // SAFETY: there are 32 bytes, and the load asks for no alignment.
            let mut lower = unsafe { _mm256_loadu_si256(x.as_ptr().cast()) };
            let mut upper = _mm256_xor_si256(lower, half);
            let mut found = _mm256_setzero_si256();
            for row in 0..8 {
                let entries = _mm256_shuffle_epi8(rows[row], lower);
                found = _mm256_xor_si256(found, entries);
                let entries = _mm256_shuffle_epi8(rows[row + 8], upper);
                found = _mm256_xor_si256(found, entries);
                lower = _mm256_subs_epi8(lower, sixteen);
                upper = _mm256_subs_epi8(upper, sixteen);
            }
            // SAFETY: `y` is 32 bytes, and the store asks for no alignment.
            unsafe { _mm256_storeu_si256(y.as_mut_ptr().cast(), found) };
        }
        super::look_up(x_rest, table, y_rest);
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
#[expect(unsafe_code, reason = "vectors are loaded and stored by pointers")]
mod aarch64 {
    use std::arch::aarch64::{
        uint8x16x4_t, vdupq_n_u8, vld1q_u8, vld1q_u8_x4, vqtbl4q_u8, vqtbx4q_u8, vst1q_u8, vsubq_u8,
    };

    /// A table of 256 bytes is four groups of four registers. `TBL` gives 0 for what is beyond its group, and `TBX` leaves what
    /// was there.
    pub fn look_up(x: &[u8], table: &[u8; 256], y: &mut [u8]) {
        let (quarters, _) = table.as_chunks::<64>();
        let group = |quarter: usize| -> uint8x16x4_t {
            // SAFETY: a quarter has 64 bytes, and the load asks for no alignment.
            unsafe { vld1q_u8_x4(quarters[quarter].as_ptr()) }
        };
        let (first, others) = (group(0), [group(1), group(2), group(3)]);
        let (x, x_rest) = x.as_chunks::<16>();
        let (y, y_rest) = y.as_chunks_mut::<16>();
        for (y, x) in y.iter_mut().zip(x) {
            // SAFETY: both are 16 bytes, no alignment is asked for, and NEON is among the target's features.
            unsafe {
                let mut levels = vld1q_u8(x.as_ptr());
                let mut found = vqtbl4q_u8(first, levels);
                for group in others {
                    levels = vsubq_u8(levels, vdupq_n_u8(64));
                    found = vqtbx4q_u8(found, group, levels);
                }
                vst1q_u8(y.as_mut_ptr(), found);
            }
        }
        super::look_up(x_rest, table, y_rest);
    }
}
