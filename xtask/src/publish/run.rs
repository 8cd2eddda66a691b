//! One run, from whatever there is to what was ordered.

use std::io::Write as _;

use anyhow::{Context as _, Result, anyhow};

use super::files::{Files, same_bytes};
use super::github::{Expected, Found, Github, Release};
use super::oci::Registry;
use super::{Means, Order, Published, State, notes};
use crate::failure::Failure;
use crate::files::write_atomically;

pub(super) struct Run<'a> {
    pub(super) order: &'a Order,
    pub(super) means: &'a Means<'a>,
    pub(super) github: Github<'a>,
    pub(super) files: Files,
}

impl Run<'_> {
    /// From the archive to the public release; `asked` is set once something may have been written.
    pub(super) fn story(&self, asked: &mut bool) -> Result<Published> {
        let Order { archive, tag, repository, .. } = self.order;
        self.github.is_logged_in()?;
        let registry =
            self.order.oci.as_ref().map(|reference| Registry { tools: self.github.tools, reference });
        registry.map_or(Ok(()), |registry| registry.is_there())?;
        self.say(&format!("verifying `{}`", archive.name));
        (self.means.verify)(&archive.path)?;

        *asked = true;
        let (release, mut was_done) = match self.github.look()? {
            Some(release) if !release.is_draft => (self.same_as_public(release)?, true),
            Some(draft) => (self.complete(draft)?, false),
            None => (self.complete(self.create()?)?, false),
        };
        if let Some(registry) = registry {
            self.say(&format!("`{}`: pushing, pulling, comparing", registry.reference));
            fs_err::create_dir_all(&self.files.pulled)?;
            was_done &= !registry.publish(archive, tag, repository, &self.files.pulled)?;
        }
        Ok(Published {
            tag: tag.to_string(),
            repository: repository.to_string(),
            archive: archive.name.clone(),
            sha256: archive.sha256,
            state: if release.is_draft { State::Draft } else { State::Public },
            was_done,
            url: release.url,
            oci: self.order.oci.as_ref().map(ToString::to_string),
        })
    }

    fn create(&self) -> Result<Release> {
        let Order { archive, tag, repository, .. } = self.order;
        self.say(&format!("making a draft of `{tag}` in `{repository}`"));
        let notes = notes::notes(archive, tag, repository);
        write_atomically(&self.files.notes, |file| file.write_all(notes.as_bytes()))?;
        self.github.create(&notes::title(archive, tag), &self.files.notes, archive.is_unofficial())
    }

    /// From a draft, whatever it holds, to what was ordered.
    fn complete(&self, draft: Release) -> Result<Release> {
        self.only_ours(&draft)?;
        let checksum = self.order.archive.checksum();
        write_atomically(&self.files.checksum, |file| file.write_all(checksum.as_bytes()))?;
        for (expected, path) in self.files.expected.iter().zip(self.files.paths()) {
            let replace = match draft.find(expected) {
                Found::Same => continue,
                Found::Nothing => false,
                Found::Unfinished => true,
                Found::Other(_) if self.order.replace => true,
                Found::Other(problem) => {
                    return Err(other(expected, &problem, "draft", Some("`--clobber` replaces it")));
                }
            };
            self.say(&format!("uploading `{}`, {} bytes", expected.name, expected.bytes));
            self.github.upload(path, replace)?;
        }
        self.all_there(&self.seen()?)?;
        self.say("downloading it again, comparing, verifying");
        self.compare(Some("`--clobber` replaces it"))?;
        if self.order.keep_draft {
            return Ok(draft);
        }
        // Somebody may have added to the draft, or made it public, in the meantime.
        let now = self.seen()?;
        self.only_ours(&now)?;
        self.all_there(&now)?;
        if now.is_draft {
            self.say(&format!("making `{}` public", self.order.tag));
            let made = self.github.make_public();
            // What `gh` took for a failure may have been done: what counts is how the release stands.
            match (self.seen(), made) {
                (Ok(release), _) if !release.is_draft => return self.all_there(&release).map(|()| release),
                (_, Err(error)) | (Err(error), Ok(())) => return Err(error),
                (Ok(_), Ok(())) => {
                    return Err(anyhow!("`gh` said that it made the release public, and it is a draft"));
                }
            }
        }
        Ok(now)
    }

    /// A public release is taken as it is, or refused.
    fn same_as_public(&self, release: Release) -> Result<Release> {
        for expected in &self.files.expected {
            match release.find(expected) {
                Found::Same => {}
                Found::Other(problem) => return Err(other(expected, &problem, "public release", None)),
                Found::Nothing | Found::Unfinished => {
                    return Err(other(expected, "not there", "public release", None));
                }
            }
        }
        if !self.files.expected.iter().all(|expected| release.states(expected)) {
            self.compare(None)?;
        }
        self.say(&format!("`{}` is public already, with the same files", self.order.tag));
        Ok(release)
    }

    /// Downloads what is in the release, and compares and verifies it.
    fn compare(&self, remedy: Option<&str>) -> Result<()> {
        let folder = &self.files.downloaded;
        fs_err::create_dir_all(folder)?;
        for expected in &self.files.expected {
            self.github.download(&expected.name, folder)?;
            same_bytes(&folder.join(&expected.name), expected.sha256, expected.bytes)
                .map_err(|problem| other(expected, &problem.to_string(), "release", remedy))?;
        }
        (self.means.verify)(&folder.join(&self.order.archive.name)).context("what came back from the release")
    }

    /// Refuses a draft with files that nobody here has verified.
    fn only_ours(&self, draft: &Release) -> Result<()> {
        let Order { tag, repository, .. } = self.order;
        let Some(name) = draft.others(&self.files.expected).first().copied() else { return Ok(()) };
        Err(anyhow!(
            "the draft holds `{name}`, which is not of this release\nhint: look at it, then \
             `gh release delete-asset {tag} {name} --repo {repository}`"
        )
        .context(Failure::Fetch))
    }

    fn all_there(&self, release: &Release) -> Result<()> {
        for expected in &self.files.expected {
            let problem = match release.find(expected) {
                Found::Same => continue,
                Found::Nothing => "not there after it was uploaded".to_owned(),
                Found::Unfinished => "its upload is not finished".to_owned(),
                Found::Other(problem) => problem,
            };
            return Err(other(expected, &problem, "release", Some("`--clobber` replaces it in a draft")));
        }
        Ok(())
    }

    /// The release, which is there.
    fn seen(&self) -> Result<Release> {
        self.github.look()?.with_context(|| format!("the release `{}` is gone", self.order.tag))
    }

    /// How things stand after a failure.
    pub(super) fn state(&self, asked: bool) -> State {
        match asked.then(|| self.github.look()) {
            None => State::Untouched,
            Some(Ok(None)) => State::Absent,
            Some(Ok(Some(release))) if release.is_draft => State::Draft,
            Some(Ok(Some(_))) => State::Public,
            Some(Err(_)) => State::Unknown(self.github.look_call().to_string()),
        }
    }

    fn say(&self, line: &str) {
        self.means.console.say(line);
    }
}

/// A file of the release that is not what it should be.
fn other(expected: &Expected, problem: &str, place: &str, remedy: Option<&str>) -> anyhow::Error {
    let hint = remedy.map_or(String::new(), |remedy| format!("\nhint: {remedy}"));
    anyhow!("`{}` in the {place}: {problem}{hint}", expected.name).context(Failure::Fetch)
}
