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

    /// No leaf below `at_least` is issued from now on.
    pub(crate) async fn raise_leaves(
        &self,
        dataset: DatasetNo,
        tree: u32,
        at_least: u64,
    ) -> Result<(), KeyError> {
        let next_leaf = at_least.next_multiple_of(u64::from(LEAF_BLOCK)).min(TREE_LEAVES);
        let mut blocks = self.blocks.lock().await;
        blocks.retain(|key, block| *key != (dataset, tree) || block.start >= next_leaf);
        let row = HwmRow { tenant: self.tenant, dataset, tree, next_leaf };
        Ok(self.services.blobs.raise_leaves(row).await?)
    }

    /// Raises every tree past the end of the last gap in its cover. The data store's largest leaves are
    /// the caller's to add, once it can read them.
    pub(crate) async fn raise_past_gaps(&self) -> Result<(), KeyError> {
        let ring = self.ring()?;
        let known = self.services.blobs.list_leaves(self.tenant).await?;
        for (dataset, keys) in &ring.book.datasets {
            for (tree_id, tree) in &keys.trees {
                let gap = tree.end_of_last_gap();
                let is_past = |row: &&HwmRow| (row.dataset, row.tree) == (*dataset, *tree_id);
                let next = known.iter().find(is_past).map_or(0, |row| row.next_leaf);
                if next < gap {
                    self.raise_leaves(*dataset, *tree_id, gap).await?;
                }
            }
        }
        Ok(())
    }
}
