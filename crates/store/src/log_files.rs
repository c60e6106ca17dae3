//! The published logs: `log/<tenant uuid>/…` and `log/operator/…`, as C2SP tlog-tiles lays them out.
//!
//! Tiles and bundles are immutable: a file that is there is never written with other bytes, and no database
//! restore touches it. The checkpoint alone is replaced, after everything it covers is durable.
//!
//! A partial tile or bundle (`….p/<width>`) is superseded by a wider one and by the full one. The widest two
//! stay, so that a reader who holds the checkpoint before the present one still finds its files.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use leadvault_domain::TenantId;
use leadvault_keys::FailPoint;
use leadvault_ledger::DirSource;

use crate::disk::{blocking, replace, sync_dir};
use crate::error::{Result, StoreError};
use crate::fail_point::Steps;

/// Name of the checkpoint in a log's directory.
pub const CHECKPOINT: &str = "checkpoint";
/// Name of the verifier key in a log's directory.
pub const VKEY: &str = "vkey";
/// Partial widths of one tile that stay: that of the present checkpoint, and that of the one before.
const PARTIALS_KEPT: usize = 2;
/// Directory of the operator's log.
const OPERATOR: &str = "operator";

/// The right to publish a log, until it is dropped.
#[derive(Debug)]
pub struct LogLock(#[expect(dead_code, reason = "held, not read")] fs::File);

/// The directory of all logs.
#[derive(Debug, Clone)]
pub struct LogFiles {
    root: PathBuf,
    steps: Steps,
}

impl LogFiles {
    /// Logs under `root`, the `log` directory of the cell.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), steps: Steps::default() }
    }

    /// With a listener at each step `publish.…` of [`crate::fail_point::FAIL_POINTS`].
    #[must_use]
    pub fn with_fail_points(mut self, fail_point: FailPoint) -> Self {
        self.steps = Steps::new(fail_point);
        self
    }

    /// The directory of a log: a tenant's, or the operator's.
    pub fn dir(&self, log: Option<TenantId>) -> PathBuf {
        self.root.join(log.map_or_else(|| OPERATOR.to_owned(), |id| id.uuid().to_string()))
    }

    /// The log as the verifier reads it.
    pub fn source(&self, log: Option<TenantId>) -> DirSource {
        DirSource::new(self.dir(log))
    }

    /// Publishes: first the immutable files, durably, then the checkpoint that covers them, then the
    /// partial files that nobody needs any more go.
    ///
    /// # Errors
    /// [`StoreError::FileDiffers`] if a file is there with other bytes: nothing is replaced, and the
    /// checkpoint stays. [`StoreError::Unwritable`].
    pub async fn publish(
        &self,
        log: Option<TenantId>,
        files: Vec<(String, Vec<u8>)>,
        checkpoint: Vec<u8>,
    ) -> Result<()> {
        let (dir, steps) = (self.dir(log), self.steps.clone());
        let differs = blocking(move || {
            if write_immutable(&dir, &files)? == Written::Differs {
                return Ok(true);
            }
            steps.reached("publish.1.files");
            replace(&dir.join(CHECKPOINT), &checkpoint)?;
            sync_dir(&dir)?;
            steps.reached("publish.2.checkpoint");
            for (path, _) in &files {
                delete_superseded(&dir.join(path), PARTIALS_KEPT)?;
            }
            Ok(false)
        })
        .await?
        .map_err(|_| StoreError::Unwritable)?;
        if differs { Err(StoreError::FileDiffers) } else { Ok(()) }
    }

    /// Keeps every other node from publishing this log, until the lock is dropped. The lock is `flock` on the log's
    /// directory: it needs no file of its own and goes with the process.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn lock(&self, log: Option<TenantId>) -> Result<LogLock> {
        let dir = self.dir(log);
        blocking(move || {
            fs::create_dir_all(&dir)?;
            let dir = fs::File::open(dir)?;
            dir.lock()?;
            Ok(LogLock(dir))
        })
        .await?
        .map_err(|_: io::Error| StoreError::Unwritable)
    }

    /// Removes the partial files that the present checkpoint does not need. For a log that nobody reads any
    /// more while it changes: the one of a server that ends.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn tidy(&self, log: Option<TenantId>) -> Result<()> {
        let dir = self.dir(log).join("tile");
        blocking(move || delete_all_superseded(&dir)).await?.map_err(|_| StoreError::Unwritable)
    }

    /// Writes a file that is replaced as a whole: the verifier key of a log.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn replace(
        &self,
        log: Option<TenantId>,
        name: &'static str,
        bytes: Vec<u8>,
    ) -> Result<()> {
        let dir = self.dir(log);
        blocking(move || {
            fs::create_dir_all(&dir)?;
            replace(&dir.join(name), &bytes)?;
            sync_dir(&dir)?;
            dir.parent().map_or(Ok(()), sync_dir)
        })
        .await?
        .map_err(|_| StoreError::Unwritable)
    }

    /// A file of a log; `None` if it is not there, or the path would leave the log's directory.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn read(&self, log: Option<TenantId>, path: &str) -> Result<Option<Vec<u8>>> {
        let plain = path.split('/').all(|part| {
            !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0'])
        });
        if !plain {
            return Ok(None);
        }
        let path = self.dir(log).join(path);
        match blocking(move || fs::read(path)).await? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(_) => Err(StoreError::Unavailable),
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}

#[derive(PartialEq, Eq)]
enum Written {
    All,
    Differs,
}

/// Writes every file that is not there. Durable when it returns, names included.
fn write_immutable(dir: &Path, files: &[(String, Vec<u8>)]) -> io::Result<Written> {
    let mut dirs = BTreeSet::new();
    for (path, bytes) in files {
        let path = dir.join(path);
        match fs::read(&path) {
            Ok(present) if present == *bytes => continue,
            Ok(_) => return Ok(Written::Differs),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error),
        }
        let parent = path.parent().unwrap_or(dir);
        fs::create_dir_all(parent)?;
        replace(&path, bytes)?;
        // New directories are names in their parents, up to the log's own.
        dirs.extend(parent.ancestors().take_while(|a| a.starts_with(dir)).map(Path::to_owned));
    }
    fs::create_dir_all(dir)?;
    dirs.extend(dir.parent().map(Path::to_owned));
    for touched in dirs.iter().rev() {
        sync_dir(touched)?;
    }
    Ok(Written::All)
}

/// Removes what `path` supersedes: all partials of a full file, all but the widest `kept` of a partial.
fn delete_superseded(path: &Path, kept: usize) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    if parent.extension().is_some_and(|e| e == "p") {
        let mut widths: Vec<u16> = fs::read_dir(parent)?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        widths.sort_unstable();
        let superseded = widths.len().saturating_sub(kept);
        for width in widths.iter().take(superseded) {
            fs::remove_file(parent.join(width.to_string()))?;
        }
        return Ok(());
    }
    let mut partials = path.as_os_str().to_owned();
    partials.push(".p");
    match fs::remove_dir_all(&partials) {
        Err(error) if !is_absent(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Leaves one partial of each tile and bundle below `dir`.
fn delete_all_superseded(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if is_absent(&error) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        if path.extension().is_some_and(|e| e == "p") {
            delete_superseded(&path.join("1"), 1)?;
        } else {
            delete_all_superseded(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: &[u8]) -> (String, Vec<u8>) {
        (path.to_owned(), bytes.to_vec())
    }

    #[tokio::test]
    async fn a_published_file_never_changes_and_the_checkpoint_does() {
        let dir = tempfile::tempdir().unwrap();
        let files = LogFiles::new(dir.path());
        let log = Some(TenantId::from_bytes([1; 16]));
        files.publish(log, vec![file("tile/0/000.p/1", b"a")], b"one".to_vec()).await.unwrap();
        files.publish(log, vec![file("tile/0/000.p/1", b"a")], b"two".to_vec()).await.unwrap();
        assert_eq!(files.read(log, CHECKPOINT).await, Ok(Some(b"two".to_vec())));
        let refused =
            files.publish(log, vec![file("tile/0/000.p/1", b"b")], b"three".to_vec()).await;
        assert_eq!(refused, Err(StoreError::FileDiffers));
        assert_eq!(files.read(log, "tile/0/000.p/1").await, Ok(Some(b"a".to_vec())));
        assert_eq!(files.read(log, CHECKPOINT).await, Ok(Some(b"two".to_vec())));
        assert_eq!(files.read(None, CHECKPOINT).await, Ok(None));
    }

    #[tokio::test]
    async fn superseded_partials_go_but_for_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let files = LogFiles::new(dir.path());
        for width in ["1", "2", "10"] {
            let partial = file(&format!("tile/0/000.p/{width}"), width.as_bytes());
            files.publish(None, vec![partial], b"c".to_vec()).await.unwrap();
        }
        let mut there = Vec::new();
        for width in ["1", "2", "10"] {
            there.push(files.read(None, &format!("tile/0/000.p/{width}")).await.unwrap().is_some());
        }
        assert_eq!(there, [false, true, true]);
        files.tidy(None).await.unwrap();
        assert_eq!(files.read(None, "tile/0/000.p/2").await, Ok(None));
        assert_eq!(files.read(None, "tile/0/000.p/10").await, Ok(Some(b"10".to_vec())));
        files.publish(None, vec![file("tile/0/000", b"full")], b"c".to_vec()).await.unwrap();
        assert_eq!(files.read(None, "tile/0/000.p/10").await, Ok(None));
        assert_eq!(files.read(None, "tile/0/000").await, Ok(Some(b"full".to_vec())));
    }

    #[tokio::test]
    async fn no_path_leaves_the_directory_of_its_log() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret"), b"x").unwrap();
        let files = LogFiles::new(dir.path().join("log"));
        files.publish(None, vec![file("tile/0/000", b"t")], b"c".to_vec()).await.unwrap();
        for bad in ["../../secret", "/etc/passwd", "", "tile/./0/000", "tile//0/000", "tile/0"] {
            assert_eq!(files.read(None, bad).await, Ok(None), "{bad}");
        }
        assert!(dir.path().join("log/operator/../../secret").exists());
        assert_eq!(files.read(None, "tile/0/000").await, Ok(Some(b"t".to_vec())));
    }
}
