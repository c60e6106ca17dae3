//! What can go wrong with keys. Numbers and ids only; which step of an opening failed is not told apart.

use leadvault_domain::{DatasetNo, EntropyFailed, LeafAddress, PageId, TenantId};

use crate::{BlobsError, MirrorError, RootError, SlotError};

/// Why a key operation did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The leaf was erased; nothing computes its key again.
    #[error("leaf {} of tree {} is punctured", .0.leaf, .0.tree)]
    Punctured(LeafAddress),
    /// The tenant has no such dataset.
    #[error("no keys of dataset {}", .0.0)]
    UnknownDataset(DatasetNo),
    /// The dataset has no such tree.
    #[error("dataset {} has no tree {tree}", .dataset.0)]
    UnknownTree {
        /// The dataset.
        dataset: DatasetNo,
        /// The tree.
        tree: u32,
    },
    /// The dataset has no tag key of that index epoch.
    #[error("dataset {} has no tag key {index_epoch}", .dataset.0)]
    UnknownTagKey {
        /// The dataset.
        dataset: DatasetNo,
        /// The index epoch.
        index_epoch: u32,
    },
    /// The number belongs to another dataset, or to the system tree.
    #[error("dataset number {} is taken", .0.0)]
    DatasetExists(DatasetNo),
    /// The tenant has as many datasets as one may have.
    #[error("too many datasets")]
    TooManyDatasets,
    /// A dataset keeps at least one tag key and one tree.
    #[error("the last tag key or tree of dataset {} cannot be dropped alone", .0.0)]
    LastOfDataset(DatasetNo),
    /// A range whose end is not past its first leaf, or past the tree.
    #[error("not a range of leaves")]
    BadRange,
    /// An epoch, revision, tree or index epoch stands at 2^32 - 1.
    #[error("a 32-bit counter of the keys is used up")]
    CounterExhausted,
    /// The directory has grown beyond what one LV1 blob holds.
    #[error("the directory is too large")]
    DirectoryTooLarge,
    /// The keys are suspended, or the cache time is over and the provider was not asked since.
    #[error("the keys of the tenant are disabled")]
    Disabled,
    /// The tenant was shredded.
    #[error("the keys of the tenant are destroyed")]
    Destroyed,
    /// Neither slot nor head: never created, or swept.
    #[error("no keys of tenant {0}")]
    UnknownTenant(TenantId),
    /// The tenant has keys already.
    #[error("tenant {0} has keys already")]
    TenantExists(TenantId),
    /// The key store is older than the slot (protocols.md 1.2).
    #[error("key store of {tenant} is at epoch {head_epoch}, its slot at {slot_epoch}")]
    KeyStoreBehindSlot {
        /// The tenant.
        tenant: TenantId,
        /// Epoch in the slot.
        slot_epoch: u32,
        /// Epoch of the head; 0 = no head.
        head_epoch: u32,
    },
    /// The slot is older than what is known to be forgotten, or is another one (protocols.md 1.2).
    #[error("slot of {tenant} is at epoch {slot_epoch}, at least {known_epoch} was reached")]
    SlotBehindLog {
        /// The tenant.
        tenant: TenantId,
        /// Epoch in the slot; 0 = no slot, or another one.
        slot_epoch: u32,
        /// The epoch that log or key store know of.
        known_epoch: u32,
    },
    /// No set of the mirror opens with the slot's key.
    #[error("no set of the mirror opens for tenant {0}")]
    NoMirrorSet(TenantId),
    /// The wrap of a KEK generation is missing.
    #[error("KEK generation {generation} of tenant {tenant} is missing")]
    KekMissing {
        /// The tenant.
        tenant: TenantId,
        /// The generation.
        generation: u32,
    },
    /// A page that the head names is missing or is not the one it names.
    #[error("key page {page} of tenant {tenant} is damaged")]
    PageDamaged {
        /// The tenant.
        tenant: TenantId,
        /// The page.
        page: PageId,
    },
    /// The opened bytes of a page, directory or hop are not what the format says.
    #[error("a key blob is malformed")]
    Malformed,
    /// The compare-and-set was lost too often.
    #[error("other nodes changed the keys each time")]
    Contended,
    /// The task that advanced the keys ended without an answer; the outcome is unknown.
    #[error("the advance was interrupted")]
    Interrupted,
    /// The blob does not open with this key in this context.
    #[error("the blob does not open")]
    Unopenable,
    /// The plaintext is larger than the container takes, or this kind is not sealed here.
    #[error("this cannot be sealed")]
    Unsealable,
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyFailed),
    /// The root provider.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The slot.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The key store.
    #[error(transparent)]
    Blobs(#[from] BlobsError),
    /// The mirror.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The data store did not take the new epoch.
    #[error(transparent)]
    Control(#[from] crate::ControlUnavailable),
}

impl KeyError {
    /// The stable code of the conditions an operator looks up; `keys_failed` for the rest.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyStoreBehindSlot { .. } => "key_store_behind_slot",
            Self::SlotBehindLog { .. } => "slot_behind_log",
            Self::NoMirrorSet(_) => "no_mirror_set",
            Self::Disabled | Self::Root(RootError::Disabled) => "key_disabled",
            Self::Destroyed => "key_destroyed",
            Self::Punctured(_) => "punctured",
            Self::Slot(SlotError::OnCow) => "slot_on_cow",
            Self::Root(RootError::Mode) => "root_key_mode",
            Self::Root(RootError::Unavailable) => "key_unreachable",
            Self::Blobs(BlobsError::Full) => "disk_full",
            _ => "keys_failed",
        }
    }
}

/// Why a receipt does not open this lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCovered {
    /// Its entry lies in another tenant's log.
    #[error("the receipt belongs to another log")]
    OtherLog,
    /// Its entry does not name this lead.
    #[error("the receipt does not name this lead")]
    NotNamed,
    /// It opens within one second of its commit.
    #[error("the receipt is older than one second")]
    TooOld,
    /// The keys moved on since this snapshot was taken: take the keyring again and locate again.
    #[error("snapshot of epoch {snapshot}, the receipt was committed at epoch {receipt}")]
    SnapshotBehind {
        /// Epoch of the snapshot.
        snapshot: u32,
        /// Key epoch in the receipt.
        receipt: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusals_have_the_codes_of_the_specification() {
        let tenant = TenantId::from_bytes([1; 16]);
        let behind = KeyError::KeyStoreBehindSlot { tenant, slot_epoch: 7, head_epoch: 6 };
        assert_eq!(behind.code(), "key_store_behind_slot");
        assert!(behind.to_string().contains("epoch 6"));
        let old = KeyError::SlotBehindLog { tenant, slot_epoch: 5, known_epoch: 6 };
        assert_eq!(old.code(), "slot_behind_log");
    }
}
