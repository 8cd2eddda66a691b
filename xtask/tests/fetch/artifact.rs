//! Released artifacts: what fills the cache, and what is kept out of it.

use std::path::{Path, PathBuf};
use std::thread;

use tar::EntryType;
use xtask::digest::Digest;
use xtask::failure::exit_code;
use xtask::fetch::{FetchError, FetchedArtifact, Origin, Size, SourceError};

use crate::support::program::Program;
use crate::support::release::{CHOSEN, Files, METADATA, MODEL, PREPARED, SUMS, compressed};
use crate::support::server::{Reply, Server, from};
use crate::support::{Bench, message, reasons};

const NAME: &str = "kokoro-v1.0.weights-int8.tar.zst";

/// Writes an archive where the user would have it.
fn write(bench: &Bench, archive: &[u8]) -> String {
    let path = bench.folder().join(NAME);
    fs_err::write(&path, archive).unwrap();
    path.to_str().unwrap().to_owned()
}

fn cached(bench: &Bench, digest: Digest, name: &str) -> PathBuf {
    bench.cache().entry(name, digest, Size::AtMost(0)).path()
}

/// Whether the cache has all that a build needs of `files`, as it is.
#[track_caller]
fn assert_kept(bench: &Bench, files: &Files, artifact: &FetchedArtifact) {
    for name in [MODEL, PREPARED, METADATA] {
        let path = cached(bench, files.digest(name), name);
        assert!(fs_err::read(path).unwrap() == files.0[name], "`{name}` is not what it was");
    }
    assert_eq!(artifact.variable, format!("sha256:{}", files.digest(METADATA)));
    let names: Vec<_> = artifact.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, [MODEL, PREPARED, METADATA]);
}

/// Whether the cache has nothing that a build could take.
fn is_kept_out(folder: &Path) -> bool {
    fs_err::read_dir(folder).unwrap().all(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return is_kept_out(&path);
        }
        path.extension().is_none_or(|extension| extension != "onnx" && extension != "json")
    })
}

#[test]
fn an_archive_fills_the_cache_once() {
    let files = Files::new();
    let bench = Bench::new();
    let path = write(&bench, &files.archive());
    // No network is asked for what is on the disk.
    let fetcher = bench.fetcher(|options| options.offline = true);

    let first = fetcher.artifact(&path, None).unwrap();
    assert_kept(&bench, &files, &first);
    assert!(first.files.iter().all(|file| file.origin == Origin::Source(path.clone())));
    let again = fetcher.artifact(&path, Some(Digest::of(&files.archive()))).unwrap();
    assert_kept(&bench, &files, &again);
    assert!(again.files.iter().all(|file| file.origin == Origin::Cache));
    assert_eq!(fs_err::read(&path).unwrap(), files.archive(), "the user's file");

    let entries = fs_err::read_dir(bench.cache().folder()).unwrap();
    assert_eq!(entries.count(), 3 + 1 + 1, "three files, the archive, and the locks");
}

#[test]
fn altered_files_of_the_cache_are_replaced() {
    let files = Files::new();
    let bench = Bench::new();
    let path = write(&bench, &files.archive());
    bench.fetcher(|_| ()).artifact(&path, None).unwrap();
    let model = cached(&bench, files.digest(MODEL), MODEL);
    fs_err::write(&model, b"altered").unwrap();
    let again = bench.fetcher(|_| ()).artifact(&path, None).unwrap();
    assert_kept(&bench, &files, &again);
    assert_eq!(fs_err::read(model.with_extension("onnx.rejected")).unwrap(), b"altered");
}

#[test]
fn a_pinned_archive_comes_from_a_mirror_and_is_resumed() {
    let files = Files::new();
    let archive = files.archive();
    let digest = Digest::of(&archive);
    let server = Server::start({
        let archive = archive.clone();
        move |number, request| match from(request) {
            None if number == 0 => Reply::cut(&archive, 100_000).etag("one"),
            Some(at) => Reply::partial(&archive, at, at).etag("one"),
            None => Reply::status(500),
        }
    });
    let bench = Bench::new();
    // Nobody listens at the address itself.
    let address = format!("https://127.0.0.1:1/{NAME}");
    let artifact = bench.mirrored(&server.http()).artifact(&address, Some(digest)).unwrap();
    assert_kept(&bench, &files, &artifact);
    assert_eq!(server.requests()[0].path, format!("/{digest}/{NAME}"));
    assert_eq!(from(&server.requests()[1]), Some(100_000));

    let offline = bench.fetcher(|options| options.offline = true);
    assert_kept(&bench, &files, &offline.artifact(&address, Some(digest)).unwrap());
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn an_archive_with_another_digest_is_not_opened() {
    let files = Files::new();
    let other = Digest::of(b"another archive");
    let bench = Bench::new();
    let path = write(&bench, &files.archive());
    let server = Server::start({
        let archive = files.archive();
        move |_, _| Reply::whole(&archive)
    });
    for (from, fetcher) in [
        (path.clone(), bench.fetcher(|_| ())),
        (format!("https://127.0.0.1:1/{NAME}"), bench.mirrored(&server.http())),
    ] {
        let error = fetcher.artifact(&from, Some(other)).unwrap_err();
        assert_eq!(exit_code(&error), 3, "{error:#}");
        let message = message(&error);
        for digest in [other, Digest::of(&files.archive())] {
            assert!(message.contains(&digest.to_string()), "{message}");
        }
        let rejected = cached(&bench, other, &format!("{NAME}.rejected"));
        assert_eq!(fs_err::read(&rejected).unwrap(), files.archive());
        fs_err::remove_file(rejected).unwrap();
    }
    assert!(is_kept_out(bench.cache().folder()) && Path::new(&path).exists());
}

#[test]
fn each_tampered_member_is_named() {
    let files = Files::new();
    let names: Vec<_> = files.0.keys().filter(|name| *name != SUMS).cloned().collect();
    assert_eq!(names.len(), 6);
    for name in names {
        let mut tampered = files.clone();
        tampered.0.get_mut(&name).unwrap()[3] ^= 1;
        let bench = Bench::new();
        let path = write(&bench, &tampered.archive());
        let error = bench.fetcher(|_| ()).artifact(&path, None).unwrap_err();
        assert_eq!(exit_code(&error), 3, "{error:#}");
        let message = message(&error);
        assert!(message.contains(&format!("`{name}`: sha256 in `SHA256SUMS`")), "{message}");
        assert!(message.contains(&files.digest(&name).to_string()), "{message}");
        assert!(is_kept_out(bench.cache().folder()), "{message}");
        let archive = tampered.archive();
        let rejected = cached(&bench, Digest::of(&archive), &format!("{NAME}.rejected"));
        assert_eq!(fs_err::read(rejected).unwrap(), archive);
    }
}

/// A release whose checksums are right, and whose files do not fit each other all the same.
#[test]
fn a_release_that_contradicts_itself_is_refused() {
    type Change = fn(&mut Files);
    let changes: [(Change, &str); 9] = [
        (
            |it| it.describe(|json| json["sha256"] = "2".repeat(64).into()),
            "but `kokoro-v1.0.weights-int8.json` names",
        ),
        (|it| it.describe(|json| json["name"] = "other.onnx".into()), "names `other.onnx` with"),
        (
            |it| it.describe(|json| json["prepared"]["sha256"] = "2".repeat(64).into()),
            "wrong digest of `kokoro-v1.0.weights-int8.prepared`",
        ),
        (|it| it.describe(|json| json["prepared"]["sha256"] = "2".into()), "64 lower-case hex digits"),
        (|it| it.describe(|json| json["colour"] = "blue".into()), "unknown field `colour`"),
        (|it| it.describe(|json| json["bytes"] = 700_000.into()), "has 600000 bytes, expected 700000"),
        (|it| it.put("extra", b"unlisted"), "`extra`: is listed: `SHA256SUMS` does not list it"),
        (
            |it| drop(it.0.remove("report.html")),
            "`report.html`: is there: `SHA256SUMS` lists it, and it is missing",
        ),
        (
            |it| {
                let text = String::from_utf8(it.0[CHOSEN].clone()).unwrap();
                it.put(CHOSEN, text.replace(MODEL, "../a.onnx").as_bytes());
                it.sum();
            },
            "`chosen.json` names `../a.onnx` with",
        ),
    ];
    for (change, expected) in changes {
        let mut files = Files::new();
        change(&mut files);
        let bench = Bench::new();
        let path = write(&bench, &files.archive());
        let error = bench.fetcher(|_| ()).artifact(&path, None).unwrap_err();
        let message = message(&error);
        assert!(exit_code(&error) == 3 && message.contains(expected), "no `{expected}` in: {message}");
        assert!(is_kept_out(bench.cache().folder()), "{message}");
    }
}

/// Each way to be hostile is tried on the reader itself; here is what becomes of such an archive.
#[test]
fn hostile_archives_write_nowhere() {
    let files = Files::new();
    let escaping = Files([("../../escaped.json".to_owned(), b"{}".to_vec())].into());
    let whole = files.archive();
    let odd = [
        (escaping.archive(), "is not a path below the folder of the release"),
        (files.archive_with(CHOSEN, |it| it.set_entry_type(EntryType::Symlink)), "is not a plain file"),
        (whole[..whole.len() / 2].to_vec(), "failed to fill whole buffer"),
        ([whole.as_slice(), b"more"].concat(), "expected nothing behind the compressed bytes"),
        (b"no archive at all".to_vec(), "expected Zstandard data"),
        (compressed(&[0; 1024]), "there is no file in it"),
    ];
    for (archive, expected) in odd {
        let bench = Bench::new();
        let path = write(&bench, &archive);
        let error = bench.fetcher(|_| ()).artifact(&path, None).unwrap_err();
        let message = message(&error);
        assert!(exit_code(&error) == 3 && message.contains(expected), "no `{expected}` in: {message}");
        assert!(message.contains(".rejected`"), "{message}");
        assert!(is_kept_out(bench.cache().folder()), "{message}");
        let beside: Vec<_> = fs_err::read_dir(bench.folder()).unwrap().collect();
        assert_eq!(beside.len(), 2, "the archive and the cache: {beside:?}");
    }
}

#[test]
fn a_folder_and_a_lone_model_serve_as_well() {
    let files = Files::new();
    let bench = Bench::new();
    let folder = bench.folder().join("unpacked");
    files.unpack(&folder);
    let artifact = bench.fetcher(|_| ()).artifact(folder.to_str().unwrap(), None).unwrap();
    assert_kept(&bench, &files, &artifact);
    assert!(artifact.archive.is_none());

    let bench = Bench::new();
    let model = folder.join(MODEL);
    let artifact =
        bench.fetcher(|_| ()).artifact(model.to_str().unwrap(), Some(files.digest(MODEL))).unwrap();
    assert_kept(&bench, &files, &artifact);

    fs_err::write(folder.join("report.html"), b"another report").unwrap();
    let error = bench.fetcher(|_| ()).artifact(folder.to_str().unwrap(), None).unwrap_err();
    assert!(message(&error).contains("`report.html`: sha256 in `SHA256SUMS`"), "{error:#}");

    let bench = Bench::new();
    let mut other = files.0[MODEL].clone();
    other[9] ^= 1;
    fs_err::write(&model, &other).unwrap();
    let error = bench.fetcher(|_| ()).artifact(model.to_str().unwrap(), None).unwrap_err();
    assert!(matches!(reasons(&error)[0], SourceError::WrongDigest(_)), "{error:#}");
    let rejected = cached(&bench, files.digest(MODEL), &format!("{MODEL}.rejected"));
    assert!(fs_err::read(rejected).unwrap() == other && fs_err::read(&model).unwrap() == other);
    let pin = Some(Digest::of(&other));
    let error = bench.fetcher(|_| ()).artifact(model.to_str().unwrap(), pin).unwrap_err();
    assert!(message(&error).contains(&format!("expected the digest `{}`", Digest::of(&other))), "{error:#}");
}

#[test]
fn two_runs_at_once_do_not_meet() {
    let files = Files::new();
    let bench = Bench::new();
    let path = write(&bench, &files.archive());
    let run = || bench.fetcher(|_| ()).artifact(&path, None).unwrap();
    let artifacts: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for artifact in &artifacts {
        assert_kept(&bench, &files, artifact);
    }
    for name in [MODEL, PREPARED, METADATA] {
        let beside = fs_err::read_dir(cached(&bench, files.digest(name), name).parent().unwrap()).unwrap();
        assert_eq!(beside.count(), 1, "something was left beside `{name}`");
    }
}

#[test]
fn what_cannot_be_meant_is_told() {
    let bench = Bench::new();
    let pin = Some(Digest::of(b""));
    let folder = bench.folder().to_str().unwrap().to_owned();
    let address = format!("https://127.0.0.1:1/{NAME}");
    let plain = Server::start(|_, _| Reply::status(404));
    let over_http = format!("{}/{NAME}", plain.http());
    let missing = format!("{folder}/missing.tar.zst");
    for (from, pin, offline, code, expected) in [
        (folder.as_str(), pin, false, 2, "is a folder"),
        (folder.as_str(), None, false, 3, "expected `SHA256SUMS`, found none"),
        ("https://127.0.0.1:1/model.tar.gz", pin, false, 2, "expected the address of a `.tar.zst` file"),
        (&over_http, None, false, 3, "over https only"),
        (&over_http, pin, false, 3, "only a mirror may be asked over plain http"),
        (&address, None, true, 3, NAME),
        (&address, pin, true, 3, NAME),
        (&address, None, false, 3, "could not connect"),
        (&missing, None, false, 3, "missing.tar.zst"),
    ] {
        let error = bench.fetcher(|options| options.offline = offline).artifact(from, pin).unwrap_err();
        let message = message(&error);
        assert!(exit_code(&error) == code && message.contains(expected), "`{from}`: {message}");
        let told = matches!(error.downcast_ref::<FetchError>(), Some(FetchError::Offline { .. }));
        assert_eq!(told, offline, "{message}");
    }
    assert_eq!(plain.connections(), 0);
}

#[test]
fn the_command_fetches_over_https_and_prints_what_a_build_needs() {
    let files = Files::new();
    let archive = files.archive();
    let mut program = Program::with_empty_cache();
    let certificate = program.path("certificate.pem");
    let server = Server::secure(&certificate, {
        let archive = archive.clone();
        move |number, request| match (number, from(request)) {
            (0, _) => Reply::cut(&archive, 100_000).etag("one"),
            (1, Some(at)) => Reply::partial(&archive, at, at).etag("one"),
            _ => Reply::whole(&archive),
        }
    });
    let address = format!("{}/releases/{NAME}", server.https());
    let untrusted = program.run(&["fetch", "--artifact", &address]);
    assert_eq!(untrusted.code, Some(3), "{}", untrusted.errors);
    assert!(server.requests().is_empty(), "a server that proved nothing was asked");

    program.trust(certificate);
    let digest = Digest::of(&archive).to_string();
    let ended = program.run(&["fetch", "--artifact", &address]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert_eq!(from(&server.requests()[1]), Some(100_000), "a download that was cut is resumed");
    let line = format!("KOKORO_MODEL_ARTIFACT=sha256:{}", files.digest(METADATA));
    assert_eq!(ended.output.lines().last(), Some(line.as_str()));
    assert!(ended.errors.contains(&format!("--sha256 {digest}")), "{}", ended.errors);
    assert!(ended.errors.contains("`kokoro-v1.0-restored`"), "{}", ended.errors);

    let ended = program.run(&["fetch", "--artifact", &address, "--sha256", &digest, "--offline", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let said: serde_json::Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!(said["artifact"]["files"][0]["sha256"], files.digest(MODEL).to_string());
    assert!(!ended.errors.contains("nothing pinned"), "{}", ended.errors);

    for arguments in
        [&["--sha256", "abc", "--artifact", "a"][..], &["--sha256", &digest], &["--artifact", "a", "--all"]]
    {
        let ended = program.run(&[&["fetch"], arguments].concat());
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.errors);
    }
    assert!(program.left_nothing_temporary());
}
