//! `tenant_exit_v1`: the tenant's own export, erase and shred are instructions themselves.
//!
//! Such a call by a controller's key that names no instruction makes a `one_off` permit from the
//! built-in text, signed into the register before it is used (decisions.md 1). It never covers another
//! recipient, and it needs no agreement in force. It is its call's alone: no other one finds it, because it
//! stands beside the register that decisions are made on ([`crate::instructions::exits`]).

use leadvault_domain::{Effect, Instruction, InstructionId, Role, Timestamp};
use leadvault_policy::{self as policy, Ask};

use crate::call::Call;
use crate::canonical::instruction_hash;
use crate::cell::Cell;
use crate::error::Refusal;
use crate::room::{Control, Room};

/// Whether the built-in permit stands in for an instruction that the call does not name.
pub(crate) fn applies(call: &Call, ask: &Ask) -> bool {
    ask.exit
        && ask.named.is_none()
        && call.caller.role == Role::Controller
        && call.caller.default_instruction.is_none()
}

/// Makes the permit and signs it. It stands nowhere yet.
///
/// # Errors
/// [`crate::Fault::Internal`] without randomness.
pub(crate) fn issue(
    cell: &Cell,
    room: &Room,
    call: &Call,
    ask: &Ask,
    at: Timestamp,
) -> Result<Instruction, Refusal> {
    let mut instruction = make(cell, room, call, ask, at)?;
    instruction.signature = Some(cell.sign_instruction(&instruction.hash));
    Ok(instruction)
}

/// The permit as it would be made for this call; nothing is signed and nothing stored.
///
/// # Errors
/// [`crate::Fault::Internal`] without randomness.
pub(crate) fn make(
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
    Ok(instruction)
}

/// The register an exit is decided on: the permit alone. Prohibitions of the tenant bind its own exit as
/// well.
pub(crate) fn register(control: &Control, permit: Instruction) -> Vec<Instruction> {
    let prohibits = control.register.all().iter().filter(|i| i.effect == Effect::Prohibit).cloned();
    std::iter::once(permit).chain(prohibits).collect()
}
