//! What a text has that cannot be read as it stands, and where.

use std::fmt;

/// What is done with a word or a symbol that no reading is known for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unknown {
    /// It is left out, with a [`Notice`].
    #[default]
    Skip,
    /// The text is refused, with all such places in one error.
    Error,
}

/// Something in a text that is not read, or not as it is meant, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// What it is.
    pub kind: NoticeKind,
    /// As it stands in the text.
    pub text: String,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

/// The kinds of [`Notice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoticeKind {
    /// A symbol without a known reading, such as an emoji, is left out.
    Symbol,
    /// Words in another script than that of the voice's language are left out.
    Script,
    /// A sentence seems to be in another language than the voice's; it is read as if it were not.
    Language(
        /// The name of the language in English.
        &'static str,
    ),
    /// A tag of HTML is left out.
    Markup,
    /// The mark of a footnote, such as `[1]`, is left out.
    Note,
}

impl NoticeKind {
    /// Whether it is an error for [`Unknown::Error`]: something that would be spoken is not.
    pub fn is_unknown(self) -> bool {
        matches!(self, Self::Symbol | Self::Script)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, text, line, column } = self;
        write!(formatter, "line {line}, column {column}: `{text}` ")?;
        match kind {
            NoticeKind::Symbol => write!(formatter, "has no known reading"),
            NoticeKind::Script => write!(formatter, "is in a script that this voice does not read"),
            NoticeKind::Language(language) => {
                write!(formatter, "seems to be {language}, which is read as English here")
            }
            NoticeKind::Markup => write!(formatter, "is markup, which is not read"),
            NoticeKind::Note => write!(formatter, "marks a note, which is not read"),
        }
    }
}
