//! The receipt that opens: proof, inside the process, that an entry was committed before data leaves.

use leadvault_crypto::LeadRef;
use leadvault_domain::{LeafAddress, TenantNo, Timestamp};

use crate::Hash;
use crate::entry::Entry;
use crate::receipt::LedgerReceipt;

/// A committed entry. Only the journal makes one, it cannot be cloned, and `keys` opens nothing without it.
///
/// ```compile_fail,E0451
/// # fn f(log: leadvault_domain::TenantNo, genuine: leadvault_ledger::CommittedReceipt) {
/// let forged = leadvault_ledger::CommittedReceipt { log, ..genuine };
/// # }
/// ```
/// ```compile_fail,E0599
/// # fn f(genuine: leadvault_ledger::CommittedReceipt) {
/// let second = genuine.clone();
/// # }
/// ```
/// The journal is the way to get one:
/// ```
/// # async fn f<S: leadvault_ledger::AppendChunks>(
/// #     journal: leadvault_ledger::Journal<S>, log: leadvault_domain::TenantNo,
/// #     entry: leadvault_ledger::Entry) -> Result<(), leadvault_ledger::JournalError> {
/// let receipt = journal.commit(log, entry, None).await?;
/// # drop(receipt); Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CommittedReceipt {
    log: TenantNo,
    entry: Entry,
    key_epoch: u32,
    committed_at: Timestamp,
    signed: LedgerReceipt,
}

impl CommittedReceipt {
    pub(crate) fn new(
        log: TenantNo,
        entry: Entry,
        key_epoch: u32,
        committed_at: Timestamp,
        signed: LedgerReceipt,
    ) -> Self {
        Self { log, entry, key_epoch, committed_at, signed }
    }

    /// The log it was committed to.
    pub fn log(&self) -> TenantNo {
        self.log
    }

    /// Index of the entry in its log.
    pub fn index(&self) -> u64 {
        self.signed.index
    }

    /// Leaf hash of the entry.
    pub fn leaf_hash(&self) -> Hash {
        self.entry.leaf_hash()
    }

    /// Key epoch of the tenant at the commit. A keyring older than this must be read again before it opens.
    pub fn key_epoch(&self) -> u32 {
        self.key_epoch
    }

    /// When the commit had returned, by the node's clock. It opens for one second from then.
    pub fn committed_at(&self) -> Timestamp {
        self.committed_at
    }

    /// Whether the entry names this lead, and allowed it.
    pub fn covers(&self, reference: &LeadRef) -> bool {
        self.entry.covers().names(reference)
    }

    /// Whether the ranges that stand behind the entry's digest contain this leaf, and it allowed them.
    pub fn covers_leaf(&self, at: LeafAddress) -> bool {
        self.entry.covers().contains(at)
    }

    /// The text of the `Ledger-Receipt` header.
    pub fn header(&self) -> String {
        self.signed.to_string()
    }

    /// The same, parsed.
    pub fn signed(&self) -> &LedgerReceipt {
        &self.signed
    }
}
