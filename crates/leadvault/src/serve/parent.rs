//! A server that another program started for itself alone ends with that program, however it ends.
//!
//! `demo` says its process id in `LEADVAULT_PARENT`; without the variable a server depends on nobody.

use anyhow::Context as _;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::exit::{Done, Stop};

/// The variable that names the parent's process id.
pub(crate) const PARENT_VARIABLE: &str = "LEADVAULT_PARENT";

/// Ends this process when its parent ends.
///
/// # Errors
/// 2 where the variable is no process id; 4 when the parent is gone already.
pub(super) fn end_with_it() -> Done {
    let Ok(text) = std::env::var(PARENT_VARIABLE) else { return Ok(()) };
    let parent = text.parse().ok().and_then(Pid::from_raw);
    let parent = parent.with_context(|| format!("{PARENT_VARIABLE}: not a process id"))?;
    set_parent_process_death_signal(Some(Signal::TERM))
        .context(PARENT_VARIABLE)
        .map_err(Stop::Again)?;
    // It may have ended before the line above.
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(Stop::Again(anyhow::anyhow!("the program that started this server is gone")))
    }
}
