//! What the synthesizers of one model share: its weights, as floats and as the runtime packs them, and its constants.
//!
//! Of all memory that a synthesizer takes before it speaks, this is nearly everything. It is kept as long as any of them is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ort::session::builder::PrepackedWeights;
use ort::value::DynValue;

use super::Prepared;
use crate::error::Error;

/// Which model: the sum and the size of the artifact, which are compared whenever it is loaded, and the sums of the graphs.
#[derive(Debug, PartialEq, Eq)]
struct Model {
    artifact: (u32, u64),
    graphs: Vec<u32>,
}

/// Values with their names.
pub(super) type Named = Vec<(String, Arc<DynValue>)>;

/// The weights of one model.
pub(super) struct Shared {
    model: Model,
    /// By the number of the part and the name in its graph.
    weights: Mutex<HashMap<(usize, String), Arc<DynValue>>>,
    /// What parts computed when they were loaded first, by the number of the part.
    constants: Mutex<HashMap<usize, Named>>,
    /// For each part, since the runtime looks for what it packed by its content alone.
    packed: Vec<PrepackedWeights>,
}

/// What synthesizers of this process have.
static PUBLISHED: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

impl Shared {
    /// Those of this model, if a synthesizer of this process has them, else new ones, which are nobody else's before
    /// [`Self::publish`].
    pub(super) fn of(contents: &Prepared<'_>) -> Arc<Self> {
        let model = Model {
            artifact: (contents.artifact_crc32, contents.artifact_bytes),
            graphs: contents.parts.iter().map(|part| crc32fast::hash(part.graph)).collect(),
        };
        let known = locked(&PUBLISHED).iter().filter_map(Weak::upgrade).find(|shared| shared.model == model);
        known.unwrap_or_else(|| {
            Arc::new(Self {
                model,
                weights: Mutex::default(),
                constants: Mutex::default(),
                packed: contents.parts.iter().map(|_| PrepackedWeights::new()).collect(),
            })
        })
    }

    /// Lets the synthesizers to come have them, once the artifact was found to be whole: what was made of a damaged one is of no
    /// use to others.
    pub(super) fn publish(self: &Arc<Self>) {
        let mut published = locked(&PUBLISHED);
        published.retain(|known| known.strong_count() > 0);
        let own = Arc::downgrade(self);
        if !published.iter().any(|known| known.ptr_eq(&own)) {
            published.push(own);
        }
    }

    /// A weight, made if nobody has it. Two who ask at once may both make it, and one is kept.
    pub(super) fn weight(
        &self,
        part: usize,
        name: &str,
        make: impl FnOnce() -> Result<DynValue, Error>,
    ) -> Result<Arc<DynValue>, Error> {
        let key = (part, name.to_owned());
        if let Some(weight) = locked(&self.weights).get(&key) {
            return Ok(Arc::clone(weight));
        }
        let weight = Arc::new(make()?);
        Ok(Arc::clone(locked(&self.weights).entry(key).or_insert(weight)))
    }

    /// The constants of a part, if it was loaded before.
    pub(super) fn constants(&self, part: usize) -> Option<Named> {
        locked(&self.constants).get(&part).cloned()
    }

    /// Keeps the constants of a part.
    pub(super) fn keep(&self, part: usize, constants: &[(String, Arc<DynValue>)]) {
        locked(&self.constants).entry(part).or_insert_with(|| constants.to_vec());
    }

    /// What the runtime packed of the weights of a part.
    pub(super) fn packed(&self, part: usize) -> &PrepackedWeights {
        &self.packed[part]
    }
}

/// A thread that panicked left nothing half done: the lock is held to look up and to insert.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("weights", &locked(&self.weights).len())
            .finish_non_exhaustive()
    }
}
