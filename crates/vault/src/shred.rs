//! Shred of a dataset or of everything: keys first, rows after, a certificate at the end.
//!
//! A dataset: entry `dataset.shred` → its trees and tag keys leave the directory (one advance, the slot
//! forgets) → rows. A tenant: state closed and entry → KEK wraps destroyed → slot destroyed → key store,
//! mirror and rows. No step of a tenant's shred needs an unwrap (protocols.md 1.2).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leadvault_domain::{
    CertificateId, DatasetId, KeyState, LeafRange, Operation, OperationId, Role, TenantState,
};
use leadvault_keys::{Change, destroy_tenant};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{
    BumpState, DatasetRow, DatasetState, DeleteLeadRange, DeleteTenantRows, FinishOperation,
    InsertOperation, TenantScope, UpdateDataset, UpdateTenantState, Write,
};
use serde_json::{Value as Json, json};

use crate::call::{Answer, Call, Outcome};
use crate::canonical::canonical;
use crate::cell::Cell;
use crate::control;
use crate::datasets;
use crate::error::{Fault, Refusal};
use crate::export;
use crate::log;
use crate::operator;
use crate::room::Room;
use crate::system;

const CONTROLLER: [Role; 1] = [Role::Controller];
/// Kind of the operation of a dataset's shred.
const KIND_DATASET: &str = "dataset.shred";
/// Kind of the operation of a tenant's shred.
const KIND_TENANT: &str = "tenant.shred";

/// Shreds a dataset. `confirm` repeats its id.
///
/// # Errors
/// [`Fault::Invalid`] where `confirm` differs; [`Fault::IdempotencyKeyRequired`]; denials as decided.
pub async fn dataset(
    cell: &Cell,
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
    cell.settled(&room, || dataset_once(cell, call, &room, id)).await
}

async fn dataset_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    id: DatasetId,
) -> Outcome<OperationId> {
    let on = ResourceType::Dataset;
    let Ok(dataset) = datasets::visible(room, call, id) else {
        return Err(cell.not_found(room, call, Operation::Erase, on).await);
    };
    let mut ask = Ask::new(operations_of(Kind::Erase));
    ask.dataset = Some(id);
    ask.exit = true;
    let scope = TenantScope(room.no);
    ask.records = cell.data().count_leads(scope, Some(dataset.no)).await?;
    let permit = cell.permit(room, call, &Cell::ask(call, ask), on).await?;
    let rows = cell.data().count_leads(scope, Some(dataset.no)).await?;
    let now = cell.clock().now();
    let operation = OperationId::make(cell.clock(), cell.entropy())?;
    let entry = permit
        .entry_as(call, LogOperation::DatasetShred, on)
        .resource_id(id)
        .dataset(id)
        .n(rows)
        .job(operation);
    let write: Write = vec![
        InsertOperation {
            id: operation,
            kind: KIND_DATASET,
            subject: Some(id.bytes()),
            total: Some(rows),
            created_at: now,
            run_at: now,
            payload: None,
        }
        .into(),
        BumpState.into(),
    ]
    .into();
    let asserted = Some(permit.read_generations());
    let (receipt, _) = cell.commit_write(room, entry, None, asserted, write).await?;
    cell.fail_point("shred.requested");
    finish_dataset(cell, room, operation, id, receipt.index()).await?;
    Ok(Answer::stamped(operation, &receipt))
}

/// Everything behind the entry of a dataset's shred. Idempotent.
async fn finish_dataset(
    cell: &Cell,
    room: &Arc<Room>,
    operation: OperationId,
    id: DatasetId,
    requested: u64,
) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    let Ok(dataset) = room.control().dataset(id) else { return Ok(()) };
    let begun = cell.clock().now();
    let rows = cell.data().count_leads(scope, Some(dataset.no)).await?;
    let ring = room.ring()?;
    let (epoch, state) = if ring.dataset_id(dataset.no).is_some() {
        let whole = LeafRange { dataset: dataset.no, tree: dataset.tree, first: 0, end: 1 << 32 };
        let held = export::mark_stale_ranges(cell, room, &[whole]).await?;
        let mut changes = vec![Change::DropDataset(dataset.no)];
        if !held.leaves.is_empty() {
            changes.push(Change::Puncture(held.leaves));
        }
        let advanced = room.keys()?.advance_all(changes).await?;
        export::remove_stale(cell, room).await?;
        (advanced.epoch, advanced.state)
    } else {
        (ring.epoch(), ring.state())
    };
    cell.fail_point("shred.forgotten");
    for tree in 1..=dataset.tree {
        let range = LeafRange { dataset: dataset.no, tree, first: 0, end: 1 << 32 };
        cell.data().apply(scope, DeleteLeadRange { range }).await?;
    }
    let left = cell.data().count_leads(scope, Some(dataset.no)).await?;
    system::erase(room, &[dataset.meta.leaf]).await?;
    let entry = operator::entry(cell, LogOperation::EraseCompleted, ResourceType::Dataset)
        .dataset(id)
        .epoch(epoch, state)
        .n(rows)
        .job(operation);
    let write: Write = vec![UpdateDataset { row: gone(&dataset) }.into(), BumpState.into()].into();
    let (receipt, _) = cell.commit_write(room, entry, None, None, write).await?;
    cell.publisher().covers(room.no, receipt.index()).await?;
    let certificate = certificate(
        cell,
        room,
        &Shredded {
            trigger: "batch",
            datasets: vec![id.to_string()],
            scope: "dataset",
            epoch,
            rows,
            left,
            begun,
            requested,
            completed: (receipt.index(), receipt.leaf_hash()),
        },
    )?;
    let plain = serde_json::to_vec(&certificate).map_err(|_| Fault::Internal("certificate"))?;
    let result = system::seal_new(cell, room.keys()?, operation.bytes(), &plain).await?;
    let finish = FinishOperation { id: operation, node: None, error: None, result: Some(result) };
    cell.data().apply(scope, finish).await?;
    cell.reload(room).await
}

/// A dataset's row without its texts: its number is never used again.
fn gone(dataset: &crate::room::DatasetControl) -> DatasetRow {
    DatasetRow {
        no: dataset.no,
        id: dataset.id,
        tree: dataset.tree,
        state: DatasetState::Shredded,
        created_at: dataset.created_at,
        meta: None,
        columns: None,
    }
}

/// Shreds the whole tenant. `confirm` repeats its id. Afterwards its log and its receipts are all there is.
///
/// # Errors
/// [`Fault::Invalid`] where `confirm` differs; [`Fault::IdempotencyKeyRequired`]; denials as decided.
pub async fn tenant(cell: &Cell, call: &Call, confirm: &str) -> Outcome<Json> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::TenantShred, ResourceType::Tenant);
    cell.require_role(&room, call, &CONTROLLER, operation, on).await?;
    call.idempotency_key.as_ref().ok_or(Fault::IdempotencyKeyRequired)?;
    if confirm != room.id.to_string() {
        return Err(Fault::invalid("#/confirm", "differs").into());
    }
    cell.settled(&room, || tenant_once(cell, call, &room)).await
}

async fn tenant_once(cell: &Cell, call: &Call, room: &Arc<Room>) -> Outcome<Json> {
    let on = ResourceType::Tenant;
    let scope = TenantScope(room.no);
    let mut ask = Ask::new(operations_of(Kind::Erase));
    ask.exit = true;
    ask.needs_key = false;
    ask.records = cell.data().count_leads(scope, None).await?;
    let ask = Cell::ask(call, ask);
    let permit = cell.permit(room, call, &ask, on).await?;
    let begun = permit.at;
    let rows = cell.data().count_leads(scope, None).await?;
    let epoch = room.ring().map_or(0, |ring| ring.epoch());
    let entry = permit.entry_as(call, LogOperation::TenantShred, on).resource_id(room.id).n(rows);
    let update = UpdateTenantState { state: TenantState::Closed, key_state: KeyState::Destroyed };
    let write: Write = vec![update.into(), BumpState.into()].into();
    let asserted = Some(permit.read_generations());
    let (receipt, _) = cell.commit_write(room, entry, None, asserted, write).await?;
    cell.fail_point("tenant.closed");
    finish_tenant(cell, room).await?;
    let left = cell.data().count_leads(scope, None).await?;
    let entry = operator::entry(cell, LogOperation::KeyDestroy, on).resource_id(room.id);
    let completed = cell.commit(room, entry, None).await?;
    cell.publisher().covers(room.no, completed.index()).await?;
    let certificate = certificate(
        cell,
        room,
        &Shredded {
            trigger: "closure",
            datasets: Vec::new(),
            scope: "tenant",
            epoch,
            rows,
            left,
            begun,
            requested: receipt.index(),
            completed: (completed.index(), completed.leaf_hash()),
        },
    )?;
    Ok(Answer::stamped(certificate, &receipt))
}

/// Keys, slot and rows of a closed tenant. Idempotent, needs no unwrap.
async fn finish_tenant(cell: &Cell, room: &Arc<Room>) -> Result<(), Refusal> {
    if let Ok(keys) = room.keys() {
        keys.purge();
    }
    destroy_tenant(&cell.parts().services, room.id).await?;
    cell.fail_point("tenant.keys_destroyed");
    cell.data().apply(TenantScope(room.no), DeleteTenantRows).await?;
    let bare = control::load_with(cell, room.id, room.no, None).await?;
    cell.put_room(Arc::new(Room::new(room.id, room.no, None, bare)));
    Ok(())
}

/// Finishes shreds that a crash left open.
///
/// # Errors
/// What keys, store and journal say.
pub(crate) async fn resume(cell: &Arc<Cell>) -> Result<(), Refusal> {
    for room in cell.rooms() {
        if Cell::is_closed(&room) {
            finish_tenant(cell, &room).await?;
            continue;
        }
        if room.ring().is_err() {
            continue;
        }
        for row in cell.data().list_open_operations(TenantScope(room.no)).await? {
            let subject = row.subject.map(DatasetId::from_bytes);
            if let (KIND_DATASET, Some(id)) = (row.kind.as_str(), subject) {
                finish_dataset(cell, &room, row.id, id, 0).await?;
            }
        }
    }
    Ok(())
}

/// What a certificate says.
struct Shredded {
    trigger: &'static str,
    datasets: Vec<String>,
    scope: &'static str,
    epoch: u32,
    rows: u64,
    left: u64,
    begun: leadvault_domain::Timestamp,
    requested: u64,
    completed: (u64, [u8; 32]),
}

/// A certificate of deletion (deletion.md 5.3): counts come from the store after the deletion.
fn certificate(cell: &Cell, room: &Room, what: &Shredded) -> Result<Json, Refusal> {
    let id = CertificateId::make(cell.clock(), cell.entropy())?;
    let control = room.control();
    let level = cell.level();
    let now = cell.clock().now();
    let proof = log::proof_of(cell, room.no, what.completed.0, None)?;
    let origin = cell.origin(room.no)?;
    let mut certificate = json!({
        "type": "DeletionCertificate", "v": 1, "id": id, "tenant_ref": room.id,
        "agreement": { "id": control.agreement.id, "sha256": control.agreement.sha256 },
        "trigger": { "kind": what.trigger, "requested_at": what.begun },
        "scope": { "datasets": what.datasets, "categories": [], "regimes": [], "subject_ref": null },
        "returned": null,
        "stores": [{
            "store": "primary-db", "region": cell.region(), "provider": "self",
            "technique": "cryptographic_erase", "nist_method_claimed": "none",
            "keys": [{
                "scope": what.scope, "epoch": what.epoch, "level": level.as_str(),
                "level_means": level.sentence(), "durability": cell.parts().durability,
                "slot": format!("forgotten {now}"), "escrow": "none", "tag_keys": "destroyed",
                "index_horizon": null,
                "volatile_copies": format!("all live nodes confirmed epoch {} at {now}", what.epoch),
            }],
            "rows": what.rows, "objects": 0, "started_at": what.begun, "finished_at": now,
            "errors": 0,
            "verification": {
                "method": "row count after the deletion",
                "result": if what.left == 0 { "zero" } else { "not zero" },
                "probe_count": what.left,
            },
        }],
        "backups": { "status": "pending", "policy_max_age_days": null,
            "restore_replay": "log brought up from bundles, erasures applied again" },
        "subprocessors": [],
        "exceptions": [],
        "not_covered": ["tenant exports already downloaded"],
        "log": {
            "origin": &*origin,
            "requested": { "index": what.requested },
            "completed": { "index": what.completed.0, "leaf": hex::encode(what.completed.1) },
            "checkpoint": proof.checkpoint,
            "inclusion": proof.path.iter().map(hex::encode).collect::<Vec<_>>(),
            "log_key": "n/a: references die with their leaf keys",
        },
        "statement": "rendered unintelligible by destruction of all known key copies",
        "status": "interim", "issued_at": now,
    });
    let signature = cell.parts().log_keys.sign(&canonical(&certificate)?);
    if let Some(object) = certificate.as_object_mut() {
        object.insert("sig".to_owned(), STANDARD.encode(signature).into());
    }
    Ok(certificate)
}

/// Kind of a tenant's shred, for operations lists.
pub const TENANT_KIND: &str = KIND_TENANT;
