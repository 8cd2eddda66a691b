//! What becomes of candidates once the gates have spoken: each goes where it belongs, and the best are chosen.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use kokoro_model::Chosen;

use crate::artifacts::{Artifact, Artifacts};
use crate::choice::{Choice, choices, preferred};
use crate::fetch::Console;
use crate::gates::ExecutionProvider;
use crate::recipe::Recipe;
use crate::results::Results;
use crate::scheme::SchemeName;

/// What the gates said, and what that is worth.
#[derive(Clone, Copy)]
pub struct Verdict<'a> {
    /// The results of the run.
    pub results: &'a Results,
    /// The candidates that a gate refused.
    pub refused: &'a [SchemeName],
    /// Whether every required gate was run: else nothing is promoted or chosen.
    pub whole: bool,
}

/// Puts each candidate where it belongs, and chooses. Returns whether `chosen.json` was written: not where nothing that
/// the recipe would have for the CPU passed, or where what it would have first was refused and another one stands.
///
/// # Errors
/// The disk's.
pub fn promote(
    candidates: Vec<(SchemeName, Artifact)>,
    verdict: Verdict<'_>,
    recipe: &Recipe,
    artifacts: &Artifacts,
    console: &Console,
) -> Result<bool> {
    let Verdict { results, refused, whole } = verdict;
    let standing = artifacts.standing()?;
    let stands = |artifact: &Artifact| {
        let in_place = artifact.path.parent() == Some(artifacts.folder());
        in_place && standing.as_ref().is_some_and(|chosen| names(chosen, &artifact.metadata.name))
    };
    let mut passed = Vec::new();
    for (scheme, artifact) in candidates {
        if refused.contains(&scheme) && stands(&artifact) {
            // Builds embed it: a timing on a busy day, or a gate that has become stricter, must not break them.
            console.say(&format!("refused, but left in its place: `{}`", artifact.path.display()));
        } else if refused.contains(&scheme) {
            let artifact = artifacts.refuse(artifact)?;
            console.say(&format!("refused: `{}`", artifact.path.display()));
        } else if whole {
            passed.push((scheme, artifacts.promote(artifact)?));
        }
    }
    let previous = artifacts.standing()?;
    // A refusal of what the recipe prefers is no reason to replace a choice that stands.
    let keeps = |provider: ExecutionProvider| {
        let stands =
            |it: &Chosen| provider == ExecutionProvider::Cpu || it.providers.contains_key(provider.as_str());
        previous.as_ref().is_some_and(stands)
            && preferred(recipe, provider).next().is_some_and(|scheme| refused.contains(&scheme))
    };
    if !whole || keeps(ExecutionProvider::Cpu) {
        return Ok(false);
    }
    choose(&passed, previous.as_ref(), keeps, recipe, results, artifacts)
}

/// Writes `chosen.json`, and returns whether it did.
fn choose(
    passed: &[(SchemeName, Artifact)],
    previous: Option<&Chosen>,
    keeps: impl Fn(ExecutionProvider) -> bool,
    recipe: &Recipe,
    results: &Results,
    artifacts: &Artifacts,
) -> Result<bool> {
    let among: Vec<_> = passed.iter().map(|(scheme, _)| *scheme).collect();
    let artifact = |choice: &Choice| {
        let found = passed.iter().find(|(scheme, _)| scheme.as_str() == choice.scheme);
        found.map(|(_, artifact)| artifact).context("only what passed is chosen")
    };
    let mut choices = choices(recipe, results, &among);
    let Some(for_cpu) = choices.remove(&ExecutionProvider::Cpu) else { return Ok(false) };
    let mut others = BTreeMap::new();
    for provider in ExecutionProvider::ALL {
        let name = provider.to_string();
        let kept = previous.filter(|_| keeps(provider)).and_then(|it| it.providers.get(&name));
        let chosen = choices.get(&provider);
        let chosen = chosen.map(|choice| artifact(choice)?.chosen(choice.evidence)).transpose()?;
        others.extend(kept.cloned().or(chosen).map(|entry| (name, entry)));
    }
    artifacts.choose(artifact(&for_cpu)?, others)?;
    Ok(true)
}

/// Whether `chosen` names this file, for whatever execution provider.
fn names(chosen: &Chosen, file: &str) -> bool {
    chosen.file == file || chosen.providers.values().any(|entry| entry.file == file)
}
