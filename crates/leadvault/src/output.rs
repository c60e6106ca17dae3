//! Results on stdout: one JSON document a line.

use serde::Serialize;

use crate::exit::Stop;

/// Prints a value as one line of JSON.
///
/// # Errors
/// [`Stop::Again`] when stdout is gone.
#[expect(clippy::print_stdout, reason = "stdout is where a command's result goes")]
pub(crate) fn print_json<T: Serialize>(value: &T) -> Result<(), Stop> {
    let text = serde_json::to_string(value).map_err(|e| Stop::Again(e.into()))?;
    println!("{text}");
    Ok(())
}
