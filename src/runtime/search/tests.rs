use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::*;

/// A folder with a program in it, as the only place there is.
struct Room {
    folder: tempfile::TempDir,
    surroundings: Surroundings,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join("program");
        fs_err::write(&executable, b"").unwrap();
        let surroundings = Surroundings {
            given: None,
            executable: Some(executable),
            cache: Some(folder.path().join("cache")),
            #[cfg(feature = "bundle-runtime")]
            bundle: None,
            #[cfg(feature = "bundle-runtime")]
            temporary: folder.path().join("temporary"),
        };
        Self { folder, surroundings }
    }

    fn put(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, name).unwrap();
        fs_err::canonicalize(path).unwrap()
    }
}

/// The name of a library as this platform writes it.
fn named(version: &str) -> String {
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let version = if version.is_empty() { String::new() } else { format!(".{version}") };
    if cfg!(target_os = "macos") {
        format!("{prefix}onnxruntime{version}{suffix}")
    } else {
        format!("{prefix}onnxruntime{suffix}{version}")
    }
}

#[test]
fn the_version_stands_in_the_name() {
    for (text, expected) in [("", vec![]), ("1", vec![1]), ("1.26.0", vec![1, 26, 0])] {
        assert_eq!(version(&named(text)), Some(expected), "{text}");
    }
    let suffix = std::env::consts::DLL_SUFFIX;
    for other in [
        "",
        "onnx",
        "libother.so",
        &named("1.x"),
        &named("1."),
        &format!("{PREFIX}onnxruntime_extensions{suffix}"),
    ] {
        assert_eq!(version(other), None, "{other}");
    }
}

#[test]
fn the_variable_goes_before_everything_and_nothing_follows_it() {
    let mut room = Room::new();
    room.put(&named(""));
    let given = room.put("given.so");
    room.surroundings.given = Some(given.clone());
    assert_eq!(room.surroundings.load(Ok).unwrap(), given);
    let missing = room.folder.path().join("missing.so");
    room.surroundings.given = Some(missing.clone());
    let error = room.surroundings.load(Ok).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::RuntimeMissing { path: missing });
}

#[test]
fn beside_the_executable_the_plain_name_goes_before_the_highest_version() {
    let room = Room::new();
    assert!(room.surroundings.beside().unwrap_err().contains(&named("")));
    for name in ["1.9.0", "1.26.0", "1.10.3", ""] {
        room.put(&named(name));
        let expected = if name == "1.10.3" { "1.26.0" } else { name };
        let expected = fs_err::canonicalize(room.folder.path().join(named(expected))).unwrap();
        assert_eq!(room.surroundings.beside(), Ok(expected.clone()), "after {name}");
        assert_eq!(room.surroundings.load(Ok).unwrap(), expected);
    }
}

#[cfg(unix)]
#[test]
fn a_library_that_anybody_could_have_put_beside_is_not_loaded() {
    use std::os::unix::fs::PermissionsExt as _;

    let room = Room::new();
    let path = room.put(&named(""));
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let place = room.surroundings.beside().unwrap_err();
    assert!(place.contains("anybody could have put it there"), "{place}");
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(room.surroundings.beside(), Ok(path.clone()));
    // Only root can give a file away; for others this stays their own.
    let executable = room.surroundings.executable.clone().unwrap();
    if std::os::unix::fs::chown(&executable, Some(12_345), None).is_ok() {
        assert_eq!(room.surroundings.beside(), Ok(path.clone()), "of root, beside another's");
        std::os::unix::fs::chown(&path, Some(12_346), None).unwrap();
        assert!(room.surroundings.beside().is_err(), "of a third");
    }
}

#[test]
fn the_digest_of_a_cached_library_is_checked() {
    let room = Room::new();
    let sha256 =
        Sha256::digest(b"library").iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let library = Library { name: "libtest.so", sha256: sha256.leak(), bytes: 7 };
    let path = library.cached(&room.folder.path().join("cache"));
    let cached = || room.surroundings.cached(Some(&library));
    assert_eq!(cached(), Err(format!("`{}`: missing", path.display())));
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    for (bytes, fault) in [
        (&b"librari"[..], "the digest `"),
        (b"libr", "4 bytes, expected 7"),
        (b"library and more", "more than 7 bytes"),
    ] {
        fs_err::write(&path, bytes).unwrap();
        let place = cached().unwrap_err();
        assert!(place.contains(&path.display().to_string()) && place.contains(fault), "{place}");
    }
    fs_err::write(&path, b"library").unwrap();
    assert_eq!(cached(), Ok(fs_err::canonicalize(&path).unwrap()));
    let place = room.surroundings.cached(None).unwrap_err();
    assert!(place.contains(std::env::consts::ARCH), "{place}");
}

#[test]
fn without_any_every_place_is_named() {
    let room = Room::new();
    let error = room.surroundings.load(Ok).unwrap_err();
    let ErrorKind::RuntimeNotFound { looked_in } = error.kind() else { panic!("{error}") };
    assert_eq!(looked_in.len(), 4);
    let text = error.to_string();
    for part in ["`KOKORO_ONNXRUNTIME`", &named(""), "this binary", "cache", "hint: "] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn an_empty_variable_is_not_set() {
    let read = |variables: &[(&str, &str)]| {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        Surroundings::read(|name| variables.get(name).map(OsString::from))
    };
    assert_eq!(read(&[("KOKORO_ONNXRUNTIME", "")]).given, None);
    let all = read(&[("KOKORO_ONNXRUNTIME", "/a.so"), ("KOKORO_MODEL_CACHE", "/c")]);
    assert_eq!((all.given, all.cache), (Some("/a.so".into()), Some("/c".into())));
}
