//! The sum of a convolution's levels and of floats, as residual blocks end.

use super::dispatch::Kernel;
use super::vectors::Vectors;
use super::{Kernels, Levels, Quantization};

/// `y = x + a₁ + a₂ + …`, added from left to right, where `x` are levels of a channel and every addend is as long.
///
/// # Panics
/// If the lengths differ.
pub fn add_dequantized(x: Levels<'_>, addends: &[&[f32]], y: &mut [f32], kernels: Kernels) {
    assert!(addends.iter().all(|addend| addend.len() == y.len()), "one length");
    let [first, body, last] = x.places(y);
    let (body_at, last_at) = (first.len(), first.len() + body.len());
    kernels.run(AddDequantized { x: x.first, from: x.ends_from, addends, start: 0, y: first });
    kernels.run(AddDequantized { x: x.body, from: x.from, addends, start: body_at, y: body });
    kernels.run(AddDequantized { x: x.last, from: x.ends_from, addends, start: last_at, y: last });
}

struct AddDequantized<'a> {
    x: &'a [u8],
    from: Quantization,
    addends: &'a [&'a [f32]],
    /// Where `x` begins in the channel.
    start: usize,
    y: &'a mut [f32],
}

impl Kernel for AddDequantized<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _: V) {
        /// What stays in the first cache until every addend was added.
        const BLOCK: usize = 2048;
        for (block, (y, x)) in self.y.chunks_mut(BLOCK).zip(self.x.chunks(BLOCK)).enumerate() {
            let start = self.start + block * BLOCK;
            let part = start..start + x.len();
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
