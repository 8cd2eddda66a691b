//! Contestants are measured beside the candidates, and nothing that one does or lacks changes what becomes of them.

use crate::support::models;
use crate::support::program::{environment, users_cache};
use kokoro_model::BaseKind;
use xtask::artifacts::Artifact;
use xtask::base::{Base, BaseId};
use xtask::digest::Digest;
use xtask::environment::Environment;
use xtask::fetch::SourceArgs;
use xtask::gates::Gate;
use xtask::judge::{Candidate, Judge, Judged, Question, Scope};
use xtask::recipe::{ContestantRecipe, Recipe, Source, SourceFile};
use xtask::results::Contestant;
use xtask::scheme::SchemeName;
use xtask::workspace::Workspace;

/// The committed recipe with contestants of its own; each is a file of these bytes, in the cache or not.
struct Contest {
    folder: tempfile::TempDir,
    recipe: Recipe,
    workspace: Workspace,
}

impl Contest {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        fs_err::create_dir(&cache).unwrap();
        let environment = Environment {
            cache: Some(cache.clone()),
            ort_dylib_path: environment().ort_dylib_path,
            ..Environment::default()
        };
        let workspace =
            Workspace::of_this_build(environment).with_artifacts(&folder.path().join("artifacts"));
        let mut recipe = workspace.recipe().unwrap();
        recipe.contestants.clear();
        recipe.gates.bench = recipe.gates.bench.with_runs(2);
        // The voices are the user's own, which are only read.
        for digest in recipe.voices.sha256.values() {
            let (from, to) = (users_cache().join(digest.to_string()), cache.join(digest.to_string()));
            if from.exists() {
                fs_err::create_dir(&to).unwrap();
                for file in fs_err::read_dir(&from).unwrap() {
                    let file = file.unwrap();
                    fs_err::copy(file.path(), to.join(file.file_name())).unwrap();
                }
            }
        }
        Self { folder, recipe, workspace }
    }

    /// Enters a contestant; `is_fetched` says whether its file is in the cache.
    fn enter(&mut self, name: &str, bytes: &[u8], is_fetched: bool) {
        let file = format!("{name}.onnx");
        let sha256 = Digest::of(bytes);
        if is_fetched {
            let entry = self.folder.path().join("cache").join(sha256.to_string());
            fs_err::create_dir_all(&entry).unwrap();
            fs_err::write(entry.join(&file), bytes).unwrap();
        }
        self.recipe.files.push(SourceFile {
            name: file.clone(),
            bytes: bytes.len() as u64,
            sha256,
            licence: "MIT".into(),
            attribution: "a test".into(),
            sources: vec![Source::Https(crate::support::NOWHERE.into())],
        });
        self.recipe.contestants.push(ContestantRecipe { name: name.into(), file });
    }

    /// Times a base and one candidate, both clear, and whoever was entered.
    fn judge(&self, kind: BaseKind) -> Judged {
        let bytes: bytes::Bytes = models::encode(&models::clear()).into();
        let id = BaseId { name: "clear".into(), kind, sha256: Digest::of(&bytes) };
        let base = Base { id, file_bytes: bytes.len() as u64, bytes, export: None };
        let scheme = SchemeName::WeightsInt8;
        let mut model = base.decode().unwrap();
        quantizer::schemes::quantize(&mut model, &*scheme.build(&self.recipe, None).unwrap()).unwrap();
        let metadata = xtask::describe::metadata(&model, &base, scheme, &self.recipe, None).unwrap();
        let artifact: Artifact = self
            .workspace
            .artifacts()
            .stage(
                "clear",
                scheme.as_str(),
                |mut file| quantizer::model::encode(&model, &mut file),
                |_, sha256, bytes| Ok((xtask::describe::with_file(metadata, sha256, bytes), None)),
            )
            .unwrap();
        let sources = SourceArgs { offline: true, ..SourceArgs::default() };
        let fetcher = self.workspace.fetcher(&sources).unwrap();
        let question = Question { only: &[Gate::Bench], scope: Scope::Full, proof: None, all_proved: false };
        let judge = Judge::new(&self.workspace, &self.recipe, &fetcher, &base, question).unwrap();
        let candidate = Candidate { scheme, artifact: &artifact, proved: None };
        judge.all([candidate].into_iter()).unwrap()
    }
}

#[test]
fn each_is_measured_or_says_why_not() {
    let mut contest = Contest::new();
    contest.enter("good", &models::encode(&models::noise(0.2, models::TOKEN_IDS)), true);
    contest.enter("unreachable", b"never fetched", false);
    contest.enter("garbage", b"no model at all", true);
    let results = contest.judge(BaseKind::Restored).results;

    let Contestant::Measured(good) = &results.contestants["good"] else {
        panic!("{:?}", results.contestants)
    };
    assert!(good.speed_ratio.is_some() && good.benchmark.is_some(), "{good:?}");
    assert_eq!((good.notes.len(), good.file.as_str()), (0, "good.onnx"));
    assert_eq!(good.operators["Gather"].after, 1);
    for (name, expected) in [("unreachable", "unreachable.onnx"), ("garbage", "expected an ONNX model")] {
        let Contestant::Unavailable(why) = &results.contestants[name] else {
            panic!("`{name}` was measured")
        };
        assert!(why.reason.contains(expected), "{}", why.reason);
    }
    let candidate = &results.candidates["weights-int8"];
    assert!(candidate.speed_ratio.is_some() && candidate.gates.bench.is_some());
}

#[test]
fn one_that_fails_while_it_speaks_does_not_take_the_timing_of_a_candidate() {
    let mut contest = Contest::new();
    // A table of half the tokens: loads, and has no row for most sentences.
    contest.enter("broken", &models::encode(&models::noise(0.1, models::TOKEN_IDS / 2)), true);
    let results = contest.judge(BaseKind::Restored).results;
    let Contestant::Measured(broken) = &results.contestants["broken"] else { panic!("not opened") };
    assert_eq!((&broken.speed_ratio, &broken.benchmark), (&None, &None));
    assert!(broken.notes[0].contains("`broken` cannot be measured"), "{:?}", broken.notes);
    assert!(results.candidates["weights-int8"].speed_ratio.is_some());
}

#[test]
fn a_base_of_the_users_own_has_none() {
    let mut contest = Contest::new();
    contest.enter("good", &models::encode(&models::clear()), true);
    assert!(contest.judge(BaseKind::Local).results.contestants.is_empty());
}
