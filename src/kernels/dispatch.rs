//! The choice among kernels when the program runs, and all unsafe lines of the kernels.

use std::ffi::OsStr;

#[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
use super::vectors::{Neon, NeonDot};
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
            InstructionSet::AvxVnni => unsafe { x86::avx_vnni(kernel) },
            // SAFETY: as above.
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            InstructionSet::Avx2 => unsafe { x86::avx2(kernel) },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
            InstructionSet::Neon => kernel.run(Neon),
            // SAFETY: as above.
            #[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
            InstructionSet::NeonDot => unsafe { neon_dot(kernel) },
            _ => kernel.run(Portable),
        }
    }
}

/// A loop. `run` and all that it calls must be `#[inline(always)]`, or would be compiled for the target's instructions.
/// It may use the vectors of the set.
pub(super) trait Kernel {
    type Output;

    fn run<V: Vectors>(self, vectors: V) -> Self::Output;
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
#[expect(unsafe_code, reason = "that there are the instructions is known to the caller")]
#[target_feature(enable = "dotprod")]
fn neon_dot<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: a function with these instructions is running.
    kernel.run(unsafe { NeonDot::new() })
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[expect(unsafe_code, reason = "that there are the instructions is known to the caller")]
mod x86 {
    use super::Kernel;
    use crate::kernels::vectors::{Avx2, Avx512, AvxVnni};

    #[target_feature(enable = "avx2")]
    pub fn avx2<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: a function with these instructions is running.
        kernel.run(unsafe { Avx2::new() })
    }

    #[target_feature(enable = "avx2,avxvnni")]
    pub fn avx_vnni<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: a function with these instructions is running.
        kernel.run(unsafe { AvxVnni::new() })
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub fn avx512<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: a function with these instructions is running.
        kernel.run(unsafe { Avx512::new() })
    }
}
