//! What was checked, one line each: yes, no, or not checked.

use std::fmt::Display;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a check said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// It was not checked.
    Unchecked,
}

/// One check of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file in the release, or the release itself.
    pub file: String,
    /// What was asked.
    pub check: String,
    /// What was found.
    pub outcome: Outcome,
    /// Expected and found where it is not so; else what else there is to say.
    pub detail: String,
}

impl Finding {
    /// The file, the check and the detail in one line.
    pub fn told(&self) -> String {
        let Self { file, check, detail, .. } = self;
        if detail.is_empty() { format!("`{file}`: {check}") } else { format!("`{file}`: {check}: {detail}") }
    }
}

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, file: &str, check: &str, outcome: Outcome, detail: String) {
        self.0.push(Finding { file: file.to_owned(), check: check.to_owned(), outcome, detail });
    }

    /// Yes with what else there is to say, or no with what is wrong.
    pub(super) fn judge(&mut self, file: &str, check: &str, found: Result<String>) {
        match found {
            Ok(detail) => self.add(file, check, Outcome::Yes, detail),
            Err(error) => self.add(file, check, Outcome::No, format!("{error:#}")),
        }
    }

    /// As [`Self::judge`]; returns what was found.
    pub(super) fn keep<T>(&mut self, file: &str, check: &str, found: Result<T>) -> Option<T> {
        match found {
            Ok(value) => {
                self.judge(file, check, Ok(String::new()));
                Some(value)
            }
            Err(error) => {
                self.judge(file, check, Err(error));
                None
            }
        }
    }

    /// That `found` is what was `expected`.
    pub(super) fn equal<T: PartialEq + Display + ?Sized>(
        &mut self,
        file: &str,
        check: &str,
        expected: &T,
        found: &T,
    ) {
        let outcome = if expected == found {
            Ok(String::new())
        } else {
            Err(anyhow!("expected {expected}, found {found}"))
        };
        self.judge(file, check, outcome);
    }

    /// That something holds.
    pub(super) fn holds(&mut self, file: &str, check: &str, holds: bool, otherwise: &str) {
        self.judge(file, check, if holds { Ok(String::new()) } else { Err(anyhow!("{otherwise}")) });
    }

    /// Something that was not checked, and why.
    pub(super) fn skip(&mut self, file: &str, check: &str, why: &str) {
        self.add(file, check, Outcome::Unchecked, why.to_owned());
    }

    /// Reads the JSON of a file that must be there.
    pub(super) fn read<T: DeserializeOwned>(&mut self, file: &str, bytes: Option<&Bytes>) -> Option<T> {
        let read = match bytes {
            Some(bytes) => serde_json::from_slice(bytes).map_err(anyhow::Error::from),
            None => Err(anyhow!("it is missing")),
        };
        self.keep(file, "can be read", read)
    }

    /// Whether nothing said no so far.
    pub(super) fn none_said_no(&self) -> bool {
        self.0.iter().all(|finding| finding.outcome != Outcome::No)
    }

    /// All of them, in the order they were made.
    pub(super) fn all(self) -> Vec<Finding> {
        self.0
    }
}
