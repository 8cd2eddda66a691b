use super::*;

type Change = fn(&mut Lock, Digest);

fn lock() -> Lock {
    let digest = |text: &str| Digest::of(text.as_bytes());
    let artifact = LockedArtifact {
        sha256: digest("onnx"),
        bytes: 4,
        prepared: digest("prepared"),
        metadata: digest("metadata"),
    };
    Lock {
        version: VERSION,
        tool: "0.1.0+0123456789ab".into(),
        recipe: digest("recipe"),
        plan: digest("plan"),
        corpus: digest("corpus"),
        proto: digest("proto"),
        proof: Some(digest("proof")),
        onnxruntime: LockedRuntime {
            version: "1.26.0".into(),
            recipe: digest("runtime"),
            library: [("linux-x86_64".into(), digest("library"))].into(),
        },
        sources: [("kokoro-v1.0.onnx".into(), digest("source")), ("af_heart.bin".into(), digest("voice"))]
            .into(),
        base: [(
            "kokoro-v1.0-restored".into(),
            LockedBase { sha256: digest("base"), artifact: [("weights-int8".into(), artifact)].into() },
        )]
        .into(),
    }
}

fn complaint(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.lock.toml");
    fs_err::write(&path, text).unwrap();
    let error = Lock::read(&path).unwrap_err();
    assert_eq!(crate::failure::exit_code(&error), 2);
    let message = format!("{error:#}");
    assert!(message.contains(&path.display().to_string()), "{message}");
    message
}

#[test]
fn what_is_written_is_read_and_says_who_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.lock.toml");
    assert_eq!(Lock::find(&path).unwrap(), None);
    lock().write(&path).unwrap();
    assert_eq!(Lock::find(&path).unwrap(), Some(lock()));
    let text = fs_err::read_to_string(&path).unwrap();
    assert!(text.starts_with("# ") && text.contains("`cargo xtask quantize --update-lock`"), "{text}");
    let (voice, model) = (text.find("af_heart").unwrap(), text.find("\"kokoro-v1.0.onnx\"").unwrap());
    assert!(voice < model, "the sources are not sorted: {text}");
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1, "something is left beside the lock");
}

#[test]
fn what_is_not_known_is_refused() {
    let written = || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock.toml");
        lock().write(&path).unwrap();
        fs_err::read_to_string(&path).unwrap()
    };
    let artifact = "[base.kokoro-v1.0-restored.artifact";
    for (old, new, expected) in [
        ("version = 1\n", "version = 1\nhost = \"x\"\n", "unknown field `host`"),
        ("[onnxruntime]\n", "[onnxruntime]\nflags = 1\n", "unknown field `flags`"),
        ("bytes = 4", "bytes = 4\nseconds = 4", "unknown field `seconds`"),
        ("bytes = 4", "", "missing field `bytes`"),
        ("version = 1\n", "version = 2\n", "`version`: expected 1, found 2"),
        ("recipe = \"", "recipe = \"0", "64 lower-case hex digits"),
    ] {
        let text = written();
        assert!(text.contains(old), "no `{old}` in: {text}");
        let message = complaint(&text.replacen(old, new, 1));
        assert!(message.contains(expected), "`{new}`: no `{expected}` in: {message}");
    }
    assert!(!written().contains(artifact), "a name with a dot in it has to be quoted");
}

#[test]
fn every_input_that_differs_is_named() {
    let other = Digest::of(b"other");
    let cases: [(Change, &str); 9] = [
        (|it, _| it.tool = "0.2.0".into(), "the version of the quantizer"),
        (|it, other| it.recipe = other, "the recipe"),
        (|it, other| it.plan = other, "the plan"),
        (|it, other| it.corpus = other, "the corpus of sentences"),
        (|it, other| it.proto = other, "`proto/onnx.proto`"),
        (|it, _| it.onnxruntime.version = "1.27.0".into(), "the version of ONNX Runtime"),
        (|it, other| it.onnxruntime.recipe = other, "the recipe of ONNX Runtime"),
        (
            |it, other| it.onnxruntime.library = [("linux-x86_64".into(), other)].into(),
            "the ONNX Runtime library of `linux-x86_64`",
        ),
        (|it, other| *it.sources.get_mut("af_heart.bin").unwrap() = other, "source `af_heart.bin`"),
    ];
    for (change, what) in cases {
        let mut present = lock();
        change(&mut present, other);
        let differences = lock().differences(&present);
        assert_eq!(differences.len(), 1, "{differences:?}");
        assert_eq!(differences[0].what, what);
        assert_ne!(differences[0].locked, differences[0].found);
    }
    let mut present = lock();
    present.sources.remove("af_heart.bin");
    present.sources.insert("bf_emma.bin".into(), other);
    let lines: Vec<String> = lock().differences(&present).iter().map(ToString::to_string).collect();
    let voice = Digest::of(b"voice");
    assert_eq!(
        lines,
        [
            format!("  source `af_heart.bin`\n    lock  {voice}\n    found none"),
            format!("  source `bf_emma.bin`\n    lock  none\n    found {other}"),
        ]
    );
    // What was made is no input.
    present = lock();
    present.base.clear();
    assert_eq!(lock().differences(&present), []);
}
