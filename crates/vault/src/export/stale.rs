//! What an erasure does to exports, and what time does to them.
//!
//! An export that may hold the lead becomes stale, and its leaf is punctured in the epoch of the erasure: its
//! chunks cannot be opened any more, in no backup either. What was downloaded before is beyond that: it is
//! listed in the receipt.

use leadvault_domain::{ExportId, LeafAddress, LeafRange};
use leadvault_store::{ExportRow, ExportState, ExportStep, TenantScope, UpdateExport};

use crate::cell::Cell;
use crate::error::Refusal;
use crate::room::Room;
use crate::system;

/// What an erasure has to do about exports.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Leaves to puncture together with the lead's.
    pub(crate) leaves: Vec<LeafRange>,
    /// Exports that may hold the lead and were downloaded before.
    pub(crate) delivered: Vec<ExportId>,
}

/// Makes every export stale that may hold one of the leads, before their leaves are punctured. Safe to run
/// again after a crash: what is stale and still has its leaf is named again.
///
/// # Errors
/// What the store says.
pub(crate) async fn mark_stale(
    cell: &Cell,
    room: &Room,
    leads: &[LeafAddress],
) -> Result<Held, Refusal> {
    let ranges: Vec<_> = leads.iter().map(|at| LeafRange::single(*at)).collect();
    mark_stale_ranges(cell, room, &ranges).await
}

/// As [`mark_stale`], for whole ranges of leaves: the undoing of an import, the shred of a dataset.
///
/// # Errors
/// What the store says.
pub(crate) async fn mark_stale_ranges(
    cell: &Cell,
    room: &Room,
    leads: &[LeafRange],
) -> Result<Held, Refusal> {
    let scope = TenantScope(room.no);
    let mut held = Held::default();
    let rows = cell.data().list_exports(scope).await?;
    if rows.is_empty() {
        return Ok(held);
    }
    let ring = room.ring()?;
    for row in rows {
        let live = ring.is_live(system::leaf(row.leaf));
        if !live && row.delivered == 0 {
            continue;
        }
        let parts = cell.data().list_export_parts(scope, row.id).await?;
        let holds = parts.iter().any(|p| leads.iter().any(|l| overlap(&p.range, l)));
        if !holds {
            continue;
        }
        if matches!(row.state, ExportState::Running | ExportState::Ready) {
            // A conflict: somebody else made it stale or expired meanwhile.
            let step = ExportStep::Stale;
            cell.data().apply(scope, UpdateExport { id: row.id, step }).await?;
        }
        if live {
            held.leaves.push(LeafRange::single(system::leaf(row.leaf)));
        }
        if was_delivered(cell, scope, &row).await? {
            held.delivered.push(row.id);
        }
    }
    Ok(held)
}

fn overlap(a: &LeafRange, b: &LeafRange) -> bool {
    a.dataset == b.dataset
        && a.tree == b.tree
        && u64::from(a.first) < b.end
        && u64::from(b.first) < a.end
}

/// Read again after the export became stale: a download may have begun in between.
async fn was_delivered(cell: &Cell, scope: TenantScope, row: &ExportRow) -> Result<bool, Refusal> {
    let now = cell.data().find_export(scope, row.id).await?;
    Ok(now.map_or(row.delivered, |row| row.delivered) > 0)
}

/// Removes the files of exports whose leaf is punctured. They say nothing any more; they only take space.
///
/// # Errors
/// What store and files say.
pub(crate) async fn remove_stale(cell: &Cell, room: &Room) -> Result<(), Refusal> {
    let ring = room.ring()?;
    for row in cell.data().list_exports(TenantScope(room.no)).await? {
        if let (Some(file), false) = (row.file, ring.is_live(system::leaf(row.leaf))) {
            cell.data().objects().delete(room.id, file.object).await?;
        }
    }
    Ok(())
}

/// Ends exports whose time is over: their leaves are punctured, then their files go.
///
/// # Errors
/// What keys, store and files say.
pub(crate) async fn expire(cell: &Cell, room: &Room) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    let now = cell.clock().now();
    let ring = room.ring()?;
    let mut leaves = Vec::new();
    for row in cell.data().list_exports(scope).await? {
        if row.expires_at > now || !ring.is_live(system::leaf(row.leaf)) {
            continue;
        }
        let step = ExportStep::Expired;
        cell.data().apply(scope, UpdateExport { id: row.id, step }).await?;
        leaves.push(row.leaf);
    }
    if leaves.is_empty() {
        return Ok(());
    }
    system::erase(room, &leaves).await?;
    remove_stale(cell, room).await
}
