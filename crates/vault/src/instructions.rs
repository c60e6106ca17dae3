//! Instructions: drafted by the operator or the controller, activated only by the controller, versioned,
//! hashed, signed; the register every decision reads (instructions.md 2).
//!
//! A version's body is sealed under a leaf of the system tree; its status stands beside it in the row, so
//! that suspend and revoke need no key. Every change of status bumps `state_gen` in its own commit:
//! decisions in flight are made again.

use leadvault_crypto::Kind;
use leadvault_domain::{
    Effect, Instruction, InstructionId, InstructionStatus, Role, TenantId, TenantState,
};
use leadvault_ledger::{
    CommittedReceipt, EntryDraft, Generations, InstructionStamp, LogOperation, ResourceType,
};
use leadvault_policy::{self as policy, StateOperation};
use leadvault_store::{
    BumpState, InsertInstruction, InstructionRow, Sealed, TenantScope, UpdateInstruction, Write,
};

use crate::call::{Answer, Call, Outcome};
use crate::canonical::instruction_hash;
use crate::cell::Cell;
use crate::control;
use crate::error::{Fault, Pointed, Refusal, TOO_MANY};
use crate::idempotency::{self, Made};
use crate::instruction_body::{InstructionBody, ServerPart};
use crate::operator;
use crate::room::Room;
use crate::system;

pub(crate) mod exits;
pub(crate) mod register;
mod status;
pub(crate) mod text;

pub use status::{Change, challenge, change};

/// Roles that may read the register.
const READERS: [Role; 2] = [Role::Controller, Role::Auditor];

/// Versions of instructions a tenant may have, all together: each decision is made on the whole register.
const VERSIONS_MAX: usize = 2_000;

/// What activation came to.
#[derive(Debug)]
pub enum Activation {
    /// The version is in force.
    Active(Box<Instruction>),
    /// A second person of the controller must activate it too.
    AwaitingSecond(Box<Instruction>),
}

/// Drafts a new instruction, or the next version of one.
///
/// # Errors
/// [`Fault::Invalid`] and [`Fault::FilterLabelUnknown`] for what no draft may say; [`Fault::NotFound`] for
/// an unknown id; [`Fault::RoleInsufficient`].
pub async fn draft(
    cell: &Cell,
    call: &Call,
    id: Option<InstructionId>,
    body: InstructionBody,
) -> Outcome<Instruction> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::InstructionDraft, ResourceType::Instruction);
    cell.require_role(&room, call, &[Role::Controller], operation, on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((made, stamp)) = turn.again() {
        return Ok(Answer { value: as_it_was(cell, &room, made)?, stamp });
    }
    let drafted = make_draft(cell, &room, id, body, call.caller.principal.to_string());
    let drafted = match drafted {
        Err(refusal) if refusal.fault == Fault::NotFound => {
            return Err(cell.not_found_as(&room, call, operation, on).await);
        }
        other => other?,
    };
    cell.require_state(&room, call, row_of(&drafted), operation, on).await?;
    let entry = cell.administrative(call, operation, on);
    let (id, version, status) = (drafted.id, drafted.version, drafted.status);
    let made = Made::Instruction { id, version, status };
    let record = idempotency::record(cell, call, &room, made).await?;
    let receipt = insert(cell, &room, &drafted, entry, record.into_iter().collect()).await?;
    Ok(Answer::stamped(drafted, &receipt))
}

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

/// Drafts on behalf of the operator, for the controller to activate or to leave.
///
/// # Errors
/// As [`draft`]; [`Fault::NotFound`] for a tenant or an instruction this cell does not know.
pub async fn draft_by_operator(
    cell: &Cell,
    tenant: TenantId,
    id: Option<InstructionId>,
    body: InstructionBody,
) -> Outcome<Instruction> {
    let room = cell.room_of(tenant)?;
    let drafted = make_draft(cell, &room, id, body, operator::SERVICE.to_string())?;
    if room.control().state != TenantState::Active && row_of(&drafted) == StateOperation::Widen {
        return Err(Fault::StateConflict.into());
    }
    let entry = operator::entry(cell, LogOperation::InstructionDraft, ResourceType::Instruction);
    let receipt = insert(cell, &room, &drafted, entry, Vec::new()).await?;
    Ok(Answer::stamped(drafted, &receipt))
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

/// The draft of the next version, checked and hashed.
fn make_draft(
    cell: &Cell,
    room: &Room,
    id: Option<InstructionId>,
    body: InstructionBody,
    actor: String,
) -> Result<Instruction, Refusal> {
    let control = room.control();
    if control.register.all().len() >= VERSIONS_MAX {
        return Err(Fault::invalid("#", TOO_MANY).into());
    }
    let (id, version) = match id {
        None => (InstructionId::make(cell.clock(), cell.entropy())?, 1),
        Some(id) => {
            let last = control.register.versions(id).next_back().ok_or(Fault::NotFound)?.version;
            (id, last.checked_add(1).ok_or(Fault::StateConflict)?)
        }
    };
    let mut salt = [0_u8; 16];
    cell.entropy().fill(&mut salt)?;
    let at = cell.clock().now();
    let server = ServerPart { id, version, tenant: room.id, actor, salt, at };
    let mut drafted = body.into_draft(server);
    if drafted.legal.as_ref().is_some_and(|legal| legal.challenge.is_some()) {
        // The operator's word, outside the hash: nobody may put it into the operator's mouth.
        return Err(Fault::invalid("#/legal/challenge", "server_set").into());
    }
    policy::validate_draft(&drafted).map_err(refuse_draft)?;
    drafted.hash = instruction_hash(&drafted)?;
    Ok(drafted)
}

fn refuse_draft(error: policy::DraftError) -> Fault {
    if error.code == policy::DraftCode::FilterLabelUnknown {
        return Fault::FilterLabelUnknown;
    }
    Fault::Invalid(vec![Pointed::new(format!("#{}", error.pointer), error.code.as_str())])
}

/// In the states restricted and closing only what narrows may be drafted or activated.
fn row_of(instruction: &Instruction) -> StateOperation {
    match instruction.effect {
        Effect::Prohibit => StateOperation::Narrow,
        Effect::Permit => StateOperation::Widen,
    }
}

/// Stores a version with its entry.
async fn insert(
    cell: &Cell,
    room: &Room,
    instruction: &Instruction,
    entry: EntryDraft,
    with: Vec<Write>,
) -> Result<CommittedReceipt, Refusal> {
    let plain = text::write(instruction, None)?;
    let record = instruction.id.bytes();
    let body = system::seal_new_as(cell, room.keys()?, Kind::Instruction, record, &plain).await?;
    let row = InstructionRow {
        id: instruction.id,
        version: instruction.version,
        status: instruction.status,
        body: Some(body),
        hash: hash_bytes(&instruction.hash)?,
        created_at: instruction.created_at.unwrap_or_else(|| cell.clock().now()),
        activated_at: None,
    };
    let mut writes: Vec<Write> = vec![InsertInstruction { row }.into(), BumpState.into()];
    writes.extend(with);
    let receipt = commit(cell, room, instruction, entry, None, writes.into()).await?;
    cell.reload(room).await?;
    Ok(receipt)
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
