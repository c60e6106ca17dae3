//! What an erasure does to exports.
//!
//! A finished package that holds the lead becomes stale, and its leaf is punctured in the epoch of the erasure:
//! its chunks cannot be opened any more, in no backup either. Of one that is being made, the part that holds the
//! lead goes the same way, and the job renders it again. What was downloaded before is beyond that: it is listed
//! in the receipt.

use leadvault_domain::{ExportId, LeafAddress, LeafRange};
use leadvault_store::{
    ExportPartRow, ExportRow, ExportState, ExportStep, Outcome, SpoilExportParts, TenantScope,
    UpdateExport, Write,
};

use super::tidy;
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::room::Room;
use crate::system;

/// Times the state of an export is read again because its job moved it on meanwhile.
const TRIES_MAX: u32 = 100;

/// What an erasure has to do about exports.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Leaves to puncture together with the lead's.
    pub(crate) leaves: Vec<LeafRange>,
    /// Exports that may hold the lead and were downloaded before.
    pub(crate) delivered: Vec<ExportId>,
}

/// Takes the leads out of every export that may hold one of them, before their leaves are punctured and after
/// nothing finds them any more. Safe to run again after a crash: leaves that are still there are named again.
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
    let mut held = Held::default();
    for row in cell.data().list_exports(TenantScope(room.no)).await? {
        mark(cell, room, row, leads, &mut held).await?;
    }
    if held.leaves.is_empty() {
        return Ok(held);
    }
    let ring = room.ring()?;
    held.leaves.retain(|range| {
        ring.is_live(LeafAddress { dataset: range.dataset, tree: range.tree, leaf: range.first })
    });
    Ok(held)
}

async fn mark(
    cell: &Cell,
    room: &Room,
    mut row: ExportRow,
    leads: &[LeafRange],
    held: &mut Held,
) -> Result<(), Refusal> {
    let (data, scope) = (cell.data(), TenantScope(room.no));
    for _ in 0..TRIES_MAX {
        if row.state == ExportState::Expired && row.delivered == 0 {
            return Ok(());
        }
        let mut parts = Vec::new();
        for part in data.list_export_parts(scope, row.id).await? {
            if holds(cell, scope, &row, &part, leads).await? {
                parts.push(part);
            }
        }
        if parts.is_empty() {
            return Ok(());
        }
        let nos = parts.iter().map(|part| part.no).collect();
        let write: Option<Write> = match row.state {
            ExportState::Running => {
                let file_leaf = row.file_leaf;
                Some(SpoilExportParts { id: row.id, parts: nos, file_leaf }.into())
            }
            ExportState::Ready => Some(UpdateExport { id: row.id, step: ExportStep::Stale }.into()),
            ExportState::Stale | ExportState::Expired => None,
        };
        let moved = match write {
            Some(write) => matches!(data.apply(scope, write).await?, Outcome::Conflict(_)),
            None => false,
        };
        if moved {
            // Its job went on meanwhile, or another erasure came first.
            let again = data.find_export(scope, row.id).await?;
            row = again.ok_or(Fault::NotFound)?;
            continue;
        }
        let leaves = parts.iter().filter_map(|part| part.leaf).chain(row.file_leaf);
        held.leaves.extend(leaves.map(|leaf| LeafRange::single(system::leaf(leaf))));
        if was_delivered(cell, scope, &row).await? {
            held.delivered.push(row.id);
        }
        return Ok(());
    }
    Err(Fault::Overloaded.into())
}

/// Whether a part may hold one of the leads: it covers their leaves, and not all of them came too late.
async fn holds(
    cell: &Cell,
    scope: TenantScope,
    row: &ExportRow,
    part: &ExportPartRow,
    leads: &[LeafRange],
) -> Result<bool, Refusal> {
    for range in leads.iter().filter(|range| overlap(&part.range, range)) {
        let late = cell.data().list_export_late(scope, row.id, *range).await?;
        if !late.iter().any(|late| late.first <= range.first && late.end >= range.end) {
            return Ok(true);
        }
    }
    Ok(false)
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
    tidy::remove(cell, room).await
}
