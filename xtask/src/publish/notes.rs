//! The title and the notes of a release: what is in it, and how anybody checks it.

use kokoro_model::BaseKind;

use super::archive::{Archive, Gates};
use super::names::{Repository, Tag};
use crate::gates::Report;

/// The title of the release.
pub(super) fn title(archive: &Archive, tag: &Tag) -> String {
    let unofficial = if archive.is_unofficial() { " (unofficial)" } else { "" };
    format!("{tag}: {}, {}{unofficial}", archive.metadata.base.name, archive.metadata.scheme)
}

/// The notes of the release, in Markdown.
pub(super) fn notes(archive: &Archive, tag: &Tag, repository: &Repository) -> String {
    let Archive { name, bytes, sha256, metadata, .. } = archive;
    let mut text = String::new();
    let mut line = |line: &str| text.extend([line, "\n"]);
    if archive.is_unofficial() {
        line("> [!WARNING]");
        line(&format!(
            "> Unofficial: the base is {}. For trial, not for a product.\n",
            kind(metadata.base.kind)
        ));
    }
    line(&format!(
        "`{}`, a speech model in INT8 by the scheme `{}`, made from `{}` ({}) by quantizer {}.\n",
        metadata.name,
        metadata.scheme,
        metadata.base.name,
        kind(metadata.base.kind),
        metadata.tool_version
    ));
    line("| what | bytes | SHA-256 |");
    line("|---|---|---|");
    line(&format!("| `{name}` | {bytes} | `{sha256}` |"));
    line(&format!("| the model inside | {} | `{}` |", metadata.bytes, metadata.sha256));
    line(&format!("| the base it was made from | {} | `{}` |", metadata.base.bytes, metadata.base.sha256));
    line(&format!("\n{}.", gates(&archive.gates)));
    line(
        "The report, a few WAV files, the licences, the bill of materials and the provenance are in the archive.\n",
    );
    line("## Check it\n");
    line("```sh");
    line(&format!("sha256sum --check {name}.sha256                  # the download is whole"));
    line(&format!(
        "gh attestation verify {name} --repo {repository}   # the release workflow of this repository built it"
    ));
    line(&format!(
        "cargo xtask verify {name}                        # in a checkout of `{tag}`: every file inside"
    ));
    line(
        "cargo xtask verify                               # in a checkout: makes the model again from its sources",
    );
    line("```\n");
    line("An attestation is there only if the release workflow built the archive.");
    if archive.is_signed {
        line(
            "`SHA256SUMS` inside is signed: `minisign -Vm SHA256SUMS -P KEY`, with the public key of docs/RELEASING.md.",
        );
    }
    line(&format!("\nLicence of the model: {}. {}.", metadata.licence, metadata.attribution));
    text
}

/// How many checks of each gate the model passed.
fn gates(Gates { provider, smoke, fidelity, bench_passed }: &Gates) -> String {
    let checks = |name: &str, report: &Report| {
        let passed = report.checks.iter().filter(|check| check.pass).count();
        format!("{name} {passed} of {}", report.checks.len())
    };
    let reports = [checks("provider", provider), checks("smoke", smoke), checks("fidelity", fidelity)];
    let bench = if *bench_passed { "passed" } else { "not passed" };
    format!("Checks of the gates that it passed: {}; bench {bench}", reports.join(", "))
}

fn kind(kind: BaseKind) -> &'static str {
    match kind {
        BaseKind::Official => "the published float model",
        BaseKind::Restored => "a float model restored from the published INT8 one",
        BaseKind::Local => "a local file that nobody pinned",
    }
}
