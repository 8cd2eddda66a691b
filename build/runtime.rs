//! The ONNX Runtime library that `models/onnxruntime.toml` pins for the target.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::settings::Target;

/// The recipe of the libraries, from the folder of the package.
pub const PATH: &str = "models/onnxruntime.toml";

/// A library whose digest is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The name of its file, under which `cargo xtask` keeps it.
    pub name: String,
    /// Its digest.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// As much of the recipe as is needed here; `xtask` checks the whole of it.
#[derive(Deserialize)]
struct Recipe {
    platform: BTreeMap<String, Platform>,
}

#[derive(Deserialize)]
struct Platform {
    source: Vec<Source>,
}

#[derive(Deserialize)]
struct Source {
    wheel: Option<Wheel>,
}

#[derive(Deserialize)]
struct Wheel {
    member: String,
    library_bytes: u64,
    library_sha256: String,
}

/// The library for `target`; `None` if there is none, or if only an archive that holds one is pinned.
///
/// # Errors
/// The recipe cannot be read, in one line.
pub fn pinned(recipe: &Path, target: &Target) -> Result<Option<Pinned>, String> {
    let text = fs_err::read_to_string(recipe).map_err(|error| error.to_string())?;
    let recipe: Recipe = toml::from_str(&text).map_err(|error| format!("`{}`: {error}", recipe.display()))?;
    let mut sources = recipe.platform.get(&platform(target)).into_iter().flat_map(|it| &it.source);
    let wheel = sources.find_map(|source| source.wheel.as_ref());
    Ok(wheel.map(|wheel| Pinned {
        name: wheel.member.rsplit('/').next().unwrap_or_default().to_owned(),
        sha256: wheel.library_sha256.clone(),
        bytes: wheel.library_bytes,
    }))
}

/// The name of a platform in the recipe. The Linux libraries are for the GNU C library, so another C library is
/// another platform, which the recipe does not have.
pub fn platform(target: &Target) -> String {
    let Target { os, arch, env, .. } = target;
    match (os.as_str(), env.as_str()) {
        ("linux", "gnu" | "") | ("macos" | "windows", _) => format!("{os}-{arch}"),
        _ => format!("{os}-{arch}-{env}"),
    }
}

/// The Rust source of the library's digest, and of its compressed bytes if it is to be bundled.
///
/// # Errors
/// A path that is not Unicode, which no source can hold.
pub fn generate(pinned: Option<&Pinned>, compressed: Option<&Path>) -> Result<String, String> {
    let library = pinned.map_or("None".to_owned(), |Pinned { name, sha256, bytes }| {
        format!("Some(Library {{ name: {name:?}, sha256: {sha256:?}, bytes: {bytes} }})")
    });
    let bundle = match compressed {
        Some(path) => {
            let path = path.to_str().ok_or_else(|| format!("`{}` is not Unicode", path.display()))?;
            format!("include_bytes!({path:?})")
        }
        None => "&[]".to_owned(),
    };
    Ok(format!(
        "pub(crate) static PINNED: Option<Library> = {library};\n\
         #[cfg(feature = \"bundle-runtime\")]\n\
         pub(crate) static BUNDLE: &[u8] = {bundle};\n"
    ))
}
