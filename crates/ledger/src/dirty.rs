//! Which logs have entries that are not published yet.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use leadvault_domain::TenantNo;
use tokio::sync::Notify;

/// The set of logs with new entries, filled by the journal and emptied by the publisher. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct DirtyLogs(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    logs: Mutex<BTreeSet<TenantNo>>,
    /// Taken by the publisher and not done yet.
    in_work: AtomicUsize,
    marked: Notify,
}

impl DirtyLogs {
    /// Marks logs, as the journal does after a commit and a publisher does after a failed attempt.
    pub fn mark(&self, logs: impl IntoIterator<Item = TenantNo>) {
        let mut held = self.0.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let before = held.len();
        held.extend(logs);
        if held.len() > before {
            self.0.marked.notify_one();
        }
    }

    /// How many logs are marked now, or were taken and are not done.
    pub fn open(&self) -> usize {
        let marked = self.0.logs.lock().unwrap_or_else(PoisonError::into_inner).len();
        marked.saturating_add(self.0.in_work.load(Ordering::Acquire))
    }

    /// Says that so many of what was taken are not done yet.
    pub fn in_work(&self, logs: usize) {
        self.0.in_work.store(logs, Ordering::Release);
    }

    /// Takes what is marked now, which may be nothing.
    pub fn take(&self) -> BTreeSet<TenantNo> {
        std::mem::take(&mut *self.0.logs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until at least one log is marked, and takes them all. One publisher waits at a time.
    pub async fn changed(&self) -> BTreeSet<TenantNo> {
        loop {
            let taken = self.take();
            if !taken.is_empty() {
                return taken;
            }
            self.0.marked.notified().await;
        }
    }
}
