//! The sum of a convolution's levels and of floats, as residual blocks end.

use super::dispatch::Kernel;
use super::{Kernels, Quantization};

/// `y = x + a₁ + a₂ + …`, added from left to right, where `x` are levels of a channel and every addend is as long.
///
/// # Panics
/// If the lengths differ.
pub fn add_dequantized(x: &[u8], from: Quantization, addends: &[&[f32]], y: &mut [f32], kernels: Kernels) {
    assert!(x.len() == y.len() && addends.iter().all(|addend| addend.len() == x.len()), "one length");
    kernels.run(AddDequantized { x, from, addends, y });
}

struct AddDequantized<'a> {
    x: &'a [u8],
    from: Quantization,
    addends: &'a [&'a [f32]],
    y: &'a mut [f32],
}

impl Kernel for AddDequantized<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        /// What stays in the first cache until every addend was added.
        const BLOCK: usize = 2048;
        for (block, (y, x)) in self.y.chunks_mut(BLOCK).zip(self.x.chunks(BLOCK)).enumerate() {
            let part = block * BLOCK..block * BLOCK + x.len();
            let Some((first, others)) = self.addends.split_first() else {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = self.from.number(x);
                }
                continue;
            };
            for ((y, &x), &addend) in y.iter_mut().zip(x).zip(&first[part.clone()]) {
                *y = self.from.number(x) + addend;
            }
            for addend in others {
                for (y, &addend) in y.iter_mut().zip(&addend[part.clone()]) {
                    *y += addend;
                }
            }
        }
    }
}
