//! Models that somebody else quantized: measured as the candidates are, judged by nothing.
//!
//! Invariant: nothing that a contestant does or lacks is an error or changes a candidate's verdict. It is written into
//! the results instead.
//!
//! `quantize --full` measures them on the quick sentences, `cargo xtask fidelity --contestant FILE`
//! on all. A base of the user's own has none: they are of another model.

use std::collections::BTreeMap;

use anyhow::Result;
use kokoro_model::BaseKind;

use crate::base::Base;
use crate::fetch::Fetcher;
use crate::fidelity::Fidelity;
use crate::gates::{Comparison, Subject};
use crate::recipe::{ContestantRecipe, Recipe};
use crate::results::{Contestant, ContestantResult, Unavailable};

/// A contestant, with what was measured of it.
pub(super) struct Entrant {
    name: String,
    file: String,
    /// The model, or why there is none.
    pub(super) subject: Result<Subject, String>,
    pub(super) fidelity: Option<Fidelity>,
    notes: Vec<String>,
}

/// The contestants of the recipe, fetched. A base of the user's own has none: they are of another model.
pub(super) fn entrants(recipe: &Recipe, fetcher: &Fetcher, base: &Base) -> Vec<Entrant> {
    if base.kind == BaseKind::Local {
        return Vec::new();
    }
    let entrant = |ContestantRecipe { name, file }: &ContestantRecipe| {
        let bytes = recipe.file(file).and_then(|file| fetcher.read(file));
        let subject = bytes.and_then(|bytes| Subject::new(name, bytes.into(), None));
        Entrant {
            name: name.clone(),
            file: file.clone(),
            subject: subject.map_err(|error| format!("{error:#}")),
            fidelity: None,
            notes: Vec::new(),
        }
    };
    recipe.contestants.iter().map(entrant).collect()
}

impl Entrant {
    /// Says why something could not be measured.
    pub(super) fn note(&mut self, error: &anyhow::Error) {
        self.notes.push(format!("{error:#}"));
    }

    fn result(self, base: &Subject, comparison: Option<&Comparison>) -> (String, Contestant) {
        let result = match self.subject {
            Ok(subject) => {
                let benchmark = comparison.and_then(|comparison| comparison.model(&subject.name));
                let measured =
                    ContestantResult::new(self.file, base, &subject, self.fidelity, benchmark, self.notes);
                Contestant::Measured(Box::new(measured))
            }
            Err(reason) => Contestant::Unavailable(Unavailable { available: false, reason }),
        };
        (self.name, result)
    }
}

/// What the results say of the contestants, by name.
pub(super) fn results(
    entrants: Vec<Entrant>,
    base: &Subject,
    comparison: Option<&Comparison>,
) -> BTreeMap<String, Contestant> {
    entrants.into_iter().map(|entrant| entrant.result(base, comparison)).collect()
}
