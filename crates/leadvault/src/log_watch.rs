//! `leadvault log watch`: keeps the newest checkpoint in a file and checks that the log only grew.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::ServerArgs;
use crate::exit::{Done, Stop};
use crate::output;
use crate::verify;

/// Runs the command. The kept checkpoint moves only after the log verified against it. A server that is
/// gone is asked again; with `once`, that ends the command.
///
/// # Errors
/// 1 when the log does not verify or is not a continuation of what was kept; 2 for a wrong key or an
/// unreadable file; 4 when the server is gone and it was to be asked once.
pub(crate) fn run(
    server: &ServerArgs,
    vkey: &Path,
    state: &Path,
    once: bool,
    every_seconds: u64,
) -> Done {
    let source = format!("{}/v1/log", server.url.trim_end_matches('/'));
    loop {
        match look(&source, server, vkey, state) {
            Ok(size) => say!("kept size {size}"),
            Err(Stop::Again(error)) if !once => say!("{error:#}; asking again"),
            Err(stop) => return Err(stop),
        }
        if once {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(every_seconds.max(1)));
    }
}

/// Verifies the log against what was kept and keeps what it was verified at; its size.
fn look(source: &str, server: &ServerArgs, vkey: &Path, state: &Path) -> Result<String, Stop> {
    let kept = state.exists().then_some(state);
    let checkpoint = verify::log_at(source, vkey, kept, Some(&server.key_file))?;
    output::write_whole(state, checkpoint.as_bytes())
        .with_context(|| format!("cannot write {}", state.display()))
        .map_err(Stop::Usage)?;
    Ok(checkpoint.lines().nth(1).unwrap_or("?").to_owned())
}
