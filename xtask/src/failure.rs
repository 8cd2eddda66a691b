//! The failures that decide the exit code.
//!
//! A command attaches one to its error with [`anyhow::Context`]; whatever carries none is a defect of
//! ours or of the machine, and exits with 5.

use std::fmt;

/// Why a command did not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A gate said no. Exit code 1.
    Gate,
    /// The command line, the environment or a recipe asks for what cannot be. Exit code 2.
    Usage,
    /// A file could not be fetched, or is not the file that the recipe pins. Exit code 3.
    Fetch,
    /// A model is not what it should be. Exit code 4.
    Model,
}

impl Failure {
    /// The exit code of an error that carries no [`Failure`].
    pub const UNEXPECTED: u8 = 5;

    /// The exit code of this failure.
    pub fn code(self) -> u8 {
        match self {
            Self::Gate => 1,
            Self::Usage => 2,
            Self::Fetch => 3,
            Self::Model => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gate => "a gate said no",
            Self::Usage => "cannot do what was asked for",
            Self::Fetch => "could not fetch or verify",
            Self::Model => "the model is not what it should be",
        })
    }
}

impl std::error::Error for Failure {}

/// The exit code of `error`: that of its outermost [`Failure`], or [`Failure::UNEXPECTED`].
pub fn exit_code(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<Failure>().map_or(Failure::UNEXPECTED, |failure| failure.code())
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn each_failure_has_its_code() {
        for (failure, code) in
            [(Failure::Gate, 1), (Failure::Usage, 2), (Failure::Fetch, 3), (Failure::Model, 4)]
        {
            let bare = anyhow::Error::new(failure);
            let wrapped = anyhow!("inner").context(failure).context("outer");
            assert_eq!(exit_code(&bare), code);
            assert_eq!(exit_code(&wrapped), code);
        }
    }

    #[test]
    fn an_error_without_failure_is_unexpected() {
        assert_eq!(exit_code(&anyhow!("anything")), 5);
    }

    #[test]
    fn the_outermost_failure_decides() {
        let error = Err::<(), _>(anyhow!("inner").context(Failure::Fetch)).context(Failure::Model);
        assert_eq!(exit_code(&error.unwrap_err()), 4);
    }
}
