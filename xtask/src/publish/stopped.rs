//! Why publishing ended early, how the release stands, and how to go on.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::failure::Failure;

/// How a release stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing that writes was run.
    Untouched,
    /// There is none.
    Absent,
    /// Only those who may write to the repository see it.
    Draft,
    /// Everybody sees it.
    Public,
    /// It could not be seen; this command shows it.
    Unknown(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untouched => f.write_str("nothing was written"),
            Self::Absent => f.write_str("there is no release, no draft either"),
            Self::Draft => f.write_str("the release is a draft, which the public does not see"),
            Self::Public => f.write_str("the release is public"),
            Self::Unknown(command) => {
                write!(f, "not known, for GitHub does not answer; `{command}` shows it")
            }
        }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Untouched => "untouched",
            Self::Absent => "absent",
            Self::Draft => "draft",
            Self::Public => "public",
            Self::Unknown(_) => "unknown",
        })
    }
}

/// Publishing that ended early.
#[derive(Debug, thiserror::Error)]
#[error("{problem}\nstate: {state}\nto go on: {again}")]
pub struct Stopped {
    /// What was in the way.
    pub problem: String,
    /// How the release stands now.
    pub state: State,
    /// The command that goes on from there.
    pub again: String,
}

impl Stopped {
    /// The error with its state, and with the [`Failure`] that `error` carries.
    pub(super) fn at(state: &State, again: &str, error: &anyhow::Error) -> anyhow::Error {
        // The failure is put in front of the whole again.
        let reasons = error.chain().filter(|reason| !reason.is::<Failure>()).map(ToString::to_string);
        let problem = reasons.collect::<Vec<_>>().join(": ");
        let failure = error.downcast_ref::<Failure>().copied();
        let stopped = anyhow::Error::new(Self { problem, state: state.clone(), again: again.to_owned() });
        match failure {
            Some(failure) => stopped.context(failure),
            None => stopped,
        }
    }
}
