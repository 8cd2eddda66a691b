//! A checkout of one's own with few sentences, whose published float model may be a small one.

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
use super::program::{Program, environment, users_cache};

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
    /// With the committed files, but for the digest of the published float model, which is this one and in the cache.
    #[cfg(unix)]
    pub fn new(model: &ModelProto) -> Self {
        let checkout = Self::brief(Program::with_cache_of_links());
        let bytes = models::encode(model);
        let sha256 = Digest::of(&bytes).to_string();
        let published = "7d5df8ecf7d4b1878015a32686053fd0eebe2bc377234608764cc0ef3636a6c5";
        checkout.replace_in_recipe(&[
            ("bytes = 325532387", &format!("bytes = {}", bytes.len())),
            (published, &sha256),
        ]);
        let entry = checkout.cache.join(sha256);
        fs_err::create_dir_all(&entry).unwrap();
        fs_err::write(entry.join("kokoro-v1.0.onnx"), bytes).unwrap();
        checkout
    }

    /// In whose artifacts is what the main job makes of a small model of the user's, `clear`, by these schemes.
    pub fn having_made(schemes: &[SchemeName], runs: usize) -> Self {
        let checkout = Self::brief(Program::with_cache(users_cache()));
        let model = models::write(&models::clear(), &checkout.path("clear.onnx"));
        let base = BaseArgs { model: Some(model), ..BaseArgs::default() };
        let arguments = QuantizeArgs { base, full: true, runs: Some(runs), ..Self::arguments(schemes) };
        checkout.quantize(&arguments).unwrap();
        checkout
    }

    /// With the committed files, and two schemes that a model without Kokoro's convolutions can be made by. No gate says no
    /// for speed, which a busy machine decides; few sentences are said, and nothing but the candidates is measured.
    fn brief(program: Program) -> Self {
        let checkout = Self { cache: program.cache().to_path_buf(), program };
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for folder in ["models", "proto"] {
            fs_err::create_dir(checkout.path(folder)).unwrap();
            for file in fs_err::read_dir(committed.join(folder)).unwrap() {
                let file = file.unwrap().path();
                let name = file.file_name().unwrap().to_str().unwrap();
                if !name.ends_with(".lock.toml") && !name.ends_with(".proof.json") {
                    fs_err::copy(&file, checkout.path(folder).join(name)).unwrap();
                }
            }
        }
        checkout.edit("models/kokoro-v1.0.toml", |recipe| {
            let (before, contestant) = recipe.split_once("[[contestant]]").unwrap();
            let (_, after) = contestant.split_once("[gates.smoke]").unwrap();
            format!("{before}[gates.smoke]{after}")
        });
        let choose = r#"choose = ["fused-int8", "static-int8", "weights-int8", "linear-int8"]"#;
        let make = r#"make = ["fused-int8", "weights-int8", "linear-int8"]"#;
        let short = r#"["held-19", "held-40", "held-43", "held-50", "held-52", "held-55"]"#;
        checkout.replace_in_recipe(&[
            (choose, r#"choose = ["weights-int8", "linear-int8"]"#),
            (make, r#"make = ["weights-int8", "linear-int8"]"#),
            (r#"= ["coreml-int8", "weights-int8"]"#, r#"= ["weights-int8"]"#),
            (r#"= ["static-int8", "weights-int8"]"#, r#"= ["weights-int8"]"#),
            ("min_speed_ratio = 0.85", "min_speed_ratio = 0.0"),
            ("runs = 2\nmost_runs = 8", "runs = 1\nmost_runs = 1"),
            ("runs = 1\nmost_runs = 4", "runs = 1\nmost_runs = 1"),
            (short, r#"["held-43"]"#),
        ]);
        checkout.edit("models/corpus.toml", |corpus| {
            let held_out = |sentence: &str| sentence.contains("set = \"held-out\"");
            let heard = |sentence: &&str| SENTENCES.iter().any(|id| sentence.contains(&format!("\"{id}\"")));
            let kept = corpus.split("[[sentence]]").filter(|it| !held_out(it) || heard(it));
            kept.collect::<Vec<_>>().join("[[sentence]]")
        });
        checkout
    }

    fn replace_in_recipe(&self, replacements: &[(&str, &str)]) {
        self.edit("models/kokoro-v1.0.toml", |recipe| {
            replacements.iter().fold(recipe, |recipe, (old, new)| {
                assert!(recipe.contains(old), "the recipe has no `{old}`");
                recipe.replace(old, new)
            })
        });
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
        let environment = Environment {
            cache: Some(self.cache.clone()),
            ort_dylib_path: environment().ort_dylib_path,
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
