//! Whether a release may be taken for an official one, and what says so in it.
//!
//! An unofficial release says so in the archive's name, its folder, `UNOFFICIAL.txt`, `SHA256SUMS`,
//! bill of materials, provenance, gates and report. All follow this one rule, and `verify` applies
//! it again to the kind of base in the metadata: a mark less, or one more, is refused.

use kokoro_model::BaseKind;

use crate::artifacts::Artifact;

/// Why a release of a base of this kind is not an official one; `None` if it is.
pub(super) fn unofficial(kind: BaseKind) -> Option<&'static str> {
    match kind {
        BaseKind::Official => None,
        BaseKind::Restored => {
            Some("The base was rebuilt from the published INT8 model; it is not the published float model.")
        }
        BaseKind::Local => Some("The base is a file of whoever packaged this; nobody else pins it."),
    }
}

/// What the folder in the archive is called, and the archive itself before its extension.
pub(super) fn name(base: &str, scheme: &str, kind: BaseKind) -> String {
    let mark = if unofficial(kind).is_some() { ".unofficial" } else { "" };
    format!("{base}.{scheme}{mark}")
}

impl Artifact {
    /// Why a release of it is not an official one; `None` if it is.
    pub fn unofficial(&self) -> Option<&'static str> {
        unofficial(self.metadata.base.kind)
    }
}

/// The text of [`super::UNOFFICIAL`].
pub(super) fn note(why: &str) -> String {
    format!(
        "UNOFFICIAL\n\n{why}\n\nThis archive was made with `--allow-unofficial`. It is whole and can be verified, but it is \
         not a release of\nthe kokoro-model project, and must not be passed on as one.\n"
    )
}

/// The comment at the top of [`super::CHECKSUMS`].
pub(super) fn comment(why: &str) -> String {
    format!("# UNOFFICIAL: {why}\n")
}
