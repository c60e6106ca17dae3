//! `tenant_exit_v1`: the tenant's own export, erase and shred are instructions themselves.
//!
//! Such a call by a controller's key that names no instruction makes a `one_off` permit from the
//! built-in text, signed into the register before it is used (decisions.md 1). It never covers another
//! recipient, and it needs no agreement in force.

use leadvault_domain::{Instruction, InstructionId, Role, Timestamp};
use leadvault_policy::{self as policy, Ask};

use crate::call::Call;
use crate::canonical::instruction_hash;
use crate::cell::Cell;
use crate::error::Refusal;
use crate::instructions;
use crate::room::Room;

/// Whether the built-in permit stands in for an instruction that the call does not name.
pub(crate) fn applies(call: &Call, ask: &Ask) -> bool {
    ask.exit
        && ask.named.is_none()
        && call.caller.role == Role::Controller
        && call.caller.default_instruction.is_none()
}

/// Makes the permit, signs it and stores it.
///
/// # Errors
/// What keeps it from being stored; the call is not done then.
pub(crate) async fn issue(
    cell: &Cell,
    room: &Room,
    call: &Call,
    ask: &Ask,
    at: Timestamp,
) -> Result<Instruction, Refusal> {
    let control = room.control();
    let mut salt = [0_u8; 16];
    cell.entropy().fill(&mut salt)?;
    let mut instruction = policy::tenant_exit(&policy::ExitFacts {
        id: InstructionId::make(cell.clock(), cell.entropy())?,
        tenant: room.id,
        operations: ask.operations.clone(),
        agreement: control.agreement.clone(),
        store: control.store.clone(),
        access: control.access.clone(),
        controller_country: control.controller_country,
        actor: call.caller.principal.to_string(),
        request: call.request.to_string(),
        evidence_sha256: hex::encode(call.fingerprint),
        salt: hex::encode(salt),
        at,
    });
    instruction.hash = instruction_hash(&instruction)?;
    instruction.signature = Some(cell.sign_instruction(&instruction.hash));
    instructions::store_active(cell, room, call, &instruction).await?;
    Ok(instruction)
}
