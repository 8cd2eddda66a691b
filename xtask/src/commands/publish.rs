//! `cargo xtask publish`: from an archive to a public release that was downloaded again and verified.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;

use crate::failure::Failure;
use crate::publish::{
    self, Archive, EXTENSION, Means, Order, Patience, Published, Reference, Repository, State, Tag,
};
use crate::workspace::Workspace;

/// The repository of this package.
const HOME: &str = env!("CARGO_PKG_REPOSITORY");

/// Publishes an archive as a release on GitHub
///
/// Verifies the archive, makes a draft with notes, uploads the archive and a file with its digest, downloads both again,
/// compares every byte, verifies what came back, and only then makes the draft public. Until then the public sees nothing.
/// A run that fails says how the release stands; run again, it goes on from there. A public release is never changed: with
/// the same archive there is nothing to do, with any other the command refuses.
///
/// Needs the GitHub CLI (`gh` 2.32 or newer), logged in by `gh auth login` or `GH_TOKEN`; for `--oci` also `oras`, logged in by `oras login`.
/// The tag has to be in the repository already.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct PublishArgs {
    /// An archive that `cargo xtask package` wrote [default: the only one in `artifacts/`]
    #[arg(value_name = "ARCHIVE")]
    pub archive: Option<PathBuf>,

    /// The tag of the release, pushed before
    #[arg(long)]
    pub tag: Tag,

    /// The repository on GitHub [default: that of this package]
    #[arg(long, value_name = "OWNER/NAME")]
    pub repo: Option<Repository>,

    /// Verify the archive, print every command that would be run, and run none of them
    #[arg(long, conflicts_with = "draft")]
    pub dry_run: bool,

    /// Leave a complete, verified draft, for a person to look at; without this option, the next run makes it public
    #[arg(long, conflicts_with = "oci")]
    pub draft: bool,

    /// Replace files that the draft holds under these names and that differ; never in a public release
    #[arg(long)]
    pub clobber: bool,

    /// Push the archive there as well, once the release is public; a tag that is taken by another archive is not moved
    #[arg(long, value_name = "HOST/PATH:TAG")]
    pub oci: Option<Reference>,

    /// Publish, as a prerelease and marked so, a model whose base is not the published one
    #[arg(long)]
    pub allow_unofficial: bool,

    /// The public key of minisign that must have signed the archive; without it, no signature is checked
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// Print what was published as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Usage`] for an archive that may not be published, or a program that is missing or not logged in; [`Failure::Fetch`]
/// for an archive, or a file of the release, that is not what it should be; otherwise what `gh` or `oras` said.
pub fn run(args: &PublishArgs, workspace: &Workspace) -> Result<()> {
    let folder = workspace.artifacts().folder().to_owned();
    let path = match &args.archive {
        Some(path) => path.clone(),
        None => only_archive(&folder)?,
    };
    let order = order(args, Archive::open(&path)?)?;
    let verify = |path: &Path| verify(path, args.key.as_deref());
    if args.dry_run {
        verify(&order.archive.path)?;
        for command in publish::commands(&order, &folder) {
            println!("{command}");
        }
        return Ok(());
    }
    let means = Means {
        folder,
        search_path: None,
        patience: Patience::default(),
        console: workspace.console(),
        verify: &verify,
    };
    show(&publish::publish(&order, &means)?, args.json)
}

fn order(args: &PublishArgs, archive: Archive) -> Result<Order> {
    if archive.is_unofficial() && !args.allow_unofficial {
        return Err(anyhow!(
            "`{}` is unofficial: its base is not the published float model\nhint: `--allow-unofficial` publishes it as a \
             prerelease that says so",
            archive.name
        )
        .context(Failure::Usage));
    }
    let repository = match &args.repo {
        Some(repository) => repository.clone(),
        None => HOME.trim_start_matches("https://github.com/").parse().context(Failure::Usage)?,
    };
    let again = again(args, &archive, &repository);
    Ok(Order {
        archive,
        tag: args.tag.clone(),
        repository,
        keep_draft: args.draft,
        replace: args.clobber,
        oci: args.oci.clone(),
        again,
    })
}

/// The same command, as a shell takes it.
fn again(args: &PublishArgs, archive: &Archive, repository: &Repository) -> String {
    let quoted = |path: &Path| {
        let path = path.display().to_string();
        shlex::try_quote(&path).map_or(path.clone(), Cow::into_owned)
    };
    let mut words =
        vec![format!("cargo xtask publish {} --tag {} --repo {repository}", quoted(&archive.path), args.tag)];
    let options =
        [(args.draft, "--draft"), (args.allow_unofficial, "--allow-unofficial"), (args.json, "--json")];
    words.extend(options.iter().filter(|(is_set, _)| *is_set).map(|(_, option)| (*option).to_owned()));
    words.extend(args.key.as_ref().map(|key| format!("--key {}", quoted(key))));
    words.extend(args.oci.as_ref().map(|reference| format!("--oci {reference}")));
    words.join(" ")
}

/// The archive in `folder`, if there is just one.
fn only_archive(folder: &Path) -> Result<PathBuf> {
    let mut archives = Vec::new();
    for entry in fs_err::read_dir(folder).context(Failure::Usage)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(EXTENSION) {
            archives.push(path);
        }
    }
    archives.sort();
    let names: Vec<_> = archives.iter().map(|path| format!("`{}`", path.display())).collect();
    match <[PathBuf; 1]>::try_from(archives) {
        Ok([path]) => Ok(path),
        Err(none) if none.is_empty() => Err(anyhow!(
            "there is no archive in `{}`\nhint: `cargo xtask package` makes one, or name one",
            folder.display()
        )
        .context(Failure::Usage)),
        Err(_) => {
            Err(anyhow!("several archives: {}\nhint: name one", names.join(", ")).context(Failure::Usage))
        }
    }
}

/// Has this very program verify the archive, as anybody would who got it.
fn verify(path: &Path, key: Option<&Path>) -> Result<()> {
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let mut arguments = vec![OsStr::new("verify"), path.as_os_str()];
    if let Some(key) = key {
        arguments.extend([OsStr::new("--key"), key.as_os_str()]);
    }
    let ended = duct::cmd(program, arguments).stdin_null().stdout_to_stderr().unchecked().run()?;
    if ended.status.success() {
        return Ok(());
    }
    Err(anyhow!("`cargo xtask verify {}` said no", path.display()).context(Failure::Fetch))
}

fn show(published: &Published, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(published)?);
        return Ok(());
    }
    println!("{}  {}", published.sha256, published.archive);
    match (&published.state, published.was_done) {
        (State::Draft, _) => println!("draft, complete and verified: {}", published.url),
        (_, true) => println!("public already, nothing to do: {}", published.url),
        _ => println!("public, downloaded again and verified: {}", published.url),
    }
    if let Some(reference) = &published.oci {
        println!("also {reference}");
    }
    Ok(())
}
