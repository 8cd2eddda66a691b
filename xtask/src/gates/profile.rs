//! What ONNX Runtime executed, from the profile it writes.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The kernels that ran, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// How many times the model was called.
    pub calls: usize,
    /// Kernel runs per operator, over all calls, after the runtime's own fusions and foldings.
    pub kernels: BTreeMap<String, usize>,
    /// Kernel runs per execution provider, over all calls.
    pub providers: BTreeMap<String, usize>,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The text is not a list of events.
    #[error("the profile is not a list of trace events")]
    NotEvents(#[from] serde_json::Error),
    /// There is no event of a call, so nothing can be said per call.
    #[error("the profile has no call of the model: expected an event `model_run`, found {events} others")]
    NoCall {
        /// How many events there are.
        events: usize,
    },
    /// Calls without kernels: the events are not named as this parser expects, and a count would say 0 of all.
    #[error("the profile has {calls} calls of the model and no kernel: expected events `*_kernel_time`")]
    NoKernels {
        /// How many calls there are.
        calls: usize,
    },
}

/// One event of the Chrome trace format that the runtime writes; other fields are of no use here.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    args: Arguments,
}

#[derive(Default, Deserialize)]
struct Arguments {
    op_name: Option<String>,
    provider: Option<String>,
}

impl Profile {
    /// Reads the text of a profile.
    ///
    /// # Errors
    /// See [`ProfileError`]; a profile without kernels is refused, for its counts would all pass.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let events: Vec<Event> = serde_json::from_str(text)?;
        let calls = events.iter().filter(|event| event.cat == "Session" && event.name == "model_run").count();
        if calls == 0 {
            return Err(ProfileError::NoCall { events: events.len() });
        }
        let mut profile = Self { calls, kernels: BTreeMap::new(), providers: BTreeMap::new() };
        // Older runtimes also write `_fence_before` and `_fence_after` for each kernel.
        for event in events.into_iter().filter(|it| it.cat == "Node" && it.name.ends_with("_kernel_time")) {
            let Some(operator) = event.args.op_name else { continue };
            *profile.kernels.entry(operator).or_default() += 1;
            *profile.providers.entry(event.args.provider.unwrap_or_default()).or_default() += 1;
        }
        if profile.kernels.is_empty() {
            return Err(ProfileError::NoKernels { calls });
        }
        Ok(profile)
    }

    /// How many kernels of `operator` one call runs, rounded up.
    pub fn per_call(&self, operator: &str) -> usize {
        self.kernels.get(operator).map_or(0, |count| count.div_ceil(self.calls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two calls of a graph with a convolution, two multiplications, and a kernel of another provider.
    const TWO_CALLS: &str = r#"[
        {"cat":"Session","pid":1,"tid":1,"dur":9,"ts":1,"ph":"X","name":"session_initialization","args":{}},
        {"cat":"Node","pid":1,"tid":1,"dur":2,"ts":2,"ph":"X","name":"/a/Conv_kernel_time",
         "args":{"op_name":"Conv","provider":"CPUExecutionProvider","node_index":"1"}},
        {"cat":"Node","name":"/a/Conv_fence_before","args":{"op_name":"Conv"}},
        {"cat":"Node","name":"/a/Mul_kernel_time","args":{"op_name":"Mul","provider":"CPUExecutionProvider"}},
        {"cat":"Node","name":"/b/Mul_kernel_time","args":{"op_name":"Mul","provider":"CPUExecutionProvider"}},
        {"cat":"Session","name":"SequentialExecutor::Execute","args":{}},
        {"cat":"Session","name":"model_run","args":{}},
        {"cat":"Node","name":"/a/Conv_kernel_time","args":{"op_name":"Conv","provider":"CPUExecutionProvider"}},
        {"cat":"Node","name":"/a/Mul_kernel_time","args":{"op_name":"Mul","provider":"XnnpackExecutionProvider"}},
        {"cat":"Session","name":"model_run","args":{}}
    ]"#;

    #[test]
    fn kernels_are_counted_per_operator_and_provider() {
        let profile = Profile::parse(TWO_CALLS).unwrap();
        assert_eq!(profile.calls, 2);
        assert_eq!(profile.kernels, [("Conv".into(), 2), ("Mul".into(), 3)].into());
        assert_eq!(
            profile.providers,
            [("CPUExecutionProvider".into(), 4), ("XnnpackExecutionProvider".into(), 1)].into()
        );
        // Three runs in two calls: one of the calls ran it twice.
        assert_eq!((profile.per_call("Conv"), profile.per_call("Mul"), profile.per_call("Sin")), (1, 2, 0));
    }

    #[test]
    fn a_profile_that_counts_nothing_is_refused() {
        let no_call = TWO_CALLS.replace("model_run", "other");
        assert!(matches!(Profile::parse(&no_call), Err(ProfileError::NoCall { events: 10 })));
        let no_kernels = TWO_CALLS.replace("_kernel_time", "");
        assert!(matches!(Profile::parse(&no_kernels), Err(ProfileError::NoKernels { calls: 2 })));
        assert!(matches!(Profile::parse("[{"), Err(ProfileError::NotEvents(_))));
    }
}
