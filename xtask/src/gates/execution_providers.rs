//! The execution providers that people ask about.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// An execution provider, as the command line and the results name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum ExecutionProvider {
    /// The default provider of every build
    Cpu,
    /// Apple's Core ML, on a Mac
    CoreMl,
    /// Apple's Metal Performance Shaders, which no release has
    Mps,
    /// Intel's OpenVINO, a plugin
    OpenVino,
    /// WebGPU through Dawn, a plugin
    WebGpu,
}

impl ExecutionProvider {
    /// All of them, in the order of the results.
    pub const ALL: [Self; 5] = [Self::Cpu, Self::CoreMl, Self::Mps, Self::OpenVino, Self::WebGpu];

    /// Its name on the command line and in the results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::CoreMl => "coreml",
            Self::Mps => "mps",
            Self::OpenVino => "openvino",
            Self::WebGpu => "webgpu",
        }
    }

    /// Why there are no results of it in a run that did not ask for it.
    pub fn without_asking(self) -> &'static str {
        match self {
            Self::Cpu => "it was not run",
            Self::CoreMl => {
                "only builds of ONNX Runtime for Apple systems have it; on a Mac, `--provider coreml` measures it"
            }
            Self::Mps => "no release of ONNX Runtime has an MPS provider",
            Self::OpenVino => {
                "a plugin library of its own (`onnxruntime-ep-openvino`); `--provider openvino` fetches and tries it"
            }
            Self::WebGpu => {
                "a plugin library of its own (`onnxruntime-ep-webgpu`); `--provider webgpu` fetches and tries it"
            }
        }
    }
}

impl fmt::Display for ExecutionProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_has_one_name_everywhere() {
        for provider in ExecutionProvider::ALL {
            let on_the_command_line = provider.to_possible_value().unwrap();
            assert_eq!(on_the_command_line.get_name(), provider.as_str());
            assert_eq!(serde_json::to_value(provider).unwrap(), provider.as_str());
        }
        assert_eq!(ExecutionProvider::value_variants(), ExecutionProvider::ALL);
    }

    #[test]
    fn no_two_say_the_same_of_why_they_were_not_run() {
        let reasons: std::collections::BTreeSet<_> =
            ExecutionProvider::ALL.into_iter().map(ExecutionProvider::without_asking).collect();
        assert_eq!(reasons.len(), ExecutionProvider::ALL.len());
    }
}
