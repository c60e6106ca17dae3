//! The end of a server: the first SIGINT or SIGTERM lets open requests end, a second one does not wait.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum_server::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Stop;

/// How long open requests may take to end after the signal to stop. Container runtimes wait about as long
/// before they kill.
const GRACE: Duration = Duration::from_secs(10);

/// A write beyond a limit on file size becomes an error instead of the end of the process: then the journal
/// is unwritable, which is known and said.
///
/// # Errors
/// [`Stop::Again`] when the system refuses.
pub(super) fn survive_file_limit() -> Result<(), Stop> {
    // Once listened to it stays so for the life of the process, whoever drops the stream.
    on(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

fn on(kind: SignalKind) -> Result<Signal, Stop> {
    signal(kind).context("signals").map_err(Stop::Again)
}

/// The signals, listened to from before the server says that it is ready.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens. Before this call a signal ends the process at once, which loses nothing either.
    ///
    /// # Errors
    /// [`Stop::Again`] when the system refuses.
    pub(super) fn listen() -> Result<Self, Stop> {
        let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(on);
        Ok(Self { interrupt: interrupt?, terminate: terminate? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Stops the server at the signals. The flag tells afterwards whether it was cut short.
    pub(super) fn stop(mut self, handle: Handle<SocketAddr>) -> Arc<AtomicBool> {
        let cut = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&cut);
        tokio::spawn(async move {
            self.next().await;
            handle.graceful_shutdown(Some(GRACE));
            self.next().await;
            tell.store(true, Ordering::Release);
            handle.shutdown();
        });
        cut
    }
}
