//! `--provider`: which execution providers a command is to run on, and whether each of them can be had here.
//!
//! What one lacks is asked of the runtime and of the plugin itself, never guessed from the machine.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, ValueEnum};
use kokoro_model::{CoreMlFormat, CoreMlUnits, Error, ErrorKind, Provider, Runtime};

use crate::failure::Failure;
use crate::fetch::{Fetcher, is_unavailable};
use crate::gates::ExecutionProvider;
use crate::recipe::PluginRecipes;

/// Where the models are to run.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Execution providers")]
pub struct ProviderArgs {
    /// Run on these execution providers, separated by commas [default: cpu]
    ///
    /// `cpu` is in every ONNX Runtime, and what others are held against. `coreml` is in that for macOS. `openvino` and `webgpu`
    /// are plugins: they are fetched from pip when they are asked for, checked by digest, and say themselves which devices they
    /// find. `mps` is in no release. A provider computes the nodes that it has kernels for, the CPU the rest; where one cannot
    /// be had, the reason and the way to get it are told.
    #[arg(long = "provider", value_enum, value_delimiter = ',', value_name = "NAME")]
    pub providers: Vec<ExecutionProvider>,

    /// The format in which CoreML gets its nodes
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub coreml_format: FormatName,

    /// What CoreML may compute on
    #[arg(long, value_enum, value_name = "UNITS", default_value_t)]
    pub coreml_units: UnitsName,

    /// Take this library for a plugin provider in place of the pinned one; may be given more than once
    ///
    /// Nothing checks it. With a newer ONNX Runtime (`--onnxruntime PATH`) a newer plugin can be measured.
    #[arg(long = "plugin", value_name = "NAME=PATH", value_parser = library)]
    pub libraries: Vec<(ExecutionProvider, PathBuf)>,
}

/// [`CoreMlFormat`] on the command line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// The newer one, with more operators
    #[default]
    MlProgram,
    /// The older one
    NeuralNetwork,
}

/// [`CoreMlUnits`] on the command line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum UnitsName {
    /// Whatever there is
    #[default]
    All,
    /// Processor and neural engine
    CpuAndNeuralEngine,
    /// Processor and GPU
    CpuAndGpu,
    /// The processor alone
    CpuOnly,
}

/// A provider that was asked for: how the engine gets it, or why there is none, on one line with the way to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub name: ExecutionProvider,
    /// How, or why not.
    pub provider: Result<Provider, String>,
}

impl ProviderArgs {
    /// The providers that were asked for, each once, in the order of the command line; the CPU if none was.
    pub fn names(&self) -> Vec<ExecutionProvider> {
        let mut names = Vec::new();
        for name in &self.providers {
            if !names.contains(name) {
                names.push(*name);
            }
        }
        if names.is_empty() { vec![ExecutionProvider::Cpu] } else { names }
    }

    /// Whether any other than the CPU was asked for.
    pub fn asks_for_others(&self) -> bool {
        self.names() != [ExecutionProvider::Cpu]
    }

    /// Sees to it that the providers can be used; `recipe` is the file that pins plugins.
    ///
    /// # Errors
    /// [`Failure::Fetch`] for a plugin that is not the pinned one, [`Failure::Usage`] for a recipe that is not valid and for a
    /// library of the user's that is no plugin. That a provider cannot be had is no error.
    pub fn obtain(&self, runtime: &Runtime, fetcher: &Fetcher, recipe: &Path) -> Result<Vec<Asked>> {
        let one = |name| Ok(Asked { name, provider: self.one(name, runtime, fetcher, recipe)? });
        self.names().into_iter().map(one).collect()
    }

    /// As [`Self::obtain`], for a command that has nothing to do on a provider that cannot be had.
    ///
    /// # Errors
    /// Those of [`Self::obtain`]; [`Failure::Usage`] with the reason and the way to get it.
    pub fn require(
        &self,
        runtime: &Runtime,
        fetcher: &Fetcher,
        recipe: &Path,
    ) -> Result<Vec<(ExecutionProvider, Provider)>> {
        let asked = self.obtain(runtime, fetcher, recipe)?;
        let missing = |name, reason| anyhow!("no `{name}` here: {reason}").context(Failure::Usage);
        let found = asked
            .into_iter()
            .map(|Asked { name, provider }| Ok((name, provider.map_err(|it| missing(name, it))?)));
        found.collect()
    }

    /// The library that the user named for a provider, the last one of more.
    fn own(&self, name: ExecutionProvider) -> Option<&Path> {
        self.libraries.iter().rev().find(|(of, _)| *of == name).map(|(_, path)| path.as_path())
    }

    fn one(
        &self,
        name: ExecutionProvider,
        runtime: &Runtime,
        fetcher: &Fetcher,
        recipe: &Path,
    ) -> Result<Result<Provider, String>> {
        let (provider, hint) = match name {
            ExecutionProvider::Cpu => return Ok(Ok(Provider::Cpu)),
            ExecutionProvider::Mps => return Ok(Err(name.without_asking().to_owned())),
            ExecutionProvider::CoreMl => {
                let (format, units) = (self.coreml_format.into(), self.coreml_units.into());
                (Provider::CoreMl { format, units }, "it takes a Mac and ONNX Runtime for macOS".to_owned())
            }
            ExecutionProvider::OpenVino
                if self.own(name).is_none() && Provider::OpenVino.is_built_in(runtime) =>
            {
                (Provider::OpenVino, "it is built into this ONNX Runtime".to_owned())
            }
            ExecutionProvider::OpenVino | ExecutionProvider::WebGpu => {
                let recipes = PluginRecipes::load(recipe)?;
                let plugin = recipes.plugin(name.as_str())?;
                let built_in =
                    if name == ExecutionProvider::OpenVino { recipes.built_in() } else { String::new() };
                let serves =
                    format!("`{}` {} serves {}{built_in}", plugin.package, plugin.version, plugin.serves);
                let own = self.own(name);
                let library = match own {
                    Some(path) => path.to_owned(),
                    None if plugin.here().is_none() => {
                        return Ok(Err(format!("{serves}; there is no wheel for this system")));
                    }
                    None => match fetcher.plugin(plugin) {
                        Ok(library) => library.path,
                        Err(error) if is_unavailable(&error) => {
                            return Ok(Err(one_line(&format!("{error:#}"))));
                        }
                        Err(error) => return Err(error),
                    },
                };
                match runtime.register_plugin(&library) {
                    Ok(plugin) => (Provider::Plugin(plugin), serves),
                    Err(error) => match unavailable(&error) {
                        Some(reason) => return Ok(Err(format!("{reason}; {serves}"))),
                        None => {
                            return Err(error).context(if own.is_some() {
                                Failure::Usage
                            } else {
                                Failure::Fetch
                            });
                        }
                    },
                }
            }
        };
        Ok(match provider.check(runtime) {
            Ok(()) => Ok(provider),
            Err(error) => Err(format!(
                "{}; {hint}",
                unavailable(&error).unwrap_or_else(|| one_line(&error.to_string()))
            )),
        })
    }
}

/// Why a provider cannot be had, if that is what an error says.
fn unavailable(error: &Error) -> Option<String> {
    match error.kind() {
        ErrorKind::ProviderUnavailable { reason, .. } => Some(words_for_people(&one_line(reason))),
        _ => None,
    }
}

/// A message of the runtime without the place in its source and the condition that stand before the words.
fn words_for_people(message: &str) -> String {
    message.rsplit_once(" was false. ").map_or(message, |(_, words)| words).to_owned()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn library(text: &str) -> Result<(ExecutionProvider, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected `NAME=PATH`, such as `webgpu=plugin.so`")?;
    match ExecutionProvider::from_str(name, false) {
        Ok(provider @ (ExecutionProvider::OpenVino | ExecutionProvider::WebGpu)) => {
            Ok((provider, path.into()))
        }
        _ => Err(format!("expected `openvino` or `webgpu` before the `=`, found `{name}`")),
    }
}

impl From<FormatName> for CoreMlFormat {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::MlProgram => Self::MlProgram,
            FormatName::NeuralNetwork => Self::NeuralNetwork,
        }
    }
}

impl From<UnitsName> for CoreMlUnits {
    fn from(name: UnitsName) -> Self {
        match name {
            UnitsName::All => Self::All,
            UnitsName::CpuAndNeuralEngine => Self::CpuAndNeuralEngine,
            UnitsName::CpuAndGpu => Self::CpuAndGpu,
            UnitsName::CpuOnly => Self::CpuOnly,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        providers: ProviderArgs,
    }

    fn parsed(line: &str) -> Result<ProviderArgs, String> {
        let words = ["xtask"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.providers).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_is_parsed_and_each_name_counts_once() {
        use ExecutionProvider::{CoreMl, Cpu, OpenVino, WebGpu};
        for (line, expected) in [
            ("", vec![Cpu]),
            ("--provider cpu", vec![Cpu]),
            ("--provider webgpu,cpu,webgpu", vec![WebGpu, Cpu]),
            ("--provider cpu --provider coreml,openvino", vec![Cpu, CoreMl, OpenVino]),
        ] {
            let args = parsed(line).unwrap();
            assert_eq!(args.names(), expected, "{line}");
            assert_eq!(args.asks_for_others(), expected != [Cpu], "{line}");
        }
        let refused = parsed("--provider cuda").unwrap_err();
        for name in ["cpu", "coreml", "mps", "openvino", "webgpu"] {
            assert!(refused.contains(name), "{refused}");
        }
    }

    #[test]
    fn attributes_of_coreml_reach_the_engine() {
        let args = parsed("--coreml-format neural-network --coreml-units cpu-and-gpu").unwrap();
        let (format, units): (CoreMlFormat, CoreMlUnits) =
            (args.coreml_format.into(), args.coreml_units.into());
        assert_eq!((format, units), (CoreMlFormat::NeuralNetwork, CoreMlUnits::CpuAndGpu));
        let args = parsed("").unwrap();
        assert_eq!((args.coreml_format, args.coreml_units), (FormatName::MlProgram, UnitsName::All));
    }

    #[test]
    fn of_a_long_message_the_words_are_kept() {
        let long = "a.cc:65 f() status == Success was false. Failed to get an adapter: No supported adapters (GenericFailure)";
        assert_eq!(
            words_for_people(long),
            "Failed to get an adapter: No supported adapters (GenericFailure)"
        );
        assert_eq!(words_for_people("its plugin offers no device"), "its plugin offers no device");
    }

    #[test]
    fn a_library_is_given_for_a_plugin_only() {
        let args = parsed("--plugin webgpu=a=b.so").unwrap();
        assert_eq!(args.libraries, [(ExecutionProvider::WebGpu, PathBuf::from("a=b.so"))]);
        for (line, complaint) in [
            ("--plugin coreml=a.so", "expected `openvino` or `webgpu`"),
            ("--plugin webgpu", "expected `NAME=PATH`"),
        ] {
            assert!(parsed(line).unwrap_err().contains(complaint), "{line}");
        }
    }
}
