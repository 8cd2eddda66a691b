//! The recipe of plugin libraries of execution providers, `models/providers.toml`: one pinned wheel per plugin and platform.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, anyhow};
use serde::Deserialize;

use super::load;
use super::runtime::{last_part, platform_here};
use crate::digest::Digest;
use crate::failure::Failure;

/// Where the plugin libraries can be had.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginRecipes {
    /// By the name of the provider, such as `webgpu`.
    #[serde(rename = "plugin")]
    pub plugins: BTreeMap<String, PluginRecipe>,
    /// Whole builds of ONNX Runtime with a provider built in, by the name of their package. They come as plugins do, and are
    /// used where `--onnxruntime` names them.
    #[serde(rename = "runtime", default)]
    pub runtimes: BTreeMap<String, PluginRecipe>,
}

/// One plugin.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginRecipe {
    /// The name of the pip package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// An SPDX expression.
    pub licence: String,
    /// Who made it.
    pub attribution: String,
    /// What it computes on, told to those who lack it.
    pub serves: String,
    /// By platform, such as `linux-x86_64`.
    #[serde(rename = "platform")]
    pub platforms: BTreeMap<String, PluginWheel>,
}

/// The wheel of a plugin for one platform, whichever Python runs here. Its own digest pins all that is in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginWheel {
    /// The Python version to ask for, such as `3.12`.
    pub python: String,
    /// The Python ABI to ask for, such as `cp312`.
    pub abi: String,
    /// The platform tag to ask for.
    pub tag: String,
    /// The wheel's digest.
    pub sha256: Digest,
    /// The exact size of the wheel.
    pub bytes: u64,
    /// The library's path inside. The files of its folder belong to it.
    pub library: String,
}

impl PluginRecipes {
    /// Reads and checks the recipe.
    ///
    /// # Errors
    /// [`Failure::Usage`], naming the file and the key.
    pub fn load(path: &Path) -> Result<Self> {
        Ok(load::<Self>(path, Self::check)?.0)
    }

    /// How to get a build of ONNX Runtime with a provider built in, for whom a plugin does not serve; empty where none is pinned
    /// for this machine.
    pub fn built_in(&self) -> String {
        let runtime = self.runtimes.iter().find(|(_, runtime)| runtime.here().is_some());
        let way = |(name, PluginRecipe { package, version, serves, .. }): (&String, &PluginRecipe)| {
            format!(
                "; `{package}` {version}, an ONNX Runtime that has it built in, serves {serves}: `cargo xtask fetch {name}` brings \
                 it, `--onnxruntime PATH` takes it"
            )
        };
        runtime.map(way).unwrap_or_default()
    }

    /// The plugin called `name`.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the names there are.
    pub fn plugin(&self, name: &str) -> Result<&PluginRecipe> {
        self.plugins.get(name).ok_or_else(|| {
            let names: Vec<_> = self.plugins.keys().map(|name| format!("`{name}`")).collect();
            anyhow!("no plugin `{name}` is pinned, expected {}", names.join(" or ")).context(Failure::Usage)
        })
    }
}

impl PluginRecipe {
    /// The wheel for the machine that this program was built for; `None` where nobody makes one.
    pub fn here(&self) -> Option<&PluginWheel> {
        self.platforms.get(&platform_here())
    }

    /// The name of the wheel's file in the cache.
    pub fn file_name(&self) -> String {
        format!("{}-{}.whl", self.package, self.version)
    }
}

impl PluginWheel {
    /// The folder of the library inside, with the slash behind it.
    pub fn folder(&self) -> &str {
        self.library.strip_suffix(self.library_name()).unwrap_or_default()
    }

    /// The library's name without its folder.
    pub fn library_name(&self) -> &str {
        last_part(&self.library)
    }
}
