//! What becomes of a release in which something changed on the way: `verify` says no, and names the file.

use std::io::Write as _;

use minisign::KeyPair;
use tar::Header;
use xtask::release::{Against, Signer, verify};

use super::fixture::{Fixture, STEM, refusals, tar_of, unpack};
use crate::support::release::{self, header};

#[test]
fn a_changed_byte_in_any_file_is_found_and_the_file_named() {
    let fixture = Fixture::official();
    let keys = fixture.program.path("key");
    let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().unwrap();
    fs_err::write(&keys, sk.to_box(None).unwrap().to_string()).unwrap();
    let public = fixture.program.path("key.pub");
    fs_err::write(&public, pk.to_box().unwrap().to_string()).unwrap();
    let unpacked = fixture.unpacked(Some(&Signer::read(&keys, None).unwrap()));
    let against = Against { key: Some(&public), ..Against::default() };
    let look = || refusals(&verify(&unpacked.path(), against).unwrap());
    assert_eq!(look(), "");

    let files = unpacked.files();
    assert!(files.len() > 20 && files.contains_key("SHA256SUMS.minisig"));
    for (name, bytes) in &files {
        let last = bytes.len() - 1;
        for at in [0, 1, last / 3, last / 2, last] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            unpacked.write(name, &changed);
            let said = look();
            assert!(said.contains(&format!("`{name}`")), "byte {at} of `{name}`: {said}");
        }
        for changed in [&bytes[..last], &bytes[..last / 2], b"", &[&bytes[..], b"\n"].concat()] {
            unpacked.write(name, changed);
            let said = look();
            assert!(said.contains(&format!("`{name}`")), "`{name}` with {} bytes: {said}", changed.len());
        }
        fs_err::remove_file(unpacked.path().join(name)).unwrap();
        assert!(look().contains(&format!("`{name}`")), "`{name}` removed: {}", look());
        unpacked.write(&format!("{name}.new"), bytes);
        let said = look();
        assert!(said.contains(&format!("`{name}`")), "`{name}` renamed: {said}");
        fs_err::remove_file(unpacked.path().join(format!("{name}.new"))).unwrap();
        unpacked.write(name, bytes);
    }
    // Each with the next one's bytes.
    let names: Vec<&String> = files.keys().collect();
    for pair in names.windows(2) {
        let [one, other] = pair else { unreachable!("windows of two") };
        unpacked.write(one, &files[*other]);
        unpacked.write(other, &files[*one]);
        let said = look();
        assert!(
            said.contains(&format!("`{one}`")) || said.contains(&format!("`{other}`")),
            "{one}, {other}: {said}"
        );
        unpacked.write(one, &files[*one]);
        unpacked.write(other, &files[*other]);
    }
    for name in ["more.txt", "audio/more.wav", ".hidden"] {
        unpacked.write(name, "more");
        let said = look();
        assert!(said.contains(&format!("`{name}`: is listed: `SHA256SUMS` does not list it")), "{said}");
        fs_err::remove_file(unpacked.path().join(name)).unwrap();
    }
    assert_eq!(look(), "");
}

#[cfg(unix)]
#[test]
fn links_and_deep_folders_are_refused() {
    let fixture = Fixture::official();
    let unpacked = fixture.unpacked(None);
    let path = unpacked.path();
    // Even if it leads to the very file.
    fs_err::rename(path.join("NOTICE"), path.parent().unwrap().join("NOTICE")).unwrap();
    fs_err::os::unix::fs::symlink("../NOTICE", path.join("NOTICE")).unwrap();
    assert!(refusals(&unpacked.verdict()).contains("`NOTICE` is neither a file nor a folder"));
    fs_err::remove_file(path.join("NOTICE")).unwrap();
    fs_err::rename(path.parent().unwrap().join("NOTICE"), path.join("NOTICE")).unwrap();
    assert_eq!(refusals(&unpacked.verdict()), "");
    fs_err::create_dir_all(path.join("audio/deep")).unwrap();
    assert!(refusals(&unpacked.verdict()).contains("`audio/deep`: no folder of a release has folders in it"));
}

#[test]
fn a_changed_byte_of_the_archive_is_found() {
    let fixture = Fixture::official();
    let archive = fixture.package(None).path;
    let look = |bytes: &[u8]| {
        fs_err::write(&archive, bytes).unwrap();
        refusals(&verify(&archive, Against::default()).unwrap())
    };
    let bytes = fs_err::read(&archive).unwrap();
    assert_eq!(look(&bytes), "");
    let unpacked = zstd::decode_all(&bytes[..]).unwrap();
    let name = archive.display().to_string();
    // The head, the end with its checksum, and some in between.
    let step = bytes.len() / 29;
    let places = (0..16).chain((16..bytes.len() - 8).step_by(step)).chain(bytes.len() - 8..bytes.len());
    for at in places {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let said = look(&changed);
        // Some bits of zstd change nothing, such as those of how large a window to keep: what is unpacked is the same.
        let changes_nothing = || said.is_empty() && zstd::decode_all(&changed[..]).unwrap() == unpacked;
        assert!(said.contains(&format!("`{name}`")) || changes_nothing(), "byte {at}: {said}");
    }
    for cut in [0, 1, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(look(&bytes[..cut]).contains(&format!("`{name}`")), "{cut} bytes");
    }
    // Behind the archive: a byte, another archive, and a frame that zstd skips.
    let skipped = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    for more in [&b"x"[..], &bytes, &skipped] {
        assert!(look(&[&bytes, more].concat()).contains("nothing behind"), "{} bytes more", more.len());
    }
    assert!(look(&[&skipped, &bytes[..]].concat()).contains(&format!("`{name}`")));
    assert!(look(b"not an archive at all").contains(&format!("`{name}`")));
}

/// Each way to be hostile is tried on the reader itself; here is what the user sees of it.
#[test]
fn hostile_archives_are_refused_and_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.tar.zst");
    let link = |header: &mut Header| {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_link_name("/etc/passwd").unwrap();
    };
    for (what, header, message) in [
        ("an absolute path", Some(header("/r/a", 0, |_| ())), "`/r/a` is not a path below"),
        ("a way out", Some(header("r/../../a", 0, |_| ())), "`r/../../a` is not a path below"),
        ("a link", Some(header("r/a", 0, link)), "`r/a` is not a plain file"),
        ("nothing", None, "there is no file in it"),
        ("no checksums", Some(header("r/a", 0, |_| ())), "`SHA256SUMS`: lists every file: it is missing"),
    ] {
        let tar = release::tar_of(header.map(|it| (it, &b""[..])));
        fs_err::write(&path, zstd::encode_all(&tar[..], 1).unwrap()).unwrap();
        let said = refusals(&verify(&path, Against::default()).unwrap());
        assert!(said.contains(message), "{what}: {said}");
    }
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.tar.zst");
    // A file that says that it has 16 GiB, and a gigabyte of zeros behind the end of the archive.
    for (says, message) in
        [(16_u64 << 30, "`r/a` has 17179869184 bytes"), (0, "expected nothing behind its end")]
    {
        let mut header = header("r/a", 0, |_| ());
        header.set_size(says);
        header.set_cksum();
        let mut encoder = zstd::Encoder::new(fs_err::File::create(&path).unwrap(), 1).unwrap();
        encoder.write_all(header.as_bytes()).unwrap();
        let zeros = vec![0; 1 << 20];
        for _ in 0..1024 {
            encoder.write_all(&zeros).unwrap();
        }
        encoder.finish().unwrap();
        assert!(fs_err::metadata(&path).unwrap().len() < 1 << 20);
        let said = refusals(&verify(&path, Against::default()).unwrap());
        assert!(said.contains(message), "{said}");
    }
}

#[test]
fn an_archive_that_was_unpacked_and_packed_by_others_is_refused() {
    let fixture = Fixture::official();
    let archive = fixture.package(None).path;
    let unpacked = unpack(&archive);
    let mut builder =
        tar::Builder::new(zstd::Encoder::new(fs_err::File::create(&archive).unwrap(), 1).unwrap());
    builder.append_dir_all(STEM, unpacked.path()).unwrap();
    builder.into_inner().unwrap().finish().unwrap();
    assert!(refusals(&verify(&archive, Against::default()).unwrap()).contains("is a release: `"));
    // Compressed by others it is the same tar file, and that is what counts.
    fs_err::write(&archive, zstd::encode_all(&tar_of(&fixture.package(None).path)[..], 1).unwrap()).unwrap();
    assert_eq!(refusals(&verify(&archive, Against::default()).unwrap()), "");
}
