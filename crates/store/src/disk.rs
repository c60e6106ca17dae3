//! Files that must survive a crash: written aside, synced, renamed, and the directory synced.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::error::{Result, StoreError};

/// What a file is called while it is written. A crash leaves at most these behind.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

/// Runs file work off the async threads.
pub(crate) async fn blocking<T, F>(work: F) -> Result<io::Result<T>>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Unavailable)
}

/// Makes a directory's names durable.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Puts a whole file in place, or leaves what was there. The caller syncs the directory.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(TEMPORARY_SUFFIX);
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)
}
