use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use rustix::process::geteuid;

use super::*;

fn mode(path: &Path) -> u32 {
    fs_err::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs_err::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_made_on_the_way_is_for_this_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("a").join("b");
    prepare(&inner).unwrap();
    assert_eq!((mode(&inner), mode(&folder.path().join("a"))), (0o700, 0o700));
}

#[test]
fn an_open_folder_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("a");
    fs_err::create_dir(&inner).unwrap();
    set_mode(&inner, 0o777);
    prepare(&inner).unwrap();
    assert_eq!(mode(&inner), 0o700);
}

#[test]
fn a_link_or_a_file_in_place_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link, file) =
        (folder.path().join("target"), folder.path().join("link"), folder.path().join("file"));
    fs_err::create_dir(&target).unwrap();
    fs_err::os::unix::fs::symlink(&target, &link).unwrap();
    fs_err::write(&file, b"").unwrap();
    for path in [link, file] {
        let error = prepare(&path).unwrap_err();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn a_folder_below_one_that_everybody_can_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("open").join("a");
    prepare(&inner).unwrap();
    for (open, allowed) in [(0o777, false), (0o1777, true), (0o775, true), (0o755, true)] {
        set_mode(inner.parent().unwrap(), open);
        match prepare(&inner) {
            Ok(()) => assert!(allowed, "{open:o}"),
            Err(error) => {
                assert!(!allowed && error.kind() == io::ErrorKind::PermissionDenied, "{open:o}: {error}");
                assert!(error.to_string().contains("lets other users replace"), "{error}");
            }
        }
    }
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    if !geteuid().is_root() {
        println!("skipped: only root can give a file to another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (inner, file) = (folder.path().join("a"), folder.path().join("file"));
    prepare(&inner).unwrap();
    fs_err::write(&file, b"").unwrap();
    set_mode(&file, 0o600);
    assert!(open(&file).unwrap().is_some());
    for path in [&inner, &file] {
        std::os::unix::fs::chown(path, Some(12_345), None).unwrap();
    }
    assert!(prepare(&inner).unwrap_err().to_string().contains("belongs to user 12345"));
    assert!(open(&file).unwrap().is_none());
    let error = prepare(&inner.join("b")).unwrap_err();
    assert!(error.to_string().contains("belongs to user 12345, who could replace"), "{error}");
}

#[test]
fn only_a_plain_file_that_others_cannot_write_to_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    assert!(open(&file).unwrap().is_none(), "missing");
    fs_err::write(&file, b"").unwrap();
    fs_err::os::unix::fs::symlink(&file, &link).unwrap();
    assert!(open(&link).unwrap().is_none(), "a link");
    assert!(open(folder.path()).unwrap().is_none(), "a folder");
    for (bits, trusted) in [(0o600, true), (0o644, true), (0o660, false), (0o602, false)] {
        set_mode(&file, bits);
        assert_eq!(open(&file).unwrap().is_some(), trusted, "{bits:o}");
    }
}
