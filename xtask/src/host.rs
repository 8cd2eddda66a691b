//! The machine that measured, so that a timing can be judged.

use std::collections::BTreeMap;
use std::fmt;
use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};

/// What of a machine decides how fast a model runs on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// The operating system, such as `linux`.
    pub os: String,
    /// The architecture, such as `x86_64`.
    pub arch: String,
    /// The processor as it calls itself, or `unknown`.
    pub cpu: String,
    /// How many threads this process can run at once.
    pub cores: usize,
    /// The instruction sets that matter to quantized and float kernels, and whether the processor has each.
    pub cpu_features: BTreeMap<String, bool>,
}

impl Host {
    /// This machine.
    pub fn here() -> Self {
        Self {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            cpu: cpu_model(),
            cores: available_parallelism().map_or(1, usize::from),
            cpu_features: features().into_iter().map(|(name, has)| (name.to_owned(), has)).collect(),
        }
    }
}

impl Host {
    /// Whether ONNX Runtime's products of u8 and s8 saturate on it: on x86 without VNNI. Source: `MlasPlatformU8S8Overflow`
    /// of ONNX Runtime.
    pub fn saturates(&self) -> bool {
        let has = |feature: &str| self.cpu_features.get(feature).copied().unwrap_or(false);
        self.arch == "x86_64" && has("avx2") && !has("avx512_vnni") && !has("avx_vnni")
    }
}

impl fmt::Display for Host {
    /// The processor and those of its instruction sets that matter: `AMD EPYC (avx2, fma)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has: Vec<&str> =
            self.cpu_features.iter().filter(|(_, has)| **has).map(|(name, _)| name.as_str()).collect();
        write!(f, "{} ({})", self.cpu, has.join(", "))
    }
}

/// Only Linux tells without a library or a child process of its own.
fn cpu_model() -> String {
    let text =
        if cfg!(target_os = "linux") { fs_err::read_to_string("/proc/cpuinfo") } else { Ok(String::new()) };
    text.ok().as_deref().and_then(model_name).unwrap_or_else(|| "unknown".to_owned())
}

/// The first model name in `/proc/cpuinfo`. Arm kernels give none; single-board computers give `Model`.
fn model_name(cpuinfo: &str) -> Option<String> {
    let value = |key: &str| {
        cpuinfo.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            (found.trim() == key && !value.trim().is_empty()).then(|| value.trim().to_owned())
        })
    };
    value("model name").or_else(|| value("Model"))
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<(&'static str, bool)> {
    vec![
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512_vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx_vnni", is_x86_feature_detected!("avxvnni")),
    ]
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<(&'static str, bool)> {
    use std::arch::is_aarch64_feature_detected;
    vec![
        ("neon", is_aarch64_feature_detected!("neon")),
        ("dotprod", is_aarch64_feature_detected!("dotprod")),
        ("i8mm", is_aarch64_feature_detected!("i8mm")),
        ("fp16", is_aarch64_feature_detected!("fp16")),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read_from_what_kernels_write() {
        for (cpuinfo, expected) in [
            (
                "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some CPU @ 2.5GHz\nmodel name\t: Other\n",
                Some("Some CPU @ 2.5GHz"),
            ),
            ("processor\t: 0\nBogoMIPS\t: 108.00\n\nModel\t\t: A Board Rev 1.0\n", Some("A Board Rev 1.0")),
            ("model name\t:\n", None),
            ("", None),
        ] {
            assert_eq!(model_name(cpuinfo).as_deref(), expected, "{cpuinfo}");
        }
    }

    #[test]
    fn this_machine_says_what_it_is() {
        let host = Host::here();
        assert!(host.cores >= 1 && !host.cpu.is_empty());
        // Every machine that this is built for has these by definition of the platform.
        if host.arch == "aarch64" {
            assert!(host.cpu_features["neon"]);
        }
        // AVX2 and FMA came together in every processor so far.
        if host.arch == "x86_64" {
            assert_eq!(host.cpu_features["avx2"], host.cpu_features["fma"]);
        }
    }
}
