//! Which instructions the kernels are compiled for.
//!
//! A kernel is a plain loop with `#[inline(always)]`, compiled into one function for each set by
//! `#[target_feature]`, of which the compiler makes vectors. Fused multiply-add is left out because
//! processors without it would call a function for each element. In convolutions it would save 8 %
//! of the time on Zen 5 at the most.
//!
//! Portable Rust and AVX2 give the same bits in the property tests, NEON in an emulator, AVX-512
//! and AVX-VNNI in Miri where the processor has neither.

use std::fmt;
use std::str::FromStr;

/// Instructions that the kernels are compiled for. All give the same bits; they differ in speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum InstructionSet {
    /// What every processor of the target has: SSE2 on x86-64, NEON on AArch64.
    Portable,
    /// AVX2: x86-64 since 2013.
    Avx2,
    /// AVX2 and AVX-VNNI: x86-64 of Intel since 2021, and of AMD since Zen 5.
    AvxVnni,
    /// AVX-512 F, BW, DQ, VL and VNNI: x86-64 servers of Intel since 2019, and AMD since Zen 4.
    Avx512,
    /// NEON: every AArch64.
    Neon,
    /// NEON with `SDOT`: Armv8.2 since 2018, Armv8.4 always; every Mac.
    NeonDot,
}

impl InstructionSet {
    /// All of them, the better ones later.
    pub const ALL: [Self; 6] =
        [Self::Portable, Self::Avx2, Self::AvxVnni, Self::Avx512, Self::Neon, Self::NeonDot];

    /// The name that [`FromStr`] takes: `portable`, `avx2`, `avx_vnni`, `avx512`, `neon` or `neon_dot`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avx_vnni",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
            Self::NeonDot => "neon_dot",
        }
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            // Miri interprets the portable kernels alone.
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Self::AvxVnni => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni"),
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
            Self::Neon => true,
            #[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
            Self::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
            _ => false,
        }
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for InstructionSet {
    type Err = UnavailableKernels;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|set| set.name() == name);
        known.ok_or_else(|| UnavailableKernels::new(name))
    }
}

/// There are no kernels of this name, or this processor lacks the instructions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no kernels `{name}` for this processor, expected one of {available:?}")]
pub struct UnavailableKernels {
    /// The name given.
    pub name: String,
    /// The names of those that this processor can run.
    pub available: Vec<&'static str>,
}

impl UnavailableKernels {
    pub(super) fn new(name: &str) -> Self {
        let available = InstructionSet::ALL.into_iter().filter(|set| set.is_available());
        Self { name: name.to_owned(), available: available.map(InstructionSet::name).collect() }
    }
}
