//! What `quantize` does with the lock: compares with it, refuses what it does not have, or writes it anew.
//!
//! Inputs are compared before anything is fetched, and the three files of each artifact before the
//! gates. What differs ends the run with 1, as a gate that says no does. An artifact on the disk
//! that the lock has otherwise is made again first, so what is refused is what the sources give.
//! What the lock does not have, such as a base or a plan of one's own, is told of, and refused with
//! 2 under `--locked`. For a model of one's own, inputs are told of only: nothing in the lock was
//! made of it.
//!
//! If an input has changed, `--update-lock` drops every artifact that is not made now, with a
//! notice, and refuses `--scheme`. A plan that was calibrated on the way and a library other than
//! the pinned one never go into a lock.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use kokoro_model::BaseKind;

use super::inputs::TOOL;
use super::{Difference, Lock, LockedArtifact, LockedBase};
use crate::artifacts::Artifact;
use crate::base::{Base, BaseArgs, BaseId};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::fetch::{Console, Fetcher};
use crate::host::Host;
use crate::make::is_version;
use crate::proof::{Part, Proof, Proved, ProvedBase, join};
use crate::recipe::{Recipe, platform_here};
use crate::results::Results;
use crate::scheme::SchemeName;
use crate::workspace::Workspace;

/// What is done with the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What differs ends the run; what the lock does not have is told of.
    Compare,
    /// What differs and what the lock does not have end the run.
    Locked,
    /// The lock is written anew.
    Update,
}

/// The lock, the present inputs, and what is done about them.
pub struct Guard {
    mode: Mode,
    path: PathBuf,
    proof_path: PathBuf,
    lock: Option<Lock>,
    /// The proof of `lock`, once the inputs were compared.
    proof: Option<Proof>,
    present: Lock,
    console: Console,
}

impl Guard {
    /// Reads the lock and the present inputs. Nothing is compared yet.
    ///
    /// # Errors
    /// Those of [`Lock::read`] and [`Lock::of`].
    pub fn new(workspace: &Workspace, recipe: &Recipe, mode: Mode) -> Result<Self> {
        let (path, proof_path) = (workspace.lock(), workspace.proof());
        let (lock, present) = (Lock::find(&path)?, Lock::of(workspace, recipe)?);
        Ok(Self { mode, path, proof_path, lock, proof: None, present, console: workspace.console() })
    }

    /// Compares the inputs, before anything is fetched or made: `schemes` of the base that `args` ask for, and the proof.
    /// With a model of the user's own, what differs is told of only: no lock speaks of what is made of it.
    ///
    /// # Errors
    /// [`Failure::Gate`] with every input that differs, or for a proof that is not the lock's. [`Failure::Usage`]: there is no lock that `--locked` asks for, or
    /// none of such an artifact; a library other than the pinned one; only some of the schemes of a new lock.
    pub fn inputs(
        &mut self,
        args: &BaseArgs,
        recipe: &Recipe,
        schemes: &[SchemeName],
        fetcher: &Fetcher,
    ) -> Result<()> {
        if self.mode != Mode::Compare {
            self.check_library(fetcher)?;
        }
        let shown = self.path.display();
        let Some(lock) = &self.lock else {
            if self.mode == Mode::Locked {
                return Err(anyhow!("there is no lock `{shown}`\n{WRITES}").context(Failure::Usage));
            }
            if self.mode == Mode::Compare && args.model.is_none() {
                self.console.say(&format!("notice: there is no lock `{shown}` to compare with\n{WRITES}"));
            }
            return Ok(());
        };
        let differences = lock.differences(&self.present);
        if args.model.is_some() {
            let also = if differences.is_empty() { String::new() } else { lines(&differences) };
            self.console.say(&format!(
                "notice: the lock has no models of your own: what is made of one is compared with nothing{also}"
            ));
            return Ok(());
        }
        if self.mode == Mode::Update {
            self.check_update(&differences, recipe, schemes)?;
            // One that does not fit is replaced as a whole.
            self.proof = Proof::read(&self.proof_path, lock).ok().flatten();
            return Ok(());
        }
        let (tool, others): (Vec<_>, Vec<_>) = differences.into_iter().partition(|it| it.what == TOOL);
        if !others.is_empty() || (self.mode == Mode::Locked && !tool.is_empty()) {
            return Err(self.refusal(&[tool, others].concat()));
        }
        if !tool.is_empty() {
            // Whoever changes the quantizer wants to know what the gates say of it.
            self.console.say(&format!(
                "notice: the quantizer is not that of the lock: what it makes is compared with nothing, and judged here \
                 where it differs{}",
                lines(&tool)
            ));
        }
        self.proof = Proof::read(&self.proof_path, lock)?;
        if self.mode == Mode::Locked {
            // Without a name, `--locked` takes the published base or none.
            let name = args.base.as_deref().unwrap_or(&recipe.name);
            return check_locked(lock, name, schemes);
        }
        Ok(())
    }

    /// A library that the user names would prepare something else than the pinned one.
    fn check_library(&self, fetcher: &Fetcher) -> Result<()> {
        let Some(path) = fetcher.given_library() else { return Ok(()) };
        let found = Digest::of_file(path).context(Failure::Usage)?;
        let platform = platform_here();
        let pinned = self.present.onnxruntime.library.get(&platform);
        if pinned == Some(&found) {
            return Ok(());
        }
        let pinned = pinned.map_or("none".to_owned(), ToString::to_string);
        Err(anyhow!(
            "`{}` is not the pinned ONNX Runtime of `{platform}`\nexpected {pinned}\nfound    {found}\nhint: leave out \
             `--onnxruntime` and `ORT_DYLIB_PATH`",
            path.display()
        )
        .context(Failure::Usage))
    }

    /// Artifacts of other inputs would make the lock a lie.
    fn check_update(
        &self,
        differences: &[Difference],
        recipe: &Recipe,
        schemes: &[SchemeName],
    ) -> Result<()> {
        if differences.is_empty() {
            return Ok(());
        }
        let mut missing: Vec<&str> = recipe.locked_schemes().collect();
        let can_be_judged = |name: &str| SchemeName::parse(name).is_some_and(SchemeName::can_be_judged_here);
        missing.retain(|name| can_be_judged(name) && !schemes.iter().any(|it| it.as_str() == *name));
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            return Err(anyhow!(
                "the inputs are others, so no artifact of the lock stays, and `{}` would be missing{}\nhint: leave out \
                 `--scheme`",
                missing.join("`, `"),
                lines(differences)
            )
            .context(Failure::Usage));
        }
        self.console.say(&format!("`{}` will be written anew{}", self.path.display(), lines(differences)));
        Ok(())
    }

    /// What the lock has of an artifact, where its digests are to be compared.
    fn locked(&self, base: &BaseId, scheme: SchemeName, artifact: &Artifact) -> Option<&LockedArtifact> {
        let is_comparable = self.mode != Mode::Update && base.kind != BaseKind::Local;
        let lock = self.lock.as_ref().filter(|lock| is_comparable && lock.tool == self.present.tool)?;
        let plan = artifact.metadata.plan_sha256.as_deref();
        let by_the_plan = plan.is_none_or(|plan| plan == lock.plan.to_string());
        lock.base.get(&base.name)?.artifact.get(scheme.as_str()).filter(|_| by_the_plan)
    }

    /// Which of an artifact's files are not as the lock has them. One that the lock does not have does not differ.
    ///
    /// # Errors
    /// The artifact's metadata cannot be read.
    pub fn differences(
        &self,
        base: &BaseId,
        scheme: SchemeName,
        artifact: &Artifact,
    ) -> Result<Vec<Difference>> {
        let Some(locked) = self.locked(base, scheme, artifact) else { return Ok(Vec::new()) };
        let found = LockedArtifact::of(artifact)?;
        let name = &artifact.metadata.name;
        let sized = |it: &LockedArtifact| format!("{}, {} bytes", it.sha256, it.bytes);
        let mut all = vec![(format!("`{name}`"), sized(locked), sized(&found))];
        if self.is_prepared_alike(artifact) {
            let digests = [("prepared", locked.prepared, found.prepared)];
            let digests = digests.into_iter().chain([("metadata", locked.metadata, found.metadata)]);
            all.extend(digests.map(|(what, locked, found)| {
                (format!("`{name}`, {what}"), locked.to_string(), found.to_string())
            }));
        }
        let all = all.into_iter().map(|(what, locked, found)| Difference { what, locked, found });
        Ok(all.filter(|it| it.locked != it.found).collect())
    }

    /// Whether the version of ONNX Runtime that prepared the artifact is the locked one. What another one makes of a model
    /// need not be the same, and says nothing of the model.
    fn is_prepared_alike(&self, artifact: &Artifact) -> bool {
        let version = &self.present.onnxruntime.version;
        artifact.metadata.prepared.as_ref().is_some_and(|it| is_version(&it.onnxruntime, version))
    }

    /// Compares what was made, before any gate spends minutes on it.
    ///
    /// # Errors
    /// [`Failure::Gate`] with every file that differs.
    pub fn compare(&self, base: &BaseId, made: &[(SchemeName, &Artifact)]) -> Result<()> {
        let mut differences = Vec::new();
        for &(scheme, artifact) in made {
            differences.extend(self.differences(base, scheme, artifact)?);
            if self.lock.is_some() && self.mode != Mode::Update && base.kind != BaseKind::Local {
                self.tell_what_is_not_compared(base, scheme, artifact);
            }
        }
        if differences.is_empty() { Ok(()) } else { Err(self.refusal(&differences)) }
    }

    fn tell_what_is_not_compared(&self, base: &BaseId, scheme: SchemeName, artifact: &Artifact) {
        let name = &artifact.metadata.name;
        if self.locked(base, scheme, artifact).is_none() {
            self.console.say(&format!(
                "notice: the lock does not have `{name}` by this plan and quantizer: it is compared with nothing"
            ));
        } else if !self.is_prepared_alike(artifact) {
            self.console.say(&format!(
                "notice: `{name}` is prepared by another ONNX Runtime than the locked one: only the model is compared"
            ));
        }
    }

    fn refusal(&self, differences: &[Difference]) -> anyhow::Error {
        anyhow!(
            "this is not what the lock has, `{}`{}\nhint: `cargo xtask quantize --update-lock` writes it anew, if that is \
             meant",
            self.path.display(),
            lines(differences)
        )
        .context(Failure::Gate)
    }

    /// What the committed proof says of an artifact, where it is the lock's to the bit, and prepared by the runtime
    /// that the proof was measured with; of one that quantizes at run time, where it was measured on a processor whose
    /// products saturate as those of this one do.
    ///
    /// # Errors
    /// The artifact's metadata cannot be read.
    pub fn proved(&self, base: &Base, scheme: SchemeName, artifact: &Artifact) -> Result<Option<&Proved>> {
        let Some(proof) = self.proof.as_ref().filter(|_| self.is_prepared_alike(artifact)) else {
            return Ok(None);
        };
        let sha256 = artifact.sha256()?;
        let proved = proof.find(&base.name, base.sha256, scheme.as_str());
        let holds_here = |proved: &&Proved| {
            !scheme.quantizes_at_run_time() || proved.measured_on.host.saturates() == Host::here().saturates()
        };
        Ok(proved.filter(|proved| proved.sha256 == sha256).filter(holds_here))
    }

    /// What of `schemes` is made where nobody names any, for `base` if it is named: with `--locked`, what the lock has.
    pub fn offered(&self, schemes: Vec<SchemeName>, base: &str) -> Vec<SchemeName> {
        let locked =
            self.lock.as_ref().filter(|_| self.mode == Mode::Locked).and_then(|it| it.base.get(base));
        let has =
            |scheme: &SchemeName| locked.is_none_or(|locked| locked.artifact.contains_key(scheme.as_str()));
        schemes.into_iter().filter(has).collect()
    }

    /// What the committed proof says of a base.
    pub fn proof(&self, base: &Base) -> Option<&ProvedBase> {
        self.proof.as_ref()?.base.get(&base.name).filter(|proved| proved.sha256 == base.sha256)
    }

    /// What a full run says of each artifact that it made, for a proof; none where a gate was not run or said no.
    pub fn parts(&self, results: &Results, made: &[(SchemeName, LockedArtifact)]) -> Vec<Part> {
        let part = |(scheme, locked): &(SchemeName, LockedArtifact)| {
            Part::of(results, scheme.as_str(), &self.present, locked.clone())
        };
        made.iter().filter_map(part).collect()
    }

    /// Writes the proof and the lock anew, in [`Mode::Update`] only: the present inputs, what both have of the same
    /// inputs already, and these `parts`. Call it when every gate has let every candidate pass.
    ///
    /// # Errors
    /// Those of [`join`], and the disk's.
    pub fn write(&self, parts: Vec<Part>) -> Result<()> {
        if self.mode != Mode::Update {
            return Ok(());
        }
        let mut updated = self.present.clone();
        let earlier = self.lock.as_ref().filter(|lock| lock.differences(&updated).is_empty());
        let mut proof = earlier.and(self.proof.clone()).unwrap_or_else(|| Proof::of(&updated));
        updated.base = earlier.map(|lock| lock.base.clone()).unwrap_or_default();
        let is_proved = |name: &str, base: &LockedBase| {
            let proved = |scheme: &String| proof.find(name, base.sha256, scheme).is_some();
            base.artifact.keys().all(proved)
        };
        // A base of other bytes, or one that nothing proves any more.
        let remade = |name: &str| parts.iter().find(|part| part.base.name == name).map(|it| it.base.sha256);
        updated.base.retain(|name, base| {
            remade(name).is_none_or(|sha256| sha256 == base.sha256) && is_proved(name, base)
        });
        join(parts, &mut proof, &mut updated)?;

        let earlier = self.lock.iter().flat_map(|lock| lock.base.keys());
        for name in earlier.filter(|name| !updated.base.contains_key(*name)) {
            self.console.say(&format!("notice: what the lock had of base `{name}` was of other inputs"));
        }
        proof.base.retain(|name, _| updated.base.contains_key(name));
        // The proof goes first: with the lock of before, it is refused by name.
        updated.proof = Some(proof.write(&self.proof_path)?);
        updated.write(&self.path)?;
        self.console.say(&format!("wrote `{}` and `{}`", self.proof_path.display(), self.path.display()));
        Ok(())
    }
}

/// That the lock has these artifacts of a base.
fn check_locked(lock: &Lock, base: &str, schemes: &[SchemeName]) -> Result<()> {
    let artifacts = lock.base.get(base).map(|base| &base.artifact);
    let has = |scheme: &SchemeName| artifacts.is_some_and(|all| all.contains_key(scheme.as_str()));
    let Some(missing) = schemes.iter().find(|scheme| !has(scheme)) else { return Ok(()) };
    let bases: Vec<&str> = lock.base.keys().map(String::as_str).collect();
    Err(anyhow!(
        "the lock has no {} of base `{base}`\nhint: it has artifacts of `{}`; `--base NAME` takes one of these",
        missing.as_str(),
        bases.join("`, `")
    )
    .context(Failure::Usage))
}

const WRITES: &str = "hint: `cargo xtask quantize --update-lock` writes one";

fn lines(differences: &[Difference]) -> String {
    let mut lines = vec![String::new()];
    lines.extend(differences.iter().map(ToString::to_string));
    lines.join("\n")
}
