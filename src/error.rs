//! What can go wrong, as one type.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

#[cfg(feature = "engine")]
use crate::kernels::UnavailableKernels;
use crate::language::Language;
use crate::text::notice::Notice;
use crate::text::vocabulary::UnknownPhoneme;
use crate::voices::Voice;

/// An error of this crate: a [kind](ErrorKind) that holds the values found, and what caused it.
///
/// Printed by `{:?}`, as `main` does with one that it returns, it is the same sentence as by `{}`, with its causes.
pub struct Error {
    kind: ErrorKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// What went wrong, with the values that were found.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    #[cfg(feature = "engine")]
    pub(crate) fn with_source(kind: ErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()) }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<UnknownPhoneme> for Error {
    fn from(unknown: UnknownPhoneme) -> Self {
        Self { kind: ErrorKind::UnknownPhoneme, source: Some(Box::new(unknown)) }
    }
}

#[cfg(feature = "engine")]
impl From<UnavailableKernels> for Error {
    fn from(unavailable: UnavailableKernels) -> Self {
        let UnavailableKernels { name, available } = unavailable;
        ErrorKind::KernelsUnavailable { name, available }.into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(formatter)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(formatter, "\ncaused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// The kinds of [`Error`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// None of the places where a runtime could be has one.
    #[error(
        "no ONNX Runtime library{}\nhint: set `KOKORO_ONNXRUNTIME` to the path of the library, put it beside the executable, or build with feature `bundle-runtime`",
        listed(looked_in)
    )]
    RuntimeNotFound {
        /// Each place in the order of looking, with what was found there.
        looked_in: Vec<String>,
    },
    /// The library in this binary is not what was put there.
    #[error(
        "the ONNX Runtime library in this binary is damaged: {reason}\nhint: build or install the program again"
    )]
    BundleDamaged {
        /// What was expected and what was found.
        reason: String,
    },
    /// The library in this binary could be put nowhere from where it can be loaded.
    #[error(
        "the ONNX Runtime library in this binary cannot be unpacked{}\nhint: set `KOKORO_MODEL_CACHE` to a folder of your own that can be written to, or `KOKORO_ONNXRUNTIME` to the path of a library",
        listed(looked_in)
    )]
    RuntimeNotUnpacked {
        /// Each place in the order of trying, with what was wrong there.
        looked_in: Vec<String>,
    },
    /// What prepares a model for a quick start is damaged, or of another model.
    #[error(
        "the model or what it was prepared to is damaged, or they do not belong together: {reason}\nhint: build or \
         install the program again; where you made the model, `cargo xtask quantize --force` makes both again"
    )]
    PreparedDamaged {
        /// What was expected and what was found.
        reason: String,
    },
    /// There is no file where the runtime was said to be.
    #[error("no ONNX Runtime library at `{}`\nhint: give the path of `libonnxruntime.so`, `libonnxruntime.dylib` or `onnxruntime.dll`", path.display())]
    RuntimeMissing {
        /// The path given.
        path: PathBuf,
    },
    /// The file could not be loaded as a library, or does not export the API of ONNX Runtime.
    #[error("`{}` is not an ONNX Runtime library that this machine can load", path.display())]
    NotARuntime {
        /// The path given.
        path: PathBuf,
    },
    /// The library is ONNX Runtime, but older than the API this crate uses.
    #[error("`{}` is ONNX Runtime 1.{found}, expected 1.{needed} or newer", path.display())]
    RuntimeTooOld {
        /// The path given.
        path: PathBuf,
        /// The minor version of the library.
        found: u32,
        /// The least minor version that will do.
        needed: u32,
    },
    /// A process can hold one runtime, and it holds another.
    #[error("cannot load ONNX Runtime from `{}`: this process already runs `{}`", requested.display(), loaded.display())]
    RuntimeAlreadyLoaded {
        /// The path of the library in use.
        loaded: PathBuf,
        /// The path given now.
        requested: PathBuf,
    },
    /// The library was loaded, but would not start.
    #[error("ONNX Runtime from `{}` would not start", path.display())]
    RuntimeFailed {
        /// The path given.
        path: PathBuf,
    },
    /// The file is no library of an execution provider, or one that this runtime cannot use.
    #[error("`{}` is not a plugin library of an execution provider that this ONNX Runtime can load", path.display())]
    NotAPlugin {
        /// The path given.
        path: PathBuf,
    },
    /// There is no such execution provider here, or no device that it could compute on.
    #[error("the execution provider `{provider}` is not available: {reason}\nhint: {hint}")]
    ProviderUnavailable {
        /// What ONNX Runtime calls it, or the name of its library.
        provider: String,
        /// What was asked of the runtime, and what it said.
        reason: String,
        /// How to get it.
        hint: &'static str,
    },
    /// The crate was built with `KOKORO_MODEL_ARTIFACT=none` or for documentation.
    #[error(
        "no model is embedded in this binary: it was built with `KOKORO_MODEL_ARTIFACT=none` or for documentation\nhint: build again without the variable, after `cargo xtask quantize`"
    )]
    NothingEmbedded,
    /// The model file could not be read.
    #[error("cannot read the model `{}`", path.display())]
    ModelUnreadable {
        /// The path given.
        path: PathBuf,
    },
    /// A session option was refused.
    #[error("ONNX Runtime refused the session option `{option}`")]
    SessionOption {
        /// The option as `key=value`.
        option: String,
    },
    /// The runtime could not make a session of the model.
    #[error("ONNX Runtime cannot load the model `{model}` ({bytes} bytes)")]
    ModelRejected {
        /// Its file, or what stands for it.
        model: String,
        /// Its size in bytes.
        bytes: u64,
    },
    /// The model calls operators of this crate that this version of it does not have.
    #[error(
        "the model `{model}` calls operators of the domain `ai.kokoro` that kokoro-model {version} does not have\nhint: build with the version of kokoro-model that the model was made for, or a newer one"
    )]
    OperatorsMissing {
        /// Its file, or what stands for it.
        model: String,
        /// The version of this crate.
        version: &'static str,
    },
    /// There are no kernels of this name, or the processor lacks the instructions.
    #[error("no kernels `{name}` for this processor, expected {}", named(available))]
    KernelsUnavailable {
        /// The name given, such as `avx512`.
        name: String,
        /// The names of those that this processor can run.
        available: Vec<&'static str>,
    },
    /// The graph is not that of a Kokoro model.
    #[error("the model `{model}` is not a Kokoro model: expected {expected}, found {found}")]
    ModelInterface {
        /// Its file, or what stands for it.
        model: String,
        /// The inputs or outputs expected.
        expected: String,
        /// The inputs or outputs found.
        found: String,
    },
    /// There is nothing to say.
    #[error("no tokens, expected 1 to 510")]
    NoTokens,
    /// The sentence is longer than the context of the model.
    #[error("{found} tokens, expected 1 to 510\nhint: split the text at the end of a sentence or a clause")]
    TooManyTokens {
        /// How many ids were given.
        found: usize,
    },
    /// An id has no row in the embedding of the model.
    #[error("token {position} is `{id}`, expected an id in 0..{vocabulary_size}")]
    TokenOutOfVocabulary {
        /// Its index among the ids given.
        position: usize,
        /// The id.
        id: i64,
        /// The number of rows of the embedding.
        vocabulary_size: u32,
    },
    /// The style has a wrong number of values.
    #[error("a style of {found} values, expected 256")]
    StyleLength {
        /// How many values were given.
        found: usize,
    },
    /// The style has a value that is not a number, or infinite.
    #[error("value {index} of the style is `{value}`, expected a finite number")]
    StyleNotFinite {
        /// Its index.
        index: usize,
        /// The value.
        value: f32,
    },
    /// The speed is not a number, or out of range.
    #[error("speed `{found}`, expected a number from 0.1 to 10")]
    Speed {
        /// The value given.
        found: f32,
    },
    /// The file of a voice has a wrong size.
    #[error("a voice of {found} bytes, expected 522240 ([510, 1, 256] float32)")]
    VoiceSize {
        /// Its size in bytes.
        found: usize,
    },
    /// No voice has this name.
    #[error("no voice is called `{name}`\nhint: {}", suggestion(near))]
    UnknownVoice {
        /// The name given.
        name: String,
        /// Names that are like it, the most like first.
        near: Vec<&'static str>,
    },
    /// The crate was built with feature `voices`, but with `KOKORO_MODEL_ARTIFACT=none` or for documentation.
    #[error(
        "no voices are embedded in this binary: it was built with `KOKORO_MODEL_ARTIFACT=none` or for documentation\nhint: build again without the variable, after `cargo xtask fetch`"
    )]
    NoVoicesEmbedded,
    /// The bytes of an embedded voice are not those that were embedded.
    #[error("the voice `{voice}` in this binary is damaged")]
    VoiceDamaged {
        /// The voice.
        voice: Voice,
    },
    /// A mix of no voices.
    #[error("a mix of no voices, expected at least one")]
    MixEmpty,
    /// A weight is negative, infinite, or not a number.
    #[error("weight {index} of the mix is `{weight}`, expected a finite number from 0 up")]
    MixWeight {
        /// Its index.
        index: usize,
        /// The weight.
        weight: f32,
    },
    /// All weights are 0.
    #[error("the weights of the mix sum to 0")]
    MixSum,
    /// The weights given sum to 1 or more, and a voice has none.
    #[error(
        "the weights of the mix sum to `{given}`, which leaves nothing for a voice without a weight\nhint: give every voice a weight, or weights that sum to less than 1"
    )]
    NothingLeft {
        /// The sum of the weights given.
        given: f32,
    },
    /// What stands behind the colon is not a number.
    #[error("the weight of `{voice}` is `{found}`, expected a number such as `0.3`")]
    WeightSyntax {
        /// The voice.
        voice: Voice,
        /// What was found.
        found: String,
    },
    /// Text in this language cannot be turned into phonemes here.
    #[error(
        "text in the language `{language}` cannot be turned into phonemes, expected `en-us` or `en-gb`\nhint: give phonemes, which every voice speaks: `Synthesizer::stream_phonemes`"
    )]
    LanguageWithoutText {
        /// The language.
        language: Language,
    },
    /// The text has words or symbols that nothing is known to be spoken for.
    #[error(
        "the text has what no reading is known for{}\nhint: leave it out, write it as it is spoken, or give phonemes: `[word](/wˈɜɹd/)`",
        places(notices)
    )]
    Unreadable {
        /// All of them, in their order.
        notices: Vec<Notice>,
    },
    /// A line of a lexicon is no word with its phonemes.
    #[error("line {line} of the lexicon is `{found}`, expected a word, white space and phonemes")]
    LexiconLine {
        /// The line, from 1; 0 for a word that was not given as text.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// There is no word in the text, and no sound in the phonemes.
    #[error("nothing to say: expected at least one word")]
    NothingToSay,
    /// The text is too long to be said in one piece.
    #[error(
        "{bytes} bytes of text, expected at most {most}\nhint: `Synthesizer::stream` takes text of any length"
    )]
    TextTooLong {
        /// The size of the text in bytes.
        bytes: usize,
        /// The most that is taken.
        most: usize,
    },
    /// The speech was ended by a `Cancellation`.
    #[error("the speech was cancelled")]
    Cancelled,
    /// All synthesizers of a pool were busy for as long as the caller would wait.
    #[error("all {size} synthesizers of the pool were busy for {waited:?}")]
    PoolBusy {
        /// How many there are.
        size: usize,
        /// How long was waited.
        waited: std::time::Duration,
    },
    /// The target of loudness is not a number, or out of range.
    #[error("loudness `{found}`, expected a number of LUFS from -70 to 0")]
    Loudness {
        /// The value given.
        found: f32,
    },
    /// No sound is written at this rate.
    #[error("a sample rate of {found}, expected 8000 to 48000")]
    SampleRate {
        /// The rate given.
        found: u32,
    },
    /// A pool of no synthesizers.
    #[error("a pool of no synthesizers, expected at least one")]
    EmptyPool,
    /// The phonemes hold a symbol the model does not know; the source is the [`UnknownPhoneme`].
    #[error("the phonemes cannot be turned into tokens")]
    UnknownPhoneme,
    /// The runtime failed while it ran the model.
    #[error("ONNX Runtime failed while running the model on {tokens} tokens")]
    Inference {
        /// How many ids were given, without the padding.
        tokens: usize,
    },
    /// The runtime failed while it ran a model that is no Kokoro.
    #[error("ONNX Runtime failed while running the model `{model}`")]
    Graph {
        /// What stands for it.
        model: String,
    },
    /// The model gave no samples.
    #[error("the model gave no audio for {tokens} tokens")]
    NoAudio {
        /// How many ids were given, without the padding.
        tokens: usize,
    },
    /// The model does not tell how long each token lasts, so nothing is known of its words.
    #[error(
        "the model has no output `durations` with a number for each token, so it is not known when words are said\nhint: make the artifact anew, by `cargo xtask quantize`"
    )]
    NoDurations,
    /// A sample is not a number, or infinite, so it cannot be written.
    #[error("sample {index} is `{value}`, expected a finite number")]
    SampleNotFinite {
        /// Its index.
        index: usize,
        /// The value.
        value: f32,
    },
    /// The audio could not be written.
    #[error("cannot write `{}`", path.display())]
    WriteAudio {
        /// The path given.
        path: PathBuf,
    },
    /// The profile could not be finished.
    #[error("ONNX Runtime could not finish the profile")]
    Profile,
}

/// Each place on a line of its own.
fn listed(places: &[String]) -> String {
    places.iter().fold(String::new(), |text, place| text + "\nlooked in: " + place)
}

/// Each notice on a line of its own.
fn places(notices: &[Notice]) -> String {
    notices.iter().fold(String::new(), |text, notice| format!("{text}\n{notice}"))
}

/// What may have been meant.
fn suggestion(near: &[&str]) -> String {
    match near {
        [] => format!("`Voice::ALL` lists the {} voices", Voice::ALL.len()),
        names => format!("did you mean {}?", named(names)),
    }
}

fn named(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}
