//! Where hosts may redirect to, `models/redirects.toml`.
//!
//! With `--locked`, a redirect is followed to the same host or to one of these, and `--mirror` is
//! refused. Which index pip and npm ask, and which proxy is used, are settings of the machine. What
//! comes is known by its digest either way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::load;

/// The hosts that a download may be sent on to, by the host that was asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirects {
    redirect: BTreeMap<String, BTreeSet<String>>,
}

impl Redirects {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`crate::failure::Failure::Usage`], naming the file and what is no host's name.
    pub fn load(path: &Path) -> Result<Self> {
        Ok(load::<Self>(path, Self::check)?.0)
    }

    /// Whether a download that began at `asked` may go on at `next`.
    pub fn allow(&self, asked: &str, next: &str) -> bool {
        asked == next || self.redirect.get(asked).is_some_and(|hosts| hosts.contains(next))
    }

    /// An address or a name in capitals would be equal to no host, and so allow nothing in silence.
    fn check(&self) -> Result<()> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
        for host in self.redirect.iter().flat_map(|(asked, hosts)| hosts.iter().chain([asked])) {
            ensure!(
                !host.is_empty() && host.chars().all(plain),
                "`redirect`: expected the name of a host in lower case, found `{host}`"
            );
        }
        Ok(())
    }
}
