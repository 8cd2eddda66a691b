//! What a recipe must satisfy beyond its shape. Every complaint names the key.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    BenchRecipe, ContestantRecipe, DnsmosRecipe, EdgesRecipe, NpmMembers, NpzMembers, PluginRecipes, Recipe,
    RuntimeRecipe, RuntimeSource, Source, SourceFile, StaticInt8Recipe, VoiceSource,
};
use crate::fidelity::{self, Opinion};
use crate::gates::ExecutionProvider;
use crate::scheme::SchemeName;

impl Recipe {
    pub(super) fn check(&self) -> Result<()> {
        file_name("name", &self.name)?;
        files(&self.files)?;
        self.file(&self.base.official)?;
        self.file(&self.base.restored.from)?;
        file_name("base.restored.name", &self.base.restored.name)?;
        file_name("base.offgrid.name", &self.base.offgrid.name)?;
        let lists = self.choose_for.iter().map(|(provider, names)| (format!("choose_for.{provider}"), names));
        let own =
            [("choose", &self.choose), ("make", &self.make)].map(|(key, names)| (key.to_owned(), names));
        for (key, names) in lists.chain(own) {
            for name in names {
                let known = SchemeName::parse(name).is_some();
                ensure!(known, "`{key}`: expected the name of a scheme, found `{name}`");
            }
        }
        ensure!(!self.make.is_empty(), "`make`: expected the name of a scheme, found none");
        ensure!(
            !self.choose_for.contains_key(&ExecutionProvider::Cpu),
            "`choose_for.cpu`: expected `choose` in its place"
        );
        for scheme in SchemeName::ALL {
            let key = format!("scheme.{}.gates.fidelity", scheme.as_str());
            for (name, limits) in &scheme.thresholds(self).fidelity {
                let known = fidelity::metrics().any(|metric| metric.name == name);
                ensure!(known, "`{key}`: expected the name of a metric, found `{name}`");
                let is_opinion = Opinion::METRICS.iter().any(|metric| metric.name == name);
                ensure!(
                    !is_opinion || self.dnsmos.is_some(),
                    "`{key}.{name}`: expected `[dnsmos]` to measure it"
                );
                let some = limits.mean.is_some() || limits.worst.is_some();
                ensure!(some, "`{key}.{name}`: expected `mean`, `worst` or both");
            }
        }
        let StaticInt8Recipe { plan, clip_ratios, edges, weight_levels, .. } = &self.scheme.static_int8;
        file_name("scheme.static-int8.plan", plan)?;
        ensure!(
            clip_ratios.contains(&1.0)
                && clip_ratios.iter().all(|ratio| (f32::MIN_POSITIVE..=1.0).contains(ratio)),
            "`scheme.static-int8.clip_ratios`: expected 1.0 and others between it and 0, found {clip_ratios:?}"
        );
        for EdgesRecipe { pattern, positions, times } in edges {
            let key = "scheme.static-int8.edges";
            quantizer::schemes::pattern(pattern).with_context(|| format!("`{key}.pattern`"))?;
            ensure!(*positions > 0, "`{key}.positions` of `{pattern}`: expected at least 1, found 0");
            ensure!(
                (1.0..=128.0).contains(times),
                "`{key}.times` of `{pattern}`: expected 1 to 128, found {times}"
            );
        }
        ensure!(
            (1..=127).contains(weight_levels),
            "`scheme.static-int8.weight_levels`: expected 1 to 127, found {weight_levels}"
        );
        if let Some(DnsmosRecipe { main, p808 }) = &self.dnsmos {
            self.file(main)?;
            self.file(p808)?;
        }
        self.check_contestants()?;
        self.check_bench()?;
        self.check_voices()
    }

    /// Results and files with sound are named by model, so no two models may share a name.
    fn check_contestants(&self) -> Result<()> {
        let schemes = SchemeName::ALL.map(SchemeName::as_str);
        let mut names = BTreeSet::from(schemes);
        names.extend([&*self.name, &*self.base.restored.name, &*self.base.offgrid.name]);
        for ContestantRecipe { name, file } in &self.contestants {
            file_name("contestant.name", name)?;
            ensure!(names.insert(name), "`contestant.name`: another model is called `{name}`");
            self.file(file).with_context(|| format!("`contestant.file` of `{name}`"))?;
        }
        Ok(())
    }

    fn check_bench(&self) -> Result<()> {
        let BenchRecipe { runs, most_runs, short, .. } = &self.gates.bench;
        ensure!(
            !short.sentences.is_empty(),
            "`gates.bench.short.sentences`: expected a sentence, found none"
        );
        for (key, runs, most) in
            [("gates.bench", runs, most_runs), ("gates.bench.short", &short.runs, &short.most_runs)]
        {
            ensure!(*runs > 0, "`{key}.runs`: expected at least 1, found 0");
            ensure!(most >= runs, "`{key}.most_runs`: expected at least `runs`, {runs}, found {most}");
        }
        Ok(())
    }

    fn check_voices(&self) -> Result<()> {
        let voices = &self.voices;
        ensure!(voices.bytes > 0, "`voices.bytes`: expected more than 0");
        ensure!(!voices.licence.trim().is_empty(), "`voices.licence`: expected an SPDX expression");
        ensure!(!voices.sha256.is_empty(), "`voices.sha256`: expected at least one voice");
        ensure!(!voices.sources.is_empty(), "`voices.source`: expected at least one");
        for name in voices.sha256.keys() {
            file_name("voices.sha256", name)?;
        }
        for source in &voices.sources {
            let (key, member) = match source {
                VoiceSource::Npz(npz) => {
                    check_npz(npz, voices.bytes)?;
                    ("voices.source.npz", &npz.member)
                }
                VoiceSource::Npm(NpmMembers { package: name, version, member }) => {
                    package("`voices.source.npm`", name, version)?;
                    ("voices.source.npm", member)
                }
            };
            member_path(&format!("`{key}`"), member)?;
            ensure!(member.contains("{name}"), "`{key}.member`: expected `{{name}}` in it, found `{member}`");
        }
        Ok(())
    }
}

fn check_npz(npz: &NpzMembers, voice: u64) -> Result<()> {
    let NpzMembers { https: address, bytes, shape, .. } = npz;
    https("`voices.source.npz.https`", address)?;
    file_name("voices.source.npz.https", npz.file_name())?;
    ensure!(*bytes > 0, "`voices.source.npz.bytes`: expected more than 0");
    ensure!(
        npz.array_bytes() == Some(voice),
        "`voices.source.npz.shape`: expected float32 of {voice} bytes, as `voices.bytes` says, found {shape:?}"
    );
    Ok(())
}

/// What every list of files must satisfy.
pub(super) fn files(files: &[SourceFile]) -> Result<()> {
    ensure!(!files.is_empty(), "`file`: expected at least one entry, found none");
    let mut names = BTreeSet::new();
    for file in files {
        let key = format!("file `{}`", file.name);
        file_name("file.name", &file.name)?;
        ensure!(names.insert(&file.name), "{key}: the name is given twice");
        ensure!(file.bytes > 0, "{key}, `bytes`: expected more than 0");
        ensure!(!file.licence.trim().is_empty(), "{key}, `licence`: expected an SPDX expression");
        ensure!(!file.sources.is_empty(), "{key}, `source`: expected at least one");
        for source in &file.sources {
            match source {
                Source::Https(address) => https(&format!("{key}, `source.https`"), address)?,
                Source::Pip(members) => {
                    ensure!(!members.is_empty(), "{key}, `source.pip`: expected at least one member");
                    for member in members {
                        let key = format!("{key}, `source.pip`");
                        package(&key, &member.package, &member.version)?;
                        member_path(&key, &member.member)?;
                    }
                }
            }
        }
    }
    Ok(())
}

impl RuntimeRecipe {
    pub(super) fn check(&self) -> Result<()> {
        ensure!(!self.version.is_empty(), "`version`: expected one, found none");
        for (platform, library) in &self.platforms {
            let key = format!("platform `{platform}`");
            ensure!(!library.sources.is_empty(), "{key}, `source`: expected at least one");
            for source in &library.sources {
                match source {
                    RuntimeSource::Archive(archive) => {
                        let key = format!("{key}, `source.archive`");
                        https(&key, &archive.url)?;
                        file_name(&key, archive.file_name())?;
                        ensure!(archive.at_most_bytes > 0, "{key}, `at_most_bytes`: expected more than 0");
                        member_path(&key, &archive.member)?;
                    }
                    RuntimeSource::Wheel(wheel) => {
                        let key = format!("{key}, `source.wheel`");
                        package(&key, &wheel.package, &self.version)?;
                        member_path(&key, &wheel.member)?;
                        ensure!(wheel.library_bytes > 0, "{key}, `library_bytes`: expected more than 0");
                    }
                }
            }
        }
        Ok(())
    }
}

impl PluginRecipes {
    pub(super) fn check(&self) -> Result<()> {
        let plugins = self.plugins.iter().map(|(name, it)| (format!("plugin `{name}`"), it));
        let runtimes = self.runtimes.iter().map(|(name, it)| (format!("runtime `{name}`"), it));
        for (key, plugin) in plugins.chain(runtimes) {
            package(&key, &plugin.package, &plugin.version)?;
            file_name(&format!("{key}, package"), &plugin.file_name())?;
            ensure!(!plugin.licence.trim().is_empty(), "{key}, `licence`: expected an SPDX expression");
            ensure!(!plugin.serves.trim().is_empty(), "{key}, `serves`: expected what it computes on");
            ensure!(!plugin.platforms.is_empty(), "{key}, `platform`: expected at least one");
            for (platform, wheel) in &plugin.platforms {
                let key = format!("{key}, platform `{platform}`");
                ensure!(wheel.bytes > 0, "{key}, `bytes`: expected more than 0");
                member_path(&key, &wheel.library)?;
                ensure!(!wheel.folder().is_empty(), "{key}, `library`: expected a folder in front of it");
            }
        }
        Ok(())
    }
}

/// A name is joined to the cache's folder, so it must stay inside on every system.
fn file_name(key: &str, name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        bail!("`{key}`: expected a file name of letters, digits, `.`, `-` and `_`, found `{name}`");
    }
    Ok(())
}

/// Plain HTTP would let anyone on the way see, delay and swap what is fetched.
fn https(key: &str, address: &str) -> Result<()> {
    ensure!(address.starts_with("https://"), "{key}: expected an https address, found `{address}`");
    Ok(())
}

/// Names and versions become arguments of pip and npm, which must not take them for options.
fn package(key: &str, package: &str, version: &str) -> Result<()> {
    for (part, value) in [("package", package), ("version", version)] {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '/' | '+');
        if value.is_empty() || value.starts_with('-') || !value.chars().all(plain) {
            bail!("{key}, `{part}`: expected letters, digits and `.-_@/+`, found `{value}`");
        }
    }
    Ok(())
}

fn member_path(key: &str, member: &str) -> Result<()> {
    let relative = !member.starts_with('/') && !member.contains('\\');
    if member.is_empty() || !relative || member.split('/').any(|part| part.is_empty() || part == "..") {
        bail!("{key}, `member`: expected a relative path inside the archive, found `{member}`");
    }
    Ok(())
}
