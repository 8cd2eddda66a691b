//! `cargo xtask package`: one archive that others can check.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::gates::ExecutionProvider;
use crate::release::{Nominee, Signer, package};
use crate::workspace::Workspace;

/// Packs the chosen artifact into one archive that others can check
///
/// The archive has the model with its metadata, what the gates said, a report and a few recordings, recipe, plan
/// and lock, licences, a bill of materials (CycloneDX), the provenance (in-toto, SLSA), and `SHA256SUMS` over all
/// of it. Equal artifacts give equal archives, wherever they are packed: files have the time of
/// `SOURCE_DATE_EPOCH`, or 1980-01-01 without it. Nothing else is written.
///
/// An artifact is packed only if its digests are right, every gate passed it, and the lock has it.
#[derive(Debug, Args)]
pub struct PackageArgs {
    /// Pack the artifact that is chosen for this execution provider
    ///
    /// One that no run measured there is told as predicted.
    #[arg(long, value_enum, value_name = "NAME", default_value_t = ExecutionProvider::Cpu)]
    pub provider: ExecutionProvider,

    /// Write `<base>.<scheme>.tar.zst` into this folder [default: `artifacts/`]
    #[arg(long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,

    /// Sign `SHA256SUMS` with this secret key of minisign
    ///
    /// A password is taken from `MINISIGN_PASSWORD`, else asked for on the terminal.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// Pack an artifact of a restored base or of one of your own too, and mark it as unofficial
    #[arg(long)]
    pub allow_unofficial: bool,

    /// Take the artifact of this folder in place of `artifacts/`
    #[arg(long, value_name = "FOLDER")]
    pub artifacts: Option<PathBuf>,

    /// Hold the artifact against this lock in place of the committed one
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,

    /// Print path, digest and size as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Gate`](crate::failure::Failure::Gate) for what may not be released; those of [`Nominee::read`] and
/// [`Signer::read`]; the disk's.
pub fn run(args: &PackageArgs, workspace: &Workspace) -> Result<()> {
    let elsewhere = args.artifacts.as_ref().map(|folder| workspace.clone().with_artifacts(folder));
    let workspace = elsewhere.as_ref().unwrap_or(workspace);
    let console = workspace.console();
    let password = workspace.environment().minisign_password.as_ref();
    let signer = args.key.as_ref().map(|key| Signer::read(key, password)).transpose()?;

    let nominee = Nominee::read(workspace, args.lock.as_deref(), args.provider)?;
    console.say(&format!("packing `{}`", nominee.artifact.metadata.name));
    let folder = args.output.clone().unwrap_or_else(|| workspace.artifacts().folder().to_path_buf());
    let package = package(&nominee, workspace, signer.as_ref(), args.allow_unofficial, &folder)?;
    if let Some(why) = package.unofficial {
        console.say(&format!("unofficial: {}", why.trim_end_matches('.')));
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&package)?);
        return Ok(());
    }
    println!("{}", package.path.display());
    println!("sha256: {}", package.sha256);
    let mib = package.bytes as f64 / f64::from(1 << 20);
    let signature = if package.signed { "signed" } else { "not signed" };
    println!("{} files, {mib:.1} MiB, {signature}", package.files);
    Ok(())
}
