//! Refusals that are entries: denials, unknown ids, roles and states that do not allow an act.

use std::sync::Arc;

use leadvault_domain::{DecisionCode, Operation, Role, TenantNo};
use leadvault_ledger::{EntryDraft, Generations, Journal, LogOperation, ResourceType};
use leadvault_policy as policy;
use leadvault_store::TenantScope;

use super::permit::draft;
use crate::call::{Call, Stamp};
use crate::cell::{Appender, Cell};
use crate::denials::{self, Denials, Denied};
use crate::error::{Fault, Refusal};
use crate::room::Room;

impl Cell {
    /// Commits a denial; one that repeats another of the running second is counted into one entry with it.
    ///
    /// # Errors
    /// As [`Cell::commit`].
    pub(super) async fn deny(
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

    /// As [`Cell::not_found`], of a call whose key the commit proves: what another node made since is not missing, and
    /// a key it revoked learns nothing.
    ///
    /// Goes into [`Cell::settled`], for it may come back as [`Fault::Stale`].
    pub(crate) async fn missing(
        &self,
        room: &Room,
        call: &Call,
        operation: Operation,
        on: ResourceType,
    ) -> Refusal {
        let control = room.control();
        let operation = LogOperation::Data(operation);
        self.not_found_under(room, call, operation, on, Some(control.read_generations())).await
    }

    /// As [`Cell::not_found`], of an administrative act.
    pub(crate) async fn not_found_as(
        &self,
        room: &Room,
        call: &Call,
        operation: LogOperation,
        on: ResourceType,
    ) -> Refusal {
        self.not_found_under(room, call, operation, on, None).await
    }

    async fn not_found_under(
        &self,
        room: &Room,
        call: &Call,
        operation: LogOperation,
        on: ResourceType,
        asserted: Option<Generations>,
    ) -> Refusal {
        let at = self.clock().now();
        let entry = draft(call, at, operation, on, DecisionCode::NotFound);
        match self.commit(room, entry, asserted).await {
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

    /// Confirms who calls, and what other nodes did before, where a refusal would tell it without a commit.
    ///
    /// # Errors
    /// [`Fault::Unauthenticated`] for a key that was revoked meanwhile; what keys and store say.
    pub(crate) async fn prove(&self, room: &Room, call: &Call) -> Result<(), Refusal> {
        if call.open {
            if let Some(control) = self.data().find_control(TenantScope(room.no)).await? {
                self.catch_up(room.no, control).await?;
            }
            self.require_live_key(room, call)?;
        }
        Ok(())
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
        if let Err(unproven) = self.prove(room, call).await {
            return unproven;
        }
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
