//! The ONNX Runtime library: from an archive, from the user.

use std::collections::BTreeMap;

use flate2::write::GzEncoder;
use xtask::digest::Digest;
use xtask::failure::exit_code;
use xtask::fetch::{Origin, SourceError};
use xtask::recipe::{Archive, Platform, RuntimeRecipe, RuntimeSource};

use crate::support::server::{Reply, Server};
use crate::support::{Bench, NOWHERE, reasons};

/// A gzipped tarball with one member.
fn tarball(member: &str, bytes: &[u8]) -> Vec<u8> {
    let mut tarball = tar::Builder::new(GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    tarball.append_data(&mut header, member, bytes).unwrap();
    tarball.into_inner().unwrap().finish().unwrap()
}

/// A recipe for this machine with one archive as its source.
fn recipe(archive: &[u8]) -> RuntimeRecipe {
    let archive = Archive {
        url: format!("{NOWHERE}/runtime.tgz"),
        sha256: Digest::of(archive),
        at_most_bytes: 10_000,
        member: "runtime/lib/libruntime.so".to_owned(),
    };
    let here = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    RuntimeRecipe {
        version: "1.0".to_owned(),
        licence: "MIT".to_owned(),
        attribution: "nobody".to_owned(),
        platforms: BTreeMap::from([(here, Platform { sources: vec![RuntimeSource::Archive(archive)] })]),
    }
}

#[test]
fn the_library_of_an_archive_is_what_the_archive_holds() {
    let archive = tarball("./runtime/lib/libruntime.so", b"a library");
    let recipe = recipe(&archive);
    let server = Server::start(move |_, _| Reply::whole(&archive));
    let bench = Bench::new();
    let library = bench.mirrored(&server.http()).onnxruntime(&recipe).unwrap();
    assert_eq!(fs_err::read(&library.path).unwrap(), b"a library");
    assert_eq!(library.sha256, Digest::of(b"a library"));
    assert_eq!(library.version.as_deref(), Some("1.0"));
    assert!(library.path.ends_with("libruntime.so"));
    assert!(server.requests()[0].path.ends_with("/runtime.tgz"));

    let offline = bench.fetcher(|options| options.offline = true);
    assert_eq!(offline.onnxruntime(&recipe).unwrap().origin, Origin::Cache);
    fs_err::write(&library.path, b"a bad one").unwrap();
    let mended = offline.onnxruntime(&recipe).unwrap();
    assert_eq!(fs_err::read(mended.path).unwrap(), b"a library");
}

#[test]
fn an_archive_without_the_library_or_with_too_large_a_one_is_refused() {
    let other = tarball("runtime/lib/other.so", b"a library");
    let large = tarball("runtime/lib/libruntime.so", &[0; 10_001]);
    for archive in [other, large] {
        let recipe = recipe(&archive);
        let server = Server::start(move |_, _| Reply::whole(&archive));
        let error = Bench::new().mirrored(&server.http()).onnxruntime(&recipe).unwrap_err();
        assert_eq!(exit_code(&error), 3);
        let refused = matches!(
            reasons(&error)[0],
            SourceError::Archive { .. } | SourceError::TooLarge { limit: 10_000, .. }
        );
        assert!(refused, "{error:#}");
    }
}

#[test]
fn a_library_of_ones_own_is_known_by_its_digest() {
    let bench = Bench::new();
    let path = bench.folder().join("own.so");
    let recipe = recipe(b"");
    let fetcher = bench.fetcher(|options| options.onnxruntime = Some(path.clone()));
    let error = fetcher.onnxruntime(&recipe).unwrap_err();
    assert_eq!(exit_code(&error), 2);

    fs_err::write(&path, b"own").unwrap();
    let library = fetcher.onnxruntime(&recipe).unwrap();
    assert_eq!((library.path, library.sha256), (path, Digest::of(b"own")));
    assert_eq!((library.version, library.origin), (None, Origin::Given));
}

#[test]
fn a_platform_without_a_pin_is_told_what_to_do() {
    let mut recipe = recipe(b"");
    recipe.platforms.clear();
    let error = Bench::new().fetcher(|_| {}).onnxruntime(&recipe).unwrap_err();
    assert_eq!(exit_code(&error), 2);
    assert!(format!("{error:#}").contains("--onnxruntime PATH"), "{error:#}");
}
