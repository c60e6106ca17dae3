//! The signed proofs of one commit: one signature, whatever the number of tenants.

use std::collections::BTreeMap;

use leadvault_domain::{TenantNo, Timestamp};

use crate::Hash;
use crate::batch::{BATCH_OPS_MAX, CommittedChunk};
use crate::log_keys::LogKeys;
use crate::receipt::{LedgerReceipt, chunk_count, signed_message, statement};
use crate::tree::{inclusion, leaf_hash, root};

/// A receipt for an entry that was committed before, signed now: the same index and leaf, as a chunk of its
/// own. `None` for a log nobody named. The caller has read `leaf` from the log.
pub fn reissue_receipt(
    keys: &LogKeys,
    log: TenantNo,
    index: u64,
    leaf: Hash,
    at: Timestamp,
) -> Option<LedgerReceipt> {
    let chunk = CommittedChunk { log, first: index, leaf_hashes: vec![leaf] };
    SignedChunks::sign(vec![chunk], keys, at)?.receipt(log, index, &leaf)
}

/// Chunks of one commit under one signature.
pub(crate) struct SignedChunks {
    chunks: BTreeMap<(TenantNo, u64), Proven>,
    batch_root: Hash,
    signature: [u8; 64],
    signed_at_ms: u64,
}

struct Proven {
    leaf_hashes: Vec<Hash>,
    count: u32,
    root: Hash,
    batch_path: Vec<Hash>,
}

impl SignedChunks {
    /// Signs the chunks of a commit. `None` where they are not what a store may return: an unknown log, a
    /// chunk twice, empty or longer than a batch.
    pub(crate) fn sign(chunks: Vec<CommittedChunk>, keys: &LogKeys, at: Timestamp) -> Option<Self> {
        let mut proven = BTreeMap::new();
        for chunk in chunks {
            let count = chunk_count(chunk.leaf_hashes.len())?;
            let root = root(&chunk.leaf_hashes);
            let leaf_hashes = chunk.leaf_hashes;
            let of_chunk = Proven { leaf_hashes, count, root, batch_path: Vec::new() };
            if proven.insert((chunk.log, chunk.first), of_chunk).is_some() {
                return None;
            }
        }
        if proven.len() > BATCH_OPS_MAX {
            return None;
        }
        let mut statements = Vec::new();
        for ((log, first), chunk) in &proven {
            let origin = keys.origin_of(*log)?;
            statements.push(leaf_hash(&statement(&origin, *first, chunk.count, &chunk.root)));
        }
        for (place, chunk) in (0_u64..).zip(proven.values_mut()) {
            chunk.batch_path = inclusion(place, &statements)?;
        }
        let (batch_root, signed_at_ms) = (root(&statements), at.millis());
        let signature = keys.sign(&signed_message(signed_at_ms, &batch_root));
        Some(Self { chunks: proven, batch_root, signature, signed_at_ms })
    }

    /// The receipt of one entry. `None` where no chunk has this leaf at this index.
    pub(crate) fn receipt(&self, log: TenantNo, index: u64, leaf: &Hash) -> Option<LedgerReceipt> {
        let ((of, first), chunk) = self.chunks.range(..=(log, index)).next_back()?;
        let place = index.checked_sub(*first).filter(|_| *of == log)?;
        if chunk.leaf_hashes.get(usize::try_from(place).ok()?) != Some(leaf) {
            return None;
        }
        Some(LedgerReceipt {
            index,
            first: *first,
            count: chunk.count,
            chunk_root: chunk.root,
            chunk_path: inclusion(place, &chunk.leaf_hashes)?,
            batch_root: self.batch_root,
            batch_path: chunk.batch_path.clone(),
            signature: self.signature,
            signed_at_ms: self.signed_at_ms,
        })
    }

    /// The logs that have new entries.
    pub(crate) fn logs(&self) -> impl Iterator<Item = TenantNo> {
        self.chunks.keys().map(|(log, _)| *log)
    }
}
