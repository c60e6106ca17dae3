//! Restriction of a lead: store only, until it is lifted.

use std::sync::Arc;

use leadvault_domain::{LabelFlag, Labels, LeadId, Operation, Role};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{Outcome as Written, UpdateLabels};

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::Fault;
use crate::idempotency::{self, Made};
use crate::leads::opened::locate;
use crate::leads::reveal::find;
use crate::room::Room;

/// Member of the entry: 1 where the lead was restricted, 0 where that was lifted.
pub(crate) const RESTRICTED: &str = "restricted";

/// Restricts a lead, or lifts the restriction.
///
/// # Errors
/// [`Fault::NotFound`]; denials as decided.
pub async fn restrict(cell: &Cell, call: &Call, id: LeadId, on: bool) -> Outcome<()> {
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Editor];
    let (operation, record) = (LogOperation::Data(Operation::Restrict), ResourceType::Record);
    cell.require_role(&room, call, &roles, operation, record).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((_, stamp)) = turn.again() {
        return Ok(Answer { value: (), stamp });
    }
    cell.settled(&room, || restrict_once(cell, call, &room, id, on)).await
}

async fn restrict_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    id: LeadId,
    restricted: bool,
) -> Outcome<()> {
    let on = ResourceType::Record;
    let (row, dataset) = match find(cell, call, room, id).await {
        Ok(found) => found,
        Err(refusal) if refusal.fault == Fault::NotFound => {
            return Err(cell.not_found(room, call, Operation::Restrict, on).await);
        }
        Err(other) => return Err(other),
    };
    let mut ask = Ask::new(operations_of(Kind::Flag));
    ask.dataset = Some(dataset.id);
    ask.categories = row.labels.categories();
    ask.labels = Some(row.labels);
    ask.lead = Some(row.id);
    let permit = cell.permit(room, call, &Cell::ask(call, ask), on).await?;
    let located = locate(&*room.ring()?, &row)?;
    let flag = Labels::default().with(LabelFlag::Restricted, true);
    let none = Labels::default();
    let (set, clear) = if restricted { (flag, none) } else { (none, flag) };
    let entry = permit
        .entry_as(call, LogOperation::FlagChange, on)
        .dataset(dataset.id)
        .refs([located.reference()])
        .own_number(RESTRICTED, u64::from(restricted));
    let write = UpdateLabels { id: row.id, base: None, set, clear };
    let write = idempotency::beside(cell, call, room, write, Made::Flag { id: row.id }).await?;
    let asserted = Some(permit.read_generations());
    let (receipt, outcome) = cell.commit_write(room, entry, None, asserted, write).await?;
    match outcome {
        Written::Conflict(_) => Err(Fault::NotFound.into()),
        _ => Ok(Answer::stamped((), &receipt)),
    }
}
