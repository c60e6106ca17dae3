//! Undo of an import: the leaves of its rows are punctured as ranges, the rows dropped. Leads that were
//! there before stay.
//!
//! The state `undone` is set beside the entry, so that no slice is added any more; the keys are forgotten
//! before the call is answered; the rows go behind it, in a job.

use std::sync::Arc;

use leadvault_domain::{ImportId, JobKind, LeafRange, Operation, OperationId, Role};
use leadvault_keys::Change;
use leadvault_ledger::{EntryOutcome, LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{
    FinishOperation, ImportState, InsertOperation, OperationRow, Outcome as Written, TenantScope,
    UpdateImport, Write,
};

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::datasets;
use crate::error::{Fault, Refusal};
use crate::export;
use crate::files;
use crate::idempotency::{self, Made};
use crate::jobs;
use crate::leads::removal;
use crate::operator;
use crate::room::Room;

/// Kind of the operation.
pub(crate) const KIND: &str = "import.undo";

/// Undoes an import. When this returns, nothing of it can be read any more.
///
/// # Errors
/// [`Fault::NotFound`]; [`Fault::StateConflict`] for one that is undone; denials as decided.
pub async fn undo(cell: &Arc<Cell>, call: &Call, id: ImportId) -> Outcome<OperationId> {
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Editor];
    let (operation, on) = (LogOperation::Data(Operation::Erase), ResourceType::Import);
    cell.require_role(&room, call, &roles, operation, on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((made, stamp)) = turn.again() {
        let Made::Operation { id } = made else { return Err(idempotency::other()) };
        return Ok(Answer { value: id, stamp });
    }
    let begun = cell.settled(&room, || undo_once(cell, call, &room, id)).await?;
    // What fails here the job does again.
    if let Err(refusal) = forget(cell, &room, id).await {
        tracing::warn!(operation = %begun.value, fault = %refusal.fault, "keys are forgotten later");
    }
    drive(cell, &room, begun.value, id);
    Ok(begun)
}

async fn undo_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    id: ImportId,
) -> Outcome<OperationId> {
    let on = ResourceType::Import;
    let scope = TenantScope(room.no);
    let Some(import) = cell.data().find_import(scope, id).await? else {
        return Err(cell.not_found(room, call, Operation::Erase, on).await);
    };
    if !datasets::may_see(room, call, import.dataset) {
        return Err(cell.not_found(room, call, Operation::Erase, on).await);
    }
    if import.state == ImportState::Undone {
        return Err(Fault::StateConflict.into());
    }
    let control = room.control();
    let dataset = control.dataset_by_no(import.dataset).ok_or(Fault::NotFound)?;
    let mut ask = Ask::new(operations_of(Kind::Erase));
    ask.dataset = Some(dataset.id);
    ask.batch = Some(id);
    ask.records = import.rows.stored;
    ask.exit = true;
    let permit = cell.permit(room, call, &Cell::ask(call, ask), on).await?;
    let operation = OperationId::make(cell.clock(), cell.entropy())?;
    let entry = permit
        .entry_as(call, LogOperation::EraseRequested, on)
        .resource_id(id)
        .dataset(dataset.id)
        .n(import.rows.stored)
        .job(operation);
    let insert = InsertOperation {
        id: operation,
        kind: KIND,
        subject: Some(id.bytes()),
        total: Some(import.rows.stored),
        created_at: permit.at,
        run_at: permit.at,
        payload: None,
    };
    let undone = UpdateImport {
        id,
        from: import.state,
        to: ImportState::Undone,
        expires_at: None,
        meta: None,
    };
    let otherwise = entry.clone().outcome(EntryOutcome::Error);
    let asserted = Some(permit.read_generations());
    let writes: Vec<Write> = vec![undone.into(), insert.into()];
    let made = Made::Operation { id: operation };
    let write = idempotency::beside(cell, call, room, writes, made).await?;
    let (receipt, outcome) =
        cell.commit_write(room, entry, Some(otherwise), asserted, write).await?;
    match outcome {
        Written::Conflict(_) => Err(Fault::StateConflict.into()),
        _ => Ok(Answer::stamped(operation, &receipt)),
    }
}

/// Takes up undos that a restart left open.
///
/// # Errors
/// What keys and store say.
pub(crate) async fn resume(cell: &Arc<Cell>) -> Result<(), Refusal> {
    for room in cell.rooms().into_iter().filter(|room| !Cell::is_closed(room)) {
        for row in cell.data().list_open_operations(TenantScope(room.no)).await? {
            take_up(cell, &room, &row);
        }
    }
    Ok(())
}

/// Takes up an operation that is an undo.
pub(crate) fn take_up(cell: &Arc<Cell>, room: &Room, row: &OperationRow) {
    if let (KIND, Some(id)) = (row.kind.as_str(), row.subject.map(ImportId::from_bytes)) {
        drive(cell, room, row.id, id);
    }
}

fn drive(cell: &Arc<Cell>, room: &Room, operation: OperationId, id: ImportId) {
    jobs::drive(cell, JobKind::ImportUndo, (room.no, operation), move |cell, room| async move {
        finish(&cell, &room, id, operation).await
    });
}

/// The leaves of its rows, and those of exports they are in. Idempotent.
async fn forget(cell: &Cell, room: &Room, id: ImportId) -> Result<Vec<LeafRange>, Refusal> {
    let scope = TenantScope(room.no);
    let import = cell.data().find_import(scope, id).await?.ok_or(Fault::NotFound)?;
    let ranges = cell.data().list_import_ranges(scope, import.no).await?;
    if !ranges.is_empty() {
        let held = export::mark_stale_ranges(cell, room, &ranges).await?;
        let files = files::unlink(cell, room, &ranges).await?;
        let punctured = ranges.iter().copied().chain(held.leaves).chain(files).collect();
        room.keys()?.advance(Change::Puncture(punctured)).await?;
        export::remove_stale(cell, room).await?;
        files::remove(cell, room).await;
    }
    Ok(ranges)
}

/// Everything behind the entry. Idempotent.
async fn finish(
    cell: &Cell,
    room: &Room,
    id: ImportId,
    operation: OperationId,
) -> Result<(), Refusal> {
    let ranges = forget(cell, room, id).await?;
    cell.fail_point("undo.forgotten");
    removal::remove(cell, room, operation, &ranges).await?;
    cell.fail_point("undo.rows_removed");
    let row = cell.data().find_operation(TenantScope(room.no), operation).await?;
    let ring = room.ring()?;
    let entry = operator::entry(cell, LogOperation::EraseCompleted, ResourceType::Import)
        .resource_id(id)
        .n(row.and_then(|row| row.total).unwrap_or(0))
        .epoch(ring.epoch(), ring.state())
        .job(operation);
    let finish = FinishOperation { id: operation, node: None, error: None, result: None };
    cell.commit_write(room, entry, None, None, finish).await?;
    Ok(())
}
