//! What a command says: results on stdout or in a file that is there whole or not at all, and lines for people
//! on stderr.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::exit::Stop;

/// A line for people, formatted as by `format!`. Where nobody can read it, the exit code still tells: a closed
/// stderr is no reason to fail.
macro_rules! say {
    ($($line:tt)*) => { $crate::output::say(format_args!($($line)*)) };
}

/// As [`say!`].
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    let _unread = writeln!(std::io::stderr(), "{line}");
}

/// Prints a line of a result.
///
/// # Errors
/// [`Stop::Again`] when stdout is gone.
pub(crate) fn print_line(line: std::fmt::Arguments<'_>) -> Result<(), Stop> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| Stop::Again(e.into()))
}

/// Prints a value as one line of JSON.
///
/// # Errors
/// [`Stop::Again`] when stdout is gone.
pub(crate) fn print_json<T: Serialize>(value: &T) -> Result<(), Stop> {
    let text = serde_json::to_string(value).map_err(|e| Stop::Again(e.into()))?;
    print_line(format_args!("{text}"))
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
