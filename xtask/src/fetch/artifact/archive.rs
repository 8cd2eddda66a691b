//! Reading a release archive, `<base>.<scheme>.tar.zst`, that nobody vouches for.
//!
//! Members are shown one after the other to a visitor and go to no path of the archive's choosing. The decoder is the one
//! in plain Rust. Refused are links, devices and sparse files, names that lead elsewhere or that two members share, also
//! where case does not count, a second top folder, more members or bytes than any release has, and anything behind the end.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use ruzstd::decoding::StreamingDecoder;

use super::super::archive::bad_archive;
use super::super::error::SourceError;

/// A bound on what an archive may unpack to, far above the largest release: the reference scheme's model has 289 MB.
const MOST_UNPACKED: u64 = 2 << 30;

/// A bound on the members of an archive; a release has some dozens.
const MOST_MEMBERS: usize = 1000;

/// Shows every file of the archive at `path` to `visit`, by its name below the top folder, with its size.
pub(super) fn members(
    path: &Path,
    visit: impl FnMut(&str, u64, &mut dyn Read) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let bad = |problem: String| bad_archive(path, problem);
    let file = BufReader::new(fs_err::File::open(path).map_err(SourceError::Local)?);
    let decoder = StreamingDecoder::new(file).map_err(|error| bad(format!("no Zstandard data: {error}")))?;
    let mut capped = Capped { inner: decoder, left: MOST_UNPACKED };
    walk(&mut tar::Archive::new(&mut capped), path, visit)?;

    // The end of the tarball is not that of the file; what follows would be in no checksum.
    let unread = |error: io::Error| bad(format!("cannot be unpacked: {error}"));
    let mut rest = [0; 4096];
    loop {
        let count = capped.read(&mut rest).map_err(unread)?;
        if count == 0 {
            break;
        }
        if rest[..count].iter().any(|byte| *byte != 0) {
            return Err(bad("expected nothing behind the last member, found more bytes".to_owned()));
        }
    }
    match capped.inner.into_inner().read(&mut rest).map_err(SourceError::Local)? {
        0 => Ok(()),
        _ => Err(bad("expected one Zstandard frame, found more behind it".to_owned())),
    }
}

fn walk(
    archive: &mut tar::Archive<impl Read>,
    path: &Path,
    mut visit: impl FnMut(&str, u64, &mut dyn Read) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let bad = |problem: String| bad_archive(path, problem);
    let unread = |error: io::Error| bad(format!("cannot be unpacked: {error}"));
    let mut seen = BTreeSet::new();
    let mut top: Option<String> = None;
    for member in archive.entries().map_err(unread)? {
        let mut member = member.map_err(unread)?;
        let shown = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        let kind = member.header().entry_type();
        if !kind.is_file() && !kind.is_dir() {
            return Err(bad(format!("expected files and folders only, found `{shown}`, a link or device")));
        }
        let name = plain(&shown).ok_or_else(|| bad(format!("refused the name `{shown}`")))?;
        let (folder, below) = name.split_once('/').unwrap_or((name, ""));
        let top = top.get_or_insert_with(|| folder.to_owned());
        if folder != top {
            return Err(bad(format!("expected all in one folder `{top}`, found `{shown}`")));
        }
        if kind.is_dir() {
            continue;
        }
        if below.is_empty() {
            return Err(bad(format!("expected one folder with all in it, found the file `{shown}`")));
        }
        if !seen.insert(below.to_lowercase()) {
            return Err(bad(format!("found `{shown}` twice")));
        }
        if seen.len() > MOST_MEMBERS {
            return Err(bad(format!("expected at most {MOST_MEMBERS} files, found more")));
        }
        let size = member.size();
        visit(below, size, &mut member)?;
    }
    Ok(())
}

/// The name without a slash at its end, if it leads to nowhere but below the folder it is looked up in, on any system.
fn plain(name: &str) -> Option<&str> {
    let name = name.strip_suffix('/').unwrap_or(name);
    let is_odd =
        |letter: char| letter.is_control() || matches!(letter, '\\' | ':' | char::REPLACEMENT_CHARACTER);
    let normal = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    // `components` passes over `//` and `/./`, which would make one file look like two.
    let exact = name.split('/').all(|part| !part.is_empty() && part != ".");
    (normal && exact && !name.contains(is_odd)).then_some(name)
}

/// Ends with an error where more comes than may.
struct Capped<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other(format!("expected at most {MOST_UNPACKED} bytes, found more")))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_where_they_are() {
        for (name, expected) in [
            ("a/b.json", Some("a/b.json")),
            ("a/", Some("a")),
            ("a/é", Some("a/é")),
            ("", None),
            ("/", None),
            ("/a", None),
            ("a//b", None),
            ("a/./b", None),
            ("./a", None),
            ("a/../b", None),
            ("..", None),
            ("a\\..\\b", None),
            ("c:/a", None),
            ("a\nb", None),
        ] {
            assert_eq!(plain(name), expected, "`{name}`");
        }
    }

    #[test]
    fn a_bomb_is_cut() {
        let mut capped = Capped { inner: io::repeat(0), left: 1 << 20 };
        let error = io::copy(&mut capped, &mut io::sink()).unwrap_err();
        assert!(error.to_string().contains("found more"), "{error}");
    }
}
