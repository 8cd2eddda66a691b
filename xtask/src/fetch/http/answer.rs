//! What the head of an answer says.

use std::io;
use std::path::Path;
use std::time::Duration;

use reqwest::blocking::Response;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, LAST_MODIFIED, RETRY_AFTER};
use reqwest::{StatusCode, Url};

use super::super::cache::Size;
use super::super::error::SourceError;

/// What a server calls one version of a file: a strong `ETag`, else a date (RFC 9110, section 13.1.5).
pub(super) struct Validator(String);

impl Validator {
    /// What `response` calls its body.
    pub(super) fn of(response: &Response) -> Option<Self> {
        // A weak tag does not promise equal bytes, so `If-Range` must not carry one.
        let strong = header(response, &ETAG).filter(|tag| tag.starts_with('"'));
        strong.or_else(|| header(response, &LAST_MODIFIED)).map(|text| Self(text.to_owned()))
    }

    /// What was stored when the part was begun, if that was at the same address.
    pub(super) fn load(path: &Path, url: &Url) -> Result<Option<Self>, SourceError> {
        let text = match fs_err::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SourceError::Local(error)),
        };
        let stored = text.split_once('\n').filter(|(address, _)| *address == url.as_str());
        Ok(stored.map(|(_, validator)| Self(validator.to_owned())).filter(|v| is_header_value(&v.0)))
    }

    /// Remembers it beside the part.
    pub(super) fn store(&self, path: &Path, url: &Url) -> Result<(), SourceError> {
        let text = format!("{url}\n{}", self.0);
        let length = text.len() as u64;
        fs_err::write(path, text).map_err(|error| SourceError::of_writing(error, path, length, 0))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A killed run may have left half a line.
fn is_header_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn header<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok().filter(|text| is_header_value(text))
}

/// The number of bytes that the body is said to have.
pub(super) fn declared_length(response: &Response) -> Option<u64> {
    header(response, &CONTENT_LENGTH)?.parse().ok()
}

/// Whether the answer's body goes on after `written` bytes of the very file that `validator` stands for.
pub(super) fn continues(response: &Response, written: u64, validator: &Validator, size: Size) -> bool {
    let same = match (header(response, &ETAG), validator.0.starts_with('"')) {
        (Some(tag), true) => tag == validator.0,
        _ => true,
    };
    let fits = header(response, &CONTENT_RANGE).and_then(content_range).is_some_and(|(first, total)| {
        first == written
            && match (size, total) {
                (Size::Exactly(bytes), Some(total)) => total == bytes,
                (Size::AtMost(limit), Some(total)) => total <= limit,
                (_, None) => true,
            }
    });
    response.status() == StatusCode::PARTIAL_CONTENT && same && fits
}

/// The first byte and the file's size from `bytes <first>-<last>/<size or *>`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse::<u64>().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    (first <= last).then_some((first, total))
}

/// The failure that an answer other than success is.
pub(super) fn refusal(response: &Response) -> SourceError {
    let status = response.status();
    if status.is_success() {
        return SourceError::Protocol(format!("{status}, though nothing but the whole file was asked for"));
    }
    let seconds = header(response, &RETRY_AFTER).and_then(|text| text.trim().parse().ok());
    SourceError::Status { status: status.as_u16(), retry_after: seconds.map(Duration::from_secs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_content_ranges() {
        for (text, expected) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 5-9/*", Some((5, None))),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("bytes -5/10", None),
            ("lines 5-9/10", None),
            ("bytes 5-9", None),
        ] {
            assert_eq!(content_range(text), expected, "`{text}`");
        }
    }
}
