//! The gate: one decision, one entry. Every use case that touches tenant data passes here first.
//!
//! A permit is only a decision; data comes out under the `CommittedReceipt` of the entry that
//! [`Permit::entry`] starts. A denial commits its own entry and comes back as a [`Refusal`] with the stamp.

mod commit;
mod permit;
mod refuse;

use std::sync::Arc;

use leadvault_domain::{
    Instruction, InstructionId, KeyState, LabelFlag, Labels, Operation, Role, Timestamp,
};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{self as policy, Ask, Verdict};

use self::permit::{draft, stamp_of};
use crate::call::Call;
use crate::cell::Cell;
use crate::denials::Denied;
use crate::error::{Fault, Refusal};
use crate::exit;
use crate::instructions;
use crate::room::{Control, Room};

pub(crate) use self::permit::Permit;

/// What a decision is made on.
struct Grounds {
    /// The control state: what moved since makes the commit stale.
    control: Arc<Control>,
    /// The register of an exit, which is its own permit; else the tenant's is the one.
    exit: Option<Vec<Instruction>>,
    /// One of them that is not stored yet: a denial must not name it.
    unstored: Option<InstructionId>,
}

impl Cell {
    /// Fills in what a call names itself, instruction and purpose, and the default purpose of its key. The
    /// built-in permit of an exit has a purpose of its own.
    pub(crate) fn ask(call: &Call, ask: Ask) -> Ask {
        let mut ask = Ask { named: call.instruction, purpose: call.purpose, ..ask };
        if !exit::applies(call, &ask) {
            ask.purpose = ask.purpose.or(call.caller.default_purpose);
        }
        ask
    }

    /// Decides a call that touches tenant data. A denial is committed to the tenant's log.
    ///
    /// # Errors
    /// The denial with its stamp, or what kept it from being decided.
    pub(crate) async fn permit(
        &self,
        room: &Room,
        call: &Call,
        ask: &Ask,
        on: ResourceType,
    ) -> Result<Permit, Refusal> {
        self.require_live_key(room, call)?;
        let control = room.control();
        if !exit::applies(call, ask) {
            let exit = self.stored_exit(room, call, ask).await?;
            let exit = exit.map(|permit| exit::register(&control, permit));
            let grounds = Grounds { control, exit, unstored: None };
            return self.decide(room, call, ask, grounds, on).await;
        }
        let built_in = exit::issue(self, room, call, ask, self.clock().now())?;
        let named = Some(policy::Named { id: built_in.id, version: Some(built_in.version) });
        let ask = Ask { named, ..ask.clone() };
        let exit = Some(exit::register(&control, built_in.clone()));
        let grounds = Grounds { control, exit, unstored: Some(built_in.id) };
        // An exit that is denied leaves no permit behind. One that is not stores it before it is used.
        let permit = self.decide(room, call, &ask, grounds, on).await?;
        instructions::exits::store(self, room, call, &built_in, permit.read_generations()).await?;
        Ok(permit)
    }

    /// The permit that an exit made for itself, where its job or its download names it: a controller's, and
    /// an exit again. To every other call there is no such instruction.
    async fn stored_exit(
        &self,
        room: &Room,
        call: &Call,
        ask: &Ask,
    ) -> Result<Option<Instruction>, Refusal> {
        match ask.named {
            Some(named)
                if ask.exit
                    && call.caller.role == Role::Controller
                    && !room.control().register.knows(named.id) =>
            {
                instructions::exits::find(self, room, named.id).await
            }
            _ => Ok(None),
        }
    }

    async fn decide(
        &self,
        room: &Room,
        call: &Call,
        ask: &Ask,
        grounds: Grounds,
        on: ResourceType,
    ) -> Result<Permit, Refusal> {
        let Grounds { control, exit, unstored } = grounds;
        let instructions = exit.as_deref().unwrap_or_else(|| control.register.all());
        let at = self.clock().now();
        let actor = policy::Actor::from(&call.caller);
        let facts = Self::facts(room, &control, ask, call, at);
        let operation = ask.operations.first().copied().unwrap_or(Operation::Read);
        let verdict =
            policy::decide(ask, &actor, instructions, call.caller.default_instruction, &facts, at);
        match verdict {
            Verdict::Allow(allow) => {
                room.count_call(allow.instruction.id, at);
                Ok(Permit {
                    // The state the decision was made in: what moved since makes the commit stale.
                    control,
                    instruction: allow.instruction,
                    fields: allow.fields,
                    masking: allow.masking,
                    purpose: allow.purpose,
                    operation,
                    at,
                    warnings: allow.warnings.iter().map(|w| w.as_str()).collect(),
                    obligations: allow.obligations.iter().map(|o| o.as_str()).collect(),
                    rows: allow.rows,
                })
            }
            Verdict::Deny(deny) => {
                let mut entry = draft(call, at, LogOperation::Data(operation), on, deny.code);
                self.prove(room, call).await?;
                if room.control().state_gen != control.state_gen {
                    return Err(Fault::Stale.into());
                }
                let considered = deny.instruction.filter(|i| Some(i.id) != unstored);
                let denied = Denied {
                    key: call.key(),
                    code: deny.code,
                    operation: LogOperation::Data(operation),
                    on,
                    purpose: ask.purpose.or(call.caller.default_purpose),
                    instruction: considered.as_ref().map(|i| (i.id, i.version)),
                    state_gen: control.state_gen,
                };
                if let Some(purpose) = ask.purpose.or(call.caller.default_purpose) {
                    entry = entry.purpose(purpose);
                }
                if let Some(instruction) = &considered {
                    entry = entry.instruction(stamp_of(instruction));
                }
                let stamp =
                    self.deny(room, denied, entry, Some(control.read_generations())).await?;
                Err(Refusal {
                    fault: Fault::Denied(deny.code),
                    instruction: considered.map(|i| (i.id, i.version)),
                    stamp: Some(Box::new(stamp)),
                })
            }
            Verdict::BadRequest(_) => Err(Fault::PurposeRequired.into()),
        }
    }

    /// The facts of a decision that are not in the call.
    pub(crate) fn facts(
        room: &Room,
        control: &Control,
        ask: &Ask,
        call: &Call,
        at: Timestamp,
    ) -> policy::Facts {
        let candidate = ask.named.map(|n| n.id).or(call.caller.default_instruction);
        policy::Facts {
            tenant: room.id,
            tenant_state: control.state,
            key_state: Self::key_state(room, control),
            agreement_in_force: control.agreement_in_force,
            agreement: Some(control.agreement.clone()),
            store_places: control.store.clone(),
            calls_last_hour: candidate.map_or(0, |id| room.calls_this_hour(id, at)),
            ..policy::Facts::default_for(room.id)
        }
    }

    /// The state of a tenant's key: what is on record, or destroyed when there is none left.
    pub(crate) fn key_state(room: &Room, control: &Control) -> KeyState {
        if room.keys.is_none() { KeyState::Destroyed } else { control.key_state }
    }
}

/// Whether rows with these labels are invisible to reads and searches: what waits in quarantine.
pub(crate) fn hidden(labels: Labels) -> bool {
    labels.has(LabelFlag::Quarantined)
}
