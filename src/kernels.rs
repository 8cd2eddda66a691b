//! Kernels of our own, for the chains of a Kokoro decoder that ONNX Runtime does badly one operator at a time.
//!
//! A convolution of the decoder stands behind a norm over time (AdaIN, Huang and Belongie 2017), an activation (Snake,
//! Ziyin et al. 2020, or `LeakyRelu`) and, where it is in INT8, a quantization. The runtime takes each of these through
//! memory, and some in one thread. Here a channel goes through all of them while it is in the cache:
//! [`Chain`] for one channel, `operators` for what a graph calls.
//!
//! Every kernel is one source, compiled for each [`InstructionSet`], in which each element goes through the same rounded
//! operations in the same order, without fused multiply-add. So all of them give the same bits, and so does any number of
//! threads: a channel is never split.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the function of an instruction set is not compiled for it"
)]

mod activation;
mod chain;
mod convolution;
mod dispatch;
mod instruction_set;
mod levels;
#[cfg(feature = "engine")]
pub(crate) mod operators;
mod quantization;
mod residual;
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
pub use levels::{Levels, LevelsMut};
pub use quantization::Quantization;
pub use residual::add_dequantized;
pub use statistics::Statistics;
pub use stft::Stft;
