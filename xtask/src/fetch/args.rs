//! The options of every command that fetches.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::{Cache, Console, FetchOptions, Fetcher, Timing};
use crate::environment::Environment;
use crate::recipe::Redirects;

/// Where files may come from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Sources")]
pub struct SourceArgs {
    /// Use what the cache holds and ask no network; fails, naming what is missing
    #[arg(long)]
    pub offline: bool,

    /// Ask this address first: a copy of the cache folder, `URL/<sha256>/<name>`
    ///
    /// For machines behind a firewall. Fill a cache with `cargo xtask fetch --all` on a machine that has
    /// the network, and serve that folder. Plain http is allowed: every file is proved by its digest.
    #[arg(long, value_name = "URL", conflicts_with = "offline")]
    pub mirror: Option<String>,

    /// Use this ONNX Runtime library in place of the pinned one [env: `ORT_DYLIB_PATH`]
    #[arg(long, value_name = "PATH")]
    pub onnxruntime: Option<PathBuf>,
}

impl SourceArgs {
    /// A fetcher as the command line and the environment want it.
    ///
    /// # Errors
    /// The mirror is not an HTTP address, or no cache folder is known.
    pub fn fetcher(&self, environment: &Environment) -> Result<Fetcher> {
        self.fetcher_within(environment, None)
    }

    /// As [`Self::fetcher`], with every redirect to a host that `redirects` do not allow refused.
    ///
    /// # Errors
    /// Those of [`Self::fetcher`].
    pub fn fetcher_within(&self, environment: &Environment, redirects: Option<Redirects>) -> Result<Fetcher> {
        let options = FetchOptions {
            offline: self.offline,
            mirror: self.mirror.clone(),
            redirects,
            onnxruntime: self.library(environment),
            search_path: None,
            certificates: None,
            timing: Timing::default(),
            console: Console::stderr(environment.redraws()),
        };
        Fetcher::new(Cache::new(environment.cache_folder()?), options)
    }

    /// The ONNX Runtime library that the command line or the environment names in place of the pinned one.
    pub fn library(&self, environment: &Environment) -> Option<PathBuf> {
        self.onnxruntime.clone().or_else(|| environment.ort_dylib_path.clone())
    }
}
