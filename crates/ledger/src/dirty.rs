//! Which logs have entries that are not published yet.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use leadvault_domain::TenantNo;
use tokio::sync::Notify;

/// The set of logs with new entries, filled by the journal and emptied by the publisher. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct DirtyLogs(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    logs: Mutex<BTreeSet<TenantNo>>,
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

    /// How many logs are marked now.
    pub fn len(&self) -> usize {
        self.0.logs.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
