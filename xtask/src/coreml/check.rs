//! What the provider asks of a node beyond its operator, as data where that can be.

use quantizer::census::element_name;
use quantizer::graph::attribute;
use quantizer::proto::tensor_proto::DataType;

use super::subject::{Subject, not_constant, unknown};
use super::{Format, Left, Reason};

/// A dimension of a convolution may not be longer. The provider refuses more, since CoreML then returns no sound result
/// or none at all (<https://github.com/apple/coremltools/issues/1003>).
pub const LONGEST: i64 = 16_384;

/// The formats that something holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formats {
    /// Both.
    Both,
    /// This one alone.
    Only(Format),
}

impl Formats {
    /// Whether `format` is one of them.
    pub fn contain(self, format: Format) -> bool {
        match self {
            Self::Both => true,
            Self::Only(only) => only == format,
        }
    }
}

/// The element types that the first input may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types {
    /// As an ML Program.
    pub ml_program: &'static [DataType],
    /// As a `NeuralNetwork`.
    pub neural_network: &'static [DataType],
}

/// A value of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The input at this position.
    Input(usize),
    /// The output at this position.
    Output(usize),
}

/// Something that the provider asks of a node.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    /// The input, if there is one, is constant.
    Constant(usize, &'static str, Formats),
    /// The input has one of these numbers of dimensions.
    Rank(usize, &'static [usize], Formats),
    /// No dimension of the value is longer than [`LONGEST`]; its shape has to be known for that.
    Length(Place),
    /// The integer attribute, or this default, has this value.
    Integer { name: &'static str, default: i64, expected: i64, formats: Formats },
    /// The text attribute, or this default, has one of these values.
    Text { name: &'static str, default: &'static str, expected: &'static [&'static str], formats: Formats },
    /// The attribute is left out.
    Without(&'static str, Formats),
    /// As many outputs.
    Outputs(usize),
    /// At least as many inputs.
    AtLeastInputs(usize),
    /// What takes more than data to say.
    Special(fn(&Subject<'_>) -> Result<(), Left>),
}

impl Check {
    /// Holds it against a node.
    pub fn apply(&self, subject: &Subject<'_>) -> Result<(), Left> {
        let holds = |formats: &Formats| formats.contain(subject.format);
        match self {
            Self::Constant(at, what, formats) => {
                let given = holds(formats) && subject.input(*at).is_some();
                ensure(!given || subject.is_constant(*at), || not_constant(*at, what))
            }
            Self::Rank(at, allowed, formats) if holds(formats) => {
                let rank = subject.shape(*at)?.len();
                ensure(allowed.contains(&rank), || {
                    let allowed = any_of(allowed.iter());
                    Left::because(Reason::Rank, format!("of input {at} is {rank}, expected {allowed}"))
                })
            }
            Self::Length(place) => length(subject, *place),
            Self::Integer { name, default, expected, formats } if holds(formats) => {
                let found = subject.integer(name, *default);
                ensure(found == *expected, || wrong_attribute(name, &found, expected))
            }
            Self::Text { name, default, expected, formats } if holds(formats) => {
                let found = subject.text(name, default);
                let allowed = || any_of(expected.iter().map(|it| format!("`{it}`")));
                ensure(expected.contains(&found), || {
                    wrong_attribute(name, &format_args!("`{found}`"), &allowed())
                })
            }
            Self::Without(name, formats) if holds(formats) => {
                ensure(attribute(subject.node, name).is_none(), || {
                    Left::because(Reason::Attribute, format!("`{name}` is given, expected none"))
                })
            }
            Self::Outputs(expected) => {
                let found = subject.node.output.len();
                ensure(found == *expected, || {
                    Left::because(Reason::Neighbours, format!("{found} outputs, expected {expected}"))
                })
            }
            Self::AtLeastInputs(expected) => {
                let found = subject.node.input.len();
                ensure(found >= *expected, || {
                    Left::because(Reason::Neighbours, format!("{found} inputs, expected at least {expected}"))
                })
            }
            Self::Special(check) => check(subject),
            // Not of this format.
            Self::Rank(..) | Self::Integer { .. } | Self::Text { .. } | Self::Without(..) => Ok(()),
        }
    }
}

/// What the provider asks of each input, whatever the operator: a shape, at most five dimensions, and elements.
/// `may_be_empty` lets a dimension of 0 pass.
pub(super) fn inputs(subject: &Subject<'_>, may_be_empty: bool) -> Result<(), Left> {
    const MOST: usize = 5;
    for at in (0..subject.node.input.len()).filter(|&at| subject.input(at).is_some()) {
        let shape = subject.shape(at)?;
        let require_static = subject.options.require_static_input_shapes;
        ensure(!require_static || shape.iter().all(Option::is_some), || {
            Left::because(
                Reason::DynamicDimension,
                format!("of input {at}, which the options require to be static"),
            )
        })?;
        ensure(may_be_empty || !shape.contains(&Some(0)), || {
            Left::because(Reason::Shape, format!("input {at} has a dimension of 0"))
        })?;
        ensure(shape.len() <= MOST, || {
            let rank = shape.len();
            Left::because(Reason::Rank, format!("of input {at} is {rank}, expected at most {MOST}"))
        })?;
    }
    Ok(())
}

/// That the first input has one of the types.
pub(super) fn types(subject: &Subject<'_>, types: &Types) -> Result<(), Left> {
    let allowed = if subject.is_ml_program() { types.ml_program } else { types.neural_network };
    element_among(subject, "input 0", subject.input(0), allowed)
}

/// That a value has one of these element types.
pub(super) fn element_among(
    subject: &Subject<'_>,
    what: &str,
    name: Option<&str>,
    allowed: &[DataType],
) -> Result<(), Left> {
    let found = name.map_or(DataType::Undefined, |name| subject.element(name));
    ensure(allowed.contains(&found), || {
        let (found, allowed) = (element_name(found), any_of(allowed.iter().map(|&it| element_name(it))));
        Left::because(Reason::ElementType, format!("{what} is {found}, expected {allowed}"))
    })
}

fn length(subject: &Subject<'_>, place: Place) -> Result<(), Left> {
    let (name, what) = match place {
        Place::Input(at) => (subject.input(at), format!("input {at}")),
        Place::Output(at) => (subject.output(at), format!("output {at}")),
    };
    let shape = name.and_then(|name| subject.shape_of(name)).ok_or_else(|| unknown(&what))?;
    // A dynamic dimension counts as short: how long it becomes is not known when nodes are taken.
    let longest = shape.iter().copied().flatten().max().unwrap_or(0);
    ensure(longest <= LONGEST, || {
        Left::because(Reason::LongDimension, format!("of {what} is above {LONGEST}"))
    })
}

pub(super) fn ensure(holds: bool, left: impl FnOnce() -> Left) -> Result<(), Left> {
    if holds { Ok(()) } else { Err(left()) }
}

pub(super) fn wrong_attribute(
    name: &str,
    found: &dyn std::fmt::Display,
    expected: &dyn std::fmt::Display,
) -> Left {
    Left::because(Reason::Attribute, format!("`{name}` is {found}, expected {expected}"))
}

/// Words with an `or` in front of the last.
pub(super) fn any_of(words: impl Iterator<Item = impl ToString>) -> String {
    let words: Vec<String> = words.map(|word| word.to_string()).collect();
    match words.as_slice() {
        [front @ .., last] if !front.is_empty() => format!("{} or {last}", front.join(", ")),
        _ => words.concat(),
    }
}
