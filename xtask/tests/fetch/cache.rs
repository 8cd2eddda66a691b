//! The cache: shared, checked, full.

use std::path::Path;
use std::thread;
use std::time::Duration;

use xtask::failure::exit_code;
use xtask::fetch::{FetchError, Fetcher, Origin, SourceError};

use crate::support::disk::SmallDisk;
use crate::support::server::{Reply, Server};
use crate::support::{Bench, body, file, message, only_extensions, reasons};

#[test]
fn two_runs_at_once_share_one_download() {
    let body = body(100_000);
    let file = file(&body);
    let server = Server::start(move |_, _| {
        // Long enough for the second run to come upon the lock.
        thread::sleep(Duration::from_millis(200));
        Reply::whole(&body)
    });
    let bench = Bench::new();
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| bench.mirrored(&server.http()).file(&file).unwrap());
        server.wait_for_a_request();
        let second = scope.spawn(|| bench.mirrored(&server.http()).file(&file).unwrap());
        (first.join().unwrap(), second.join().unwrap())
    });
    assert!(matches!(first.origin, Origin::Source(_)));
    assert_eq!(second.origin, Origin::Cache);
    assert_eq!(server.requests().len(), 1);
    assert!(bench.said().contains("waiting for another run, which fetches `model.onnx`"), "{}", bench.said());
}

#[test]
fn offline_names_what_is_missing() {
    let bench = Bench::new();
    let fetcher = bench.fetcher(|options| options.offline = true);
    let error = fetcher.file(&file(b"body")).unwrap_err();
    assert_eq!(exit_code(&error), 3);
    assert!(matches!(error.downcast_ref::<FetchError>(), Some(FetchError::Offline { .. })));
    let message = message(&error);
    assert!(message.contains("`model.onnx`") && message.contains("hint: "), "{message}");
    assert!(message.contains(&bench.cache().folder().display().to_string()), "{message}");
    assert!(!bench.cache().folder().exists(), "an offline run wrote into the cache");
}

#[test]
fn an_altered_file_is_moved_aside_and_fetched_again() {
    let body = body(10_000);
    let file = file(&body);
    let server = Server::start({
        let body = body.clone();
        move |_, _| Reply::whole(&body)
    });
    let bench = Bench::new();
    let fetcher = bench.mirrored(&server.http());
    let path = fetcher.file(&file).unwrap().path;
    fs_err::write(&path, b"altered").unwrap();

    let again = fetcher.file(&file).unwrap();
    assert!(matches!(again.origin, Origin::Source(_)));
    assert_eq!(fs_err::read(&path).unwrap(), body);
    assert_eq!(fs_err::read(bench.entry(&file).rejected()).unwrap(), b"altered");
    assert!(bench.said().contains("`model.onnx` in the cache was altered"), "{}", bench.said());

    fs_err::write(&path, b"altered").unwrap();
    let offline = bench.fetcher(|options| options.offline = true);
    let error = offline.read(&file).unwrap_err();
    assert!(matches!(error.downcast_ref::<FetchError>(), Some(FetchError::Offline { .. })), "{error:#}");
    assert!(!path.exists());
}

#[test]
fn a_mirror_must_be_an_http_address() {
    for mirror in ["/srv/cache", "ftp://host/", "file:///srv/cache", "http://", ""] {
        let bench = Bench::new();
        let options = |mirror: &str| {
            let mut options = None;
            bench.fetcher(|it| options = Some(it.clone()));
            let mut options = options.unwrap();
            options.mirror = Some(mirror.to_owned());
            options
        };
        let error = Fetcher::new(bench.cache(), options(mirror)).err();
        let error = error.unwrap_or_else(|| panic!("`{mirror}` was taken"));
        assert_eq!(exit_code(&error), 2, "`{mirror}`: {error:#}");
    }
}

#[test]
fn a_full_disk_is_named_and_keeps_the_part() {
    let body = body(3 << 20);
    let mut file = file(&body);
    let server = Server::start(move |_, _| Reply::whole(&body).etag("one"));
    let next = Server::start(|_, _| Reply::status(404));
    file.sources = vec![xtask::recipe::Source::Https(next.https())];
    let bench = Bench::new();
    let cache = bench.cache().folder().to_owned();
    fs_err::create_dir_all(&cache).unwrap();
    let disk = SmallDisk::mount(&cache);
    let part = bench.entry(&file).part();
    if disk.is_none() {
        if !Path::new("/dev/full").exists() {
            println!("skipped: neither may tmpfs be mounted nor is there a /dev/full");
            return;
        }
        println!("tmpfs may not be mounted: the part is /dev/full");
        fs_err::create_dir_all(part.parent().unwrap()).unwrap();
        #[cfg(unix)]
        fs_err::os::unix::fs::symlink("/dev/full", &part).unwrap();
    }

    let error = bench.mirrored(&server.http()).file(&file).unwrap_err();
    assert_eq!(exit_code(&error), 3);
    assert!(
        matches!(reasons(&error)[0], SourceError::DiskFull { path, needed: 3_145_728, .. } if *path == part),
        "{error:#}"
    );
    let message = message(&error);
    for expected in ["no space left", &part.display().to_string(), "3145728 bytes", "KOKORO_MODEL_CACHE"] {
        assert!(message.contains(expected), "no `{expected}` in: {message}");
    }
    assert_eq!(next.connections(), 0, "no other source has a larger disk");
    assert!(only_extensions(&cache, &["part", "etag", "lock"]));
    if disk.is_some() {
        assert!(fs_err::metadata(&part).unwrap().len() > 512 << 10, "what fits was not kept");
    }
}
