//! Floats as levels of eight bits, as `QuantizeLinear` and `DequantizeLinear` of ONNX have them.

use super::activation::ROUNDING;

/// What the levels 0 to 255 of a channel stand for: `scale · (level − zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// The distance between two levels.
    pub scale: f32,
    /// The level that stands for 0.
    pub zero: u8,
}

impl Quantization {
    /// Levels `times` as far apart, of which the same one stands for 0. The product is rounded to float32.
    #[must_use]
    pub fn coarser(self, times: f32) -> Self {
        Self { scale: self.scale * times, ..self }
    }

    /// The level of `number`: `number / scale`, kept within the levels, rounded half to even. NaN is level 0, as it is in
    /// ONNX Runtime on x86-64.
    #[inline(always)]
    pub(super) fn level(self, number: f32) -> u8 {
        let (low, high) = (-f32::from(self.zero), 255.0 - f32::from(self.zero));
        let steps = number / self.scale;
        // Written so that NaN is the lowest, not with `clamp`, which would leave it.
        let kept = if steps > low { steps } else { low };
        let kept = if kept < high { kept } else { high };
        // The lowest byte of the sum is the integer in two's complement.
        ((kept + ROUNDING).to_bits() as u8).wrapping_add(self.zero)
    }

    /// What `level` stands for, rounded to float32 once.
    #[inline(always)]
    pub(super) fn number(self, level: u8) -> f32 {
        (i32::from(level) - i32::from(self.zero)) as f32 * self.scale
    }
}
