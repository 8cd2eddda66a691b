//! Signatures: made by a key with and without a password, and checked when somebody asks.

use std::path::PathBuf;

use minisign::KeyPair;
use xtask::environment::Environment;
use xtask::failure::exit_code;
use xtask::release::{Against, Outcome, Signer, verify};

use super::fixture::{Fixture, refusals};

/// A key in two files, the secret one with a password if there is one.
fn keys(fixture: &Fixture, name: &str, password: Option<&str>) -> (PathBuf, PathBuf) {
    let KeyPair { pk, sk } = match password {
        Some(password) => KeyPair::generate_encrypted_keypair(Some(password.to_owned())).unwrap(),
        None => KeyPair::generate_unencrypted_keypair().unwrap(),
    };
    let (secret, public) = (fixture.program.path(name), fixture.program.path(&format!("{name}.pub")));
    fs_err::write(&secret, sk.to_box(None).unwrap().to_string()).unwrap();
    fs_err::write(&public, pk.to_box().unwrap().to_string()).unwrap();
    (secret, public)
}

#[test]
fn a_signature_is_good_for_its_key_and_for_no_other() {
    let fixture = Fixture::official();
    let (secret, public) = keys(&fixture, "own", None);
    let (_, other) = keys(&fixture, "other", None);
    let signer = Signer::read(&secret, None).unwrap();
    let (first, again) = (fixture.package(Some(&signer)), fixture.package(Some(&signer)));
    assert!(first.signed && first.sha256 == again.sha256, "signed again, it is another archive");

    let by = |key| verify(&first.path, Against { key: Some(key), ..Against::default() }).unwrap();
    assert_eq!(refusals(&by(&public)), "");
    assert!(refusals(&by(&other)).contains("`SHA256SUMS.minisig`: is signed by `"));
    let unchecked = verify(&first.path, Against::default()).unwrap();
    assert_eq!(refusals(&unchecked), "");
    let finding = unchecked.findings.iter().find(|it| it.file == "SHA256SUMS.minisig").unwrap();
    assert_eq!(
        (finding.outcome, &*finding.detail),
        (Outcome::Unchecked, "not checked; `--key` names the public key")
    );

    let unsigned = fixture.package(None);
    let said =
        refusals(&verify(&unsigned.path, Against { key: Some(&public), ..Against::default() }).unwrap());
    assert_eq!(said, "`SHA256SUMS.minisig`: is signed: it is missing");
}

#[test]
fn a_signature_of_another_release_is_refused() {
    let (one, other) = (Fixture::official(), Fixture::local());
    let (secret, public) = keys(&one, "own", None);
    let signer = Signer::read(&secret, None).unwrap();
    let (official, local) = (one.unpacked(Some(&signer)), other.unpacked(Some(&signer)));
    // With the sums that it signs, or without.
    official.write("SHA256SUMS.minisig", local.read("SHA256SUMS.minisig"));
    let against = Against { key: Some(&public), ..Against::default() };
    let said = refusals(&verify(&official.path(), against).unwrap());
    assert!(said.contains("`SHA256SUMS.minisig`"), "{said}");
    official.write("SHA256SUMS", local.read("SHA256SUMS"));
    let said = refusals(&verify(&official.path(), against).unwrap());
    assert!(said.contains("`UNOFFICIAL.txt`: is there"), "{said}");
}

#[test]
fn a_key_with_a_password_takes_that_password() {
    let fixture = Fixture::official();
    let (secret, public) = keys(&fixture, "own", Some("open sesame"));
    let with = |password: &str| {
        let environment = Environment::from(|name| (name == "MINISIGN_PASSWORD").then(|| password.into()));
        Signer::read(&secret, environment.minisign_password.as_ref())
    };
    let archive = fixture.package(Some(&with("open sesame").unwrap()));
    let verdict = verify(&archive.path, Against { key: Some(&public), ..Against::default() }).unwrap();
    assert_eq!(refusals(&verdict), "");
    let error = with("open barley").err().unwrap();
    assert_eq!(exit_code(&error), 2);
    assert!(format!("{error:#}").contains("own` is no secret key that can be used"), "{error:#}");
}

#[test]
fn what_is_no_key_is_said_to_be_none() {
    let fixture = Fixture::official();
    let path = fixture.program.path("none");
    fs_err::write(&path, "no key\nat all\n").unwrap();
    let error = Signer::read(&path, None).err().unwrap();
    assert_eq!(exit_code(&error), 2);
    let archive = fixture.package(Some(&Signer::read(&keys(&fixture, "own", None).0, None).unwrap()));
    let error = verify(&archive.path, Against { key: Some(&path), ..Against::default() }).unwrap_err();
    assert_eq!(exit_code(&error), 2);
    assert!(format!("{error:#}").contains("none` is no public key"), "{error:#}");
}
