//! A version is put in force, at high risk by two people; the one before is superseded in the same commit.

use leadvault_domain::{Effect, Instruction, InstructionId, InstructionStatus, Role};
use leadvault_ledger::{CommittedReceipt, EntryDraft, Generations, LogOperation, ResourceType};
use leadvault_policy::{self as policy, StateOperation};
use leadvault_store::{BumpState, Write};

use super::{as_it_was, commit, resealed, row_of, status_change};
use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::control;
use crate::error::{Fault, Refusal};
use crate::idempotency::{self, Made};
use crate::room::Room;

/// What activation came to.
#[derive(Debug)]
pub enum Activation {
    /// The version is in force.
    Active(Box<Instruction>),
    /// A second person of the controller must activate it too.
    AwaitingSecond(Box<Instruction>),
}

/// Puts a version in force; the one before is superseded in the same commit.
///
/// # Errors
/// [`Fault::StateConflict`] for a version that is no draft; [`Fault::NotFound`].
pub async fn activate(
    cell: &Cell,
    call: &Call,
    id: InstructionId,
    version: u32,
) -> Outcome<Activation> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::InstructionActivate, ResourceType::Instruction);
    cell.require_role(&room, call, &[Role::Controller], operation, on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((made, stamp)) = turn.again() {
        let was = Box::new(as_it_was(cell, &room, made)?);
        let waits = matches!(made, Made::Activation { second: true, .. });
        let value = if waits { Activation::AwaitingSecond(was) } else { Activation::Active(was) };
        return Ok(Answer { value, stamp });
    }
    cell.settled(&room, || activate_once(cell, call, &room, id, version)).await
}

/// Two calls at once do not both find the same version in force: each asserts the state it read.
async fn activate_once(
    cell: &Cell,
    call: &Call,
    room: &Room,
    id: InstructionId,
    version: u32,
) -> Outcome<Activation> {
    let (operation, on) = (LogOperation::InstructionActivate, ResourceType::Instruction);
    let control = room.control();
    let versions: Vec<_> = control.register.versions(id).collect();
    let Some(draft) = versions.iter().find(|i| i.version == version) else {
        return Err(cell.not_found_as(room, call, operation, on).await);
    };
    if draft.status != InstructionStatus::Draft {
        return Err(Fault::StateConflict.into());
    }
    // A prohibition that is in force ends with the version that supersedes it, whatever that one says.
    let prohibits = |i: &&&Instruction| {
        i.effect == Effect::Prohibit
            && i.version != version
            && i.status != InstructionStatus::Draft
            && !control::is_final(i.status)
    };
    let row = match versions.iter().find(prohibits) {
        Some(_) => StateOperation::Widen,
        None => row_of(draft),
    };
    cell.require_state(room, call, row, operation, on).await?;
    let asserted = Some(control.read_generations());
    let mut active = (*draft).clone();
    let entry = cell.administrative(call, operation, on);
    if policy::high_risk(&active) {
        let person = call.caller.principal.to_string();
        match control.register.first_approver((id, version)) {
            None => {
                let made = Made::Activation { id, version, second: true };
                let record = idempotency::record(cell, call, room, made).await?;
                let with = (entry, asserted, record);
                let receipt = keep_approver(cell, room, &active, &person, with).await?;
                return Ok(Answer::stamped(Activation::AwaitingSecond(Box::new(active)), &receipt));
            }
            Some(first) if first == person => return Err(Fault::StateConflict.into()),
            Some(_) => {}
        }
    }
    active.status = InstructionStatus::Active;
    active.signature = Some(cell.sign_instruction(&active.hash));
    let body = resealed(cell, room, &active, None).await?;
    let (from, to) = (InstructionStatus::Draft, InstructionStatus::Active);
    let mut writes: Vec<Write> = vec![status_change(cell, &active, from, to, Some(body))];
    let before = versions.iter().filter(|i| i.version != version && !control::is_final(i.status));
    writes.extend(
        before
            .filter(|i| i.status != InstructionStatus::Draft)
            .map(|i| status_change(cell, i, i.status, InstructionStatus::Superseded, None)),
    );
    writes.push(BumpState.into());
    let made = Made::Activation { id, version, second: false };
    let write = idempotency::beside(cell, call, room, writes, made).await?;
    let receipt = commit(cell, room, &active, entry, asserted, write).await?;
    cell.reload(room).await?;
    Ok(Answer::stamped(Activation::Active(Box::new(active)), &receipt))
}

/// Keeps the first of the two who approve beside the draft, until the second one comes. Not in it: what two
/// people approve has one hash, from its draft on; that there were two, and who, is in the log.
async fn keep_approver(
    cell: &Cell,
    room: &Room,
    draft: &Instruction,
    person: &str,
    (entry, asserted, with): (EntryDraft, Option<Generations>, Option<Write>),
) -> Result<CommittedReceipt, Refusal> {
    let body = resealed(cell, room, draft, Some(person)).await?;
    let kept = status_change(cell, draft, draft.status, draft.status, Some(body));
    let mut writes: Vec<Write> = vec![kept, BumpState.into()];
    writes.extend(with);
    let receipt = commit(cell, room, draft, entry, asserted, writes.into()).await?;
    cell.reload(room).await?;
    Ok(receipt)
}
