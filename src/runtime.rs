//! The ONNX Runtime library, loaded once for the whole process, or linked into it.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind};
use crate::kernels::{Kernels, operators};
use crate::provider::Plugin;

#[cfg(feature = "bundle-runtime")]
mod bundle;
#[cfg(not(feature = "ort"))]
mod linked;
#[cfg(feature = "bundle-runtime")]
mod private;
#[cfg(feature = "ort")]
mod search;
#[cfg(feature = "ort")]
mod verified;

/// The runtime in use. ONNX Runtime allows one environment per process, ever, so it is never released.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// ONNX Runtime. Cheap to clone; all clones are one runtime.
///
/// With the feature `ort` it is a library file, loaded when the program asks for it. With `engine` in its place, it is the
/// one that the program is linked with, and [`Self::load`] is all there is: a program that depends on the crate `ort` too
/// chooses by that crate's features how.
///
/// Some builds of ONNX Runtime send telemetry. This crate turns it off through the API, but builds from about
/// 1.29 on still write to the user's cache folder unless the process has `ORT_DISABLE_TELEMETRY=1` in its
/// environment before the library is loaded. A library must not change the environment: set it at the start of
/// `main`.
#[derive(Clone)]
pub struct Runtime {
    pub(crate) environment: ort::environment::Environment,
    /// What computes the operators of this crate, if nothing else is asked for.
    pub(crate) kernels: Kernels,
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    version: String,
    /// The plugin libraries that were registered, with the provider of each; `None` for one that offers no device.
    plugins: Mutex<Vec<(PathBuf, Option<Plugin>)>>,
}

impl Runtime {
    /// The least minor version of ONNX Runtime 1.x that will do.
    pub const NEEDED_MINOR: u32 = ort::MINOR_VERSION;

    /// Looks for the library and starts its environment, or returns the one that this process runs already.
    ///
    /// A runtime that the program is linked with needs no search. Else the first that is there is taken:
    ///
    /// 1. the file that `KOKORO_ONNXRUNTIME` names;
    /// 2. a file beside the executable: `libonnxruntime.so`, `libonnxruntime.dylib` or `onnxruntime.dll`, else the
    ///    one with the highest version in its name, such as `libonnxruntime.so.1.26.0`. On Unix only if it belongs to
    ///    root or to the owner of the executable and not everybody may write to it;
    /// 3. with feature `bundle-runtime`, the library in this binary. It is unpacked once, into the folder `runtime`
    ///    of the cache folder below, which is made for this user alone; without such a folder it is loaded from
    ///    memory on Linux, else from a temporary folder;
    /// 4. the library pinned for this platform in the cache that `cargo xtask` fills: the folder
    ///    `KOKORO_MODEL_CACHE`, or else `kokoro-model` in the user's cache folder.
    ///
    /// The digests of 3 and 4 are checked each time before the file is opened as a library. What stands in the
    /// first two places is the choice of whoever runs or installs the program, and is not checked.
    ///
    /// `KOKORO_MODEL_KERNELS` names the [instructions](crate::InstructionSet) that the operators of this crate use, such as
    /// `portable`, for tests; without it they are the best that the processor has.
    ///
    /// This is the only function of the crate that reads the environment: `KOKORO_ONNXRUNTIME`,
    /// `KOKORO_MODEL_CACHE`, `KOKORO_MODEL_KERNELS`, and what tells the user's cache folder and the folder for temporary files.
    ///
    /// ```no_run
    /// let runtime = kokoro_model::Runtime::load()?;
    /// println!("ONNX Runtime {} of `{}`", runtime.version(), runtime.path().display());
    /// # Ok::<(), kokoro_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::RuntimeNotFound`] with every place looked at; [`ErrorKind::BundleDamaged`] and
    /// [`ErrorKind::RuntimeNotUnpacked`]; [`ErrorKind::KernelsUnavailable`]; and for the library that is taken, as
    /// [`Self::from_path`].
    pub fn load() -> Result<Self, Error> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            return Ok(runtime.clone());
        }
        let kernels = Kernels::given(std::env::var_os("KOKORO_MODEL_KERNELS").as_deref())?;
        #[cfg(feature = "ort")]
        let runtime = search::Surroundings::read(|name| std::env::var_os(name)).load(Self::start)?;
        #[cfg(not(feature = "ort"))]
        let runtime = Self::linked()?;
        let runtime = Self { kernels, ..runtime };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Loads the library at `path` and starts its environment, or returns the one started before from the
    /// same file.
    ///
    /// Loading a library runs its code: take only a file whose digest you have checked.
    ///
    /// ```no_run
    /// let runtime = kokoro_model::Runtime::from_path("/usr/lib/libonnxruntime.so")?;
    /// # Ok::<(), kokoro_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::RuntimeMissing`], [`ErrorKind::NotARuntime`], [`ErrorKind::RuntimeTooOld`],
    /// [`ErrorKind::RuntimeFailed`], and [`ErrorKind::RuntimeAlreadyLoaded`] for a second library.
    #[cfg(feature = "ort")]
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = canonical(path.as_ref())?;
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

    #[cfg(feature = "ort")]
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
        Self::with(builder, path, minor)
    }

    /// The runtime that the program is linked with.
    #[cfg(not(feature = "ort"))]
    fn linked() -> Result<Self, Error> {
        let path = std::env::current_exe().unwrap_or_default();
        let Some(minor) = linked::minor() else { return Err(ErrorKind::NotARuntime { path }.into()) };
        if minor < Self::NEEDED_MINOR {
            return Err(ErrorKind::RuntimeTooOld { path, found: minor, needed: Self::NEEDED_MINOR }.into());
        }
        Self::with(ort::init(), path, minor)
    }

    fn with(builder: ort::environment::EnvironmentBuilder, path: PathBuf, minor: u32) -> Result<Self, Error> {
        let environment =
            builder.with_name("kokoro-model").with_telemetry(false).build().map_err(|source| {
                let kind = ErrorKind::RuntimeFailed { path: path.clone() };
                Error::with_source(kind, RuntimeMessage::from(source))
            })?;
        operators::register(&environment).map_err(|source| {
            let kind = ErrorKind::RuntimeFailed { path: path.clone() };
            Error::with_source(kind, RuntimeMessage::from(source))
        })?;
        let version = format!("1.{minor}");
        Ok(Self {
            environment,
            kernels: Kernels::best(),
            inner: Arc::new(Inner { path, version, plugins: Mutex::default() }),
        })
    }

    pub(crate) fn plugins(&self) -> MutexGuard<'_, Vec<(PathBuf, Option<Plugin>)>> {
        self.inner.plugins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version of the library, such as `1.26`, as it says itself.
    ///
    /// The patch version is not told through a safe interface; the commit is, in [`Self::build_info`].
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// The file it was loaded from, with symbolic links resolved; the program itself where it is linked with it. A
    /// bundled library that was loaded from memory or from a temporary folder is there no longer.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// What the library says of its build: branch, commit and compiler flags.
    #[allow(clippy::unused_self, reason = "it can be asked only where a library is loaded")]
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }
}

/// The path without symbolic links. It tells whether two names mean one file, and keeps the loader from searching its
/// own list of folders for a bare file name.
#[cfg(feature = "ort")]
fn canonical(given: &Path) -> Result<PathBuf, Error> {
    let path = fs_err::canonicalize(given)
        .map_err(|source| Error::with_source(ErrorKind::RuntimeMissing { path: given.into() }, source))?;
    if path.is_file() { Ok(path) } else { Err(ErrorKind::RuntimeMissing { path }.into()) }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { path, version, .. } = &*self.inner;
        formatter
            .debug_struct("Runtime")
            .field("path", path)
            .field("version", version)
            .field("kernels", &self.kernels)
            .finish_non_exhaustive()
    }
}

/// What ONNX Runtime said, as an error of its own: the types of the `ort` crate change with each release.
#[derive(Debug)]
pub(crate) struct RuntimeMessage(String);

impl RuntimeMessage {
    /// Whether it says that there is no such operator in `domain`.
    pub(crate) fn misses_operator_of(&self, domain: &str) -> bool {
        self.0.contains(&format!("{domain}:")) && self.0.contains("is not a registered")
    }
}

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
