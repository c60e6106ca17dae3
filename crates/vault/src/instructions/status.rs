//! The life of an instruction after its draft: suspended, resumed, revoked, challenged.
//!
//! Suspending and revoking need no key, so that they work when the tenant's key does not. A challenge and
//! its end are written into the text (`legal.challenge`, which the hash does not cover), and need one.

use leadvault_domain::{
    Effect, Instruction, InstructionId, InstructionStatus, Role, TenantId, TenantState,
};
use leadvault_ledger::{CommittedReceipt, EntryDraft, LogOperation, ResourceType};
use leadvault_policy::StateOperation;
use leadvault_store::{BumpState, Write};
use serde_json::{Value as Json, json};

use super::{as_it_was, commit, exits, resealed, status_change};
use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::idempotency::{self, Made};
use crate::notices::{self, NoticeKind};
use crate::operator;
use crate::room::Room;

/// Longest name of a provision of the law, in characters.
const PROVISION_CHARS_MAX: usize = 1_000;

/// A change of status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// active → suspended
    Suspend,
    /// suspended → active
    Resume,
    /// any but a final one → revoked
    Revoke,
    /// active or suspended → challenged, by the operator
    Challenge,
    /// challenged → active, by the controller
    Confirm,
    /// challenged → revoked, by the controller
    Withdraw,
}

impl Change {
    /// The status a version gets, if it may.
    const fn apply(self, from: InstructionStatus) -> Option<InstructionStatus> {
        use InstructionStatus as S;
        match (self, from) {
            (Self::Suspend, S::Active) => Some(S::Suspended),
            (Self::Resume, S::Suspended) | (Self::Confirm, S::Challenged) => Some(S::Active),
            (Self::Revoke, S::Draft | S::Active | S::Suspended | S::Challenged)
            | (Self::Withdraw, S::Challenged) => Some(S::Revoked),
            (Self::Challenge, S::Active | S::Suspended) => Some(S::Challenged),
            _ => None,
        }
    }

    const fn operation(self) -> LogOperation {
        match self {
            Self::Suspend => LogOperation::InstructionSuspend,
            Self::Resume | Self::Confirm => LogOperation::InstructionActivate,
            Self::Revoke | Self::Withdraw => LogOperation::InstructionRevoke,
            Self::Challenge => LogOperation::InstructionChallenge,
        }
    }

    /// The challenge with its outcome, where this ends one.
    fn ends(self, challenged: &Instruction) -> Option<Json> {
        let outcome = match self {
            Self::Confirm => "confirmed",
            Self::Withdraw => "withdrawn",
            _ => return None,
        };
        let mut told = challenged.legal.as_ref()?.challenge.clone()?;
        told.as_object_mut()?.insert("outcome".to_owned(), outcome.into());
        Some(told)
    }

    /// What of the tenant's states it depends on: what ends a permit narrows, what ends a prohibition widens. A
    /// draft permits and prohibits nothing.
    const fn row(self, effect: Effect, status: InstructionStatus) -> StateOperation {
        let begins = matches!(self, Self::Resume | Self::Confirm);
        match (effect, status) {
            (_, InstructionStatus::Draft) => StateOperation::Narrow,
            (Effect::Permit, _) if begins => StateOperation::Widen,
            (Effect::Prohibit, _) if !begins => StateOperation::Widen,
            _ => StateOperation::Narrow,
        }
    }
}

/// Changes the status of the version that is in force (or waits).
///
/// # Errors
/// [`Fault::StateConflict`] where the status does not allow it; [`Fault::NotFound`];
/// [`Fault::RoleInsufficient`].
pub async fn change(
    cell: &Cell,
    call: &Call,
    id: InstructionId,
    change: Change,
) -> Outcome<Instruction> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (change.operation(), ResourceType::Instruction);
    cell.require_role(&room, call, &[Role::Controller], operation, on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((made, stamp)) = turn.again() {
        return Ok(Answer { value: as_it_was(cell, &room, made)?, stamp });
    }
    let changed = cell.settled(&room, async || {
        let (effect, status) = standing(&room, id, change);
        let row = change.row(effect, status);
        cell.require_state(&room, call, row, operation, on).await?;
        let entry = cell.administrative(call, operation, on);
        let mut with = Beside::default();
        if let Some((version, status)) = next_status(&room, id, change) {
            let made = Made::Instruction { id, version, status };
            with.writes.extend(idempotency::record(cell, call, &room, made).await?);
        }
        change_with(cell, &room, id, change, entry, with).await
    });
    let (changed, receipt) = match changed.await {
        Err(refusal) if refusal.fault == Fault::NotFound => {
            // The permit of an exit is over with it, and stays as it is.
            return Err(match exits::find(cell, &room, id).await? {
                Some(_) => Fault::StateConflict.into(),
                None => cell.not_found_as(&room, call, operation, on).await,
            });
        }
        other => other?,
    };
    Ok(Answer::stamped(changed, &receipt))
}

/// The version a change is about, and the status it gets.
fn next_status(room: &Room, id: InstructionId, change: Change) -> Option<(u32, InstructionStatus)> {
    let control = room.control();
    let versions: Vec<_> = control.register.versions(id).collect();
    concerned(&versions, change).and_then(|i| Some((i.version, change.apply(i.status)?)))
}

/// What the version a change is about does now; where there is none, what most do.
fn standing(room: &Room, id: InstructionId, change: Change) -> (Effect, InstructionStatus) {
    let control = room.control();
    let versions: Vec<_> = control.register.versions(id).collect();
    let live = concerned(&versions, change).map(|live| (live.effect, live.status));
    live.unwrap_or((Effect::Permit, InstructionStatus::Active))
}

/// The version a change is about: the one in force or waiting, before any draft of a later one.
fn concerned<'a>(versions: &[&'a Instruction], change: Change) -> Option<&'a Instruction> {
    let may = |i: &&&Instruction| change.apply(i.status).is_some();
    let drafted = |i: &&&Instruction| i.status == InstructionStatus::Draft;
    let in_force = versions.iter().rev().find(|i| may(i) && !drafted(i));
    in_force.or_else(|| versions.iter().rev().find(may)).copied()
}

/// Challenges an instruction on behalf of the operator, who holds that a provision of the law forbids it
/// it stops at once, and the tenant is told.
///
/// # Errors
/// As [`change`]; [`Fault::Invalid`] for a provision that is empty or too long.
pub async fn challenge(
    cell: &Cell,
    tenant: TenantId,
    id: InstructionId,
    provision: &str,
) -> Outcome<Instruction> {
    let provision = provision.trim();
    if provision.is_empty() || provision.chars().count() > PROVISION_CHARS_MAX {
        return Err(Fault::invalid("#/provision", "length").into());
    }
    let room = cell.room_of(tenant)?;
    let challenged = cell.settled(&room, async || {
        let entry =
            operator::entry(cell, LogOperation::InstructionChallenge, ResourceType::Instruction);
        let notice = notices::write(cell, NoticeKind::InstructionChallenged)?;
        let at = cell.clock().now();
        let said = json!({ "raised_at": at, "provision": provision, "notified_controller_at": at,
            "outcome": "open" });
        let with = Beside { challenge: Some(said), writes: vec![notice] };
        change_with(cell, &room, id, Change::Challenge, entry, with).await
    });
    let (changed, receipt) = challenged.await?;
    Ok(Answer::stamped(changed, &receipt))
}

/// What a change of status brings along.
#[derive(Default)]
struct Beside {
    /// `legal.challenge`.
    challenge: Option<Json>,
    /// Further writes of the same commit.
    writes: Vec<Write>,
}

async fn change_with(
    cell: &Cell,
    room: &Room,
    id: InstructionId,
    change: Change,
    entry: EntryDraft,
    with: Beside,
) -> Result<(Instruction, CommittedReceipt), Refusal> {
    let control = room.control();
    if control.state == TenantState::Closed {
        return Err(Fault::StateConflict.into());
    }
    let versions: Vec<_> = control.register.versions(id).collect();
    if versions.is_empty() {
        return Err(Fault::NotFound.into());
    }
    let live = concerned(&versions, change).ok_or(Fault::StateConflict)?;
    let status = change.apply(live.status).ok_or(Fault::StateConflict)?;
    let mut changed = live.clone();
    changed.status = status;
    let told = with.challenge.or_else(|| change.ends(&changed));
    let body = match told {
        Some(challenge) => {
            changed.legal.get_or_insert_default().challenge = Some(challenge);
            Some(resealed(cell, room, &changed, None).await?)
        }
        None => None,
    };
    let mut writes: Vec<Write> =
        vec![status_change(cell, live, live.status, status, body), BumpState.into()];
    writes.extend(with.writes);
    // Which versions there are, and in which status, is what this was decided on.
    let asserted = Some(control.read_generations());
    let receipt = commit(cell, room, &changed, entry, asserted, writes.into()).await?;
    cell.reload(room).await?;
    Ok((changed, receipt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_permit_narrows_and_what_ends_a_prohibition_widens() {
        use InstructionStatus::{Active, Challenged, Draft, Suspended};
        let (narrow, widen) = (StateOperation::Narrow, StateOperation::Widen);
        for (change, status, permit, prohibit) in [
            (Change::Suspend, Active, narrow, widen),
            (Change::Resume, Suspended, widen, narrow),
            (Change::Revoke, Active, narrow, widen),
            (Change::Revoke, Draft, narrow, narrow),
            (Change::Confirm, Challenged, widen, narrow),
            (Change::Withdraw, Challenged, narrow, widen),
        ] {
            assert_eq!(change.row(Effect::Permit, status), permit, "{change:?} of a permit");
            assert_eq!(
                change.row(Effect::Prohibit, status),
                prohibit,
                "{change:?} of a prohibition"
            );
        }
    }
}
