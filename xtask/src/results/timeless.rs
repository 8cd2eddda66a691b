//! What of the results goes into a release: nothing timed, nothing of the machine.

use std::collections::BTreeMap;

use super::{Contestant, Results};
use crate::host::Host;

impl Results {
    /// The same without what was timed and without what tells of the machine: the benchmarks, the bench gate, other execution providers, the host,
    /// where the runtime came from, and what could not be fetched or measured of contestants, and why.
    #[must_use]
    pub fn without_timings(mut self) -> Self {
        self.original_benchmark = None;
        self.quant_benchmark = None;
        self.benchmark = None;
        self.providers.clear();
        for candidate in self.candidates.values_mut() {
            candidate.gates.bench = None;
            candidate.benchmark = None;
            candidate.speed_ratio = None;
        }
        self.contestants.retain(|_, contestant| matches!(contestant, Contestant::Measured(_)));
        for contestant in self.contestants.values_mut() {
            if let Contestant::Measured(result) = contestant {
                result.benchmark = None;
                result.speed_ratio = None;
                result.notes.clear();
            }
        }
        let nothing = String::new;
        self.host =
            Host { os: nothing(), arch: nothing(), cpu: nothing(), cores: 0, cpu_features: BTreeMap::new() };
        self.runtime.origin = nothing();
        self
    }
}
