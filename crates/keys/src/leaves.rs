//! Leaf numbers (protocols.md 1.4). An unused leaf is harmless; a leaf issued twice is not, because
//! erasing one lead would destroy another.

use std::collections::BTreeMap;
use std::ops::Range;

use leadvault_domain::DatasetNo;

use crate::tenant_keys::Inner;
use crate::tree::TREE_LEAVES;
use crate::{BlobsError, HwmRow, KeyError};

/// Leaves of one block: what a node takes for single leads, and what import blocks are aligned to.
pub const LEAF_BLOCK: u32 = 1_024;
/// Requests up to this size are served from the node's block, so that small ones do not spend whole blocks.
const SMALL_MAX: u32 = 64;

/// Unissued leaves of the blocks this node has taken, by dataset and tree.
pub(crate) type Blocks = BTreeMap<(DatasetNo, u32), Range<u64>>;

impl Inner {
    /// `count` contiguous leaves that nobody else has or gets.
    pub(crate) async fn allocate(
        &self,
        dataset: DatasetNo,
        tree: u32,
        count: u32,
    ) -> Result<u32, KeyError> {
        self.ring()?.tree(dataset, tree)?;
        if count == 0 {
            return Err(KeyError::BadRange);
        }
        if count > SMALL_MAX {
            let whole = count.checked_next_multiple_of(LEAF_BLOCK).ok_or(BlobsError::Exhausted)?;
            let blobs = &self.services.blobs;
            return Ok(blobs.take_leaves(self.tenant, dataset, tree, whole, LEAF_BLOCK).await?);
        }
        // Held over the refill: two callers that find the block empty must not both take one.
        let mut blocks = self.blocks.lock().await;
        let block = blocks.entry((dataset, tree)).or_default();
        if block.end - block.start < u64::from(count) {
            let blobs = &self.services.blobs;
            let first =
                blobs.take_leaves(self.tenant, dataset, tree, LEAF_BLOCK, LEAF_BLOCK).await?;
            *block = u64::from(first)..u64::from(first) + u64::from(LEAF_BLOCK);
        }
        let first = block.start;
        block.start += u64::from(count);
        u32::try_from(first).map_err(|_| BlobsError::Exhausted.into())
    }

    /// Issues no leaf below the number that stands with a tree again, for each of `trees`. One read where that holds already.
    pub(crate) async fn raise_past(
        &self,
        trees: Vec<(DatasetNo, u32, u64)>,
    ) -> Result<(), KeyError> {
        let known = self.services.blobs.list_leaves(self.tenant).await?;
        for (dataset, tree, end) in trees {
            let is_its = |row: &&HwmRow| (row.dataset, row.tree) == (dataset, tree);
            if known.iter().find(is_its).map_or(0, |row| row.next_leaf) >= end {
                continue;
            }
            let next_leaf = end.next_multiple_of(u64::from(LEAF_BLOCK)).min(TREE_LEAVES);
            let mut blocks = self.blocks.lock().await;
            blocks.retain(|key, block| *key != (dataset, tree) || block.start >= next_leaf);
            let row = HwmRow { tenant: self.tenant, dataset, tree, next_leaf };
            self.services.blobs.raise_leaves(row).await?;
        }
        Ok(())
    }

    /// Raises every tree past the end of the last gap in its cover. The data store's largest leaves are
    /// the caller's to add, once it can read them.
    pub(crate) async fn raise_past_gaps(&self) -> Result<(), KeyError> {
        let ring = self.ring()?;
        let trees = ring.book.datasets.iter().flat_map(|(dataset, keys)| {
            keys.trees.iter().map(|(id, tree)| (*dataset, *id, tree.end_of_last_gap()))
        });
        self.raise_past(trees.collect()).await
    }
}
