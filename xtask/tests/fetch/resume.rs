//! Downloads that were cut, and what is done with their beginnings.

use std::sync::Arc;

use xtask::fetch::SourceError;

use crate::support::server::{Reply, Server, from};
use crate::support::{Bench, body, file, only_extensions, reasons};

const LENGTH: usize = 400_000;
const HALF: usize = 200_000;

#[test]
fn a_cut_body_is_resumed() {
    let body = Arc::new(body(LENGTH));
    let file = file(&body);
    let server = Server::start({
        let body = Arc::clone(&body);
        move |number, request| match (number, from(request)) {
            (0, None) => Reply::cut(&body, HALF).etag("one"),
            (_, Some(from)) => Reply::partial(&body, from, from).etag("one"),
            _ => Reply::status(500),
        }
    });
    let bench = Bench::new();
    let fetched = bench.mirrored(&server.http()).file(&file).unwrap();
    assert!(fs_err::read(fetched.path).unwrap() == *body, "not the body");
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].range.as_deref(), Some("bytes=200000-"));
    assert_eq!(requests[1].if_range.as_deref(), Some("\"one\""));
}

#[test]
fn a_stalled_body_is_resumed() {
    let body = Arc::new(body(LENGTH));
    let file = file(&body);
    let server = Server::start({
        let body = Arc::clone(&body);
        move |_, request| match from(request) {
            None => Reply::cut(&body, HALF).etag("one").stalls(),
            Some(from) => Reply::partial(&body, from, from).etag("one"),
        }
    });
    let bench = Bench::new();
    bench.mirrored(&server.http()).file(&file).unwrap();
    assert_eq!(server.requests()[1].range.as_deref(), Some("bytes=200000-"));
}

#[test]
fn a_killed_run_is_resumed_by_the_next() {
    let body = Arc::new(body(LENGTH));
    let file = file(&body);
    let dying = Server::start({
        let body = Arc::clone(&body);
        move |number, request| match (number, from(request)) {
            (0, _) => Reply::cut(&body, HALF).etag("one"),
            // Accepts the range, and dies each time after one byte more.
            (_, Some(from)) => Reply::partial(&body[..], from, from).etag("one").truncated(1),
            _ => Reply::status(500),
        }
    });
    let bench = Bench::new();
    let error = bench.mirrored(&dying.http()).file(&file).unwrap_err();
    assert!(
        matches!(reasons(&error)[0], SourceError::CutShort { expected: 400_000, found: 200_002 }),
        "{error:#}"
    );
    let entry = bench.entry(&file);
    assert!(fs_err::read(entry.part()).unwrap() == body[..HALF + 2], "the part is not the body's beginning");
    assert!(only_extensions(bench.cache().folder(), &["part", "etag", "lock"]));

    // The address is part of what makes the beginning resumable; only the server's mood changes.
    let text = fs_err::read_to_string(entry.etag()).unwrap();
    let whole = Server::start({
        let body = Arc::clone(&body);
        move |_, request| match from(request) {
            Some(from) => Reply::partial(&body, from, from).etag("one"),
            None => Reply::status(500),
        }
    });
    fs_err::write(entry.etag(), text.replace(&dying.http(), &whole.http())).unwrap();
    bench.mirrored(&whole.http()).file(&file).unwrap();
    assert_eq!(whole.requests()[0].range.as_deref(), Some("bytes=200002-"));
    assert!(fs_err::read(entry.path()).unwrap() == *body, "not the body");
}

#[test]
fn a_server_that_ignores_the_range_sends_all_again() {
    let body = Arc::new(body(LENGTH));
    let file = file(&body);
    let server = Server::start({
        let body = Arc::clone(&body);
        move |number, _| match number {
            0 => Reply::cut(&body, HALF).etag("one"),
            _ => Reply::whole(&body).etag("one"),
        }
    });
    let bench = Bench::new();
    let fetched = bench.mirrored(&server.http()).file(&file).unwrap();
    assert!(fs_err::read(fetched.path).unwrap() == *body, "not the body");
    assert_eq!(server.requests().len(), 2);
}

type Answer = fn(&[u8], usize) -> Reply;

#[test]
fn what_does_not_continue_the_part_is_not_appended() {
    let right = Arc::new(body(LENGTH));
    let file = file(&right);
    let before: Arc<Vec<u8>> = Arc::new(right.iter().map(|byte| !byte).collect());
    let cases: [(&str, Answer, usize); 5] = [
        ("a new file, as RFC 9110 wants it", |right, _| Reply::whole(right).etag("two"), 2),
        ("the rest of a new file", |right, from| Reply::partial(right, from, from).etag("two"), 3),
        ("another range", |right, from| Reply::partial(right, from - 9, from - 9).etag("one"), 3),
        ("no range", |right, _| Reply::status(206).etag("one").with_body(right), 3),
        ("no such range", |_, _| Reply::status(416), 3),
    ];
    for (what, answer, asked) in cases {
        let server = Server::start({
            let (right, before) = (Arc::clone(&right), Arc::clone(&before));
            move |number, request| match (number, from(request)) {
                (0, _) => Reply::cut(&before, HALF).etag("one"),
                (_, Some(from)) => answer(&right, from),
                (_, None) => Reply::whole(&right).etag("two"),
            }
        });
        let bench = Bench::new();
        let fetched = bench.mirrored(&server.http()).file(&file);
        let fetched = fetched.unwrap_or_else(|error| panic!("{what}: {error:#}"));
        assert!(fs_err::read(fetched.path).unwrap() == *right, "{what}: not the body");
        assert_eq!(server.requests().len(), asked, "{what}");
    }
}

#[test]
fn without_a_name_for_its_version_nothing_is_resumed() {
    let body = Arc::new(body(LENGTH));
    let file = file(&body);
    for weak in [None, Some("W/\"one\"")] {
        let server = Server::start({
            let body = Arc::clone(&body);
            move |number, _| {
                let reply = if number == 0 { Reply::cut(&body, HALF) } else { Reply::whole(&body) };
                match weak {
                    Some(tag) => reply.header("ETag", tag),
                    None => reply,
                }
            }
        });
        Bench::new().mirrored(&server.http()).file(&file).unwrap();
        assert_eq!(server.requests()[1].range, None);
    }
}

#[test]
fn a_damaged_beginning_is_fetched_again() {
    let body = Arc::new(body(LENGTH));
    let file = file(&body);
    let server = Server::start({
        let body = Arc::clone(&body);
        move |_, request| match from(request) {
            Some(from) => Reply::partial(&body, from, from).etag("one"),
            None => Reply::whole(&body).etag("one"),
        }
    });
    let bench = Bench::new();
    let entry = bench.entry(&file);
    fs_err::create_dir_all(entry.part().parent().unwrap()).unwrap();
    fs_err::write(entry.part(), vec![0; HALF]).unwrap();
    let address = format!("{}/{}/model.onnx", server.http(), file.sha256);
    fs_err::write(entry.etag(), format!("{address}\n\"one\"")).unwrap();

    let fetched = bench.mirrored(&server.http()).file(&file).unwrap();
    assert!(fs_err::read(fetched.path).unwrap() == *body, "not the body");
    assert!(bench.said().contains("the resumed file has a wrong digest, starting over"), "{}", bench.said());
    let ranges: Vec<_> = server.requests().into_iter().map(|request| request.range).collect();
    assert_eq!(ranges, [Some("bytes=200000-".to_owned()), None]);
}

#[test]
fn a_part_that_is_complete_needs_no_network() {
    let body = body(LENGTH);
    let file = file(&body);
    let bench = Bench::new();
    let entry = bench.entry(&file);
    fs_err::create_dir_all(entry.part().parent().unwrap()).unwrap();
    fs_err::write(entry.part(), &body).unwrap();
    let fetched = bench.fetcher(|_| {}).file(&file).unwrap();
    assert!(fs_err::read(fetched.path).unwrap() == body, "not the body");
}
