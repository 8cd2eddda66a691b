//! What the build script takes from the recipe: the voices. `xtask` reads and checks the rest.
//!
//! It is always read, since the enum `Voice` is generated from it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// The recipe, from the folder of the package.
pub const PATH: &str = "models/kokoro-v1.0.toml";

/// The part of a recipe that is read here.
#[derive(Clone, Debug, Deserialize)]
pub struct Recipe {
    /// Its voices.
    pub voices: Voices,
}

/// The voices of a recipe.
#[derive(Clone, Debug, Deserialize)]
pub struct Voices {
    /// The size of each file.
    pub bytes: u64,
    /// The digest of each file `<name>.bin`, by the name of the voice.
    pub sha256: BTreeMap<String, String>,
}

/// Reads the recipe at `path`.
///
/// # Errors
/// A message that names the file.
pub fn read(path: &Path) -> Result<Recipe, String> {
    let text = fs_err::read_to_string(path).map_err(|error| error.to_string())?;
    toml::from_str(&text).map_err(|error| format!("`{}`: {error}", path.display()))
}
