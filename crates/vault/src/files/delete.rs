//! A file by itself is erased: its leads stay.
//!
//! Entry "requested" and the end of every way to it are one commit; then its leaf is punctured, its objects go, and the
//! entry "completed" follows. A crash between is finished at the start; so is what waited for the tenant's key.

use std::sync::Arc;

use leadvault_domain::{FileId, KeyState, Operation, Role};
use leadvault_ledger::{EntryOutcome, LogOperation, ResourceType};
use leadvault_policy::Call as Asked;
use leadvault_store::{EraseFile, Outcome as Written};

use super::{found, removal};
use crate::call::{Answer, Call, Outcome, Stamp};
use crate::cell::Cell;
use crate::error::Fault;
use crate::room::Room;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// Its key is destroyed.
    Gone,
    /// Nothing finds it any more; its key is destroyed when the tenant's key is back.
    PendingKey,
}

/// Erases a file.
///
/// # Errors
/// [`Fault::NotFound`]; denials as decided.
pub async fn delete(cell: &Cell, call: &Call, id: FileId) -> Outcome<Deleted> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::Data(Operation::Erase), ResourceType::File);
    cell.require_role(&room, call, &[Role::Controller, Role::Editor], operation, on).await?;
    let stamp = cell.settled(&room, || request(cell, call, &room, id)).await?;
    cell.fail_point("file.erase_requested");
    if Cell::key_state(&room, &room.control()) != KeyState::Active {
        return Ok(Answer { value: Deleted::PendingKey, stamp: Some(stamp) });
    }
    removal::finish(cell, &room).await?;
    Ok(Answer { value: Deleted::Gone, stamp: Some(stamp) })
}

async fn request(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    id: FileId,
) -> Result<Stamp, crate::error::Refusal> {
    let on = ResourceType::File;
    let found = match found::find(cell, call, room, id).await {
        Ok(found) => found,
        Err(refusal) if refusal.fault == Fault::NotFound => {
            return Err(cell.not_found(room, call, Operation::Erase, on).await);
        }
        Err(other) => return Err(other),
    };
    let (dataset, leads) = (&found.dataset, &found.leads);
    let permit = found::permit(cell, room, call, Asked::Erase, dataset, leads).await?;
    // Without references: they would say that the leads go.
    let entry = permit
        .entry_as(call, LogOperation::EraseRequested, on)
        .resource_id(id)
        .dataset(dataset.id)
        .n(1);
    let otherwise = entry.clone().outcome(EntryOutcome::Error);
    let asserted = Some(permit.read_generations());
    let write = EraseFile { id };
    let (receipt, outcome) =
        cell.commit_write(room, entry, Some(otherwise), asserted, write).await?;
    match outcome {
        Written::Conflict(_) => Err(Fault::NotFound.into()),
        _ => Ok(Stamp::from(&receipt)),
    }
}
