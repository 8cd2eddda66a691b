//! One answer at a time: which are taken, which are refused, which are asked for again.

use xtask::failure::exit_code;
use xtask::fetch::{Origin, RedirectRefused, SourceError};
use xtask::recipe::{Redirects, Source};

use crate::support::server::{Reply, Server};
use crate::support::{Bench, NOWHERE, TIMING, body, file, message, reasons};

#[test]
fn a_file_comes_once_and_stays() {
    let body = body(300_000);
    let file = file(&body);
    let server = Server::start({
        let body = body.clone();
        move |_, _| Reply::whole(&body)
    });
    let bench = Bench::new();
    let fetcher = bench.mirrored(&server.http());

    let first = fetcher.file(&file).unwrap();
    assert_eq!(fs_err::read(&first.path).unwrap(), body);
    assert_eq!(first.path, bench.cache().folder().join(file.sha256.to_string()).join("model.onnx"));
    let address = format!("{}/{}/model.onnx", server.http(), file.sha256);
    assert_eq!(first.origin, Origin::Source(address));
    assert_eq!(server.requests()[0].path, format!("/{}/model.onnx", file.sha256));
    let beside: Vec<_> = fs_err::read_dir(first.path.parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "something was left beside the file: {beside:?}");

    let second = fetcher.file(&file).unwrap();
    assert_eq!(second.origin, Origin::Cache);
    assert_eq!(fetcher.read(&file).unwrap(), body);
    assert_eq!(server.requests().len(), 1);
    assert!(bench.said().contains("model.onnx: 100 %, 0.3 of 0.3 MiB"), "{}", bench.said());
}

#[test]
fn a_wrong_digest_ends_the_run() {
    let body = body(5_000);
    let mut file = file(&body);
    let mut other = body.clone();
    other[4_000] ^= 1;
    let found = xtask::digest::Digest::of(&other);
    let server = Server::start({
        let other = other.clone();
        move |_, _| Reply::whole(&other)
    });
    let next = Server::start(move |_, _| Reply::whole(&body));
    file.sources = vec![Source::Https(next.https())];
    let bench = Bench::new();

    let error = bench.mirrored(&server.http()).file(&file).unwrap_err();
    assert_eq!(exit_code(&error), 3);
    let message = message(&error);
    assert!(message.contains(&file.sha256.to_string()), "{message}");
    assert!(message.contains(&found.to_string()), "{message}");
    assert_eq!(fs_err::read(bench.entry(&file).rejected()).unwrap(), other);
    assert!(!bench.entry(&file).path().exists() && !bench.entry(&file).part().exists());
    assert_eq!(server.requests().len(), 1, "a wrong digest was asked for again");
    assert_eq!(next.connections(), 0, "the next source was asked in silence");
    assert!(!xtask::fetch::is_unavailable(&error));
}

#[test]
fn more_bytes_than_the_recipe_says_are_refused() {
    let body = body(50_000);
    let file = file(&body);
    let longer = [body.as_slice(), b"!"].concat();

    let declared = Server::start({
        let longer = longer.clone();
        move |_, _| Reply::whole(&longer).stalls()
    });
    let bench = Bench::new();
    let error = bench.mirrored(&declared.http()).file(&file).unwrap_err();
    assert!(
        matches!(reasons(&error)[0], SourceError::TooLarge { limit: 50_000, found: 50_001, declared: true }),
        "{error:#}"
    );
    assert!(!bench.entry(&file).part().exists(), "the body was read");

    let sent = Server::start(move |_, _| Reply::undeclared(&longer));
    let bench = Bench::new();
    let error = bench.mirrored(&sent.http()).file(&file).unwrap_err();
    assert!(matches!(reasons(&error)[0], SourceError::TooLarge { declared: false, .. }), "{error:#}");
    assert!(!bench.entry(&file).part().exists(), "what was too large was kept");
    assert_eq!((declared.requests().len(), sent.requests().len()), (1, 1));
}

#[test]
fn fewer_declared_bytes_are_refused() {
    let body = body(50_000);
    let server = Server::start({
        let body = body.clone();
        move |_, _| Reply::whole(&body[1..])
    });
    let bench = Bench::new();
    let error = bench.mirrored(&server.http()).file(&file(&body)).unwrap_err();
    assert!(
        matches!(reasons(&error)[0], SourceError::WrongSize { expected: 50_000, found: 49_999 }),
        "{error:#}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn only_some_answers_are_worth_a_second_question() {
    let mut wrong = Vec::new();
    for (status, asked) in
        [(400, 1), (401, 1), (403, 1), (404, 1), (408, 3), (410, 1), (429, 3), (500, 3), (502, 3), (503, 3)]
    {
        let server = Server::start(move |_, _| Reply::status(status).header("Retry-After", "0"));
        let bench = Bench::new();
        let error = bench.mirrored(&server.http()).file(&file(b"body")).unwrap_err();
        let same = matches!(reasons(&error)[0], SourceError::Status { status: it, .. } if *it == status);
        if !same || server.requests().len() != asked {
            wrong.push(format!("{status}: asked {} times, {error:#}", server.requests().len()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_busy_server_is_asked_again() {
    let body = body(10_000);
    let file = file(&body);
    let server = Server::start(move |number, _| match number {
        0 => Reply::status(503),
        1 => Reply::status(429).header("Retry-After", "1"),
        _ => Reply::whole(&body),
    });
    let bench = Bench::new();
    bench.mirrored(&server.http()).file(&file).unwrap();
    assert_eq!(server.requests().len(), 3);
    assert!(bench.said().contains("the server answered 503; again in"), "{}", bench.said());
}

#[test]
fn every_source_is_tried_and_listed() {
    let server = Server::start(|_, _| Reply::status(404));
    let bench = Bench::new();
    let error = bench.mirrored(&server.http()).file(&file(b"body")).unwrap_err();
    assert_eq!(exit_code(&error), 3);
    assert!(xtask::fetch::is_unavailable(&error));
    assert!(matches!(
        reasons(&error)[..],
        [SourceError::Status { status: 404, .. }, SourceError::Connect(_)]
    ));
    let message = message(&error);
    for part in ["`model.onnx` cannot be had", "404", "https://127.0.0.1:1/file", "refused", "hint: "] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

#[test]
fn a_host_out_of_reach_is_not_tried_for_each_file() {
    let bench = Bench::new();
    let fetcher = bench.fetcher(|_| {});
    fetcher.file(&file(b"one")).unwrap_err();
    let retries = bench.said().matches("again in").count();
    let error = fetcher.file(&file(b"two")).unwrap_err();
    assert!(message(&error).contains("out of reach before"), "{error:#}");
    assert_eq!(bench.said().matches("again in").count(), retries);
}

#[test]
fn a_host_out_of_reach_is_told_of_in_one_line_where_something_else_is_next() {
    let server = Server::start(|_, _| Reply::whole(b"body"));
    let bench = Bench::new();
    // The mirror is nowhere, and then there is a host that speaks no TLS.
    let fetcher = bench.mirrored("http://127.0.0.1:1");
    let mut file = file(b"body");
    file.sources = vec![Source::Https(format!("{}/file", server.https()))];
    let error = fetcher.file_if_in_reach(&file).unwrap_err();
    assert!(xtask::fetch::is_unavailable(&error));
    let said = bench.said();
    let lines: Vec<_> = said.lines().collect();
    let next = server.https().replace("https://", "");
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].starts_with("`127.0.0.1:1` cannot be reached (Connection refused"), "{said}");
    assert!(lines[0].ends_with(&format!("); asking `{next}` instead")), "{said}");
    assert!(lines[1].starts_with(&format!("`{next}` cannot be reached (")), "{said}");
    assert!(lines[1].ends_with("); using other sources"), "{said}");

    let again = fetcher.file_if_in_reach(&file).unwrap_err();
    assert!(
        matches!(reasons(&again)[..], [SourceError::OutOfReach(_), SourceError::OutOfReach(_)]),
        "{again:#}"
    );
    assert_eq!((bench.said(), server.connections()), (said, 1));
}

#[test]
fn the_last_source_is_insisted_on_though_its_host_was_out_of_reach_before() {
    let bench = Bench::new();
    let fetcher = bench.fetcher(|_| {});
    fetcher.file_if_in_reach(&file(b"one")).unwrap_err();
    assert_eq!(bench.said().matches("again in").count(), 0);
    let error = fetcher.file(&file(b"two")).unwrap_err();
    assert!(matches!(reasons(&error)[..], [SourceError::Connect(_)]), "{error:#}");
    assert_eq!(bench.said().matches("again in").count(), 2);
    fetcher.file(&file(b"three")).unwrap_err();
    assert_eq!(bench.said().matches("again in").count(), 2);
}

#[test]
fn a_host_that_has_answered_is_asked_again_whatever_is_next() {
    let body = body(10_000);
    let mut file = file(&body);
    let server = Server::start(move |number, _| match number {
        0 => Reply::status(503),
        1 => Reply::cut(&body, 5_000),
        _ => Reply::whole(&body),
    });
    file.sources = vec![Source::Https(NOWHERE.to_owned())];
    let bench = Bench::new();
    bench.mirrored(&server.http()).file_if_in_reach(&file).unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn redirects_are_followed_up_to_ten() {
    let body = body(10_000);
    let file = file(&body);
    let server = Server::start(move |number, _| match number {
        10 => Reply::whole(&body),
        _ => Reply::status(302).header("Location", &format!("/{number}")),
    });
    Bench::new().mirrored(&server.http()).file(&file).unwrap();
    assert_eq!(server.requests().len(), 11);

    let circle = Server::start(|_, _| Reply::status(302).header("Location", "/again"));
    let error = Bench::new().mirrored(&circle.http()).file(&file).unwrap_err();
    assert!(matches!(reasons(&error)[0], SourceError::Redirect(RedirectRefused::TooMany(10))), "{error:#}");
    assert_eq!(circle.requests().len(), 11);
}

#[test]
fn a_server_that_stalls_is_given_up() {
    for (what, reply) in [
        ("in the head", Reply::undeclared(b"").stalls()),
        ("in the body", Reply::cut(&body(10_000), 5_000).stalls()),
    ] {
        let server = Server::start(move |_, _| reply.clone());
        let bench = Bench::new();
        let error = bench.mirrored(&server.http()).file(&file(&body(10_000))).unwrap_err();
        assert!(
            matches!(reasons(&error)[0], SourceError::Stall(time) if *time == TIMING.stall),
            "{what}: {error:#}"
        );
        assert_eq!(server.requests().len(), 3, "{what}");
    }
}

#[test]
fn a_failure_of_tls_is_not_retried() {
    // Speaks, but not TLS.
    let server = Server::start(|_, _| Reply::status(200));
    let bench = Bench::new();
    let error = bench.mirrored(&server.https()).file(&file(b"body")).unwrap_err();
    assert!(matches!(reasons(&error)[0], SourceError::Tls(_)), "{error:#}");
    assert_eq!(server.connections(), 1);
}

#[test]
fn plain_http_is_for_mirrors_only() {
    let server = Server::start(|_, _| Reply::whole(b"body"));
    let mut file = file(b"body");
    file.sources = vec![Source::Https(format!("{}/file", server.http()))];
    let error = Bench::new().fetcher(|_| {}).file(&file).unwrap_err();
    assert!(message(&error).contains("only a mirror may be asked over plain http"), "{error:#}");
    assert_eq!(server.connections(), 0);
}

#[test]
fn under_a_list_of_redirects_no_other_host_is_asked() {
    let body = body(5_000);
    let file = file(&body);
    let there = Server::start({
        let body = body.clone();
        move |_, _| Reply::whole(&body)
    });
    // The same machine by another name.
    let elsewhere = there.http().replace("127.0.0.1", "localhost");
    let here = Server::start(move |_, _| Reply::status(302).header("Location", &elsewhere));
    let redirects = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("redirects.toml");
        fs_err::write(&path, text).unwrap();
        Redirects::load(&path)
    };
    let bench = Bench::new();
    let fetch = |redirects: Redirects| {
        let fetcher = bench.fetcher(|options| {
            options.mirror = Some(here.http());
            options.redirects = Some(redirects);
        });
        fetcher.file(&file)
    };

    let error = fetch(redirects("[redirect]").unwrap()).unwrap_err();
    let refused = RedirectRefused::ToAnotherHost { asked: "127.0.0.1".into(), next: "localhost".into() };
    assert!(matches!(reasons(&error)[0], SourceError::Redirect(it) if *it == refused), "{error:#}");
    assert!(message(&error).contains("`localhost`, which `models/redirects.toml` does not have"));
    assert_eq!(there.connections(), 0, "a host was asked that is not allowed");

    let fetched = fetch(redirects("[redirect]\n\"127.0.0.1\" = [\"localhost\"]").unwrap()).unwrap();
    assert_eq!(fs_err::read(fetched.path).unwrap(), body);

    for (text, complaint) in [
        (
            "[redirect]\n\"a\" = [\"https://b\"]",
            "expected the name of a host in lower case, found `https://b`",
        ),
        ("[redirect]\n\"A\" = []", "found `A`"),
        ("[redirects]", "unknown field `redirects`"),
    ] {
        let error = redirects(text).unwrap_err();
        assert_eq!(exit_code(&error), 2);
        assert!(message(&error).contains(complaint), "no `{complaint}` in: {error:#}");
    }
}
