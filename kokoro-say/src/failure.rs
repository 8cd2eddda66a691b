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
