//! Shred of a whole tenant: state closed → KEK wraps destroyed → slot destroyed → key store, mirror, rows.
//!
//! No step needs an unwrap (protocols.md 1.2). Afterwards its log, its certificates and its receipts are all
//! there is.

use std::sync::Arc;

use leadvault_domain::{JobKind, KeyState, OperationId, TenantState};
use leadvault_keys::destroy_tenant;
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{
    BumpState, CompleteCertificate, DeleteTenantRows, FinishOperation, InsertCertificate,
    InsertOperation, Outcome as Written, TenantScope, UpdateTenantState, Write,
};

use super::CONTROLLER;
use super::certificate::{self, Shredded};
use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::control;
use crate::error::{Fault, Refusal};
use crate::jobs;
use crate::operator;
use crate::room::Room;

/// Kind of the operation.
pub(super) const KIND: &str = "tenant.shred";
/// Steps of rows between two reports of progress.
const REPORT_STEPS: u32 = 20;

/// Shreds the whole tenant. `confirm` repeats its id. When this returns, nothing of it can be read any more;
/// the certificate is the result of the operation.
///
/// # Errors
/// [`Fault::Invalid`] where `confirm` differs; [`Fault::IdempotencyKeyRequired`]; denials as decided.
pub async fn tenant(cell: &Arc<Cell>, call: &Call, confirm: &str) -> Outcome<OperationId> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::TenantShred, ResourceType::Tenant);
    cell.require_role(&room, call, &CONTROLLER, operation, on).await?;
    call.idempotency_key.as_ref().ok_or(Fault::IdempotencyKeyRequired)?;
    if confirm != room.id.to_string() {
        return Err(Fault::invalid("#/confirm", "differs").into());
    }
    let begun = cell.settled(&room, || begin(cell, call, &room)).await?;
    // What fails here the job does again; the tenant is closed already.
    if let Err(refusal) = forget(cell, &room).await {
        tracing::warn!(operation = %begun.value, fault = %refusal.fault, "keys are destroyed later");
    }
    cell.fail_point("tenant.keys_destroyed");
    drive(cell, &room, begun.value);
    Ok(begun)
}

async fn begin(cell: &Cell, call: &Call, room: &Arc<Room>) -> Outcome<OperationId> {
    let on = ResourceType::Tenant;
    let rows = cell.data().count_leads(TenantScope(room.no), None).await?;
    let mut ask = Ask::new(operations_of(Kind::Erase));
    ask.exit = true;
    ask.needs_key = false;
    ask.records = rows;
    let permit = cell.permit(room, call, &Cell::ask(call, ask), on).await?;
    let operation = OperationId::make(cell.clock(), cell.entropy())?;
    let entry = permit
        .entry_as(call, LogOperation::TenantShred, on)
        .resource_id(room.id)
        .n(rows)
        .job(operation);
    let closed = UpdateTenantState { state: TenantState::Closed, key_state: KeyState::Destroyed };
    let write: Write = vec![
        closed.into(),
        InsertOperation {
            id: operation,
            kind: KIND,
            subject: Some(room.id.bytes()),
            total: Some(rows),
            created_at: permit.at,
            run_at: permit.at,
            payload: None,
        }
        .into(),
        InsertCertificate { operation, rows, begun_at: permit.at }.into(),
        BumpState.into(),
    ]
    .into();
    let asserted = Some(permit.read_generations());
    let (receipt, _) = cell.commit_write(room, entry, None, asserted, write).await?;
    cell.fail_point("tenant.closed");
    Ok(Answer::stamped(operation, &receipt))
}

/// Takes up the shred of a closed tenant that a restart left open; without one, sees to it that nothing of
/// the tenant came back with a database.
///
/// # Errors
/// What keys and store say.
pub(super) async fn resume(
    cell: &Arc<Cell>,
    room: &Arc<Room>,
    operation: Option<OperationId>,
) -> Result<(), Refusal> {
    forget(cell, room).await?;
    match operation {
        Some(operation) => drive(cell, room, operation),
        None => remove_rows(cell, room, None).await?,
    }
    Ok(())
}

fn drive(cell: &Arc<Cell>, room: &Room, operation: OperationId) {
    jobs::drive(cell, JobKind::TenantShred, (room.no, operation), move |cell, room| async move {
        finish(&cell, &room, operation).await
    });
}

/// Keys and slot. Idempotent, needs no unwrap.
async fn forget(cell: &Cell, room: &Arc<Room>) -> Result<(), Refusal> {
    if let Ok(keys) = room.keys() {
        keys.purge();
    }
    destroy_tenant(&cell.parts().services, room.id).await?;
    let bare = control::load_with(cell, room.id, room.no, None).await?;
    cell.put_room(Arc::new(Room::new(room.id, room.no, None, bare)));
    Ok(())
}

/// Everything behind the entry. Idempotent.
async fn finish(cell: &Cell, room: &Arc<Room>, operation: OperationId) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    let record = cell.data().find_certificate(scope, operation).await?.ok_or(Fault::NotFound)?;
    forget(cell, room).await?;
    remove_rows(cell, room, Some(operation)).await?;
    cell.fail_point("tenant.rows_removed");
    if record.completed_index.is_none() {
        let entry = operator::entry(cell, LogOperation::KeyDestroy, ResourceType::Tenant)
            .resource_id(room.id)
            .job(operation);
        cell.commit_write(room, entry, None, None, CompleteCertificate { operation }).await?;
        cell.fail_point("tenant.completed");
    }
    let what = Shredded {
        trigger: "closure",
        datasets: Vec::new(),
        scope: "tenant",
        epoch: cell.data().find_control(scope).await?.map_or(0, |control| control.key_epoch),
        left: cell.data().count_leads(scope, None).await?,
    };
    certificate::issue(cell, room, operation, &what).await
}

/// Rows and files. Other jobs of the tenant end here: there is nothing left for them to work on.
async fn remove_rows(
    cell: &Cell,
    room: &Room,
    operation: Option<OperationId>,
) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    for row in cell.data().list_open_operations(scope).await? {
        if Some(row.id) != operation {
            let error = Some("key_destroyed");
            let finish = FinishOperation { id: row.id, node: None, error, result: None };
            cell.data().apply(scope, finish).await?;
        }
    }
    cell.data().objects().delete_tenant(room.id).await?;
    let before = cell.data().count_leads(scope, None).await?;
    let mut steps = 0_u32;
    while let Written::Count(1..) = cell.data().apply(scope, DeleteTenantRows).await? {
        steps += 1;
        if let (true, Some(operation)) = (steps.is_multiple_of(REPORT_STEPS), operation) {
            let left = cell.data().count_leads(scope, None).await?;
            jobs::report(cell, scope, operation, before.saturating_sub(left)).await?;
        }
    }
    if let Some(operation) = operation {
        jobs::report(cell, scope, operation, before).await?;
    }
    Ok(())
}
