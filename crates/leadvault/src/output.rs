//! Results: one JSON document a line on stdout, or a file that is there whole or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::exit::Stop;

/// Prints a value as one line of JSON.
///
/// # Errors
/// [`Stop::Again`] when stdout is gone.
pub(crate) fn print_json<T: Serialize>(value: &T) -> Result<(), Stop> {
    let text = serde_json::to_string(value).map_err(|e| Stop::Again(e.into()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|e| Stop::Again(e.into()))
}

/// Puts a file in its place, durably: the new one or the one before, never a part.
///
/// # Errors
/// What the file system says.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = PathBuf::from(name);
    let mut file = std::fs::File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)
}
