//! What a command is going to want: said early, so that what is missing is told before anything is fetched or made, and
//! fetched side by side.
//!
//! Names and sizes in the cache are looked at, and all that no source can bring is named at once. A
//! program such as pip is missed only where no host that has the same file can be connected to.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use anyhow::{Context as _, Result};

use super::cache::{Entry, Size};
use super::error::{FetchError, Lacking, SourceError};
use super::tools::{NPM_HINT, PIP_HINT};
use super::{Fetcher, http, joined, out_of_reach};
use crate::failure::Failure;
use crate::files::check_writable;
use crate::recipe::{Recipe, RuntimeRecipe, RuntimeSource, Source, SourceFile, VoiceSource};

/// Something that a command is going to ask a [`Fetcher`] for.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// A file of a recipe.
    File(&'a SourceFile),
    /// Every voice.
    Voices(&'a Recipe),
    /// The ONNX Runtime library.
    Runtime(&'a RuntimeRecipe),
}

/// A program that some sources need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Program {
    Pip,
    Npm,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Pip => "pip",
            Self::Npm => "npm",
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Pip => PIP_HINT,
            Self::Npm => NPM_HINT,
        }
    }
}

/// What a source needs.
enum Way {
    Program(Program),
    /// The host of this address.
    Host(String),
}

/// Something that the cache does not have.
struct Missing<'a> {
    wanted: Wanted<'a>,
    name: String,
    ways: Vec<Way>,
}

impl Fetcher {
    /// Sees that what the cache lacks of all that is wanted can be had: the cache can be written to, and a program is there
    /// where nothing else brings a file. Takes a second or two, and none if nothing is lacking; fetches nothing.
    ///
    /// A program is asked for only if no host that has the same file can be connected to.
    ///
    /// # Errors
    /// [`Failure::Fetch`] over a [`FetchError`] that names all that is missing; [`Failure::Usage`] for a cache that cannot be
    /// written to.
    pub fn preflight(&self, wanted: &[Wanted<'_>]) -> Result<()> {
        let missing = self.missing(wanted)?;
        if missing.is_empty() {
            return Ok(());
        }
        if self.options.offline {
            let names = missing.into_iter().map(|it| it.name);
            return Err(self.offline(names)).context(Failure::Fetch);
        }
        check_writable(self.cache.folder(), "`KOKORO_MODEL_CACHE` names another folder for fetched files")?;
        self.check_ways(&missing).context(Failure::Fetch)
    }

    /// Does `work`, and brings what the cache lacks of all that is wanted meanwhile.
    ///
    /// # Errors
    /// Those of `work`, and else those that asking for what is wanted has.
    pub fn prefetch<T>(&self, wanted: &[Wanted<'_>], work: impl FnOnce() -> Result<T>) -> Result<T> {
        let missing = self.missing(wanted)?;
        thread::scope(|scope| {
            let fetches: Vec<_> =
                missing.iter().map(|it| scope.spawn(|| self.bring_wanted(it.wanted))).collect();
            let done = work()?;
            fetches.into_iter().try_for_each(joined)?;
            Ok(done)
        })
    }

    /// Whether the cache has a file of the name and size of `file`: its bytes are not looked at.
    pub fn has(&self, file: &SourceFile) -> bool {
        is_there(&self.entry_of(file))
    }

    fn bring_wanted(&self, wanted: Wanted<'_>) -> Result<()> {
        match wanted {
            Wanted::File(file) => self.file(file).map(drop),
            Wanted::Voices(recipe) => self.voices(recipe, recipe.voice_names()).map(drop),
            Wanted::Runtime(recipe) => self.onnxruntime(recipe).map(drop),
        }
    }

    /// What the cache does not have. Whoever uses a file hashes it; here it is enough that there is one of that name.
    fn missing<'a>(&self, wanted: &[Wanted<'a>]) -> Result<Vec<Missing<'a>>> {
        let mut missing = Vec::new();
        for wanted in wanted {
            missing.extend(match *wanted {
                Wanted::File(file) => self.missing_file(file),
                Wanted::Voices(recipe) => self.missing_voices(recipe)?,
                Wanted::Runtime(recipe) => self.missing_runtime(recipe)?,
            });
        }
        Ok(missing)
    }

    fn missing_file<'a>(&self, file: &'a SourceFile) -> Option<Missing<'a>> {
        (!self.has(file)).then(|| {
            let ways = file.sources.iter().map(|source| match source {
                Source::Https(address) => Way::Host(address.clone()),
                Source::Pip(_) => Way::Program(Program::Pip),
            });
            Missing { wanted: Wanted::File(file), name: file.name.clone(), ways: self.with_mirror(ways) }
        })
    }

    fn missing_voices<'a>(&self, recipe: &'a Recipe) -> Result<Option<Missing<'a>>> {
        let mut absent = Vec::new();
        for name in recipe.voice_names() {
            let entry = self.entry_of(&recipe.voice(name)?);
            if !is_there(&entry) {
                absent.push(entry.name);
            }
        }
        let ways = recipe.voices.sources.iter().map(|source| match source {
            VoiceSource::Npz(npz) => Way::Host(npz.https.clone()),
            VoiceSource::Npm(_) => Way::Program(Program::Npm),
        });
        let name = match absent.as_slice() {
            [] => return Ok(None),
            [name] => name.clone(),
            names => format!("{} voices", names.len()),
        };
        Ok(Some(Missing { wanted: Wanted::Voices(recipe), name, ways: self.with_mirror(ways) }))
    }

    fn missing_runtime<'a>(&self, recipe: &'a RuntimeRecipe) -> Result<Option<Missing<'a>>> {
        if self.options.onnxruntime.is_some() {
            return Ok(None);
        }
        let sources = &recipe.here()?.sources;
        let held = sources.iter().any(|source| {
            is_there(&match source {
                RuntimeSource::Archive(archive) => self.archive_entry(archive),
                RuntimeSource::Wheel(wheel) => self.wheel_entry(wheel),
            })
        });
        let ways = sources.iter().map(|source| match source {
            RuntimeSource::Archive(archive) => Way::Host(archive.url.clone()),
            RuntimeSource::Wheel(_) => Way::Program(Program::Pip),
        });
        Ok((!held).then(|| Missing {
            wanted: Wanted::Runtime(recipe),
            name: format!("ONNX Runtime {}", recipe.version),
            ways: self.with_mirror(ways),
        }))
    }

    fn with_mirror(&self, ways: impl Iterator<Item = Way>) -> Vec<Way> {
        self.options.mirror.iter().map(|mirror| Way::Host(mirror.clone())).chain(ways).collect()
    }

    /// Whether there is a way to each of these: a program that is here, or a host that can be connected to.
    fn check_ways(&self, missing: &[Missing<'_>]) -> Result<(), FetchError> {
        let programs: BTreeSet<Program> = missing
            .iter()
            .flat_map(|it| &it.ways)
            .filter_map(|way| if let Way::Program(program) = way { Some(*program) } else { None })
            .collect();
        let absent = self.absent(programs);
        let mut lacking: BTreeMap<Program, Vec<String>> = BTreeMap::new();
        let mut unreachable = BTreeMap::new();
        for Missing { name, ways, .. } in missing {
            let has_program = ways.iter().any(|way| matches!(way, Way::Program(it) if !absent.contains(it)));
            let would_do = ways.iter().find_map(|way| match way {
                Way::Program(program) => Some(*program),
                Way::Host(_) => None,
            });
            // A file that no program brings has no alternative to its hosts, and is told of when they are asked.
            let Some(program) = would_do.filter(|_| !has_program) else { continue };
            let mut hosts = ways.iter().filter_map(|way| match way {
                Way::Host(address) => Some(address),
                Way::Program(_) => None,
            });
            if !hosts.any(|address| self.is_in_reach(address, &mut unreachable)) {
                lacking.entry(program).or_default().push(name.clone());
            }
        }
        if lacking.is_empty() {
            // What is of no help here may still stand in the way of others, whose turn it is to tell.
            for (host, reason) in unreachable {
                self.options.console.say(&out_of_reach(&host, &reason, None));
            }
            return Ok(());
        }
        let lacking = lacking.into_iter().map(|(program, names)| Lacking {
            program: program.name(),
            hint: program.hint(),
            names,
        });
        let told = |(host, reason)| format!("`{host}` cannot be reached ({reason})");
        Err(FetchError::Lacking {
            lacking: lacking.collect(),
            unreachable: unreachable.into_iter().map(told).collect(),
        })
    }

    /// Which of the programs are not here.
    fn absent(&self, programs: BTreeSet<Program>) -> BTreeSet<Program> {
        let names: Vec<_> = programs.iter().map(|program| program.name()).collect();
        let _busy = (!names.is_empty())
            .then(|| self.options.console.busy(&format!("looking for {}", names.join(" and "))));
        let folder = std::env::temp_dir();
        let has = |program| match program {
            Program::Pip => self.tools.has_pip(&folder),
            Program::Npm => self.tools.has_npm(&folder),
        };
        thread::scope(|scope| {
            let has = &has;
            let looks: Vec<_> =
                programs.into_iter().map(|program| (program, scope.spawn(move || has(program)))).collect();
            looks.into_iter().filter_map(|(program, look)| (!joined(look)).then_some(program)).collect()
        })
    }

    /// Whether the host of an address can be connected to; if not, why goes to `unreachable`.
    fn is_in_reach(&self, address: &str, unreachable: &mut BTreeMap<String, String>) -> bool {
        match self.http.probe(address) {
            Err(SourceError::Connect(reason) | SourceError::Tls(reason)) => {
                unreachable.insert(http::host(address), reason);
                false
            }
            Err(SourceError::OutOfReach(_)) => false,
            _ => true,
        }
    }
}

/// Whether there is a file of that name and size.
fn is_there(entry: &Entry) -> bool {
    fs_err::metadata(entry.path()).is_ok_and(|file| match entry.size {
        Size::Exactly(bytes) => file.len() == bytes,
        Size::AtMost(bytes) => file.len() <= bytes,
    })
}
