//! Kernels of our own, for the chains of a Kokoro decoder that ONNX Runtime does badly one operator at a time.
//!
//! A convolution of the decoder stands behind a norm over time (AdaIN, Huang and Belongie 2017) and an activation (Snake,
//! Ziyin et al. 2020, or `LeakyRelu`). The runtime takes each of them through memory, some in one thread, and quantizes with
//! scales that are fixed before anything is said. Here norm, activation and quantization ([`Levels`]) are done while values are
//! in the cache, with a scale for each position in time, and the convolution in INT8 ([`Convolution::quantized`]) adds its
//! bias and residuals as it stores; `operators` are what a graph calls.
//!
//! Every kernel is one source, compiled for each [`InstructionSet`] but for products of integers (`dot.rs`), which are exact. Each
//! element goes through the same rounded operations in the same order, without fused multiply-add. So all of them give the
//! same bits, and so does any number of threads.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the function of an instruction set is not compiled for it"
)]

mod activation;
mod chain;
mod convolution;
mod dispatch;
mod dot;
mod instruction_set;
#[cfg(feature = "engine")]
pub(crate) mod operators;
mod quantized;
mod statistics;
mod stft;
#[cfg(test)]
mod tests;
mod vectors;

pub use activation::Activation;
pub use chain::{Chain, Norm};
pub use convolution::Convolution;
pub use dispatch::Kernels;
pub use instruction_set::{InstructionSet, UnavailableKernels};
pub use quantized::{Channel, Levels, Precision, Weights};
pub use statistics::Statistics;
pub use stft::Stft;
