//! The operators that the engine adds to ONNX Runtime: domain `ai.kokoro`, version 1.
//!
//! # The family `AdaINActivation`
//!
//! `y = Q(activation(norm(D(x))))`, one operator for each pair of types:
//!
//! | operator | inputs, in order | `x` | `y` |
//! |---|---|---|---|
//! | `AdaINActivation` | `x`, `scale`?, `bias`?, `alpha`? | float | float |
//! | `AdaINActivationQuantize` | `x`, `y_scale`, `y_zero_point`, `scale`?, `bias`?, `alpha`? | float | uint8 |
//! | `DequantizeAdaINActivation` | `x`, `x_scale`, `x_zero_point`, `scale`?, `bias`?, `alpha`? | uint8 | float |
//! | `QLinearAdaINActivation` | `x`, `x_scale`, `x_zero_point`, `y_scale`, `y_zero_point`, `scale`?, `bias`?, `alpha`? | uint8 | uint8 |
//!
//! `x` and `y` are [N, C, T]. All other inputs are one value for each channel, in any shape that is C and ones, such as [C] or
//! [1, C, 1]; those of the quantizations may be one value for all. Scales and `alpha` are float, zero points uint8, of the
//! type of `x` or `y`. Inputs with a question mark are optional, and each may be computed while the graph runs.
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
//! Inputs `x`, `x_scale`, `x_zero_point` as above, then one `addends` or more: float, each of the shape of `x`.
//! `y = ((D(x) + addends₁) + addends₂) + …`, float.
//!
//! # Threads and shapes
//!
//! The channels of a tensor are dealt to the runtime's own threads. None is split. The shape of an output is known when the
//! operator runs, not before: the `ort` crate ends the process if shapes are to be inferred where an optional input is left out.

mod adain;
mod add;
mod node;

use ort::operator::OperatorDomain;

use super::Kernels;
use adain::{Dequantize, Float, QLinear, Quantize};
use add::DequantizeAdd;

/// The name of the domain.
pub(crate) const DOMAIN: &str = "ai.kokoro";

/// The version of the domain that this crate has. The runtime does not ask for it, so an operator whose meaning changes needs
/// another name; the version tells [`SynthesizerOptions`](crate::SynthesizerOptions) of operators that were added.
pub(crate) const VERSION: i64 = 1;

/// The operators, computed by `kernels`.
pub(crate) fn domain(kernels: Kernels) -> ort::Result<OperatorDomain> {
    OperatorDomain::new(DOMAIN)?
        .add(Float(kernels))?
        .add(Quantize(kernels))?
        .add(Dequantize(kernels))?
        .add(QLinear(kernels))?
        .add(DequantizeAdd(kernels))
}
