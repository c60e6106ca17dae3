//! Ctrl-C during a demo: the server is killed, the temporary directory goes, nothing is left running.
//!
//! The server is told apart from the demo (a process group of its own), so that a Ctrl-C of the terminal
//! reaches the demo alone and a step never fails for it.

use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

/// How often, and how long apart, a server is looked at that was asked to end: longer than it lets open
/// requests take.
const STOP_LOOKS: u32 = 300;
const STOP_PAUSE: Duration = Duration::from_millis(50);

/// What has to go when the demo ends.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// The running server.
    pub(super) server: Option<Child>,
    /// The temporary directory.
    pub(super) directory: Option<PathBuf>,
    /// Whether every step is done and the demo only waits for the signal.
    pub(super) lingers: bool,
}

impl Left {
    fn clear(&mut self) {
        if self.directory.is_none() {
            stop(&mut self.server);
        }
        kill(&mut self.server);
        if let Some(directory) = self.directory.take() {
            let gone = std::fs::remove_dir_all(&directory);
            let says = if gone.is_ok() { "removed" } else { "could not remove" };
            say!("{says} {}", directory.display());
        }
    }
}

/// Lets a server end by itself, so that what it leaves behind is whole. One that does not stays.
pub(super) fn stop(server: &mut Option<Child>) {
    let Some(child) = server else { return };
    let asked = kill_process(Pid::from_child(child), Signal::TERM);
    for _ in 0..STOP_LOOKS {
        if asked.is_err() || !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(STOP_PAUSE);
    }
}

/// SIGKILL, and its end.
pub(super) fn kill(server: &mut Option<Child>) {
    if let Some(mut child) = server.take() {
        // A server that is gone already needs no killing.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Shared by the walk and the thread that waits for signals.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Left>>);

impl Shared {
    /// Looks after what is left. Whoever holds this keeps the other from starting or ending anything.
    pub(super) fn left(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Clears up at the end of a walk.
    pub(super) fn clear(&self) {
        self.left().clear();
    }

    /// Waits for SIGINT, SIGTERM or SIGHUP in a thread of its own, clears up and ends the process: with 0
    /// when the demo was done, with 4 in the middle of it.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    pub(super) fn end_on_signal(&self) -> anyhow::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("runtime")?;
        let (mut interrupt, mut terminate, mut hangup) = {
            let _inside = runtime.enter();
            (
                signal(SignalKind::interrupt()).context("signals")?,
                signal(SignalKind::terminate()).context("signals")?,
                signal(SignalKind::hangup()).context("signals")?,
            )
        };
        let shared = self.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                        _ = hangup.recv() => {}
                    }
                });
                // Held until the process is gone: the walk starts no server any more.
                let mut left = shared.left();
                left.clear();
                std::process::exit(if left.lingers { 0 } else { INTERRUPTED });
            })
            .context("signals")?;
        Ok(())
    }
}

/// Could not finish (surfaces.md 1).
const INTERRUPTED: i32 = 4;
