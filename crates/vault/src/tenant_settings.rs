//! What a controller changes of its own tenant: agreement, export recipient, its key; and what the operator
//! changes: the tenant's state.

use std::sync::Arc;

use leadvault_domain::{Agreement, KeyState, Role, TenantId, TenantState};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_store::{BumpState, TenantScope, UpdateTenantMeta, UpdateTenantState, Write};

use crate::call::{Act, Answer, Call, Outcome};
use crate::cell::Cell;
use crate::control::TenantFacts;
use crate::error::{Fault, Refusal};
use crate::idempotency::{self, Made};
use crate::leads::erase;
use crate::notices::{self, NoticeKind};
use crate::operator;
use crate::room::Room;
use crate::tenants::{TenantLocations, check_agreement, check_recipient};

const CONTROLLER: [Role; 1] = [Role::Controller];

/// Puts another agreement in force.
///
/// # Errors
/// [`Fault::Invalid`]; [`Fault::RoleInsufficient`].
pub async fn set_agreement(cell: &Cell, call: &Call, agreement: Agreement) -> Outcome<()> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::AgreementChange, ResourceType::Tenant);
    cell.require_role(&room, call, &CONTROLLER, operation, on).await?;
    let mut wrong = Vec::new();
    check_agreement(&agreement, "#", &mut wrong);
    if !wrong.is_empty() {
        return Err(Fault::Invalid(wrong).into());
    }
    let mut facts = facts_of(&room);
    facts.agreement = agreement;
    facts.agreement_in_force = true;
    store_facts(cell, call, &room, &facts, operation).await
}

/// Ends the agreement: from now on only exit, rights, holds and deletion work.
///
/// # Errors
/// [`Fault::RoleInsufficient`].
pub async fn end_agreement(cell: &Cell, call: &Call) -> Outcome<()> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::AgreementChange, ResourceType::Tenant);
    cell.require_role(&room, call, &CONTROLLER, operation, on).await?;
    let mut facts = facts_of(&room);
    facts.agreement_in_force = false;
    store_facts(cell, call, &room, &facts, operation).await
}

/// Registers the age recipient of exports, or none.
///
/// # Errors
/// [`Fault::Invalid`]; [`Fault::RoleInsufficient`].
pub async fn set_export_recipient(
    cell: &Cell,
    call: &Call,
    recipient: Option<String>,
) -> Outcome<()> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::RecipientChange, ResourceType::Tenant);
    cell.require_role(&room, call, &CONTROLLER, operation, on).await?;
    let mut wrong = Vec::new();
    check_recipient(recipient.as_deref(), "#/recipient", &mut wrong);
    if !wrong.is_empty() {
        return Err(Fault::Invalid(wrong).into());
    }
    let mut facts = facts_of(&room);
    facts.export_recipient = recipient;
    store_facts(cell, call, &room, &facts, operation).await
}

fn facts_of(room: &Room) -> TenantFacts {
    let control = room.control();
    TenantFacts {
        controller_country: control.controller_country,
        locations: TenantLocations { store: control.store.clone(), access: control.access.clone() },
        agreement: control.agreement.clone(),
        agreement_in_force: control.agreement_in_force,
        export_recipient: control.export_recipient.clone(),
    }
}

async fn store_facts(
    cell: &Cell,
    call: &Call,
    room: &Room,
    facts: &TenantFacts,
    operation: LogOperation,
) -> Outcome<()> {
    let row = cell.data().find_tenant(TenantScope(room.no)).await?.ok_or(Fault::NotFound)?;
    let entry = cell.administrative(call, operation, ResourceType::Tenant).resource_id(room.id);
    let update = UpdateTenantMeta { facts: facts.to_json()?, meta: row.meta };
    let write: Write = vec![update.into(), BumpState.into()].into();
    let (receipt, _) = cell.commit_write(room, entry, None, None, write).await?;
    cell.reload(room).await?;
    Ok(Answer::stamped((), &receipt))
}

/// Suspends the tenant's keys: nothing opens, seals, locates or tags until they are resumed. Erasures are
/// still taken, and complete then.
///
/// # Errors
/// [`Fault::RoleInsufficient`]; [`Fault::KeyDestroyed`].
pub async fn suspend_keys(cell: &Cell, call: &Call) -> Outcome<KeyState> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::KeySuspend, ResourceType::Key);
    cell.require_role(&room, call, &CONTROLLER, operation, on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((_, stamp)) = turn.again() {
        return Ok(Answer { value: KeyState::Disabled, stamp });
    }
    let stamp = set_key_state(cell, call, &room, KeyState::Disabled, operation).await?;
    room.keys()?.purge();
    Ok(Answer { value: KeyState::Disabled, stamp: Some(stamp) })
}

/// Resumes them, and finishes the erasures that waited.
///
/// # Errors
/// [`Fault::KeyDestroyed`] after a shred; what the provider says.
pub async fn resume_keys(cell: &Cell, call: &Call) -> Outcome<KeyState> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::KeyResume, ResourceType::Key);
    cell.require_role(&room, call, &CONTROLLER, operation, on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((_, stamp)) = turn.again() {
        return Ok(Answer { value: KeyState::Active, stamp });
    }
    room.keys()?.resume().await?;
    let stamp = set_key_state(cell, call, &room, KeyState::Active, operation).await?;
    erase::resume(cell, &room).await?;
    Ok(Answer { value: KeyState::Active, stamp: Some(stamp) })
}

async fn set_key_state(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    key_state: KeyState,
    operation: LogOperation,
) -> Result<crate::Stamp, Refusal> {
    if Cell::key_state(room, &room.control()) == KeyState::Destroyed {
        return Err(Fault::KeyDestroyed.into());
    }
    let entry = cell.administrative(call, operation, ResourceType::Key);
    let update = UpdateTenantState { state: room.control().state, key_state };
    let writes: Vec<Write> = vec![update.into(), BumpState.into()];
    let made = Made::KeyState { state: key_state };
    let write = idempotency::beside(cell, call, room, writes, made).await?;
    let (receipt, _) = cell.commit_write(room, entry, None, None, write).await?;
    cell.reload(room).await?;
    Ok((&receipt).into())
}

/// Gives notice: retrieval runs, writes are off.
///
/// # Errors
/// [`Fault::StateConflict`] outside active and restricted; [`Fault::RoleInsufficient`].
pub async fn close(cell: &Cell, call: &Call) -> Outcome<TenantState> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::TenantState, ResourceType::Tenant);
    cell.require_role(&room, call, &CONTROLLER, operation, on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((_, stamp)) = turn.again() {
        return Ok(Answer { value: TenantState::Closing, stamp });
    }
    if !matches!(room.control().state, TenantState::Active | TenantState::Restricted) {
        return Err(Fault::StateConflict.into());
    }
    let made = Made::TenantState { state: TenantState::Closing };
    let record = idempotency::record(cell, call, &room, made).await?;
    let entry = cell.administrative(call, operation, on).resource_id(room.id);
    let receipt = set_state(cell, &room, TenantState::Closing, entry, record).await?;
    Ok(Answer::stamped(TenantState::Closing, &receipt))
}

/// Restricts a tenant, or lifts it, on behalf of the operator: an entry and a notice.
///
/// # Errors
/// [`Fault::NotFound`]; [`Fault::StateConflict`].
pub async fn set_state_by_operator(
    cell: &Cell,
    act: &Act,
    tenant: TenantId,
    state: TenantState,
) -> Outcome<TenantState> {
    let room = cell.room_of(tenant)?;
    let turn = idempotency::begin_act(cell, act, &[Arc::clone(&room)]).await?;
    if let Some((_, stamp)) = turn.again() {
        return Ok(Answer { value: state, stamp });
    }
    let allowed = matches!(
        (room.control().state, state),
        (TenantState::Active, TenantState::Restricted)
            | (TenantState::Restricted, TenantState::Active)
    );
    if !allowed {
        return Err(Fault::StateConflict.into());
    }
    let record = match &room.keys {
        Some(keys) => idempotency::record_act(cell, act, keys, Made::TenantState { state }).await?,
        None => None,
    };
    let entry = operator::entry(cell, LogOperation::TenantState, ResourceType::Tenant);
    let entry = entry.resource_id(tenant);
    let receipt = set_state(cell, &room, state, entry.clone(), record).await?;
    let entry = entry.tenant(Some(tenant)).own_text("state", state.as_str());
    operator::record(cell, entry).await?;
    Ok(Answer::stamped(state, &receipt))
}

async fn set_state(
    cell: &Cell,
    room: &Room,
    state: TenantState,
    entry: leadvault_ledger::EntryDraft,
    record: Option<Write>,
) -> Result<leadvault_ledger::CommittedReceipt, Refusal> {
    let key_state = room.control().key_state;
    let entry = entry.own_text("state", state.as_str());
    let mut writes: Vec<Write> = vec![
        UpdateTenantState { state, key_state }.into(),
        notices::write(cell, NoticeKind::TenantState)?,
    ];
    writes.extend(record);
    let (receipt, _) = cell.commit_write(room, entry, None, None, Write::from(writes)).await?;
    cell.reload(room).await?;
    Ok(receipt)
}
