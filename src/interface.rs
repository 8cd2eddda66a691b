//! The inputs and outputs of a model: which is which, and that they are those of a Kokoro model.

use ort::session::Session;
use ort::value::{TensorElementType, ValueType};

use crate::error::{Error, ErrorKind};
use crate::voice::STYLE_LEN;

/// A dimension of any length.
const ANY: i64 = -1;

/// The names of the inputs and outputs that are used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) tokens: String,
    pub(crate) style: String,
    pub(crate) speed: String,
    pub(crate) audio: String,
    /// How many frames each token lasts, which not every model tells.
    pub(crate) durations: Option<String>,
}

/// The names that exports give the output of durations.
pub(crate) const DURATIONS: [&str; 2] = ["durations", "duration"];

/// One input or output as a graph declares it.
struct Value<'a> {
    name: &'a str,
    of: &'a ValueType,
}

/// One input or output as it has to be.
struct Expected {
    /// The names different exports give it.
    names: &'static [&'static str],
    element_types: &'static [TensorElementType],
    /// The shapes that will do; [`ANY`] stands for a length known at run time only.
    shapes: &'static [&'static [i64]],
}

const TOKENS: Expected = Expected {
    names: &["tokens", "input_ids"],
    element_types: &[TensorElementType::Int64],
    shapes: &[&[1, ANY]],
};
const STYLE: Expected = Expected {
    names: &["style"],
    element_types: &[TensorElementType::Float32],
    shapes: &[&[1, STYLE_LEN as i64]],
};
const SPEED: Expected =
    Expected { names: &["speed"], element_types: &[TensorElementType::Float32], shapes: &[&[1]] };
const AUDIO: Expected = Expected {
    names: &["audio", "waveform"],
    element_types: &[TensorElementType::Float32],
    shapes: &[&[ANY], &[1, ANY]],
};
const FRAMES: Expected = Expected {
    names: &DURATIONS,
    element_types: &[TensorElementType::Int64, TensorElementType::Int32, TensorElementType::Float32],
    shapes: &[&[ANY], &[1, ANY]],
};

impl Interface {
    /// Finds the inputs and the output of `session`; `model` names it in errors.
    ///
    /// Outputs beside the audio and the durations are let be; inputs beside the three and those that the caller
    /// feeds, `others`, are not, since nothing would feed them.
    pub(crate) fn of(session: &Session, model: &str, others: &[&str]) -> Result<Self, Error> {
        let inputs = session.inputs().iter().filter(|input| !others.contains(&input.name()));
        let inputs: Vec<_> = inputs.map(|i| Value { name: i.name(), of: i.dtype() }).collect();
        let outputs: Vec<_> =
            session.outputs().iter().map(|o| Value { name: o.name(), of: o.dtype() }).collect();
        Self::find(&inputs, &outputs, model).map_err(Error::from)
    }

    fn find(inputs: &[Value<'_>], outputs: &[Value<'_>], model: &str) -> Result<Self, ErrorKind> {
        let find = |expected: &Expected, among: &[Value<'_>]| {
            expected.find(among).ok_or_else(|| ErrorKind::ModelInterface {
                model: model.to_owned(),
                expected: expected.describe(),
                found: describe(among),
            })
        };
        let interface = Self {
            tokens: find(&TOKENS, inputs)?,
            style: find(&STYLE, inputs)?,
            speed: find(&SPEED, inputs)?,
            audio: find(&AUDIO, outputs)?,
            durations: FRAMES.find(outputs),
        };
        if inputs.len() != 3 {
            return Err(ErrorKind::ModelInterface {
                model: model.to_owned(),
                expected: "three inputs".to_owned(),
                found: describe(inputs),
            });
        }
        Ok(interface)
    }
}

impl Expected {
    fn find(&self, among: &[Value<'_>]) -> Option<String> {
        let value = among.iter().find(|value| self.names.contains(&value.name))?;
        let ValueType::Tensor { ty, shape, .. } = value.of else { return None };
        let fits = |expected: &&[i64]| {
            // An export may leave a length open that is in truth fixed, but not the other way round.
            expected.len() == shape.len()
                && expected
                    .iter()
                    .zip(shape.iter())
                    .all(|(expected, found)| found == expected || *found == ANY)
        };
        (self.element_types.contains(ty) && self.shapes.iter().any(fits)).then(|| value.name.to_owned())
    }

    fn describe(&self) -> String {
        let names: Vec<_> = self.names.iter().map(|name| format!("`{name}`")).collect();
        let shapes: Vec<_> = self.shapes.iter().map(|shape| describe_shape(shape)).collect();
        let types: Vec<_> = self.element_types.iter().map(|&it| type_name(it)).collect();
        format!("{} {} {}", names.join(" or "), types.join(" or "), shapes.join(" or "))
    }
}

fn describe(values: &[Value<'_>]) -> String {
    let values: Vec<_> = values
        .iter()
        .map(|value| match value.of {
            ValueType::Tensor { ty, shape, .. } => {
                format!("`{}` {} {}", value.name, type_name(*ty), describe_shape(shape))
            }
            other => format!("`{}` {other}", value.name),
        })
        .collect();
    if values.is_empty() { "nothing".to_owned() } else { values.join(", ") }
}

fn describe_shape(shape: &[i64]) -> String {
    let dimensions: Vec<_> =
        shape.iter().map(|&length| if length == ANY { "n".to_owned() } else { length.to_string() }).collect();
    format!("[{}]", dimensions.join(", "))
}

/// The name ONNX gives an element type; `ort` writes `f32` and `i64`.
fn type_name(element_type: TensorElementType) -> String {
    let name = element_type.to_string();
    match name.split_at_checked(1) {
        Some(("f", bits)) if bits.bytes().all(|byte| byte.is_ascii_digit()) => format!("float{bits}"),
        Some(("i", bits)) if bits.bytes().all(|byte| byte.is_ascii_digit()) => format!("int{bits}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use ort::value::{Shape, SymbolicDimensions};

    use super::*;

    fn tensor(ty: TensorElementType, shape: &[i64]) -> ValueType {
        ValueType::Tensor {
            ty,
            shape: Shape::new(shape.iter().copied()),
            dimension_symbols: SymbolicDimensions::empty(shape.len()),
        }
    }

    /// The interface of a model with these inputs and output.
    fn find(
        inputs: &[(&str, TensorElementType, &[i64])],
        output: (&str, TensorElementType, &[i64]),
    ) -> Result<Interface, ErrorKind> {
        find_all(inputs, &[output])
    }

    fn find_all(
        inputs: &[(&str, TensorElementType, &[i64])],
        outputs: &[(&str, TensorElementType, &[i64])],
    ) -> Result<Interface, ErrorKind> {
        let types: Vec<_> = inputs.iter().map(|(_, ty, shape)| tensor(*ty, shape)).collect();
        let inputs: Vec<_> = inputs.iter().zip(&types).map(|(&(name, ..), of)| Value { name, of }).collect();
        let types: Vec<_> = outputs.iter().map(|(_, ty, shape)| tensor(*ty, shape)).collect();
        let outputs: Vec<_> =
            outputs.iter().zip(&types).map(|(&(name, ..), of)| Value { name, of }).collect();
        Interface::find(&inputs, &outputs, "m.onnx")
    }

    use TensorElementType::{Float32, Int32, Int64};

    const V1_0: [(&str, TensorElementType, &[i64]); 3] =
        [("tokens", Int64, &[1, -1]), ("style", Float32, &[1, 256]), ("speed", Float32, &[1])];

    #[test]
    fn the_published_interfaces_are_known() {
        let interface = find(&V1_0, ("audio", Float32, &[-1])).unwrap();
        assert_eq!((interface.tokens.as_str(), interface.audio.as_str()), ("tokens", "audio"));
        let mut other = V1_0;
        other[0] = ("input_ids", Int64, &[1, -1]);
        let interface = find(&other, ("waveform", Float32, &[1, -1])).unwrap();
        assert_eq!((interface.tokens.as_str(), interface.audio.as_str()), ("input_ids", "waveform"));
    }

    #[test]
    fn durations_are_known_where_there_are_any() {
        for (output, known) in [
            (("durations", Int64, &[-1][..]), true),
            (("duration", Int32, &[1, -1]), true),
            (("durations", Float32, &[1, -1]), true),
            (("durations", Float32, &[1, 1, -1]), false),
            (("durations", TensorElementType::String, &[-1]), false),
            (("lengths", Int64, &[-1]), false),
        ] {
            let interface = find_all(&V1_0, &[("audio", Float32, &[-1]), output]).unwrap();
            assert_eq!(interface.durations.as_deref(), known.then_some(output.0), "{output:?}");
        }
    }

    #[test]
    fn an_open_length_will_do_for_a_fixed_one_but_not_the_other_way_round() {
        let mut open = V1_0;
        open[1].2 = &[-1, 256];
        assert!(find(&open, ("audio", Float32, &[-1])).is_ok());
        let mut fixed = V1_0;
        fixed[0].2 = &[1, 128];
        assert!(find(&fixed, ("audio", Float32, &[-1])).is_err());
    }

    #[test]
    fn what_differs_is_told_with_what_was_expected() {
        for (index, input, expected) in [
            (0, ("ids", Int64, &[1, -1][..]), "`tokens` or `input_ids` int64 [1, n]"),
            (0, ("tokens", Int32, &[1, -1]), "`tokens` or `input_ids` int64 [1, n]"),
            (1, ("style", Float32, &[1, 128]), "`style` float32 [1, 256]"),
            (2, ("speed", Int32, &[1]), "`speed` float32 [1]"),
        ] {
            let mut inputs = V1_0;
            inputs[index] = input;
            let error = find(&inputs, ("audio", Float32, &[-1])).unwrap_err();
            let ErrorKind::ModelInterface { expected: told, found, .. } = &error else { panic!("{error}") };
            assert_eq!(told, expected);
            assert!(found.contains(&format!("`{}` {}", input.0, type_name(input.1))), "{found}");
        }
        let error = find(&V1_0, ("audio", Int64, &[-1])).unwrap_err();
        assert!(error.to_string().contains("found `audio` int64 [n]"), "{error}");
        let more = [&V1_0[..], &[("noise", Float32, &[1])]].concat();
        let error = find(&more, ("audio", Float32, &[-1])).unwrap_err();
        assert!(error.to_string().contains("expected three inputs"), "{error}");
    }
}
