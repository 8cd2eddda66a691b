//! Which candidate is chosen for which execution provider, by the recipe's order of preference.
//!
//! On the CPU every candidate is measured. On another provider a candidate counts as measured if this run put it through the gates
//! there; where it did not, a prediction may speak for it, and is told as one.

use std::collections::BTreeMap;

use kokoro_model::Evidence;
use serde::{Deserialize, Serialize};

use crate::gates::{ExecutionProvider, Gate};
use crate::recipe::Recipe;
use crate::results::{ProviderResult, Results};
use crate::scheme::SchemeName;

/// A candidate that is chosen for an execution provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Its scheme.
    pub scheme: String,
    /// Whether it was run there.
    pub evidence: Evidence,
}

/// The schemes that the recipe would have for `provider`, the best first.
pub fn preferred(recipe: &Recipe, provider: ExecutionProvider) -> impl Iterator<Item = SchemeName> {
    let names = if provider == ExecutionProvider::Cpu {
        Some(&recipe.choose)
    } else {
        recipe.choose_for.get(&provider)
    };
    names.into_iter().flatten().filter_map(|name| SchemeName::parse(name))
}

/// For each execution provider the first scheme of the recipe's preference that is `among` these, passed all required gates on
/// the CPU, and may be chosen for that provider; none where no scheme may.
pub fn choices(
    recipe: &Recipe,
    results: &Results,
    among: &[SchemeName],
) -> BTreeMap<ExecutionProvider, Choice> {
    let choice = |provider, scheme: SchemeName| {
        let candidate = results.candidates.get(scheme.as_str()).filter(|_| among.contains(&scheme))?;
        let evidence = evidence(provider, scheme.as_str(), results).filter(|_| candidate.gates.all_passed());
        Some(Choice { evidence: evidence?, scheme: scheme.as_str().to_owned() })
    };
    let for_one = |provider| {
        let chosen = preferred(recipe, provider).find_map(|scheme| choice(provider, scheme));
        Some((provider, chosen?))
    };
    ExecutionProvider::ALL.into_iter().filter_map(for_one).collect()
}

/// By what right a candidate that passed its gates on the CPU may be chosen for `provider`, if by any.
fn evidence(provider: ExecutionProvider, scheme: &str, results: &Results) -> Option<Evidence> {
    if provider == ExecutionProvider::Cpu {
        return Some(Evidence::Measured);
    }
    if let Some(ProviderResult::Available(found)) = results.providers.get(&provider) {
        let gates = &found.models.get(scheme)?.gates;
        let was_run = |gate| gates.reports().any(|report| report.gate == gate);
        let speaks = [Gate::Smoke, Gate::Fidelity].into_iter().all(was_run);
        let passed = speaks && gates.reports().all(|report| report.pass);
        return passed.then_some(Evidence::Measured);
    }
    if provider == ExecutionProvider::CoreMl {
        let (base, candidate) = (results.coreml.get(&results.base.name)?, results.coreml.get(scheme)?);
        return candidate.is_no_worse_than(base).then_some(Evidence::Predicted);
    }
    None
}

#[cfg(test)]
mod tests;
