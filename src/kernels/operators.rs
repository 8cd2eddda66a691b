//! The operators that the engine adds to ONNX Runtime: domain `ai.kokoro`, version 1.
//!
//! # The family `AdaINActivation`
//!
//! `y = Q(activation(norm(D(x))))`, one operator for each pair of types:
//!
//! | operator | inputs, in order | outputs | `x` | `y` |
//! |---|---|---|---|---|
//! | `AdaINActivation` | `x`, `scale`?, `bias`?, `alpha`? | `y` | float | float |
//! | `AdaINActivationQuantize` | `x`, `y_scale`, `y_zero_point`, `scale`?, `bias`?, `alpha`? | `y`, `y_ends`? | float | uint8 |
//! | `DequantizeAdaINActivation` | `x`, `x_scale`, `x_zero_point`, `scale`?, `bias`?, `alpha`?, `x_ends`? | `y` | uint8 | float |
//! | `QLinearAdaINActivation` | `x`, `x_scale`, `x_zero_point`, `y_scale`, `y_zero_point`, `scale`?, `bias`?, `alpha`?, `x_ends`? | `y`, `y_ends`? | uint8 | uint8 |
//!
//! `x` and `y` are [N, C, T]. All other inputs are one value for each channel, in any shape that is C and ones, such as [C] or
//! [1, C, 1]; those of the quantizations may be one value for all. Scales and `alpha` are float, zero points uint8, of the
//! type of `x` or `y`. Inputs and outputs with a question mark are optional, and each input may be computed while the graph runs.
//!
//! - `D(x) = x_scale · (x − x_zero_point)`, `Q(v) = saturate(round(v / y_scale) + y_zero_point)`, half to even, as
//!   `DequantizeLinear` and `QuantizeLinear` with axis 1, bit for bit; NaN becomes level 0.
//! - `norm(v) = scale · (v − μ) / √(σ² + epsilon) + bias`, with mean and variance over T, as `InstanceNormalization`.
//!   Without `scale` and `bias` there is none; one of them without the other is an error.
//! - The attribute `activation`, a string that must be there, is `none`, `leaky_relu`: `v ≥ 0 ? v : slope · v`, or `snake`:
//!   `v + sin²(alpha · v) / alpha`. `snake` needs `alpha`; with any other it is an error.
//! - The attribute `epsilon` is a float, 10⁻⁵ if it is not there; `slope` one, 0.01 if it is not there.
//!
//! A channel of which the norm finds a value infinite or NaN is NaN throughout. Results are the same bits whatever the
//! number of threads and the processor; [`Statistics`](super::Statistics) and
//! [`Activation`](super::Activation) have the bounds of their errors.
//!
//! # `DequantizeAdd`
//!
//! Inputs `x`, `x_scale`, `x_zero_point` as above, then `x_ends`?, of which the name is empty where there are none, then one
//! `addends` or more: float, each of the shape of `x`. `y = ((D(x) + addends₁) + addends₂) + …`, float.
//!
//! # Ends
//!
//! What stands at the ends of time may be larger by far than all between, and would leave few levels to that. So both ends
//! can be tensors of their own, in levels further apart: *windows*, uint8 [2 · N, C, W], the first positions of each element of
//! the batch in the rows 0 to N, the last ones in the rows N to 2 · N.
//!
//! - `x_ends` needs the attributes `x_ends_times`, a float above 0 and finite, and `x_ends_positions`, an int of 1 or more.
//!   With `p = min(x_ends_positions, T)` they take the place of what `x` says at its first and last `p` positions: there `D(x)` is
//!   `(x_ends_times · x_scale) · (level − x_zero_point)`, where the level is `x_ends[n, c, t]` for `t < p`, else
//!   `x_ends[N + n, c, W − (T − t)]` for `t ≥ T − p`. W is at least `p` and at most T. The norm is that of these values.
//! - `y_ends` needs the attributes `y_ends_times`, likewise, and `y_ends_width`, an int of 1 or more. Its windows, of
//!   `W = min(y_ends_width, T)`, are the float results at these positions before they are quantized for `y`, brought to levels by `Q`
//!   with the scale `y_ends_times · y_scale` and the zero point `y_zero_point`.
//!
//! The products of scales are rounded to float32, as `Mul` has them. An attribute without its input or output says nothing.
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
//! The channels of a tensor, frames of a signal, or rows and times of a convolution are dealt to the runtime's own threads. No sum is split. The shape of an output is known when the
//! operator runs, not before: the `ort` crate ends the process if shapes are to be inferred where an optional input is left out.

mod adain;
mod add;
mod convolution;
mod ends;
mod node;
mod stft;

use ort::environment::Environment;
use ort::operator::OperatorDomain;
use ort::session::Session;

use super::Kernels;
use adain::{Dequantize, Float, QLinear, Quantize};
use add::DequantizeAdd;
use convolution::WinogradConv;
use stft::OnesidedStft;

/// The name of the domain.
pub(crate) const DOMAIN: &str = "ai.kokoro";

/// The version of the domain that this crate has. The runtime does not ask for it, so an operator whose meaning changes needs
/// another name; the version tells [`SynthesizerOptions`](crate::SynthesizerOptions) of operators that were added.
pub(crate) const VERSION: i64 = 1;

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
        .add(Float(kernels))?
        .add(Quantize(kernels))?
        .add(Dequantize(kernels))?
        .add(QLinear(kernels))?
        .add(DequantizeAdd(kernels))?
        .add(OnesidedStft(kernels))?
        .add(WinogradConv(kernels))
}
