//! A folder and files that no other user can change.

use std::io;
use std::path::Path;

/// Makes the folder if it is missing, and checks that only this user can put something into it.
///
/// # Errors
/// The system's, and [`io::ErrorKind::PermissionDenied`] for a folder that another user owns or could replace.
pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    system::create(folder)?;
    let found = fs_err::symlink_metadata(folder)?;
    if !found.is_dir() {
        return Err(refused(folder, "is not a folder"));
    }
    system::close(folder, &found)?;
    // Whoever can write to a folder further up can put another folder in the place of this one.
    let parent = fs_err::canonicalize(folder.parent().unwrap_or(folder))?;
    parent.ancestors().try_for_each(system::check_ancestor)
}

/// Opens a file for reading, or tells that there is none that could be trusted: a missing one, a link, one that
/// another user owns or can write to.
///
/// # Errors
/// The system's.
pub(super) fn open(path: &Path) -> io::Result<Option<fs_err::File>> {
    match system::open(path) {
        Ok(file) => {
            let found = file.metadata()?;
            Ok((found.is_file() && system::is_mine(&found)).then_some(file))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // It is a link, or a folder: something that we never put there.
        Err(_) if fs_err::symlink_metadata(path).is_ok_and(|found| !found.is_file()) => Ok(None),
        Err(error) => Err(error),
    }
}

fn refused(path: &Path, reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("`{}` {reason}", path.display()))
}

#[cfg(unix)]
mod system {
    use std::fs::{DirBuilder, Metadata, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
    use std::path::Path;

    use fs_err::os::unix::fs::OpenOptionsExt as _;
    use rustix::fs::OFlags;
    use rustix::process::{getegid, geteuid};

    use super::refused;

    const GROUP_CAN_WRITE: u32 = 0o020;
    const OTHERS_CAN_WRITE: u32 = 0o002;
    /// In a folder with this bit, an entry can be renamed or removed by its owner only.
    const STICKY: u32 = 0o1000;

    /// Folders that are missing on the way are made for this user alone, as the XDG base directory specification asks.
    pub(super) fn create(folder: &Path) -> io::Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", folder.display())))
    }

    /// Takes all rights from everybody else. A folder that others could write to until now may hold what they put
    /// there; each file in it is looked at again anyway.
    pub(super) fn close(folder: &Path, found: &Metadata) -> io::Result<()> {
        if found.uid() != geteuid().as_raw() {
            return Err(refused(folder, &format!("belongs to user {}, not to this user", found.uid())));
        }
        if found.mode() & 0o077 != 0 {
            fs_err::set_permissions(folder, Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    /// The user's own group may write: many systems give each user a group, and let it write by default.
    pub(super) fn check_ancestor(folder: &Path) -> io::Result<()> {
        let found = fs_err::metadata(folder)?;
        if ![0, geteuid().as_raw()].contains(&found.uid()) {
            return Err(refused(
                folder,
                &format!("belongs to user {}, who could replace what is below", found.uid()),
            ));
        }
        let group = found.mode() & GROUP_CAN_WRITE != 0 && found.gid() != getegid().as_raw();
        let others = found.mode() & OTHERS_CAN_WRITE != 0;
        if (group || others) && found.mode() & STICKY == 0 {
            return Err(refused(folder, "lets other users replace what is below"));
        }
        Ok(())
    }

    pub(super) fn open(path: &Path) -> io::Result<fs_err::File> {
        // Without `NONBLOCK`, opening a pipe that somebody put there would wait forever.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        fs_err::OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
    }

    pub(super) fn is_mine(found: &Metadata) -> bool {
        found.uid() == geteuid().as_raw() && found.mode() & (GROUP_CAN_WRITE | OTHERS_CAN_WRITE) == 0
    }
}

/// Elsewhere the user's own folders are private by the lists that they inherit.
#[cfg(not(unix))]
mod system {
    use std::fs::Metadata;
    use std::io;
    use std::path::Path;

    pub(super) fn create(folder: &Path) -> io::Result<()> {
        fs_err::create_dir_all(folder)
    }

    #[expect(clippy::unnecessary_wraps, reason = "on Unix it asks the file system")]
    pub(super) fn close(_: &Path, _: &Metadata) -> io::Result<()> {
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "on Unix it asks the file system")]
    pub(super) fn check_ancestor(_: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn open(path: &Path) -> io::Result<fs_err::File> {
        if fs_err::symlink_metadata(path)?.is_symlink() {
            return Err(super::refused(path, "is a link"));
        }
        fs_err::File::open(path)
    }

    pub(super) fn is_mine(_: &Metadata) -> bool {
        true
    }
}

#[cfg(all(test, unix))]
mod tests;
