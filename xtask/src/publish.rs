//! Puts an archive before the public, in this order: verify it here, make a draft, upload, download again, compare and
//! verify what came back, and only then make the draft public.
//!
//! Invariants: until the last step there is a draft or nothing, which the public does not see. A public release is never
//! changed. Every step looks first, so a run that was ended is continued by running the command again.

mod archive;
mod files;
mod github;
mod names;
mod notes;
mod oci;
mod run;
mod stopped;
mod tools;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

pub use self::archive::{Archive, EXTENSION, Gates};
use self::files::Files;
use self::github::Github;
pub use self::names::{NotAName, Reference, Repository, Tag};
pub use self::oci::ARTIFACT_TYPE;
use self::oci::Registry;
use self::run::Run;
pub use self::stopped::{State, Stopped};
pub use self::tools::Patience;
use self::tools::{Call, Tools};
use crate::digest::Digest;
use crate::fetch::Console;
use crate::files::{Scratch, lock};

/// What is to be published, and under which names.
#[derive(Debug, Clone)]
pub struct Order {
    /// The archive.
    pub archive: Archive,
    /// The tag, which has to be in the repository already.
    pub tag: Tag,
    /// The repository.
    pub repository: Repository,
    /// Leave a draft, for a person to look at and to make public.
    pub keep_draft: bool,
    /// Replace files of the draft that differ.
    pub replace: bool,
    /// Where else the archive goes once the release is public.
    pub oci: Option<Reference>,
    /// The command that goes on with this order, as the user is told it.
    pub again: String,
}

/// By what means.
pub struct Means<'a> {
    /// The folder for work in progress: `publish.tmp` and `publish.lock` in it.
    pub folder: PathBuf,
    /// In place of `PATH` when `gh` and `oras` are looked for.
    pub search_path: Option<OsString>,
    /// How long is waited.
    pub patience: Patience,
    /// Whom to tell.
    pub console: Console,
    /// Says no to an archive that is not what it should be.
    pub verify: &'a dyn Fn(&Path) -> Result<()>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The tag.
    pub tag: String,
    /// The repository.
    pub repository: String,
    /// The archive's file name.
    pub archive: String,
    /// Its digest.
    pub sha256: Digest,
    /// Where the release stands now.
    pub state: State,
    /// Whether this run changed nothing, for there was nothing left to do.
    pub was_done: bool,
    /// Where the release is looked at.
    pub url: String,
    /// Where else the archive is.
    pub oci: Option<String>,
}

/// Publishes what `order` says.
///
/// # Errors
/// A [`Stopped`], which says how far it came and how to go on, over [`Failure::Usage`] where a program is missing or not
/// logged in, and over [`Failure::Fetch`] where the archive, or what is in the release, is not what it should be.
///
/// [`Failure::Usage`]: crate::failure::Failure::Usage
/// [`Failure::Fetch`]: crate::failure::Failure::Fetch
pub fn publish(order: &Order, means: &Means<'_>) -> Result<Published> {
    let waiting = || means.console.say("waiting for another run that publishes");
    let _lock = lock(&means.folder.join("publish.lock"), waiting)?;
    let scratch = Scratch::new(scratch_folder(&means.folder))?;
    let tools = Tools {
        search_path: means.search_path.clone(),
        patience: means.patience,
        folder: scratch.folder().to_owned(),
    };
    let github = Github { tools: &tools, repository: &order.repository, tag: &order.tag };
    let run = Run { order, means, github, files: Files::of(order, scratch.folder()) };
    let mut asked = false;
    run.story(&mut asked).map_err(|error| Stopped::at(&run.state(asked), &order.again, &error))
}

/// The commands that [`publish`] runs where there is no release of the tag yet, as a POSIX shell takes them. Nothing is run.
pub fn commands(order: &Order, folder: &Path) -> Vec<String> {
    let folder = scratch_folder(folder);
    let nowhere = Tools { search_path: None, patience: Patience::default(), folder: folder.clone() };
    let github = Github { tools: &nowhere, repository: &order.repository, tag: &order.tag };
    let files = Files::of(order, &folder);
    let mut calls = vec![github.is_logged_in_call()];
    let registry = order.oci.as_ref().map(|reference| Registry { tools: &nowhere, reference });
    calls.extend(registry.map(|_| Registry::version_call()));
    let title = notes::title(&order.archive, &order.tag);
    let create = github.create_call(&title, &files.notes, order.archive.is_unofficial());
    calls.extend([github.look_call(), create, github.look_call()]);
    calls.extend(files.paths().map(|path| github.upload_call(path, false)));
    calls.push(github.look_call());
    calls.extend(files.expected.iter().map(|file| github.download_call(&file.name, &files.downloaded)));
    if !order.keep_draft {
        calls.extend([github.look_call(), github.make_public_call(), github.look_call()]);
    }
    if let Some(registry) = registry {
        let push = registry.push_call(&order.archive, &order.tag, &order.repository);
        calls.extend([registry.look_call(), push, registry.pull_call(&files.pulled)]);
    }
    calls.iter().map(Call::to_string).collect()
}

/// A fixed name, so that what a killed run left is cleared by the next one.
fn scratch_folder(folder: &Path) -> PathBuf {
    folder.join("publish.tmp")
}
