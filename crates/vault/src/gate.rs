//! The gate: one decision, one entry. Every use case that touches tenant data passes here first.
//!
//! A permit is only a decision; data comes out under the `CommittedReceipt` of the entry that
//! [`Permit::entry`] starts. A denial commits its own entry and comes back as a [`Refusal`] with the stamp.

use std::future::Future;
use std::sync::Arc;

use leadvault_domain::{
    DecisionCode, Instruction, InstructionId, KeyState, LabelFlag, Labels, Masking, Operation,
    Purpose, ReasonCode, Role, TenantNo, Timestamp,
};
use leadvault_ledger::{
    Actor, CommittedReceipt, EntryDraft, Generations, InstructionStamp, Journal, LogOperation, Op,
    ResourceType,
};
use leadvault_policy::{self as policy, Ask, FieldRule, InstructionRef, RowRule, Verdict};
use leadvault_store::{Conflict, Outcome as Written, Write};

use crate::call::{Call, Stamp};
use crate::cell::{Appender, Cell};
use crate::changes;
use crate::denials::{self, Denials, Denied};
use crate::error::{Fault, Refusal};
use crate::exit;
use crate::instructions;
use crate::room::{Control, Room};

/// How often a call is decided when the control state moves under it, before it gives up.
const DECISIONS_MAX: usize = 16;

/// An allowance, and what an entry under it says.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(crate) instruction: InstructionRef,
    pub(crate) fields: FieldRule,
    pub(crate) masking: Masking,
    pub(crate) purpose: Purpose,
    pub(crate) operation: Operation,
    pub(crate) control: Arc<Control>,
    pub(crate) at: Timestamp,
    /// Rows the permit does not cover are left out of lists and searches.
    pub(crate) rows: RowRule,
    warnings: Vec<&'static str>,
    obligations: Vec<&'static str>,
}

impl Permit {
    /// Starts the entry of the allowed access, under the first operation that was asked for.
    pub(crate) fn entry(&self, call: &Call, on: ResourceType) -> EntryDraft {
        self.entry_as(call, LogOperation::Data(self.operation), on)
    }

    /// Starts an entry under an operation of the log's own.
    pub(crate) fn entry_as(
        &self,
        call: &Call,
        operation: LogOperation,
        on: ResourceType,
    ) -> EntryDraft {
        draft(call, self.at, operation, on, DecisionCode::Allow)
            .purpose(self.purpose)
            .instruction(stamp_of(&self.instruction))
            .warnings(self.warnings.iter().copied())
            .obligations(self.obligations.iter().copied())
    }

    /// What a read under this permit asserts at its commit.
    pub(crate) fn read_generations(&self) -> Generations {
        self.control.read_generations()
    }

    /// What a write under this permit asserts at its commit.
    pub(crate) fn write_generations(&self) -> Generations {
        self.control.write_generations()
    }
}

/// Starts an entry of a tenant's API call.
fn draft(
    call: &Call,
    at: Timestamp,
    operation: LogOperation,
    on: ResourceType,
    code: DecisionCode,
) -> EntryDraft {
    EntryDraft::new(at, Actor::of(&call.caller), ReasonCode::TenantApiCall, operation, on, code)
        .request(call.request)
        .actor_country(call.caller.country)
}

fn stamp_of(instruction: &InstructionRef) -> InstructionStamp {
    InstructionStamp {
        id: instruction.id,
        version: instruction.version,
        hash: Some(instruction.hash.clone()),
    }
}

/// What a decision is made on.
struct Grounds {
    /// The control state: what moved since makes the commit stale.
    control: Arc<Control>,
    /// The instructions that may be found.
    instructions: Arc<Vec<Instruction>>,
    /// One of them that is not in the register, and that nothing may name therefore.
    draft: Option<InstructionId>,
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
            let instructions = exit::candidates(&control, call, ask);
            return self
                .decide(room, call, ask, Grounds { control, instructions, draft: None }, on)
                .await;
        }
        let built_in = exit::issue(self, room, call, ask, self.clock().now())?;
        let named = Some(policy::Named { id: built_in.id, version: Some(built_in.version) });
        let ask = Ask { named, ..ask.clone() };
        let grounds = |control: Arc<Control>, draft| {
            let all = exit::register(&control, built_in.clone());
            Grounds { control, instructions: Arc::new(all), draft }
        };
        // An exit that is denied leaves nothing in the register. One that is not is decided again under the
        // control state that its own permit made.
        let first = grounds(control, Some(built_in.id));
        self.decide(room, call, &ask, first, on).await?;
        instructions::store_active(self, room, call, &built_in).await?;
        self.decide(room, call, &ask, grounds(room.control(), None), on).await
    }

    async fn decide(
        &self,
        room: &Room,
        call: &Call,
        ask: &Ask,
        grounds: Grounds,
        on: ResourceType,
    ) -> Result<Permit, Refusal> {
        let Grounds { control, instructions, draft: unregistered } = grounds;
        let at = self.clock().now();
        let actor = policy::Actor::from(&call.caller);
        let facts = Self::facts(room, &control, ask, call, at);
        let operation = ask.operations.first().copied().unwrap_or(Operation::Read);
        let verdict =
            policy::decide(ask, &actor, &instructions, call.caller.default_instruction, &facts, at);
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
                let considered = deny.instruction.filter(|i| Some(i.id) != unregistered);
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

    /// Commits a denial; one that repeats another of the running second is counted into one entry with it.
    ///
    /// # Errors
    /// As [`Cell::commit`].
    async fn deny(
        &self,
        room: &Room,
        denied: Denied,
        entry: EntryDraft,
        asserted: Option<Generations>,
    ) -> Result<Stamp, Refusal> {
        let at = self.clock().now();
        if let Some(repeated) = room.denials.repeat(&denied, at, &entry) {
            if repeated.begins {
                let counted = (Arc::clone(&room.denials), self.journal().clone(), room.no);
                tokio::spawn(commit_count(counted, denied));
            }
            return Ok(repeated.stamp);
        }
        let stamp = Stamp::from(&self.commit(room, entry, asserted).await?);
        room.denials.first(denied, at, stamp.clone());
        Ok(stamp)
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

    /// Commits an entry to a tenant's log.
    ///
    /// # Errors
    /// [`Fault::Stale`] where the control state moved; [`Fault::JournalUnwritable`], in which case
    /// nothing may be released.
    pub(crate) async fn commit(
        &self,
        room: &Room,
        entry: EntryDraft,
        asserted: Option<Generations>,
    ) -> Result<CommittedReceipt, Refusal> {
        Ok(self.journal().commit(room.no, entry.finish()?, asserted).await?)
    }

    /// Commits a write with its entry.
    ///
    /// # Errors
    /// [`Fault::Stale`], [`Fault::JournalUnwritable`]; [`Fault::InProgress`] where another node did the same
    /// request meanwhile. Any other conflict is an outcome.
    pub(crate) async fn commit_write(
        &self,
        room: &Room,
        entry: EntryDraft,
        otherwise: Option<EntryDraft>,
        asserted: Option<Generations>,
        write: impl Into<Write>,
    ) -> Result<(CommittedReceipt, Written), Refusal> {
        let (write, told) = changes::told(self, room, write.into())?;
        let op = Op {
            log: room.no,
            entry: entry.finish()?,
            otherwise: otherwise.map(EntryDraft::finish).transpose()?,
            asserted,
            write: Some(write),
        };
        self.fail_point("write.committing");
        let (receipt, outcome, _) = self.journal().commit_write(op).await?;
        self.fail_point("write.committed");
        match told.outcome(outcome.unwrap_or(Written::Done)) {
            Written::Conflict(Conflict::Replayed(_)) => Err(Fault::InProgress.into()),
            outcome => Ok((receipt, outcome)),
        }
    }

    /// Answers 404 and records it: nothing was located, the caller's own log says so.
    pub(crate) async fn not_found(
        &self,
        room: &Room,
        call: &Call,
        operation: Operation,
        on: ResourceType,
    ) -> Refusal {
        self.not_found_as(room, call, LogOperation::Data(operation), on).await
    }

    /// As [`Cell::not_found`], of an administrative act.
    pub(crate) async fn not_found_as(
        &self,
        room: &Room,
        call: &Call,
        operation: LogOperation,
        on: ResourceType,
    ) -> Refusal {
        let at = self.clock().now();
        let entry = draft(call, at, operation, on, DecisionCode::NotFound);
        match self.commit(room, entry, None).await {
            Ok(receipt) => Refusal {
                fault: Fault::NotFound,
                instruction: None,
                stamp: Some(Box::new(Stamp::from(&receipt))),
            },
            Err(refusal) => refusal,
        }
    }

    /// Refuses a key that was revoked or ended since it was shown: a body may take its time to come.
    ///
    /// # Errors
    /// [`Fault::Unauthenticated`].
    pub(crate) fn require_live_key(&self, room: &Room, call: &Call) -> Result<(), Fault> {
        let ended = room.control().key_ends.get(&call.key()).copied();
        match ended.filter(|at| *at <= self.clock().now()) {
            Some(_) => Err(Fault::Unauthenticated),
            None => Ok(()),
        }
    }

    /// Refuses a key that is limited to datasets where the tenant as a whole is concerned.
    ///
    /// # Errors
    /// [`Fault::Denied`] with `DENY_DATASET`.
    pub(crate) fn require_whole_tenant(call: &Call) -> Result<(), Fault> {
        match call.caller.datasets {
            Some(_) => Err(Fault::Denied(DecisionCode::Dataset)),
            None => Ok(()),
        }
    }

    /// Lets a call pass whose role is one of `roles`; records the refusal otherwise. A key that is limited to
    /// datasets changes nothing of the tenant as a whole, whatever its role: it could widen itself.
    ///
    /// # Errors
    /// [`Fault::RoleInsufficient`] or `DENY_DATASET` with its stamp; [`Fault::Unauthenticated`].
    pub(crate) async fn require_role(
        &self,
        room: &Room,
        call: &Call,
        roles: &[Role],
        operation: LogOperation,
        on: ResourceType,
    ) -> Result<(), Refusal> {
        self.require_live_key(room, call)?;
        let whole =
            matches!(on, ResourceType::Tenant | ResourceType::Key | ResourceType::Instruction)
                || operation == LogOperation::DatasetCreate;
        let (fault, code) = if !roles.contains(&call.caller.role) {
            (Fault::RoleInsufficient, DecisionCode::RoleInsufficient)
        } else if whole && let Err(fault) = Self::require_whole_tenant(call) {
            (fault, DecisionCode::Dataset)
        } else {
            return Ok(());
        };
        Err(self.refused(room, call, operation, on, (fault, code)).await)
    }

    /// Lets an act pass that the state of the tenant allows; records the denial otherwise.
    ///
    /// # Errors
    /// `DENY_TENANT_STATE` with its stamp.
    pub(crate) async fn require_state(
        &self,
        room: &Room,
        call: &Call,
        row: policy::StateOperation,
        operation: LogOperation,
        on: ResourceType,
    ) -> Result<(), Refusal> {
        if policy::state_allows(row, room.control().state, call.caller.role) {
            return Ok(());
        }
        let code = DecisionCode::TenantState;
        Err(self.refused(room, call, operation, on, (Fault::Denied(code), code)).await)
    }

    /// A refusal that no instruction decided, with its entry.
    async fn refused(
        &self,
        room: &Room,
        call: &Call,
        operation: LogOperation,
        on: ResourceType,
        (fault, code): (Fault, DecisionCode),
    ) -> Refusal {
        let entry = draft(call, self.clock().now(), operation, on, code);
        let state_gen = room.control().state_gen;
        let (purpose, instruction) = (None, None);
        let key = call.key();
        let denied = Denied { key, code, operation, on, purpose, instruction, state_gen };
        match self.deny(room, denied, entry, None).await {
            Ok(stamp) => Refusal { fault, instruction: None, stamp: Some(Box::new(stamp)) },
            Err(refusal) => refusal,
        }
    }

    /// Starts the entry of an administrative act of the tenant: key, dataset, instruction, agreement.
    pub(crate) fn administrative(
        &self,
        call: &Call,
        operation: LogOperation,
        on: ResourceType,
    ) -> EntryDraft {
        draft(call, self.clock().now(), operation, on, DecisionCode::Allow)
    }

    /// Runs a use case; where the control state moved under it, reloads and runs it again. Calls that were
    /// overtaken go one after the other, so that a crowd of them (each exit writes its own instruction) does
    /// not keep overtaking itself.
    ///
    /// # Errors
    /// What the use case returned; [`Fault::Overloaded`] when it kept moving.
    pub(crate) async fn settled<T, F, Fut>(&self, room: &Room, mut attempt: F) -> Result<T, Refusal>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Refusal>>,
    {
        match attempt().await {
            Err(refusal) if refusal.fault == Fault::Stale => {}
            other => return other,
        }
        let _alone = room.overtaken.lock().await;
        for _ in 1..DECISIONS_MAX {
            self.reload(room).await?;
            match attempt().await {
                Err(refusal) if refusal.fault == Fault::Stale => {}
                other => return other,
            }
        }
        Err(Fault::Overloaded.into())
    }
}

/// Writes how often a denial was repeated, when its second is over.
async fn commit_count(
    (denials, journal, log): (Arc<Denials>, Journal<Appender>, TenantNo),
    denied: Denied,
) {
    tokio::time::sleep(denials::WINDOW).await;
    let Some(entry) = denials.take(&denied) else { return };
    let committed = match entry.finish() {
        Ok(entry) => journal.commit(log, entry, None).await.is_ok(),
        Err(_) => false,
    };
    if !committed {
        tracing::error!(log = log.0, "repeated denials were not counted");
    }
}

/// Whether rows with these labels are invisible to reads and searches: what waits in quarantine.
pub(crate) fn hidden(labels: Labels) -> bool {
    labels.has(LabelFlag::Quarantined)
}
