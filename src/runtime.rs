//! The ONNX Runtime library, loaded once for the whole process.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind};

/// The runtime in use. ONNX Runtime allows one environment per process, ever, so it is never released.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// ONNX Runtime, loaded from a library file. Cheap to clone; all clones are one runtime.
///
/// Some builds of ONNX Runtime send telemetry. This crate turns it off through the API, but builds from about
/// 1.29 on still write to the user's cache folder unless the process has `ORT_DISABLE_TELEMETRY=1` in its
/// environment before the library is loaded. A library must not change the environment: set it at the start of
/// `main`.
#[derive(Clone)]
pub struct Runtime {
    pub(crate) environment: ort::environment::Environment,
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    version: String,
}

impl Runtime {
    /// The least minor version of ONNX Runtime 1.x that will do.
    pub const NEEDED_MINOR: u32 = ort::MINOR_VERSION;

    /// Loads the library at `path` and starts its environment, or returns the one started before from the
    /// same file.
    ///
    /// Loading a library runs its code: take only a file whose digest you have checked.
    ///
    /// # Errors
    /// [`ErrorKind::RuntimeMissing`], [`ErrorKind::NotARuntime`], [`ErrorKind::RuntimeTooOld`],
    /// [`ErrorKind::RuntimeFailed`], and [`ErrorKind::RuntimeAlreadyLoaded`] for a second library.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        let given = path.as_ref();
        // The canonical path tells whether two names mean one file, and keeps the loader from searching its
        // own list of folders for a bare file name.
        let path = fs_err::canonicalize(given)
            .map_err(|source| Error::with_source(ErrorKind::RuntimeMissing { path: given.into() }, source))?;
        if !path.is_file() {
            return Err(ErrorKind::RuntimeMissing { path }.into());
        }
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            if runtime.inner.path == path {
                return Ok(runtime.clone());
            }
            let kind =
                ErrorKind::RuntimeAlreadyLoaded { loaded: runtime.inner.path.clone(), requested: path };
            return Err(kind.into());
        }
        let runtime = Self::start(path)?;
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    fn start(path: PathBuf) -> Result<Self, Error> {
        // The probe unloads the library again, so a library that is refused leaves nothing behind.
        let minor = ort::util::probe(&path);
        if let Some(found) = minor.filter(|&found| found < Self::NEEDED_MINOR) {
            return Err(ErrorKind::RuntimeTooOld { path, found, needed: Self::NEEDED_MINOR }.into());
        }
        // Where the probe found nothing, this fails for the same reason, and says which.
        let builder = ort::init_from(&path).map_err(|source| {
            Error::with_source(ErrorKind::NotARuntime { path: path.clone() }, source.to_string())
        })?;
        // A version 2 would be another API, which the probe knows and the loader does not.
        let Some(minor) = minor else { return Err(ErrorKind::NotARuntime { path }.into()) };
        let environment =
            builder.with_name("kokoro-model").with_telemetry(false).build().map_err(|source| {
                let kind = ErrorKind::RuntimeFailed { path: path.clone() };
                Error::with_source(kind, RuntimeMessage::from(source))
            })?;
        let version = format!("1.{minor}");
        Ok(Self { environment, inner: Arc::new(Inner { path, version }) })
    }

    /// The version of the library, such as `1.26`, as it says itself.
    ///
    /// The patch version is not told through a safe interface; the commit is, in [`Self::build_info`].
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// The file it was loaded from, with symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// What the library says of its build: branch, commit and compiler flags.
    #[allow(clippy::unused_self, reason = "it can be asked only where a library is loaded")]
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { path, version } = &*self.inner;
        formatter
            .debug_struct("Runtime")
            .field("path", path)
            .field("version", version)
            .finish_non_exhaustive()
    }
}

/// What ONNX Runtime said, as an error of its own: the types of the `ort` crate change with each release.
#[derive(Debug)]
pub(crate) struct RuntimeMessage(String);

impl<R> From<ort::Error<R>> for RuntimeMessage {
    fn from(error: ort::Error<R>) -> Self {
        Self(format!("{} ({:?})", error.message().trim_end(), error.code()))
    }
}

impl fmt::Display for RuntimeMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl StdError for RuntimeMessage {}
