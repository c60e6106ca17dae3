//! `leadvault log watch`: keeps the newest checkpoint in a file and checks that the log only grew.

use std::path::Path;

use anyhow::Context as _;

use crate::cli::ServerArgs;
use crate::exit::{Done, Stop};
use crate::verify;

/// Runs the command. The kept checkpoint moves only after the log verified against it.
///
/// # Errors
/// 1 when the log does not verify or is not a continuation of what was kept; 4 when the server is gone.
#[expect(clippy::print_stderr, reason = "stderr speaks to people")]
pub(crate) fn run(
    server: &ServerArgs,
    vkey: &Path,
    state: &Path,
    once: bool,
    every_seconds: u64,
) -> Done {
    let source = format!("{}/v1/log", server.url.trim_end_matches('/'));
    loop {
        let kept = state.exists().then_some(state);
        let checkpoint = verify::log_at(&source, vkey, kept, Some(&server.key_file))?;
        let fresh = state.with_extension("new");
        std::fs::write(&fresh, &checkpoint)
            .and_then(|()| std::fs::rename(&fresh, state))
            .with_context(|| format!("cannot write {}", state.display()))
            .map_err(Stop::Usage)?;
        eprintln!("kept size {}", checkpoint.lines().nth(1).unwrap_or("?"));
        if once {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_secs(every_seconds.max(1)));
    }
}
