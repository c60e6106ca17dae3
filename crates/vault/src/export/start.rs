//! Starting an export: decided, recorded, and handed to its job.

use std::sync::Arc;

use leadvault_crypto::age::Recipient;
use leadvault_domain::{DatasetId, ExportId, LeafRange, Operation, OperationId, Role};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_store::{
    ExportPartRow, ExportRow, ExportState, InsertExport, InsertExportPart, InsertOperation,
    ObjectName, Outcome as Written, TenantScope, Write,
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
    super::stale::expire(cell, &room).await?;
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
    let mut writes = writes_of(cell, room, export, operation, &asked).await?;
    writes.push(
        InsertOperation {
            id: operation,
            kind: KIND,
            subject: Some(export.bytes()),
            total: Some(leads),
            created_at: permit.at,
            run_at: permit.at,
            payload: Some(asked.seal(cell, room, operation.bytes()).await?),
        }
        .into(),
    );
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
    let asserted = Some(permit.read_generations());
    let (receipt, outcome) =
        cell.commit_write(room, entry, Some(otherwise), asserted, write).await?;
    match outcome {
        Written::Conflict(_) => Err(Fault::StateConflict.into()),
        _ => Ok(Answer::stamped(operation, &receipt)),
    }
}

/// The rows of a new export: itself, and the leaves its leads may have. They stand before the first lead is
/// read, so that an erasure from now on finds the export.
///
/// # Errors
/// What keys and store say.
pub(crate) async fn writes_of(
    cell: &Cell,
    room: &Room,
    export: ExportId,
    operation: OperationId,
    asked: &Asked,
) -> Result<Vec<Write>, Refusal> {
    let dataset = asked.dataset.map(|id| room.control().dataset(id)).transpose()?;
    let meta = asked.seal(cell, room, export.bytes()).await?;
    let now = cell.clock().now();
    let row = ExportRow {
        id: export,
        operation,
        dataset: dataset.as_ref().map(|d| d.no),
        state: ExportState::Running,
        encrypted: asked.recipient.is_some(),
        delivered: 0,
        created_at: now,
        expires_at: now.plus_seconds(LIFE_SECONDS),
        leaf: meta.leaf,
        file: None,
        meta: Some(meta),
    };
    let mut writes: Vec<Write> = vec![InsertExport { row }.into()];
    writes.extend(parts_of(cell, room, export, asked).await?);
    Ok(writes)
}

/// The leaves that leads of an export may have: those of its datasets up to the last one in use.
///
/// # Errors
/// What the store says.
pub(crate) async fn parts_of(
    cell: &Cell,
    room: &Room,
    export: ExportId,
    asked: &Asked,
) -> Result<Vec<Write>, Refusal> {
    let scope = TenantScope(room.no);
    let control = room.control();
    let object = ObjectName::make(cell.entropy())?;
    let mut homes: Vec<_> = match asked.dataset {
        Some(dataset) => vec![control.dataset(dataset)?],
        None => control.datasets.values().cloned().collect(),
    };
    homes.sort_by_key(|home| home.no);
    let mut writes: Vec<Write> = Vec::new();
    for home in homes {
        for tree in 1..=home.tree {
            let last = cell.data().find_largest_leaf(scope, home.no, tree).await?;
            // A part for every tree, so that each keeps its number when leads are added.
            let end = last.map_or(0, |leaf| u64::from(leaf) + 1);
            let range = LeafRange { dataset: home.no, tree, first: 0, end };
            let no = u32::try_from(writes.len()).map_err(|_| Fault::TooLarge)?;
            let row = ExportPartRow { no, range, object, chunks: 0, bytes: 0, leads: 0 };
            writes.push(InsertExportPart { id: export, row }.into());
        }
    }
    Ok(writes)
}
