//! Shred of a dataset: its trees and tag keys leave the directory, the slot forgets, its rows follow.

use std::sync::Arc;

use leadvault_domain::{DatasetId, JobKind, LeafRange, Operation, OperationId};
use leadvault_keys::Change;
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{
    BumpState, CompleteCertificate, DatasetRow, DatasetState, InsertCertificate, InsertOperation,
    TenantScope, UpdateDataset, Write,
};

use super::CONTROLLER;
use super::certificate::{self, Shredded};
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
use crate::system;

/// Kind of the operation.
pub(crate) const KIND: &str = "dataset.shred";
/// Leaves of one tree: leaf numbers have 32 bits.
const TREE_LEAVES: u64 = 1 << 32;

/// Shreds a dataset. `confirm` repeats its id. When this returns, nothing of it can be read any more; the
/// certificate is the result of the operation.
///
/// # Errors
/// [`Fault::Invalid`] where `confirm` differs; [`Fault::IdempotencyKeyRequired`]; denials as decided.
pub async fn dataset(
    cell: &Arc<Cell>,
    call: &Call,
    id: DatasetId,
    confirm: &str,
) -> Outcome<OperationId> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::DatasetShred, ResourceType::Dataset);
    cell.require_role(&room, call, &CONTROLLER, operation, on).await?;
    call.idempotency_key.as_ref().ok_or(Fault::IdempotencyKeyRequired)?;
    if confirm != id.to_string() {
        return Err(Fault::invalid("#/confirm", "differs").into());
    }
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((made, stamp)) = turn.again() {
        let Made::Operation { id } = made else { return Err(idempotency::other()) };
        return Ok(Answer { value: id, stamp });
    }
    let begun = cell.settled(&room, || begin(cell, call, &room, id)).await?;
    cell.reload(&room).await?;
    // What fails here the job does again; the dataset is hidden already.
    if let Err(refusal) = forget(cell, &room, id).await {
        tracing::warn!(operation = %begun.value, fault = %refusal.fault, "keys are forgotten later");
    }
    cell.fail_point("shred.forgotten");
    drive(cell, &room, begun.value, id);
    Ok(begun)
}

async fn begin(cell: &Cell, call: &Call, room: &Arc<Room>, id: DatasetId) -> Outcome<OperationId> {
    let on = ResourceType::Dataset;
    let Ok(dataset) = datasets::visible(room, call, id) else {
        return Err(cell.not_found(room, call, Operation::Erase, on).await);
    };
    let scope = TenantScope(room.no);
    let rows = cell.data().count_leads(scope, Some(dataset.no)).await?;
    let mut ask = Ask::new(operations_of(Kind::Erase));
    ask.dataset = Some(id);
    ask.exit = true;
    ask.records = rows;
    let permit = cell.permit(room, call, &Cell::ask(call, ask), on).await?;
    let row = cell.data().find_dataset(scope, id).await?.ok_or(Fault::NotFound)?;
    let operation = OperationId::make(cell.clock(), cell.entropy())?;
    let entry = permit
        .entry_as(call, LogOperation::DatasetShred, on)
        .resource_id(id)
        .dataset(id)
        .n(rows)
        .job(operation);
    let writes: Vec<Write> = vec![
        InsertOperation {
            id: operation,
            kind: KIND,
            subject: Some(id.bytes()),
            total: Some(rows),
            created_at: permit.at,
            run_at: permit.at,
            payload: None,
        }
        .into(),
        InsertCertificate { operation, rows, begun_at: permit.at }.into(),
        UpdateDataset { row: DatasetRow { state: DatasetState::Shredding, ..row } }.into(),
        BumpState.into(),
    ];
    let made = Made::Operation { id: operation };
    let write = idempotency::beside(cell, call, room, writes, made).await?;
    let asserted = Some(permit.read_generations());
    let (receipt, _) = cell.commit_write(room, entry, None, asserted, write).await?;
    cell.fail_point("shred.requested");
    Ok(Answer::stamped(operation, &receipt))
}

/// Takes up a shred that a restart left open.
///
/// # Errors
/// What keys and store say.
pub(super) async fn resume(
    cell: &Arc<Cell>,
    room: &Arc<Room>,
    operation: OperationId,
    id: DatasetId,
) -> Result<(), Refusal> {
    // Keys that are suspended forget when they are resumed.
    if room.ring().is_ok() {
        forget(cell, room, id).await?;
    }
    drive(cell, room, operation, id);
    Ok(())
}

fn drive(cell: &Arc<Cell>, room: &Room, operation: OperationId, id: DatasetId) {
    jobs::drive(cell, JobKind::DatasetShred, (room.no, operation), move |cell, room| async move {
        finish(&cell, &room, operation, id).await
    });
}

/// The keys of the dataset, its files, the texts that speak of it, and the exports it is in. Idempotent.
async fn forget(cell: &Cell, room: &Room, id: DatasetId) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    let row = cell.data().find_dataset(scope, id).await?.ok_or(Fault::NotFound)?;
    let ring = room.ring()?;
    if ring.dataset_id(row.no).is_none() {
        return Ok(());
    }
    let mut leaves = export::mark_stale_ranges(cell, room, &trees_of(&row)).await?.leaves;
    leaves.extend(files::blocks_of(cell, room, row.no).await?);
    let imports = cell.data().list_imports(scope).await?;
    let sealed = imports.iter().filter(|import| import.dataset == row.no);
    let texts = sealed.flat_map(|import| [import.meta.as_ref(), import.cursor.as_ref()]);
    let texts = texts.chain([row.meta.as_ref(), row.columns.as_ref()]).flatten();
    leaves.extend(texts.map(|text| LeafRange::single(system::leaf(text.leaf))));
    let mut changes = vec![Change::DropDataset(row.no)];
    if !leaves.is_empty() {
        changes.push(Change::Puncture(leaves));
    }
    room.keys()?.advance_all(changes).await?;
    export::remove_stale(cell, room).await
}

/// Every leaf the dataset ever had.
fn trees_of(row: &DatasetRow) -> Vec<LeafRange> {
    let whole = |tree| LeafRange { dataset: row.no, tree, first: 0, end: TREE_LEAVES };
    (1..=row.tree).map(whole).collect()
}

/// Everything behind the entry. Idempotent.
async fn finish(
    cell: &Cell,
    room: &Arc<Room>,
    operation: OperationId,
    id: DatasetId,
) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    let record = cell.data().find_certificate(scope, operation).await?.ok_or(Fault::NotFound)?;
    let row = cell.data().find_dataset(scope, id).await?.ok_or(Fault::NotFound)?;
    forget(cell, room, id).await?;
    files::take_from(cell, room, &trees_of(&row)).await?;
    files::remove(cell, room).await;
    removal::remove(cell, room, operation, &trees_of(&row)).await?;
    cell.fail_point("shred.rows_removed");
    if record.completed_index.is_none() {
        let ring = room.ring()?;
        let entry = operator::entry(cell, LogOperation::EraseCompleted, ResourceType::Dataset)
            .dataset(id)
            .epoch(ring.epoch(), ring.state())
            .n(record.rows)
            .job(operation);
        let gone =
            DatasetRow { state: DatasetState::Shredded, meta: None, columns: None, ..row.clone() };
        let write: Write = vec![
            UpdateDataset { row: gone }.into(),
            CompleteCertificate { operation }.into(),
            BumpState.into(),
        ]
        .into();
        cell.commit_write(room, entry, None, None, write).await?;
        cell.reload(room).await?;
        cell.fail_point("shred.completed");
    }
    let what = Shredded {
        trigger: "batch",
        datasets: vec![id.to_string()],
        scope: "dataset",
        epoch: room.ring()?.epoch(),
        left: cell.data().count_leads(scope, Some(row.no)).await?,
    };
    certificate::issue(cell, room, operation, &what).await
}
