//! The gates that a candidate passes before it may be chosen.
//!
//! A gate measures a [`Subject`] through the very engine that ships, and reports each measurement as a
//! [`Check`] against a threshold of the recipe. A gate that says no is a [`Report`] with a failed check and
//! not an error: an error means that nothing could be measured.
//!
//! Timings and everything else that a gate measures go into the results, never into a hashed file.

mod bench;
mod execution_providers;
mod profile;
mod progress;
mod provider;
mod smoke;
mod sound;
mod statistics;
mod subject;
mod table;
mod utterance;

use std::borrow::Cow;
use std::fmt;

use anyhow::{Result, anyhow};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use self::bench::{
    Benchmark, Comparison, Evidence, Rounds, SentenceTime, Timing, compare, ratio, ratio_gate, speed_gate,
};
pub use self::execution_providers::ExecutionProvider;
pub use self::profile::{Profile, ProfileError};
pub use self::progress::Progress;
pub(crate) use self::progress::Steps;
pub use self::provider::provider_gate;
pub use self::smoke::{Extent, Smoke, Spoken, is_long, smoke_gate};
pub use self::sound::Sound;
pub use self::statistics::{Interval, Summary, median_interval, percentile};
pub use self::subject::Subject;
pub use self::table::{benchmark_table, checks_table, providers_table, results_table};
pub(crate) use self::table::{figure, table};
pub use self::utterance::{Utterance, utterances};
use crate::failure::Failure;

/// A gate, as `--only` and the results name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Which operators the file has and the runtime executes, and how large the file is
    Provider,
    /// Whether the model speaks: finite, audible, unclipped, of sane length; and refuses bad input
    Smoke,
    /// How far predictions and sound are from the base's, on held-out sentences
    Fidelity,
    /// How fast the model is beside its base
    Bench,
}

impl Gate {
    /// Those that a candidate must pass to be chosen, in the order in which they are run.
    pub const REQUIRED: [Self; 4] = [Self::Provider, Self::Smoke, Self::Fidelity, Self::Bench];

    /// Whether a committed proof may speak for it elsewhere: what it says is of the artifact and the runtime's version, but
    /// for rounding and for [`SchemeName::quantizes_at_run_time`](crate::scheme::SchemeName::quantizes_at_run_time).
    pub fn can_be_proved(self) -> bool {
        matches!(self, Self::Provider | Self::Fidelity)
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provider => "provider",
            Self::Smoke => "smoke",
            Self::Fidelity => "fidelity",
            Self::Bench => "bench",
        })
    }
}

/// The side of a threshold that is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The value may not be more than the threshold.
    AtMost,
    /// The value may not be less than the threshold.
    AtLeast,
}

/// One measurement beside its threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What was measured, such as `nodes.ConvInteger` or `speed_ratio`.
    pub name: String,
    /// What was found; always finite.
    pub value: f64,
    /// What the recipe asks for.
    pub threshold: f64,
    /// The side of the threshold that is good.
    pub bound: Bound,
    /// The unit of both numbers; empty for a ratio or a share.
    pub unit: Cow<'static, str>,
    /// Whether the value is on the good side. A value equal to the threshold is.
    pub pass: bool,
    /// Where the value was found, or what went wrong.
    pub detail: Option<String>,
}

impl Check {
    /// A value that may not be more than `threshold`.
    pub fn at_most(name: impl Into<String>, value: f64, threshold: f64, unit: &'static str) -> Self {
        Self::new(name.into(), value, threshold, Bound::AtMost, unit)
    }

    /// A value that may not be less than `threshold`.
    pub fn at_least(name: impl Into<String>, value: f64, threshold: f64, unit: &'static str) -> Self {
        Self::new(name.into(), value, threshold, Bound::AtLeast, unit)
    }

    /// A value and the side of `threshold` that it has to be on.
    pub(crate) fn new(
        name: String,
        value: f64,
        threshold: f64,
        bound: Bound,
        unit: impl Into<Cow<'static, str>>,
    ) -> Self {
        // A value that is no number compares false on both sides, so it never passes.
        let pass = match bound {
            Bound::AtMost => value <= threshold,
            Bound::AtLeast => value >= threshold,
        };
        // JSON has no infinities; the largest number is as far on the wrong side as can be written.
        let value = if value.is_finite() { value } else { f64::MAX.copysign(value) };
        Self { name, value, threshold, bound, unit: unit.into(), pass, detail: None }
    }

    /// The same check, saying where the value was found or what went wrong.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// What was measured, which threshold it is held against, and by how much it misses.
    fn failure(&self, gate: Gate, subject: &str) -> String {
        let Self { name, value, threshold, bound, unit, detail, .. } = self;
        let side = match bound {
            Bound::AtMost => "at most",
            Bound::AtLeast => "at least",
        };
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        let missed = (value - threshold).abs();
        let relative = if *threshold == 0.0 {
            String::new()
        } else {
            format!(" ({} %)", number(100.0 * missed / threshold.abs()))
        };
        let detail = detail.as_ref().map_or(String::new(), |detail| format!(": {detail}"));
        format!(
            "{gate} gate, `{subject}`: `{name}` is {}{unit}, expected {side} {}{unit}, missed by {}{unit}{relative}{detail}",
            number(*value),
            number(*threshold),
            number(missed),
        )
    }
}

/// What one gate says of one subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Which gate.
    pub gate: Gate,
    /// Whether every check passes.
    pub pass: bool,
    /// The checks in the order they were made.
    pub checks: Vec<Check>,
}

impl Report {
    /// A report of `checks`.
    pub fn new(gate: Gate, checks: Vec<Check>) -> Self {
        // A gate that checked nothing has proved nothing.
        let pass = !checks.is_empty() && checks.iter().all(|check| check.pass);
        Self { gate, pass, checks }
    }

    /// One line for each failed check: threshold, measurement, and by how much it missed.
    pub fn failures(&self, subject: &str) -> Vec<String> {
        let failed = self.checks.iter().filter(|check| !check.pass);
        let mut lines: Vec<_> = failed.map(|check| check.failure(self.gate, subject)).collect();
        if self.checks.is_empty() {
            lines.push(format!("{} gate, `{subject}`: nothing was checked", self.gate));
        }
        lines
    }

    /// This report as a result, for a command that runs nothing but this gate.
    ///
    /// # Errors
    /// [`Failure::Gate`] with [`Self::failures`], unless every check passes.
    pub fn into_result(self, subject: &str) -> Result<()> {
        if self.pass {
            return Ok(());
        }
        Err(anyhow!(self.failures(subject).join("\n")).context(Failure::Gate))
    }
}

/// A number as a person reads it: whole where it is whole, else four significant digits.
pub(crate) fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    if value.abs() >= 1e15 || value.abs() < 1e-4 {
        return format!("{value:.3e}");
    }
    let integer_digits = value.abs().log10().floor() as i32 + 1;
    let decimals = (4 - integer_digits).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_equal_to_its_threshold_passes() {
        assert!(Check::at_most("a", 80.0, 80.0, "MiB").pass);
        assert!(Check::at_least("a", 0.97, 0.97, "").pass);
        assert!(!Check::at_most("a", 80.0001, 80.0, "MiB").pass);
        assert!(!Check::at_least("a", 0.9699, 0.97, "").pass);
    }

    #[test]
    fn what_is_no_number_never_passes_and_can_be_written() {
        for value in [f64::NAN, f64::INFINITY] {
            let check = Check::at_most("a", value, 1.0, "");
            assert!(!check.pass && check.value.is_finite(), "{value}");
        }
        for value in [f64::NAN, f64::NEG_INFINITY] {
            let check = Check::at_least("a", value, 1.0, "");
            assert!(!check.pass && check.value.is_finite(), "{value}");
        }
    }

    #[test]
    fn a_failure_says_threshold_measurement_and_miss() {
        let report = Report::new(
            Gate::Bench,
            vec![
                Check::at_least("speed_ratio", 0.873, 0.97, "").with_detail("95 % interval 0.86 to 0.89"),
                Check::at_most("size", 82.5, 80.0, "MiB"),
                Check::at_most("nodes.ConvInteger", 87.0, 0.0, "nodes"),
                Check::at_most("fine", 1.0, 2.0, ""),
            ],
        );
        assert!(!report.pass);
        assert_eq!(
            report.failures("weights-int8"),
            [
                "bench gate, `weights-int8`: `speed_ratio` is 0.873, expected at least 0.97, \
                 missed by 0.097 (10 %): 95 % interval 0.86 to 0.89",
                "bench gate, `weights-int8`: `size` is 82.5 MiB, expected at most 80 MiB, \
                 missed by 2.5 MiB (3.125 %)",
                "bench gate, `weights-int8`: `nodes.ConvInteger` is 87 nodes, expected at most 0 nodes, \
                 missed by 87 nodes",
            ]
        );
        let error = report.into_result("weights-int8").unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 1);
        assert!(format!("{error:#}").contains("missed by 2.5 MiB"));
    }

    #[test]
    fn a_gate_without_checks_says_no() {
        let report = Report::new(Gate::Smoke, Vec::new());
        assert!(!report.pass);
        assert_eq!(report.failures("base"), ["smoke gate, `base`: nothing was checked"]);
    }

    #[test]
    fn numbers_are_short_and_never_lose_a_small_miss() {
        for (value, text) in [
            (0.0, "0"),
            (87.0, "87"),
            (275.45, "275.4"),
            (0.97, "0.97"),
            (1234.56, "1235"),
            (0.000_05, "5.000e-5"),
            (0.012_346, "0.01235"),
            (1e16, "1.000e16"),
            (1200.5, "1200"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
