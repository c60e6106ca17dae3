//! Undo of an import: the leaves of its rows are punctured as ranges, the rows dropped. Leads that were
//! there before stay.

use std::sync::Arc;

use leadvault_domain::{ImportId, Operation, OperationId, Role};
use leadvault_keys::Change;
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{
    DeleteLeadRange, FinishOperation, ImportState, InsertOperation, TenantScope, UpdateImport,
    Write,
};

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::export;
use crate::operator;
use crate::room::Room;

/// Kind of the operation.
const KIND: &str = "import.undo";

/// Undoes an import.
///
/// # Errors
/// [`Fault::NotFound`]; [`Fault::StateConflict`] for one that is undone; denials as decided.
pub async fn undo(cell: &Cell, call: &Call, id: ImportId) -> Outcome<OperationId> {
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Editor];
    let (operation, on) = (LogOperation::Data(Operation::Erase), ResourceType::Import);
    cell.require_role(&room, call, &roles, operation, on).await?;
    cell.settled(&room, || undo_once(cell, call, &room, id)).await
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
    let asserted = Some(permit.read_generations());
    let (receipt, _) = cell.commit_write(room, entry, None, asserted, insert).await?;
    finish(cell, room, id, operation).await?;
    Ok(Answer::stamped(operation, &receipt))
}

/// Finishes undos that a crash left open.
///
/// # Errors
/// What keys, store and journal say.
pub(crate) async fn resume(cell: &Arc<Cell>) -> Result<(), Refusal> {
    for room in cell.rooms() {
        if room.ring().is_err() {
            continue;
        }
        for row in cell.data().list_open_operations(TenantScope(room.no)).await? {
            if let (KIND, Some(id)) = (row.kind.as_str(), row.subject.map(ImportId::from_bytes)) {
                finish(cell, &room, id, row.id).await?;
            }
        }
    }
    Ok(())
}

/// Everything behind the entry. Idempotent.
///
/// # Errors
/// What keys, store and journal say.
pub(crate) async fn finish(
    cell: &Cell,
    room: &Arc<Room>,
    id: ImportId,
    operation: OperationId,
) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    let import = cell.data().find_import(scope, id).await?.ok_or(Fault::NotFound)?;
    let ranges = cell.data().list_import_ranges(scope, import.no).await?;
    let ring = room.ring()?;
    let mut state = (ring.epoch(), ring.state());
    if !ranges.is_empty() {
        let held = export::mark_stale_ranges(cell, room, &ranges).await?;
        let punctured = ranges.iter().copied().chain(held.leaves).collect();
        let advanced = room.keys()?.advance(Change::Puncture(punctured)).await?;
        state = (advanced.epoch, advanced.state);
        export::remove_stale(cell, room).await?;
    }
    for range in &ranges {
        cell.data().apply(scope, DeleteLeadRange { range: *range }).await?;
    }
    let entry = operator::entry(cell, LogOperation::EraseCompleted, ResourceType::Import)
        .resource_id(id)
        .n(import.rows.stored)
        .epoch(state.0, state.1)
        .job(operation);
    let update = UpdateImport {
        id,
        from: import.state,
        to: ImportState::Undone,
        expires_at: None,
        meta: None,
    };
    let finish = FinishOperation { id: operation, node: None, error: None, result: None };
    let write: Write = vec![update.into(), finish.into()].into();
    cell.commit_write(room, entry, None, None, write).await?;
    Ok(())
}
