//! Voices in an archive of NumPy's, from a server that may send anything.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use xtask::digest::Digest;
use xtask::failure::exit_code;
use xtask::fetch::{Fetcher, Origin, SourceError};
use xtask::recipe::{NpmMembers, NpzMembers, Recipe, VoiceSource, Voices};
use zip::CompressionMethod::{self, Deflated, Stored};
use zip::write::SimpleFileOptions;

use crate::support::server::{Reply, Server, from};
use crate::support::{Bench, message, only_extensions, reasons};

const SHAPE: [u64; 3] = [2, 1, 3];

/// What NumPy writes in front of an array of these.
const HEADER: &str = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 3), }";

/// The values of the voice called `name`.
fn values(name: &str) -> Vec<u8> {
    let first = f32::from(name.as_bytes()[0]);
    (0..6_u8).flat_map(|at| (first + f32::from(at)).to_le_bytes()).collect()
}

/// An `.npy` file of this version with `header` and `values`.
fn npy(version: u8, header: &str, values: &[u8]) -> Vec<u8> {
    let mut file = [b"\x93NUMPY".as_slice(), &[version, 0]].concat();
    match version {
        1 => file.extend((header.len() as u16).to_le_bytes()),
        _ => file.extend((header.len() as u32).to_le_bytes()),
    }
    file.extend(header.as_bytes());
    file.extend(values);
    file
}

fn good(name: &str) -> Vec<u8> {
    npy(1, &format!("{HEADER:117}\n"), &values(name))
}

fn npz(members: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A recipe with voices `a` and `b`, which `address` has in an archive of this size, and then npm.
fn recipe(address: &str, bytes: usize) -> Recipe {
    let npz = NpzMembers {
        https: format!("{address}/release/voices.bin"),
        bytes: bytes as u64,
        member: "{name}.npy".to_owned(),
        shape: SHAPE.to_vec(),
    };
    let npm = NpmMembers {
        package: "speech".to_owned(),
        version: "1.0".to_owned(),
        member: "package/{name}.bin".to_owned(),
    };
    let voices = Voices {
        bytes: 24,
        licence: "MIT".to_owned(),
        attribution: "nobody".to_owned(),
        sources: vec![VoiceSource::Npz(npz), VoiceSource::Npm(npm)],
        sha256: BTreeMap::from(["a", "b"].map(|name| (name.to_owned(), Digest::of(&values(name))))),
    };
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/kokoro-v1.0.toml");
    Recipe { voices, ..Recipe::load(&model).unwrap() }
}

/// A server that proves who it is, to a fetcher that has no programs.
fn served(
    answer: impl Fn(usize, Option<usize>) -> Reply + Send + Sync + 'static,
) -> (Bench, Server, Fetcher) {
    let bench = Bench::new();
    let certificate = bench.folder().join("certificate.pem");
    let server = Server::secure(&certificate, move |number, request| answer(number, from(request)));
    let fetcher = bench.fetcher(|options| options.certificates = Some(certificate));
    (bench, server, fetcher)
}

#[test]
fn one_visit_brings_all_voices_and_needs_no_program() {
    for (method, version) in [(Stored, 1), (Deflated, 1), (Stored, 2), (Deflated, 3)] {
        let b = npy(version, HEADER, &values("b"));
        let members = [("b.npy", b), ("../c.npy", good("c")), ("a.npy", good("a"))];
        let archive = npz(&members, method);
        let length = archive.len();
        let (bench, server, fetcher) = served(move |_, _| Reply::whole(&archive));
        let recipe = recipe(&server.https(), length);
        let voice = fetcher.voice(&recipe, "a").unwrap();
        assert_eq!(voice.origin, Origin::Source(format!("{}/release/voices.bin", server.https())));
        assert_eq!(fs_err::read(voice.path).unwrap(), values("a"));
        assert_eq!(fetcher.read_voice(&recipe, "b").unwrap(), values("b"));
        assert_eq!(server.requests().len(), 1, "{method}, version {version}");
        assert!(only_extensions(bench.cache().folder(), &["bin", "lock"]), "the archive was kept");
        assert!(!bench.said().contains("npm"), "{}", bench.said());
    }
}

#[test]
fn a_download_that_broke_is_resumed() {
    let archive = npz(&[("a.npy", good("a")), ("b.npy", good("b"))], Stored);
    let (length, half) = (archive.len(), archive.len() / 2);
    let (bench, server, fetcher) = served(move |_, from| match from {
        None => Reply::cut(&archive, half).etag("one"),
        Some(from) => Reply::partial(&archive, from, from).etag("one"),
    });
    let recipe = recipe(&server.https(), length);
    let voices = fetcher.voices(&recipe, recipe.voice_names()).unwrap();
    assert_eq!(fs_err::read(&voices[1].path).unwrap(), values("b"));
    assert_eq!(server.requests()[1].range.as_deref(), Some(format!("bytes={half}-").as_str()));
    assert!(bench.said().contains("fetched 2 voices in "), "{}", bench.said());
}

/// What is wrong with an archive, the archive, and what the message must say.
fn wrong() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let of = |a: Vec<u8>, method| npz(&[("a.npy", a), ("b.npy", good("b"))], method);
    let header = |old: &str, new: &str| {
        assert!(HEADER.contains(old));
        of(npy(1, &HEADER.replace(old, new), &values("a")), Stored)
    };
    let whole = of(good("a"), Stored);
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let values_at = whole.windows(24).position(|it| it == values("a")).unwrap();
    let mut endless = good("a");
    endless.resize(50 << 20, 0);
    vec![
        (
            "another type",
            header("<f4", "<f8"),
            "`voices.bin`: `a.npy`: expected values of type `<f4`, found `<f8`",
        ),
        ("another byte order", header("<f4", ">f4"), "found `>f4`"),
        ("a structure", header("'<f4'", "[('x', '<f4')]"), "`a.npy`: expected a header with `descr`"),
        ("Fortran's order", header("False", "True"), "`a.npy`: expected values in C order"),
        ("another shape", header("(2, 1, 3)", "(2, 3)"), "expected the shape [2, 1, 3], found [2, 3]"),
        (
            "a shape beyond all",
            header("(2, 1, 3)", "(4294967296, 4294967296, 3)"),
            "`a.npy`: expected the shape [2, 1, 3], found [4294967296, ",
        ),
        ("no header", of(npy(1, "", &values("a")), Stored), "`a.npy`: expected a header"),
        (
            "too long a header",
            of(npy(2, &" ".repeat(1 << 20), b""), Deflated),
            "`a.npy`: expected a header of at most 4096 bytes, found 1048576",
        ),
        ("a later version", of(npy(4, HEADER, &values("a")), Stored), "found 4.0"),
        (
            "something else",
            of(b"PK, but not that".to_vec(), Stored),
            "expected an `.npy` file, found `PK, bu`",
        ),
        ("an empty member", of(Vec::new(), Stored), "`a.npy`: cut short in its header"),
        (
            "too few values",
            of(npy(1, HEADER, &values("a")[..20]), Stored),
            "`a.npy`: expected 24 bytes of values, found 20",
        ),
        (
            "too many values",
            of(npy(1, HEADER, &[values("a"), values("b")].concat()), Deflated),
            "`a.npy`: expected 24 bytes of values, found more",
        ),
        ("no end of values", of(endless, Deflated), "`a.npy`: expected 24 bytes of values, found more"),
        ("a checksum that is none", flipped(values_at), "`a.npy`: Invalid checksum"),
        ("a cut archive", whole[..whole.len() - 30].to_vec(), "`voices.bin`: "),
        ("no archive", b"<!DOCTYPE html>".to_vec(), "`voices.bin`: "),
        (
            "a voice that is missing",
            npz(&[("b.npy", good("b")), ("A.npy", good("a")), ("x/a.npy", good("a"))], Stored),
            "`voices.bin`: expected a member for `a.bin`, found none",
        ),
    ]
}

#[test]
fn what_is_no_archive_of_voices_is_refused_and_npm_is_next() {
    for (what, archive, expected) in wrong() {
        let length = archive.len();
        let (bench, server, fetcher) = served(move |_, _| Reply::whole(&archive));
        let error = fetcher.voice(&recipe(&server.https(), length), "a").unwrap_err();
        assert_eq!(exit_code(&error), 3);
        assert!(
            matches!(reasons(&error)[..], [SourceError::Archive { .. }, SourceError::NoTool { .. }]),
            "{what}: {error:#}"
        );
        let message = message(&error);
        assert!(message.contains(expected), "{what}: no `{expected}` in: {message}");
        assert!(bench.said().contains(expected), "{what}: {}", bench.said());
        assert!(only_extensions(bench.cache().folder(), &["bin", "lock"]), "{what}: something was left");
        assert_eq!(server.requests().len(), 1, "{what}");
    }
}

#[test]
fn other_values_are_a_wrong_digest_and_nobody_else_is_asked() {
    let archive = npz(&[("a.npy", npy(1, HEADER, &values("b"))), ("b.npy", good("b"))], Stored);
    let length = archive.len();
    let (bench, server, fetcher) = served(move |_, _| Reply::whole(&archive));
    let error = fetcher.voice(&recipe(&server.https(), length), "a").unwrap_err();
    let found = Digest::of(&values("b"));
    assert!(
        matches!(reasons(&error)[..], [SourceError::WrongDigest(it)] if it.found == found && it.name == "a.bin"),
        "{error:#}"
    );
    assert!(!bench.said().contains("npm"), "{}", bench.said());
}

#[test]
fn an_archive_of_another_size_or_over_plain_http_is_not_read() {
    let archive = npz(&[("a.npy", good("a")), ("b.npy", good("b"))], Stored);
    let length = archive.len();
    let (bench, server, fetcher) = served({
        let archive = archive.clone();
        move |number, _| match number {
            0 => Reply::whole(&archive),
            _ => Reply::undeclared(&archive),
        }
    });
    for declared in [true, false] {
        let error = fetcher.voice(&recipe(&server.https(), length - 1), "a").unwrap_err();
        let too_large = |error: &SourceError| {
            matches!(error, SourceError::TooLarge { limit, declared: it, .. }
                if *limit == length as u64 - 1 && *it == declared)
        };
        assert!(too_large(reasons(&error)[0]), "{error:#}");
    }
    let plain = Server::start(move |_, _| Reply::whole(&archive));
    let error = fetcher.voice(&recipe(&plain.http(), length), "a").unwrap_err();
    assert!(message(&error).contains("over https only"), "{error:#}");
    assert_eq!(plain.connections(), 0);
    assert!(only_extensions(bench.cache().folder(), &["lock"]), "something was left");
}
