//! `cargo xtask clean`: removes what the commands wrote.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::failure::Failure;
use crate::workspace::Workspace;

/// Removes artifacts; with `--cache`, also everything that was fetched
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// Remove the cache of fetched files as well; the next run fetches them again
    #[arg(long)]
    pub cache: bool,
}

/// Runs the command.
///
/// # Errors
/// The disk's.
pub fn run(args: &CleanArgs, workspace: &Workspace) -> Result<()> {
    let artifacts = workspace.artifacts();
    let waiting = || eprintln!("waiting for another run that works in `artifacts/`");
    let lock = artifacts.lock(waiting)?;
    for entry in fs_err::read_dir(artifacts.folder())? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if !matches!(name.as_deref(), Some("README.md" | ".lock")) {
            remove(&path)?;
        }
    }
    drop(lock);
    if args.cache {
        let cache = workspace.environment().cache_folder()?;
        let entries = if cache.exists() { Some(fs_err::read_dir(&cache)?) } else { None };
        for entry in entries.into_iter().flatten() {
            let path = entry?.path();
            let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
            // The folder may be one that the user named: only what a cache is made of goes.
            let ours = name == "locks" || name.parse::<crate::digest::Digest>().is_ok();
            if ours {
                remove(&path)?;
            }
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    eprintln!("removing `{}`", path.display());
    let removed = if path.is_dir() { fs_err::remove_dir_all(path) } else { fs_err::remove_file(path) };
    removed.context(Failure::Usage)
}
