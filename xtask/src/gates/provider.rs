//! The provider gate: nothing that the CPU provider lacks or has no fast kernel for.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use kokoro_model::Runtime;

use super::{Check, Gate, Profile, Progress, Report, Subject, Utterance};
use crate::files::Scratch;
use crate::recipe::Thresholds;

/// No scheme may emit it: no provider has a fast kernel for it.
const NEVER: &str = "ConvInteger";

/// The provider that the engine asks for.
const CPU: &str = "CPUExecutionProvider";

/// Counts what the file of `subject` has and what a call of it executes. The call says `utterance`, which
/// need not be long: the graph has no branch that depends on it. The runtime writes its profile into `scratch`, a
/// folder that is emptied first and gone afterwards.
///
/// That each operator is known to the provider is proved by loading and running the model.
///
/// # Errors
/// The profile cannot be written or read. A model that does not load or run is a failed check.
pub fn provider_gate(
    runtime: &Runtime,
    subject: &Subject,
    thresholds: &Thresholds,
    utterance: &Utterance,
    scratch: &Path,
    progress: Progress,
) -> Result<Report> {
    progress.say(&format!("provider `{}`: one call, profiled", subject.name));
    let mut checks = vec![Check::at_most("size", subject.mib(), thresholds.max_mib, "MiB")];
    checks.extend(counts("nodes", "nodes", &thresholds.max_nodes, |operator| {
        subject.operators.get(operator).copied().unwrap_or(0)
    }));
    match profile(runtime, subject, utterance, scratch)? {
        Ok(profile) => {
            checks.push(Check::at_most("does_not_run", 0.0, 0.0, "models"));
            checks.extend(executed(&profile, thresholds));
        }
        Err(error) => {
            let check = Check::at_most("does_not_run", 1.0, 0.0, "models");
            checks.push(check.with_detail(format!("{error:#}")));
        }
    }
    Ok(Report::new(Gate::Provider, checks))
}

fn executed(profile: &Profile, thresholds: &Thresholds) -> Vec<Check> {
    let mut checks =
        counts("executed", "kernels", &thresholds.max_executed, |operator| profile.per_call(operator));
    let elsewhere = profile.providers.iter().filter(|(provider, _)| *provider != CPU);
    let (names, kernels): (Vec<_>, Vec<_>) = elsewhere.map(|(name, count)| (name.as_str(), *count)).unzip();
    let check = Check::at_most("kernels_elsewhere", kernels.iter().sum::<usize>() as f64, 0.0, "kernels");
    checks.push(if names.is_empty() { check } else { check.with_detail(names.join(", ")) });
    checks
}

/// A check for each operator with a limit, and always one for [`NEVER`].
fn counts(
    what: &str,
    unit: &'static str,
    limits: &BTreeMap<String, usize>,
    count: impl Fn(&str) -> usize,
) -> Vec<Check> {
    let mut limits = limits.clone();
    limits.insert(NEVER.to_owned(), 0);
    let check = |(operator, limit): (&String, &usize)| {
        Check::at_most(format!("{what}.{operator}"), count(operator) as f64, *limit as f64, unit)
    };
    limits.iter().map(check).collect()
}

/// Profiles one call. The outer error is ours, the inner one the model's.
fn profile(
    runtime: &Runtime,
    subject: &Subject,
    utterance: &Utterance,
    scratch: &Path,
) -> Result<Result<Profile>> {
    let scratch = Scratch::new(scratch.to_path_buf()).context("no folder for the profile")?;
    let options = subject.options.clone().profile(scratch.folder().join("profile"));
    // Of the graph that any runtime loads, not of the parts that it was prepared in.
    let whole = Subject { prepared: None, ..subject.clone() };
    let mut synthesizer = match whole.load(runtime, &options) {
        Ok((synthesizer, _)) => synthesizer,
        Err(error) => return Ok(Err(error)),
    };
    let spoken = utterance.speak(&mut synthesizer);
    let file = synthesizer.finish_profile()?;
    if let Err(error) = spoken {
        return Ok(Err(error.into()));
    }
    let text = fs_err::read_to_string(&file)?;
    let profile =
        Profile::parse(&text).with_context(|| format!("the profile of `{}` cannot be used", subject.name))?;
    Ok(Ok(profile))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thresholds() -> Thresholds {
        toml::from_str(
            "max_mib = 80\nmin_speed_ratio = 0.97\n\
             max_nodes = { ConvInteger = 9, MatMulInteger = 2 }\nmax_executed = { DequantizeLinear = 0 }\n\
             fidelity = {}",
        )
        .unwrap()
    }

    #[test]
    fn conv_integer_is_refused_whatever_the_recipe_says() {
        let checks = counts("nodes", "nodes", &thresholds().max_nodes, |operator| {
            [("ConvInteger", 1), ("MatMulInteger", 2)].iter().find(|it| it.0 == operator).map_or(0, |it| it.1)
        });
        let seen: Vec<_> = checks.iter().map(|it| (it.name.as_str(), it.threshold, it.pass)).collect();
        assert_eq!(seen, [("nodes.ConvInteger", 0.0, false), ("nodes.MatMulInteger", 2.0, true)]);
    }

    #[test]
    fn what_is_executed_is_held_against_the_profile() {
        let profile = Profile {
            calls: 1,
            kernels: [("DequantizeLinear".into(), 3), ("Conv".into(), 87)].into(),
            providers: [(CPU.into(), 88), ("XnnpackExecutionProvider".into(), 2)].into(),
        };
        let report = Report::new(Gate::Provider, executed(&profile, &thresholds()));
        assert_eq!(
            report.failures("x"),
            [
                "provider gate, `x`: `executed.DequantizeLinear` is 3 kernels, expected at most 0 kernels, missed by 3 kernels",
                "provider gate, `x`: `kernels_elsewhere` is 2 kernels, expected at most 0 kernels, missed by 2 kernels: XnnpackExecutionProvider",
            ]
        );
    }
}
