//! What the journal hands to the store, and what comes back.

use async_trait::async_trait;
use leadvault_domain::TenantNo;

use crate::Hash;
use crate::entry::Entry;

/// Most operations of one commit (protocols.md 2): one chunk never has more entries.
pub const BATCH_OPS_MAX: usize = 256;
/// Most bytes of entries in one commit: what one chunk row may hold.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// The control state an operation was decided under; the commit asserts that it still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generations {
    /// Generation of the tenant's control state.
    pub state_gen: u32,
    /// Generation of the directory; asserted by writes.
    pub dir_gen: Option<u32>,
}

/// One operation: the entry, and the write that stands or falls with it.
#[derive(Debug)]
pub struct Op<W> {
    /// The log: the tenant's, or `TenantNo(0)` for the cell's operator log.
    pub log: TenantNo,
    /// The entry to append.
    pub entry: Entry,
    /// The entry to append instead when the write meets a conflict. `None`: `entry` is appended all the same.
    pub otherwise: Option<Entry>,
    /// What the operation was decided under.
    pub asserted: Option<Generations>,
    /// The write.
    pub write: Option<W>,
}

/// Operations of many logs for one transaction, sorted by log and first reference.
#[derive(Debug)]
pub struct Batch<W>(pub Vec<Op<W>>);

/// What became of one operation.
#[derive(Debug)]
pub enum OpResult<O> {
    /// It is durable.
    Committed {
        /// Index of the entry in its log.
        index: u64,
        /// Leaf hash of the entry that was appended.
        leaf_hash: Hash,
        /// Key epoch of the tenant, read in the same transaction.
        key_epoch: u32,
        /// What the write returned.
        outcome: Option<O>,
        /// Whether the write met a conflict, and `otherwise` was appended.
        conflict: bool,
    },
    /// The asserted generations no longer hold: decide again. Nothing was committed.
    Stale,
    /// The store could not do this one. Nothing was committed.
    Failed,
}

/// A chunk that was committed: entries `first..first + leaf_hashes.len()` of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedChunk {
    /// The log.
    pub log: TenantNo,
    /// Index of the first entry.
    pub first: u64,
    /// Leaf hashes, in order.
    pub leaf_hashes: Vec<Hash>,
}

/// A committed batch: one result per operation, in the order of the batch, and the chunks they went into.
/// A store that had to split the batch may return several chunks of one log.
#[derive(Debug)]
pub struct Appended<O> {
    /// Results, one per operation.
    pub results: Vec<OpResult<O>>,
    /// Chunks.
    pub chunks: Vec<CommittedChunk>,
}

/// Why a batch as a whole was not acknowledged. Nothing may be released under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Nothing was committed.
    #[error("the batch was not committed")]
    NotCommitted,
    /// It may or may not be durable; the log may hold entries that nobody was told about.
    #[error("it is unknown whether the batch was committed")]
    OutcomeUnknown,
}

/// Appends batches to the logs, durably before it returns. Outside tests there is one implementation:
/// `store`.
#[async_trait]
pub trait AppendChunks: Send + Sync + 'static {
    /// A write that stands or falls with its entry.
    type Write: Send + 'static;
    /// What such a write returns.
    type Outcome: Send + 'static;

    /// Commits a batch in one transaction. One bad operation does not fail the others.
    ///
    /// # Errors
    /// [`AppendError`] where nobody may be told anything.
    async fn append(
        &self,
        batch: Batch<Self::Write>,
    ) -> Result<Appended<Self::Outcome>, AppendError>;

    /// Whether a commit would work now; cheap, leaves nothing behind.
    ///
    /// # Errors
    /// [`AppendError`] where it would not.
    async fn probe(&self) -> Result<(), AppendError> {
        self.append(Batch(Vec::new())).await.map(drop)
    }
}
