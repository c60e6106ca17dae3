//! A version is drafted: by the controller, or by the operator for the controller to put in force or to leave.

use leadvault_crypto::Kind;
use leadvault_domain::{Instruction, InstructionId, Role, TenantId, TenantState};
use leadvault_ledger::{CommittedReceipt, EntryDraft, LogOperation, ResourceType};
use leadvault_policy::{self as policy, StateOperation};
use leadvault_store::{BumpState, InsertInstruction, InstructionRow, Write};

use super::{as_it_was, commit, hash_bytes, row_of, text};
use crate::call::{Answer, Call, Outcome};
use crate::canonical::instruction_hash;
use crate::cell::Cell;
use crate::error::{Fault, Pointed, Refusal, TOO_MANY};
use crate::idempotency::{self, Made};
use crate::instruction_body::{InstructionBody, ServerPart};
use crate::operator;
use crate::room::Room;
use crate::system;

/// Versions of instructions a tenant may have, all together: each decision is made on the whole register.
const VERSIONS_MAX: usize = 2_000;

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
