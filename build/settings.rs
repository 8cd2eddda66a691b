//! The environment variables that the build script reads, all of them.

use std::ffi::OsString;
use std::path::PathBuf;

#[path = "../src/cache_folder.rs"]
mod cache_folder;

pub use cache_folder::cache;

/// Variables that change what is built, for `cargo::rerun-if-env-changed`. Cargo watches its own.
pub const WATCHED: [&str; 7] = [
    "KOKORO_MODEL_ARTIFACT",
    "KOKORO_MODEL_CACHE",
    "DOCS_RS",
    "XDG_CACHE_HOME",
    "HOME",
    "LOCALAPPDATA",
    "USERPROFILE",
];

/// How a value of `KOKORO_MODEL_ARTIFACT` begins that is a digest and no path.
pub const PINNED: &str = "sha256:";

/// Where the artifact comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nothing is embedded: `KOKORO_MODEL_ARTIFACT=none`, or a build of the documentation.
    Nothing,
    /// `KOKORO_MODEL_ARTIFACT`: a `chosen.json`, or an `.onnx` with its `.json` beside it.
    Given(PathBuf),
    /// `KOKORO_MODEL_ARTIFACT=sha256:<digest>`: the artifact of the cache whose metadata has this digest.
    Pinned(String),
    /// `artifacts/chosen.json` of the package.
    Package(PathBuf),
}

/// The execution provider, by its name in `chosen.json`, whose artifact feature `coreml` embeds on Apple's systems.
pub const COREML: &str = "coreml";

/// What the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the artifact comes from.
    pub source: Source,
    /// The execution provider whose artifact is taken out of a `chosen.json`; `None` for the first one named there, that for the CPU.
    pub provider: Option<&'static str>,
    /// The content-addressed cache, `<cache>/<sha256>/<name>`; none if there is no home folder.
    pub cache: Option<PathBuf>,
    /// The folder of the package.
    pub package: PathBuf,
    /// Where the build script may write.
    pub out: PathBuf,
    /// The compiler, for the digest helper.
    pub rustc: Option<OsString>,
    /// The linker set for the target, if the target is this machine.
    pub linker: Option<OsString>,
    /// The target the code is generated for.
    pub target: Target,
}

/// What of the target decides what is embedded and how, in Cargo's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// `CARGO_CFG_TARGET_ARCH`.
    pub arch: String,
    /// `CARGO_CFG_TARGET_FAMILY`, which may name several.
    pub family: String,
    /// `CARGO_CFG_TARGET_VENDOR`.
    pub vendor: String,
    /// `CARGO_CFG_TARGET_OS`.
    pub os: String,
    /// `CARGO_CFG_TARGET_ENV`, the C library.
    pub env: String,
}

impl Settings {
    /// Reads the settings through `variable`, which is `std::env::var_os` but in tests.
    ///
    /// # Panics
    /// If Cargo's own variables are missing.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let cargo = |name: &str| variable(name).unwrap_or_else(|| panic!("cargo did not set `{name}`"));
        let text = |name: &str| variable(name).unwrap_or_default().to_string_lossy().into_owned();
        let package = PathBuf::from(cargo("CARGO_MANIFEST_DIR"));
        let given = variable("KOKORO_MODEL_ARTIFACT").filter(|value| !value.is_empty());
        let source = match given {
            Some(value) if value == "none" => Source::Nothing,
            _ if variable("DOCS_RS").is_some() => Source::Nothing,
            Some(value) => match value.to_str().and_then(|value| value.strip_prefix(PINNED)) {
                Some(sha256) => Source::Pinned(sha256.to_owned()),
                // A relative path would be meant from where cargo was started, which a build script cannot know;
                // from the package is the one folder that is the same for every caller.
                None => Source::Given(package.join(value)),
            },
            None => Source::Package(package.join("artifacts").join("chosen.json")),
        };
        let vendor = text("CARGO_CFG_TARGET_VENDOR");
        let takes_coreml = variable("CARGO_FEATURE_COREML").is_some() && vendor == "apple";
        Self {
            source,
            provider: takes_coreml.then_some(COREML),
            cache: cache(&variable, cfg!(windows)),
            out: PathBuf::from(cargo("OUT_DIR")),
            package,
            rustc: variable("RUSTC"),
            linker: variable("RUSTC_LINKER").filter(|_| variable("HOST") == variable("TARGET")),
            target: Target {
                arch: text("CARGO_CFG_TARGET_ARCH"),
                family: text("CARGO_CFG_TARGET_FAMILY"),
                vendor,
                os: text("CARGO_CFG_TARGET_OS"),
                env: text("CARGO_CFG_TARGET_ENV"),
            },
        }
    }
}
