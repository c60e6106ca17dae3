//! Erasure of one lead: crypto-shred, step by step, each step durable and idempotent (crypto.md 3.6).
//!
//! ```text
//! decide → read what the suppression list remembers
//!   → entry erase.requested + tombstone + request row + suppression tags, one commit
//!   → the leaf is punctured: pages and directory written, decided, forgotten by the slot   (the instant of erasure)
//!   → the row goes → entry erase.completed → published → receipt signed
//! ```
//! A crash between any two is finished at the start ([`resume`]). With the tenant's key not active the
//! lead is tombstoned at once and the rest waits for the key.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leadvault_crypto::LeadRef;
use leadvault_domain::{KeyState, LeadId, LeafRange, Operation, OperationId, Role};
use leadvault_keys::{Advanced, Change, KeyError};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{
    BumpState, Conflict, DeleteLead, EraseRow, EraseStep, InsertErase, InsertSuppression, LeadRow,
    Outcome as Written, TenantScope, TombstoneLead, UpdateErase, Write,
};
use serde_json::{Value as Json, json};

use crate::call::{Answer, Call, Outcome, Stamp};
use crate::canonical::canonical;
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::export;
use crate::files;
use crate::gate::Permit;
use crate::idempotency::{self, Made};
use crate::leads::reveal::find;
use crate::log;
use crate::operator;
use crate::publisher;
use crate::room::Room;
use crate::suppression;
use crate::system;

/// Unfinished erasures taken up at a time when a cell starts.
const RESUME_ROWS: u32 = 10_000;
/// References of leads that were tombstoned while the key was away: not known yet.
const NO_REFERENCE: [u8; 16] = [0; 16];

/// What an erasure came to.
#[derive(Debug)]
pub enum Erased {
    /// Done: the signed receipt.
    Receipt(Box<Json>),
    /// Tombstoned; it completes when the tenant's key is back.
    PendingKey,
}

/// Erases a lead.
///
/// # Errors
/// [`Fault::IdempotencyKeyRequired`]; [`Fault::NotFound`]; denials as decided (`DENY_HOLD` among them).
pub async fn erase(cell: &Cell, call: &Call, id: LeadId) -> Outcome<Erased> {
    let room = cell.room_of(call.caller.tenant)?;
    call.idempotency_key.as_ref().ok_or(Fault::IdempotencyKeyRequired)?;
    let on = ResourceType::Record;
    let roles = [Role::Controller, Role::Editor];
    cell.require_role(&room, call, &roles, LogOperation::Data(Operation::Erase), on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((_, stamp)) = turn.again() {
        let row = cell.data().find_erase(TenantScope(room.no), id).await?.ok_or(Fault::Erased)?;
        return Ok(Answer { value: erased_before(cell, &room, &row).await?, stamp });
    }
    cell.settled(&room, || erase_once(cell, call, &room, id)).await
}

/// The receipt of an erasure that this very call asked for before; what a lost connection left open is
/// finished first.
async fn erased_before(cell: &Cell, room: &Room, row: &EraseRow) -> Result<Erased, Refusal> {
    if let Some(sealed) = &row.receipt {
        let plain = system::open(room, leadvault_crypto::Kind::Small, row.lead.bytes(), sealed)?;
        let receipt = serde_json::from_slice(&plain).map_err(|_| Fault::Internal("receipt"))?;
        return Ok(Erased::Receipt(receipt));
    }
    match row.reference.filter(|r| *r != NO_REFERENCE).map(LeadRef::from_bytes) {
        Some(reference) => {
            let receipt = complete(cell, room, row.lead, reference).await?;
            Ok(Erased::Receipt(Box::new(receipt)))
        }
        None => Ok(Erased::PendingKey),
    }
}

async fn erase_once(cell: &Cell, call: &Call, room: &Arc<Room>, id: LeadId) -> Outcome<Erased> {
    let on = ResourceType::Record;
    let (row, dataset) = match find(cell, call, room, id).await {
        Ok(found) => found,
        Err(refusal) if refusal.fault == Fault::NotFound => {
            if waits_for_key(cell, room, id).await? {
                return Ok(Answer::plain(Erased::PendingKey));
            }
            return Err(cell.not_found(room, call, Operation::Erase, on).await);
        }
        Err(other) => return Err(other),
    };
    let mut ask = Ask::new(operations_of(Kind::Erase));
    ask.dataset = Some(dataset.id);
    ask.categories = row.labels.categories();
    ask.labels = Some(row.labels);
    ask.lead = Some(row.id);
    ask.exit = true;
    ask.needs_key = false;
    let ask = Cell::ask(call, ask);
    let permit = cell.permit(room, call, &ask, on).await?;
    files::require_end(cell, call, room, &row).await?;
    let reference = match room.ring() {
        Ok(ring) => match ring.locate(row.at) {
            Ok(located) => Some(located.reference()),
            Err(KeyError::Punctured(_)) => {
                return Err(cell.not_found(room, call, Operation::Erase, on).await);
            }
            Err(other) => return Err(other.into()),
        },
        Err(_) if Cell::key_state(room, &room.control()) != KeyState::Active => None,
        Err(other) => return Err(other.into()),
    };
    let mut remembered = None;
    if reference.is_some() {
        let kept = suppression::of_erased(cell, call, room, &permit, &dataset, &row).await;
        remembered = match kept {
            Ok(kept) => Some(kept),
            Err(refusal) if refusal.fault == Fault::NotFound => {
                return Err(cell.not_found(room, call, Operation::Erase, on).await);
            }
            Err(other) => return Err(other),
        };
    }
    let stamp = request(cell, call, room, &permit, &row, reference, remembered).await?;
    cell.fail_point("erase.requested");
    let Some(reference) = reference else {
        return Ok(Answer { value: Erased::PendingKey, stamp: Some(stamp) });
    };
    let receipt = complete(cell, room, row.id, reference).await?;
    Ok(Answer { value: Erased::Receipt(Box::new(receipt)), stamp: Some(stamp) })
}

/// Whether the lead is tombstoned and its erasure waits for the key: with the key away no record tells a
/// repeated request.
async fn waits_for_key(cell: &Cell, room: &Room, id: LeadId) -> Result<bool, Refusal> {
    if Cell::key_state(room, &room.control()) == KeyState::Active {
        return Ok(false);
    }
    let row = cell.data().find_erase(TenantScope(room.no), id).await?;
    Ok(row.is_some_and(|row| row.completed_index.is_none()))
}

/// Entry, tombstone and request row in one commit: from here on the lead is a 404 everywhere.
async fn request(
    cell: &Cell,
    call: &Call,
    room: &Room,
    permit: &Permit,
    row: &LeadRow,
    reference: Option<LeadRef>,
    remembered: Option<InsertSuppression>,
) -> Result<Stamp, Refusal> {
    let mut entry = permit.entry_as(call, LogOperation::EraseRequested, ResourceType::Record).n(1);
    if let Some(reference) = reference {
        entry = entry.refs([reference]);
    }
    if let Some(dataset) = room.control().dataset_by_no(row.at.dataset) {
        entry = entry.dataset(dataset.id);
    }
    let mut writes: Vec<Write> = vec![
        TombstoneLead { id: row.id, base: Some(row.version) }.into(),
        InsertErase {
            lead: row.id,
            at: row.at,
            reference: reference.map_or(NO_REFERENCE, |r| *r.bytes()),
            requested_at: permit.at,
            operation: None,
        }
        .into(),
    ];
    if let Some(remembered) = remembered {
        // What was decided on the list as it was is decided again: nobody comes in beside their erasure.
        writes.extend([remembered.into(), BumpState.into()]);
    }
    let write = idempotency::beside(cell, call, room, writes, Made::Erasure { id: row.id }).await?;
    let asserted = Some(permit.read_generations());
    let otherwise = entry.clone().outcome(leadvault_ledger::EntryOutcome::Error);
    let (receipt, outcome) =
        cell.commit_write(room, entry, Some(otherwise), asserted, write).await?;
    match outcome {
        // Changed meanwhile: what is to be remembered is read again.
        Written::Conflict(Conflict::VersionMoved { .. }) => Err(Fault::Stale.into()),
        Written::Conflict(_) => Err(Fault::NotFound.into()),
        _ => Ok(Stamp::from(&receipt)),
    }
}

/// Everything after the request: puncture, row, entry, receipt.
async fn complete(
    cell: &Cell,
    room: &Room,
    id: LeadId,
    reference: LeadRef,
) -> Result<Json, Refusal> {
    let scope = TenantScope(room.no);
    let row = cell.data().find_erase(scope, id).await?.ok_or(Fault::Internal("erase request"))?;
    let held = export::mark_stale(cell, room, &[row.at]).await?;
    let mut with = held.leaves;
    with.extend(files::unlink(cell, room, &[LeafRange::single(row.at)]).await?);
    let advanced = puncture(cell, room, &row, with).await?;
    cell.fail_point("erase.punctured");
    export::remove_stale(cell, room).await?;
    files::remove(cell, room).await;
    cell.data().apply(scope, DeleteLead { id }).await?;
    cell.fail_point("erase.row_removed");
    let (index, leaf) = record_completed(cell, room, id, reference, &advanced).await?;
    cell.fail_point("erase.completed");
    publisher::cover(cell, room.no, index).await?;
    let exports: Vec<String> = held.delivered.iter().map(ToString::to_string).collect();
    let receipt = receipt(cell, room, &row, reference, &advanced, (index, leaf), &exports)?;
    let plain = serde_json::to_vec(&receipt).map_err(|_| Fault::Internal("receipt"))?;
    let sealed = system::seal_new(cell, room.keys()?, id.bytes(), &plain).await?;
    let step = EraseStep::Receipt(sealed);
    cell.data().apply(scope, UpdateErase { lead: id, step }).await?;
    Ok(receipt)
}

/// The instant of erasure. A leaf that is punctured already belongs to the present epoch.
/// Exports that hold the lead go in the same epoch, and files that go with it.
async fn puncture(
    cell: &Cell,
    room: &Room,
    row: &EraseRow,
    mut with: Vec<LeafRange>,
) -> Result<Advanced, Refusal> {
    with.push(LeafRange::single(row.at));
    let change = Change::Puncture(with);
    let advanced = room.keys()?.advance(change).await?;
    let step = EraseStep::Punctured { epoch: advanced.epoch };
    cell.data().apply(TenantScope(room.no), UpdateErase { lead: row.lead, step }).await?;
    Ok(advanced)
}

async fn record_completed(
    cell: &Cell,
    room: &Room,
    id: LeadId,
    reference: LeadRef,
    advanced: &Advanced,
) -> Result<(u64, [u8; 32]), Refusal> {
    let entry = operator::entry(cell, LogOperation::EraseCompleted, ResourceType::Record)
        .refs([reference])
        .epoch(advanced.epoch, advanced.state);
    let step = EraseStep::Completed { epoch: advanced.epoch };
    let write = UpdateErase { lead: id, step };
    let (receipt, _) = cell.commit_write(room, entry, None, None, write).await?;
    Ok((receipt.index(), receipt.leaf_hash()))
}

/// The receipt a tenant keeps: what was destroyed, how strongly, and the proof that the log says so.
fn receipt(
    cell: &Cell,
    room: &Room,
    row: &EraseRow,
    reference: LeadRef,
    advanced: &Advanced,
    completed: (u64, [u8; 32]),
    exports: &[String],
) -> Result<Json, Refusal> {
    let proof = log::proof_of(cell, room.no, completed.0, None)?;
    let dataset = room.ring()?.dataset_id(row.at.dataset).map(|id| id.to_string());
    let mut receipt = json!({
        "type": "ErasureReceipt",
        "v": 1,
        "tenant": room.id,
        "dataset": dataset,
        "lead": row.lead,
        "ref": reference.to_string(),
        "requested": { "index": row.requested_index },
        "completed": { "index": completed.0, "leaf": hex::encode(completed.1) },
        "epoch": advanced.epoch,
        "state": hex::encode(advanced.state),
        "level": cell.level().as_str(),
        "durability": cell.parts().durability,
        "index_horizon": null,
        "exports": exports,
        "issued_at": cell.clock().now(),
        "checkpoint": proof.checkpoint,
        "inclusion": proof.path.iter().map(hex::encode).collect::<Vec<_>>(),
    });
    let signature = cell.parts().log_keys.sign(&canonical(&receipt)?);
    if let Some(object) = receipt.as_object_mut() {
        object.insert("sig".to_owned(), STANDARD.encode(signature).into());
    }
    Ok(receipt)
}

/// Finishes erasures, of files too, that a crash, or a key that was away, left open.
///
/// # Errors
/// What keys, store and journal say.
pub(crate) async fn resume(cell: &Cell, room: &Arc<Room>) -> Result<(), Refusal> {
    if room.ring().is_err() {
        return Ok(());
    }
    let scope = TenantScope(room.no);
    for row in cell.data().list_open_erases(scope, RESUME_ROWS).await? {
        let known = row.reference.filter(|r| *r != NO_REFERENCE).map(LeadRef::from_bytes);
        let reference = match known {
            Some(reference) => reference,
            // Tombstoned while the key was away: the leaf is still there to say its reference.
            None => match room.ring()?.locate(row.at) {
                Ok(located) => located.reference(),
                Err(_) => LeadRef::from_bytes(NO_REFERENCE),
            },
        };
        complete(cell, room, row.lead, reference).await?;
    }
    files::finish(cell, room).await
}

/// Takes an erasure up again that the log says was requested and an old database does not know of: an entry
/// and a request as before; the start completes it.
///
/// # Errors
/// What keys, store and journal say.
pub(crate) async fn finish_forgotten(
    cell: &Cell,
    room: &Arc<Room>,
    row: &LeadRow,
    reference: LeadRef,
) -> Result<(), Refusal> {
    let mut entry =
        operator::entry(cell, LogOperation::EraseRequested, ResourceType::Record).refs([reference]);
    if let Some(dataset) = room.control().dataset_by_no(row.at.dataset) {
        entry = entry.dataset(dataset.id);
    }
    let writes: Vec<Write> = vec![
        TombstoneLead { id: row.id, base: None }.into(),
        InsertErase {
            lead: row.id,
            at: row.at,
            reference: *reference.bytes(),
            requested_at: cell.clock().now(),
            operation: None::<OperationId>,
        }
        .into(),
    ];
    cell.commit_write(room, entry, None, None, Write::from(writes)).await?;
    Ok(())
}
