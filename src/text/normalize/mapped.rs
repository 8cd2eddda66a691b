//! Text that remembers where it comes from.

use std::ops::Range;

use crate::text::split::belongs_before;

/// A text with, for each of its bytes, the byte of the original that it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mapped {
    text: String,
    origins: Vec<u32>,
}

impl Mapped {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), origins: Vec::with_capacity(bytes) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// Where in the original the byte `at` comes from; behind the end, `None`.
    pub(crate) fn origin(&self, at: usize) -> Option<usize> {
        self.origins.get(at).map(|&origin| origin as usize)
    }

    /// Where in the original the character at byte `at` ends, with the marks that belong to it.
    pub(crate) fn end(&self, at: usize, original: &str) -> usize {
        let Some(origin) = self.origin(at) else { return original.len() };
        let mut rest = original[origin..].chars();
        let first = rest.next().map_or(0, char::len_utf8);
        origin + first + rest.take_while(|next| belongs_before(*next)).map(char::len_utf8).sum::<usize>()
    }

    /// Appends a character that stands for what begins at byte `origin` of the original.
    pub(crate) fn push(&mut self, character: char, origin: usize) {
        self.text.push(character);
        // A text is refused before it has more bytes than fit.
        self.origins.resize(self.text.len(), origin as u32);
    }

    /// Appends text that stands for what begins at byte `origin` of the original.
    pub(crate) fn push_str(&mut self, text: &str, origin: usize) {
        self.text.push_str(text);
        self.origins.resize(self.text.len(), origin as u32);
    }

    /// Appends a part of another text, with its origins.
    pub(crate) fn keep(&mut self, other: &Self, range: Range<usize>) {
        self.text.push_str(&other.text[range.clone()]);
        self.origins.extend_from_slice(&other.origins[range]);
    }

    /// Takes white space off the end.
    pub(crate) fn trim_end(&mut self) {
        self.text.truncate(self.text.trim_end().len());
        self.origins.truncate(self.text.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_and_what_is_replaced_knows_its_place() {
        let mut original = Mapped::default();
        for (at, character) in "a €5".char_indices() {
            original.push(character, at);
        }
        let mut spoken = Mapped::default();
        spoken.keep(&original, 0..2);
        spoken.push_str("five euros", original.origin(2).unwrap());
        assert_eq!(spoken.as_str(), "a five euros");
        assert_eq!([0, 2, 11].map(|at| spoken.origin(at)), [Some(0), Some(2), Some(2)]);
        assert_eq!(spoken.origin(spoken.len()), None);
        assert_eq!([0, 2, 20].map(|at| spoken.end(at, "a €5")), [1, 5, 6]);
    }
}
