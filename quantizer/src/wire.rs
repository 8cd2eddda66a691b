//! What the typed messages cannot tell of a file's bytes: fields that the schema does not know, and
//! texts that are not UTF-8.
//!
//! Protobuf lets a writer pad lengths, split a message, pack numbers or not; all of that decodes to
//! the same messages, so what is unknown is found by walking the fields, and not by comparing
//! lengths. And `string` fields of old writers may hold any encoding, Latin-1 for instance, which
//! Rust's strings do not take: while a model is in memory, a byte that is no UTF-8 stands as the
//! character U+10FE00 + byte, of a private-use plane, and writing the model makes it that byte
//! again.

use std::borrow::Cow;

/// A message of the schema.
struct Message {
    name: &'static str,
    /// Number, name and content of each field.
    fields: &'static [(u32, &'static str, Content)],
}

/// What a field holds, as far as it matters here.
#[derive(Clone, Copy)]
enum Content {
    Text,
    /// The position of the message in [`MESSAGES`].
    Message(usize),
    Other,
}

/// Made of `proto/onnx.proto` by the build script.
const MESSAGES: &[Message] = include!(concat!(env!("OUT_DIR"), "/wire_schema.rs"));

/// As deep as prost follows messages.
const DEEPEST: usize = 100;

/// The first character that stands for a byte; it and the 255 behind it do so.
const FIRST: u32 = 0x10_FE00;
/// What the UTF-8 of all of them begins with; the third byte is from `0xb8` to `0xbb`.
const PREFIX: [u8; 2] = [0xf4, 0x8f];

/// What the bytes of a model hold beside what decodes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The first field that is not in the schema, as a message calls it.
    pub(crate) unknown: Option<String>,
    /// Whether a text is not UTF-8.
    pub(crate) foreign_text: bool,
}

/// Walks the bytes of a `ModelProto`; `None` where they are no such message, which decoding says
/// better.
pub(crate) fn scan(bytes: &[u8]) -> Option<Found> {
    let mut found = Found::default();
    scan_message(bytes, model(), 0, &mut found)?;
    Some(found)
}

/// The bytes of a `ModelProto` with every text as UTF-8.
pub(crate) fn to_utf8(bytes: &[u8]) -> Option<Vec<u8>> {
    rewrite(bytes, model(), 0, escape)
}

/// Undoes [`to_utf8`].
pub(crate) fn from_utf8(bytes: &[u8]) -> Option<Vec<u8>> {
    rewrite(bytes, model(), 0, unescape)
}

/// Whether some of `bytes` could be a character that stands for a byte.
pub(crate) fn may_hold_foreign_text(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|window| window[..2] == PREFIX && (0xb8..=0xbb).contains(&window[2]))
}

fn model() -> usize {
    MESSAGES.iter().position(|message| message.name == "ModelProto").expect("the schema has models")
}

fn scan_message(bytes: &[u8], message: usize, depth: usize, found: &mut Found) -> Option<()> {
    if depth > DEEPEST {
        return None;
    }
    let Message { name, fields } = &MESSAGES[message];
    let mut rest = bytes;
    while !rest.is_empty() {
        let field = Field::read(&mut rest)?;
        let known = fields.iter().find(|(number, ..)| *number == field.number);
        match (known, field.payload) {
            (None, _) => {
                found.unknown.get_or_insert_with(|| format!("field {} of a `{name}`", field.number));
            }
            (Some((.., Content::Text)), Some(text)) => {
                found.foreign_text |= std::str::from_utf8(text).is_err() || may_hold_foreign_text(text);
            }
            (Some((.., Content::Message(inner))), Some(payload)) => {
                scan_message(payload, *inner, depth + 1, found)?;
            }
            _ => {}
        }
    }
    Some(())
}

fn rewrite(bytes: &[u8], message: usize, depth: usize, text: fn(&[u8]) -> Cow<'_, [u8]>) -> Option<Vec<u8>> {
    if depth > DEEPEST {
        return None;
    }
    let mut written = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let start = rest;
        let field = Field::read(&mut rest)?;
        let known = MESSAGES[message].fields.iter().find(|(number, ..)| *number == field.number);
        let payload = match (known, field.payload) {
            (Some((.., Content::Text)), Some(payload)) => text(payload),
            (Some((.., Content::Message(inner))), Some(payload)) => {
                Cow::Owned(rewrite(payload, *inner, depth + 1, text)?)
            }
            _ => {
                written.extend_from_slice(&start[..start.len() - rest.len()]);
                continue;
            }
        };
        varint_to(u64::from(field.number) << 3 | LENGTH_DELIMITED, &mut written);
        varint_to(payload.len() as u64, &mut written);
        written.extend_from_slice(&payload);
    }
    Some(written)
}

fn escape(text: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(text).is_ok() && !may_hold_foreign_text(text) {
        return Cow::Borrowed(text);
    }
    let stand_in =
        |byte: u8| char::from_u32(FIRST + u32::from(byte)).expect("a character of a private-use plane");
    let mut escaped = String::with_capacity(2 * text.len());
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            if byte_of(character).is_some() {
                // One that was there before: as its bytes, so that it comes back too.
                escaped.extend(character.encode_utf8(&mut [0; 4]).bytes().map(stand_in));
            } else {
                escaped.push(character);
            }
        }
        escaped.extend(chunk.invalid().iter().map(|&byte| stand_in(byte)));
    }
    Cow::Owned(escaped.into_bytes())
}

fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(text_of) = std::str::from_utf8(text).ok().filter(|_| may_hold_foreign_text(text)) else {
        return Cow::Borrowed(text);
    };
    let mut bytes = Vec::with_capacity(text.len());
    for character in text_of.chars() {
        match byte_of(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// The byte that a character stands for.
fn byte_of(character: char) -> Option<u8> {
    u32::from(character).checked_sub(FIRST).and_then(|byte| u8::try_from(byte).ok())
}

const LENGTH_DELIMITED: u64 = 2;

/// A field as it lies on the wire.
struct Field<'a> {
    number: u32,
    /// The bytes of one that is length-delimited.
    payload: Option<&'a [u8]>,
}

impl<'a> Field<'a> {
    /// Takes one field off `rest`; `None` where that is no field.
    fn read(rest: &mut &'a [u8]) -> Option<Self> {
        let key = varint(rest)?;
        let number = u32::try_from(key >> 3).ok().filter(|&number| number > 0)?;
        let mut payload = None;
        match key & 7 {
            0 => drop(varint(rest)?),
            1 => *rest = rest.get(8..)?,
            LENGTH_DELIMITED => {
                let length = usize::try_from(varint(rest)?).ok()?;
                let (taken, left) = rest.split_at_checked(length)?;
                (payload, *rest) = (Some(taken), left);
            }
            3 => skip_group(rest, number)?,
            5 => *rest = rest.get(4..)?,
            _ => return None,
        }
        Some(Self { number, payload })
    }
}

/// Skips what is left of a group of an outdated writer; groups nest, so this counts and does not
/// call itself.
fn skip_group(rest: &mut &[u8], number: u32) -> Option<()> {
    let mut open = vec![number];
    while let Some(&innermost) = open.last() {
        let key = varint(rest)?;
        let number = u32::try_from(key >> 3).ok()?;
        match key & 7 {
            0 => drop(varint(rest)?),
            1 => *rest = rest.get(8..)?,
            LENGTH_DELIMITED => *rest = rest.get(usize::try_from(varint(rest)?).ok()?..)?,
            3 => open.push(number),
            4 if number == innermost => drop(open.pop()),
            5 => *rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(())
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let (&byte, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn varint_to(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of that number with that payload.
    fn field(number: u64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint_to(number << 3 | LENGTH_DELIMITED, &mut bytes);
        varint_to(payload.len() as u64, &mut bytes);
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn an_unknown_field_is_found_wherever_it_is() {
        let unknown = field(900, b"new");
        // `GraphProto.node` 1, `NodeProto.attribute` 5, `AttributeProto.t` 5, within
        // `ModelProto.graph` 7.
        let deep = field(7, &field(1, &field(5, &field(5, &unknown))));
        let found = |bytes: &[u8]| scan(bytes).unwrap().unknown;
        assert_eq!(found(&deep).as_deref(), Some("field 900 of a `TensorProto`"));
        assert_eq!(found(&unknown).as_deref(), Some("field 900 of a `ModelProto`"));
        assert_eq!(found(&field(7, &field(1, &field(5, &field(9, b"any bytes"))))), None);
        // A group of field 900 with a group within.
        let group = [0xa3, 0x38, 0xa3, 0x38, 0xa4, 0x38, 0xa4, 0x38];
        assert_eq!(found(&group).as_deref(), Some("field 900 of a `ModelProto`"));
        assert_eq!(scan(&group[..6]), None);
        assert_eq!(scan(&[0x3a, 0xff, 0x7f]), None);
    }

    #[test]
    fn every_text_comes_back_to_the_byte() {
        let stand_in = "\u{10fe41}".as_bytes();
        let texts: [&[u8]; 6] = [
            b"plain",
            "é, 字".as_bytes(),
            b"caf\xe9",
            b"\xff\xfe\x00",
            stand_in,
            &[stand_in, b"\xe9"].concat(),
        ];
        for text in texts {
            let once = escape(text);
            assert!(std::str::from_utf8(&once).is_ok());
            assert_eq!(unescape(&once), text);
        }
        assert_eq!(escape(b"caf\xe9"), "caf\u{10fee9}".as_bytes());
        // `ModelProto.doc_string` 6 and, as a name, `GraphProto.name` 2.
        let bytes = [field(6, b"\xe9"), field(7, &field(2, b"\xe4\xf6"))].concat();
        assert!(scan(&bytes).unwrap().foreign_text);
        let utf8 = to_utf8(&bytes).unwrap();
        assert!(utf8.len() > bytes.len());
        assert_eq!(from_utf8(&utf8).unwrap(), bytes);
    }
}
