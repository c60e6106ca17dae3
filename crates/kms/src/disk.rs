//! Durable files: written whole, synced, renamed into place, directory synced.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// Only the service's own user may read what is written here.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;
/// Ending of files that are not whole yet; a crash may leave one, and nobody reads it.
pub(crate) const UNFINISHED: &str = "new";

/// What happens to a file of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Refuse,
    Replace,
}

/// Creates a directory and its parents, closed to others.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(path)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes a file that is either whole and durable under its name, or not there.
///
/// The bytes go through real writes, so their blocks are allocated before the name exists.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], existing: Existing) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut unfinished = name.to_owned();
    unfinished.push(".");
    unfinished.push(UNFINISHED);
    let unfinished = dir.join(unfinished);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let flags = match existing {
        Existing::Refuse => RenameFlags::NOREPLACE,
        Existing::Replace => RenameFlags::empty(),
    };
    if let Err(error) = renameat_with(CWD, &unfinished, CWD, path, flags) {
        // The name is taken: what was written for it goes, the error says why.
        drop(std::fs::remove_file(&unfinished));
        return Err(error.into());
    }
    sync_dir(dir)
}
