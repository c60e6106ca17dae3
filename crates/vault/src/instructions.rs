//! Instructions: drafted by the operator or the controller, activated only by the controller, versioned,
//! hashed, signed; the register every decision reads (instructions.md 2).
//!
//! A version's body is sealed under a leaf of the system tree; its status stands beside it in the row, so
//! that suspend and revoke need no key. Every change of status bumps `state_gen` in its own commit:
//! decisions in flight are made again.

use leadvault_crypto::Kind;
use leadvault_domain::{Effect, Instruction, InstructionId, InstructionStatus, Role, TenantId};
use leadvault_ledger::{
    CommittedReceipt, EntryDraft, Generations, InstructionStamp, LogOperation, ResourceType,
};
use leadvault_policy::StateOperation;
use leadvault_store::{Sealed, TenantScope, UpdateInstruction, Write};

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::idempotency::{self, Made};
use crate::room::Room;
use crate::system;

mod activate;
mod draft;
pub(crate) mod exits;
pub(crate) mod register;
mod status;
pub(crate) mod text;

pub use activate::{Activation, activate};
pub use draft::{draft, draft_by_operator};
pub use status::{Change, challenge, change};

/// Roles that may read the register.
const READERS: [Role; 2] = [Role::Controller, Role::Auditor];

/// A version as an answer of before said it.
fn as_it_was(cell: &Cell, room: &Room, made: Made) -> Result<Instruction, Refusal> {
    let (id, version, status) = match made {
        Made::Instruction { id, version, status } => (id, version, status),
        Made::Activation { id, version, second: true } => (id, version, InstructionStatus::Draft),
        Made::Activation { id, version, second: false } => (id, version, InstructionStatus::Active),
        _ => return Err(idempotency::other()),
    };
    let control = room.control();
    let found = control.register.find((id, version));
    let mut found = found.cloned().ok_or(Fault::NotFound)?;
    found.status = status;
    if let Made::Activation { second: false, .. } = made {
        found.signature = Some(cell.sign_instruction(&found.hash));
    }
    Ok(found)
}

/// The tenant whose instruction this is, for calls of the operator, which name no tenant. An instruction
/// whose text was never opened since the start, because the tenant's keys are suspended, is not known.
///
/// # Errors
/// [`Fault::NotFound`].
pub fn owner(cell: &Cell, id: InstructionId) -> Result<TenantId, Fault> {
    let rooms = cell.rooms();
    let owner = rooms.iter().find(|room| room.control().register.knows(id));
    owner.map(|room| room.id).ok_or(Fault::NotFound)
}

/// In the states restricted and closing only what narrows may be drafted or activated.
fn row_of(instruction: &Instruction) -> StateOperation {
    match instruction.effect {
        Effect::Prohibit => StateOperation::Narrow,
        Effect::Permit => StateOperation::Widen,
    }
}

/// The write that moves a version from one status to another, and gives it another text where one is
/// brought.
fn status_change(
    cell: &Cell,
    instruction: &Instruction,
    from: InstructionStatus,
    to: InstructionStatus,
    body: Option<Sealed>,
) -> Write {
    let activated = to == InstructionStatus::Active && from == InstructionStatus::Draft;
    UpdateInstruction {
        id: instruction.id,
        version: instruction.version,
        from,
        to,
        activated_at: activated.then(|| cell.clock().now()),
        body,
    }
    .into()
}

/// The text of a version, sealed again under the leaf it has: its hash does not cover what changes.
///
/// # Errors
/// What keys and store say.
async fn resealed(
    cell: &Cell,
    room: &Room,
    instruction: &Instruction,
    first_approver: Option<&str>,
) -> Result<Sealed, Refusal> {
    let rows = cell.data().find_instruction(TenantScope(room.no), instruction.id).await?;
    let row = rows.into_iter().find(|row| row.version == instruction.version);
    let before = row.and_then(|row| row.body).ok_or(Fault::NotFound)?;
    let plain = text::write(instruction, first_approver)?;
    system::seal_again_as(cell, room, Kind::Instruction, &before, instruction.id.bytes(), &plain)
}

fn hash_bytes(hash: &str) -> Result<[u8; 32], Fault> {
    let bytes = hex::decode(hash).ok().and_then(|b| b.try_into().ok());
    bytes.ok_or(Fault::Internal("hash"))
}

async fn commit(
    cell: &Cell,
    room: &Room,
    instruction: &Instruction,
    entry: EntryDraft,
    asserted: Option<Generations>,
    write: Write,
) -> Result<CommittedReceipt, Refusal> {
    let entry = entry.resource_id(instruction.id).instruction(InstructionStamp {
        id: instruction.id,
        version: instruction.version,
        hash: Some(instruction.hash.clone()),
    });
    let (receipt, outcome) = cell.commit_write(room, entry, None, asserted, write).await?;
    if outcome.is_conflict() { Err(Fault::StateConflict.into()) } else { Ok(receipt) }
}

/// The newest version of each instruction, and the newest 200 permits of the tenant's own exits.
///
/// # Errors
/// [`Fault::RoleInsufficient`]; what the store says.
pub async fn list(cell: &Cell, call: &Call) -> Outcome<Vec<Instruction>> {
    let room = readable(cell, call).await?;
    let mut newest: Vec<Instruction> = Vec::new();
    for instruction in room.control().register.all() {
        match newest.last_mut() {
            Some(last) if last.id == instruction.id => *last = instruction.clone(),
            _ => newest.push(instruction.clone()),
        }
    }
    let exits = exits::page(cell, &room, None).await?;
    newest.extend(exits.permits);
    Ok(Answer::plain(newest))
}

/// One version of an instruction: the newest, or the one named.
///
/// # Errors
/// [`Fault::NotFound`]; [`Fault::RoleInsufficient`].
pub async fn find(
    cell: &Cell,
    call: &Call,
    id: InstructionId,
    version: Option<u32>,
) -> Outcome<Instruction> {
    let room = readable(cell, call).await?;
    let control = room.control();
    let found = control.register.versions(id).rfind(|i| version.is_none_or(|v| i.version == v));
    if let Some(found) = found {
        return Ok(Answer::plain(found.clone()));
    }
    let exit = exits::find(cell, &room, id).await?;
    let exit = exit.filter(|permit| version.is_none_or(|v| permit.version == v));
    Ok(Answer::plain(exit.ok_or(Fault::NotFound)?))
}

async fn readable(cell: &Cell, call: &Call) -> Result<std::sync::Arc<Room>, Refusal> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::InstructionDraft, ResourceType::Instruction);
    cell.require_role(&room, call, &READERS, operation, on).await?;
    Ok(room)
}
