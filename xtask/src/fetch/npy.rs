//! Arrays as NumPy stores them: an `.npy` file is a magic word, a version, a header and the values.
//!
//! The format is that of NumPy's `lib.format`, versions 1 to 3. The header is a literal of Python; of all that such may be,
//! only what NumPy itself writes for a plain array is taken, so no expression is ever evaluated.

use std::io::{self, Read};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// A bound on the header, far above the 118 bytes that NumPy pads that of a plain array to.
const MOST_HEADER: usize = 4096;

/// Reads the values of one array of little-endian float32 in C order with this shape. Nothing may follow them.
///
/// No more than a header and an array of this shape, and a byte, are read and held, whatever `reader` would give.
///
/// # Errors
/// What was expected and what was found.
pub(super) fn read_f32(mut reader: impl Read, shape: &[u64]) -> Result<Vec<u8>, String> {
    let bytes = shape.iter().product::<u64>() * size_of::<f32>() as u64;
    let header = header(&mut reader)?;
    let Header { descr, fortran_order, shape: found } = Header::parse(&header)?;
    if descr != "<f4" {
        return Err(format!("expected values of type `<f4`, found `{descr}`"));
    }
    if fortran_order {
        return Err("expected values in C order, found `fortran_order` True".to_owned());
    }
    if found != shape {
        return Err(format!("expected the shape {shape:?}, found {found:?}"));
    }
    let mut values = Vec::new();
    // One byte more tells of all that might follow.
    reader.take(bytes + 1).read_to_end(&mut values).map_err(|error| error.to_string())?;
    match values.len() as u64 {
        length if length == bytes => Ok(values),
        length if length > bytes => Err(format!("expected {bytes} bytes of values, found more")),
        length => Err(format!("expected {bytes} bytes of values, found {length}")),
    }
}

/// The text of the header.
fn header(reader: &mut impl Read) -> Result<String, String> {
    let cut = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "cut short in its header".to_owned(),
        _ => error.to_string(),
    };
    let [mut magic, mut version] = [[0; 6], [0; 6]];
    reader.read_exact(&mut magic).map_err(cut)?;
    if magic != *MAGIC {
        return Err(format!("expected an `.npy` file, found `{}` at its start", magic.escape_ascii()));
    }
    reader.read_exact(&mut version[..4]).map_err(cut)?;
    let length = match version {
        [1, 0, low, high, ..] => usize::from(u16::from_le_bytes([low, high])),
        [2 | 3, 0, low, high, ..] => {
            reader.read_exact(&mut version[4..]).map_err(cut)?;
            u32::from_le_bytes([low, high, version[4], version[5]]) as usize
        }
        [major, minor, ..] => {
            return Err(format!("expected version 1.0, 2.0 or 3.0 of `.npy`, found {major}.{minor}"));
        }
    };
    if length > MOST_HEADER {
        return Err(format!("expected a header of at most {MOST_HEADER} bytes, found {length}"));
    }
    let mut text = vec![0; length];
    reader.read_exact(&mut text).map_err(cut)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    if text.is_ascii() { Ok(text) } else { Err(unlike(&text)) }
}

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<u64>,
}

impl Header {
    /// Reads a dictionary with these three keys, each once.
    fn parse(text: &str) -> Result<Self, String> {
        let mut literal = Literal { rest: text };
        literal.dictionary().filter(|_| literal.rest.trim().is_empty()).ok_or_else(|| unlike(text))
    }
}

fn unlike(text: &str) -> String {
    format!(
        "expected a header with `descr`, `fortran_order` and `shape`, found `{}`",
        text.trim_end().escape_debug()
    )
}

/// What is left of a Python literal.
struct Literal<'a> {
    rest: &'a str,
}

impl Literal<'_> {
    fn dictionary(&mut self) -> Option<Header> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.take("{")?;
        while self.take("}").is_none() {
            let key = self.string()?;
            self.take(":")?;
            let first = match key.as_str() {
                "descr" => descr.replace(self.string()?).is_none(),
                "fortran_order" => fortran_order.replace(self.boolean()?).is_none(),
                "shape" => shape.replace(self.tuple()?).is_none(),
                _ => false,
            };
            if !first {
                return None;
            }
            if self.take(",").is_none() {
                self.take("}")?;
                break;
            }
        }
        Some(Header { descr: descr?, fortran_order: fortran_order?, shape: shape? })
    }

    /// Takes `token` and the spaces before it.
    fn take(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        let quote = ["'", "\""].into_iter().find(|quote| self.take(quote).is_some())?;
        let (text, rest) = self.rest.split_once(quote)?;
        self.rest = rest;
        (!text.contains('\\')).then(|| text.to_owned())
    }

    fn boolean(&mut self) -> Option<bool> {
        let truth = self.take("True").is_some();
        if !truth {
            self.take("False")?;
        }
        Some(truth)
    }

    /// Whole numbers in parentheses; a single one has a comma behind it, or would be no tuple.
    fn tuple(&mut self) -> Option<Vec<u64>> {
        let mut lengths = Vec::new();
        self.take("(")?;
        while self.take(")").is_none() {
            let rest = self.rest.trim_start();
            let (digits, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
            lengths.push(digits.parse().ok()?);
            self.rest = rest;
            if self.take(",").is_none() {
                self.take(")")?;
                return (lengths.len() > 1).then_some(lengths);
            }
        }
        Some(lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_numpy_writes_them_and_not_otherwise() {
        let plain =
            |shape: &[u64]| Some(Header { descr: "<f4".into(), fortran_order: false, shape: shape.to_vec() });
        let cases = [
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (510, 1, 256), }      \n",
                plain(&[510, 1, 256]),
            ),
            ("{\"shape\": (3,), \"fortran_order\": False, \"descr\": \"<f4\"}", plain(&[3])),
            ("{'descr':'<f4','fortran_order':False,'shape':()}", plain(&[])),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3), }", None),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 1), }", None),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 99999999999999999999), }", None),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), 'shape': (1, 2), }", None),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), 'more': '', }", None),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), } + {}", None),
            ("{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 2), }", None),
            ("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1, 2), }", None),
            ("{'descr': '<f4', 'fortran_order': False, }", None),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (1, ", None),
            ("{'descr", None),
            ("", None),
        ];
        let wrong: Vec<_> = cases
            .into_iter()
            .filter(|(text, expected)| Header::parse(text).ok() != *expected)
            .map(|(text, _)| text)
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
