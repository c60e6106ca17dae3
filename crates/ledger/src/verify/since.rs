//! What was kept from before, and the comparison with the log of today.

use std::cell::RefCell;

use crate::Hash;
use crate::checkpoint::Checkpoint;
use crate::receipt::{LedgerReceipt, ReceiptError};
use crate::tree::{Frontier, root, verify_inclusion};
use crate::verify::{CHECKPOINT, Failure, Fault, failure_of};
use crate::vkey::Vkey;

/// What `at` says of what was kept.
const AT_SINCE: &str = "since";

/// A checkpoint or a `Ledger-Receipt`, kept from before. A receipt holds against the log from the moment its
/// entry is published, normally within a second of the answer that carried it.
#[derive(Debug, Clone)]
pub enum Since {
    /// Text of a signed checkpoint.
    Checkpoint(String),
    /// Text of a `Ledger-Receipt`.
    Receipt(String),
}

impl Since {
    /// Tells by its first bytes which of the two a text is.
    pub fn from_text(text: &str) -> Self {
        if text.starts_with("v=") {
            Self::Receipt(text.trim_end().to_owned())
        } else {
            Self::Checkpoint(text.to_owned())
        }
    }

    /// Reads what was kept and checks that the operator signed it.
    pub(super) fn open(&self, origin: &str, keys: &[Vkey]) -> Result<Kept, Fault> {
        match self {
            Self::Checkpoint(text) => Checkpoint::open(text.as_bytes(), keys)
                .map(|then| Kept::Checkpoint { then, edge: RefCell::default() })
                .map_err(|error| Fault::new(failure_of(error), AT_SINCE)),
            Self::Receipt(text) => {
                let receipt = LedgerReceipt::parse(text)
                    .map_err(|_| Fault::new(Failure::Malformed, AT_SINCE))?;
                let keys: Vec<_> = keys.iter().map(|key| *key.key()).collect();
                receipt
                    .verify_chunk(origin, &keys)
                    .map_err(|error| Fault::new(receipt_failure(error), AT_SINCE))?;
                Ok(Kept::Receipt { receipt, leaves: RefCell::default() })
            }
        }
    }
}

fn receipt_failure(error: ReceiptError) -> Failure {
    match error {
        ReceiptError::Malformed | ReceiptError::NotInChunk => Failure::Malformed,
        ReceiptError::NotInBatch | ReceiptError::BadSignature => Failure::BadSignature,
    }
}

/// What was kept, and what the walk has seen of the leaves it is about.
pub(super) enum Kept {
    Checkpoint { then: Checkpoint, edge: RefCell<Frontier> },
    Receipt { receipt: LedgerReceipt, leaves: RefCell<Vec<Hash>> },
}

impl Kept {
    /// Takes note of the next leaf of the log.
    pub(super) fn see(&self, index: u64, leaf: Hash) {
        match self {
            Self::Checkpoint { then, edge } => {
                if index < then.size {
                    edge.borrow_mut().push(leaf);
                }
            }
            Self::Receipt { receipt, leaves } => {
                if (receipt.first..end_of(receipt)).contains(&index) {
                    leaves.borrow_mut().push(leaf);
                }
            }
        }
    }

    /// Compares with the log of today, whose leaves are known to be those of its root.
    pub(super) fn compare(&self, now: &Checkpoint) -> Result<(), Fault> {
        let (size, same) = match self {
            Self::Checkpoint { then, edge } => (then.size, edge.borrow().root() == then.root),
            Self::Receipt { receipt, leaves } => {
                (end_of(receipt), receipt_holds(receipt, &leaves.borrow()))
            }
        };
        if now.size < size {
            return Err(Fault::new(Failure::Rollback, CHECKPOINT));
        }
        if same { Ok(()) } else { Err(Fault::new(Failure::Fork, CHECKPOINT)) }
    }
}

fn end_of(receipt: &LedgerReceipt) -> u64 {
    receipt.first.saturating_add(u64::from(receipt.count))
}

/// Whether the log has the acknowledged chunk where it was acknowledged.
fn receipt_holds(receipt: &LedgerReceipt, leaves: &[Hash]) -> bool {
    let place = receipt.index.saturating_sub(receipt.first);
    let leaf = usize::try_from(place).ok().and_then(|place| leaves.get(place));
    let count = u64::from(receipt.count);
    root(leaves) == receipt.chunk_root
        && leaf.is_some_and(|leaf| {
            verify_inclusion(place, count, leaf, &receipt.chunk_path, &receipt.chunk_root)
        })
}
