//! Fail points: the process kills itself at a named step, as a power cut would. For tests of crashes.
//!
//! `LEADVAULT_FAILPOINT=advance.3.decided` stops it the first time, `commit.3.chunk@4` the fourth time. The
//! names are those of protocols.md; `leadvault_keys::FAIL_POINTS` and `leadvault_store::fail_point::FAIL_POINTS` list
//! most of them. Without the variable nothing happens at any step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use leadvault_keys::FailPoint;

/// The variable. It is read once, at the start.
const VARIABLE: &str = "LEADVAULT_FAILPOINT";

/// The fail point of the environment.
pub(crate) fn from_environment() -> FailPoint {
    let Ok(wanted) = std::env::var(VARIABLE) else { return Arc::new(|_| {}) };
    let (name, time) = parse(&wanted);
    let (name, left) = (name.to_owned(), AtomicU32::new(time));
    Arc::new(move |step| {
        if step == name && left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let pid = rustix::process::getpid();
            // SIGKILL cannot be handled; should it fail, the step simply goes on.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    })
}

/// Name, and which time it is reached.
fn parse(text: &str) -> (&str, u32) {
    let numbered = text.split_once('@');
    let numbered = numbered.and_then(|(name, time)| Some((name, time.parse().ok()?)));
    numbered.unwrap_or((text, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_named_alone_or_with_the_time_it_is_reached() {
        assert_eq!(parse("commit.3.chunk"), ("commit.3.chunk", 1));
        assert_eq!(parse("commit.3.chunk@4"), ("commit.3.chunk", 4));
    }
}
