//! Exact rewrites for ONNX Runtime's `CoreML` provider: operators, shapes and parameters that it takes, in place of those
//! that it leaves to the CPU.
//!
//! At each node that is left, what is computed goes from one provider to the other and back. So what counts is how few
//! stretches a graph is parted into. The passes keep to what an `MLProgram` takes by the rules of ONNX Runtime 1.26,
//! which `cargo xtask inspect --provider coreml` states; `docs/PROVIDERS.md` says what stays on the CPU, and why.
//!
//! They are passes as those of [`rewrite`](crate::rewrite) are: pure, and going by what they can prove. Comparisons,
//! Floor, Atan and the rest are replaced by arithmetic that gives the same for finite numbers; only the sine and the arc
//! tangent differ in their last bits.

mod arithmetic;
mod atan;
mod declare;
mod edit;
mod istft;
mod padding;
mod parts;
mod sine;
mod source;
mod transposes;
mod units;
mod upsample;

pub use arithmetic::{comparisons, floor};
pub use atan::atan;
pub use declare::{declare, transforms};
pub(crate) use edit::PREFIX;
pub use istft::istft;
pub use padding::{output_padding, reflections};
pub use parts::parts;
pub use sine::squared_sines;
pub use source::source;
pub use transposes::transposes;
pub use units::units;
pub use upsample::upsample;

use crate::rewrite::{COMMON_SUBEXPRESSIONS, Pass, REDUNDANT, SQUARE};

const UNITS: Pass = Pass {
    name: "units",
    what: "turns reshapes that move dimensions of 1, and Gathers of one index, into Squeeze and Unsqueeze",
    changes_bits: false,
    run: units,
};

/// All passes, in the order in which they have to run: shapes first, since the others go by them, then squares of sines, while
/// nothing parts their factors, and what is to stay on the CPU, before other passes find something in it.
pub const PASSES: [Pass; 19] = [
    COMMON_SUBEXPRESSIONS,
    SQUARE,
    REDUNDANT,
    UNITS,
    Pass {
        name: "declare",
        what: "declares shapes that the runtime does not infer, of what LSTM and STFT make among them",
        changes_bits: false,
        run: declare,
    },
    Pass {
        name: "istft",
        what: "turns what exporters write behind an inverse STFT into pads and one division",
        changes_bits: false,
        run: istft,
    },
    UNITS,
    REDUNDANT,
    Pass {
        name: "squared-sines",
        what: "turns squares of Sin into a polynomial over half a turn",
        changes_bits: true,
        run: squared_sines,
    },
    Pass {
        name: "transposes",
        what: "transposes behind CumSum, Sin and Cos and not before",
        changes_bits: false,
        run: transposes,
    },
    Pass {
        name: "source",
        what: "gives what makes the signal of an STFT more dimensions than the provider takes, so that it stays on the CPU",
        changes_bits: false,
        run: source,
    },
    Pass {
        name: "parts",
        what: "turns Slices into which an axis falls into Split",
        changes_bits: false,
        run: parts,
    },
    Pass {
        name: "upsample",
        what: "turns Resize that repeats frames into ConvTranspose",
        changes_bits: false,
        run: upsample,
    },
    Pass {
        name: "output-padding",
        what: "turns output padding of ConvTranspose into a tap of 0 more",
        changes_bits: false,
        run: output_padding,
    },
    Pass {
        name: "reflections",
        what: "turns reflecting Pad into Gather and Concat",
        changes_bits: false,
        run: reflections,
    },
    Pass {
        name: "floor",
        what: "turns Floor into Round and a step down where that went up",
        changes_bits: false,
        run: floor,
    },
    Pass {
        name: "comparisons",
        what: "turns comparisons of floats, and what they choose, into steps of 0 and 1",
        changes_bits: false,
        run: comparisons,
    },
    Pass { name: "atan", what: "turns Atan into a polynomial", changes_bits: true, run: atan },
    COMMON_SUBEXPRESSIONS,
];
