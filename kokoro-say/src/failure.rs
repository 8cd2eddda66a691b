//! The failures that decide the exit code, those of `cargo xtask` as far as they can happen here.

use std::fmt;
use std::io;

use kokoro_model::ErrorKind;

/// The command line or the input asks for what cannot be.
#[derive(Debug)]
pub struct Usage;

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("cannot do what was asked for")
    }
}

impl std::error::Error for Usage {}

/// What to do about an error, in the words of this program; the library's hints speak of Rust.
fn hint(kind: &ErrorKind) -> Option<&'static str> {
    use ErrorKind as Kind;

    Some(match kind {
        Kind::LanguageWithoutText { .. } => {
            "give phonemes and `--phonemes`, or an English voice: `--list-voices`"
        }
        Kind::UnknownVoice { near, .. } if near.is_empty() => "`--list-voices` lists them",
        Kind::Unreadable { .. } => {
            "without `--strict` it is left out; `--lexicon FILE` or `[word](/wˈɜɹd/)` gives phonemes"
        }
        Kind::UnknownPhoneme => {
            "`--phonemes` takes the symbols of the model alone; without it, the input is text"
        }
        Kind::Speed { .. } => "give `--speed` a number such as 0.9",
        Kind::NothingToSay => "give a text, as an argument or on standard input",
        Kind::RuntimeMissing { .. } | Kind::NotARuntime { .. } | Kind::RuntimeTooOld { .. } => {
            "unset `KOKORO_ONNXRUNTIME`: this program has a library inside"
        }
        Kind::NoDurations => "this program was built with an older model: build it again with one made anew",
        Kind::NothingEmbedded | Kind::NoVoicesEmbedded => {
            "this program was built without a model: build it again"
        }
        _ => return None,
    })
}

/// The error as it is shown: a sentence, its causes, and a hint.
pub fn shown(error: &anyhow::Error) -> String {
    let mut shown = format!("error: {error:#}");
    let kind = error.downcast_ref::<kokoro_model::Error>().map(kokoro_model::Error::kind);
    if let Some(hint) = kind.and_then(hint) {
        // In place of the library's own, which stands on a line of its own.
        let lines = shown.lines().filter(|line| !line.starts_with("hint: "));
        shown = lines.collect::<Vec<_>>().join("\n") + "\nhint: " + hint;
    }
    shown
}

/// The exit code of an error.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    use ErrorKind as Kind;

    const USAGE: u8 = 2;
    const RUNTIME: u8 = 3;
    const MODEL: u8 = 4;
    const UNEXPECTED: u8 = 5;
    if error.downcast_ref::<Usage>().is_some() {
        return USAGE;
    }
    let Some(error) = error.downcast_ref::<kokoro_model::Error>() else { return UNEXPECTED };
    match error.kind() {
        Kind::RuntimeNotFound { .. }
        | Kind::RuntimeNotUnpacked { .. }
        | Kind::BundleDamaged { .. }
        | Kind::RuntimeMissing { .. }
        | Kind::NotARuntime { .. }
        | Kind::RuntimeTooOld { .. }
        | Kind::RuntimeAlreadyLoaded { .. }
        | Kind::RuntimeFailed { .. } => RUNTIME,
        Kind::NothingEmbedded
        | Kind::ModelUnreadable { .. }
        | Kind::SessionOption { .. }
        | Kind::ModelRejected { .. }
        | Kind::OperatorsMissing { .. }
        | Kind::PreparedDamaged { .. }
        | Kind::NoDurations
        | Kind::ModelInterface { .. } => MODEL,
        Kind::Inference { .. }
        | Kind::NoAudio { .. }
        | Kind::SampleNotFinite { .. }
        | Kind::WriteAudio { .. } => UNEXPECTED,
        // What is left is said about the input.
        _ => USAGE,
    }
}

/// Whether the reader of standard output went away.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    })
}
