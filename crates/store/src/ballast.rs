//! Space kept for the moment the disk is full (protocols.md 1.2): the transaction that decides an erasure,
//! and the log that reports it, must not be blocked by an import that filled the disk.
//!
//! A file of allocated blocks beside the database. It is removed when a write finds no space, and made
//! again when there is room.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// The file, and whether it is there.
#[derive(Debug)]
pub(crate) struct Ballast {
    path: PathBuf,
    bytes: u64,
    filled: Mutex<bool>,
}

impl Ballast {
    /// Makes the ballast of the database at `database`, if there is room for it.
    pub(crate) fn open(database: &Path, bytes: u64) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push(".ballast");
        let ballast = Self { path: name.into(), bytes, filled: Mutex::new(false) };
        ballast.fill();
        ballast
    }

    /// Makes the file if it is not there. Without room it stays away; that is reported, not an error.
    pub(crate) fn fill(&self) {
        let mut filled = self.filled.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *filled || self.bytes == 0 {
            return;
        }
        *filled = allocate(&self.path, self.bytes).is_ok();
        if !*filled {
            let _gone = fs::remove_file(&self.path);
            tracing::warn!(ballast.bytes = self.bytes, "no room for the ballast file");
        }
    }

    /// Makes the file again after it was given up, where there is room for twice its size: what is left
    /// free is not taken away from those who need it now.
    pub(crate) fn refill(&self) {
        if self.is_filled() || self.bytes == 0 {
            return;
        }
        let room = self.path.parent().and_then(|dir| statvfs(dir).ok());
        let room = room.map_or(0, |fs| fs.f_bavail.saturating_mul(fs.f_frsize));
        if room >= self.bytes.saturating_mul(2) {
            self.fill();
        }
    }

    /// Gives the space back; `false` if there was none to give.
    pub(crate) fn release(&self) -> bool {
        let mut filled = self.filled.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !*filled {
            return false;
        }
        *filled = false;
        tracing::warn!(ballast.bytes = self.bytes, "a write found no space: ballast released");
        fs::remove_file(&self.path).is_ok()
    }

    /// Whether the file is there.
    pub(crate) fn is_filled(&self) -> bool {
        *self.filled.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn allocate(path: &Path, bytes: u64) -> std::io::Result<()> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    if file.metadata()?.len() == bytes {
        return Ok(());
    }
    // A filesystem without this call has no ballast: writing zeros would not hold blocks on those that
    // compress.
    fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_space_is_given_once_and_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("x.db");
        let ballast = Ballast::open(&database, 4096);
        assert!(ballast.is_filled());
        assert_eq!(fs::metadata(&ballast.path).unwrap().len(), 4096);
        assert!(ballast.release());
        assert!(!ballast.path.exists() && !ballast.release());
        ballast.refill();
        assert!(ballast.is_filled() && ballast.path.exists());
    }

    #[test]
    fn no_ballast_is_asked_for_with_zero_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = Ballast::open(&dir.path().join("x.db"), 0);
        assert!(!ballast.is_filled() && !ballast.release());
    }
}
