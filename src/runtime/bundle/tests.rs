use std::sync::Barrier;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;

/// Long enough for several blocks and buffers, and not of one byte only.
fn content() -> Vec<u8> {
    (0..700_000_u32).map(|index| (index.wrapping_mul(index) >> 9) as u8).collect()
}

fn library(content: &[u8]) -> Library {
    let sha256 =
        Sha256::digest(content).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    Library { name: "libtest.so", sha256: sha256.leak(), bytes: content.len() as u64 }
}

fn compressed(content: &[u8]) -> Vec<u8> {
    compress_to_vec(content, CompressionLevel::Fastest)
}

/// A private folder that stands for the user's, and a good bundle.
struct Room {
    folder: tempfile::TempDir,
    library: Library,
    compressed: Vec<u8>,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("temporary")).unwrap();
        Self { folder, library: library(&content()), compressed: compressed(&content()) }
    }

    fn bundle(&self) -> Bundle<'_> {
        Bundle { library: &self.library, compressed: &self.compressed }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn temporary(&self) -> PathBuf {
        self.folder.path().join("temporary")
    }

    /// Where the library is unpacked.
    fn unpacked(&self) -> PathBuf {
        self.cache().join("runtime").join(self.library.sha256).join("libtest.so")
    }

    /// What is loaded, and from where.
    fn load(&self, cache: &Path) -> (Vec<u8>, PathBuf) {
        let start = |path: PathBuf| Ok((fs_err::read(&path).unwrap(), path));
        self.bundle().load(Some(cache), &self.temporary(), start).unwrap()
    }

    fn put(&self, bytes: &[u8]) {
        fs_err::create_dir_all(self.unpacked().parent().unwrap()).unwrap();
        fs_err::write(self.unpacked(), bytes).unwrap();
    }

    fn names_in_unpacked(&self) -> Vec<String> {
        let entries = fs_err::read_dir(self.unpacked().parent().unwrap()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn the_library_is_unpacked_once() {
    let room = Room::new();
    assert_eq!(room.load(&room.cache()), (content(), room.unpacked()));
    let first = fs_err::metadata(room.unpacked()).unwrap().modified().unwrap();
    assert_eq!(room.load(&room.cache()), (content(), room.unpacked()));
    assert_eq!(fs_err::metadata(room.unpacked()).unwrap().modified().unwrap(), first);
    assert_eq!(room.names_in_unpacked(), ["libtest.so", "unpack.lock"]);
}

#[test]
fn what_is_planted_or_damaged_is_replaced() {
    let good = content();
    let mut changed = good.clone();
    changed[400_000] ^= 1;
    for (what, bytes) in
        [("a changed bit", &*changed), ("a short file", &good[..good.len() / 2]), ("an empty file", &[])]
    {
        let room = Room::new();
        room.put(bytes);
        assert_eq!(room.load(&room.cache()), (content(), room.unpacked()), "{what}");
    }
    let room = Room::new();
    room.put(&[&*good, b"more"].concat());
    assert_eq!(room.load(&room.cache()).0, content(), "a long file");
}

#[cfg(unix)]
#[test]
fn a_planted_link_is_replaced_and_not_followed() {
    let room = Room::new();
    let elsewhere = room.folder.path().join("elsewhere.so");
    // Even to the right bytes: whoever owns the file could change them after the check.
    fs_err::write(&elsewhere, content()).unwrap();
    let folder = room.unpacked().parent().unwrap().to_owned();
    fs_err::create_dir_all(&folder).unwrap();
    for name in ["libtest.so", "libtest.so.part"] {
        fs_err::os::unix::fs::symlink(&elsewhere, folder.join(name)).unwrap();
    }
    assert_eq!(room.load(&room.cache()), (content(), room.unpacked()));
    assert!(fs_err::symlink_metadata(room.unpacked()).unwrap().is_file());
    assert_eq!(fs_err::read(&elsewhere).unwrap(), content());
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_write_to_is_replaced() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    let room = Room::new();
    room.put(&content());
    fs_err::set_permissions(room.unpacked(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let planted = fs_err::metadata(room.unpacked()).unwrap().ino();
    assert_eq!(room.load(&room.cache()).0, content());
    let found = fs_err::metadata(room.unpacked()).unwrap();
    assert_ne!(found.ino(), planted);
    assert_eq!(found.mode() & 0o777, 0o600);
    assert_eq!(fs_err::metadata(room.unpacked().parent().unwrap()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn what_a_killed_process_left_is_removed() {
    let room = Room::new();
    room.put(b"");
    fs_err::write(room.unpacked().with_file_name("libtest.so.part"), b"half").unwrap();
    assert_eq!(room.load(&room.cache()).0, content());
    assert_eq!(room.names_in_unpacked(), ["libtest.so", "unpack.lock"]);
}

#[test]
fn a_damaged_bundle_is_refused_and_leaves_no_file() {
    let whole = compressed(&content());
    let mut other = content();
    other[7] ^= 1;
    let longer = [content(), vec![0]].concat();
    for (what, compressed, expected) in [
        ("truncated", whole[..whole.len() / 2].to_vec(), ""),
        ("empty but for the header", whole[..8].to_vec(), ""),
        ("no archive", b"this is no archive".to_vec(), ""),
        ("of other bytes", compressed(&other), "the digest `"),
        ("of fewer bytes", compressed(&content()[1..]), "699999 bytes, expected 700000"),
        ("of more bytes", compressed(&longer), "more than 700000 bytes"),
    ] {
        let room = Room { compressed, ..Room::new() };
        let start =
            |path: PathBuf| -> Result<(), Error> { panic!("{what}: `{}` was loaded", path.display()) };
        let error = room.bundle().load(Some(&room.cache()), &room.temporary(), start).unwrap_err();
        let ErrorKind::BundleDamaged { reason } = error.kind() else { panic!("{what}: {error}") };
        assert!(reason.contains(expected) && !reason.is_empty(), "{what}: {reason}");
        assert_eq!(room.names_in_unpacked(), ["unpack.lock"], "{what}");
        assert_eq!(fs_err::read_dir(room.temporary()).unwrap().count(), 0, "{what}");
    }
}

#[test]
fn several_at_once_unpack_one_library() {
    let room = Room::new();
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                assert_eq!(room.load(&room.cache()), (content(), room.unpacked()));
            });
        }
    });
    assert_eq!(room.names_in_unpacked(), ["libtest.so", "unpack.lock"]);
}

/// Places where no folder can be made, not even by root.
fn unusable(room: &Room) -> PathBuf {
    let file = room.folder.path().join("file");
    fs_err::write(&file, b"").unwrap();
    file
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_folder_it_is_loaded_from_memory() {
    let room = Room::new();
    for cache in [unusable(&room), PathBuf::from("/proc")] {
        let (bytes, path) = room.load(&cache);
        assert_eq!(bytes, content(), "{}", cache.display());
        assert!(path.starts_with("/proc/self/fd"), "{}", path.display());
    }
    let start = |path: PathBuf| Ok(fs_err::read(&path).unwrap());
    assert_eq!(room.bundle().load(None, &room.temporary(), start).unwrap(), content(), "no cache at all");
    assert_eq!(fs_err::read_dir(room.temporary()).unwrap().count(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_can_be_written_to_the_memory_that_was_checked() {
    let room = Room::new();
    let write = |path: &Path| fs_err::OpenOptions::new().write(true).open(path)?.write_all(b"other");
    let start = |path: PathBuf| Ok((write(&path), fs_err::read(&path).unwrap()));
    let (written, bytes) = room.bundle().load(None, &room.temporary(), start).unwrap();
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(bytes, content());
}

#[test]
fn a_place_from_which_nothing_can_be_loaded_is_passed_over() {
    let room = Room::new();
    // As the loader says where the file system allows no code to be run from it.
    let start = |path: PathBuf| {
        if path.starts_with(room.temporary()) {
            return Ok(fs_err::read(&path).unwrap());
        }
        Err(Error::with_source(ErrorKind::NotARuntime { path }, "operation not permitted"))
    };
    let loaded = room.bundle().load(Some(&room.cache()), &room.temporary(), start).unwrap();
    assert_eq!(loaded, content());
    assert_eq!(
        fs_err::read_dir(room.temporary()).unwrap().count(),
        0,
        "the folder was removed after loading"
    );
}

#[test]
fn where_no_place_will_do_each_is_named() {
    let room = Room::new();
    let cache = unusable(&room);
    let start = |path: PathBuf| -> Result<(), Error> { Err(ErrorKind::NotARuntime { path }.into()) };
    let missing = room.folder.path().join("missing");
    let error = room.bundle().load(Some(&cache), &missing, start).unwrap_err();
    let ErrorKind::RuntimeNotUnpacked { looked_in } = error.kind() else { panic!("{error}") };
    assert_eq!(looked_in.len(), if cfg!(target_os = "linux") { 3 } else { 2 });
    let text = error.to_string();
    for part in [cache.display(), missing.display()] {
        assert!(text.contains(&format!("looked in: `{part}")), "{text}");
    }
    assert!(text.contains("hint: ") && text.contains("`KOKORO_MODEL_CACHE`"), "{text}");
}

#[test]
fn an_error_of_the_library_itself_is_the_answer() {
    let room = Room::new();
    let kind = |path: PathBuf| ErrorKind::RuntimeTooOld { path, found: 1, needed: 2 };
    let start = |path: PathBuf| -> Result<(), Error> { Err(kind(path).into()) };
    let error = room.bundle().load(Some(&room.cache()), &room.temporary(), start).unwrap_err();
    assert_eq!(error.kind(), &kind(room.unpacked()));
}
