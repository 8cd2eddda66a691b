//! The execution providers that people ask about, and why this machine has each or not.

use serde::{Deserialize, Serialize};

/// An execution provider, as the results name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionProvider {
    /// The default provider of every build.
    Cpu,
    /// Apple's Core ML.
    #[serde(rename = "coreml")]
    CoreMl,
    /// Apple's Metal Performance Shaders.
    Mps,
    /// Intel's OpenVINO.
    #[serde(rename = "openvino")]
    OpenVino,
    /// WebGPU through Dawn.
    #[serde(rename = "webgpu")]
    WebGpu,
}

/// Whether the bench gate can run on a provider here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Available,
    /// It cannot, for this reason.
    Unavailable(&'static str),
}

impl ExecutionProvider {
    /// All of them, in the order of the results.
    pub const ALL: [Self; 5] = [Self::Cpu, Self::CoreMl, Self::Mps, Self::OpenVino, Self::WebGpu];

    /// Whether the bench gate can run on it in this build.
    pub fn availability(self) -> Availability {
        self.availability_on(std::env::consts::OS)
    }

    fn availability_on(self, os: &str) -> Availability {
        Availability::Unavailable(match self {
            Self::Cpu => return Availability::Available,
            Self::CoreMl if os == "macos" => {
                "the engine runs models on the CPU provider only, so that a result is that of the CPU"
            }
            Self::CoreMl => "only builds of ONNX Runtime for Apple systems have it",
            Self::Mps => "no release of ONNX Runtime has an MPS provider",
            Self::OpenVino => {
                "a plugin library of its own (`onnxruntime-ep-openvino`), which is not set up here"
            }
            Self::WebGpu => "a plugin library of its own (`onnxruntime-ep-webgpu`), which is not set up here",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_cpu_is_available_and_the_others_say_why() {
        for os in ["linux", "macos", "windows"] {
            for provider in ExecutionProvider::ALL {
                let availability = provider.availability_on(os);
                let expected = provider == ExecutionProvider::Cpu;
                assert_eq!(availability == Availability::Available, expected, "{provider:?} on {os}");
            }
        }
        let reasons = ["linux", "macos"].map(|os| ExecutionProvider::CoreMl.availability_on(os));
        assert_ne!(reasons[0], reasons[1]);
    }
}
