//! Leaves of files: system leaves in blocks that belong to one dataset each, so that its shred takes them as ranges.
//!
//! A block is durable before a leaf of it is used. What is left of it when a process ends is not used any more.

use std::collections::HashMap;
use std::ops::Range;

use leadvault_domain::DatasetNo;
use leadvault_store::{InsertFileBlock, TenantScope};
use tokio::sync::Mutex;

use crate::cell::Cell;
use crate::error::Refusal;
use crate::room::Room;
use crate::system::SYSTEM_TREE;

/// Leaves of one block.
const BLOCK_LEAVES: u32 = 64;

/// What this process has left of its blocks, by dataset.
#[derive(Debug, Default)]
pub(crate) struct FileLeaves(Mutex<HashMap<DatasetNo, Range<u32>>>);

/// A leaf for a file of a dataset.
///
/// # Errors
/// What keys and store say.
pub(super) async fn take(cell: &Cell, room: &Room, dataset: DatasetNo) -> Result<u32, Refusal> {
    let mut blocks = room.file_leaves.0.lock().await;
    let block = blocks.entry(dataset).or_default();
    if let Some(leaf) = block.next() {
        return Ok(leaf);
    }
    let first = room.keys()?.allocate(DatasetNo::SYSTEM, SYSTEM_TREE, BLOCK_LEAVES).await?;
    let end = u64::from(first) + u64::from(BLOCK_LEAVES);
    cell.data().apply(TenantScope(room.no), InsertFileBlock { dataset, first, end }).await?;
    *block = first.saturating_add(1)..first.saturating_add(BLOCK_LEAVES);
    Ok(first)
}
