//! The documents of a release are of its model, and marked as unofficial where it is.
//!
//! Of documents the digests and what they name are compared, not the text. A comparison with what
//! the present code would write would refuse an older release for a sentence that was changed
//! since.

use std::collections::BTreeMap;

use anyhow::{anyhow, ensure};
use kokoro_model::Metadata;

use super::findings::Findings;
use crate::artifacts::PREPARED;
use crate::gates::{Bound, Gate, Report};
use crate::release::bom::{self, Files};
use crate::release::checksums::Checksums;
use crate::release::cyclonedx::{Bom, Component, Hash};
use crate::release::intoto::{PREDICATE, STATEMENT, Statement};
use crate::release::judgement::{self, Judgement};
use crate::release::unpacked::Unpacked;
use crate::release::{BOM, CHECKSUMS, GATES, PROVENANCE, REPORT, SCHEMA, UNOFFICIAL, provenance};

/// What the documents have to be about.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) unpacked: &'a Unpacked,
    pub(super) metadata: &'a Metadata,
    pub(super) files: Files,
    /// Nodes of the model per operator.
    pub(super) operators: &'a BTreeMap<String, usize>,
    pub(super) unofficial: Option<&'a str>,
}

/// That gates, bill of materials and provenance are of this model.
pub(super) fn check(about: About<'_>, findings: &mut Findings) {
    let file = |name: &str| about.unpacked.files.get(name);
    if let Some(judgement) = findings.read::<Judgement>(GATES, file(GATES)) {
        gates(about, &judgement, findings);
    }
    if let Some(bom) = findings.read::<Bom>(BOM, file(BOM)) {
        bill(about, &bom, findings);
    }
    if let Some(statement) = findings.read::<Statement>(PROVENANCE, file(PROVENANCE)) {
        stated(about, &statement, findings);
    }
    findings.read::<serde_json::Value>(SCHEMA, file(SCHEMA));
}

/// That the marks of an unofficial release are there, or that there are none.
pub(super) fn marks(
    unpacked: &Unpacked,
    checksums: &Checksums,
    unofficial: Option<&str>,
    findings: &mut Findings,
) {
    mark(CHECKSUMS, unofficial, checksums.unofficial.as_deref(), findings);
    let note = unpacked.files.get(UNOFFICIAL).map(|bytes| String::from_utf8_lossy(bytes));
    let said = note.as_ref().and_then(|note| note.strip_prefix("UNOFFICIAL\n\n")?.lines().next());
    findings.holds(
        UNOFFICIAL,
        "is there if the release is unofficial",
        note.is_some() == unofficial.is_some() && said == unofficial,
        &format!("expected {}, found {}", shown(unofficial), shown(said)),
    );
    let page = unpacked.files.get(REPORT).map(|bytes| String::from_utf8_lossy(bytes));
    let page = page.as_deref().ok_or_else(|| anyhow!("it is missing"));
    let marked = page.and_then(|page| {
        let says = page.contains("<strong>Unofficial. </strong>");
        ensure!(says == unofficial.is_some(), "expected {}", shown(unofficial));
        Ok(String::new())
    });
    findings.judge(REPORT, "says whether the release is official", marked);
}

fn mark(file: &str, expected: Option<&str>, found: Option<&str>, findings: &mut Findings) {
    findings.equal(file, "says whether the release is official", &shown(expected), &shown(found));
}

fn shown(unofficial: Option<&str>) -> String {
    unofficial.map_or("official".to_owned(), |why| format!("unofficial, `{why}`"))
}

fn gates(about: About<'_>, said: &Judgement, findings: &mut Findings) {
    let About { metadata, operators, .. } = about;
    mark(GATES, about.unofficial, said.unofficial.as_deref(), findings);
    findings.equal(GATES, "its version", &judgement::VERSION, &said.version);
    for (check, expected, found) in [
        ("the model", &*metadata.name, &said.artifact.name),
        ("the digest of the model", &*metadata.sha256, &said.artifact.sha256.to_string()),
        ("the base", &*metadata.base.name, &said.base.name),
        ("the digest of the base", &*metadata.base.sha256, &said.base.sha256.to_string()),
        ("the digest of the recipe", &*metadata.recipe_sha256, &said.recipe.to_string()),
    ] {
        findings.equal(GATES, check, expected, found);
    }
    counted(GATES, operators, &said.operators, findings);
    for (gate, report) in
        [(Gate::Provider, &said.provider), (Gate::Smoke, &said.smoke), (Gate::Fidelity, &said.fidelity)]
    {
        let check = format!("the {gate} gate passed");
        findings.holds(
            GATES,
            &check,
            report.gate == gate && passes(report),
            "a check is not as it is said to be",
        );
    }
    findings.holds(GATES, "the bench gate passed", said.bench_passed, "it did not");
}

/// Whether every check of a report passes, whatever it says of itself.
fn passes(report: &Report) -> bool {
    let passes = |value: f64, threshold: f64, bound| match bound {
        Bound::AtMost => value <= threshold,
        Bound::AtLeast => value >= threshold,
    };
    let checks = &report.checks;
    report.pass
        && !checks.is_empty()
        && checks.iter().all(|it| it.pass && passes(it.value, it.threshold, it.bound))
}

/// That a document counts the nodes of the graph as they are; names the first operator of which it does not.
fn counted(
    file: &str,
    expected: &BTreeMap<String, usize>,
    said: &BTreeMap<String, usize>,
    findings: &mut Findings,
) {
    let count = |counts: &BTreeMap<String, usize>, name: &String| counts.get(name).copied().unwrap_or(0);
    let differs = |name: &&String| count(expected, name) != count(said, name);
    let differing = expected.keys().chain(said.keys()).find(differs);
    let otherwise = differing.map_or_else(String::new, |name| {
        format!("`{name}`: expected {} nodes, found {}", count(expected, name), count(said, name))
    });
    findings.holds(file, "counts the operators of the model", differing.is_none(), &otherwise);
}

fn bill(about: About<'_>, bom: &Bom, findings: &mut Findings) {
    let About { metadata, files, .. } = about;
    let model = &bom.metadata.component;
    let value = |component: &Component, name: &str| {
        component.properties.iter().find(|it| it.name == name).map(|it| it.value.clone())
    };
    mark(BOM, about.unofficial, value(model, bom::UNOFFICIAL).as_deref(), findings);
    let top = bom.metadata.properties.iter().find(|it| it.name == bom::UNOFFICIAL);
    mark(BOM, about.unofficial, top.map(|it| it.value.as_str()), findings);
    findings.equal(BOM, "its format", "CycloneDX 1.6", &format!("{} {}", bom.format, bom.spec_version));
    findings.equal(BOM, "the kind of the model", "machine-learning-model", &model.kind);
    findings.equal(BOM, "the model", &*metadata.name, &model.name);
    let stem = metadata.name.strip_suffix(".onnx").unwrap_or(&metadata.name);
    let named = |name: &str| bom.components.iter().find(|it| it.name == name);
    let (prepared, json) = (format!("{stem}.{PREPARED}"), format!("{stem}.json"));
    for (name, component, sha256) in [
        (&*metadata.name, Some(model), files.model),
        (&prepared, named(&prepared), files.prepared),
        (&json, named(&json), files.metadata),
    ] {
        let found = component.map(|it| it.hashes.clone()).unwrap_or_default();
        let otherwise = format!("expected sha256 {sha256}, found {found:?}");
        findings.holds(BOM, &format!("the digest of `{name}`"), found == [Hash::of(sha256)], &otherwise);
    }
    let base = model.pedigree.as_ref().and_then(|it| it.ancestors.first());
    let found = base.and_then(|it| it.hashes.first()).map_or("none", |it| &it.content);
    findings.equal(BOM, "the digest of the base", &*metadata.base.sha256, found);
    let licences: Vec<&str> = model.licenses.iter().map(|it| it.expression.as_str()).collect();
    findings.equal(BOM, "the licence", &*metadata.licence, &licences.join(", "));
    let counts = model.properties.iter().filter_map(|it| {
        Some((it.name.strip_prefix(bom::OPERATOR)?.to_owned(), it.value.parse().unwrap_or(usize::MAX)))
    });
    counted(BOM, about.operators, &counts.collect(), findings);
}

fn stated(about: About<'_>, statement: &Statement, findings: &mut Findings) {
    let About { metadata, files, .. } = about;
    let definition = &statement.predicate.build_definition;
    let parameters = &definition.external_parameters;
    mark(PROVENANCE, about.unofficial, parameters.unofficial.as_deref(), findings);
    for (check, expected, found) in [
        ("its type", STATEMENT, &*statement.kind),
        ("the type of its predicate", PREDICATE, &statement.predicate_type),
        ("the base", &metadata.base.name, &parameters.base),
        ("the scheme", &metadata.scheme, &parameters.scheme),
        ("the tool", &metadata.tool_version, &definition.internal_parameters.tool),
    ] {
        findings.equal(PROVENANCE, check, expected, found);
    }
    for expected in provenance::subjects(&metadata.name, files) {
        let found = statement.subject.iter().find(|it| it.name == expected.name);
        let otherwise = format!("expected {:?}, found {:?}", expected.digest, found.map(|it| &it.digest));
        let check = format!("the digest of `{}`", expected.name);
        findings.holds(PROVENANCE, &check, found == Some(&expected), &otherwise);
    }
    findings.equal(PROVENANCE, "how many files it is about", &3, &statement.subject.len());
}
