//! A release as it was downloaded, in memory: an archive, or the folder that one was unpacked to.
//!
//! Nothing is written and nothing is opened by a name that the release chose. An archive has to be what [`super::archive`]
//! writes, header by header, so there is no room for links, absolute paths, `..` or bytes between the files. What a folder
//! holds is read once; the bytes that are hashed are those that are used. The decoder is the one in plain Rust, since
//! nobody vouches for what it is given.
//!
//! All of it stays in memory, so there is no folder to leave behind and no path to lead out of it.
//! The decoder in plain Rust takes half a second more for an archive of 78 MB.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use ruzstd::decoding::StreamingDecoder;
use tar::Header;

use super::archive::{self, BLOCK};

/// More than any release of ours unpacks to: the largest artifact has 276 MiB.
const MOST_BYTES: u64 = 640 << 20;

/// More files than any release of ours has.
const MOST_FILES: usize = 200;

/// zstd may ask for a window of this many bytes and no more, eight times what our level takes.
const WINDOW: u64 = 32 << 20;

/// The files of a release.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    /// The name of the folder that they are in.
    pub(crate) top: String,
    /// By path below that folder, with `/` between folders.
    pub(crate) files: BTreeMap<String, Bytes>,
    /// When all of them are said to be from, in seconds since 1970; only an archive says that.
    pub(crate) time: Option<u64>,
    /// Their paths without regard to case: on some disks two of them would be one file.
    lower_case: BTreeSet<String>,
}

impl Unpacked {
    fn add(&mut self, path: &str, bytes: Vec<u8>) -> Result<()> {
        ensure!(self.files.len() < MOST_FILES, "expected at most {MOST_FILES} files");
        let is_new = self.lower_case.insert(path.to_lowercase());
        ensure!(is_new, "`{path}` is in it twice, at least where case does not count");
        self.files.insert(path.to_owned(), bytes.into());
        Ok(())
    }

    fn room(&self) -> u64 {
        MOST_BYTES.saturating_sub(self.files.values().map(|bytes| bytes.len() as u64).sum())
    }

    /// Reads an archive.
    ///
    /// # Errors
    /// It cannot be read, or is not what `package` writes; the message names the file in it.
    pub(crate) fn of_archive(archive: impl Read) -> Result<Self> {
        let archive = BufReader::with_capacity(1 << 20, archive);
        let mut decoder = StreamingDecoder::new_with_max_window_size(archive, WINDOW)
            .map_err(|error| anyhow!("expected Zstandard data: {error}"))?;
        let unpacked = Self::of_tar(&mut decoder)?;
        let (mut rest, frame) = decoder.into_parts();
        if let Some(expected) = frame.get_checksum_from_data() {
            let found = frame.get_calculated_checksum().unwrap_or_default();
            ensure!(found == expected, "expected the checksum {expected:08x} of zstd, found {found:08x}");
        }
        ensure!(rest.fill_buf()?.is_empty(), "expected nothing behind the compressed bytes");
        Ok(unpacked)
    }

    fn of_tar(reader: &mut impl Read) -> Result<Self> {
        let (mut unpacked, mut last) = (Self::default(), None::<String>);
        while let Some(header) = next_header(reader)? {
            let (name, bytes) = (name(&header)?, header.size()?);
            let time = header.mtime()?;
            let expected = archive::header(&name, bytes, time).with_context(|| format!("`{name}`"))?;
            ensure!(
                expected.as_bytes() == header.as_bytes(),
                "`{name}` is not a plain file of owner 0 and mode 644, as all files of a release are"
            );
            let (top, path) = parted(&name)?;
            if let Some(before) = &last {
                ensure!(top == unpacked.top, "`{name}` is not in the folder `{}`", unpacked.top);
                ensure!(before.as_str() <= name.as_str(), "`{name}` is out of order, behind `{before}`");
                ensure!(unpacked.time == Some(time), "`{name}` has another time than `{before}`");
            }
            unpacked.time = Some(time);
            ensure!(
                bytes <= unpacked.room(),
                "`{name}` has {bytes} bytes, with which the release has more than {MOST_BYTES}"
            );
            top.clone_into(&mut unpacked.top);
            unpacked.add(path, contents(reader, bytes).with_context(|| format!("`{name}`"))?)?;
            last = Some(name);
        }
        ensure!(last.is_some(), "there is no file in it");
        Ok(unpacked)
    }

    /// Reads the folder that an archive was unpacked to.
    ///
    /// # Errors
    /// It cannot be read, or has a link or anything else in it that is neither file nor folder; more than a release has.
    pub(crate) fn of_folder(folder: &Path) -> Result<Self> {
        let absolute = fs_err::canonicalize(folder)?;
        let top = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut unpacked = Self { top, ..Self::default() };
        unpacked.walk(folder, "")?;
        Ok(unpacked)
    }

    fn walk(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().with_context(|| format!("`{prefix}{}` is no UTF-8", name.display()))?;
            let path = format!("{prefix}{name}");
            // Of the entry itself, not of what a link leads to.
            let kind = entry.file_type()?;
            if kind.is_dir() {
                ensure!(prefix.is_empty(), "`{path}`: no folder of a release has folders in it");
                self.walk(&entry.path(), &format!("{path}/"))?;
            } else {
                ensure!(kind.is_file(), "`{path}` is neither a file nor a folder");
                let room = self.room();
                let mut bytes = Vec::new();
                fs_err::File::open(entry.path())?.take(room + 1).read_to_end(&mut bytes)?;
                ensure!(bytes.len() as u64 <= room, "`{path}`: the release has more than {MOST_BYTES} bytes");
                self.add(&path, bytes)?;
            }
        }
        Ok(())
    }
}

/// The next header; `None` at the two empty blocks that end an archive, behind which nothing may be.
fn next_header(reader: &mut impl Read) -> Result<Option<Header>> {
    let mut block = [0; BLOCK];
    reader.read_exact(&mut block).context("it ends early")?;
    if block != [0; BLOCK] {
        return Ok(Some(Header::from_byte_slice(&block).clone()));
    }
    reader.read_exact(&mut block).context("it ends early")?;
    ensure!(block == [0; BLOCK], "expected a second empty block at its end");
    ensure!(reader.read(&mut block)? == 0, "expected nothing behind its end");
    Ok(None)
}

/// The path as a header has it, which must be one that is safe on any system.
fn name(header: &Header) -> Result<String> {
    let bytes = header.path_bytes();
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    let sound = |part: &str| {
        !part.is_empty()
            && ![".", ".."].contains(&part)
            && !part.contains(|c: char| c.is_control() || "\\:*?\"<>|\u{fffd}".contains(c))
    };
    let Ok(name) = std::str::from_utf8(&bytes) else { bail!("`{shown}` is no UTF-8") };
    ensure!(name.split('/').all(sound), "`{shown}` is not a path below the folder of the release");
    Ok(shown)
}

fn parted(name: &str) -> Result<(&str, &str)> {
    let parts =
        name.split_once('/').with_context(|| format!("`{name}` is not in the folder of the release"))?;
    ensure!(parts.1.matches('/').count() <= 1, "`{name}`: no folder of a release has folders in it");
    Ok(parts)
}

/// The contents of a file and the zeros behind them.
fn contents(reader: &mut impl Read, bytes: u64) -> Result<Vec<u8>> {
    // As much as is there, not as much as a header promises.
    let mut contents = Vec::new();
    let found = reader.take(bytes).read_to_end(&mut contents)?;
    ensure!(found as u64 == bytes, "expected {bytes} bytes, found {found}");
    let mut padding = [0; BLOCK];
    let padding = &mut padding[..(BLOCK - found % BLOCK) % BLOCK];
    reader.read_exact(padding).map_err(|error| io::Error::new(error.kind(), "it ends early"))?;
    ensure!(padding.iter().all(|byte| *byte == 0), "expected zeros behind its bytes");
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::archive::EPOCH;

    /// A tar file of these paths, each with the bytes of its own name.
    fn tar_of(paths: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for path in paths {
            bytes.extend(block(path, path.len() as u64));
            bytes.extend(path.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.resize(bytes.len() + 2 * BLOCK, 0);
        bytes
    }

    /// A header as ours, but that the path may be any.
    fn block(path: &str, bytes: u64) -> Vec<u8> {
        let mut header = archive::header("x", bytes, EPOCH).unwrap();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    fn refused(bytes: &[u8]) -> String {
        format!("{:#}", Unpacked::of_tar(&mut &bytes[..]).unwrap_err())
    }

    #[test]
    fn plain_files_in_one_folder_are_read() {
        let unpacked = Unpacked::of_tar(&mut &tar_of(&["r/a", "r/b/c", "r/d"])[..]).unwrap();
        assert_eq!(unpacked.top, "r");
        let files: Vec<_> = unpacked.files.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])).collect();
        assert_eq!(files, [("a", &b"r/a"[..]), ("b/c", b"r/b/c"), ("d", b"r/d")]);
    }

    #[test]
    fn paths_that_lead_out_of_the_folder_are_refused() {
        for path in [
            "/r/a",
            "../a",
            "r/../a",
            "r/..",
            "r//a",
            "r/./a",
            "r/b/../../a",
            "r\\a/b",
            "C:/a",
            "r/a\n",
            "r/",
        ] {
            assert!(refused(&tar_of(&[path])).contains("not a path below the folder"), "{path}");
        }
        assert!(refused(&tar_of(&["a"])).contains("`a` is not in the folder"));
        assert!(refused(&tar_of(&["r/a", "s/b"])).contains("`s/b` is not in the folder `r`"));
        assert!(refused(&tar_of(&["r/a/b/c"])).contains("no folder of a release has folders"));
    }

    #[test]
    fn order_doubles_and_bytes_in_between_are_refused() {
        assert!(refused(&tar_of(&["r/b", "r/a"])).contains("`r/a` is out of order"));
        assert!(refused(&tar_of(&["r/a", "r/a"])).contains("`a` is in it twice"));
        assert!(refused(&tar_of(&["r/A", "r/a"])).contains("`a` is in it twice"));
        assert!(refused(&tar_of(&[])).contains("no file"));
        let whole = tar_of(&["r/a"]);
        for (cut, message) in [
            (0, "it ends early"),
            (1, "it ends early"),
            (BLOCK, "expected 3 bytes, found 0"),
            (BLOCK + 1, "expected 3 bytes, found 1"),
            (BLOCK + 3, "it ends early"),
            (2 * BLOCK, "it ends early"),
            (whole.len() - 1, "it ends early"),
        ] {
            assert!(refused(&whole[..cut]).contains(message), "{cut}: {}", refused(&whole[..cut]));
        }
        for (at, message) in
            [(BLOCK + 9, "zeros"), (2 * BLOCK + 9, "not a path"), (3 * BLOCK + 9, "second empty block")]
        {
            let mut changed = whole.clone();
            changed[at] = 1;
            assert!(refused(&changed).contains(message), "{at}: {}", refused(&changed));
        }
        assert!(refused(&[&whole[..], b"more"].concat()).contains("nothing behind its end"));
    }

    #[test]
    fn links_other_owners_and_other_headers_are_refused() {
        type Change = fn(&mut Header);
        let changes: [(&str, Change); 8] = [
            ("symbolic link", |it| it.set_entry_type(tar::EntryType::Symlink)),
            ("hard link", |it| it.set_entry_type(tar::EntryType::Link)),
            ("folder", |it| it.set_entry_type(tar::EntryType::Directory)),
            ("long name", |it| it.set_entry_type(tar::EntryType::GNULongName)),
            ("owner", |it| it.set_uid(1000)),
            ("set-user-id", |it| it.set_mode(0o4755)),
            ("device", |it| it.set_entry_type(tar::EntryType::Char)),
            ("pipe", |it| it.set_entry_type(tar::EntryType::Fifo)),
        ];
        for (what, change) in changes {
            let mut header = archive::header("r/a", 0, EPOCH).unwrap();
            change(&mut header);
            header.set_cksum();
            let bytes = [header.as_bytes(), &[0; 2 * BLOCK][..]].concat();
            assert!(refused(&bytes).contains("`r/a` is not a plain file"), "{what}");
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_read() {
        let most = block("r/a", MOST_BYTES + 1);
        assert!(refused(&most).contains("more than"), "{}", refused(&most));
        let names: Vec<String> = (0..=MOST_FILES).map(|at| format!("r/{at:04}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(refused(&tar_of(&names)).contains("at most"));
    }
}
