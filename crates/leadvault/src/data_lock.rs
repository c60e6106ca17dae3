//! Who may work in a data directory: one server, or several nodes of one where the stores are in PostgreSQL; or one
//! command that replaces a file.
//!
//! The lock is `flock` on the directory itself, so it needs no file of its own and goes with the process.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::Context as _;

use crate::exit::Stop;

/// The lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct DataLock(#[expect(dead_code, reason = "held, not read")] File);

impl DataLock {
    /// Has the directory for a server; `beside` others, where the stores are made for several. Two servers on
    /// one embedded store would each keep caches of the same rows.
    ///
    /// # Errors
    /// 4 while another server or a command has it.
    pub(crate) fn serving(data: &Path, beside: bool) -> Result<Self, Stop> {
        let dir = open(data)?;
        let locked = if beside { dir.try_lock_shared() } else { dir.try_lock() };
        match locked {
            Ok(()) => Ok(Self(dir)),
            Err(TryLockError::WouldBlock) => Err(Stop::Again(anyhow::anyhow!(
                "another process has the data directory {}",
                data.display()
            ))),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Has the start of a server alone among the nodes of a cell: what a start puts in order, it puts in order while no
    /// other does, and while no tenant is half born.
    ///
    /// # Errors
    /// 4 when it cannot be had.
    pub(crate) fn starting(data: &Path) -> Result<Self, Stop> {
        let slots = open(&data.join("slots"))?;
        slots.lock().map_err(failed)?;
        Ok(Self(slots))
    }

    /// Has the directory alone.
    ///
    /// # Errors
    /// 2 while a server works in it.
    pub(crate) fn exclusive(data: &Path) -> Result<Self, Stop> {
        let dir = open(data)?;
        match dir.try_lock() {
            Ok(()) => Ok(Self(dir)),
            Err(TryLockError::WouldBlock) => Err(Stop::Usage(anyhow::anyhow!(
                "the data directory is in use; stop the service first"
            ))),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

fn open(data: &Path) -> Result<File, Stop> {
    Ok(File::open(data).with_context(|| format!("the data directory {}", data.display()))?)
}

fn failed(error: std::io::Error) -> Stop {
    Stop::Again(anyhow::Error::new(error).context("the data directory cannot be locked"))
}
