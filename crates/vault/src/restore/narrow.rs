//! The entries that a restored database does not know, read once from its end to the end of the log: what
//! narrows is applied, the rest is counted.

use std::collections::{HashMap, HashSet};

use leadvault_domain::{
    ApiKeyId, DatasetId, Effect, FileId, InstructionId, InstructionStatus, Operation, TenantState,
};
use leadvault_ledger::{EntryView, LogOperation};
use leadvault_store::{
    BumpState, RevokeApiKey, TenantScope, UpdateInstruction, UpdateTenantMeta, Write,
};

use crate::cell::Cell;
use crate::control::{TenantFacts, is_final};
use crate::error::Fault;
use crate::leads::flags;
use crate::publisher;
use crate::recover::StartError;
use crate::room::Room;

/// What the log says happened since the copy, as far as rows have to follow it.
#[derive(Debug, Default)]
pub(super) struct Narrowed {
    /// References of leads whose erasure was requested.
    pub(super) erased: HashSet<String>,
    /// Files whose erasure was requested by themselves.
    pub(super) files: HashSet<FileId>,
    /// References of leads, and whether they were restricted in the end.
    pub(super) restricted: HashMap<String, bool>,
    /// Datasets that were shredded.
    pub(super) shredded: HashSet<DatasetId>,
    /// The last state the tenant was given.
    pub(super) state: Option<TenantState>,
    /// Whether the tenant's keys were suspended in the end.
    pub(super) suspended: bool,
    /// Activations of versions that only the newer database held. They may have prohibited something.
    pub(super) instructions_lost: u64,
    /// Changes that were applied.
    pub(super) replayed: u64,
    /// Changes that were not.
    pub(super) not_replayed: u64,
}

/// Reads entries `from..to` and applies what narrows.
///
/// # Errors
/// What the store says.
pub(super) async fn replay(
    cell: &Cell,
    room: &Room,
    from: u64,
    to: u64,
) -> Result<Narrowed, StartError> {
    let mut narrowed = Narrowed::default();
    for bytes in publisher::entries(cell, TenantScope(room.no), from, to).await? {
        let Some(view) = EntryView::parse(&bytes) else { continue };
        // What was not done narrowed nothing.
        if view.is_allow() && view.is_done() {
            apply(cell, room, &view, &mut narrowed).await?;
        }
    }
    Ok(narrowed)
}

async fn apply(
    cell: &Cell,
    room: &Room,
    view: &EntryView,
    narrowed: &mut Narrowed,
) -> Result<(), StartError> {
    use LogOperation as Op;
    let done = match view.operation() {
        Op::EraseRequested => {
            let before = narrowed.erased.len();
            narrowed.erased.extend(view.refs().map(str::to_owned));
            narrowed.files.extend(view.resource_id().and_then(|id| id.parse::<FileId>().ok()));
            // With the keys away an entry could not name its lead: nobody can tell now which it was.
            narrowed.erased.len() > before || view.resource_id().is_some()
        }
        Op::FlagChange => {
            // An entry that does not say which way is taken for a restriction.
            let on = view.own_number(flags::RESTRICTED) != Some(0);
            narrowed.restricted.extend(view.refs().map(|r| (r.to_owned(), on)));
            // Counted where the row is found.
            return Ok(());
        }
        Op::DatasetShred => {
            let id = view.resource_id().and_then(|id| id.parse::<DatasetId>().ok());
            narrowed.shredded.extend(id);
            true
        }
        Op::TenantState => {
            narrowed.state = view.own_text("state").and_then(|s| s.parse().ok());
            true
        }
        Op::KeySuspend => {
            narrowed.suspended = true;
            true
        }
        Op::KeyResume => {
            narrowed.suspended = false;
            false
        }
        Op::KeyRevoke => revoke_key(cell, room, view).await?,
        Op::AgreementChange => change_facts(cell, room, |f| f.agreement_in_force = false).await?,
        Op::RecipientChange => change_facts(cell, room, |f| f.export_recipient = None).await?,
        Op::InstructionRevoke => status(cell, room, view, InstructionStatus::Revoked).await?,
        Op::InstructionSuspend => status(cell, room, view, InstructionStatus::Suspended).await?,
        Op::InstructionChallenge => status(cell, room, view, InstructionStatus::Challenged).await?,
        Op::InstructionActivate => activate(cell, room, view, narrowed).await?,
        Op::KeyCreate
        | Op::DatasetCreate
        | Op::DatasetClassify
        | Op::InstructionDraft
        | Op::GrantChange
        | Op::HoldChange
        | Op::Data(Operation::Store | Operation::Modify) => false,
        _ => return Ok(()),
    };
    let count = if done { &mut narrowed.replayed } else { &mut narrowed.not_replayed };
    *count = count.saturating_add(1);
    Ok(())
}

/// Id and version an entry is about.
fn version_of(view: &EntryView) -> Option<(InstructionId, u32)> {
    let (id, version) = view.instruction()?;
    Some((id.parse().ok()?, u32::try_from(version).ok()?))
}

async fn status(
    cell: &Cell,
    room: &Room,
    view: &EntryView,
    to: InstructionStatus,
) -> Result<bool, StartError> {
    match version_of(view) {
        Some((id, version)) => move_to(cell, room, id, version, to).await,
        None => Ok(false),
    }
}

/// Gives a version another status; `false` where the database does not hold the version, or it is over.
async fn move_to(
    cell: &Cell,
    room: &Room,
    id: InstructionId,
    version: u32,
    to: InstructionStatus,
) -> Result<bool, StartError> {
    let control = room.control();
    let present = control.register.find((id, version));
    let Some(from) = present.map(|i| i.status).filter(|s| *s != to && !is_final(*s)) else {
        return Ok(false);
    };
    let now = cell.clock().now();
    let activated_at = (to == InstructionStatus::Active).then_some(now);
    let write = UpdateInstruction { id, version, from, to, activated_at, body: None };
    let write: Write = vec![write.into(), BumpState.into()].into();
    cell.data().apply(TenantScope(room.no), write).await?;
    // The next entry may be about the same version.
    cell.reload(room).await?;
    Ok(true)
}

/// An activation narrows twice: it supersedes the versions before, and it may put a prohibition in force.
/// What it permits is left to the controller.
async fn activate(
    cell: &Cell,
    room: &Room,
    view: &EntryView,
    narrowed: &mut Narrowed,
) -> Result<bool, StartError> {
    let Some((id, version)) = version_of(view) else { return Ok(false) };
    let control = room.control();
    let known = control.register.find((id, version));
    let Some(known) = known else {
        narrowed.instructions_lost = narrowed.instructions_lost.saturating_add(1);
        supersede(cell, room, id, version).await?;
        return Ok(false);
    };
    let mut done = false;
    if known.effect == Effect::Prohibit && known.status == InstructionStatus::Draft {
        done = move_to(cell, room, id, version, InstructionStatus::Active).await?;
    }
    supersede(cell, room, id, version).await?;
    Ok(done)
}

async fn supersede(
    cell: &Cell,
    room: &Room,
    id: InstructionId,
    version: u32,
) -> Result<(), StartError> {
    let control = room.control();
    let before = control.register.versions(id).filter(|i| i.version < version);
    let before: Vec<u32> =
        before.filter(|i| i.status != InstructionStatus::Draft).map(|i| i.version).collect();
    for older in before {
        move_to(cell, room, id, older, InstructionStatus::Superseded).await?;
    }
    Ok(())
}

async fn revoke_key(cell: &Cell, room: &Room, view: &EntryView) -> Result<bool, StartError> {
    let scope = TenantScope(room.no);
    let Some(id) = view.resource_id().and_then(|id| id.parse::<ApiKeyId>().ok()) else {
        return Ok(false);
    };
    let at = cell.clock().now();
    let outcome = cell.data().apply(scope, RevokeApiKey { id, at }).await?;
    Ok(!outcome.is_conflict())
}

async fn change_facts(
    cell: &Cell,
    room: &Room,
    change: impl FnOnce(&mut TenantFacts),
) -> Result<bool, StartError> {
    let scope = TenantScope(room.no);
    let row = cell.data().find_tenant(scope).await?.ok_or(Fault::NotFound)?;
    let mut facts: TenantFacts =
        serde_json::from_str(&row.facts).map_err(|_| Fault::Internal("facts"))?;
    change(&mut facts);
    let update = UpdateTenantMeta { facts: facts.to_json()?, meta: row.meta };
    let write: Write = vec![update.into(), BumpState.into()].into();
    cell.data().apply(scope, write).await?;
    Ok(true)
}
