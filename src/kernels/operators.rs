//! The operators that the engine adds to ONNX Runtime: domain `ai.kokoro`, version 2.
//!
//! # `AdaINActivation`
//!
//! Inputs `x`, float [N, C, T], then `scale`?, `bias`? and `alpha`?, each float with one value for each channel, in any shape
//! that is C and ones, such as [C] or [1, C, 1]; those with a question mark are optional, and each may be computed while the
//! graph runs. The output `y = activation(norm(x))` is float of the shape of `x`.
//!
//! - `norm(v) = scale · (v − μ) / √(σ² + epsilon) + bias`, with mean and variance over T, as `InstanceNormalization`.
//!   Without `scale` and `bias` there is none; one of them without the other is an error.
//! - The attribute `activation`, a string that must be there, is `none`, `leaky_relu`: `v ≥ 0 ? v : slope · v`, or `snake`:
//!   `v + sin²(alpha · v) / alpha`. `snake` needs `alpha`; with any other it is an error.
//! - The attribute `epsilon` is a float, 10⁻⁵ if it is not there; `slope` one, 0.01 if it is not there.
//!
//! A channel of which the norm finds a value infinite or NaN is NaN throughout. [`Statistics`](super::Statistics) and
//! [`Activation`](super::Activation) have the bounds of the errors.
//!
//! # `DynamicQuantizeConv`
//!
//! A convolution with a stride of 1 and one group, in INT8, of what `AdaINActivation` makes of `x`. Inputs: `x`, float [N, C, T];
//! `w`, int8 [⌈M/4⌉, K, ⌈C/4⌉, 4, 4]; `w_scale`, float [M]; `b`?, float [M]; `scale`?, `bias`? and `alpha`?, as above; then any number of
//! `addends`, float of the shape of `y`. Attributes are those of `AdaINActivation` and of `WinogradConv`, and `bits`, an int of 8 or 16,
//! 8 if it is not there.
//!
//! - `a = activation(norm(x))` is quantized with one scale for each position in time, `d[t] = max |a[c, t]| / L` over the channels, where
//!   L is 127 for 8 bits and 32,639 for 16, to the levels `q[c, t] = round(a[c, t] / d[t])`, half to even. Where a value of a position
//!   is not finite, `d[t]` is NaN.
//! - `w` has rows in groups of four, whose taps have the channels in groups of four, and of these four rows of four channels; what
//!   is beyond M and C is 0. Below, `W[m, c, k]` is that of row `m`, channel `c` and tap `k`.
//! - `y[m, t] = w_scale[m] · Σ_k d[t'] · (Σ_c W[m, c, k] · q[c, t']) + b[m] + addends…`, where `t' = t + dilation · k − pads_begin`. The inner
//!   sum is exact over 512 channels at a time; all else is rounded to float32 once an operation, taps, in each of them channels, and
//!   addends from the first one to the last.
//!
//! So the quantization needs no calibration and saturates nowhere, and its noise follows what is said from frame to frame
//! (scales per token: Yao et al., `ZeroQuant`, 2022).
//!
//! # `OnesidedSTFT`
//!
//! Inputs `signal`, float [N, L] or [N, L, 1], and `window`, float [F]; the attribute `frame_step`, an int of 1 or more, which must be there. The
//! output, float [N, (L − F)/`frame_step` + 1, F/2 + 1, 2], is that of the operator `STFT` with `onesided`; where F is no power of two,
//! ONNX Runtime gives the same [to the bit](super::Stft).
//!
//! # `WinogradConv`
//!
//! Inputs `x`, float [N, C, T], `w`, float [M, C, K], and perhaps `b`, float [M]; the output is float [N, M, T']: what `Conv` computes with a stride of 1 and
//! one group, by [`Convolution`](super::Convolution), which has the bound of its error. K is 2 or more. All attributes are ints and may be left out:
//! `dilation`, of 1 or more, else 1; `pads_begin` and `pads_end`, of 0 or more, else 0; `phases`, of 1 or more, else 1. `phases` divides M; the output
//! is [N, M / `phases`, T' · `phases`] then, where position `t · phases + p` of channel `m` is position `t` of row `m · phases + p`.
//!
//! # Threads and shapes
//!
//! The channels of a tensor, frames of a signal, or rows and times of a convolution are dealt to the runtime's own threads. No
//! sum is split, so results are the same bits whatever the number of threads and the processor. The shape of an output is known when the
//! operator runs, not before: the `ort` crate ends the process if shapes are to be inferred where an optional input is left out.

mod adain;
mod convolution;
mod node;
mod quantized;
mod stft;

use ort::environment::Environment;
use ort::operator::OperatorDomain;
use ort::session::Session;

use super::Kernels;
use adain::AdaINActivation;
use convolution::WinogradConv;
use quantized::DynamicQuantizeConv;
use stft::OnesidedStft;

/// The name of the domain.
pub(crate) const DOMAIN: &str = "ai.kokoro";

/// The version of the domain that this crate has. The runtime does not ask for it, so an operator whose meaning changes needs
/// another name; the version tells [`SynthesizerOptions`](crate::SynthesizerOptions) of operators that were added.
pub(crate) const VERSION: i64 = 2;

/// The least model that there can be a session of, in protobuf: format 8; a graph `g` with the node `y = Identity(x)`, the float
/// input `x` and the float output `y`; standard operators of version 17.
const IDENTITY: &[u8] = b"\x08\x08\x3a\x2b\
    \x0a\x10\x0a\x01x\x12\x01y\x22\x08Identity\
    \x12\x01g\
    \x5a\x09\x0a\x01x\x12\x04\x0a\x02\x08\x01\
    \x62\x09\x0a\x01y\x12\x04\x0a\x02\x08\x01\
    \x42\x02\x10\x11";

/// Makes the domain known to the process.
///
/// ONNX Runtime does so when the first session with operators of it is made, and no two sessions may do it at once: it looks
/// for the domain in a list and adds it without a lock in between. So the first of them is one that does nothing,
/// made while nobody else can make one.
pub(crate) fn register(environment: &Environment) -> ort::Result<()> {
    Session::builder(environment)?.with_operators(domain(Kernels::best())?)?.commit_from_memory(IDENTITY)?;
    Ok(())
}

/// The operators, computed by `kernels`.
pub(crate) fn domain(kernels: Kernels) -> ort::Result<OperatorDomain> {
    OperatorDomain::new(DOMAIN)?
        .add(AdaINActivation(kernels))?
        .add(DynamicQuantizeConv(kernels))?
        .add(OnesidedStft(kernels))?
        .add(WinogradConv(kernels))
}
