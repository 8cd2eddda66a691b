//! A checkout of one's own, whose published float model is a small one that is in the cache already.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use quantizer::proto::ModelProto;
use xtask::artifacts::Artifacts;
use xtask::base::BaseArgs;
use xtask::commands::quantize::{self, QuantizeArgs};
use xtask::digest::Digest;
use xtask::environment::Environment;
use xtask::fetch::SourceArgs;
use xtask::rebuild::{Rebuilt, rebuild};
use xtask::scheme::SchemeName;
use xtask::workspace::Workspace;

use super::models;
use super::program::Program;

/// The base of [`Checkout`].
pub const BASE: &str = "kokoro-v1.0";

/// Short ones of the held-out sentences: for smoke and fidelity, for fidelity, for bench. A model that says a tenth of a second for
/// each token would talk for a quarter of an hour otherwise.
const SENTENCES: [&str; 3] = ["held-01", "held-43", "held-22"];

pub struct Checkout {
    program: Program,
    cache: PathBuf,
}

impl Checkout {
    /// With the committed files, but for the digest of the published float model, and two schemes that a model without
    /// Kokoro's convolutions can be made by. No gate says no for speed, which a busy machine decides; few sentences are
    /// said, and nothing but the candidates is measured.
    pub fn new(model: &ModelProto) -> Self {
        let program = Program::with_cache_of_links();
        let checkout = Self { cache: program.cache().to_path_buf(), program };
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for folder in ["models", "proto"] {
            fs_err::create_dir(checkout.path(folder)).unwrap();
            for file in fs_err::read_dir(committed.join(folder)).unwrap() {
                let file = file.unwrap().path();
                let name = file.file_name().unwrap().to_str().unwrap();
                if !name.ends_with(".lock.toml") {
                    fs_err::copy(&file, checkout.path(folder).join(name)).unwrap();
                }
            }
        }
        let bytes = models::encode(model);
        let sha256 = Digest::of(&bytes);
        checkout.edit("models/kokoro-v1.0.toml", |recipe| {
            let (before, contestant) = recipe.split_once("[[contestant]]").unwrap();
            let (_, after) = contestant.split_once("[gates.smoke]").unwrap();
            let recipe = format!("{before}[gates.smoke]{after}");
            let published = "7d5df8ecf7d4b1878015a32686053fd0eebe2bc377234608764cc0ef3636a6c5";
            let choose = r#"choose = ["static-int8", "weights-int8", "linear-int8"]"#;
            [
                ("bytes = 325532387".to_owned(), format!("bytes = {}", bytes.len())),
                (published.to_owned(), sha256.to_string()),
                (choose.to_owned(), r#"choose = ["weights-int8", "linear-int8"]"#.to_owned()),
                ("min_speed_ratio = 0.85".to_owned(), "min_speed_ratio = 0.0".to_owned()),
                ("runs = 4".to_owned(), "runs = 1".to_owned()),
            ]
            .iter()
            .fold(recipe, |recipe, (old, new)| {
                assert!(recipe.contains(old), "the recipe has no `{old}`");
                recipe.replace(old, new)
            })
        });
        checkout.edit("models/corpus.toml", |corpus| {
            let held_out = |sentence: &str| sentence.contains("set = \"held-out\"");
            let heard = |sentence: &&str| SENTENCES.iter().any(|id| sentence.contains(&format!("\"{id}\"")));
            let kept = corpus.split("[[sentence]]").filter(|it| !held_out(it) || heard(it));
            kept.collect::<Vec<_>>().join("[[sentence]]")
        });
        let entry = checkout.cache.join(sha256.to_string());
        fs_err::create_dir_all(&entry).unwrap();
        fs_err::write(entry.join("kokoro-v1.0.onnx"), bytes).unwrap();
        checkout
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.program.path(name)
    }

    /// Changes the text of a file.
    pub fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        let path = self.path(name);
        let text = change(fs_err::read_to_string(&path).unwrap());
        fs_err::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Looks for fetched files in an empty folder from now on.
    pub fn without_cache(mut self) -> Self {
        self.cache = self.path("empty");
        self
    }

    pub fn workspace(&self) -> Workspace {
        let library = std::env::var_os("KOKORO_TEST_ONNXRUNTIME").filter(|it| !it.is_empty());
        let environment = Environment {
            cache: Some(self.cache.clone()),
            ort_dylib_path: library.map(PathBuf::from),
            ci: true,
            ..Environment::default()
        };
        Workspace::new(self.path(""), environment)
    }

    pub fn artifacts(&self) -> Artifacts {
        self.workspace().artifacts()
    }

    /// What asks no network, with these schemes.
    pub fn arguments(schemes: &[SchemeName]) -> QuantizeArgs {
        QuantizeArgs {
            schemes: schemes.to_vec(),
            base: BaseArgs { base: Some(BASE.into()), ..BaseArgs::default() },
            sources: SourceArgs { offline: true, ..SourceArgs::default() },
            ..QuantizeArgs::default()
        }
    }

    pub fn quantize(&self, args: &QuantizeArgs) -> anyhow::Result<()> {
        quantize::run(args, &self.workspace())
    }

    /// Makes everything of the lock again.
    pub fn rebuild(&self) -> Rebuilt {
        let workspace = self.workspace();
        let fetcher = workspace.fetcher(&SourceArgs { offline: true, ..SourceArgs::default() }).unwrap();
        rebuild(&workspace, &fetcher, None).unwrap()
    }
}
