//! What the provider takes: a rule for each operator that it knows.
//!
//! The facts are those of ONNX Runtime 1.26. Its source states them operator by operator, in
//! `onnxruntime/core/providers/coreml/builders/impl/`; where the source at hand was of another version, what its library for
//! macOS 1.26.0 registers, compares and says in its log decided. An operator without a rule is never taken. CoreML is taken
//! to be at least version 7 (macOS 14, which the runtime's own build requires), so that rules for older ones do not bind.

use quantizer::proto::tensor_proto::DataType;

use super::check::{self, Check, Formats, Place, Types, ensure};
use super::subject::Subject;
use super::{Format, Left, Reason, resize, special};
use Check::{AtLeastInputs, Constant, Integer, Length, Outputs, Rank, Special, Text, Without};
use DataType::{Float, Float16, Int32, Int64};
use Format::{MlProgram, NeuralNetwork};
use Formats::{Both, Only};
use Place::{Input, Output};

/// The version of ONNX Runtime that the rules are of.
pub const SOURCE: &str = "1.26.0";

/// What the provider asks of an operator.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The operator. The provider goes by this name alone, whatever the domain.
    pub operator: &'static str,
    /// The formats that it is taken in.
    pub formats: Formats,
    /// The oldest version of the operator that is taken.
    pub since: i64,
    types: Types,
    checks: &'static [Check],
    may_be_empty: bool,
}

impl Rule {
    /// The operator in both formats, in any version, its first input of floats.
    const fn of(operator: &'static str) -> Self {
        Self { operator, formats: Formats::Both, since: 1, types: FLOATS, checks: &[], may_be_empty: false }
    }

    const fn since(self, since: i64) -> Self {
        Self { since, ..self }
    }

    const fn only(self, format: Format) -> Self {
        Self { formats: Formats::Only(format), ..self }
    }

    const fn types(self, types: Types) -> Self {
        Self { types, ..self }
    }

    const fn if_so(self, checks: &'static [Check]) -> Self {
        Self { checks, ..self }
    }

    const fn may_be_empty(self) -> Self {
        Self { may_be_empty: true, ..self }
    }
}

const FLOATS: Types = Types { ml_program: &[Float, Float16], neural_network: &[Float] };
const FLOATS_AND_INT64: Types =
    Types { ml_program: &[Float, Float16, Int64], neural_network: &[Float, Int64] };
const MEASURED: Types = Types { ml_program: &[Float, Float16, Int32], neural_network: &[Float] };
const CAST: Types = Types { ml_program: &[Float, Float16, Int32, Int64], neural_network: &[Int64] };

const NORMALIZATION: &[Check] =
    &[Special(special::same_types), Outputs(1), Constant(1, "scale", Both), Constant(2, "bias", Both)];
const STASHED: &[Check] = &[
    Special(special::same_types),
    Outputs(1),
    Integer { name: "stash_type", default: 1, expected: 1, formats: Both },
    Constant(1, "scale", Both),
    Constant(2, "bias", Both),
];
const REDUCTION: &[Check] = &[Constant(1, "axes", Both), Special(special::no_empty_axes)];
const POOL: &[Check] = &[
    Rank(0, &[4], Both),
    Integer { name: "storage_order", default: 0, expected: 0, formats: Both },
    Special(special::pooled_in_two_dimensions),
    Integer { name: "ceil_mode", default: 0, expected: 0, formats: Only(NeuralNetwork) },
    Outputs(1),
];

/// One rule for each operator, by name.
pub static RULES: &[Rule] = &[
    Rule::of("Add").since(7),
    Rule::of("ArgMax")
        .if_so(&[Without("select_last_index", Both), Special(special::arg_max_feeds_what_is_taken)]),
    Rule::of("AveragePool").if_so(POOL),
    Rule::of("BatchNormalization").since(7).if_so(&[
        Outputs(1),
        Rank(0, &[4], Both),
        Integer { name: "spatial", default: 1, expected: 1, formats: Both },
        Constant(1, "scale", Both),
        Constant(2, "bias", Both),
        Constant(3, "mean", Both),
        Constant(4, "variance", Both),
    ]),
    Rule::of("Cast").types(CAST).if_so(&[Special(special::cast)]),
    Rule::of("Clip").if_so(&[Constant(1, "min", Both), Constant(2, "max", Both)]),
    Rule::of("Concat").if_so(&[
        AtLeastInputs(2),
        Rank(0, &[4], Only(NeuralNetwork)),
        Special(special::concat_along_channels),
    ]),
    Rule::of("Conv").if_so(&[
        Constant(1, "weight", Only(NeuralNetwork)),
        Length(Input(1)),
        Length(Input(0)),
        Length(Output(0)),
        Rank(1, &[3, 4], Both),
        Constant(2, "bias", Both),
        Special(special::kernel_of_the_weight),
    ]),
    Rule::of("ConvTranspose").only(MlProgram).if_so(&[
        Constant(1, "weight", Both),
        Constant(2, "bias", Both),
        Length(Input(1)),
        Length(Input(0)),
        Text { name: "auto_pad", default: "NOTSET", expected: &["NOTSET", "VALID"], formats: Both },
        Special(special::equal_pads),
        Special(special::kernel_of_the_weight),
        Without("output_shape", Both),
        Special(special::no_output_padding),
    ]),
    Rule::of("DepthToSpace").if_so(&[
        Text { name: "mode", default: "DCR", expected: &["DCR"], formats: Only(NeuralNetwork) },
        Special(special::static_if_column_row_depth),
    ]),
    Rule::of("Div").since(7),
    Rule::of("Elu").since(6).only(MlProgram),
    Rule::of("Erf").only(MlProgram),
    Rule::of("Exp").only(MlProgram),
    Rule::of("Flatten").only(NeuralNetwork).if_so(&[Special(special::no_scalar)]),
    Rule::of("Gather").types(FLOATS_AND_INT64).if_so(&[Special(special::gather)]),
    Rule::of("Gelu").only(MlProgram),
    Rule::of("Gemm").if_so(&[Constant(1, "B", Both), Special(special::gemm)]),
    Rule::of("GlobalAveragePool").if_so(&[Rank(0, &[4], Both)]),
    Rule::of("GlobalMaxPool").if_so(&[Rank(0, &[4], Both)]),
    Rule::of("GridSample").only(MlProgram).if_so(&[Rank(0, &[4], Both), Special(special::grid_sample)]),
    Rule::of("GroupNormalization").only(MlProgram).if_so(STASHED),
    Rule::of("HardSigmoid").since(6).only(MlProgram),
    Rule::of("InstanceNormalization").only(MlProgram).if_so(NORMALIZATION),
    Rule::of("LRN").only(NeuralNetwork).if_so(&[Rank(0, &[3, 4], Both)]),
    Rule::of("LayerNormalization").only(MlProgram).if_so(STASHED),
    Rule::of("LeakyRelu").since(6),
    Rule::of("MatMul").if_so(&[
        Constant(1, "B", Only(NeuralNetwork)),
        Rank(0, &[2], Only(NeuralNetwork)),
        Rank(1, &[2], Only(NeuralNetwork)),
        Special(special::no_vector),
    ]),
    Rule::of("Max").since(8).only(MlProgram),
    Rule::of("MaxPool").if_so(POOL),
    Rule::of("Mul").since(7),
    Rule::of("PRelu").since(6).if_so(&[Rank(0, &[3, 4], Both), Special(special::slope)]),
    Rule::of("Pad").since(11).if_so(&[
        Text {
            name: "mode",
            default: "constant",
            expected: &["constant", "reflect"],
            formats: Only(MlProgram),
        },
        Text { name: "mode", default: "constant", expected: &["constant"], formats: Only(NeuralNetwork) },
        Constant(2, "constant_value", Both),
        Special(special::pad),
    ]),
    Rule::of("Pow").since(7).if_so(&[Special(special::same_types)]),
    Rule::of("QuickGelu").only(MlProgram),
    Rule::of("Reciprocal"),
    Rule::of("ReduceMax").only(MlProgram).if_so(REDUCTION),
    Rule::of("ReduceMean").if_so(REDUCTION),
    Rule::of("ReduceMin").only(MlProgram).if_so(REDUCTION),
    Rule::of("ReduceProd").only(MlProgram).if_so(REDUCTION),
    Rule::of("ReduceSum").if_so(REDUCTION),
    Rule::of("Relu").since(6),
    Rule::of("Reshape").since(5).if_so(&[Special(special::reshape)]),
    Rule::of("Resize").since(11).may_be_empty().if_so(&[
        Rank(0, &[3, 4, 5], Only(MlProgram)),
        Rank(0, &[4], Only(NeuralNetwork)),
        Integer { name: "antialias", default: 0, expected: 0, formats: Both },
        Text { name: "mode", default: "nearest", expected: &["linear", "nearest"], formats: Both },
        Integer { name: "exclude_outside", default: 0, expected: 0, formats: Both },
        Text { name: "keep_aspect_ratio_policy", default: "stretch", expected: &["stretch"], formats: Both },
        Special(resize::resize),
    ]),
    Rule::of("Round").only(MlProgram),
    Rule::of("Shape").types(MEASURED).if_so(&[
        Without("end", Only(NeuralNetwork)),
        Integer { name: "start", default: 0, expected: 0, formats: Only(NeuralNetwork) },
        Special(special::part_of_the_shape),
    ]),
    Rule::of("Sigmoid").since(6),
    Rule::of("Slice").since(10).types(FLOATS_AND_INT64).if_so(&[Special(special::slice)]),
    Rule::of("Softmax").if_so(&[Special(special::static_if_old_softmax)]),
    Rule::of("Softplus").only(MlProgram),
    Rule::of("Split").since(13).if_so(&[Special(special::split)]),
    Rule::of("Sqrt"),
    Rule::of("Squeeze").if_so(&[Constant(1, "axes", Both)]),
    Rule::of("Sub").since(7),
    Rule::of("Tanh").since(6),
    Rule::of("Transpose"),
    Rule::of("Unsqueeze").only(MlProgram).if_so(&[Constant(1, "axes", Both), Special(special::unsqueeze)]),
];

/// The rule for an operator.
pub fn rule(operator: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.operator == operator)
}

/// Whether the provider takes a node, or the first reason that it comes upon why not.
pub(super) fn verdict(subject: &Subject<'_>) -> Result<(), Left> {
    let rule = rule(subject.node.op_type()).ok_or_else(|| Left::because(Reason::Operator, ""))?;
    ensure(rule.formats.contain(subject.format), || {
        let other = match subject.format {
            MlProgram => NeuralNetwork,
            NeuralNetwork => MlProgram,
        };
        Left::because(Reason::Format, format!("taken as {} only", other.name()))
    })?;
    ensure(subject.opset() >= rule.since, || {
        let (found, since) = (subject.opset(), rule.since);
        Left::because(Reason::OperatorSet, format!("is {found}, expected at least {since}"))
    })?;
    check::inputs(subject, rule.may_be_empty)?;
    check::types(subject, &rule.types)?;
    rule.checks.iter().try_for_each(|check| check.apply(subject))
}
