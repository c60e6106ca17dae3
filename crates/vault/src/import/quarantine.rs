//! What waits for an attestation in vain: after 14 days its keys are forgotten and its rows go.
//!
//! The day it goes was written into the import when it was opened. The cell's clock decides; how often somebody
//! looks does not. An import that was opened and never finished goes the same way. A crash in between leaves an
//! undo that the next start takes up.

use leadvault_domain::{LeafRange, OperationId};
use leadvault_keys::Change;
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_store::{
    DeleteLeadRange, FinishOperation, ImportRow, ImportState, InsertOperation, Outcome as Written,
    TenantScope, UpdateImport, Write,
};

use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::export;
use crate::operator;
use crate::room::Room;

/// Kind of the operation: that of an undo, so that a start takes it up.
const KIND: &str = "import.undo";

/// Ends every import whose time is over; how many there were. One that cannot be ended waits for the next
/// sweep, and holds up no other.
pub async fn sweep(cell: &Cell) -> usize {
    let mut ended = 0;
    for room in cell.rooms() {
        if room.ring().is_err() {
            continue;
        }
        let due = match due(cell, &room).await {
            Ok(due) => due,
            Err(refusal) => {
                tracing::error!(tenant = %room.id, fault = %refusal.fault, "quarantine is looked at later");
                continue;
            }
        };
        for import in &due {
            match expire(cell, &room, import).await {
                Ok(()) => ended += 1,
                Err(refusal) => {
                    let (id, fault) = (import.id, &refusal.fault);
                    tracing::error!(tenant = %room.id, import = %id, %fault, "a quarantine is ended later");
                }
            }
        }
    }
    ended
}

/// The imports of a tenant whose time is over.
async fn due(cell: &Cell, room: &Room) -> Result<Vec<ImportRow>, Refusal> {
    let now = cell.clock().now();
    let mut imports = cell.data().list_imports(TenantScope(room.no)).await?;
    imports.retain(|import| {
        let waits = matches!(
            import.state,
            ImportState::Open | ImportState::Running | ImportState::Quarantined
        );
        waits && import.expires_at.is_some_and(|end| end <= now)
    });
    Ok(imports)
}

/// Ends one import. The service does it, as the tenant was told when the import was opened.
async fn expire(cell: &Cell, room: &Room, import: &ImportRow) -> Result<(), Refusal> {
    let operation = OperationId::make(cell.clock(), cell.entropy())?;
    let entry = |what| {
        let entry = operator::entry(cell, what, ResourceType::Import)
            .resource_id(import.id)
            .n(import.rows.stored)
            .job(operation);
        match room.control().dataset_by_no(import.dataset) {
            Some(dataset) => entry.dataset(dataset.id),
            None => entry,
        }
    };
    let now = cell.clock().now();
    let undone = UpdateImport {
        id: import.id,
        from: import.state,
        to: ImportState::Undone,
        expires_at: None,
        meta: None,
    };
    let insert = InsertOperation {
        id: operation,
        kind: KIND,
        subject: Some(import.id.bytes()),
        total: Some(import.rows.stored),
        created_at: now,
        run_at: now,
        payload: None,
    };
    // From here on no slice is added any more.
    let begun: Write = vec![undone.into(), insert.into()].into();
    let requested = entry(LogOperation::EraseRequested);
    let (_, outcome) = cell.commit_write(room, requested, None, None, begun).await?;
    if matches!(outcome, Written::Conflict(_)) {
        return Err(Fault::StateConflict.into());
    }
    let ranges = cell.data().list_import_ranges(TenantScope(room.no), import.no).await?;
    let (epoch, state) = forget(cell, room, &ranges).await?;
    for range in &ranges {
        remove(cell, room, *range).await?;
    }
    let finish = FinishOperation { id: operation, node: None, error: None, result: None };
    let completed = entry(LogOperation::EraseCompleted).epoch(epoch, state);
    cell.commit_write(room, completed, None, None, finish).await?;
    Ok(())
}

/// The keys of the leads, and of exports they are in.
async fn forget(
    cell: &Cell,
    room: &Room,
    ranges: &[LeafRange],
) -> Result<(u32, [u8; 32]), Refusal> {
    if ranges.is_empty() {
        let ring = room.ring()?;
        return Ok((ring.epoch(), ring.state()));
    }
    let held = export::mark_stale_ranges(cell, room, ranges).await?;
    let punctured = ranges.iter().copied().chain(held.leaves).collect();
    let advanced = room.keys()?.advance(Change::Puncture(punctured)).await?;
    export::remove_stale(cell, room).await?;
    Ok((advanced.epoch, advanced.state))
}

/// The rows of a range, step by step, so that the writer is never held for long.
async fn remove(cell: &Cell, room: &Room, range: LeafRange) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    while let Written::Count(1..) = cell.data().apply(scope, DeleteLeadRange { range }).await? {}
    Ok(())
}
