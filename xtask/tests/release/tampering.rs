//! What becomes of a release in which something changed on the way: `verify` says no, and names the file.

use std::io::Write as _;

use minisign::KeyPair;
use tar::Header;
use xtask::release::{Against, Signer, verify};

use crate::fixture::{Fixture, STEM, refusals, tar_of, unpack};

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

/// An archive of these headers, each with its contents.
fn packed(files: &[(Header, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (header, contents) in files {
        tar.extend(header.as_bytes());
        tar.extend(*contents);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    zstd::encode_all(&tar[..], 1).unwrap()
}

fn header(path: &str, bytes: usize, change: fn(&mut Header)) -> Header {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(315_532_800);
    header.set_size(bytes as u64);
    change(&mut header);
    header.set_cksum();
    header
}

#[test]
fn hostile_archives_are_refused_and_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.tar.zst");
    let plain = |path: &str| (header(path, 4, |_| {}), &b"text"[..]);
    let link = |header: &mut Header| {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_link_name("/etc/passwd").unwrap();
        header.set_size(0);
    };
    for (what, bytes, message) in [
        ("an absolute path", packed(&[plain("/r/a")]), "`/r/a` is not a path below"),
        ("a way out", packed(&[plain("r/../../a")]), "`r/../../a` is not a path below"),
        ("a way out at once", packed(&[plain("../a")]), "`../a` is not a path below"),
        ("two folders", packed(&[plain("r/a"), plain("s/b")]), "`s/b` is not in the folder `r`"),
        ("one file twice", packed(&[plain("r/a"), plain("r/a")]), "`r/a` is in it twice"),
        ("a link", packed(&[(header("r/a", 0, link), b"")]), "`r/a` is not a plain file"),
        (
            "another owner",
            packed(&[(header("r/a", 4, |it| it.set_uid(1000)), b"text")]),
            "`r/a` is not a plain file",
        ),
        (
            "a program",
            packed(&[(header("r/a", 4, |it| it.set_mode(0o755)), b"text")]),
            "`r/a` is not a plain file",
        ),
        ("nothing", packed(&[]), "there is no file in it"),
        ("no checksums", packed(&[plain("r/a")]), "`SHA256SUMS`: lists every file: it is missing"),
    ] {
        fs_err::write(&path, bytes).unwrap();
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
        let mut header = header("r/a", 0, |_| {});
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
