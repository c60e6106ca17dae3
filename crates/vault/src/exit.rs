//! `tenant_exit_v1`: the tenant's own export, erase and shred are instructions themselves.
//!
//! Such a call by a controller's key that names no instruction makes a `one_off` permit from the
//! built-in text, signed into the register before it is used (decisions.md 1). It never covers another
//! recipient, and it needs no agreement in force. It is its controller's alone: no other call finds it.

use std::sync::Arc;

use leadvault_domain::{
    Effect, Instruction, InstructionId, InstructionKind, RecipientRole, RequestId, Role, Timestamp,
};
use leadvault_policy::{self as policy, Ask};

use crate::call::Call;
use crate::canonical::instruction_hash;
use crate::cell::Cell;
use crate::error::Refusal;
use crate::room::{Control, Room};

/// Whether a version has the form of the built-in permit: one call's, to the tenant itself. A draft of that
/// form counts as one too, which can only narrow it.
pub(crate) fn is_built_in(instruction: &Instruction) -> bool {
    let tenant = instruction.tenant_id.to_string();
    instruction.kind == InstructionKind::OneOff
        && matches!(instruction.recipients.as_slice(),
            [to] if to.recipient_id == tenant && to.role == RecipientRole::TenantUser)
        && matches!(instruction.evidence.as_slice(),
            [call] if call.kind == "api_call" && call.reference.parse::<RequestId>().is_ok())
}

/// The instructions a call may be decided under. What an exit made for itself stays in the register for
/// thirty days, and only the controller's own exit can name it: nobody else's call finds it there.
pub(crate) fn candidates(control: &Control, call: &Call, ask: &Ask) -> Arc<Vec<Instruction>> {
    let named = ask.named.map(|named| named.id);
    let may_name = ask.exit && call.caller.role == Role::Controller;
    let other = |i: &Instruction| is_built_in(i) && !(may_name && named == Some(i.id));
    if !control.instructions.iter().any(other) {
        return Arc::clone(&control.instructions);
    }
    Arc::new(control.instructions.iter().filter(|i| !other(i)).cloned().collect())
}

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
    let prohibits = control.instructions.iter().filter(|i| i.effect == Effect::Prohibit).cloned();
    std::iter::once(permit).chain(prohibits).collect()
}
