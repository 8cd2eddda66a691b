//! `SHA256SUMS`: the digest of every other file, as `sha256sum --check` reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;

use super::{CHECKSUMS, SIGNATURE, standing};
use crate::digest::Digest;

/// The digests of a release by the path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checksums {
    /// By path, with `/` between folders.
    pub(crate) digests: BTreeMap<String, Digest>,
    /// Why the release is not an official one.
    pub(crate) unofficial: Option<String>,
}

impl Checksums {
    /// The file: a line for each path, in their order; for an unofficial release a comment first.
    pub(crate) fn text(&self) -> String {
        let mut text = self.unofficial.as_deref().map(standing::comment).unwrap_or_default();
        for (path, digest) in &self.digests {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{digest}  {path}");
        }
        text
    }

    /// Reads the file. There is one spelling only: what is read would be written the same.
    ///
    /// # Errors
    /// The line that is not as [`Self::text`] writes it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).context("expected text in UTF-8")?;
        ensure!(text.ends_with('\n'), "expected a line feed at the end");
        let (mut digests, mut unofficial) = (BTreeMap::new(), None);
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if index == 0
                && let Some(why) = line.strip_prefix("# UNOFFICIAL: ")
            {
                unofficial = Some(why.to_owned());
                continue;
            }
            let Some((digest, path)) = line.split_once("  ") else {
                bail!("line {number}: expected `<sha256>  <path>`, found `{line}`");
            };
            let digest: Digest = digest.parse().with_context(|| format!("line {number}"))?;
            ensure!(
                digests.insert(path.to_owned(), digest).is_none(),
                "line {number}: `{path}` stands twice"
            );
        }
        let checksums = Self { digests, unofficial };
        ensure!(checksums.text() == text, "expected its lines in the order of the paths, and nothing else");
        Ok(checksums)
    }

    /// Holds the files of a release against the digests: for each path that either of them has, what is asked, and the
    /// answer.
    pub(crate) fn compare<'a>(
        &'a self,
        files: &'a BTreeMap<String, Bytes>,
    ) -> impl Iterator<Item = (&'a str, &'static str, Result<()>)> {
        let listed = self.digests.iter().map(|(path, expected)| {
            let Some(bytes) = files.get(path) else {
                let missing = anyhow!("`{CHECKSUMS}` lists it, and it is missing");
                return (&**path, "is there", Err(missing));
            };
            let found = Digest::of(bytes);
            let differs = || anyhow!("expected {expected}, found {found}");
            (&**path, "sha256 in `SHA256SUMS`", if found == *expected { Ok(()) } else { Err(differs()) })
        });
        let is_unlisted = |path: &&String| {
            ![CHECKSUMS, SIGNATURE].contains(&path.as_str()) && !self.digests.contains_key(*path)
        };
        let unlisted = files.keys().filter(is_unlisted);
        listed.chain(
            unlisted.map(|path| (&**path, "is listed", Err(anyhow!("`{CHECKSUMS}` does not list it")))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksums(unofficial: Option<&str>) -> Checksums {
        let digests = ["b", "a/c", "a"].map(|path| (path.to_owned(), Digest::of(path.as_bytes())));
        Checksums { digests: digests.into(), unofficial: unofficial.map(str::to_owned) }
    }

    #[test]
    fn what_is_written_is_read() {
        for it in [checksums(None), checksums(Some("It is a test."))] {
            assert_eq!(Checksums::parse(it.text().as_bytes()).unwrap(), it);
        }
        let text = checksums(Some("It is a test.")).text();
        assert!(text.starts_with("# UNOFFICIAL: It is a test.\nca978112"), "{text}");
        assert!(text.contains("bb  a\n"), "{text}");
    }

    #[test]
    fn every_other_spelling_is_refused_and_its_line_named() {
        let text = checksums(None).text();
        let lines: Vec<&str> = text.lines().collect();
        for (what, changed, message) in [
            ("upper case", text.replacen("ca97", "CA97", 1), "line 1"),
            ("one space", text.replacen("  a/c", " a/c", 1), "line 2"),
            ("binary mark", text.replacen("  a/c", " *a/c", 1), "line 2"),
            ("twice", format!("{text}{}\n", lines[2]), "line 4: `b` stands twice"),
            ("order", format!("{}\n{}\n{}\n", lines[1], lines[0], lines[2]), "order"),
            ("carriage return", text.replace('\n', "\r\n"), "order"),
            ("no end", text.trim_end().to_owned(), "line feed"),
            ("another comment", format!("# official\n{text}"), "line 1"),
            ("a comment below", format!("{text}# UNOFFICIAL: no\n"), "line 4"),
        ] {
            let error = format!("{:#}", Checksums::parse(changed.as_bytes()).unwrap_err());
            assert!(error.contains(message), "{what}: {error}");
        }
    }
}
