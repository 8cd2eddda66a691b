//! What an earlier run measured stays beside what a run of single gates does.

use super::{CandidateResult, Contestant, ProviderResult, Results};
use crate::digest::Digest;
use crate::gates::Gate;

impl Results {
    /// Takes from `earlier` what the gates that are not in `run` said of the same files, if the base, the recipe, the
    /// sentences, the runtime and the machine are the same.
    ///
    /// The times of a run belong together: the bench gate's are taken as a whole, or not at all.
    pub fn keep(&mut self, earlier: Self, run: &[Gate]) {
        if !self.compares_with(&earlier) {
            return;
        }
        let was_run = |gate: Gate| run.contains(&gate);
        if !was_run(Gate::Bench) {
            self.original_benchmark = earlier.original_benchmark;
            self.benchmark = earlier.benchmark;
        }
        if !was_run(Gate::Provider) {
            self.coreml = earlier.coreml;
        }
        if !was_run(Gate::Fidelity) {
            self.fidelity_threads = earlier.fidelity_threads;
        }
        self.full &= earlier.full;
        // These two leave recordings of the sentences.
        if !was_run(Gate::Smoke) && !was_run(Gate::Fidelity) {
            self.sentences = earlier.sentences;
        }
        for (scheme, known) in earlier.candidates {
            if let Some(found) = self.candidates.get_mut(&scheme).filter(|it| it.sha256 == known.sha256) {
                found.keep(known, run);
            }
        }
        // Those of a run that asked for none, if they are of these files.
        if self.providers.is_empty() && !was_run(Gate::Bench) {
            let is_known = |sha256: Digest| {
                sha256 == self.base.sha256
                    || self.candidates.values().any(|candidate| candidate.sha256 == sha256)
            };
            let of_these = |found: &ProviderResult| match found {
                ProviderResult::Available(gates) => gates.models.values().all(|model| is_known(model.sha256)),
                ProviderResult::Unavailable(_) => true,
            };
            self.providers = earlier.providers.into_iter().filter(|(_, found)| of_these(found)).collect();
        }
        // Without either of the two that measure them there are none in this run.
        if !was_run(Gate::Fidelity) && !was_run(Gate::Bench) {
            self.contestants = earlier.contestants;
            return;
        }
        for (name, known) in earlier.contestants {
            if let (Some(Contestant::Measured(found)), Contestant::Measured(known)) =
                (self.contestants.get_mut(&name), known)
                && found.sha256 == known.sha256
            {
                if !was_run(Gate::Fidelity) {
                    found.fidelity = known.fidelity;
                }
                if !was_run(Gate::Bench) {
                    found.benchmark = known.benchmark;
                    found.speed_ratio = known.speed_ratio;
                }
            }
        }
    }

    fn compares_with(&self, earlier: &Self) -> bool {
        self.base.sha256 == earlier.base.sha256
            && self.recipe_sha256 == earlier.recipe_sha256
            && self.corpus_sha256 == earlier.corpus_sha256
            && self.runtime.sha256 == earlier.runtime.sha256
            && self.host == earlier.host
    }
}

impl CandidateResult {
    fn keep(&mut self, known: Self, run: &[Gate]) {
        let was_run = |gate: Gate| run.contains(&gate);
        if !was_run(Gate::Provider) {
            self.gates.provider = known.gates.provider;
        }
        if !was_run(Gate::Smoke) {
            self.gates.smoke = known.gates.smoke;
            self.gates.spoken = known.gates.spoken;
        }
        if !was_run(Gate::Fidelity) {
            self.gates.fidelity = known.gates.fidelity;
            self.fidelity = known.fidelity;
            self.proved = known.proved;
        }
        if !was_run(Gate::Bench) {
            self.gates.bench = known.gates.bench;
            self.benchmark = known.benchmark;
            self.speed_ratio = known.speed_ratio;
        }
    }
}
