//! `publish` against a `gh` and an `oras` that are shell scripts: they record what they are asked and fail at each step in
//! turn. What they answer is what the manuals of the real ones say; no real GitHub and no real registry was asked.
#![cfg(unix)]

mod world;

use std::time::Duration;

use crate::support::program::Program;
use anyhow::anyhow;
use world::{REFERENCE, TAG, World, message, write_archive};
use xtask::failure::exit_code;
use xtask::publish::{Patience, State, Stopped, commands};

/// The steps that change something or bring something, in their order.
const STEPS: [&str; 4] = ["release create", "release upload", "release download", "release edit"];

#[test]
fn a_first_run_does_what_a_dry_run_says() {
    let mut world = World::new();
    world.order.oci = Some(REFERENCE.parse().unwrap());
    let published = world.publish().unwrap();
    assert!(world.is_good() && world.left_nothing());
    assert_eq!((published.state, published.was_done), (State::Public, false));
    assert_eq!(published.sha256, world.order.archive.sha256);
    assert_eq!(published.url, format!("https://example.com/releases/{TAG}"));
    assert_eq!(world.verified(), 2, "the archive and what came back");

    let here = std::env::current_dir().unwrap().display().to_string();
    let said: Vec<Vec<String>> = commands(&world.order, &world.work())
        .iter()
        .map(|command| {
            let words = shlex::split(command).unwrap();
            match words.iter().position(|word| word == "&&") {
                Some(at) => [&words[1..at], &words[at + 1..]].concat(),
                None => [std::slice::from_ref(&here), &words[..]].concat(),
            }
        })
        .collect();
    assert_eq!(world.calls(), said);
}

#[test]
fn a_dry_run_runs_nothing() {
    let world = World::new();
    let said = commands(&world.order, &world.work());
    assert!(world.calls().is_empty() && !world.work().exists());
    let said: Vec<String> = said.iter().map(|command| shlex::split(command).unwrap().join(" ")).collect();
    let public = said
        .iter()
        .position(|it| it == "gh release edit v0.1.0 --repo owner/name --draft=false --verify-tag");
    let downloads = said.iter().rposition(|it| it.starts_with("gh release download"));
    assert!(public.unwrap() > downloads.unwrap(), "{said:#?}");
    assert!(
        said.iter()
            .any(|it| it
                .starts_with("gh release create v0.1.0 --repo owner/name --draft --verify-tag --title"))
    );
}

#[test]
fn the_notes_say_what_it_is_and_how_to_check_it() {
    let world = World::new();
    world.publish().unwrap();
    let notes = fs_err::read_to_string(world.state().join("notes")).unwrap();
    let archive = &world.order.archive;
    for part in [
        &*archive.sha256.to_string(),
        &archive.bytes.to_string(),
        &archive.metadata.sha256,
        &archive.metadata.base.sha256,
        "the published float model",
        "quantizer 0.1.0+0123456789ab",
        "provider 2 of 2, smoke 2 of 2, fidelity 2 of 2; bench passed",
        "sha256sum --check kokoro-v1.0.static-int8.tar.zst.sha256",
        "gh attestation verify kokoro-v1.0.static-int8.tar.zst --repo owner/name",
        "Apache-2.0 AND MIT. made by nobody",
    ] {
        assert!(notes.contains(part), "no `{part}` in:\n{notes}");
    }
    assert!(!notes.contains("nofficial") && !notes.contains("minisign"), "{notes}");
}

#[test]
fn an_unofficial_model_is_a_prerelease_that_says_so() {
    let world = World::with_base("restored", "kokoro-v1.0-restored.static-int8.unofficial.tar.zst");
    world.publish().unwrap();
    let create = world.calls().into_iter().find(|call| call[3] == "create").unwrap();
    assert!(create.contains(&"--prerelease".to_owned()), "{create:?}");
    assert!(
        create.contains(&"v0.1.0: kokoro-v1.0-restored, static-int8 (unofficial)".to_owned()),
        "{create:?}"
    );
    let notes = fs_err::read_to_string(world.state().join("notes")).unwrap();
    assert!(notes.starts_with("> [!WARNING]\n> Unofficial: the base is a float model restored"), "{notes}");
    assert!(world.is_good());
}

#[test]
fn a_second_run_changes_nothing() {
    let mut world = World::new();
    world.order.oci = Some(REFERENCE.parse().unwrap());
    world.publish().unwrap();
    world.forget_calls();
    let again = world.publish().unwrap();
    assert_eq!((again.state, again.was_done), (State::Public, true));
    assert_eq!(world.writes(), [""; 0]);
    assert!(world.is_good());
}

#[test]
fn whichever_step_fails_nothing_is_public_and_the_next_run_goes_on() {
    for step in STEPS {
        for how in ["fail", "after"] {
            let world = World::new();
            world.fault(&format!("{step}: {how}"));
            let outcome = world.publish();
            let case = format!("`{step}` fails ({how})");
            if (step, how) == ("release edit", "after") {
                // `gh` said no, and the release is public nevertheless: that is seen.
                assert_eq!(outcome.unwrap().state, State::Public, "{case}");
                assert!(world.is_good(), "{case}");
                continue;
            }
            let error = outcome.unwrap_err();
            assert_eq!(exit_code(&error), 5, "{case}: {error:#}");
            let stopped = error.downcast_ref::<Stopped>().unwrap();
            assert!(
                stopped.problem.contains(&format!("`gh {step}")) || stopped.problem.contains(step),
                "{case}: {error:#}"
            );
            let absent = (step, how) == ("release create", "fail");
            assert_eq!(stopped.state, if absent { State::Absent } else { State::Draft }, "{case}");
            assert!(
                format!("{error:#}").ends_with("to go on: cargo xtask publish --tag v0.1.0"),
                "{case}: {error:#}"
            );
            assert_eq!(world.is_draft(), (!absent).then_some(true), "{case}");
            assert!(world.left_nothing(), "{case}");

            world.fault("");
            let done = world.publish().unwrap();
            assert_eq!((done.state, done.was_done), (State::Public, false), "{case}");
            assert!(world.is_good(), "{case}");
        }
    }
}

#[test]
fn what_hangs_is_ended() {
    let limit = Duration::from_secs(10);
    let hangs = |step: &str| {
        let mut world = World::new();
        world.patience = Patience { step: limit, transfer: limit, ..world.patience };
        world.fault(&format!("{step}: hang"));
        let said = message(world.publish());
        assert!(said.contains("was ended after 10s: connecting"), "{said}");
        assert_ne!(world.is_draft(), Some(false), "{step}");
        world.fault("");
        world.publish().unwrap();
        assert!(world.is_good(), "{step}");
    };
    // Each waits out its limit, and they may as well wait together.
    std::thread::scope(|scope| {
        STEPS.map(|step| scope.spawn(move || hangs(step))).map(|run| run.join().unwrap())
    });
}

#[test]
fn a_github_that_does_not_answer_leaves_the_state_unknown() {
    let world = World::new();
    world.fault("release view: fail");
    let error = world.publish().unwrap_err();
    let stopped = error.downcast_ref::<Stopped>().unwrap();
    let look = "gh release view v0.1.0 --repo owner/name --json 'assets,isDraft,url'".to_owned();
    assert_eq!(stopped.state, State::Unknown(look));
    assert!(stopped.problem.contains("HTTP 502: Bad Gateway"), "{error:#}");
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_draft_that_cannot_be_seen_at_once_is_waited_for() {
    let world = World::new();
    world.fault("release create: late");
    world.publish().unwrap();
    assert!(world.is_good());
    assert!(world.steps().iter().filter(|step| *step == "release view").count() > 4);
}

#[test]
fn an_upload_that_was_truncated_is_found_and_replaced_only_if_asked() {
    let mut world = World::new();
    world.fault("release upload: truncate");
    let error = world.publish().unwrap_err();
    assert_eq!(exit_code(&error), 3);
    let expected = format!("expected {} bytes, found 100", world.order.archive.bytes);
    assert!(format!("{error:#}").contains(&expected), "{error:#}");
    assert_eq!(world.is_draft(), Some(true));

    world.fault("");
    let error = message(world.publish());
    assert!(error.contains(&expected) && error.contains("hint: `--clobber` replaces it"), "{error}");
    assert_eq!(world.is_draft(), Some(true));

    world.order.replace = true;
    world.publish().unwrap();
    assert!(world.is_good());
}

#[test]
fn an_upload_that_was_cut_is_begun_again() {
    let world = World::new();
    world.fault("release upload: cut");
    let error = message(world.publish());
    assert!(error.contains("unexpected EOF") && error.contains("state: the release is a draft"), "{error}");
    world.fault("");
    world.publish().unwrap();
    assert!(world.is_good());
}

#[test]
fn other_bytes_are_found_even_if_github_states_no_digest() {
    for fault in [
        "release upload: other",
        "release download: other",
        "release download: short",
        "release download: nothing",
    ] {
        let world = World::new();
        fs_err::write(world.state().join("without-digests"), "").unwrap();
        world.fault(fault);
        let error = world.publish().unwrap_err();
        assert_eq!(exit_code(&error), 3, "{fault}: {error:#}");
        assert!(
            format!("{error:#}").contains("`kokoro-v1.0.static-int8.tar.zst` in the release: "),
            "{fault}: {error:#}"
        );
        assert_eq!(world.is_draft(), Some(true), "{fault}");
        assert_eq!(world.verified(), 1, "{fault}: what came back is not even opened");
    }
}

#[test]
fn what_comes_back_is_verified_too() {
    let world = World::new();
    let archive = world.order.archive.path.clone();
    let error = world
        .publish_verified_by(
            |path| if path == archive { Ok(()) } else { Err(anyhow!("a file in it was altered")) },
        )
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("what came back from the release: a file in it was altered"),
        "{error:#}"
    );
    assert_eq!(world.is_draft(), Some(true));
}

#[test]
fn an_archive_that_does_not_verify_goes_nowhere() {
    let world = World::new();
    let error = world.publish_verified_by(|_| Err(anyhow!("`model.onnx`: wrong digest"))).unwrap_err();
    assert!(
        format!("{error:#}").contains("`model.onnx`: wrong digest\nstate: nothing was written"),
        "{error:#}"
    );
    assert_eq!(world.steps(), ["auth status"]);
}

#[test]
fn a_public_release_is_the_same_or_is_refused() {
    let (name, bytes) = (World::new().archive_name().to_owned(), World::new().archive_bytes());
    let (digest_name, digest) = World::new().checksum();
    let good = [(&*name, &*bytes), (&*digest_name, &*digest)];
    let other = b"another archive".repeat(100);

    for stated in [true, false] {
        let world = World::new();
        world.release(false, &good);
        if !stated {
            fs_err::write(world.state().join("without-digests"), "").unwrap();
        }
        let done = world.publish().unwrap();
        assert!(done.was_done && done.state == State::Public && world.is_good());
        assert_eq!(world.steps().contains(&"release download".to_owned()), !stated, "{:?}", world.steps());
        assert!(world.said().contains("public already"), "{}", world.said());
    }
    let same_length: Vec<u8> = bytes.iter().map(|byte| byte ^ 1).collect();
    for files in [
        vec![(&*name, &*other), good[1]],
        vec![(&*name, &*same_length), good[1]],
        vec![good[0], (&*digest_name, b"0000")],
        vec![good[0]],
        vec![good[1]],
    ] {
        for replace in [false, true] {
            let mut world = World::new();
            world.order.replace = replace;
            world.release(false, &files);
            let error = world.publish().unwrap_err();
            assert_eq!(exit_code(&error), 3, "{error:#}");
            assert!(format!("{error:#}").contains("in the public release: "), "{error:#}");
            assert_eq!(error.downcast_ref::<Stopped>().unwrap().state, State::Public);
            assert_eq!(world.writes(), [""; 0], "a public release was touched");
        }
    }
    // Without digests, by the bytes.
    let world = World::new();
    fs_err::write(world.state().join("without-digests"), "").unwrap();
    world.release(false, &[(&*name, &*same_length), good[1]]);
    let error = message(world.publish());
    assert!(error.contains("in the release: expected") && !error.contains("--clobber"), "{error}");
}

#[test]
fn a_draft_with_leftovers_is_completed_or_refused() {
    let world = World::new();
    let (name, bytes) = (world.archive_name().to_owned(), world.archive_bytes());
    world.release(true, &[(&name, &bytes)]);
    world.publish().unwrap();
    assert!(world.is_good());
    assert_eq!(world.writes(), ["release upload", "release edit"], "what was there is left alone");

    let mut world = World::new();
    world.order.replace = true;
    world.release(true, &[(&name, &bytes), ("notes.txt", b"somebody's")]);
    let error = world.publish().unwrap_err();
    assert_eq!(exit_code(&error), 3);
    let hint = "`gh release delete-asset v0.1.0 notes.txt --repo owner/name`";
    assert!(format!("{error:#}").contains(hint), "{error:#}");
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(world.is_draft(), Some(true));
}

#[test]
fn what_somebody_adds_in_the_meantime_is_not_made_public() {
    let world = World::new();
    world.fault("release download: intruder");
    let error = message(world.publish());
    assert!(error.contains("the draft holds `intruder.txt`"), "{error}");
    assert_eq!(world.is_draft(), Some(true));
}

#[test]
fn a_gh_that_only_says_it_made_the_release_public_is_not_believed() {
    let world = World::new();
    world.fault("release edit: nothing");
    let error = message(world.publish());
    assert!(error.contains("and it is a draft\nstate: the release is a draft"), "{error}");
}

#[test]
fn a_draft_stays_one_until_it_is_ordered_public() {
    let mut world = World::new();
    world.order.keep_draft = true;
    let draft = world.publish().unwrap();
    assert_eq!((draft.state, world.is_draft()), (State::Draft, Some(true)));
    assert_eq!(world.verified(), 2);
    world.order.keep_draft = false;
    world.forget_calls();
    world.publish().unwrap();
    assert!(world.is_good());
    assert_eq!(world.writes(), ["release edit"]);
    world.order.keep_draft = true;
    assert_eq!(world.publish().unwrap().state, State::Public, "what is public stays so");
}

#[test]
fn who_is_not_logged_in_or_has_no_program_is_told_what_to_do() {
    let world = World::new();
    fs_err::remove_file(world.state().join("token")).unwrap();
    let error = world.publish().unwrap_err();
    assert_eq!(exit_code(&error), 2);
    assert!(format!("{error:#}").contains("hint: run `gh auth login`, or set `GH_TOKEN`"), "{error:#}");

    let world = World::new();
    world.remove_program("gh");
    let error = world.publish().unwrap_err();
    assert_eq!(exit_code(&error), 2);
    assert!(format!("{error:#}").contains("`gh` was not found\nhint: install the GitHub CLI"), "{error:#}");

    let mut world = World::new();
    world.order.oci = Some(REFERENCE.parse().unwrap());
    world.remove_program("oras");
    let error = world.publish().unwrap_err();
    assert_eq!(exit_code(&error), 2);
    assert!(format!("{error:#}").contains("`oras` was not found"), "{error:#}");
    assert_eq!(world.steps(), ["auth status"], "found out before anything is written");
}

#[test]
fn what_a_killed_run_left_is_cleared() {
    let world = World::new();
    let left = world.work().join("publish.tmp/downloaded");
    fs_err::create_dir_all(&left).unwrap();
    fs_err::write(left.join(world.archive_name()), "half").unwrap();
    world.publish().unwrap();
    assert!(world.is_good() && world.left_nothing());
}

#[test]
fn a_registry_gets_the_archive_last_and_its_tags_stay() {
    let mut world = World::new();
    world.order.oci = Some(REFERENCE.parse().unwrap());
    let published = world.publish().unwrap();
    assert_eq!(published.oci.as_deref(), Some(REFERENCE));
    let steps = world.steps();
    let at = |wanted: &str| steps.iter().position(|step| step.starts_with(wanted)).unwrap();
    assert!(at("release edit") < at("push") && at("push") < at("pull"), "{steps:?}");
    let push = world.calls().into_iter().find(|call| call[2] == "push").unwrap().join(" ");
    for part in [
        "--artifact-type application/vnd.kokoro-model.release.v1",
        "org.opencontainers.image.created=2026-01-02T03:04:05Z",
        "org.opencontainers.image.version=v0.1.0",
        "org.opencontainers.image.source=https://github.com/owner/name",
        "org.opencontainers.image.licenses=Apache-2.0 AND MIT",
    ] {
        assert!(push.contains(part), "no `{part}` in {push}");
    }
    // Another archive under the same tag.
    let pushed = world.state().join("pushed").join(world.archive_name());
    fs_err::write(&pushed, "another").unwrap();
    world.forget_calls();
    let error = world.publish().unwrap_err();
    assert_eq!(exit_code(&error), 3);
    assert!(format!("{error:#}").contains(&format!("`{REFERENCE}` holds another archive")), "{error:#}");
    assert_eq!(error.downcast_ref::<Stopped>().unwrap().state, State::Public);
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_registry_that_fails_is_tried_again() {
    for fault in ["oras manifest: fail", "oras push: fail", "oras pull: fail", "oras pull: other"] {
        let mut world = World::new();
        world.order.oci = Some(REFERENCE.parse().unwrap());
        world.fault(fault);
        let error = world.publish().unwrap_err();
        assert_eq!(error.downcast_ref::<Stopped>().unwrap().state, State::Public, "{fault}: {error:#}");
        assert!(world.is_good(), "{fault}");
        world.fault("");
        let done = world.publish().unwrap();
        // What was pushed before it failed need not be pushed again.
        assert_eq!(done.was_done, fault.starts_with("oras pull"), "{fault}");
    }
}

/// The program itself, which ends before it looks for `gh`.
fn refused(program: &Program, arguments: &[&str]) -> (Option<i32>, String) {
    let ended = program.run(&[&["publish"], arguments].concat());
    (ended.code, ended.errors)
}

#[test]
fn a_command_that_cannot_be_meant_is_refused() {
    let program = Program::with_empty_cache();
    let (official, restored) = ("base.static-int8.tar.zst", "base.static-int8.unofficial.tar.zst");
    write_archive(&program.path(official), "official", b"model");
    write_archive(&program.path(restored), "restored", b"model");
    fs_err::write(program.path("empty.tar.zst"), "").unwrap();
    for (arguments, code, message) in [
        (&[official][..], 2, "--tag"),
        (&[official, "--tag=--draft=false"], 2, "expected a tag"),
        (&[official, "--tag", "v1", "--repo", "a/b/c/d"], 2, "expected a repository"),
        (&[official, "--tag", "v1", "--oci", "a/b:c,d"], 2, "expected a name with one tag"),
        (&[official, "--tag", "v1", "--draft", "--dry-run"], 2, "cannot be used with"),
        (&["none.tar.zst", "--tag", "v1"], 2, "none.tar.zst"),
        (&["empty.tar.zst", "--tag", "v1"], 3, "is no archive of a model"),
        (&[restored, "--tag", "v1"], 2, "hint: `--allow-unofficial`"),
        (&["gh.sh", "--tag", "v1"], 2, "expected the name `<base>.<scheme>.tar.zst`"),
    ] {
        let (found, errors) = refused(&program, arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(message), "{arguments:?}: {errors}");
    }
}
