//! The journal: entries in, receipts out. Durable before data.
//!
//! Two lanes per node, not per tenant: *journal* for reads and denials, *write* for what changes rows
//! (protocols.md 2.1). Each has one commit in flight and gathers what arrives meanwhile; nothing waits for
//! company. The committer owns an operation from the moment it is queued: a client that hangs up cancels
//! nothing. Where the outcome of a commit is unknown nobody gets a receipt, so nothing is released.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use leadvault_domain::{Clock, Lane, Observer, TenantNo};
use tokio::sync::{mpsc, oneshot};

use crate::batch::{AppendChunks, BATCH_BYTES_MAX, Generations, Op};
use crate::committed::CommittedReceipt;
use crate::dirty::DirtyLogs;
use crate::entry::Entry;
use crate::lane::{self, Pending, Shared};
use crate::log_keys::LogKeys;

/// Operations a lane holds before it turns callers away: sixteen full batches, a second of work on a slow
/// disk.
const QUEUE_OPS_MAX: usize = 4096;

/// Why there is no receipt. Nothing may be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The control state moved since the decision: decide again. Nothing was committed.
    #[error("the control state moved since the decision")]
    Stale,
    /// The entry is not known to be durable.
    #[error("the journal cannot be written")]
    Unwritable,
    /// The lane's queue is full. Nothing was committed.
    #[error("the journal has too much to do")]
    Overloaded,
    /// The entry does not fit a chunk. Nothing was committed.
    #[error("the entry does not fit a chunk")]
    TooLarge,
    /// Nobody told which log this number is (`LogKeys::add_log`). Nothing was committed.
    #[error("the log is not known")]
    UnknownLog,
}

impl JournalError {
    /// The stable code of the error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Stale => "journal_stale",
            Self::Unwritable => "journal_unwritable",
            Self::Overloaded => "overloaded",
            Self::TooLarge => "too_large",
            Self::UnknownLog => "journal_unknown_log",
        }
    }
}

/// The two lanes. Cheap to clone; they end when the last clone is dropped and what was queued is committed.
pub struct Journal<S: AppendChunks + ?Sized> {
    shared: Arc<Shared<S>>,
    journal: mpsc::Sender<Pending<S>>,
    write: mpsc::Sender<Pending<S>>,
}

impl<S: AppendChunks + ?Sized> Clone for Journal<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            journal: self.journal.clone(),
            write: self.write.clone(),
        }
    }
}

impl<S: AppendChunks + ?Sized> std::fmt::Debug for Journal<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("writable", &self.is_writable()).finish_non_exhaustive()
    }
}

impl<S: AppendChunks + ?Sized> Journal<S> {
    /// Starts both lanes on the current tokio runtime.
    pub fn start(
        store: Arc<S>,
        keys: Arc<LogKeys>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let shared = Arc::new(Shared {
            store,
            keys,
            clock,
            observer,
            writable: AtomicBool::new(true),
            dirty: DirtyLogs::default(),
        });
        let (journal, journal_queue) = mpsc::channel(QUEUE_OPS_MAX);
        let (write, write_queue) = mpsc::channel(QUEUE_OPS_MAX);
        tokio::spawn(lane::run(Arc::clone(&shared), Lane::Journal, journal_queue));
        tokio::spawn(lane::run(Arc::clone(&shared), Lane::Write, write_queue));
        Self { shared, journal, write }
    }

    /// Commits the entry of a read or a denial.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn commit(
        &self,
        log: TenantNo,
        entry: Entry,
        asserted: Option<Generations>,
    ) -> Result<CommittedReceipt, JournalError> {
        let op = Op { log, entry, otherwise: None, asserted, write: None };
        self.queue(&self.journal, op).await.map(|(receipt, _, _)| receipt)
    }

    /// Commits a write and its entry together. The last member tells whether the write met a conflict, in
    /// which case the receipt is for `otherwise`.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn commit_write(
        &self,
        op: Op<S::Write>,
    ) -> Result<(CommittedReceipt, Option<S::Outcome>, bool), JournalError> {
        self.queue(&self.write, op).await
    }

    async fn queue(
        &self,
        lane: &mpsc::Sender<Pending<S>>,
        op: Op<S::Write>,
    ) -> Result<(CommittedReceipt, Option<S::Outcome>, bool), JournalError> {
        if self.shared.keys.origin_of(op.log).is_none() {
            return Err(JournalError::UnknownLog);
        }
        if lane::op_bytes(&op) > BATCH_BYTES_MAX {
            return Err(JournalError::TooLarge);
        }
        let (reply, answer) = oneshot::channel();
        lane.try_send(Pending { op, reply }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => JournalError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => JournalError::Unwritable,
        })?;
        answer.await.unwrap_or(Err(JournalError::Unwritable))
    }

    /// Whether the last commit on this node worked. It turns true again by itself with the next one that
    /// does; nothing is refused meanwhile.
    pub fn is_writable(&self) -> bool {
        self.shared.writable.load(Ordering::Acquire)
    }

    /// Asks the store whether a commit would work, for a node that has nothing else to commit.
    pub async fn probe(&self) -> bool {
        let works = self.shared.store.probe().await.is_ok();
        self.shared.writable.store(works, Ordering::Release);
        works
    }

    /// Operations that wait for a lane now.
    pub fn queued(&self, lane: Lane) -> usize {
        let queue = match lane {
            Lane::Journal => &self.journal,
            Lane::Write => &self.write,
        };
        QUEUE_OPS_MAX.saturating_sub(queue.capacity())
    }

    /// The logs with new entries, for the publisher.
    pub fn dirty(&self) -> DirtyLogs {
        self.shared.dirty.clone()
    }
}
