//! What CoreML would take of a model, for the results.

use serde::{Deserialize, Serialize};

use crate::coreml::{Coverage, Prediction};

/// What CoreML would take of a model as the runtime folds it, by the rules of `xtask inspect --provider coreml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoremlResult {
    /// Always `true`: nothing of it was measured.
    pub predicted: bool,
    /// As ML Program, which the engine asks for unless it is told otherwise.
    pub ml_program: Taken,
    /// As `NeuralNetwork`.
    pub neural_network: Taken,
    /// Of the decoder, all behind pitch and energy, as ML Program; `None` of a model without these values.
    pub decoder: Option<Taken>,
}

/// How much of a graph would be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// Nodes.
    pub nodes: usize,
    /// Nodes that would be taken.
    pub taken: usize,
    /// Partitions that they would be in.
    pub partitions: usize,
}

impl CoremlResult {
    /// What of a prediction goes into the results.
    pub fn of(prediction: &Prediction) -> Self {
        let [ml_program, neural_network] = &prediction.formats[..] else {
            unreachable!("a prediction has one entry for each format")
        };
        let taken = |coverage: &Coverage| Taken {
            nodes: prediction.nodes,
            taken: coverage.taken,
            partitions: coverage.partitions.len(),
        };
        let decoder = ml_program.behind.as_ref().map(|behind| Taken {
            nodes: behind.nodes,
            taken: behind.taken,
            partitions: behind.partitions.len(),
        });
        Self {
            predicted: true,
            ml_program: taken(ml_program),
            neural_network: taken(neural_network),
            decoder,
        }
    }

    /// Whether as ML Program no smaller share of the nodes is taken than of `base`, in no more partitions.
    pub fn is_no_worse_than(&self, base: &Self) -> bool {
        let (own, base) = (self.ml_program, base.ml_program);
        own.partitions <= base.partitions && own.taken * base.nodes >= base.taken * own.nodes
    }
}

impl Taken {
    /// The share of the nodes that would be taken.
    pub fn share(&self) -> f64 {
        self.taken as f64 / self.nodes.max(1) as f64
    }
}
