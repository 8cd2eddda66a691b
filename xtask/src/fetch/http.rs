//! Downloads over HTTP: one source, asked until it has brought every byte or has failed for good.

mod answer;
mod client;

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use reqwest::blocking::{Client, Response};
use reqwest::header::{ACCEPT_ENCODING, IF_RANGE, RANGE};
use reqwest::{StatusCode, Url};

use self::answer::Validator;
use super::cache::{Entry, Size};
use super::console::{Console, Progress};
use super::error::SourceError;
use super::part::Part;
use super::timing::Timing;
use crate::digest::Digest;
use crate::recipe::Redirects;

/// A download that has come on by this much since it last failed is not counted as failing in a row.
const HEADWAY: u64 = 1 << 20;

/// How long a host may take to answer when all that is asked is whether it can be reached.
const PROBE: Duration = Duration::from_secs(2);

/// What a source is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing stands in for it: a connection that fails is tried again.
    Last,
    /// Something else is tried next, and sooner than a host that cannot be connected to.
    Followed,
}

/// The HTTP side of a fetcher.
pub(super) struct Http {
    client: Client,
    timing: Timing,
    /// Hosts that could not be connected to, and as what they were asked. Behind a firewall each vain attempt costs its
    /// full time, and several files come from one host.
    unreachable: Mutex<BTreeMap<String, Standing>>,
}

impl Http {
    pub(super) fn new(
        timing: Timing,
        redirects: Option<Redirects>,
        certificates: Option<&Path>,
    ) -> Result<Self> {
        let client = client::build(&timing, redirects, certificates)?;
        Ok(Self { client, timing, unreachable: Mutex::default() })
    }

    /// Brings the file at `address` into its place in the cache. Call it under the entry's lock.
    pub(super) fn download(
        &self,
        address: &str,
        entry: &Entry,
        console: &Console,
        standing: Standing,
    ) -> Result<(), SourceError> {
        let url = self.reachable(address, standing)?;
        let mut progress = console.progress(&entry.name, entry.size);
        let mut part = Part::resume(entry)?;
        let mut trusted = part.written() == 0;
        loop {
            if let Err(error) = self.persist(&url, &mut part, &mut progress, standing) {
                part.set_aside()?;
                return Err(error);
            }
            if part.digest() == entry.sha256 || trusted {
                return part.finish();
            }
            // The beginning is from another run, perhaps one that a crash of the machine ended. Only bytes
            // that all came today say something about the source.
            progress.say(&format!("`{}`: the resumed file has a wrong digest, starting over", entry.name));
            part.restart()?;
            trusted = true;
        }
    }

    /// Brings whatever is at `address` by way of `growing` to where `place` says by its digest, and returns that place.
    ///
    /// What another run left is not built upon: nothing would tell if it was of another file.
    pub(super) fn download_unpinned(
        &self,
        address: &str,
        growing: &Entry,
        console: &Console,
        standing: Standing,
        place: impl FnOnce(Digest) -> Entry,
    ) -> Result<Entry, SourceError> {
        let url = self.reachable(address, standing)?;
        let mut progress = console.progress(&growing.name, growing.size);
        let mut part = Part::create(growing)?;
        if let Err(error) = self.persist(&url, &mut part, &mut progress, standing) {
            part.restart()?;
            part.set_aside()?;
            return Err(error);
        }
        part.finish_under(place)
    }

    /// Whether the host of `address` can be connected to; `Ok` too if it takes long to say.
    pub(super) fn probe(&self, address: &str) -> Result<(), SourceError> {
        let url = self.reachable(address, Standing::Followed)?;
        let root = url.join("/").unwrap_or_else(|_| url.clone());
        match self.client.head(root).timeout(PROBE).send() {
            Err(error) if !error.is_timeout() => {
                let error = client::classify(&error, &self.timing);
                let vain = matches!(error, SourceError::Connect(_) | SourceError::Tls(_));
                if vain { Err(self.noted(&url, error, Standing::Followed)) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// The address, unless its host was out of reach before. What nothing stands in for is asked once more.
    fn reachable(&self, address: &str, standing: Standing) -> Result<Url, SourceError> {
        let url = parse(address)?;
        let host = host_of(&url);
        let asked = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner).get(&host).copied();
        match asked {
            Some(asked) if asked == Standing::Last || standing == Standing::Followed => {
                Err(SourceError::OutOfReach(host))
            }
            _ => Ok(url),
        }
    }

    /// Asks again and again, as long as that makes sense, and notes a host that is out of reach.
    fn persist(
        &self,
        url: &Url,
        part: &mut Part<'_>,
        progress: &mut Progress,
        standing: Standing,
    ) -> Result<(), SourceError> {
        self.ask_until_whole(url, part, progress, standing).map_err(|error| match error {
            SourceError::Connect(_) | SourceError::Tls(_) => self.noted(url, error, standing),
            error => error,
        })
    }

    /// Notes that a host cannot be connected to. Of several that find out at once, one says why.
    fn noted(&self, url: &Url, error: SourceError, standing: Standing) -> SourceError {
        let host = host_of(url);
        let mut hosts = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        let before = hosts.get(&host).copied();
        if before != Some(Standing::Last) {
            hosts.insert(host.clone(), standing);
        }
        if before.is_some() && standing == Standing::Followed { SourceError::OutOfReach(host) } else { error }
    }

    fn ask_until_whole(
        &self,
        url: &Url,
        part: &mut Part<'_>,
        progress: &mut Progress,
        standing: Standing,
    ) -> Result<(), SourceError> {
        // A host that has answered may well do so again.
        let mut insists = standing == Standing::Last;
        let mut failures = 0;
        let mut reached = part.written();
        loop {
            let Err(error) = self.attempt(url, part, progress) else { return Ok(()) };
            if part.written() >= reached + HEADWAY {
                failures = 0;
            }
            reached = part.written();
            failures += 1;
            insists |= !matches!(error, SourceError::Connect(_));
            if !insists || !error.worth_retrying() || failures >= self.timing.attempts {
                return Err(error);
            }
            let retry_after = match &error {
                SourceError::Status { retry_after, .. } => *retry_after,
                _ => None,
            };
            let pause = self.timing.pause(failures, retry_after);
            progress.say(&format!("{url}: {error}; again in {:.1} s", pause.as_secs_f64()));
            thread::sleep(pause);
        }
    }

    /// Asks once for what is missing; once more for everything if the answer does not fit what is there.
    fn attempt(&self, url: &Url, part: &mut Part<'_>, progress: &mut Progress) -> Result<(), SourceError> {
        if part.is_full() {
            return Ok(());
        }
        if part.written() > 0
            && let Some(validator) = Validator::load(&part.entry().etag(), url)?
        {
            let response = self.ask(url, Some((part.written(), &validator)))?;
            if answer::continues(&response, part.written(), &validator, part.entry().size) {
                return self.take(response, part, progress);
            }
            match response.status() {
                StatusCode::OK => return self.begin(url, response, part, progress),
                StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {}
                _ => return Err(answer::refusal(&response)),
            }
        }
        let response = self.ask(url, None)?;
        if response.status() != StatusCode::OK {
            return Err(answer::refusal(&response));
        }
        self.begin(url, response, part, progress)
    }

    fn ask(&self, url: &Url, resume: Option<(u64, &Validator)>) -> Result<Response, SourceError> {
        // The digest is that of the bytes as they are, not of some encoding of them.
        let mut request = self.client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        if let Some((from, validator)) = resume {
            request = request.header(RANGE, format!("bytes={from}-")).header(IF_RANGE, validator.as_str());
        }
        request.send().map_err(|error| client::classify(&error, &self.timing))
    }

    /// Takes a body that is the whole file. What is there is forgotten only now that there is a better.
    fn begin(
        &self,
        url: &Url,
        response: Response,
        part: &mut Part<'_>,
        progress: &mut Progress,
    ) -> Result<(), SourceError> {
        part.restart()?;
        if let Some(validator) = Validator::of(&response) {
            validator.store(&part.entry().etag(), url)?;
        }
        self.take(response, part, progress)
    }

    /// Takes a body that continues the part.
    fn take(
        &self,
        mut response: Response,
        part: &mut Part<'_>,
        progress: &mut Progress,
    ) -> Result<(), SourceError> {
        let size = part.entry().size;
        let total = answer::declared_length(&response).map(|length| part.written() + length);
        let expected = match (size, total) {
            (_, Some(found)) if found > size.limit() => {
                return Err(SourceError::TooLarge { limit: size.limit(), found, declared: true });
            }
            (Size::Exactly(expected), Some(found)) if found < expected => {
                return Err(SourceError::WrongSize { expected, found });
            }
            (_, Some(total)) => total,
            (size, None) => size.limit(),
        };
        progress.of(expected);
        progress.start_at(part.written());
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match response.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => part.write(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if client::is_timeout(&error) => {
                    return Err(SourceError::Stall(self.timing.stall));
                }
                Err(_) => return Err(SourceError::CutShort { expected, found: part.written() }),
            }
            progress.at(part.written());
        }
        match size {
            Size::Exactly(_) if !part.is_full() => {
                Err(SourceError::CutShort { expected, found: part.written() })
            }
            _ => Ok(()),
        }
    }
}

fn parse(address: &str) -> Result<Url, SourceError> {
    Url::parse(address).map_err(|error| SourceError::Protocol(format!("`{address}`: {error}")))
}

/// The host, and the port where it is an unusual one, without a password that an address may have.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The host of an address.
pub(super) fn host(address: &str) -> String {
    parse(address).map_or_else(|_| address.to_owned(), |url| host_of(&url))
}
