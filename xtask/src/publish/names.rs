//! What a release is called: its tag, its repository, and its name in a registry. Each goes to a program as an argument
//! of its own, so a name that could be taken for an option or for several names is refused here.

use std::fmt;
use std::str::FromStr;

/// A name that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found `{found}`")]
pub struct NotAName {
    expected: &'static str,
    found: String,
}

/// The tag of a release, such as `v0.1.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

/// A repository, `OWNER/NAME` or `HOST/OWNER/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository(String);

/// One name in a registry with one tag, `HOST/PATH:TAG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(String);

impl Repository {
    /// The host, where it is not the usual one.
    pub(super) fn host(&self) -> &str {
        let parts: Vec<_> = self.0.split('/').collect();
        if let [host, _, _] = parts[..] { host } else { "github.com" }
    }

    /// Where a person finds it.
    pub(super) fn address(&self) -> String {
        let path = self.0.strip_prefix(self.host()).map_or(&*self.0, |path| path.trim_start_matches('/'));
        format!("https://{}/{path}", self.host())
    }
}

impl FromStr for Tag {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let good =
            is_plain(text, "._+-/") && !text.contains("..") && !text.contains("//") && !text.ends_with('/');
        let expected = "a tag of letters, digits and `.`, `_`, `+`, `-`, `/`, the first a letter or a digit";
        if good { Ok(Self(text.to_owned())) } else { Err(NotAName { expected, found: text.to_owned() }) }
    }
}

impl FromStr for Repository {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let parts = text.split('/').count();
        let good = (2..=3).contains(&parts) && text.split('/').all(|part| is_plain(part, "._-"));
        let expected = "a repository `OWNER/NAME`";
        if good { Ok(Self(text.to_owned())) } else { Err(NotAName { expected, found: text.to_owned() }) }
    }
}

impl FromStr for Reference {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        // A comma would stand between several tags, and a digest cannot be pushed to.
        let good = is_plain(text, "._-/:")
            && text.rsplit_once('/').is_some_and(|(_, last)| {
                last.split_once(':').is_some_and(|(name, tag)| is_plain(name, "._-") && is_plain(tag, "._-"))
            });
        let expected = "a name with one tag, `HOST/PATH:TAG`";
        if good { Ok(Self(text.to_owned())) } else { Err(NotAName { expected, found: text.to_owned() }) }
    }
}

/// Whether `text` is of ASCII letters, digits and `others`, and begins with a letter or a digit.
pub(super) fn is_plain(text: &str, others: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(|it| it.is_ascii_alphanumeric() || others.contains(it))
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_and_nothing_that_could_be_more() {
        for tag in ["v0.1.0", "0.1.0", "model/v1.0", "v1.0.0-rc.1+build"] {
            assert!(tag.parse::<Tag>().is_ok(), "{tag}");
        }
        for tag in
            ["", "-v1", "--draft=false", "v 1", "v1;ls", "v1\n", "a..b", "a//b", "a/", ".v1", "v1#label", "é"]
        {
            assert!(tag.parse::<Tag>().is_err(), "{tag}");
        }
        for repository in ["owner/name", "ghe.example.com/owner/name", "a/b.c_d-e"] {
            assert!(repository.parse::<Repository>().is_ok(), "{repository}");
        }
        for repository in ["", "name", "a/b/c/d", "a/", "/b", "-a/b", "a/--b", "a/b c", "https://host/a/b"] {
            assert!(repository.parse::<Repository>().is_err(), "{repository}");
        }
        for reference in ["ghcr.io/a/b:v1", "localhost:5000/b:v1"] {
            assert!(reference.parse::<Reference>().is_ok(), "{reference}");
        }
        for reference in
            ["", "b:v1", "ghcr.io/a/b", "ghcr.io/a/b:v1,v2", "ghcr.io/a/b@sha256:00", "-x/b:v1", "host:1/b"]
        {
            assert!(reference.parse::<Reference>().is_err(), "{reference}");
        }
    }

    #[test]
    fn a_repository_has_a_host_and_an_address() {
        let usual: Repository = "owner/name".parse().unwrap();
        assert_eq!((usual.host(), &*usual.address()), ("github.com", "https://github.com/owner/name"));
        let own: Repository = "ghe.example.com/owner/name".parse().unwrap();
        assert_eq!((own.host(), &*own.address()), ("ghe.example.com", "https://ghe.example.com/owner/name"));
    }
}
