//! Starting an export: decided, recorded, and handed to its job.

use std::sync::Arc;

use leadvault_crypto::age::Recipient;
use leadvault_domain::{DatasetId, DatasetNo, ExportId, Operation, OperationId, Role};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_store::{
    ExportRow, ExportState, InsertExport, InsertOperation, Outcome as Written, TenantScope, Write,
};

use super::asked::{Asked, ask_of};
use super::{KIND, LIFE_SECONDS, job};
use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::datasets;
use crate::error::{Fault, Refusal};
use crate::idempotency::{self, Made};
use crate::room::Room;

/// Starts an export of one dataset, or of all.
///
/// # Errors
/// [`Fault::IdempotencyKeyRequired`]; [`Fault::NoRecipient`] unless `plain`; [`Fault::NotFound`] for a
/// dataset the key may not see; denials as decided.
pub async fn start(
    cell: &Arc<Cell>,
    call: &Call,
    dataset: Option<DatasetId>,
    plain: bool,
) -> Outcome<OperationId> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::Data(Operation::Export), ResourceType::Export);
    cell.require_role(&room, call, &[Role::Controller], operation, on).await?;
    call.idempotency_key.as_ref().ok_or(Fault::IdempotencyKeyRequired)?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((made, stamp)) = turn.again() {
        let Made::Operation { id } = made else { return Err(idempotency::other()) };
        return Ok(Answer { value: id, stamp });
    }
    let recipient = if plain { None } else { Some(recipient_of(&room)?) };
    if room.ring().is_ok() {
        super::tidy::expire(cell, &room).await?;
    }
    let started =
        cell.settled(&room, || start_once(cell, call, &room, dataset, recipient.clone())).await?;
    job::spawn(cell, &room, started.value);
    Ok(started)
}

/// The recipient of the tenant, checked.
fn recipient_of(room: &Room) -> Result<String, Fault> {
    let recipient = room.control().export_recipient.clone().ok_or(Fault::NoRecipient)?;
    match recipient.parse::<Recipient>() {
        Ok(_) => Ok(recipient),
        Err(_) => Err(Fault::NoRecipient),
    }
}

async fn start_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    dataset: Option<DatasetId>,
    recipient: Option<String>,
) -> Outcome<OperationId> {
    let on = ResourceType::Export;
    let known = match dataset.map(|id| datasets::visible(room, call, id)).transpose() {
        Ok(known) => known,
        Err(_) => return Err(cell.not_found(room, call, Operation::Export, on).await),
    };
    let scope = TenantScope(room.no);
    let leads = cell.data().count_leads(scope, known.as_ref().map(|d| d.no)).await?;
    let permit = cell.permit(room, call, &ask_of(call, dataset, leads), on).await?;
    let asked = Asked::new(call, &permit, dataset, recipient);
    let operation = OperationId::make(cell.clock(), cell.entropy())?;
    let export = ExportId::make(cell.clock(), cell.entropy())?;
    let writes: Vec<Write> = vec![
        insert_of(cell, room, export, operation, &asked).await?.into(),
        InsertOperation {
            id: operation,
            kind: KIND,
            subject: Some(export.bytes()),
            total: Some(leads),
            created_at: permit.at,
            run_at: permit.at,
            payload: None,
        }
        .into(),
    ];
    let made = Made::Operation { id: operation };
    let write = idempotency::beside(cell, call, room, writes, made).await?;
    let mut entry = permit.entry(call, on).resource_id(export).job(operation).n(leads);
    if let Some(dataset) = dataset {
        entry = entry.dataset(dataset);
    }
    if asked.recipient.is_none() {
        entry = entry.plain();
    }
    let otherwise = entry.clone().outcome(leadvault_ledger::EntryOutcome::Error);
    // Of a write: a dataset made meanwhile would be none of its trees.
    let asserted = Some(permit.write_generations());
    let (receipt, outcome) =
        cell.commit_write(room, entry, Some(otherwise), asserted, write).await?;
    match outcome {
        Written::Conflict(_) => Err(Fault::StateConflict.into()),
        _ => Ok(Answer::stamped(operation, &receipt)),
    }
}

/// The row of a new export, over every tree of its datasets.
async fn insert_of(
    cell: &Cell,
    room: &Room,
    export: ExportId,
    operation: OperationId,
    asked: &Asked,
) -> Result<InsertExport, Refusal> {
    let control = room.control();
    let dataset = asked.dataset.map(|id| control.dataset(id)).transpose()?;
    let homes: Vec<_> = match &dataset {
        Some(dataset) => vec![Arc::clone(dataset)],
        None => control.datasets.values().cloned().collect(),
    };
    let mut trees: Vec<(DatasetNo, u32)> =
        homes.iter().flat_map(|home| (1..=home.tree).map(|tree| (home.no, tree))).collect();
    trees.sort_unstable();
    let meta = asked.seal(cell, room, export.bytes()).await?;
    let now = cell.clock().now();
    let row = ExportRow {
        id: export,
        operation,
        dataset: dataset.map(|d| d.no),
        state: ExportState::Running,
        encrypted: asked.recipient.is_some(),
        delivered: 0,
        created_at: now,
        expires_at: now.plus_seconds(LIFE_SECONDS),
        leaf: meta.leaf,
        begun_index: None,
        file_leaf: None,
        object: None,
        file: None,
        meta: Some(meta),
    };
    Ok(InsertExport { row, trees })
}
