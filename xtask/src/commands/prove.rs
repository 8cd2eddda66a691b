//! `cargo xtask prove`: one proof of what several machines measured.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;

use crate::failure::Failure;
use crate::gates::{figure, table};
use crate::lock::{Guard, Lock, Mode};
use crate::proof::{Part, Proof, join};
use crate::scheme::SchemeName;
use crate::workspace::Workspace;

/// Joins what `quantize --full` proved of each artifact, on one machine or on several, into one proof
///
/// A matrix of machines runs `cargo xtask quantize --full --scheme SCHEME`, each with one scheme, and each leaves a part in
/// `artifacts/proof/`. Joined, the parts have to be of the present recipe, sentences and quantizer, and of one base, and
/// to prove every artifact that the lock has of it, by digest. With `--update-lock` the lock and its proof are written of
/// the parts instead.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// The parts: files, or folders of them
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub join: Vec<PathBuf>,

    /// Write the lock and its proof anew, of these parts
    #[arg(long)]
    pub update_lock: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Gate`] for parts of other inputs, of two bases or of another artifact than the lock has, and for an
/// artifact of the lock that no part proves; [`Failure::Usage`] for what is no part, or where there is no lock.
pub fn run(args: &ProveArgs, workspace: &Workspace) -> Result<()> {
    let parts = read(&args.join)?;
    let recipe = workspace.recipe()?;
    let mut joined = Lock::of(workspace, &recipe)?;
    let mut proof = Proof::of(&joined);
    join(parts.clone(), &mut proof, &mut joined)?;
    if args.update_lock {
        let guard = Guard::new(workspace, &recipe, Mode::Update)?;
        let schemes: BTreeSet<&str> = recipe.locked_schemes().collect();
        for scheme in schemes.into_iter().filter(|scheme| !is_joined(&joined, scheme)) {
            // A machine that cannot judge it has nothing to say against it either.
            if SchemeName::parse(scheme).is_some_and(SchemeName::can_be_judged_here) {
                return Err(
                    anyhow!("no part proves `{scheme}`, which a lock is to have").context(Failure::Gate)
                );
            }
            workspace
                .console()
                .say(&format!("notice: no part proves `{scheme}`, which this machine cannot judge"));
        }
        guard.write(parts)?;
    } else {
        compare(&joined, &Lock::read(&workspace.lock())?)?;
    }
    println!("{}", shown(&proof));
    Ok(())
}

/// The parts in `paths`, sorted by name within a folder.
fn read(paths: &[PathBuf]) -> Result<Vec<Part>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = files_in(path).context(Failure::Usage)?;
            if found.is_empty() {
                return Err(anyhow!("`{}` has no `.json` file", path.display()).context(Failure::Usage));
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    files.iter().map(|path| Part::read(path)).collect()
}

/// The `.json` files of a folder and of the folders in it, as an upload of several artifacts leaves them.
fn files_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_in(&path)?);
        } else if path.extension().is_some_and(|it| it == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_joined(joined: &Lock, scheme: &str) -> bool {
    !joined.base.is_empty() && joined.base.values().all(|base| base.artifact.contains_key(scheme))
}

/// That the parts prove exactly what `lock` has of their bases.
fn compare(joined: &Lock, lock: &Lock) -> Result<()> {
    let refused = |what: String| anyhow!("this is not what the lock has: {what}").context(Failure::Gate);
    let differences = lock.differences(joined);
    if let Some(first) = differences.first() {
        return Err(refused(first.to_string()));
    }
    for (name, base) in &joined.base {
        let locked = lock.base.get(name).filter(|locked| locked.sha256 == base.sha256);
        let locked = locked.ok_or_else(|| refused(format!("base `{name}`, sha256 {}", base.sha256)))?;
        for (scheme, expected) in &locked.artifact {
            let found = base.artifact.get(scheme);
            let found = found.ok_or_else(|| refused(format!("no part proves `{scheme}` of `{name}`")))?;
            if found != expected {
                let digests = format!("expected sha256 {}, found {}", expected.sha256, found.sha256);
                return Err(refused(format!("`{scheme}` of `{name}`: {digests}")));
            }
        }
        if let Some(more) = base.artifact.keys().find(|scheme| !locked.artifact.contains_key(*scheme)) {
            return Err(refused(format!("it has no `{more}` of `{name}`")));
        }
    }
    Ok(())
}

/// A row for each artifact: what was measured, and where.
fn shown(proof: &Proof) -> comfy_table::Table {
    let mut table =
        table(&["base", "scheme", "LSD dB, mean", "worst", "speed", "ONNX Runtime", "measured on"]);
    for (base, proved) in &proof.base {
        for (scheme, it) in &proved.artifact {
            let lsd = it.fidelity.metrics.get("lsd_db").map(|beside| &beside.found);
            let number = |value: Option<f64>| figure(value.map_or(String::new(), |it| format!("{it:.3}")));
            table.add_row(vec![
                base.into(),
                scheme.into(),
                number(lsd.map(|it| it.mean)),
                number(lsd.map(|it| it.worst)),
                figure(format!("{:.3} ×", it.speed_ratio.median)),
                it.measured_on.onnxruntime.as_str().into(),
                it.measured_on.host.cpu.as_str().into(),
            ]);
        }
    }
    table
}
