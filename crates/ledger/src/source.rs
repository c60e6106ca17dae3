//! Where the files of a log are read from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

/// Largest file of a log: 256 entries of at most 65,535 bytes and their lengths. Anything longer is not
/// read to its end.
pub(crate) const FILE_BYTES_MAX: usize = 256 * (65_535 + 2);

/// A file could not be read, which is not the same as its being absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file of the log could not be read")]
pub struct SourceError;

/// The files of one log, by paths relative to its directory: `checkpoint`, `tile/…`.
pub trait LogSource {
    /// The file's bytes; `None` if there is no such file.
    ///
    /// # Errors
    /// [`SourceError`] where it cannot be told: a disk or a network failed.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError>;
}

impl LogSource for BTreeMap<String, Vec<u8>> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.get(path).cloned())
    }
}

/// A log in a directory.
#[derive(Debug, Clone)]
pub struct DirSource(PathBuf);

impl DirSource {
    /// The log under `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }
}

impl LogSource for DirSource {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let relative = Path::new(path);
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Ok(None);
        }
        let file = match File::open(self.0.join(relative)) {
            Ok(file) => file,
            Err(error) if absent(error.kind()) => return Ok(None),
            Err(_) => return Err(SourceError),
        };
        let mut bytes = Vec::new();
        let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        match file.take(limit).read_to_end(&mut bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::IsADirectory => Ok(None),
            Err(_) => Err(SourceError),
        }
    }
}

fn absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}
