//! Small ONNX models, written field by field: the package has no ONNX types, and its tests need few of them.

/// A model of operators of opset 20 and of the domain `ai.kokoro`. Values have no declared shapes but their rank, and the
/// inputs are float32.
#[derive(Clone, Default)]
pub struct Graph {
    fields: Vec<u8>,
}

/// The value of an attribute.
#[derive(Clone, Copy)]
pub enum Attribute<'a> {
    Float(f32),
    Integer(i64),
    Integers(&'a [i64]),
    Text(&'a str),
}

pub use Attribute::{Float, Integer, Integers, Text};

const FLOAT: u64 = 1;
const INT8: u64 = 3;
const INT64: u64 = 7;

impl Graph {
    /// A float input of `rank` dimensions of any length.
    #[must_use]
    pub fn input(self, name: &str, rank: usize) -> Self {
        let dimension = field(1, &field(2, &[]));
        self.with(11, &value(name, Some(&dimension.repeat(rank))))
    }

    /// A float output.
    #[must_use]
    pub fn output(self, name: &str) -> Self {
        self.with(12, &value(name, None))
    }

    #[must_use]
    pub fn floats(self, name: &str, shape: &[u64], values: &[f32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, shape, FLOAT, &bytes)
    }

    /// An integer without dimensions.
    #[must_use]
    pub fn integer(self, name: &str, value: i64) -> Self {
        self.constant(name, &[], INT64, &value.to_le_bytes())
    }

    #[must_use]
    pub fn integers(self, name: &str, values: &[i64]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, &[values.len() as u64], INT64, &bytes)
    }

    #[must_use]
    pub fn levels(self, name: &str, shape: &[u64], values: &[i8]) -> Self {
        let bytes: Vec<u8> = values.iter().map(|&value| value as u8).collect();
        self.constant(name, shape, INT8, &bytes)
    }

    /// A node called after its output. An operator of `ai.kokoro` has the domain in front: `ai.kokoro:WinogradConv`.
    #[must_use]
    pub fn node(
        self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute<'_>)],
    ) -> Self {
        let (domain, operator) = operator.split_once(':').unwrap_or(("", operator));
        let mut node: Vec<u8> = inputs.iter().flat_map(|input| field(1, input.as_bytes())).collect();
        for (number, text) in [(2, output), (3, output), (4, operator), (7, domain)] {
            node.extend(field(number, text.as_bytes()));
        }
        for (name, attribute) in attributes {
            let (kind, content) = match attribute {
                Float(number) => (1, [&[2 << 3 | 5][..], &number.to_le_bytes()].concat()),
                Integer(number) => (2, number_field(3, *number as u64)),
                Integers(numbers) => {
                    (7, numbers.iter().flat_map(|&number| number_field(8, number as u64)).collect())
                }
                Text(text) => (3, field(4, text.as_bytes())),
            };
            node.extend(field(5, &[field(1, name.as_bytes()), content, number_field(20, kind)].concat()));
        }
        self.with(1, &node)
    }

    /// The bytes of the model; `version` is that of `ai.kokoro`.
    pub fn model(&self, version: u64) -> Vec<u8> {
        let graph = [field(2, b"test"), self.fields.clone()].concat();
        let opset = number_field(2, 20);
        let ours = [field(1, b"ai.kokoro"), number_field(2, version)].concat();
        [number_field(1, 9), field(7, &graph), field(8, &opset), field(8, &ours)].concat()
    }

    fn constant(self, name: &str, shape: &[u64], element: u64, bytes: &[u8]) -> Self {
        let dims: Vec<u8> = shape.iter().flat_map(|&length| number_field(1, length)).collect();
        self.with(5, &[dims, number_field(2, element), field(8, name.as_bytes()), field(9, bytes)].concat())
    }

    fn with(mut self, number: u64, bytes: &[u8]) -> Self {
        self.fields.extend(field(number, bytes));
        self
    }
}

fn value(name: &str, shape: Option<&[u8]>) -> Vec<u8> {
    let shape = shape.map_or(Vec::new(), |dimensions| field(2, dimensions));
    let tensor = [number_field(1, FLOAT), shape].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}

/// A field of bytes, with their length before them.
fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn number_field(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
