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

/// How long calls and their kernels took, call by call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Timings {
    /// Microseconds of each call.
    pub calls: Vec<f64>,
    /// Microseconds of the kernels of each node in each call, by the node's name. 0 where it did not run.
    pub nodes: BTreeMap<String, Vec<f64>>,
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
    /// Microseconds.
    #[serde(default)]
    dur: f64,
    #[serde(default)]
    args: Arguments,
}

#[derive(Default, Deserialize)]
struct Arguments {
    op_name: Option<String>,
    provider: Option<String>,
}

impl Timings {
    /// Reads the text of a profile.
    ///
    /// # Errors
    /// Those of [`Profile::parse`].
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let events: Vec<Event> = serde_json::from_str(text)?;
        let mut timings = Self::default();
        // The event of a call is written when it ends, behind those of its kernels.
        for Event { cat, name, dur, .. } in &events {
            let call = timings.calls.len();
            match (cat.as_str(), name.strip_suffix("_kernel_time")) {
                ("Session", _) if name == "model_run" => timings.calls.push(*dur),
                ("Node", Some(node)) => {
                    let times = timings.nodes.entry(node.to_owned()).or_default();
                    times.resize(call + 1, 0.0);
                    times[call] += dur;
                }
                _ => {}
            }
        }
        let calls = timings.calls.len();
        if calls == 0 {
            return Err(ProfileError::NoCall { events: events.len() });
        }
        if timings.nodes.is_empty() {
            return Err(ProfileError::NoKernels { calls });
        }
        for times in timings.nodes.values_mut() {
            times.resize(calls, 0.0);
        }
        Ok(timings)
    }
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
    fn times_are_of_a_node_in_a_call() {
        let timed = r#"[
            {"cat":"Node","dur":3,"name":"/a/Conv_kernel_time","args":{"op_name":"Conv"}},
            {"cat":"Node","dur":4,"name":"/a/Conv_kernel_time","args":{"op_name":"Conv"}},
            {"cat":"Node","dur":9,"name":"/a/Conv_fence_before","args":{"op_name":"Conv"}},
            {"cat":"Session","dur":10,"name":"model_run"},
            {"cat":"Node","dur":5,"name":"/b/Mul_kernel_time","args":{"op_name":"Mul"}},
            {"cat":"Session","dur":8,"name":"model_run"},
            {"cat":"Node","dur":1,"name":"/a/Conv_kernel_time","args":{"op_name":"Conv"}},
            {"cat":"Session","dur":2,"name":"model_run"}
        ]"#;
        let timings = Timings::parse(timed).unwrap();
        assert_eq!(timings.calls, [10.0, 8.0, 2.0]);
        let expected = [("/a/Conv".into(), vec![7.0, 0.0, 1.0]), ("/b/Mul".into(), vec![0.0, 5.0, 0.0])];
        assert_eq!(timings.nodes, expected.into());
        assert!(matches!(Timings::parse("[]"), Err(ProfileError::NoCall { events: 0 })));
        let no_kernels = timed.replace("_kernel_time", "");
        assert!(matches!(Timings::parse(&no_kernels), Err(ProfileError::NoKernels { calls: 3 })));
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
