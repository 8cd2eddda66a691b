//! Text: into words, into phonemes, and into pieces that the model takes.

#[cfg(feature = "english")]
pub(crate) mod english;
#[cfg(feature = "english")]
pub(crate) mod lexicon;
#[cfg(feature = "english")]
#[allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "what is put into words is short, and reads better so"
)]
mod normalize;
pub(crate) mod notice;
#[cfg(feature = "english")]
mod reader;
#[cfg(feature = "engine")]
pub(crate) mod script;
#[cfg(feature = "english")]
mod spelling;
pub(crate) mod split;
pub(crate) mod vocabulary;

#[cfg(feature = "english")]
pub use lexicon::Lexicon;
#[cfg(feature = "english")]
pub use reader::{Reader, phonemize};
