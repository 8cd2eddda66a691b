//! Who builds a release, as far as that can be said truly.

use crate::environment::GitHubActions;

/// The id of a builder that nobody vouches for: whatever machine `package` ran on. It claims nothing.
const LOCAL: &str = "https://github.com/kokoro-model/kokoro-model/blob/main/docs/RELEASING.md#local-builder";

/// Who builds a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Builder {
    /// The id, a URI.
    pub(super) id: String,
    /// The commit that was checked out, with the repository as a URI, where the builder tells.
    pub(super) source: Option<(String, String)>,
}

impl Builder {
    /// The workflow of GitHub Actions that this is a step of, else [`LOCAL`].
    ///
    /// The number of the run is left out: the same workflow at the same commit makes the same archive. Whoever is to
    /// believe the id needs the attestation that GitHub signs; the file alone proves nothing.
    pub(super) fn here(github: Option<&GitHubActions>) -> Self {
        match github {
            Some(GitHubActions { server, repository, workflow, commit }) => Self {
                id: format!("{server}/{workflow}"),
                source: Some((format!("git+{server}/{repository}"), commit.clone())),
            },
            None => Self { id: LOCAL.to_owned(), source: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_is_named_by_its_reference_and_nothing_else_is_claimed() {
        assert_eq!(Builder::here(None), Builder { id: LOCAL.to_owned(), source: None });
        let github = GitHubActions {
            server: "https://github.com".into(),
            repository: "o/r".into(),
            workflow: "o/r/.github/workflows/release.yml@refs/tags/v1".into(),
            commit: "0123".into(),
        };
        let builder = Builder::here(Some(&github));
        assert_eq!(builder.id, "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v1");
        assert_eq!(builder.source, Some(("git+https://github.com/o/r".into(), "0123".into())));
    }
}
